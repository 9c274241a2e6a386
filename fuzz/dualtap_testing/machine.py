"""``TapMachine``: a device of yours in every trouble that Hypothesis can think of, and the promises after each step.

    class MyCard(TapMachine):
        def device(self, scheme):
            return MyDevice(...)          # what it must be able to do: dualtap_testing.candidate.Device

    TestMyCard = MyCard.TestCase

A failure is shrunk to the few steps that bring it about, and its last line says which promise is broken. Step by step:
``docs/testing-your-device.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from dualtap.context import Charge, Pay
from dualtap.issued import Carrier
from dualtap.statements import Transfer
from dualtap_testing.candidate import Device, Reference, Restarts, Syncs
from dualtap_testing.checked import Unfit
from dualtap_testing.counter import Counter, Fate, Fault
from dualtap_testing.seeded import SeededScheme
from dualtap_testing.shortest import FAILURES, Step, shortest

F = TypeVar("F", bound=Callable[..., None])
amounts = st.integers(1, 5)
peers = st.integers(0, 1)
starts = st.booleans()
frames = st.integers(1, 5)
fates = st.sampled_from([Fate.CUT_SHORT, Fate.TWICE, Fate.POWER])


def step(**given: st.SearchStrategy[Any]) -> Callable[[F], F]:
    """Make a method a rule that :func:`run_machine` can play again: in a subclass, write this in place of ``rule``."""

    def decorated(function: F) -> F:
        return cast("F", cast("Any", rule)(**given)(_noted(function)))

    return decorated


def _noted(function: F) -> F:
    @wraps(function)
    def noted(self: TapMachine, **given: object) -> None:
        self.story.append(Step(function.__name__, given))
        function(self, **given)

    return cast("F", noted)


class Tried(NamedTuple):
    """A sale that may be tried again: our wallet, what was asked, and whether the device pays."""

    peer: int
    charge: Charge
    device_pays: bool


class TapMachine(RuleBasedStateMachine):
    """Pays, charges, tears, cuts the power, refunds and syncs a device; after each step checks what is promised.

    It is seen from outside: by what crosses, by the wallets on our side, and by the ledger. At the end of each story
    the device heals with everybody, and must be able to pay all that is its own.
    """

    suite = "p256"
    """The scheme's suite: ``p256`` or ``ed25519``."""
    carrier: Carrier | str = Carrier.CARD
    """What the device's certificate says that it is, such as ``"watch"``."""
    pays = True
    """Whether the device pays."""
    collects = True
    """Whether the device collects."""
    initiates = True
    """Whether the device can speak first. One that cannot, such as a card, is spoken to whatever a step says."""

    def __init__(self) -> None:
        super().__init__()
        if not (self.pays or self.collects):
            raise Unfit(f"{type(self).__name__} neither pays nor collects: there is nothing to play")
        self.scheme = SeededScheme("TapMachine", self.suite)
        self.counter = Counter(self.scheme, self.device(self.scheme), 2, self.carrier, self.initiates)
        self.tried: list[Tried] = []
        self.story: list[Step] = []
        self._closed = False

    def device(self, scheme: SeededScheme) -> Device:
        """Return the device under test, as it leaves the factory; ours, unless a subclass says otherwise.

        Called at the beginning of each story. ``scheme.scheme`` is what it is personalised for, and ``scheme.draw()``
        gives bytes that are the same in every run: a device that takes its randomness from there fails the same way.
        """
        return Reference(scheme)

    # Steps

    @initialize(balance=st.integers(1, 10))
    @_noted
    def begins(self, balance: int) -> None:
        """The device gets its first money."""
        self.counter.fund(balance)

    @step(amount=amounts)
    def gets_money(self, amount: int) -> None:
        """The issuer gives the device a token."""
        if len(self.counter.witness.known.tokens) < 12:
            self.counter.fund(amount)

    @precondition(lambda self: self.pays)
    @step(amount=amounts, peer=peers, starts=starts)
    def device_pays(self, amount: int, peer: int, starts: bool) -> None:
        """The device pays, and nothing goes wrong: it pays what it has."""
        self._pay(Tried(peer, self.scheme.charge(amount), True), starts, None)

    @precondition(lambda self: self.pays)
    @step(amount=amounts, peer=peers, starts=starts, frame=frames)
    def device_pays_torn(self, amount: int, peer: int, starts: bool, frame: int) -> None:
        """The device pays, and the link is gone from this frame on, counted from 1 in both directions together."""
        self._pay(Tried(peer, self.scheme.charge(amount), True), starts, Fault(frame))

    @precondition(lambda self: self.pays)
    @step(amount=amounts, peer=peers, starts=starts, frame=frames, fate=fates)
    def device_pays_badly(self, amount: int, peer: int, starts: bool, frame: int, fate: Fate) -> None:
        """The device pays, and a frame is cut short or comes twice, or is lost since the device's power fails."""
        self._pay(Tried(peer, self.scheme.charge(amount), True), starts, Fault(frame, fate))

    @precondition(lambda self: self.collects)
    @step(amount=amounts, peer=peers, starts=starts)
    def device_collects(self, amount: int, peer: int, starts: bool) -> None:
        """The device collects, and nothing goes wrong: it is paid."""
        self.counter.fund_peer(peer, amount)
        self._collect(Tried(peer, self.scheme.charge(amount), False), starts, None)

    @precondition(lambda self: self.collects)
    @step(amount=amounts, peer=peers, starts=starts, frame=frames)
    def device_collects_torn(self, amount: int, peer: int, starts: bool, frame: int) -> None:
        """The device collects, and the link is gone from this frame on, counted from 1 in both directions together."""
        self.counter.fund_peer(peer, amount)
        self._collect(Tried(peer, self.scheme.charge(amount), False), starts, Fault(frame))

    @precondition(lambda self: self.collects)
    @step(amount=amounts, peer=peers, starts=starts, frame=frames, fate=fates)
    def device_collects_badly(self, amount: int, peer: int, starts: bool, frame: int, fate: Fate) -> None:
        """The device collects, and a frame is cut short or comes twice, or is lost since the device's power fails."""
        self.counter.fund_peer(peer, amount)
        self._collect(Tried(peer, self.scheme.charge(amount), False), starts, Fault(frame, fate))

    @precondition(lambda self: self.tried)
    @step(sale=st.integers(0, 3), peer=peers, starts=starts)
    def a_sale_is_tried_again(self, sale: int, peer: int, starts: bool) -> None:
        """The same basket is tapped once more, if the device collects perhaps by another of our wallets."""
        one = self.tried[-1 - sale % len(self.tried)]
        if one.device_pays:
            self.counter.pay(one.peer, one.charge, first=starts)
        else:
            self.counter.fund_peer(peer, one.charge.amount)
            self.counter.collect(peer, one.charge, first=starts)

    @precondition(lambda self: self.pays and self.collects and self.counter.received())
    @step(which=st.integers(0, 3), starts=starts)
    def device_refunds(self, which: int, starts: bool) -> None:
        """The device gives back a unit of what it was paid."""
        payments = self.counter.received()
        payment = payments[-1 - which % len(payments)]
        peer = self.counter.peer_with(payment.key)
        if peer is not None and self.counter.payable():
            self.counter.pay(peer, self.scheme.charge(1), pay=Pay(payment.id, 1), first=starts)

    @precondition(lambda self: self.pays and self.collects and self.counter.paid())
    @step(which=st.integers(0, 3), starts=starts)
    def device_is_refunded(self, which: int, starts: bool) -> None:
        """One of our wallets gives the device back a unit of what it was paid."""
        payments = self.counter.paid()
        payment = payments[-1 - which % len(payments)]
        peer = self.counter.peer_with(payment.body.payee)
        if peer is not None and self._refundable(peer, payment):
            self.counter.collect(peer, self.scheme.charge(1), pay=Pay(payment.id, 1), first=starts)

    @precondition(lambda self: isinstance(self.counter.device, Restarts))
    @step()
    def device_restarts(self) -> None:
        """The device is switched off and on between two taps."""
        self.counter.restart()

    @precondition(lambda self: isinstance(self.counter.device, Syncs))
    @step()
    def device_syncs(self) -> None:
        """The device syncs with the issuer."""
        self.counter.sync()

    @step(peer=peers)
    def peer_syncs(self, peer: int) -> None:
        """One of our wallets syncs with the issuer: what it was shown is there from now on."""
        self.counter.sync_peer(peer)

    def teardown(self) -> None:
        """End the story, and let the device close."""
        try:
            self.ends()
        finally:
            self.close()

    def close(self) -> None:
        """Let the device close: once, whatever became of the story."""
        if not self._closed:
            self._closed = True
            self.counter.close()

    def ends(self) -> None:
        """Let the device heal with everybody, and pay all that is its own; let everybody sync; see who is named."""
        if not self.counter.sound:
            return
        for peer in range(len(self.counter.peers)):
            if self.pays:
                self.counter.pay(peer, self.scheme.charge(1))
            if self.collects:
                self.counter.fund_peer(peer, 1)
                self.counter.collect(peer, self.scheme.charge(1))
        if self.pays:
            self.counter.spend_all()
        for peer in range(len(self.counter.peers)):
            self.counter.sync_peer(peer)
        self.counter.sync()

    def _pay(self, tried: Tried, starts: bool, fault: Fault | None) -> None:
        due = self.counter.payable()
        self.tried.append(tried)
        tapped = self.counter.pay(tried.peer, tried.charge, first=starts, fault=fault)
        if fault is None and tried.charge.amount <= due:
            self.counter.check_paid(tapped, tried.charge.amount)

    def _collect(self, tried: Tried, starts: bool, fault: Fault | None) -> None:
        self.tried.append(tried)
        tapped = self.counter.collect(tried.peer, tried.charge, first=starts, fault=fault)
        if fault is None:
            self.counter.check_paid(tapped, tried.charge.amount)

    def _refundable(self, peer: int, payment: Transfer) -> bool:
        taken = self.counter.peers[peer].book.taken.get(payment.id)
        return taken is not None and taken.refunded < taken.amount


