"""The shapes that the tables of SPEC §5 are written in, each with an example at both ends of its range.

The core's decoder is not asked: what is made here from a form is right or wrong because SPEC says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dualtap_conform.handmade import Plain


@dataclass(frozen=True, slots=True)
class Uint:
    """An integer from ``least`` to ``most``. ``low`` and ``high`` are examples, where another clause is stricter."""

    least: int
    most: int
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Bin:
    """A byte string of one of these sizes; with none, of any size."""

    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Bool:
    """A boolean."""


@dataclass(frozen=True, slots=True)
class Currency:
    """Three capital letters."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of an enumeration: ``unknown`` are the nearest that are none."""

    values: tuple[int, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """An array of ``least`` to ``most`` items; the great example has ``shown``."""

    of: Form
    least: int
    most: int
    shown: int = 2


@dataclass(frozen=True, slots=True)
class Fields:
    """A fixed array. A message begins with its number."""

    name: str
    fields: tuple[tuple[str, Form], ...]
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Maybe:
    """Nil, or something."""

    of: Form


@dataclass(frozen=True, slots=True)
class Either:
    """One form or another: the small example is of the first, the great one of the last."""

    options: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Fixed:
    """One value, that is not altered here."""

    value: Plain


Form: TypeAlias = Uint | Bin | Bool | Currency | Choice | Items | Fields | Maybe | Either | Fixed


def smallest(form: Form) -> Plain:
    """Return the least value of a form that is right."""
    match form:
        case Uint(least, _, low, _):
            return least if low is None else low
        case Bin(sizes):
            return bytes(min(sizes, default=0))
        case Bool():
            return False
        case Currency():
            return "AAA"
        case Choice(values):
            return values[0]
        case Items(of, least):
            return [smallest(of)] * least
        case Fields(_, fields, number):
            return [*_first(number), *[smallest(field) for _, field in fields]]
        case Maybe():
            return None
        case Either(options):
            return smallest(options[0])
        case Fixed(value):
            return value


def greatest(form: Form) -> Plain:
    """Return a value of a form with every field at its upper end; lists are shorter where they would be long."""
    match form:
        case Uint(_, most, _, high):
            return most if high is None else high
        case Bin(sizes):
            return b"\xff" * max(sizes, default=40)
        case Bool():
            return True
        case Currency():
            return "ZZZ"
        case Choice(values):
            return values[-1]
        case Items(of, _, most, shown):
            return [greatest(of)] * min(most, shown)
        case Fields(_, fields, number):
            return [*_first(number), *[greatest(field) for _, field in fields]]
        case Maybe(of):
            return greatest(of)
        case Either(options):
            return greatest(options[-1])
        case Fixed(value):
            return value


def _first(number: int | None) -> list[Plain]:
    return [] if number is None else [number]
