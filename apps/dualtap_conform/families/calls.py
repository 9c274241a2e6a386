"""``calls.jsonl``: Calls (SPEC §25) that a device begins for, and those that it refuses in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from dualtap.errors import Code
from dualtap.suite import SUITES
from dualtap.wire import Want
from dualtap_conform.handmade import Plain, canonical, long_array, long_bin, long_uint
from dualtap_conform.setup import Json, Object
from dualtap_conform.vector import Vector, error

CALL = 32
ASKED = (Want.COLLECT, Want.PAY, Want.SYNC, Want.OWN)
ALL = Want.COLLECT | Want.PAY | Want.SYNC | Want.OWN
BASKET = bytes(range(16))
CHARGE: list[Plain] = [1250, "CNY", BASKET, 0]
INTRODUCTION: list[Plain] = [bytes(range(64)), bytes(range(100, 116))]
MOST = 2**53 - 1


def _case(
    clauses: tuple[str, ...], flag: str, comment: str, frame: Plain, gives: Object | Code, allowed: Want = ALL
) -> Vector:
    given: Object = {"bytes": canonical(frame).hex(), "allowed": int(allowed)}
    return Vector("call", "p256", clauses, (flag,), comment, given, error(gives) if isinstance(gives, Code) else gives)


def _asks(want: Want, charge: list[Plain] | None = None, introduction: list[Plain] | None = None) -> Object:
    """Return the answer to a good Call."""
    charged: Json = None
    if charge is not None:
        amount, currency, basket, part = charge
        assert isinstance(amount, int)
        assert isinstance(currency, str)
        assert isinstance(basket, bytes)
        assert isinstance(part, int)
        charged = {"amount": amount, "currency": currency, "basket": basket.hex(), "part": part}
    introduced: Json = None
    if introduction is not None:
        said, ident = introduction
        assert isinstance(said, bytes)
        assert isinstance(ident, bytes)
        introduced = {"said": said.hex(), "ident": ident.hex()}
    return {"want": int(want), "charge": charged, "introduction": introduced}


def _right() -> Iterator[Vector]:
    for want, introduction in product(ASKED, (None, INTRODUCTION)):
        if want == Want.SYNC and introduction:
            continue
        charge = CHARGE if want == Want.COLLECT else None
        name = want.name or ""
        beside = ", with the handover of who answers" if introduction else ""
        clauses = ("25-2", "25-5") if introduction else ("25-2",)
        frame = [CALL, int(want), charge, introduction]
        yield _case(clauses, "Call", f"A Call to {name}{beside}.", frame, _asks(want, charge, introduction))
        yield _case(("25-2",), "Call", f"A Call to {name}{beside}, of a device that does nothing else.", frame,
                    _asks(want, charge, introduction), want)  # fmt: skip
    bounds: tuple[list[Plain], ...] = ([1, "AAA", bytes(16), 0], [MOST, "ZZZ", b"\xff" * 16, 255])
    for charge in bounds:
        yield _case(("25-2",), "Call", "A charge at a bound of every field.", [CALL, 1, charge, None],
                    _asks(Want.COLLECT, charge))  # fmt: skip


def _unwilling() -> Iterator[Vector]:
    for want in ASKED:
        frame = [CALL, int(want), CHARGE if want == Want.COLLECT else None, None]
        comment = f"A Call to {want.name} of a device that does everything else."
        yield _case(("25-2",), "CallWant", comment, frame, Code.WRONG_ROLE, ALL & ~want)
    for number in range(32):
        if number in ASKED:
            continue
        frame = [CALL, number, CHARGE if number & Want.COLLECT else None, None]
        yield _case(("25-2",), "CallWant", f"A Call for {number}: not one thing that a device begins.", frame,
                    Code.WRONG_ROLE)  # fmt: skip


def _misshapen() -> Iterator[Vector]:
    """Yield Calls whose parts do not go together."""
    for want in (Want.PAY, Want.SYNC, Want.OWN):
        yield _case(("25-2",), "CallParts", f"A charge in a Call to {want.name}.", [CALL, int(want), CHARGE, None],
                    Code.MALFORMED)  # fmt: skip
    yield _case(("25-2",), "CallParts", "A Call to COLLECT that does not say what.", [CALL, 1, None, None],
                Code.MALFORMED)  # fmt: skip
    yield _case(("25-2",), "CallParts", "An introduction in a Call to SYNC.", [CALL, 4, None, INTRODUCTION],
                Code.MALFORMED)  # fmt: skip


def _malformed() -> Iterator[Vector]:
    """Yield frames that are no Call, or not its one form."""
    charges: tuple[tuple[str, str, Plain], ...] = (
        ("ZeroAmount", "An amount of zero", [0, *CHARGE[1:]]),
        ("OutOfRange", "An amount above the greatest", [MOST + 1, *CHARGE[1:]]),
        ("WrongType", "A currency in small letters", [1250, "cny", *CHARGE[2:]]),
        ("WrongSize", "A basket of 15 bytes", [1250, "CNY", BASKET[1:], 0]),
        ("OutOfRange", "A part above 255", [1250, "CNY", BASKET, 256]),
        ("MissingItem", "A charge without a part", CHARGE[:3]),
        ("FurtherItem", "A charge with one item more", [*CHARGE, 0]),
    )
    for flag, comment, charge in charges:
        yield _case(("25-2", "5.1-7"), flag, f"{comment}.", [CALL, 1, charge, None], Code.MALFORMED)
    introductions: tuple[tuple[str, str, Plain], ...] = (
        ("WrongSize", "What was said in 63 bytes", [bytes(63), bytes(16)]),
        ("WrongSize", "An ident of 17 bytes", [bytes(64), bytes(17)]),
        ("MissingItem", "An introduction without an ident", [bytes(64)]),
        ("FurtherItem", "An introduction with one item more", [*INTRODUCTION, 0]),
    )
    for flag, comment, introduction in introductions:
        frame = [CALL, 2, None, introduction]
        yield _case(("25-5", "5.1-7"), flag, f"{comment}.", frame, Code.MALFORMED)
    good: list[Plain] = [CALL, 2, None, None]
    yield _case(("25-1", "5.1-6"), "MissingItem", "A Call without its last item.", good[:3], Code.MALFORMED)
    yield _case(("25-1", "5.1-6"), "FurtherItem", "A Call with one item more.", [*good, None], Code.MALFORMED)
    yield _case(("25-2", "4.3-8"), "UnknownValue", "A bit of `want` that nobody knows.", [CALL, 128, None, None],
                Code.MALFORMED)  # fmt: skip
    forms: tuple[tuple[str, Plain], ...] = (
        ("Its number in two bytes", [long_uint(CALL, 1), 2, None, None]),
        ("Its array in the long form", long_array(good, 2)),
        ("A basket with a length of two bytes", [CALL, 1, [1250, "CNY", long_bin(BASKET, 2), 0], None]),
    )
    for comment, form in forms:
        yield _case(("25-1", "5.1-4"), "LongForm", f"{comment}.", form, Code.NOT_CANONICAL)


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    found = [*_right(), *_unwilling(), *_misshapen(), *_malformed()]
    for suite in SUITES:
        yield from (replace(vector, suite=suite) for vector in found)
