"""An append-only log of records in two halves of a :class:`Flash`, of which a power cut loses nothing
acknowledged.

**Layout.** Each half holds *entries* that start at a sector. An entry carries generation (u64), sequence
(u64), length (u32) and the SHA-256 of these and of its payload; the payload is a batch of records. Every
sector starts with a tag that tells the first sector of an entry from the rest, so that no payload, whoever
chose it, looks like an entry. Entry 0 of a half holds the whole log as it was when this generation began; a
half is *live* while it is valid.

**Moving** the log into the other half (to compact, on opening, after a failed sync):

1. write entry 0 of the next generation into the other half, which is retired; sync;
2. overwrite the head of the old half with a *retired* mark that names the new generation; sync; then
   acknowledge.

A visible mark thus proves, durable or not, that the half it points to is durable. Two live halves mean that a
move was not acknowledged, and that the older half is whole and durable.

**Opening** always moves what it read: reading back proves nothing, because after a failed sync the page cache
shows what the medium lacks. For the same reason it first retires the half it is about to overwrite, and syncs
that: otherwise a half that only the page cache shows as retired could come back live, with its tail
overwritten.

**Damage.** A torn append can only be the last entry. An invalid entry with a valid one of its generation
behind it, or a mark whose live half is missing, is damage to what was acknowledged, and refused. Damage to
the very last entry cannot be told from a torn append here: the keystore's own record of the last statement
tells it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dualtap.errors import Code, TapError
from dualtap_devices.flash import SECTOR, Flash

ALIGN = SECTOR
"""Bytes: entries start at multiples of it, so that tearing one never damages its acknowledged neighbour."""
_FIRST, _MORE, _RETIRED = b"E", b"+", b"R"
_ROOM = ALIGN - 1
_HEADER = struct.Struct(">QQI32s")
_NUMBERS = struct.Struct(">QQI")
_MARK = struct.Struct(">Q32s")
_LENGTH = struct.Struct(">I")


class Store(Protocol):
    """A durable, append-only list of records, bounded in bytes."""

    @property
    def records(self) -> tuple[bytes, ...]:
        """All records, oldest first."""
        ...

    @property
    def free(self) -> int:
        """Bytes left, in the unit of :meth:`cost`; reopening or a failed sync never makes it less."""
        ...

    def cost(self, records: Sequence[bytes]) -> int:
        """Return the bytes of :attr:`free` that appending these together takes."""
        ...

    def append(self, records: Sequence[bytes]) -> None:
        """Add records at the end, all or none; they are durable on return.

        Raises :class:`TapError`: ``STORE_FULL`` if there is no room (nothing changed), or ``STORE_FAILED``
        (whether they were added shows on reopening, and until then everything is refused).
        """
        ...

    def compact(self, records: Sequence[bytes]) -> None:
        """Replace all records by these, or change nothing; durable on return. Raises as :meth:`append`."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    generation: int
    sequence: int
    records: list[bytes]
    end: int


@dataclass(frozen=True, slots=True)
class _Log:
    """A live half: ``entries`` counts entry 0, ``end`` is the offset in the half of the next one."""

    generation: int
    records: list[bytes]
    entries: int
    end: int


