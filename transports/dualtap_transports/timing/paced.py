"""A link as slow as a model says: for demonstrations in real time, and for simulations in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..link import Link

Pace: TypeAlias = Callable[[int], float]
"""From a frame's bytes to the seconds that it takes."""


class Paced:
    """``link``, which it owns; each frame sent is handed over after the seconds that ``pace`` gives.

    ``sleep`` takes seconds: ``time.sleep``, or a simulator's own. Wrap both ends to slow both directions.
    """

    def __init__(self, link: Link, pace: Pace, sleep: Callable[[float], None]) -> None:
        self._link = link
        self._pace = pace
        self._sleep = sleep

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes, of the link beneath."""
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        """Send one frame, late; see :meth:`.link.Link.send`. A frame that cannot be meant is refused at once."""
        if 1 <= len(frame) <= self.max_frame:
            self._sleep(self._pace(len(frame)))
        self._link.send(frame)

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame of the link beneath."""
        return self._link.receive(timeout)

    def close(self) -> None:
        """Close the link beneath."""
        self._link.close()
