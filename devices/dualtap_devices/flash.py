"""Raw storage behind four calls, so that power cuts and failing syncs can be simulated byte by byte.

:class:`FileFlash` is a preallocated file, :class:`MemoryFlash` plain memory, and :class:`CrashFlash` memory
behind a page cache, which may lose, tear and reorder whatever was not synced, and may fail to sync.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dualtap.errors import Code, TapError

SECTOR = 512
"""Bytes that a device writes at once: a power cut may tear the sector being written, never a neighbour."""
_CHUNK = 1 << 20


class Flash(Protocol):
    """A device of ``size`` bytes. What is written is durable only once a later :meth:`sync` has returned.

    An access outside the device raises :class:`ValueError`: it is a bug of the caller.
    """

    @property
    def size(self) -> int:
        """Bytes, fixed for the life of the device."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes as last written, durable or not. Raises :class:`OSError`."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Replace the bytes at ``offset``; not durable yet. Raises :class:`OSError`."""
        ...

    def sync(self) -> None:
        """Make all that was written durable.

        Raises :class:`OSError`; what was written since the last sync is then neither durable nor pending. It
        may still read back, and only writing it again can make it durable.
        """
        ...


def _within(flash: Flash, offset: int, length: int) -> None:
    if offset < 0 or length < 0 or offset + length > flash.size:
        raise ValueError(f"{length} bytes at {offset} lie outside a device of {flash.size}")


class FileFlash:
    """A file of exactly ``size`` bytes, created (zeroed and durable) if it is missing, and locked while open.

    Raises :class:`TapError` with ``IN_USE`` if the file is open elsewhere (also twice in one process), or
    ``STORE_FAILED`` if it has another size or cannot be created or opened.
    """

    def __init__(self, path: Path | str, size: int) -> None:
        self._path = Path(path)
        self._size = size
        try:
            self._fd = self._open()
        except OSError as error:
            raise TapError(Code.STORE_FAILED, f"cannot open {self._path}: {error.strerror}") from error
        try:
            self._claim()
        except BaseException:
            self.close()
            raise

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            _create(self._path, self._size)
            return os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def _claim(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TapError(Code.IN_USE, str(self._path)) from None
        except OSError as error:
            raise TapError(Code.STORE_FAILED, f"cannot lock {self._path}: {error.strerror}") from error
        size = os.fstat(self._fd).st_size
        if size != self._size:
            raise TapError(Code.STORE_FAILED, f"{self._path} has {size} bytes, expected {self._size}")

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes at ``offset``. Raises :class:`OSError`."""
        _within(self, offset, length)
        parts: list[bytes] = []
        while length:
            part = os.pread(self._fd, length, offset)
            if not part:
                raise OSError(f"{self._path} is shorter than it was")
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def write(self, offset: int, data: bytes) -> None:
        """Write ``data`` at ``offset``; not durable yet. Raises :class:`OSError`."""
        _within(self, offset, len(data))
        _write_all(self._fd, offset, data)

    def sync(self) -> None:
        """Make all that was written durable. Raises :class:`OSError`."""
        _flush(self._fd)

    def close(self) -> None:
        """Release the file and its lock; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _write_all(fd: int, offset: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        offset, view = offset + done, view[done:]


def _flush(fd: int) -> None:
    if sys.platform == "darwin":
        # There, fsync only reaches the drive's own cache.
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def _create(path: Path, size: int) -> None:
    """Put a durable file of zeros at ``path``, unless another process has just done so.

    The file gets its name only when it is whole, so that a power cut leaves no file of a wrong size. Zeros
    are written rather than reserved: later syncs then change no metadata and cannot run out of space.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # Two processes that create one wallet take turns, so that neither renames over the other's open file.
        fcntl.flock(folder, fcntl.LOCK_EX)
        if path.exists():
            return
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for offset in range(0, size, _CHUNK):
                _write_all(fd, offset, bytes(min(_CHUNK, size - offset)))
            os.fsync(fd)
            _flush(fd)
        finally:
            os.close(fd)
        draft.rename(path)
        os.fsync(folder)
    finally:
        os.close(folder)