def run_machine(machine: type[TapMachine], stories: int = 100, steps: int = 10, *, fixed: bool = True) -> None:
    """Play ``stories`` of up to ``steps`` steps; raise the first failure, with the shortest story that leads to it.

    ``fixed`` plays the same stories in every run, which suits a gate; without it each run plays others. For whoever
    wants Hypothesis's own settings and shrinking there is ``machine.TestCase``.
    """
    given = cast("object", machine)
    if not (isinstance(given, type) and issubclass(given, TapMachine)):
        raise Unfit("run_machine takes your subclass of TapMachine itself, as in run_machine(MyMachine)")
    failed: list[TapMachine] = []

    class Played(machine):  # type: ignore[valid-type, misc]
        def __init__(self) -> None:
            failed.clear()
            super().__init__()
            failed.append(self)

    Played.__name__ = Played.__qualname__ = machine.__name__
    try:
        run_state_machine_as_test(
            Played,
            settings=settings(
                max_examples=stories,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                derandomize=fixed,
                print_blob=False,
                report_multiple_bugs=False,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
            ),
        )
    except FAILURES:
        found = shortest(machine, tuple(failed[0].story)) if failed else None
        if found is None:
            raise
        found.error.add_note("The shortest story that was found:")
        for line in found.lines(machine.__name__):
            found.error.add_note(line)
        raise found.error from None
