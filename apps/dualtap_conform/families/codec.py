"""``codec.jsonl``: every message and whole form at its bounds and across them, and msgpack in every wrong way."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.errors import Code
from dualtap_conform import forms
from dualtap_conform.breaks import Breaker, greatest_lists
from dualtap_conform.families import msgpack
from dualtap_conform.grammar import Fields, greatest, smallest
from dualtap_conform.handmade import Plain, canonical
from dualtap_conform.setup import Object
from dualtap_conform.vector import Vector, error

MOST = 16_384
_SHOWN = ("Hello", "Welcome")


def case(
    name: str,
    data: bytes,
    clauses: tuple[str, ...],
    flags: tuple[str, ...],
    comment: str,
    wrong: Code | None = None,
    *,
    kind: str = "",
    most: int = MOST,
    suite: str = "p256",
) -> Vector:
    """Return one question: ``name`` is what is asked for, ``kind`` what it is if that is a message."""
    gives: Object = {"type": kind or name} if wrong is None else error(wrong)
    return Vector("decode", suite, clauses, flags, comment, {"as": name, "most": most, "bytes": data.hex()}, gives)


def asked(form: Fields) -> str:
    """Return what to ask for, to have a form decoded."""
    return form.name if form.number is None or form.name in _SHOWN else "Message"


def _section(form: Fields) -> str:
    """Return the clause that holds the form's table."""
    if form.number is not None:
        return "5.2-1"
    if form in forms.SYNCS:
        return "14-5"
    return "4.3-1" if form in forms.ISSUED else "5.5-1"


def _right(form: Fields, what: str) -> Iterator[Vector]:
    section = _section(form)
    low, high = canonical(smallest(form)), canonical(greatest(form))
    yield case(asked(form), low, (section,), ("LowerBound",), f"{what} with every field at its least", kind=form.name)
    if high != low:
        comment = f"{what} with every field at its greatest"
        yield case(asked(form), high, (section,), ("UpperBound",), comment, kind=form.name)
    for path, value in greatest_lists(form):
        comment = f"{what} whose {path} has as many items as it may have"
        yield case(asked(form), canonical(value), ("5.1-7",), ("ListLength",), comment, kind=form.name)


def _kinds() -> Iterator[tuple[str, Fields]]:
    """Yield every form that is asked for, with its name in comments."""
    for form in (forms.HELLO, forms.WELCOME, *forms.MESSAGES, *forms.ISSUED):
        yield form.name, form
    for form in forms.STATEMENTS:
        body = form.fields[2][1]
        yield f"Statement with a {body.name if isinstance(body, Fields) else ''}", form
    for form in (forms.WARRANT, forms.DEAD, *forms.SYNCS):
        yield form.name, form


def _wrong() -> Iterator[Vector]:
    """Yield each form with one thing wrong; what is part of several is broken once."""
    breaker = Breaker((*forms.ISSUED, *forms.STATEMENTS, forms.WARRANT, forms.DEAD, forms.NEWS))
    for what, form in (*_kinds(), (forms.NEWS.name, _REPLY_NEWS)):
        only = ".body" if form in forms.STATEMENTS[:-1] else ""
        for found in breaker.breaks(form):
            if not found.where.startswith(only):
                continue  # what all statements have is broken in the last
            data, comment = canonical(found.value), f"{what}{found.where}: {found.what}"
            yield case(asked(form), data, (found.clause,), (found.flag,), comment, Code.MALFORMED)


_REPLY_NEWS = Fields("Reply", (("news", Fields("News ", forms.NEWS.fields)), *forms.REPLY.fields[1:]))
"""A Reply whose News is not one that is broken elsewhere."""


def _statements() -> Iterator[Vector]:
    """Yield statements whose kind does not go with the rest."""
    present, close = forms.STATEMENTS[1], forms.STATEMENTS[-1]
    whole = dict(zip(("kind", "key", "body", "shown", "signature"), _list(smallest(present)), strict=True))
    for kind in (0, 1, 6, 7, 15, 24, 31, 35, 255):
        clause = "4.1-3" if kind in (1, 6) else "4.3-8"
        data = canonical([*{**whole, "kind": kind}.values()])
        comment = f"a Statement of kind {kind}, which is no wallet's"
        yield case("Statement", data, (clause, "5.5-1"), ("UnknownValue",), comment, Code.MALFORMED)
    for kind, other in ((16, "REQUEST"), (18, "SYNC"), (19, "SUCCESSOR"), (20, "GRANT"), (32, "TRANSFER")):
        data = canonical([*{**whole, "kind": kind}.values()])
        comment = f"a PresentBody in a Statement of kind {other}"
        yield case("Statement", data, ("4.1-4", "5.5-1"), ("BodyOfAnotherKind",), comment, Code.MALFORMED)
    for shown, what in ((bytes(31) + b"\1", "a commitment"), (_list(greatest(close))[3], "an Opening")):
        data = canonical([*{**whole, "shown": shown}.values()])
        comment = f"a Present with {what}: off the tape, nothing is committed to"
        yield case("Statement", data, ("5.5-1", "4.1-2"), ("OffTapeCommitment",), comment, Code.MALFORMED)
    opening = smallest(forms.REQUEST_OPENING)
    for place, name in ((0, "Request"), (1, "Present"), (8, "Transfer")):
        data = canonical([opening, smallest(forms.STATEMENTS[place])])
        comment = f"a Warrant whose outcome is a {name}"
        yield case("Warrant", data, ("5.5-1",), ("WrongOutcome",), comment, Code.MALFORMED)


