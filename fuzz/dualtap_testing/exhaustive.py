"""Every single fault in every flow of two devices, and every second fault while they recover from the first.

A fault is a frame lost, repeated, late or torn at any byte, or either device's power cut before or after any write.
What follows a fault depends on nothing but what the two devices then are, in store and in memory: so second faults are
tried once from each different state, and counted for every first fault that led there. That a *write* is all or
nothing, whatever byte of flash tears it, is shown by ``make test-power``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from dualtap.context import Charge, Pay
from dualtap.logcodec import encode_record
from dualtap.suite import sha256
from dualtap_testing.checkers import Checkers
from dualtap_testing.devices import Chest, Device, Power, PoweredKeystore, PoweredStore
from dualtap_testing.people import PEOPLE
from dualtap_testing.simulate import SIMULATED
from dualtap_testing.taps import Air, LinkFault, Side, SimTap, TapPlan
from dualtap_testing.world import World

FIRST, NEXT, LAST_BASKET = b"the first basket", b"the next basket.", b"the last basket."


class Flow(NamedTuple):
    """A tap between two people of a small world: who pays whom, and what happened before it.

    ``torn`` is the frame of a tap before this one, for the same basket, after which the link was lost; ``refunds`` says
    that the tap gives back what the payee of it had paid.
    """

    name: str
    payer: str
    payee: str
    payer_starts: bool = True
    torn: int | None = None
    refunds: bool = False


FLOWS: tuple[Flow, ...] = (
    Flow("pay", "anna", "kiosk"),
    Flow("be paid", "anna", "kiosk", payer_starts=False),
    Flow("recharge a card", "ben", "card"),
    Flow("refund", "kiosk", "anna", refunds=True),
    Flow("close and heal", "anna", "kiosk", torn=2),
    Flow("repeat a receipt", "anna", "kiosk", torn=3),
)
"""The flows of taps. Those with a ledger are in :mod:`dualtap_testing.exhaustive_syncs`."""


@dataclass
class Duo:
    """Two devices on copies of what they were, and the checkers that watch them."""

    world: World
    checkers: Checkers
    payer: Device
    payee: Device
    air: Air

    def tap(self, name: bytes, amount: int, plan: TapPlan, *, starts: bool = True, refund_of: bytes = b"") -> SimTap:
        """Run one tap of this basket, and read both stores."""
        suite, number = self.world.suite, iter(range(4))
        sides = [
            Side(device, order, suite.ephemeral(fresh(name, next(number))), fresh(name, next(number)))
            for device, order in (
                (self.payer, Pay(refund_of)),
                (self.payee, Charge(amount, "CNY", name, person=True)),
            )
        ]
        tap = SimTap(sides[0], sides[1], starts, plan, self.air)
        tap.run()
        self.read()
        return tap

    @property
    def devices(self) -> tuple[Device, ...]:
        """Every device that this trial may change."""
        return (self.payer, self.payee)

    def read(self) -> None:
        """Take note of what became durable, and compare what the wallets say with their stores."""
        for device in self.devices:
            chest = device.chests[-1]
            self.checkers.read(chest.shelf, chest.store.journal)
            for kind, public, place in chest.keystore.signed:
                rest = place.private + place.request
                self.checkers.signature(chest.key, int(kind), public, place.salt, (place.prev, place.ctr), rest)
            chest.keystore.signed.clear()
            held = [((one.parent.id, int(one.parent.side), one.parent.place), one.start, one.end)
                    for one in device.wallet.book.holdings]  # fmt: skip
            self.checkers.claims(chest.shelf, held, device.wallet.book.pending)

    def state(self) -> bytes:
        """Return a digest of all that the devices are, durable or not."""
        found = hashlib.sha256()
        for device in self.devices:
            chest, book = device.chests[-1], device.wallet.book
            memory = [encode_record(item) for item in (*book.compacted(), *([book.unsaved] if book.unsaved else []))]
            for part in (repr(chest.keystore.head).encode(), *chest.store.log, *memory):
                found.update(sha256(part))
        return found.digest()

    def settle(self) -> None:
        """One clean tap, and all is well: promises 1, 2, 3, 4 and 7."""
        self.checkers.at_rest()
        self.tap(LAST_BASKET, 2, TapPlan())
        self.checkers.at_rest()
        for here, there in ((self.payer, self.payee), (self.payee, self.payer)):
            self.checkers.healed(here.key, there.keys)


def fresh(name: bytes, number: int) -> bytes:
    """Return 32 bytes for one side of a tap, or session, of this name."""
    return sha256(name + bytes([number]))


class Stage:
    """One flow, ready to be played again and again from the same beginning."""

    def __init__(self, flow: Flow, suite: str) -> None:
        self.flow = flow
        people = [one for one in PEOPLE if one[0] in {flow.payer, flow.payee}]
        self.world = World(SIMULATED[suite], "exhaustive", [*people, *[one for one in PEOPLE if one[0] == "market"]])
        self.people = {device.name: device for device in self.world.devices}
        payer, payee = self.people[flow.payer], self.people[flow.payee]
        self.refund_of = b""
        if flow.refunds:
            self.world.tap(payee, payer, 9, TapPlan(), basket=FIRST)
            self.refund_of = next(iter(payer.wallet.book.taken))
        if flow.torn is not None:
            plan = TapPlan(LinkFault("lose", flow.torn))
            self.world.tap(payer, payee, 9, plan, basket=FIRST, payer_starts=flow.payer_starts)
        self.now = self.world.air.now

    def duo(self) -> Duo:
        """Return the two devices as they are when the flow begins."""
        checkers, (payer, payee) = self.copies(self.flow.payer, self.flow.payee)
        return Duo(self.world, checkers, payer, payee, Air(self.now))

    def copies(self, *names: str) -> tuple[Checkers, list[Device]]:
        """Return copies of these devices, and checkers that watch them."""
        checkers = self.world.checkers.copy()
        devices = [self._copied(self.people[name], checkers) for name in names]
        for device in self.world.devices:
            if device.name not in names:
                checkers.resume(device.key, device.chests[-1].shelf)
        return checkers, devices

    def _copied(self, device: Device, checkers: Checkers) -> Device:
        power, chest = Power(), device.chests[-1]
        keystore = PoweredKeystore(self.world.scheme, chest.keystore.secret, power)
        keystore.head = chest.keystore.head
        store = PoweredStore(power, chest.store.log)
        store.journal = list(chest.store.journal)
        copy = Chest(keystore, store, checkers.resume(chest.key, chest.shelf))
        return Device(device.name, self.world.scheme, device.profile, copy, power)

    def first(self, duo: Duo, plan: TapPlan) -> SimTap:
        """Play the flow's own tap."""
        amount = 5 if self.flow.refunds else 9
        return duo.tap(FIRST, amount, plan, starts=self.flow.payer_starts, refund_of=self.refund_of)

    def second(self, duo: Duo, plan: TapPlan) -> SimTap:
        """Play the tap that recovers."""
        return duo.tap(NEXT, 3, plan, starts=not self.flow.payer_starts)


