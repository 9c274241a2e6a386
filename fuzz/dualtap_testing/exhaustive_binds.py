"""Every single fault of an owner's session (SPEC §23), and every second fault while it is had again, or by a rival.

A phone binds a card, looks at it, limits it, lets it go; meanwhile a payment between both is in doubt. Whatever fails:
a card has one owner at most and answers nobody else, what its owner keeps is what the card had durable first, one clean
session of the same wish makes both agree, and no value moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dualtap.errors import Code
from dualtap.owning import Bond, Look, Release, Restrain, Told, Wish
from dualtap.suite import Ephemeral
from dualtap_devices.owning import Session
from dualtap_testing.devices import Device
from dualtap_testing.exhaustive import Counted, Duo, Flow, Stage, exhaust_on, fresh
from dualtap_testing.reading import Raw, untaped_id
from dualtap_testing.taps import Air, Side, SimTap, TapPlan
from dualtap_testing.tied import TieBroken, Ties, check

OWNER, CARD, RIVAL = "ben", "card", "market"


class TieFlow(NamedTuple):
    """A session, after a clean one to bind if ``bound``; and who recovers from its fault, by which wish."""

    name: str
    wish: Wish
    bound: bool = True
    rival: bool = False
    """Whether a rival binds the card second, rather than the owner who tries again."""


TIES: tuple[TieFlow, ...] = (
    TieFlow("bind", Bond(), bound=False),
    TieFlow("bind, then a rival", Bond(), bound=False, rival=True),
    TieFlow("look", Look(4)),
    TieFlow("limit", Restrain(payment=50, day=90)),
    TieFlow("unbind", Release()),
    TieFlow("unbind, then a rival", Release(), rival=True),
)


class SimSession(SimTap):
    """An owner's session in place of a tap: the owner in the place of the payer, the wallet in the payee's."""

    def __init__(self, owner: Side, wallet: Side, wish: Wish, plan: TapPlan, air: Air) -> None:
        super().__init__(owner, wallet, True, plan, air)
        self._wish = wish

    def driver(self, side: Side) -> Session:
        """Return the session's end of this side; its person presses the button."""
        device = side.device
        wish = self._wish if side is self.payer else None
        return Session.of(device.wallet, wish, side.ephemeral, clock=lambda: device.clock(self.air.now))

    @property
    def told(self) -> Told:
        """How it ended for the owner; as a link that was lost, if its power went."""
        driver = self.payer.driver
        return driver.told if isinstance(driver, Session) and driver.told is not None else Told(Code.LINK_LOST)


