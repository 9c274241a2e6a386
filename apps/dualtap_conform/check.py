"""What a check is: something to do with a device, the clauses that it decides, and the part that it tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dualtap.states import Part
from dualtap_conform.bench import Bench


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``part`` is whom it tests, or ``None`` for both; ``advice`` marks what SPEC only recommends.

    A failure that names no clause counts under the first.
    """

    name: str
    title: str
    clauses: tuple[str, ...]
    part: Part | None
    advice: bool
    run: Callable[[Bench], None]


def check(*clauses: str, part: Part | None = None, advice: bool = False) -> Callable[[Callable[[Bench], None]], Check]:
    """Return the decorator that makes a check of a function; its docstring's first line is the title."""

    def made(function: Callable[[Bench], None]) -> Check:
        title = (function.__doc__ or "").strip().partition("\n")[0].removesuffix(".")
        return Check(function.__name__, title, clauses, part, advice, function)

    return made
