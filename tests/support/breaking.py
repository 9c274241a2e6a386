"""How a reference device is broken, to test the tester.

A patch touches only what a device runs (the machine of a tap, its book), never what the tester judges by.
"""

# A device is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from dualtap.book import Book
from dualtap.errors import Code, TapError
from dualtap.issued import AuthorityCertificate, Header, Policy
from dualtap.statements import Opening
from dualtap.states import Part
from dualtap.trust import Trust
from dualtap_conform.device import Device
from dualtap_conform.setup import Setup
from dualtap_transports.link import Link

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Broken:
    """A device that breaks a rule: the clauses that it must fail, all of them, and no others; ``notes`` are advice."""

    name: str
    part: Part
    fails: frozenset[str]
    break_it: Callable[[Patch], type[Device]]
    suite: str = "p256"
    notes: frozenset[str] = frozenset()


BROKEN: list[Broken] = []


def broken(
    part: Part, *fails: str, suite: str = "p256", notes: tuple[str, ...] = ()
) -> Callable[[Callable[[Patch], type[Device]]], Callable[[Patch], type[Device]]]:
    """Keep a function that breaks a device, and what the device then fails; the first clause is the intended one."""

    def kept(function: Callable[[Patch], type[Device]]) -> Callable[[Patch], type[Device]]:
        BROKEN.append(Broken(function.__name__, part, frozenset(fails), function, suite, frozenset(notes)))
        return function

    return kept


def trusting(**methods: Callable[..., Any]) -> type[Device]:
    """Return a device whose trust has other methods."""
    lax = type("LaxTrust", (Trust,), methods)

    class Lax(Device):
        def __init__(self, setup: Setup, part: Part) -> None:
            super().__init__(setup, part)
            self.wallet.book.trust.__class__ = lax

    return Lax


def nothing(*_: object, **__: object) -> None:
    """Check nothing."""


def by_its_own_date(self: Trust, issued: Header | Policy, epoch: int) -> None:
    """Judge a policy key by the date that the device has already."""
    del epoch
    Trust._verify_by_policy_key(self, issued, self.epoch)


def one_of_each_hint(self: Trust, certificates: Iterable[AuthorityCertificate]) -> tuple[AuthorityCertificate, ...]:
    """Keep one of the authorities that share a hint, in place of refusing all."""
    return Trust.learn(self, {item.hint: item for item in certificates}.values())


def always(value: object) -> Callable[..., object]:
    """Return what gives this answer to everything."""

    def told(*_: object) -> object:
        return value

    return told


def placed(**changes: Any) -> Callable[..., Opening]:
    """Return a wallet's way to choose its next place on the tape, with this changed."""
    place = Book.place

    def chosen(*given: Any) -> Opening:
        return place(*given)._replace(**changes)

    return chosen


def without(function: Callable[..., Any], code: Code) -> Callable[..., Any]:
    """Return a check that never raises this."""

    def lax(*args: Any, **more: Any) -> Any:
        try:
            return function(*args, **more)
        except TapError as error:
            if error.code is not code:
                raise
            return None

    return lax


def after_each_tap(act: Callable[[Book], None]) -> type[Device]:
    """Return a device that does this when a tap has ended."""

    class After(Device):
        def attend(self, link: Link, timeout: float | None = None) -> None:
            super().attend(link, timeout)
            act(self.wallet.book)

    return After
