"""Counts what long data claims to hold, before anything is allocated for it (SPEC §5.1-9).

An element of one byte takes up to 72 in memory, and uploads are decoded before a signature can be checked. So long data
is walked once: no object is made, and what its arrays claim in all is held against its length.
"""

from __future__ import annotations

from typing import Final

from dualtap.errors import Code, TapError

BYTES_EACH: Final = 4
"""Bytes that an element of long data takes at least, on average: what honest devices say takes eight and more."""

_BIN8, _ARRAY16, _ARRAY32 = 0xC4, 0xDC, 0xDD
_LENGTHS: Final = {
    0xC5: (2, 0), 0xC6: (4, 0), 0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
}  # fmt: skip
"""Forms with a length, big-endian: its bytes, and how many bytes beside come before the content."""


def _step(first: int) -> int:
    """Return the bytes of what begins with this one, if that alone tells and it is no array; else 0."""
    fixed = {0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}
    if first in fixed:
        return fixed[first]
    if 0xD4 <= first <= 0xD8:
        return 2 + (1 << (first - 0xD4))
    if 0xA0 <= first <= 0xBF:
        return 1 + (first & 0x1F)
    return 0 if 0x90 <= first <= 0x9F or first in _LENGTHS or first in (_BIN8, _ARRAY16, _ARRAY32) else 1


_STEPS: Final = tuple([_step(first) for first in range(256)])


def check_elements(data: bytes) -> None:
    """Raise ``MALFORMED`` if the arrays in ``data`` claim more elements than one for each ``BYTES_EACH`` bytes.

    It judges nothing else: what is no msgpack, or cut short, is the decoder's to refuse.
    """
    place, end, left, due = 0, len(data), len(data) // BYTES_EACH, 1
    while due and place < end:  # what follows the last element due is trailing
        due -= 1
        first = data[place]
        step = _STEPS[first]
        if step:
            place += step
        elif first == _BIN8:
            place += 2 + int.from_bytes(data[place + 1 : place + 2], "big")
        elif first in _LENGTHS:
            width, beside = _LENGTHS[first]
            place += 1 + width + beside + int.from_bytes(data[place + 1 : place + 1 + width], "big")
        else:
            width = 0 if first < _ARRAY16 else 2 if first == _ARRAY16 else 4
            count = int.from_bytes(data[place + 1 : place + 1 + width], "big") if width else first & 0x0F
            left, due = left - count, due + count
            if left < 0:
                raise TapError(Code.MALFORMED, f"more than an element for each {BYTES_EACH} bytes")
            place += 1 + width
