"""A device under test is seen from outside: each planted bug breaks the promise that it should, and ours none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from dualtap.context import Order, Pay
from dualtap.errors import Code
from dualtap.events import Result
from dualtap.keystore import Head
from dualtap.limits import CARD
from dualtap.logcodec import decoder
from dualtap.records import Answered, Sent
from dualtap_devices.driver import Driver, run
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from dualtap_testing.candidate import Linked, Reference, Spoken, Talker
from dualtap_testing.counter import Broken, Counter, Fate, Fault
from dualtap_testing.differential import PAYEE, PAYER, Different, compare
from dualtap_testing.machine import TapMachine, run_machine
from dualtap_testing.seeded import STORE, SeededScheme
from dualtap_testing.shortest import Step, played, shortest
from dualtap_testing.trace import Trace
from dualtap_transports.loopback import pair

LOST_TRANSFER, LOST_RECEIPT = Fault(3), Fault(4)
"""Of a tap in which the payer speaks first."""


class Patched(Reference):
    """Our device, whose memory can be changed between two taps."""

    def remember(self, keep: Callable[[object], bool]) -> None:
        """Come back with those records only; the chip forgets what it signed last, for it would tell."""
        decode = decoder(self.wallet.book.scheme.id)
        store = MemoryStore.open(STORE)
        store.append([raw for raw in self.wallet.store.records if keep(decode(raw))])
        keystore = self.wallet.keystore
        assert isinstance(keystore, MemoryKeystore)
        keystore.head = Head(0, b"")
        self.wallet = Wallet(self.wallet.book.scheme, self.wallet.book.profile, keystore, store)
        self.wallet.quarantined = False


def counter(device: type[Reference] = Reference, balance: int = 0, peers: int = 2) -> Counter:
    scheme = SeededScheme("counter", "ed25519")
    found = Counter(scheme, device(scheme), peers)
    if balance:
        found.fund(balance)
    return found


@pytest.mark.parametrize(
    ("fate", "first"),
    [(Fate.LOST, True), (Fate.CUT_SHORT, False), (Fate.POWER, True)],
)
def test_ours_keeps_every_promise_whatever_becomes_of_one_frame(fate: Fate, first: bool) -> None:
    for frame in range(1, 6):
        story = counter(balance=3)
        story.pay(0, story.scheme.charge(1), first=first, fault=Fault(frame, fate))
        story.fund_peer(1, 1)
        story.collect(1, story.scheme.charge(1), first=first, fault=Fault(frame, fate))
        for peer in (0, 1):
            story.fund_peer(peer, 1)
            story.collect(peer, story.scheme.charge(1), first=not first)
        story.spend_all()
        story.sync()
        story.sync_peer(0)
        story.sync_peer(1)
        assert not story.payable()


def test_a_device_that_goes_back_to_an_old_copy_of_its_memory_spends_twice() -> None:
    class RollsBack(Patched):
        def restart(self) -> None:
            self.remember(lambda record: not isinstance(record, Sent))

    story = counter(RollsBack, balance=1)
    story.pay(0, story.scheme.charge(1), fault=Fault(3, Fate.POWER))
    with pytest.raises(Broken, match="two transfers of the same units"):
        story.pay(0, story.scheme.charge(1))
    assert not story.sound


def test_a_device_that_forgets_what_it_accepted_gives_two_outcomes_or_takes_the_basket_twice() -> None:
    class Forgets(Patched):
        def restart(self) -> None:
            self.remember(lambda record: not isinstance(record, Answered))

    story = counter(Forgets)
    story.fund_peer(0, 1)
    charge = story.scheme.charge(1)
    story.collect(0, charge, fault=Fault(5, Fate.POWER), first=True)
    story.device.restart()  # type: ignore[attr-defined]
    story.fund_peer(1, 1)
    with pytest.raises(Broken, match="accepted two payments for one basket"):
        story.collect(1, charge)


def test_a_device_that_never_shows_again_what_is_in_doubt_does_not_heal() -> None:
    class Moves(Reference):
        def stop(self) -> None:
            self.wallet.book.pending.clear()

    story = counter(Moves, balance=2)
    story.pay(0, story.scheme.charge(1), fault=LOST_RECEIPT)
    story.device.stop()  # type: ignore[attr-defined]
    with pytest.raises(Broken, match="did not show it again"):
        story.pay(0, story.scheme.charge(1))


def test_a_device_that_loses_its_money_cannot_pay_it() -> None:
    class Loses(Reference):
        def tap(self, order: Order, initiator: bool) -> Driver:
            self.wallet.book.holdings.clear()
            return super().tap(order, initiator)

    story = counter(Loses, balance=2)
    with pytest.raises(Broken, match="of 2 units that are the device's own it cannot pay 2"):
        story.spend_all()
    tapped = story.pay(0, story.scheme.charge(1))
    with pytest.raises(Broken, match=r"did not pay 1: for our side the tap ended as not paid \(INSUFFICIENT\)"):
        story.check_paid(tapped, 1)


def test_a_device_on_a_link_and_one_that_is_a_function_are_devices_too() -> None:
    class OnALink(Reference):
        def tap(self, order: Order, initiator: bool) -> Talker:  # type: ignore[override]
            driver, (near, far) = super().tap(order, initiator), pair()
            pool.submit(run, driver, far, 20.0)
            return Linked(near, initiator, 20.0)

    class AFunction(Reference):
        def tap(self, order: Order, initiator: bool) -> Talker:  # type: ignore[override]
            driver = super().tap(order, initiator)
            assert not initiator
            driver.begin()

            def answer(frame: bytes) -> bytes | None:
                frames: Sequence[bytes] = driver.receive(frame)
                return frames[0] if frames else None

            return Spoken(answer, lambda: driver.stop(Code.LINK_LOST))

    with ThreadPoolExecutor(1) as pool:
        for kind, first in ((OnALink, True), (OnALink, False), (AFunction, False)):
            story = counter(kind, balance=5)
            story.check_paid(story.pay(0, story.scheme.charge(2), first=first), 2)
            story.fund_peer(1, 3)
            story.check_paid(story.collect(1, story.scheme.charge(3), first=first), 3)
            assert story.payable() == 6


def test_a_device_that_only_answers_is_played_and_compared_whoever_is_to_speak_first() -> None:
    class Answers(Reference):
        def tap(self, order: Order, initiator: bool) -> Talker:  # type: ignore[override]
            driver = super().tap(order, initiator)
            driver.begin()
            return Spoken(
                lambda frame: () if driver.ended else driver.receive(frame), lambda: driver.stop(Code.LINK_LOST)
            )

    class Answering(TapMachine):
        suite, initiates = "ed25519", False

        def device(self, scheme: SeededScheme) -> Answers:
            return Answers(scheme)

    run_machine(Answering, stories=2, steps=5)
    assert compare(Answers, [*PAYER[:4], *PAYEE[:4]], initiates=False) > 20
    with pytest.raises(Different, match=r"step 1 \(it pays 3, speaking first\): only with ours"):
        compare(Answers, PAYER[:1])


def test_refunds_are_counted() -> None:
    story = counter(balance=4)
    story.pay(0, story.scheme.charge(4))
    (paid,) = story.paid()
    story.collect(0, story.scheme.charge(1), pay=Pay(paid.id, 1))
    assert story.payable() == 1
    assert story.peer_with(paid.body.payee) == 0
    assert [item.body.payee for item in story.received()] == [story.device.public]


def test_a_machine_of_our_own_device_finds_nothing() -> None:
    class Ours(TapMachine):
        suite = "ed25519"

        def device(self, scheme: SeededScheme) -> Reference:
            return Reference(scheme, CARD)

    run_machine(Ours, stories=2, steps=8)


def test_what_is_overheard_includes_what_was_lost() -> None:
    story = counter(balance=2)
    tapped = story.pay(0, story.scheme.charge(2), fault=LOST_TRANSFER)
    assert tapped.report.result is Result.NOT_PAID
    assert [type(heard.said.message).__name__ for heard in tapped.frames] == ["Hello", "Welcome", "TransferMessage"]
    assert type(tapped.frames[1].said.inner).__name__ == "RequestMessage"
    assert len(story.witness.known.transfers) == 1


def test_a_failing_story_is_made_short_and_can_be_played_again() -> None:
    class Loses(Reference):
        def restart(self) -> None:
            super().restart()
            self.wallet.book.holdings.clear()

    class Losing(TapMachine):
        suite = "ed25519"

        def device(self, scheme: SeededScheme) -> Reference:
            return Loses(scheme)

    long = (
        Step("begins", {"balance": 7}),
        Step("peer_syncs", {"peer": 1}),
        Step("device_collects", {"amount": 3, "peer": 1, "starts": True}),
        Step("device_restarts", {}),
        Step("peer_syncs", {"peer": 0}),
    )
    found = shortest(Losing, long)
    assert found is not None
    assert found.lines("Losing") == [
        "state = Losing()",
        "state.begins(balance=1)",
        "state.device_restarts()",
        "state.teardown()",
    ]
    assert shortest(Losing, long[:3]) is None
    assert played(Losing, (long[0], Step("device_refunds", {"which": 0, "starts": True}))) is None


def test_every_device_that_is_made_is_closed_once_also_while_a_story_is_made_short() -> None:
    opened: list[int] = []

    class Port(Reference):
        def __init__(self, scheme: SeededScheme) -> None:
            super().__init__(scheme)
            opened.append(id(self))

        def restart(self) -> None:
            raise OSError("it does not come back")

        def close(self) -> None:
            opened.remove(id(self))

    class OnAPort(TapMachine):
        suite, collects = "ed25519", False

        def device(self, scheme: SeededScheme) -> Port:
            return Port(scheme)

    with pytest.raises(OSError, match="does not come back") as failed:
        run_machine(OnAPort, stories=5, steps=5)
    assert "The device raised this when it was asked to restart." in failed.value.__notes__
    assert not opened


def test_what_fails_carries_a_chart_of_the_taps_before_whether_the_device_is_watched_or_not() -> None:
    scheme = SeededScheme("chart", "ed25519")
    scheme.trace = Trace()
    story = Counter(scheme, Reference(scheme))
    story.fund(3)
    for fault in (Fault(2, Fate.TWICE), Fault(3, Fate.POWER)):
        story.pay(0, scheme.charge(1), fault=fault)
    with pytest.raises(Broken) as failed:
        story.check_paid(story.taps[-1], 1)
    chart = failed.value.__dict__["tap_chart"]
    assert re.sub(r"\d+ bytes|-", "", chart).splitlines() == [
        "tap 1: the device pays 1, speaking first",
        "the device                                         pos 1",
        "| Hello (pay),  >|",
        "|< Welcome (collect) with Request,  |  twice",
        "| Transfer,  >|",
        "|< Receipt,  |",
        "pos 1: collected",
        "",
        "tap 2: the device pays 1, speaking first",
        "the device                                         pos 1",
        "| Hello (pay),  >|",
        "|< Welcome (collect) with Request,  |",
        "| Transfer,  x|  lost in a power cut",
        "pos 1: not paid (LINK_LOST)",
    ]
    assert scheme.trace.chart(1).startswith("tap 2: ")
    scheme.pay(story.peers[0], story.peers[1], 1)
    assert "pos 2: " in scheme.trace.chart(), "drivers tell again what nobody carries"