@dataclass
class Household(Duo):
    """A phone, its card, and a rival who wants the card."""

    rival: Device
    flow: TieFlow

    @property
    def devices(self) -> tuple[Device, ...]:
        """Every device that this trial may change."""
        return (self.payer, self.payee, self.rival)

    def meet(self, owner: Device, wish: Wish, name: bytes, plan: TapPlan) -> SimSession:
        """Have one session with the card, and look at every store: the ties, and that nothing else changed."""
        ends = [Side(one, None, self._ephemeral(name, number), b"") for number, one in enumerate((owner, self.payee))]
        value = self._value()
        session = SimSession(ends[0], ends[1], wish, plan, self.air)
        session.run()
        self.read()
        self.ties()
        if self._value() != value:
            raise TieBroken("value moved in an owner's session")
        return session

    def _ephemeral(self, name: bytes, number: int) -> Ephemeral:
        return self.world.suite.ephemeral(fresh(name, number))

    def _value(self) -> object:
        """Return what everybody holds and doubts, and how far each keystore has signed."""
        chests = [device.chests[-1] for device in self.devices]
        return [(dict(one.shelf.held), sorted(one.shelf.pending), one.keystore.head) for one in chests]

    def ties(self) -> tuple[Ties, Ties, Ties]:
        """Return who owns whom, by the stores; raise :class:`TieBroken` where they contradict each other."""
        owner, card, rival = (Ties.of(one.key, one.chests[-1].store.journal) for one in self.devices)
        check(card, (owner, rival), self._verify)
        said = self.payee.wallet.book.ties
        if (said.owner, said.number) != (card.owner, card.number):
            raise TieBroken("a card says another owner than its store")
        for device, found in ((self.payer, owner), (self.rival, rival)):
            if {key: tied.number for key, tied in device.wallet.book.ties.owned.items()} != {
                key: kept.number for key, kept in found.owned.items()
            }:
                raise TieBroken("an owner says that it owns other wallets than its store")
        return owner, card, rival

    def _verify(self, statement: Raw) -> None:
        self.world.suite.verifier(statement[1])(statement[4], untaped_id(self.world.scheme.id, statement))

    def settle(self) -> None:
        """One clean session of the same wish, and both agree; then nobody else is answered, and value is as it was."""
        self.ties()
        self._agree()
        self._only_its_owner()
        super().settle()

    def _agree(self) -> None:
        """Promise 4 of ties: the wish is had again, and both sides say the same, unless a rival was quicker."""
        free, before = isinstance(self.flow.wish, Release), self.ties()
        taken, done = before[1].owner == self.rival.key, free and before[1].key not in before[0].owned
        session = self.meet(self.payer, self.flow.wish, b"the wish again", TapPlan())
        if session.told.code != (Code.BOUND if taken else Code.NOT_BOUND if done else None):
            raise TieBroken(f"a clean session ends with {session.told.code!r}")
        for device in self.devices:
            device.reopen()
        owner, card, _ = self.ties()
        if taken:
            return
        kept = owner.owned.get(card.key)
        if free and (card.owner or kept is not None):
            raise TieBroken("an end of a tie was not carried through")
        if not free and (card.owner != owner.key or kept is None or kept.number != card.number):
            raise TieBroken("a tie was not carried through")
        if isinstance(self.flow.wish, Restrain):
            here = self.payee.wallet.book.ties.restraint()
            if (here.payment, here.day) != (self.flow.wish.payment, self.flow.wish.day):
                raise TieBroken("a limit was not carried through")

    def _only_its_owner(self) -> None:
        """Whoever does not own the card is refused, is told nothing of it, and changes nothing."""
        card = self.ties()[1]
        for one in (self.payer, self.rival):
            if card.owner in (b"", one.key):
                continue
            for wish in (Bond(), Look(4), Restrain(frozen=True), Release()):
                before = [list(chest.store.journal) for chest in (self.payee.chests[-1], one.chests[-1])]
                session = self.meet(one, wish, b"nobody's wish", TapPlan())
                after = [list(chest.store.journal) for chest in (self.payee.chests[-1], one.chests[-1])]
                if session.told.code != Code.BOUND or session.told.peer is not None or before != after:
                    raise TieBroken("a card answers another than its owner")


class TieStage(Stage):
    """One flow of an owner's session, ready to be played again and again from the same beginning."""

    def __init__(self, flow: TieFlow, suite: str) -> None:
        super().__init__(Flow(flow.name, OWNER, CARD, torn=2), suite)
        self._tie = flow
        if flow.bound:
            house = self.duo()
            house.meet(house.payer, Bond(), b"before all that", TapPlan())
            self.people |= {one.name: one for one in house.devices}
            self.world.checkers = house.checkers

    def duo(self) -> Household:
        """Return the three devices as they are when the flow begins."""
        checkers, (owner, card, rival) = self.copies(OWNER, CARD, RIVAL)
        return Household(self.world, checkers, owner, card, Air(self.now), rival, self._tie)

    def first(self, duo: Duo, plan: TapPlan) -> SimTap:
        """Play the flow's own session."""
        assert isinstance(duo, Household)
        return duo.meet(duo.payer, self._tie.wish, b"the first wish", plan)

    def second(self, duo: Duo, plan: TapPlan) -> SimTap:
        """Play the session that recovers, or a rival's."""
        assert isinstance(duo, Household)
        if self._tie.rival:
            return duo.meet(duo.rival, Bond(), b"a rival's wish", plan)
        return duo.meet(duo.payer, self._tie.wish, b"the next wish", plan)


def exhaust_tie(
    flow: TieFlow, suite: str = "stub", stride: int = 1, doubles: bool = True, first_stride: int = 1
) -> Counted:
    """Try every fault of this flow, as :func:`~dualtap_testing.exhaustive.exhaust` does."""
    return exhaust_on(flow.name, lambda: TieStage(flow, suite), stride, doubles, first_stride)