def _outcomes() -> Iterator[Vector]:
    """Yield outcomes that say what the other kind says: the statement would be the same, and the bytes not."""
    names = [name for name, _ in forms.OUTCOME_MESSAGE.fields]
    whole = dict(zip(names, _list(smallest(forms.OUTCOME_MESSAGE))[1:], strict=True))
    for kind, field, value, comment in (
        (33, "reason", 1, "a Receipt with a reason"),
        (34, "transfer", bytes(32), "a Close with a transfer"),
    ):
        data = canonical([6, *{**whole, "kind": kind, "transfer": b"", "reason": 0, field: value}.values()])
        yield case("Message", data, ("5.2-6",), ("SecondForm",), comment, Code.MALFORMED)
    for kind, field, value, comment in (
        (33, "transfer", bytes(32), "a Receipt with a transfer"),
        (34, "reason", 81, "a Close with a reason"),
    ):
        data = canonical([6, *{**whole, "kind": kind, "transfer": b"", "reason": 0, field: value}.values()])
        yield case("Message", data, ("5.2-6",), ("Basic",), comment, kind="OutcomeMessage")


def _list(value: Plain) -> list[Plain]:
    assert isinstance(value, list)
    return value


def _sizes() -> Iterator[Vector]:
    """Yield messages as long as they may be, and one byte longer."""
    short = canonical(smallest(forms.WELCOME))
    for most in (128, 1024, 8192):
        room = most - len(short)
        for extra, wrong in ((0, None), (1, Code.TOO_LARGE)):
            sealed = bytes(room + extra - (room >= 256))
            data = canonical([*_list(smallest(forms.WELCOME))[:-1], sealed])
            assert len(data) == most + extra
            comment = f"a Welcome of {len(data)} bytes where {most} are taken"
            yield case("Welcome", data, ("5.1-2", "5.2-3"), ("TooLarge",), comment, wrong, most=most)
    refuse = canonical([8, 2**32 - 1])
    for most, wrong in ((7, None), (6, Code.TOO_LARGE)):
        comment = f"a Refuse of 7 bytes where {most} are taken"
        yield case("Message", refuse, ("5.1-2",), ("TooLarge",), comment, wrong, kind="RefuseMessage", most=most)
    data = canonical([1, b"hint", [1], bytes(33), 1, bytes(80)])
    assert len(data) == 128
    comment = "a Hello of 128 bytes, with an item too many"
    yield case("Hello", data, ("5.2-3", "5.1-6"), ("TooLarge",), comment, Code.MALFORMED, most=128)
    comment = "a Hello of 129 bytes: too long, whatever it holds"
    yield case("Hello", data + b"\0", ("5.2-3",), ("TooLarge",), comment, Code.TOO_LARGE, most=128)
    comment = "a Hello of 129 bytes that is not even msgpack"
    yield case("Hello", b"\xc1" * 129, ("5.2-3",), ("TooLarge",), comment, Code.TOO_LARGE, most=128)


def _other_suite() -> Iterator[Vector]:
    """Yield forms with keys of 32 bytes, as suite 2 has them, for a device of that suite."""
    key = b"\x99" * 32
    for form, place in (
        (forms.HELLO, 3), (forms.WELCOME, 2), (forms.AUTHORITY_CERTIFICATE, 0), (forms.WALLET_CERTIFICATE, 0),
        (forms.TOKEN, 3),
    ):  # fmt: skip
        for size, wrong in ((32, None), (33, None), (31, Code.MALFORMED), (34, Code.MALFORMED)):
            whole = _list(smallest(form))
            data = canonical([*whole[:place], key[:1] * size, *whole[place + 1 :]])
            flag = "WrongSize" if wrong else "KeyLength"
            comment = f"a {form.name} with a key of {size} bytes"
            yield case(asked(form), data, ("5.1-8", "5.1-7"), (flag,), comment, wrong, kind=form.name, suite="ed25519")


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file, none twice."""
    seen: set[tuple[object, ...]] = set()
    for _, form in _kinds():
        yield from _right(form, form.name)
    for found in (*_wrong(), *_statements(), *_outcomes(), *_sizes(), *_other_suite(), *msgpack.vectors()):
        question = (found.suite, *found.given.values())
        if question not in seen:
            seen.add(question)
            yield found
