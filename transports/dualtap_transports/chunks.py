"""Long frames over links with short ones, such as a BLE characteristic; cutting and joining need no I/O.

A chunk is one header byte, then payload. Bit 7 of the header says that more chunks follow; bits 0-6 count the
frame's chunks from 0, modulo 128. The first chunk carries the frame's length, 16 bits big-endian, between
header and payload. No payload is empty.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import RLock

from dualtap import limits
from dualtap.errors import Code, TapError

from .link import Link, check_frame

MORE = 0x80
"""The header's bit that says that more chunks follow."""
SEQUENCES = 0x80
"""Chunk numbers before they start again from 0."""
LENGTH = 2
"""Bytes of the first chunk's length field."""
MIN_CHUNK = 1 + LENGTH + 1
"""Bytes: header, length and one of payload; a link with shorter frames cannot carry chunks."""


def split(frame: bytes, max_chunk: int) -> list[bytes]:
    """Return the chunks, each at most ``max_chunk`` bytes, that carry ``frame``.

    Raises ``MALFORMED`` for an empty frame, ``TOO_LARGE`` above ``limits.MESSAGE``, and :class:`ValueError`
    if ``max_chunk`` is below :data:`MIN_CHUNK`.
    """
    if max_chunk < MIN_CHUNK:
        raise ValueError(f"max_chunk must be at least {MIN_CHUNK} bytes")
    check_frame(frame, limits.MESSAGE)
    body = len(frame).to_bytes(LENGTH, "big") + frame
    room = max_chunk - 1
    last = (len(body) - 1) // room
    return [
        bytes([(MORE if i < last else 0) | i % SEQUENCES]) + body[i * room : (i + 1) * room] for i in range(last + 1)
    ]


class Joiner:
    """Puts chunks back together. Holds the payload that arrived and nothing more, whatever length is claimed.

    Takes frames of up to ``max_frame`` bytes, at most ``limits.MESSAGE``.
    """

    def __init__(self, max_frame: int = limits.MESSAGE) -> None:
        self._max_frame = min(max_frame, limits.MESSAGE)
        self._payload = bytearray()
        self._total = 0
        self._next = 0
        self._failed: tuple[Code | int, str] | None = None

    def feed(self, chunk: bytes) -> bytes | None:
        """Take the next chunk; return the frame that it completes, or ``None``.

        Raises ``MALFORMED`` for a wrong number, an empty payload, or payload that differs from the length
        announced, and ``TOO_LARGE`` if that length is too long. Both are final: each later call raises the
        same, as nothing tells where the next frame starts.
        """
        if self._failed is None:
            try:
                return self._join(chunk)
            except TapError as error:
                self._payload.clear()
                self._failed = error.code, error.detail
        raise TapError(*self._failed)

    def _join(self, chunk: bytes) -> bytes | None:
        first = not self._payload
        skip = 1 + LENGTH if first else 1
        if len(chunk) <= skip:
            raise TapError(Code.MALFORMED, "a chunk without payload")
        if chunk[0] % SEQUENCES != self._next:
            raise TapError(Code.MALFORMED, f"chunk {chunk[0] % SEQUENCES} where {self._next} was due")
        if first:
            self._total = int.from_bytes(chunk[1:skip], "big")
            if self._total > self._max_frame:
                raise TapError(Code.TOO_LARGE, f"a frame of {self._total} bytes where {self._max_frame} fit")
        more = bool(chunk[0] & MORE)
        have = len(self._payload) + len(chunk) - skip
        # While more is to come, some must be missing; at the end, nothing may be missing nor left over.
        if have >= self._total if more else have != self._total:
            raise TapError(Code.MALFORMED, f"{have} bytes of a frame of {self._total}")
        self._payload += chunk[skip:]
        if more:
            self._next = (self._next + 1) % SEQUENCES
            return None
        frame = bytes(self._payload)
        self._payload.clear()
        self._next = 0
        return frame


class Chunked:
    """A link for frames of up to ``max_frame`` bytes over ``link``, whose frames are the chunks.

    It owns ``link``, whose ``max_frame`` must be at least :data:`MIN_CHUNK`. ``clock`` returns seconds that
    never run backwards.
    """

    def __init__(
        self, link: Link, max_frame: int = limits.MESSAGE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if link.max_frame < MIN_CHUNK:
            raise ValueError(f"chunks need frames of at least {MIN_CHUNK} bytes")
        self._link = link
        self._max_frame = min(max_frame, limits.MESSAGE)
        self._clock = clock
        self._joiner = Joiner(self._max_frame)
        self._sending = RLock()
        self._closed = False

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes, before it is cut."""
        return self._max_frame

    def send(self, frame: bytes) -> None:
        """Send one frame as chunks; see :meth:`.link.Link.send`."""
        with self._sending:
            if self._closed:
                raise TapError(Code.LINK_LOST, "the link is closed")
            check_frame(frame, self._max_frame)
            try:
                for chunk in split(frame, self._link.max_frame):
                    self._link.send(chunk)
            except TapError:
                # Half a frame may be out: nothing sent after it could be understood.
                self.close()
                raise

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`.link.Link.receive`. The timeout is for all of it."""
        deadline = None if timeout is None else self._clock() + timeout
        while True:
            # Past the deadline, chunks that have already arrived are still taken: at most one frame's.
            left = None if deadline is None else max(0.0, deadline - self._clock())
            frame = self._joiner.feed(self._link.receive(left))
            if frame is not None:
                return frame

    def close(self) -> None:
        """Close the link beneath."""
        self._closed = True
        self._link.close()
