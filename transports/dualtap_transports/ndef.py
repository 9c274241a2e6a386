"""NDEF messages, without I/O (NFC Forum, NDEF 1.0): what tags and handovers are written in.

Short records only, as everything that we say fits into them; one way to write each message, and no other is read.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from dualtap.errors import Code, TapError

MESSAGE = 512
"""Bytes of the longest message that is read: a handover takes about a hundred."""
_SHORT = 255
"""Bytes of the longest payload, type or id of a short record."""


class Naming(IntEnum):
    """How a record's type is to be understood."""

    WELL_KNOWN = 1
    MEDIA = 2
    EXTERNAL = 4


class _Flag(IntFlag):
    BEGIN = 0x80
    END = 0x40
    CHUNK = 0x20
    SHORT = 0x10
    ID = 0x08
    NAMING = 0x07


@dataclass(frozen=True, slots=True)
class Record:
    """One record: what it is, what it is called within its message, and what it says."""

    naming: Naming
    type: bytes
    payload: bytes
    id: bytes = b""


def encode(records: tuple[Record, ...]) -> bytes:
    """Return the message of these records, of at most 255 bytes each. Raises :class:`ValueError` for longer ones."""
    said = bytearray()
    for i, record in enumerate(records):
        if max(len(record.type), len(record.payload), len(record.id)) > _SHORT:
            raise ValueError("a record that is not short")
        flags = _Flag.SHORT | record.naming
        flags |= _Flag.BEGIN if i == 0 else 0
        flags |= _Flag.END if i == len(records) - 1 else 0
        flags |= _Flag.ID if record.id else 0
        said += bytes([flags, len(record.type), len(record.payload)])
        said += bytes([len(record.id)]) if record.id else b""
        said += record.type + record.id + record.payload
    return bytes(said)


def decode(message: bytes) -> tuple[Record, ...]:
    """Return the records of a message. Raises ``MALFORMED`` for whatever :func:`encode` does not write."""
    if len(message) > MESSAGE:
        raise TapError(Code.MALFORMED, f"an NDEF message of {len(message)} bytes, more than {MESSAGE}")
    records: list[Record] = []
    rest = message
    while rest:
        record, rest = _record(rest)
        records.append(record)
    if not records or encode(tuple(records)) != message:
        raise TapError(Code.MALFORMED, "an NDEF message that is not in the one form")
    return tuple(records)


def _record(rest: bytes) -> tuple[Record, bytes]:
    head = 4 if rest[0] & _Flag.ID else 3
    if len(rest) < head:
        raise TapError(Code.MALFORMED, "an NDEF record that is cut off")
    try:
        naming = Naming(rest[0] & _Flag.NAMING)
    except ValueError:
        raise TapError(Code.MALFORMED, "an NDEF record of a kind that no handover has") from None
    ends = [head]
    for size in (rest[1], rest[3] if head == 4 else 0, rest[2]):
        ends.append(ends[-1] + size)
    if len(rest) < ends[-1]:
        raise TapError(Code.MALFORMED, "an NDEF record that is cut off")
    kind, name, payload = (rest[start:end] for start, end in itertools.pairwise(ends))
    return Record(naming, kind, payload, name), rest[ends[-1] :]
