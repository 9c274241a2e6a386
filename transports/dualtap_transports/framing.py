"""Frames on a byte stream, without I/O: a length of four bytes, big-endian, then the frame."""

from __future__ import annotations

from dualtap import limits
from dualtap.errors import Code, TapError

PREFIX = 4
"""Bytes of the length that precedes each frame."""


def encode(frame: bytes) -> bytes:
    """Return the stream's bytes for a frame of 1 to ``limits.MESSAGE`` bytes."""
    return len(frame).to_bytes(PREFIX, "big") + frame


class Deframer:
    """Cuts a stream back into frames: :meth:`feed` what arrived, :meth:`take` what is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        """Return how many bytes wait here."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes in the order in which they arrived."""
        self._buffer += data

    def take(self) -> bytes | None:
        """Return the next whole frame, or ``None`` if more bytes are needed.

        Raises ``MALFORMED`` for a length of zero and ``TOO_LARGE`` above ``limits.MESSAGE``: from the prefix
        alone, so that a stranger's claim reserves no memory. Either is final: the bad prefix stays in front.
        """
        if len(self._buffer) < PREFIX:
            return None
        length = int.from_bytes(self._buffer[:PREFIX], "big")
        if length == 0:
            raise TapError(Code.MALFORMED, "an empty frame")
        if length > limits.MESSAGE:
            raise TapError(Code.TOO_LARGE, f"a frame of {length} bytes where {limits.MESSAGE} fit")
        end = PREFIX + length
        if len(self._buffer) < end:
            return None
        frame = bytes(self._buffer[PREFIX:end])
        del self._buffer[:end]
        return frame
