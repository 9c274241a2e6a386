"""A bank's own place to count its certificates: one file beside its key, for a host that does not reach the ledger."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dualtap.errors import Code, TapError

_DIGITS = 10


class Register:
    """A file of lines of one length, each an ordinal and the key that it was given to, in order.

    Several processes of one host may share it. A line that a power cut left unfinished was never signed for, since the
    whole line is durable before that: it is cut off.
    """

    def __init__(self, path: Path) -> None:
        """``path`` is made by :meth:`create`."""
        self._path = path

    @classmethod
    def create(cls, path: Path) -> Register:
        """Make an empty register; raise ``BAD_INPUT`` if there is one: it must not be forgotten."""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as error:
            raise TapError(Code.BAD_INPUT, f"{path} exists, and counts already") from error
        return cls(path)

    def ordinal(self, bank: bytes, key: bytes, quota: int) -> int | None:
        """Return a key's ordinal, taking the next below ``quota`` for a new key, durably; ``None`` if none is left.

        Raises ``STORE_FAILED`` for a file that is missing, that no register wrote, or that takes no line. SPEC §4.3-6.
        """
        del bank  # a register is one bank's
        with self._locked() as file:
            given = self._read(file, len(key))
            number = given.index(key) if key in given else len(given)
            if number >= quota and key not in given:
                return None
            line = f"{number:0{_DIGITS}d} {key.hex()}\n".encode()
            try:
                # Also a line that is there: reading back does not prove that it ever became durable.
                whole = os.pwrite(file, line, number * len(line)) == len(line)
                os.fsync(file)
            except OSError as error:
                raise TapError(Code.STORE_FAILED, f"{self._path}: {error.strerror}") from error
            if not whole:
                raise TapError(Code.STORE_FAILED, f"{self._path} takes no more")
            return number

    def count(self, size: int) -> int:
        """Return how many keys of ``size`` bytes have an ordinal."""
        with self._locked() as file:
            return len(self._read(file, size))

    @contextmanager
    def _locked(self) -> Generator[int]:
        try:
            file = os.open(self._path, os.O_RDWR)
        except OSError as error:
            raise TapError(Code.STORE_FAILED, f"{self._path}: {error.strerror}; do not begin a new one") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _read(self, file: int, size: int) -> list[bytes]:
        width = _DIGITS + 2 + 2 * size
        length = os.fstat(file).st_size
        whole = length // width * width
        data = os.pread(file, whole, 0)
        if length != whole:
            os.ftruncate(file, whole)
        found: list[bytes] = []
        for number, place in enumerate(range(0, whole, width)):
            digits, _, text = data[place : place + width].decode("ascii", "replace").rstrip("\n").partition(" ")
            try:
                found.append(bytes.fromhex(text))
                good = int(digits) == number and len(found[-1]) == size
            except ValueError:
                good = False
            if not good:
                raise TapError(Code.STORE_FAILED, f"{self._path}, line {number + 1}: no register wrote this")
        return found
