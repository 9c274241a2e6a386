"""Msgpack written by hand, apart from the core's encoder, so that vectors do not repeat its mistakes.

:func:`canonical` is the one form that SPEC §5.1-1 allows; the other functions write what it forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that stand in a message as they are."""

    data: bytes


Plain: TypeAlias = "int | bool | str | bytes | Raw | Sequence[Plain] | None"

_UINT = {1: 0xCC, 2: 0xCD, 4: 0xCE, 8: 0xCF}
_INT = {1: 0xD0, 2: 0xD1, 4: 0xD2, 8: 0xD3}
_BIN = {1: 0xC4, 2: 0xC5, 4: 0xC6}
_STR = {1: 0xD9, 2: 0xDA, 4: 0xDB}
_ARRAY = {2: 0xDC, 4: 0xDD}


def head(codes: dict[int, int], value: int, width: int) -> bytes:
    """Return a first byte and a number of ``width`` bytes."""
    return bytes([codes[width]]) + value.to_bytes(width, "big")


def _shortest(codes: dict[int, int], value: int) -> bytes:
    return head(codes, value, min(width for width in codes if value < 1 << 8 * width))


def long_uint(value: int, width: int) -> Raw:
    """Return an integer in the form of 1, 2, 4 or 8 bytes, shortest or not."""
    return Raw(head(_UINT, value, width))


def signed_int(value: int, width: int) -> Raw:
    """Return an integer in one of msgpack's signed forms."""
    return Raw(head(_INT, value % (1 << 8 * width), width))


def long_bin(value: bytes, width: int) -> Raw:
    """Return a byte string whose length takes 1, 2 or 4 bytes."""
    return Raw(head(_BIN, len(value), width) + value)


def long_str(value: bytes, width: int) -> Raw:
    """Return text whose length takes 1, 2 or 4 bytes. It need not be UTF-8."""
    return Raw(head(_STR, len(value), width) + value)


def long_array(items: Sequence[Plain], width: int) -> Raw:
    """Return an array whose length takes 2 or 4 bytes."""
    return Raw(head(_ARRAY, len(items), width) + b"".join(map(canonical, items)))


def text(value: bytes) -> Raw:
    """Return text in its shortest form, of bytes that need not be UTF-8."""
    return Raw(bytes([0xA0 | len(value)]) + value) if len(value) < 32 else Raw(_shortest(_STR, len(value)) + value)


def canonical(value: Plain) -> bytes:
    """Return the shortest form of a value (SPEC §5.1-1); a negative integer, which no message has, too."""
    match value:
        case Raw(data):
            return data
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            if value < 0:
                return (value % 256).to_bytes(1, "big") if value >= -32 else signed_int(value, 8).data
            return bytes([value]) if value < 128 else _shortest(_UINT, value)
        case bytes():
            return _shortest(_BIN, len(value)) + value
        case str():
            return text(value.encode()).data
        case _:
            first = bytes([0x90 | len(value)]) if len(value) < 16 else _shortest(_ARRAY, len(value))
            return first + b"".join(map(canonical, value))
