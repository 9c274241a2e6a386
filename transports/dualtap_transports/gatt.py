"""What a link says in GATT values, without I/O (SPEC §19): two characteristics, chunks, and three control values.

The central writes to :data:`UP`, the peripheral notifies on :data:`DOWN`. Values of one byte are control; all others
but the first are chunks of :mod:`.chunks`.
"""

from __future__ import annotations

from collections import deque
from uuid import UUID

from dualtap import limits
from dualtap.errors import Code, TapError

from .chunks import Joiner

UP = UUID("1b9a7d2e-5c46-4c0f-9d3a-6475616c0001")
"""The characteristic that the central writes to, without response."""
DOWN = UUID("1b9a7d2e-5c46-4c0f-9d3a-6475616c0002")
"""The characteristic on which the peripheral notifies."""

VERSION = 1
"""The version of this mapping."""
VALUE = 512
"""Bytes of the longest value of an attribute (Bluetooth Core 5.4, volume 3, part F, 3.2.9); stacks drop longer ones."""
LEAST_VALUE = 20
"""Bytes of a value that fit into the smallest MTU, 23."""
OPENING = 3
"""Bytes of the first value: the version, and the longest value that the central takes."""
END = b"\x00"
"""Control: nothing more comes from this side."""
GRANT = b"\x01"
"""Control: :data:`GRANTED` more bytes may be sent."""
WINDOW = 4 * limits.MESSAGE
"""Bytes of chunks that a side may send before the first grant; what a side must hold at most."""
GRANTED = WINDOW // 2
"""Bytes that one grant allows: a tap is over long before one is due."""


def encode_opening(most: int) -> bytes:
    """Return the central's first value; ``most`` is the longest value that it takes, in bytes."""
    return bytes([VERSION]) + min(most, VALUE).to_bytes(2, "big")


def decode_opening(value: bytes) -> int:
    """Return the longest value that the central takes. Raises ``MALFORMED``."""
    if len(value) != OPENING:
        raise TapError(Code.MALFORMED, "the link was not opened")
    if value[0] != VERSION:
        raise TapError(Code.MALFORMED, f"version {value[0]} of the Bluetooth mapping, not {VERSION}")
    most = int.from_bytes(value[1:], "big")
    if not LEAST_VALUE <= most <= VALUE:
        raise TapError(Code.MALFORMED, f"values of {most} bytes, not {LEAST_VALUE} to {VALUE}")
    return most


class Duplex:
    """One end of a link: takes the peer's values in, and counts what both sides may send.

    ``most`` (at least :data:`LEAST_VALUE`) is the longest value, in bytes, that this side may send; the peripheral's
    is bounded further by the opening, before which nothing is sent. Whatever the peer does, at most :data:`WINDOW`
    bytes of it wait here.
    """

    def __init__(self, most: int, *, central: bool, max_frame: int = limits.MESSAGE) -> None:
        self.most = most
        self.opened = central
        """Whether frames may be sent."""
        self.ended = False
        """Whether the peer said that it ends."""
        self.failed: TapError | None = None
        """What the peer did wrong; nothing is taken in after it."""
        self.room = WINDOW
        """Bytes of chunks that may still be sent; whoever sends subtracts."""
        self._joiner = Joiner(max_frame)
        self._frames: deque[tuple[bytes, int]] = deque()
        self._cost = 0
        self._allowed = WINDOW
        self._taken = 0

    def __len__(self) -> int:
        """Return how many whole frames wait to be taken."""
        return len(self._frames)

    @property
    def torn(self) -> bool:
        """Whether the peer stopped in the middle of a frame."""
        return self._cost > 0

    def feed(self, value: bytes) -> None:
        """Take in one value. What is wrong with it is kept in :attr:`failed`, for good."""
        if self.failed is None and not self.ended:
            try:
                self._feed(value)
            except TapError as error:
                self.failed = error

    def take(self) -> tuple[bytes, bool]:
        """Return the next frame, and whether a grant is due: then :data:`GRANT` is to be sent."""
        frame, cost = self._frames.popleft()
        self._taken += cost
        if self._taken < GRANTED:
            return frame, False
        self._taken -= GRANTED
        self._allowed += GRANTED
        return frame, True

    def _feed(self, value: bytes) -> None:
        if not self.opened:
            self.most = min(self.most, decode_opening(value))
            self.opened = True
        elif value == END:
            self.ended = True
        elif value == GRANT:
            if self.room + GRANTED > WINDOW:
                raise TapError(Code.MALFORMED, "a grant that nothing was sent for")
            self.room += GRANTED
        elif len(value) > VALUE:
            raise TapError(Code.TOO_LARGE, f"a value of {len(value)} bytes, more than {VALUE}")
        else:
            self._chunk(value)

    def _chunk(self, value: bytes) -> None:
        if len(value) > self._allowed:
            raise TapError(Code.TOO_LARGE, "the other device sends more than it may before it is read")
        self._allowed -= len(value)
        self._cost += len(value)
        frame = self._joiner.feed(value)
        if frame is not None:
            self._frames.append((frame, self._cost))
            self._cost = 0
