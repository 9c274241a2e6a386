"""Canonical msgpack, and checks of what is in it (SPEC §5.1).

Arrays, never maps; shortest integers; no floats, extensions or trailing bytes. Bytes are decoded only if encoding the
value again gives the same, and their size, depth and lengths are bounded before anything is allocated for them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, IntFlag
from operator import call
from typing import TypeAlias, TypeVar, cast

import msgpack

from dualtap import limits
from dualtap.elements import check_elements
from dualtap.errors import Code, TapError
from dualtap.suite import DIGEST, SIGNATURE

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum | IntFlag)
Check: TypeAlias = Callable[[object], T]
"""Turns a decoded msgpack object into a typed value, or raises ``MALFORMED``."""

# msgpack brings no types; of all that it has, these two are used.
_packb = cast("Callable[[object], bytes]", msgpack.packb)  # pyright: ignore[reportUnknownMemberType]
_unpackb = cast("Callable[..., object]", msgpack.unpackb)  # pyright: ignore[reportUnknownMemberType]


def pack(value: object) -> bytes:
    """Return the canonical msgpack of nested tuples, integers, booleans, strings and bytes."""
    return _packb(value)


def unpack(data: bytes, limit: int = limits.MESSAGE, items: int = limits.STATEMENTS) -> object:
    """Return the object in ``data``; raise ``TOO_LARGE``, ``MALFORMED`` or ``NOT_CANONICAL``.

    ``limit`` is in bytes; ``items`` is the longest array. SPEC §5.1-2 to §5.1-5, §5.1-9.
    """
    value = parse(data, limit, items)
    if pack(value) != data:
        if _is_foreign(value):
            raise malformed("not of the types of this protocol")
        raise TapError(Code.NOT_CANONICAL)
    return value


def parse(data: bytes, limit: int = limits.MESSAGE, items: int = limits.STATEMENTS) -> object:
    """Return the object in ``data``, canonical or not: for what this device packed itself.

    Raises ``TOO_LARGE`` or ``MALFORMED``.
    """
    if len(data) > limit:
        raise TapError(Code.TOO_LARGE, f"{len(data)} bytes, at most {limit}")
    if len(data) > limits.MESSAGE:
        check_elements(data)
    try:
        return _unpackb(data, max_array_len=items, max_map_len=0, max_ext_len=0, max_str_len=32)
    except ValueError as error:
        raise TapError(Code.MALFORMED, "not msgpack") from error


def _is_foreign(value: object) -> bool:
    """Return whether this holds what no message may have, in whatever form: a float, map, extension or negative."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, list):
            rest.extend(cast("list[object]", item))
        elif isinstance(item, float | dict | msgpack.ExtType) or (isinstance(item, int) and item < 0):
            return True
    return False


def malformed(what: str) -> TapError:
    """Return the error that says what is wrong with a value."""
    return TapError(Code.MALFORMED, what)


def uint(most: int, least: int = 0) -> Check[int]:
    """Return the check for an integer in ``[least, most]``."""

    def check(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise malformed(f"not an integer in [{least}, {most}]")
        return value

    return check


def blob(*sizes: int) -> Check[bytes]:
    """Return the check for bytes of one of these sizes."""

    def check(value: object) -> bytes:
        if type(value) is not bytes or len(value) not in sizes:
            raise malformed(f"not {' or '.join(map(str, sizes))} bytes")
        return value

    return check


def any_blob(value: object) -> bytes:
    """Check bytes of any size that the message can hold."""
    if type(value) is not bytes:
        raise malformed("not bytes")
    return value


def boolean(value: object) -> bool:
    """Check a boolean."""
    if type(value) is not bool:
        raise malformed("not a boolean")
    return value


def enumeration(kind: type[E]) -> Check[E]:
    """Return the check for a value of an enumeration, or any union of a flag's."""
    members: dict[int, IntEnum | IntFlag] = {int(member): member for member in kind}
    if issubclass(kind, IntFlag):
        members = {value: kind(value) for value in range(2 * max(members))}

    def check(value: object) -> IntEnum | IntFlag:
        found = members.get(value) if type(value) is int else None
        if found is None:
            raise malformed("not a value of an enumeration")
        return found

    return cast("Check[E]", check)


def currency(value: object) -> str:
    """Check an ISO 4217 code."""
    if type(value) is not str or len(value) != 3 or not (value.isascii() and value.isalpha() and value.isupper()):
        raise malformed("not an ISO 4217 code")
    return value


def text(value: object) -> str:
    """Check text; the decoder bounds its length."""
    if type(value) is not str:
        raise malformed("not text")
    return value


def list_of(of: Check[T], most: int = limits.STATEMENTS, least: int = 0) -> Check[tuple[T, ...]]:
    """Return the check for an array of items."""

    def check(value: object) -> tuple[T, ...]:
        if type(value) is not list:
            raise malformed("not an array")
        items = cast("list[object]", value)
        if not least <= len(items) <= most:
            raise malformed(f"not {least} to {most} items")
        return tuple(map(of, items))

    return check


_apply = cast("Callable[[Check[object], object], object]", call)


def record(make: Callable[..., T], *fields: Check[object]) -> Check[T]:
    """Return the check for a fixed array, from which ``make`` builds the value."""
    count = len(fields)

    def check(value: object) -> T:
        if type(value) is not list:
            raise malformed("not an array")
        items = cast("list[object]", value)
        if len(items) != count:
            raise malformed(f"not {count} items")
        return make(*map(_apply, fields, items))

    return check


def maybe(of: Check[T]) -> Check[T | None]:
    """Return the check for nil or something."""
    return lambda value: None if value is None else of(value)


money = uint(limits.AMOUNT)
number = uint(2**32 - 1)
counter = uint(2**63 - 1)
epoch = uint(2**24)
public_key = blob(32, 33)
digest = blob(DIGEST)
digest_or_none = blob(0, DIGEST)
signature = blob(SIGNATURE)
signature_or_none = blob(0, SIGNATURE)
seed = blob(16)
hint = blob(4)
basket = blob(16)
details = blob(0, limits.DETAILS)


def numbered(data: bytes, limit: int) -> tuple[int, list[object]]:
    """Return a message's number and fields; raise as :func:`unpack`."""
    value = unpack(data, limit)
    if type(value) is not list or not value:
        raise malformed("not a message")
    items = cast("list[object]", value)
    number = items[0]
    if type(number) is not int or number < 0:
        raise malformed("not a message")
    return number, items[1:]