class MemoryFlash:
    """Plain memory of ``size`` bytes, at first zero; every sync succeeds."""

    def __init__(self, size: int) -> None:
        self._bytes = bytearray(size)

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self._bytes)

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes at ``offset``."""
        _within(self, offset, length)
        return bytes(self._bytes[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """Write ``data`` at ``offset``."""
        _within(self, offset, len(data))
        self._bytes[offset : offset + len(data)] = data

    def sync(self) -> None:
        """Do nothing: memory has nothing behind it."""


class PowerCut(BaseException):
    """The power went. Not an :class:`Exception`: no code under test may handle it and go on."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, by number from 0 of a write or sync (``cut``, ``byte``) and of a sync (``failing``).

    Operation ``cut`` does not happen; if it is a write, its first ``byte`` bytes still reach the page cache.
    """

    cut: int | None = None
    byte: int = 0
    failing: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a write that lies in one sector: it reaches the medium in any order among its like."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset of the byte after it."""
        return self.offset + len(self.data)

    def outside(self, other: Piece) -> list[Piece]:
        """Return what is left of this piece where ``other`` does not cover it."""
        if other.end <= self.offset or self.end <= other.offset:
            return [self]
        left = Piece(self.offset, self.data[: max(0, other.offset - self.offset)])
        right = Piece(min(other.end, self.end), self.data[max(0, other.end - self.offset) :])
        return [piece for piece in (left, right) if piece.data]


@dataclass(frozen=True, slots=True)
class Keep:
    """Which of :attr:`CrashFlash.pieces` outlive a crash: the ``whole`` ones by index, and of piece ``torn``
    the first ``byte`` bytes. With ``garbage`` its whole sector is destroyed, what it held before included.
    """

    whole: frozenset[int] = frozenset()
    torn: int | None = None
    byte: int = 0
    garbage: bool = False


class CrashFlash:
    """Memory behind a page cache, with planned faults.

    Reads see what was written, durable or not. A failed sync leaves what was written readable but clean, as
    Linux does: later syncs succeed without writing it, and some of it may nevertheless have reached the
    medium.
    """

    def __init__(self, size: int, faults: Faults | None = None, image: bytes | None = None) -> None:
        self._medium = bytearray(image if image is not None else size)
        self._cache = bytearray(self._medium)
        self._dirty: list[Piece] = []
        self._lost: list[Piece] = []
        self._dead = False
        self.faults = faults or Faults()
        self.operations = 0
        self.syncs = 0

    @property
    def size(self) -> int:
        """Bytes of the device."""
        return len(self._medium)

    @property
    def pieces(self) -> Sequence[Piece]:
        """All that was written, is not surely durable, and may or may not outlive a crash; oldest first."""
        return (*self._lost, *self._dirty)

    def _step(self) -> bool:
        """Count one operation; return whether the power is cut at it."""
        if self._dead:
            raise PowerCut
        self.operations += 1
        self._dead = self.operations - 1 == self.faults.cut
        return self._dead

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes at ``offset`` from the page cache. Raises :class:`PowerCut`."""
        _within(self, offset, length)
        if self._dead:
            raise PowerCut
        return bytes(self._cache[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """Write to the page cache. Raises :class:`PowerCut` as planned."""
        _within(self, offset, len(data))
        cut = self._step()
        if cut:
            data = data[: self.faults.byte]
        self._cache[offset : offset + len(data)] = data
        end = offset + len(data)
        while offset < end:
            upto = min(end, (offset // SECTOR + 1) * SECTOR)
            self._dirty.append(Piece(offset, bytes(self._cache[offset:upto])))
            offset = upto
        if cut:
            raise PowerCut

    def sync(self) -> None:
        """Make dirty bytes durable. Raises :class:`PowerCut` or :class:`OSError` as planned."""
        if self._step():
            raise PowerCut
        self.syncs += 1
        if self.syncs - 1 in self.faults.failing:
            self._lost += self._dirty
            self._dirty = []
            raise OSError("planned failure to sync")
        for piece in self._dirty:
            self._medium[piece.offset : piece.end] = piece.data
            self._lost = [left for lost in self._lost for left in lost.outside(piece)]
        self._dirty = []

    def crash(self, keep: Keep | None = None, faults: Faults | None = None) -> CrashFlash:
        """Return the device after a power cut: what was durable, and of :attr:`pieces` what ``keep`` names
        (nothing if absent). The page cache is gone, and ``faults`` are counted anew.
        """
        keep = keep or Keep()
        image = bytearray(self._medium)
        for index, piece in enumerate(self.pieces):
            if index in keep.whole:
                image[piece.offset : piece.end] = piece.data
        if keep.torn is not None:
            piece = self.pieces[keep.torn]
            middle = piece.offset + keep.byte
            image[piece.offset : middle] = piece.data[: keep.byte]
            if keep.garbage:
                sector = slice(piece.offset // SECTOR * SECTOR, (piece.offset // SECTOR + 1) * SECTOR)
                image[sector] = bytes(0xA5 ^ byte for byte in image[sector])
        return CrashFlash(len(image), faults, bytes(image))

    @property
    def medium(self) -> bytes:
        """The durable bytes, for comparing states."""
        return bytes(self._medium)

    @property
    def cache(self) -> bytes:
        """The bytes that reads see, for comparing states."""
        return bytes(self._cache)
