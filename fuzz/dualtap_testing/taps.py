"""One simulated tap: two drivers, the frames between them, and what is planned to go wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from dualtap.context import Context, Order
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Report
from dualtap.suite import Ephemeral
from dualtap_devices.driver import Driver
from dualtap_devices.flash import PowerCut
from dualtap_testing.devices import Device
from dualtap_testing.stub import begin_session

LONG = 61.0
"""Seconds after which every device gives a tap up."""
FRAME = 0.02
"""Seconds that a frame takes."""


@dataclass(frozen=True)
class LinkFault:
    """What happens to the frame of this number, counted from 0.

    ``lose``: it and all after it; ``tear``: the first ``byte`` bytes arrive, and nothing after; ``twice``: it arrives
    again at once; ``stale``: a frame of an older tap arrives in its place, or it arrives before; ``late``: it takes
    longer than any device waits; ``bend``: one byte of it is changed.
    """

    kind: str
    frame: int
    byte: int = 0


@dataclass(frozen=True)
class TapPlan:
    """What goes wrong in one tap: on the link, in either device's power (write, whether after it), in people."""

    link: LinkFault | None = None
    cuts: tuple[tuple[int, bool] | None, tuple[int, bool] | None] = (None, None)
    """The payer's power, and the payee's."""
    declines: bool = False
    skip: int = 0
    """By how much the counter of a chip has skipped when its power comes back."""

    @property
    def clean(self) -> bool:
        """Whether nothing goes wrong."""
        return self == TapPlan()


@dataclass
class Air:
    """What the world's radio remembers: frames of older taps, and the time."""

    now: float
    stale: deque[bytes] = field(default_factory=lambda: deque[bytes](maxlen=32))


class Talker(Protocol):
    """One end of a tap, or of an owner's session, as the devices' own drivers run it."""

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        ...

    def begin(self) -> list[bytes]:
        """Start; return the frames to send."""
        ...

    def receive(self, frame: bytes) -> list[bytes]:
        """Take a frame; return the frames to send."""
        ...

    def stop(self, code: Code) -> None:
        """End because the link ended."""
        ...


@dataclass
class Side:
    """One device in a tap: its driver while it has power."""

    device: Device
    order: Order | None
    ephemeral: Ephemeral
    entropy: bytes
    driver: Talker | None = None
    said: list[bytes] = field(default_factory=list[bytes])
    refused: TapError | None = None
    overran: bool = False
    """Whether its log had no room for what it had begun (SPEC §12-8)."""
    cheat: Callable[[Context], object] | None = None
    """A thief's: what it makes of its tap when its person agrees."""
    meanwhile: Callable[[], object] | None = None
    """What happens while this payer's person thinks, or before the frame ``pause``."""
    pause: int | None = None

    @property
    def report(self) -> Report | None:
        """How the tap ended for it, if it knows."""
        return self.reports[-1] if self.reports else None

    @property
    def reports(self) -> list[Report]:
        """All that it reported, while it had power."""
        return self.driver.reports if isinstance(self.driver, Driver) else []

    def interrupt(self) -> None:
        """Let happen, once, what happens meanwhile."""
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()

    @property
    def refuses(self) -> bool:
        """Whether it would not even begin: it says why."""
        return self.refused is not None

    @property
    def barred(self) -> bool:
        """Whether it is a payee that asks for nothing, and heals only (SPEC §11.2-11)."""
        return isinstance(self.driver, Driver) and self.driver.tap.barred