def plans(play: Callable[[TapPlan], SimTap], stride: int = 1) -> Iterator[TapPlan]:
    """Yield every fault of a tap that ``play`` plays: of a frame's bytes every ``stride``-th, and its ends."""
    for side in (0, 1):
        for write in range(64):
            for after in (False, True):
                cuts = ((write, after), None) if side == 0 else (None, (write, after))
                plan = TapPlan(cuts=cuts)
                if not play(plan).faults:
                    break
                yield plan
            else:
                continue
            break
    lengths = play(TapPlan()).lengths
    for frame, length in enumerate(lengths):
        for kind in ("lose", "twice", "late"):
            yield TapPlan(LinkFault(kind, frame))
        for byte in sorted({*range(0, length, stride), length - 1}):
            yield TapPlan(LinkFault("tear", frame, byte))


@dataclass
class Counted:
    """What was tried: single faults, second faults as played, and pairs that these stand for; different states."""

    flow: str
    singles: int = 0
    played: int = 0
    pairs: int = 0
    states: int = 0
    failures: list[str] = field(default_factory=list[str])


def exhaust(flow: Flow, suite: str = "stub", stride: int = 1, doubles: bool = True, first_stride: int = 1) -> Counted:
    """Try every fault of a flow, alone and followed by another.

    Of the bytes at which a frame is torn, every ``first_stride``-th is tried, and while recovering every ``stride``-th.
    """
    return exhaust_on(flow.name, lambda: Stage(flow, suite), stride, doubles, first_stride)


def exhaust_on(name: str, stage: Callable[[], Stage], stride: int, doubles: bool, first_stride: int) -> Counted:
    """Try every fault of the flow on a stage, as :func:`exhaust`."""
    counted = Counted(name)
    try:
        _exhaust(stage(), stride, doubles, first_stride, counted)
    except Exception as error:
        counted.failures.append(f"{name}: {type(error).__name__} {error}")
    return counted


def _exhaust(stage: Stage, stride: int, doubles: bool, first_stride: int, counted: Counted) -> None:
    states: dict[bytes, TapPlan] = {}
    led: dict[bytes, int] = {}

    def alone(plan: TapPlan) -> SimTap:
        return stage.first(stage.duo(), plan)

    for plan in plans(alone, first_stride):
        duo = stage.duo()
        stage.first(duo, plan)
        state = duo.state()
        states.setdefault(state, plan)
        led[state] = led.get(state, 0) + 1
        counted.singles += 1
        _settled(duo, counted, plan)
    counted.states = len(states)
    for state, plan in states.items() if doubles else ():
        _doubles(stage, plan, led[state], stride, counted)


def _doubles(stage: Stage, first: TapPlan, weight: int, stride: int, counted: Counted) -> None:
    """Try every second fault after this first one, for all the first ones that led to the same state."""

    def again(plan: TapPlan) -> SimTap:
        duo = stage.duo()
        stage.first(duo, first)
        return stage.second(duo, plan)

    for plan in plans(again, stride):
        duo = stage.duo()
        stage.first(duo, first)
        stage.second(duo, plan)
        counted.played += 1
        counted.pairs += weight
        _settled(duo, counted, first, plan)


def _settled(duo: Duo, counted: Counted, *played: TapPlan) -> None:
    try:
        duo.settle()
    except Exception as error:
        counted.failures.append(f"{counted.flow}: {played}: {type(error).__name__} {error}")
