"""Bytes that are longer than a frame, cut and joined: for syncs (SPEC §14-17) and for news at a tap (§21)."""

from __future__ import annotations

from dualtap.errors import Code, TapError


class Cutter:
    """Cuts bytes into pieces of at most ``room`` bytes."""

    __slots__ = ("_data", "_room", "sent")

    def __init__(self, data: bytes, room: int) -> None:
        self._data, self._room = data, room
        self.sent = 0

    @property
    def left(self) -> int:
        """Bytes that are still to be sent."""
        return len(self._data) - self.sent

    def next(self) -> tuple[int, bytes]:
        """Return how many bytes follow the next piece, and the piece."""
        data = self._data[self.sent : self.sent + self._room]
        self.sent += len(data)
        return self.left, data


class Joiner:
    """Joins pieces, of at most ``most`` bytes in all; each but the last has at least ``least``."""

    __slots__ = ("_least", "_left", "_most", "_parts", "taken")

    def __init__(self, most: int, least: int = 1) -> None:
        self._most, self._least = most, least
        self._left: int | None = None
        self._parts: list[bytes] = []
        self.taken = 0

    def take(self, left: int, data: bytes) -> bool:
        """Keep a piece that ``left`` bytes follow; return whether it was the last.

        Raises ``TOO_LARGE`` before anything is kept, or ``MALFORMED``.
        """
        whole = left + len(data)
        if self._left is None and whole > self._most:
            raise TapError(Code.TOO_LARGE, f"{whole} bytes, at most {self._most}")
        if not data or (self._left is not None and whole != self._left):
            raise TapError(Code.MALFORMED, "a piece that does not follow the one before")
        if left and len(data) < self._least:
            raise TapError(Code.MALFORMED, f"a piece of {len(data)} bytes, at least {self._least} but for the last")
        self._left = left
        self._parts.append(data)
        self.taken += len(data)
        return not left

    def whole(self) -> bytes:
        """Return what has come, and forget it."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