class SimTap:
    """Runs a tap between two devices; what fails of it is in the plan alone."""

    def __init__(self, payer: Side, payee: Side, payer_starts: bool, plan: TapPlan, air: Air) -> None:
        self.payer, self.payee, self._plan, self.air = payer, payee, plan, air
        self._sides = (payer, payee) if payer_starts else (payee, payer)
        self._starts = payer_starts
        self.frames = 0
        self.lengths: list[int] = []
        self.faults = 0

    def run(self) -> None:
        """Run it to its end, and open again whoever lost power."""
        begin_session()
        for side, cut in ((self.payer, self._plan.cuts[0]), (self.payee, self._plan.cuts[1])):
            side.device.power.plan(cut)
        for side in self._sides:
            self._guard(side, partial(self._open, side))
        first, second = self._sides
        waiting: deque[tuple[Side, bytes]] = deque()
        for speaker, hearer in ((second, first), (first, second)):
            frames = self._feed(speaker, lambda driver: driver.begin())
            waiting.extend((hearer, frame) for frame in frames)
        while waiting:
            hearer, frame = waiting.popleft()
            if not self._carry(hearer, frame, waiting):
                break
        for side in self._sides:
            self._feed(side, _stop)
        self.air.stale.extend(frame for side in self._sides for frame in side.said)
        for side in self._sides:
            self.faults += side.device.power.dark
            if side.device.power.dark:
                chip = side.device.chests[-1].keystore
                chip.head = chip.head._replace(ctr=chip.head.ctr + self._plan.skip)
                side.device.reopen()
            side.device.power.plan(None)
            side.device.touched = True

    def _open(self, side: Side) -> list[bytes]:
        side.driver = self.driver(side)
        return []

    def driver(self, side: Side) -> Talker:
        """Return what runs this side."""
        device = side.device
        assert side.order is not None, "a session has no order"
        return Driver(
            device.wallet,
            side.order,
            side is self._sides[0],
            side.ephemeral,
            side.entropy,
            _declines if self._plan.declines else partial(_agrees, side),
            clock=lambda: device.clock(self.air.now),
        )

    def _feed(self, side: Side, act: Callable[[Talker], list[bytes]]) -> list[bytes]:
        driver = side.driver
        if driver is None or driver.ended:
            return []
        return self._guard(side, lambda: act(driver))

    def _guard(self, side: Side, act: Callable[[], list[bytes]]) -> list[bytes]:
        """Let a device do something. One that goes dark says no more; one that refuses has said why."""
        try:
            return act()
        except PowerCut:
            side.driver = None
        except TapError as error:
            if error.code not in _REFUSALS:
                raise
            side.overran = error.code == Code.STORE_FULL and side.driver is not None
            side.driver, side.refused = None, error
        return []

    def _carry(self, hearer: Side, frame: bytes, waiting: deque[tuple[Side, bytes]]) -> bool:
        """Carry one frame; return whether the link still stands."""
        number, fault = self.frames, self._plan.link
        if number == self.payer.pause:
            self.payer.interrupt()
        self.frames += 1
        self.lengths.append(len(frame))
        self.air.now += FRAME
        speaker = self.payer if hearer is self.payee else self.payee
        speaker.said.append(frame)
        kind = fault.kind if fault is not None and fault.frame == number else ""
        self.faults += bool(kind)
        arriving = [frame]
        match kind:
            case "lose":
                return False
            case "tear":
                assert fault is not None
                arriving = [frame[: fault.byte % len(frame)]]
            case "bend":
                assert fault is not None
                place = fault.byte % len(frame)
                arriving = [frame[:place] + bytes([frame[place] ^ 0x40]) + frame[place + 1 :]]
            case "twice":
                arriving = [frame, frame]
            case "stale" if self.air.stale:
                assert fault is not None
                arriving = [self.air.stale[fault.byte % len(self.air.stale)], frame]
            case "late":
                self.air.now += LONG
            case _:
                pass
        for item in arriving:
            answers = self._feed(hearer, partial(_receive, item))
            if kind != "tear":
                waiting.extend((speaker, answer) for answer in answers)
        return kind != "tear"


_REFUSALS = frozenset({
    Code.QUARANTINED, Code.RETIRED, Code.STORE_FULL, Code.BASKET_WAITS, Code.OVER_LIMIT,
})  # fmt: skip
"""What a device may say before a tap begins."""


def _agrees(side: Side, ask: Ask) -> Consent:
    del ask
    if side.pause is None:
        side.interrupt()
    if side.cheat is not None and isinstance(side.driver, Driver):
        side.cheat(side.driver.tap._context)  # pyright: ignore[reportPrivateUsage]
    return Consent()


def _declines(ask: Ask) -> Decline:
    del ask
    return Decline()


def _receive(frame: bytes, driver: Talker) -> list[bytes]:
    return driver.receive(frame)


def _stop(driver: Talker) -> list[bytes]:
    driver.stop(Code.LINK_LOST)
    return []
