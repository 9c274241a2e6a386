"""Links that fail as a seed says, around any link: frames lost, doubled, cut short or late, in virtual time.

The faults themselves are those of :mod:`dualtap_transports.faults`, by which our own tests tear taps.
"""

from __future__ import annotations

from dualtap_transports.faults import Delay, Drop, Duplicate, Fault, Faulty, Plan, Tear, random_plan
from dualtap_transports.link import Link
from dualtap_transports.loopback import pair

__all__ = [
    "Delay",
    "Drop",
    "Duplicate",
    "Fault",
    "Faulty",
    "Plan",
    "Tear",
    "VirtualClock",
    "faulty",
    "faulty_pair",
    "random_plan",
]

_OTHER_WAY = 1 << 32


class VirtualClock:
    """A clock that moves only where somebody sleeps: give it to drivers and to links alike."""

    def __init__(self, now: float = 0.0) -> None:
        """``now`` is in seconds since 1970."""
        self.seconds = now

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.seconds += seconds


def faulty(ends: tuple[Link, Link], seed: int, clock: VirtualClock, frames: int = 8) -> tuple[Link, Link]:
    """Return both ends of a link, each of which fails in what it sends as ``seed`` says: the same in every run.

    At most the first ``frames`` frames of each direction fail; about a quarter of them do.
    """
    one, other = ends
    plans = random_plan(seed, frames), random_plan(seed ^ _OTHER_WAY, frames)
    return Faulty(one, plans[0], clock.sleep), Faulty(other, plans[1], clock.sleep)


def faulty_pair(seed: int, clock: VirtualClock, frames: int = 8) -> tuple[Link, Link]:
    """Return two joined ends in this process that fail as ``seed`` says."""
    return faulty(pair(), seed, clock, frames)
