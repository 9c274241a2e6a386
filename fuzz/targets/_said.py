"""A fuzzer's bytes, read as choices: every input is a story, and a shorter one is a shorter story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Said:
    """Bytes from the front to the back; what is missing reads as zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Return whether anything is left."""
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def full(self, size: int) -> bytes:
        """Return so many bytes, filled up with zeros."""
        return self.take(size).ljust(size, b"\0")

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(max(0, len(self._data) - self._at))

    def byte(self) -> int:
        """Return 0 to 255."""
        return self.full(1)[0]

    def number(self, size: int) -> int:
        """Return an unsigned integer of so many bytes."""
        return int.from_bytes(self.full(size), "big")

    def below(self, bound: int) -> int:
        """Return an integer in ``[0, bound)``, from one byte, or two where one is too few."""
        return self.number(1 if bound <= 256 else 2) % bound

    def blob(self) -> bytes:
        """Return bytes behind one byte that says how many."""
        return self.take(self.byte())

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of these."""
        return choices[self.below(len(choices))]