def _size(records: Sequence[bytes]) -> int:
    length = _HEADER.size + _LENGTH.size * len(records) + sum(map(len, records))
    return -(-length // _ROOM) * ALIGN


def _digest(generation: int, sequence: int, payload: bytes) -> bytes:
    numbers = _NUMBERS.pack(generation, sequence, len(payload))
    return hashlib.sha256(b"dualtap entry 1" + numbers + payload).digest()


def _entry(generation: int, sequence: int, records: Sequence[bytes]) -> bytes:
    payload = b"".join(_LENGTH.pack(len(record)) + record for record in records)
    stream = _HEADER.pack(generation, sequence, len(payload), _digest(generation, sequence, payload)) + payload
    sectors = (stream[at : at + _ROOM] for at in range(0, len(stream), _ROOM))
    return (_FIRST + _MORE.join(sectors)).ljust(_size(records), b"\0")


def _mark(generation: int) -> bytes:
    """Return the head sector of a half that was retired in favour of this generation in the other half."""
    digest = hashlib.sha256(b"dualtap retired 1" + generation.to_bytes(8, "big")).digest()
    return (_RETIRED + _MARK.pack(generation, digest)).ljust(ALIGN, b"\0")


def _marked(half: bytes) -> int | None:
    """Return the generation that this half was retired for, or ``None`` if it is not retired."""
    generation = int.from_bytes(half[1:9], "big")
    return generation if half[:ALIGN] == _mark(generation) else None


def _split(payload: bytes) -> list[bytes]:
    """Return a payload's records; raise ``STORE_FAILED`` for one that was digested, but not by a store."""
    records: list[bytes] = []
    at = 0
    while at < len(payload):
        start = at + _LENGTH.size
        at = start + int.from_bytes(payload[at:start], "big")
        if at > len(payload) or start > len(payload):
            raise TapError(Code.STORE_FAILED, "an entry that no store wrote")
        records.append(payload[start:at])
    return records


def _parse(half: bytes, at: int, generation: int | None = None) -> _Entry | None:
    """Return the entry at this offset, or ``None`` if there is no valid one (of this generation)."""
    if half[at : at + 1] != _FIRST:
        return None
    found, sequence, length, digest = _HEADER.unpack_from(half, at + 1)
    count = -(-(_HEADER.size + length) // _ROOM)
    end = at + count * ALIGN
    if generation not in (None, found) or end > len(half):
        return None
    if half[at + ALIGN : end : ALIGN] != _MORE * (count - 1):
        return None
    stream = b"".join(half[sector + 1 : sector + ALIGN] for sector in range(at, end, ALIGN))
    payload = stream[_HEADER.size : _HEADER.size + length]
    if digest != _digest(found, sequence, payload):
        return None
    return _Entry(found, sequence, _split(payload), end)


def _replay(half: bytes) -> _Log | None:
    """Return the log of a half, or ``None`` if it is not live. Raises ``STORE_FAILED`` if its middle is
    damaged.
    """
    first = _parse(half, 0)
    if first is None or first.sequence != 0:
        return None
    records, entries, end = first.records, 1, first.end
    while (entry := _parse(half, end, first.generation)) is not None and entry.sequence == entries:
        records += entry.records
        entries, end = entries + 1, entry.end
    for at in range(end, len(half), ALIGN):
        # No entry is written behind one that was not acknowledged, so this is not a torn tail.
        if _parse(half, at, first.generation) is not None:
            raise TapError(Code.STORE_FAILED, f"an acknowledged entry before byte {at} is damaged")
    return _Log(first.generation, records, entries, end)


def _unformatted(halves: tuple[bytes, bytes]) -> bool:
    """Return whether the flash is blank, or was being formatted when the power failed.

    Strict, byte by byte: a damaged log must never be taken for one that was not begun. Where the second half's mark
    was begun, the first is durable, and a log as any other: it may be all there is, and is not written over. Without
    it, a first half that looks formatted may be in the page cache alone.
    """
    if halves[0][:ALIGN] == _entry(1, 0, ()) and any(halves[1]):
        return False
    for half, head in zip(halves, (_entry(1, 0, ()), _mark(1)), strict=True):
        if half[ALIGN:].count(0) != len(half) - ALIGN:
            return False
        if any(byte not in (0, fresh) for byte, fresh in zip(half[:ALIGN], head, strict=True)):
            return False
    return True


def _half(size: int) -> int:
    half = size // 2 // ALIGN * ALIGN
    if not 2 * ALIGN <= half < 1 << 32:
        raise TapError(Code.STORE_FAILED, f"a store cannot have {size} bytes")
    return half


class SlotStore:
    """A :class:`Store` on a :class:`Flash`; made by :meth:`open`. Memory: the records once.

    An append costs one write of the new bytes and one sync. If that fails, the log moves to the other half;
    if that fails as well, ``STORE_FAILED``, and everything is refused until the store is opened again. The
    same holds after any exception from the flash, whatever its type.
    """

    def __init__(self, flash: Flash, half: int, live: int, generation: int) -> None:
        self._flash = flash
        self._half = half
        self._live = live
        self._generation = generation
        self._records: list[bytes] = []
        self._entries = 0
        self._end = half
        self._ready = False

    @classmethod
    def open(cls, flash: Flash) -> SlotStore:
        """Return the store on this flash, all its records durable; a blank flash is formatted.

        Raises :class:`TapError` with ``STORE_FAILED`` if acknowledged records are damaged, if the flash
        fails, or if it is too small. Opening again may help in the second case only.
        """
        half = _half(flash.size)
        try:
            halves = (flash.read(0, half), flash.read(half, half))
        except OSError as error:
            raise TapError(Code.STORE_FAILED, "the store cannot be read") from error
        if _unformatted(halves):
            # Into half 0: nothing was stored yet, so nothing can be overwritten.
            store = cls(flash, half, live=1, generation=0)
            store._move([])
        else:
            live, generation, newest = _choose(halves)
            store = cls(flash, half, live, newest.generation)
            store._retire(1 - live, generation)
            store._move(newest.records)
        store._ready = True
        return store

    @property
    def records(self) -> tuple[bytes, ...]:
        """All records, as opened and as appended since, oldest first."""
        return tuple(self._records)

    @property
    def free(self) -> int:
        """Bytes left in the live half, in whole sectors."""
        return self._half - self._end

    def cost(self, records: Sequence[bytes]) -> int:
        """Return the bytes that appending these together takes, headers and padding included."""
        return _size(records) if records else 0

    def append(self, records: Sequence[bytes]) -> None:
        """Add records, all or none; durable on return. Raises ``STORE_FULL`` or ``STORE_FAILED``."""
        self._check(self.cost(records), self.free)
        if not records:
            return
        # Cleared until the end, so that no exception, of whatever type, leaves a half-written store in use.
        self._ready = False
        entry = _entry(self._generation, self._entries, records)
        try:
            self._flash.write(self._live * self._half + self._end, entry)
            self._flash.sync()
        except OSError:
            # Trying this sync again would prove nothing: it may succeed without writing anything.
            self._move([*self._records, *records])
        else:
            self._records += records
            self._entries += 1
            self._end += len(entry)
        self._ready = True

    def compact(self, records: Sequence[bytes]) -> None:
        """Replace all records, or change nothing; durable on return. Raises ``STORE_FULL`` or
        ``STORE_FAILED``.
        """
        self._check(_size(records), self._half)
        self._ready = False
        self._move(list(records))
        self._ready = True

    def _check(self, cost: int, room: int) -> None:
        if not self._ready:
            raise TapError(Code.STORE_FAILED, "the store failed before and must be opened again")
        if cost > room:
            raise TapError(Code.STORE_FULL, f"{cost} bytes needed, {room} left")

    def _move(self, records: list[bytes]) -> None:
        """Write the whole log into the other half, which is durably retired, then retire this one."""
        target = 1 - self._live
        generation = self._generation + 1
        entry = _entry(generation, 0, records)
        self._confirm(target * self._half, entry)
        self._retire(self._live, generation)
        self._live, self._generation = target, generation
        self._records, self._entries, self._end = records, 1, len(entry)

    def _retire(self, half: int, generation: int) -> None:
        self._confirm(half * self._half, _mark(generation))

    def _confirm(self, offset: int, data: bytes) -> None:
        try:
            self._flash.write(offset, data)
            self._flash.sync()
        except OSError as error:
            raise TapError(Code.STORE_FAILED, "a sync failed in the other half") from error


def _choose(halves: tuple[bytes, bytes]) -> tuple[int, int, _Log]:
    """Return the half that must not be overwritten, its generation, and the newest log, whichever half it is
    in.
    """
    logs = (_replay(halves[0]), _replay(halves[1]))
    if logs[0] is not None and logs[1] is not None:
        if logs[0].generation == logs[1].generation:
            raise TapError(Code.STORE_FAILED, "both halves claim one generation")
        newer = int(logs[1].generation > logs[0].generation)
        newest, older = (logs[1], logs[0]) if newer else (logs[0], logs[1])
        if newest.entries > 1:
            # It was acknowledged: the older half's mark was lost, by a device that syncs less than it says.
            return newer, newest.generation, newest
        return 1 - newer, older.generation, newest
    live = 0 if logs[0] is not None else 1
    log = logs[live]
    if log is None:
        raise TapError(Code.STORE_FAILED, "neither half is valid")
    if _marked(halves[1 - live]) not in (None, log.generation):
        raise TapError(Code.STORE_FAILED, "a half is older than the one that replaced it")
    return live, log.generation, log


class MemoryStore:
    """A :class:`Store` in a list, as large as a :class:`SlotStore` on ``size`` bytes; nothing is hashed or
    written.

    For benchmarks, and for devices that live only in a simulation.
    """

    def __init__(self, size: int) -> None:
        self._half = _half(size)
        self._records: list[bytes] = []
        self._end = ALIGN

    @classmethod
    def open(cls, size: int) -> MemoryStore:
        """Return an empty store. Raises ``STORE_FAILED`` if ``size`` is too small."""
        return cls(size)

    @property
    def records(self) -> tuple[bytes, ...]:
        """All records, oldest first."""
        return tuple(self._records)

    @property
    def free(self) -> int:
        """Bytes left, counted as :class:`SlotStore` does."""
        return self._half - self._end

    def cost(self, records: Sequence[bytes]) -> int:
        """Return the bytes that appending these together would take in a :class:`SlotStore`."""
        return _size(records) if records else 0

    def append(self, records: Sequence[bytes]) -> None:
        """Add records. Raises ``STORE_FULL``."""
        cost = self.cost(records)
        if cost > self.free:
            raise TapError(Code.STORE_FULL, f"{cost} bytes needed, {self.free} left")
        self._records += records
        self._end += cost

    def compact(self, records: Sequence[bytes]) -> None:
        """Replace all records. Raises ``STORE_FULL``."""
        size = _size(records)
        if size > self._half:
            raise TapError(Code.STORE_FULL, f"{size} bytes needed, {self._half} left")
        self._records = list(records)
        self._end = size
