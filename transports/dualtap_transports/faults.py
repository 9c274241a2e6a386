"""A link that fails on purpose, frame by frame, so that every way to lose a tap can be played back."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from dualtap.errors import Code, TapError

from .link import Link, check_frame


@dataclass(frozen=True, slots=True)
class Drop:
    """Frame ``n``, counted from 0 among those sent, never arrives; the sender is not told."""

    n: int


@dataclass(frozen=True, slots=True)
class Tear:
    """Frame ``n`` is cut to its first ``at`` bytes and the link dies; the sender learns by its next call.

    Over a byte stream the receiver sees ``LINK_LOST``; over a link of whole messages it gets the short frame
    (none if ``at`` is 0), then ``LINK_LOST``. An ``at`` beyond the frame's end delivers it whole.
    """

    n: int
    at: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Frame ``n`` arrives twice in a row."""

    n: int


@dataclass(frozen=True, slots=True)
class Delay:
    """Frame ``n`` is sent ``seconds`` late, and what follows it after it."""

    n: int
    seconds: float


Fault: TypeAlias = Drop | Tear | Duplicate | Delay


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes wrong on one link: at most one fault for each frame sent. An empty plan changes nothing."""

    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        """Refuse with :class:`ValueError` a plan that cannot be carried out as written."""
        if len({fault.n for fault in self.faults}) != len(self.faults):
            raise ValueError("two faults for one frame")
        for fault in self.faults:
            size = fault.at if isinstance(fault, Tear) else fault.seconds if isinstance(fault, Delay) else 0
            if fault.n < 0 or size < 0:
                raise ValueError(f"a negative number in {fault}")

    def at(self, n: int) -> Fault | None:
        """Return the fault of frame ``n``, if it has one."""
        return next((fault for fault in self.faults if fault.n == n), None)


def random_plan(seed: int, frames: int = 8) -> Plan:
    """Return the plan that ``seed`` names, for the first ``frames`` frames: the same in every Python version.

    A quarter of the frames fail, so that some seeds' plans are empty; a :class:`Tear` is a plan's last fault.
    """
    source = random.Random(seed)  # noqa: S311 - to be repeated, not to be unguessable
    faults: list[Fault] = []
    for n in range(frames):
        # Only random() is promised to give the same numbers in every version; and always three of them, so
        # that one frame's fault does not shift another's.
        fails, kind, size = source.random(), int(source.random() * 4), source.random()
        if fails >= 1 / 4:
            continue
        choices = Drop(n), Duplicate(n), Delay(n, size * 2), Tear(n, int(size * 512))
        faults.append(choices[kind])
        if isinstance(faults[-1], Tear):
            break
    return Plan(tuple(faults))


@runtime_checkable
class Tearable(Protocol):
    """A link over a byte stream, which can stop in the middle of a frame."""

    def tear(self, frame: bytes, at: int) -> None:
        """Announce ``frame`` whole, send its first ``at`` bytes, then close."""
        ...


class Faulty:
    """``link``, which it owns, with the faults of ``plan`` in what is sent through it.

    ``sleep`` takes seconds: ``time.sleep``, or a simulator's own. Wrap both ends to fail both directions;
    wrap below :class:`.chunks.Chunked` to fail chunk by chunk. For one sending thread.
    """

    def __init__(self, link: Link, plan: Plan, sleep: Callable[[float], None]) -> None:
        self._link = link
        self._plan = plan
        self._sleep = sleep
        self._sent = 0
        self._closed = False

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes, of the link beneath."""
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        """Send one frame as the plan has it; see :meth:`.link.Link.send`. A refused frame is not counted."""
        # A dropped frame never reaches the link beneath, which would have refused these.
        if self._closed:
            raise TapError(Code.LINK_LOST, "the link is closed")
        check_frame(frame, self._link.max_frame)
        fault = self._plan.at(self._sent)
        self._sent += 1
        match fault:
            case None:
                self._link.send(frame)
            case Drop():
                pass
            case Duplicate():
                self._link.send(frame)
                self._link.send(frame)
            case Delay(seconds=seconds):
                self._sleep(seconds)
                self._link.send(frame)
            case Tear(at=at):
                self._tear(frame, at)

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame of the link beneath."""
        return self._link.receive(timeout)

    def close(self) -> None:
        """Close the link beneath."""
        self._closed = True
        self._link.close()

    def _tear(self, frame: bytes, at: int) -> None:
        if isinstance(self._link, Tearable):
            self._link.tear(frame, at)
        elif frame[:at]:
            self._link.send(frame[:at])
        self.close()
