"""A device under test between a few of our wallets: taps that fail as told, and what must be true after each.

:class:`Counter` is what :class:`~dualtap_testing.machine.TapMachine` plays with, and what a test of your own may use
without Hypothesis. It sees what crosses, the wallets on our side and the ledger; never into the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code
from dualtap.events import Report, Result
from dualtap.issued import Carrier, Token
from dualtap.statements import Transfer
from dualtap_devices.driver import Driver
from dualtap_devices.wallet import Wallet
from dualtap_testing.candidate import Closes, Device, Restarts, Syncs, Talker
from dualtap_testing.checked import Checked, asking, carrier_of, check_device
from dualtap_testing.overhear import Ear, Said, Witness
from dualtap_testing.promises import accepts
from dualtap_testing.seeded import SeededScheme
from dualtap_testing.trace import Trace, attach


class Fate(Enum):
    """What becomes of one frame; after all but ``TWICE`` the link is gone."""

    LOST = "lost"
    CUT_SHORT = "cut short"
    TWICE = "twice"
    POWER = "lost in a power cut"


class Fault(NamedTuple):
    """The ``frame``-th frame of a tap, counted from 1 in both directions together, has this fate."""

    frame: int
    fate: Fate = Fate.LOST


class Heard(NamedTuple):
    """One frame of a tap: who sent it, what was in it, and its fate if it had one."""

    by_device: bool
    said: Said
    fate: Fate | None


class Tapped(NamedTuple):
    """One tap: how our side says that it ended, and what crossed."""

    report: Report
    frames: tuple[Heard, ...]


class Broken(AssertionError):
    """The device under test has broken a promise."""


class Counter:
    """One device, ``peers`` of our wallets, and everything that was said."""

    def __init__(
        self,
        scheme: SeededScheme,
        device: Device,
        peers: int = 2,
        carrier: Carrier | str = Carrier.CARD,
        initiates: bool = True,
    ) -> None:
        """Make the device ready, without money. One that never ``initiates`` is always spoken to.

        Raises :class:`~.checked.Unfit` for what can be no device.
        """
        check_device(device, scheme.suite)
        self.scheme, self.device, self.initiates = scheme, device, initiates
        self.peers: list[Wallet] = [scheme.wallet(0, Carrier.POS) for _ in range(peers)]
        self.witness = Witness(self.peers[0].book.trust)
        self.taps: list[Tapped] = []
        self.trace = scheme.trace or Trace()
        """What crossed, as a chart; what is raised here carries it along, for the pytest plugin's ``--tap-trace``."""
        self.sound = True
        """Whether everything so far has ended as it must."""
        self._news = scheme.news(device.public, carrier_of(carrier))
        self._load()

    # What can be done

    def fund(self, amount: int) -> None:
        """Give the device a token of ``amount`` minor units."""
        token = self.scheme.token(self.device.public, amount)
        self.witness.known.tokens[self.witness.trust.token_id(token)] = token
        self._load(token)

    def fund_peer(self, peer: int, amount: int) -> None:
        """Give one of our wallets a token."""
        token = self.scheme.fund(self.peers[peer], amount)
        self.witness.known.tokens[self.witness.trust.token_id(token)] = token

    def pay(
        self, peer: int, charge: Charge, *, pay: Pay | None = None, first: bool = True, fault: Fault | None = None
    ) -> Tapped:
        """Let the device pay one of our wallets; ``first`` says that it speaks first."""
        with self._holding():
            return self._tap(peer, pay or Pay(), charge, first, fault)

    def collect(
        self, peer: int, charge: Charge, *, pay: Pay | None = None, first: bool = True, fault: Fault | None = None
    ) -> Tapped:
        """Let the device collect from one of our wallets."""
        with self._holding():
            return self._tap(peer, charge, pay or Pay(), first, fault)

    def sync_peer(self, peer: int) -> None:
        """Let one of our wallets sync."""
        with self._holding():
            self.scheme.sync_wallet(self.peers[peer])
            self.check_ledger()

    def sync(self) -> None:
        """Let the device sync, if it can."""
        if isinstance(self.device, Syncs):
            with self._holding():
                with asking("sync"):
                    self.device.sync(self.scheme)
                self._read_ledger()
                self.check()
                self.check_ledger()

    def restart(self) -> None:
        """Switch the device off and on, if it can be."""
        if isinstance(self.device, Restarts):
            with self._holding():
                self._restart(self.device)

    def close(self) -> None:
        """Let the device let go of what it has open, if it has anything. Nothing can be done with it then."""
        if isinstance(self.device, Closes):
            with asking("close"):
                self.device.close()

    @contextmanager
    def _holding(self) -> Generator[None]:
        """Remember whether this went through: after what has failed, nothing can be said of the rest."""
        self.sound = False
        try:
            yield
        except BaseException as error:
            self.sound = False
            attach(error, self.trace.chart())
            raise
        finally:
            self.trace.carried = False
        self.sound = True

    def _restart(self, device: Restarts) -> None:
        with asking("restart"):
            device.restart()

    def _load(self, *tokens: Token) -> None:
        with self._holding(), asking(f"load {'a token' if tokens else 'its certificate'}"):
            self.device.load(self._news, tokens)

    def _tap(self, peer: int, ours: Order, theirs: Order, first: bool, fault: Fault | None) -> Tapped:
        """Run a tap in which the device is told ``ours`` and our wallet ``theirs``; then check every promise."""
        wallet, first = self.peers[peer], first and self.initiates
        ephemeral = self.scheme.suite.ephemeral(self.scheme.draw())
        driver = Driver(wallet, theirs, not first, ephemeral, self.scheme.draw(), clock=self.scheme.clock)
        ear = Ear(self.scheme.scheme, ephemeral, initiator=not first)
        self.witness.begin()
        self.trace.carried = True
        name = f"pos {peer + 1}"
        self.trace.began(f"tap {len(self.taps) + 1}: {_told(ours, theirs, first)}", "the device", name)
        frames: list[Heard] = []

        def heard(by_device: bool, frame: bytes, fate: Fate | None) -> None:
            said = ear.hear(by_device == first, frame)
            keys = (self.device.public, wallet.book.key)
            sender, receiver = keys if by_device else keys[::-1]
            self.witness.hear(ear, said, sender, receiver, fate in {None, Fate.TWICE})
            frames.append(Heard(by_device, said, fate))
            self.trace.crossed(by_device, said, _ARRIVED.get(fate, 0), "" if fate is None else fate.value)

        with asking(f"tap, as the side that {'speaks first' if first else 'is spoken to'}"):
            talker: object = self.device.tap(ours, first)
        device = Checked(talker)
        carry(device, driver, first, fault, heard)
        lost = fault is not None and len(frames) >= fault.frame
        if lost and fault is not None and fault.fate is Fate.POWER and isinstance(self.device, Restarts):
            self._restart(self.device)
            device.let_go()
        else:
            device.stop(Code.LINK_LOST)
        driver.stop(Code.LINK_LOST)
        tapped = Tapped(driver.result, tuple(frames))
        self.trace.ended(name, tapped.report)
        self.taps.append(tapped)
        self._read_peers()
        self.check()
        if not lost:
            self.check_healed(peer)
        return tapped

    # What follows from it

    def payable(self) -> int:
        """Return the minor units that the device must be able to pay, by all that was said."""
        return sum(
            hops < limits.HOPS and restored <= limits.WARRANTS
            for hops, restored in (self.witness.path(place.parent) for place in self.witness.held(self.device.public))
        )

    def received(self) -> list[Transfer]:
        """Return the payments to the device that it accepted, oldest first."""
        return self._accepted(lambda transfer: transfer.body.payee == self.device.public)

    def paid(self) -> list[Transfer]:
        """Return the device's payments that were accepted, oldest first."""
        return self._accepted(lambda transfer: transfer.key == self.device.public)

    def _accepted(self, wanted: Callable[[Transfer], bool]) -> list[Transfer]:
        known = self.witness.known
        return [item for item in known.transfers.values() if wanted(item) and known.accepted(item)]

    def peer_with(self, key: bytes) -> int | None:
        """Return which of our wallets has this key."""
        return next((number for number, peer in enumerate(self.peers) if peer.book.key == key), None)

    def _read_peers(self) -> None:
        """Take in what our wallets decided without saying it: a request that is closed is dead for the payer too."""
        for peer in self.peers:
            for request, question in peer.book.questions.items():
                if question.outcome is not None:
                    self.witness.known.answers[peer.book.key, request].add(accepts(question.outcome))

    def _read_ledger(self) -> None:
        """Take in what the device uploaded, and was told in return."""
        facts, known = self.scheme.ledger.facts(), self.witness.known
        for transfer in facts.transfers.values():
            if transfer.key == self.device.public and transfer.id not in known.transfers:
                known.transfers[transfer.id] = transfer
        for outcome in facts.outcomes.values():
            known.answers[outcome.key, outcome.body.request].add(accepts(outcome))
            self.witness.told |= {one for one, request in known.requests.items() if request == outcome.body.request}

    # What is promised

    def check(self) -> None:
        """Check what must hold after every tap: nobody contradicts itself, and no basket is paid twice (SPEC §1)."""
        known, key = self.witness.known, self.device.public
        for name in sorted(known.names()):
            who = "the device" if name.key == key else "one of our own wallets"
            raise Broken(f"{who} {_CHEATS[name.fraud]}")
        for transfer in known.transfers.values():
            if transfer.key == key and not known.good(transfer):
                raise Broken("the device signed a transfer of units that it does not own, or of one unit twice")
        paid: dict[tuple[bytes, int], set[bytes]] = {}
        for request, sale in self.witness.sales.items():
            if sale.payee == key:
                accepted = known.answers.get((key, request), set()) - {b""}
                paid.setdefault((sale.basket, sale.part), set()).update(accepted)
        if any(len(accepted) > 1 for accepted in paid.values()):
            raise Broken("the device accepted two payments for one basket")

    def check_healed(self, peer: int) -> None:
        """Check what one tap without a fault must leave: nothing in doubt between these two (SPEC §1-4)."""
        book, key = self.peers[peer].book, self.device.public
        if book.pending_to(key):
            raise Broken("a clean tap left our payment to the device in doubt")
        for sent, request in self.witness.known.requests.items():
            transfer = self.witness.known.transfers[sent]
            mine = transfer.key == key and transfer.body.payee == book.key
            if mine and request and sent not in self.witness.told:
                raise Broken("after a clean tap the device still has a payment in doubt: it did not show it again")

    def check_ledger(self) -> None:
        """Check that the ledger names nobody."""
        named = {conflict.key for conflict in self.scheme.ledger.conflicts()}
        if self.device.public in named:
            raise Broken("the ledger names the device, by what was uploaded")
        if named:
            raise Broken("the ledger names one of our own wallets, by what was uploaded")

    def check_paid(self, tapped: Tapped, due: int) -> None:
        """Check that a clean tap paid what it could."""
        with self._holding():
            if tapped.report.result not in {Result.COLLECTED, Result.PAID}:
                raise Broken(f"a clean tap did not pay {due}: {_ended(tapped.report)}")

    def spend_all(self) -> None:
        """Check that the device can pay all that is its own: what it cannot pay is lost to its owner (SPEC §1-2)."""
        with self._holding():
            due = self.payable()
            parts = [due] if due else []
            while parts:
                amount = parts.pop()
                tapped = self.pay(0, self.scheme.charge(amount))
                if tapped.report.result is Result.COLLECTED:
                    continue
                if amount == 1:
                    lost = f"of {due} units that are the device's own it cannot pay {sum(parts) + 1}"
                    raise Broken(f"{lost}: {_ended(tapped.report)}")
                parts += [amount - amount // 2, amount // 2]


def carry(
    device: Talker,
    ours: Talker,
    device_first: bool,
    fault: Fault | None,
    heard: Callable[[bool, bytes, Fate | None], None],
) -> None:
    """Carry frames between a device and our side until nothing more is said, or the link is gone."""
    waiting: deque[tuple[bool, bytes]] = deque()
    for by_device in (not device_first, device_first):
        side = device if by_device else ours
        waiting.extend((by_device, frame) for frame in side.begin())
    count = 0
    while waiting:
        by_device, frame = waiting.popleft()
        receiver = ours if by_device else device
        count += 1
        fate = fault.fate if fault is not None and count == fault.frame else None
        heard(by_device, frame, fate)
        arrives = {
            None: [frame],
            Fate.LOST: [],
            Fate.POWER: [],
            Fate.CUT_SHORT: [frame[: len(frame) // 2]],
            Fate.TWICE: [frame, frame],
        }[fate]
        for item in arrives:
            if not receiver.ended:
                waiting.extend((not by_device, answer) for answer in receiver.receive(item))
        if fate is not None and fate is not Fate.TWICE:
            for by, answer in waiting:
                heard(by, answer, Fate.LOST)
            return


def _ended(report: Report) -> str:
    result, why = report.result.value.replace("_", " "), getattr(report.code, "name", report.code)
    return f"for our side the tap ended as {result}{'' if why is None else f' ({why})'}"


def _told(ours: Order, theirs: Order, first: bool) -> str:
    charge = ours if isinstance(ours, Charge) else theirs
    amount = charge.amount if isinstance(charge, Charge) else 0
    does = "collects" if isinstance(ours, Charge) else "pays"
    return f"the device {does} {amount}, {'speaking first' if first else 'spoken to'}"


_ARRIVED = {None: 1, Fate.TWICE: 2}
_CHEATS = {
    "fork": "signed two transfers of the same units",
    "tape_fork": "signed two statements at one place of its tape",
    "two_outcomes": "gave two different outcomes to one request",
    "dead_spent": "spent what it had refused to accept",
}
