"""A bridge (SPEC §26): it hands on the frames of a session between two links, and sees sealed bytes only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports.link import Link


@dataclass(frozen=True, slots=True)
class Bridged:
    """All that a bridge knows of a session: frames and bytes handed on, and why it ended.

    ``LINK_LOST`` is how each session ends, well or not: only the two devices know which.
    """

    frames: int
    size: int
    ended: Code


def bridge(
    initiator: Link, responder: Link, timeout: float | None, clock: Callable[[], float] = time.monotonic
) -> Bridged:
    """Hand on frames in turns, the initiator's first, until a link ends; close both.

    ``timeout`` is in seconds, for each frame; the whole lasts ``limits.SESSION_SECONDS`` at most. Never raises for
    what a link does.
    """
    frames = size = 0
    speaks, listens = initiator, responder
    until = clock() + limits.SESSION_SECONDS
    try:
        while True:
            left = until - clock()
            if left <= 0:
                return Bridged(frames, size, Code.TIMEOUT)
            frame = speaks.receive(left if timeout is None else min(left, timeout))
            listens.send(frame)
            frames, size = frames + 1, size + len(frame)
            speaks, listens = listens, speaks
    except TapError as error:
        return Bridged(frames, size, error.code if isinstance(error.code, Code) else Code.LINK_LOST)
    finally:
        initiator.close()
        responder.close()
