"""The ways in which a value of a form can be wrong in one place: a bound crossed by one, another type or length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import cast

from dualtap_conform.grammar import (
    Bin,
    Bool,
    Choice,
    Currency,
    Either,
    Fields,
    Fixed,
    Form,
    Items,
    Maybe,
    Uint,
    smallest,
)
from dualtap_conform.handmade import Plain, Raw, text


@dataclass(frozen=True, slots=True)
class Break:
    """Where and what is wrong, the clause and the class of bug; ``value`` is the whole, otherwise right."""

    where: str
    what: str
    clause: str
    flag: str
    value: Plain

    def within(self, name: str, value: Plain) -> Break:
        """Return this break of a part as one of what holds it."""
        return Break(f"{name}{self.where}", self.what, self.clause, self.flag, value)


def _range(what: str, value: Plain) -> Break:
    return Break("", what, "5.1-7", "OutOfRange", value)


_TYPES: dict[str, tuple[tuple[str, str, str, Plain], ...]] = {
    "number": (
        ("-1", "5.1-3", "NegativeNumber", -1),
        ("a byte string", "5.1-7", "WrongType", b"\x01"),
        ("a float of 8 bytes", "5.1-3", "Float", Raw(b"\xcb\x3f\xf0" + bytes(6))),
        ("text", "5.1-7", "WrongType", "1"),
        ("nil", "5.1-7", "NilForSomething", None),
        ("true", "5.1-7", "BoolAsNumber", True),
        ("an array", "5.1-7", "WrongType", [1]),
        ("-1", "5.1-3", "NegativeNumber", -1),
        ("a float of 4 bytes", "5.1-3", "Float", Raw(b"\xca\x3f\x80\x00\x00")),
        ("a map", "5.1-3", "Map", Raw(b"\x80")),
        ("an extension", "5.1-3", "Extension", Raw(b"\xc7\x00\x05")),
    ),
    "bytes": (
        ("nil", "5.1-7", "NilForSomething", None),
        ("a number", "5.1-7", "WrongType", 0),
        ("an array", "5.1-7", "WrongType", []),
        ("a map", "5.1-3", "Map", Raw(b"\x80")),
    ),
    "array": (
        ("nil", "5.1-7", "NilForSomething", None),
        ("a map", "5.1-3", "Map", Raw(b"\x80")),
        ("a byte string", "5.1-7", "WrongType", b""),
        ("a number", "5.1-7", "WrongType", 0),
    ),
}


class Breaker:
    """Breaks forms. Other types come by turns, so that all are met without trying each everywhere."""

    def __init__(self, covered: Sequence[Form]) -> None:
        """Take the forms that are broken elsewhere: they are not broken inside others."""
        self._covered = covered
        self._types = {name: cycle(values) for name, values in _TYPES.items()}
        self._turns = cycle(("text", "bytes", ""))

    def _other(self, kind: str) -> Break:
        what, clause, flag, value = next(self._types[kind])
        return Break("", f"{what} in its place", clause, flag, value)

    def breaks(self, form: Form) -> Iterator[Break]:
        """Yield every break of a form; of a fixed array, also those of its fields."""
        match form:
            case Uint(least, most):
                if least:
                    yield _range(f"{least - 1}, one too few", least - 1)
                yield _range(f"{most + 1}, one too many", most + 1)
                yield self._other("number")
            case Bin(sizes):
                for size in sorted({size + step for size in sizes if size for step in (-1, 1)} - {*sizes}):
                    yield Break("", f"{size} bytes", "5.1-7", "WrongSize", bytes(size))
                least = min(sizes, default=0)
                turn = next(self._turns)
                if turn == "text":
                    yield Break("", "text of the right length", "5.1-7", "TextForBytes", text(b"a" * least))
                elif turn:
                    yield self._other(turn)
            case Bool():
                for value in (0, 1):
                    yield Break("", f"the number {value}", "5.1-7", "NumberAsBool", value)
                yield Break("", "nil in its place", "5.1-7", "NilForSomething", None)
            case Currency():
                yield Break("", "a byte string in its place", "5.1-7", "BytesForText", b"CNY")
            case Choice(_, unknown):
                for value in unknown:
                    yield Break("", f"the unknown value {value}", "4.3-8", "UnknownValue", value)
                yield self._other("number")
            case Items():
                yield from self._lists(form)
            case Fields():
                yield from self._records(form)
            case Maybe(of):
                yield Break("", "false for nil", "5.1-7", "WrongType", False)
                yield Break("", "an empty array for nil", "5.1-6", "MissingItem", [])
                if of not in self._covered:
                    yield from self.breaks(of)
            case Either(options):
                yield from self._options(options)
            case Fixed():
                pass

    def _lists(self, form: Items) -> Iterator[Break]:
        one = smallest(form.of)
        if form.least:
            yield Break("", "an empty list", "5.1-7", "ListLength", [one] * (form.least - 1))
        if form.most <= 64:
            yield Break("", f"{form.most + 1} items", "5.1-6", "ListLength", [one] * (form.most + 1))
        yield self._other("array")
        for found in () if form.of in self._covered else self.breaks(form.of):
            yield found.within("[]", [found.value])

    def _options(self, options: tuple[Form, ...]) -> Iterator[Break]:
        """Yield the breaks of all options, but those that make the one into another."""
        for option in options:
            for found in self.breaks(option):
                if not any(_is(other, found.value) for other in options):
                    yield found

    def _records(self, form: Fields) -> Iterator[Break]:
        whole = cast("list[Plain]", smallest(form))
        if form.fields:
            yield Break("", "without its last item", "5.1-6", "MissingItem", whole[:-1])
        yield Break("", "with a further item", "5.1-6", "FurtherItem", [*whole, None])
        for place, (name, field) in enumerate(form.fields, _from(form)):
            if field not in self._covered:
                for found in self.breaks(field):
                    yield found.within(f".{name}", [*whole[:place], found.value, *whole[place + 1 :]])
            else:
                yield Break(
                    f".{name}",
                    "nil in its place",
                    "5.1-7",
                    "NilForSomething",
                    [*whole[:place], None, *whole[place + 1 :]],
                )


def _from(form: Fields) -> int:
    return 0 if form.number is None else 1


def _is(form: Form, value: Plain) -> bool:
    """Return whether a broken value of one option is right for another: so far, only by its type and length."""
    match form:
        case Bin(sizes):
            return type(value) is bytes and len(value) in sizes
        case Uint(least, most):
            return type(value) is int and least <= value <= most
        case _:
            return False


def greatest_lists(form: Form) -> Iterator[tuple[str, Plain]]:
    """Yield a form's value with each of its own lists as long as it may be, where that is not long."""
    if isinstance(form, Fields):
        whole = cast("list[Plain]", smallest(form))
        for place, (name, field) in enumerate(form.fields, _from(form)):
            if isinstance(field, Items) and 8 < field.most <= 64:
                many: list[Plain] = [smallest(field.of)] * field.most
                yield name, [*whole[:place], many, *whole[place + 1 :]]
            elif isinstance(field, Fields):
                for path, inner in greatest_lists(field):
                    yield f"{name}.{path}", [*whole[:place], inner, *whole[place + 1 :]]
