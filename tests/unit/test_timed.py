"""The timed round: what is measured, what it costs, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code
from dualtap.events import Ask, Consent, Received, Result, Sign
from dualtap.records import News
from dualtap.statements import Kind
from dualtap.states import Part, State
from dualtap.wire import PingMessage, PongMessage, RefuseMessage, encode
from dualtap_apps.modelled_round import FRAME, ble_round, longest_ble_round, nfc_round
from dualtap_devices.driver import Driver, exchange, steady
from dualtap_devices.wallet import Wallet
from dualtap_transports import ble, loopback, nfc, pcsc, tcp, vpcd
from dualtap_transports.nearness import BLE_SECONDS, NFC_SECONDS, round_trip_of
from dualtap_transports.timing.ble import Ble
from dualtap_transports.timing.cards import CARDS
from dualtap_transports.timing.nfc import RATES, Nfc
from tests.playbook import TIER, Meeting, Said, World

CAP = 1_000
FIRST = 1_700_000_000.0


class Town(World):
    """A payer may pay no more than the cap without a timed round."""

    def __init__(self, within: float | None = 0.1, suite: str = "ed25519") -> None:
        super().__init__(suite, tiers=(TIER._replace(untimed=CAP),))
        self.within = within
        self.payer, self.payee = self.wallet(fund=10_000), self.wallet()

    def tap(self, amount: int = CAP + 1, *, latency: float = 0.0, seconds: float | None = FIRST) -> Meeting:
        meeting = self.meet(self.payer, self.payee, amount, seconds=seconds)
        meeting.latency = latency
        return meeting

    def refused(self, meeting: Meeting, code: Code) -> None:
        """Nothing was signed by the payer, and nothing is lost: the next payment up to the cap is made."""
        report = meeting.payer.report
        assert (report.result, report.code) == (Result.NOT_PAID, code)
        assert Kind.TRANSFER not in meeting.payer.signed
        assert not self.payer.book.pending
        assert not [effect for effect in meeting.payer.effects if isinstance(effect, Ask)]
        less = self.tap(CAP).run()
        assert less.payer.report.result is Result.PAID
        assert "Ping" not in less.said
        self.check()


@pytest.mark.parametrize("amount", [1, CAP])
def test_up_to_the_cap_there_is_no_round_and_no_byte(amount: int) -> None:
    """§24-1."""
    town = Town()
    far = town.tap(amount, latency=30.0 / 4).run()
    assert far.said == ["Hello", "Welcome", "Request", "Transfer", "Outcome"]
    assert far.payer.report.result is Result.PAID


@pytest.mark.parametrize("starts", [True, False], ids=["payer begins", "payer answers"])
def test_above_it_one_round_of_two_short_frames(starts: bool) -> None:
    """§24-1, §24-2."""
    town = Town()
    meeting = town.meet(town.payer, town.payee, CAP + 1, payer_starts=starts, seconds=FIRST)
    meeting.run()
    assert meeting.said == ["Hello", "Welcome", "Request", "Ping", "Pong", "Transfer", "Outcome"]
    ping, pong = (seen.message for seen in meeting.heard[3:5])
    assert isinstance(ping, PingMessage)
    assert isinstance(pong, PongMessage)
    assert ping.nonce == pong.nonce != bytes(8)
    assert meeting.payer.report.result is Result.PAID
    assert [len(frame) for frame in meeting.frames].count(28) == 2
    assert FRAME == 28
    town.check()


@pytest.mark.parametrize(
    ("latency", "rounds"), [(0.049, 1), (0.051, limits.PINGS), (0.5, limits.PINGS)], ids=["near", "far", "very far"]
)
def test_delay_on_each_side_is_measured(latency: float, rounds: int) -> None:
    """§24-3, §24-4."""
    town = Town(0.1)
    meeting = town.tap(latency=latency).run()
    assert meeting.said.count("Ping") == rounds
    if rounds == 1:
        assert meeting.payer.report.result is Result.PAID
        return
    assert meeting.heard[-1].message == RefuseMessage(int(Code.TOO_FAR))
    assert meeting.payee.report.code is Code.TOO_FAR
    town.refused(meeting, Code.TOO_FAR)


def test_the_shortest_round_counts() -> None:
    """§24-4: a lost packet or a busy machine is no distance."""
    town = Town(0.1)
    meeting = town.tap(latency=1.0)
    payer = meeting.until(Part.PAYER, State.AWAIT_PONG)
    for _ in range(limits.PINGS - 1):
        meeting.post(payer, payer.step(meeting.next_for(payer), meeting.seconds))
        assert payer.tap.state is State.AWAIT_PONG
    meeting.latency = 0.0
    payer.step(meeting.next_for(payer), meeting.seconds)
    assert payer.tap.state.value == "await consent"


def test_each_round_has_a_nonce_of_its_own() -> None:
    """§24-2."""
    meeting = Town().tap(latency=0.4).run()
    nonces = [seen.message.nonce for seen in meeting.heard if isinstance(seen.message, PingMessage)]
    assert len(set(nonces)) == limits.PINGS


def test_a_clock_that_runs_backwards_measures_nothing() -> None:
    """§24-5."""
    town = Town()
    meeting = town.tap(latency=-0.01).run()
    town.refused(meeting, Code.TOO_FAR)


@pytest.mark.parametrize(
    ("within", "seconds", "said"),
    [(None, FIRST, "over this link nobody can tell"), (0.1, 0.0, "without a clock")],
    ids=["no threshold", "no clock"],
)
def test_who_cannot_measure_pays_no_more_than_the_cap(within: float | None, seconds: float, said: str) -> None:
    """§24-5, §10.1-7: most cards, whoever begins."""
    town = Town(within)
    meeting = town.tap(seconds=seconds).run()
    assert "Ping" not in meeting.said
    assert said in meeting.payer.report.detail
    town.refused(meeting, Code.OVER_LIMIT)


def amiss(change: Callable[[PongMessage], Said]) -> Callable[[Said], Said]:
    return lambda said: change(said) if isinstance(said, PongMessage) else said


AMISS: dict[str, tuple[Callable[[PongMessage], Said], Code]] = {
    "other bytes": (lambda pong: pong._replace(nonce=bytes(8)), Code.UNEXPECTED_MESSAGE),
    "a Ping back": (lambda pong: PingMessage(pong.nonce), Code.UNEXPECTED_MESSAGE),
    "a payee that knows none": (lambda _: RefuseMessage(int(Code.UNKNOWN_MESSAGE)), Code.UNKNOWN_MESSAGE),
}


@pytest.mark.parametrize(("change", "code"), AMISS.values(), ids=AMISS)
def test_a_payee_that_answers_amiss_is_not_paid(change: Callable[[PongMessage], Said], code: Code) -> None:
    """§24-1, §24-4."""
    town = Town()
    town.refused(town.tap().run(rewrite=amiss(change)), code)


def test_a_payee_that_stalls_is_not_paid() -> None:
    """§24-1, §6-15."""
    town = Town()
    meeting = town.tap()
    meeting.until(Part.PAYER, State.AWAIT_PONG)
    town.refused(meeting.lose(), Code.LINK_LOST)


def test_a_flood_of_pings_is_bounded() -> None:
    """§24-6: what a payee does for somebody who only measures."""
    meeting = Town().tap(CAP)
    payee = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    channel = meeting.channel(meeting.payer)
    assert channel is not None
    pings = 0
    while not payee.tap.ended:
        payee.step(Received(channel.seal(encode(PingMessage(bytes(8))))), FIRST)
        pings += 1
    assert pings == limits.PINGS + 1
    assert payee.report.code is Code.UNEXPECTED_MESSAGE


def test_a_limit_that_a_sync_lowers_while_the_person_thinks_counts() -> None:
    """§11.3-8, §24-1."""
    town = Town()
    meeting = town.tap(CAP)
    payer = meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    town.payer.write(News(None, (), None, town.ruled(2, (TIER._replace(untimed=0),))))
    payer.step(Consent(), FIRST)
    assert payer.report.code is Code.OVER_LIMIT
    assert not [effect for effect in payer.effects if isinstance(effect, Sign)]


def test_what_is_in_doubt_is_healed_however_far() -> None:
    """§11.3-4 before §24-2."""
    town = Town()
    torn = town.meet(town.payer, town.payee, 10, seconds=FIRST)
    torn.run(stop_after=3)
    assert town.payer.book.pending
    again = town.tap(latency=1.0).run()
    assert again.payer.reports[0].result is Result.HEALED_PAID
    assert again.payer.report.code is Code.TOO_FAR
    assert not town.payer.book.pending
    town.check()


# Kinds of links


def test_every_kind_of_link_here_has_a_threshold() -> None:
    """§24-3; a stranger's transport says none, or its own."""
    for scheme in (ble.SCHEME, nfc.SCHEME, pcsc.SCHEME, vpcd.SCHEME, tcp.SCHEME, loopback.SCHEME):
        assert round_trip_of(scheme) is not None

    class Pigeon:
        round_trip = 0.3

    assert round_trip_of(Pigeon()) == 0.3
    for odd in (0, -1, "soon", None):
        Pigeon.round_trip = odd  # type: ignore[assignment]
        assert round_trip_of(Pigeon()) is None
    assert round_trip_of(object()) is None


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("rate", RATES)
def test_50_ms_more_each_way_is_too_far_on_nfc(rate: int, card: str) -> None:
    """§24-3: the honest link passes with room for a reader's driver, and the relay fails whatever the link."""
    honest = nfc_round(Nfc(rate), CARDS[card])
    assert honest + 0.04 < NFC_SECONDS < honest + 0.1
    for extra, code in ((0.0, None), (0.1, Code.TOO_FAR)):
        town = Town(round_trip_of(nfc.SCHEME))
        meeting = town.tap(latency=(honest + extra) / 2).run()
        assert meeting.payer.report.code is code
        below = town.tap(CAP, latency=(honest + extra) / 2).run()
        assert below.payer.report.result is Result.PAID


@pytest.mark.parametrize("interval", [0.03, 0.04, 0.05])
def test_an_honest_bluetooth_link_passes_by_its_own_threshold(interval: float) -> None:
    """§24-3: round trips of 60 to 100 ms, which NFC's threshold would refuse; one lost event more is allowed too."""
    link, phone = Ble(interval), CARDS["phone"]
    times = [ble_round(link, phone, 7.0 + step * interval / 10) for step in range(10)]
    assert max(times) <= longest_ble_round(link, phone)
    assert 2 * interval <= max(times) + interval
    assert max(times) <= 2 * interval + 0.002
    for took in (2 * interval, 3 * interval - 0.001):
        town = Town(round_trip_of(ble.SCHEME))
        assert town.tap(latency=took / 2).run().payer.report.result is Result.PAID
    assert math.isclose(BLE_SECONDS, 3 * 0.05)
    town = Town(NFC_SECONDS)
    assert town.tap(latency=interval + 0.001).run().payer.report.code is Code.TOO_FAR


# Drivers


def test_the_clock_of_a_driver_goes_on_whatever_sets_the_machines_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """§24-5."""
    wall, ticks = [FIRST], [5.0]
    monkeypatch.setattr("time.time", lambda: wall[0])
    monkeypatch.setattr("time.monotonic", lambda: ticks[0])
    clock = steady()
    assert clock() == FIRST
    wall[0], ticks[0] = FIRST - 3600, 5.001
    assert math.isclose(clock() - FIRST, 0.001, abs_tol=1e-6)


def drivers(town: Town, latency: float, within: float | None) -> tuple[Driver, Driver]:
    now = [FIRST]

    def clock() -> float:
        now[0] += latency / 2
        return now[0]

    def driver(wallet: Wallet, order: Order) -> Driver:
        ephemeral, entropy = town.suite.ephemeral(town.draw()), town.draw()
        return Driver(wallet, order, wallet is town.payer, ephemeral, entropy, clock=clock, within=within)

    return driver(town.payer, Pay()), driver(town.payee, Charge(CAP + 1, "CNY", town.draw(16)))


def test_a_fresh_driver_measures_what_its_link_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """§24-3: in memory a round takes no time, and the payment is above the cap."""
    monkeypatch.setattr("dualtap_devices.driver.steady", lambda: lambda: FIRST)
    town = Town()
    pays = Driver.fresh(town.payer, Pay(), initiator=True, within=10.0)
    collects = Driver.fresh(town.payee, Charge(CAP + 1, "CNY", town.draw(16)), initiator=False)
    exchange(pays, collects)
    assert pays.result.result is Result.PAID


@pytest.mark.parametrize(("latency", "code"), [(0.02, None), (0.2, Code.TOO_FAR)])
def test_a_driver_tells_the_tap_what_its_link_allows(latency: float, code: Code | None) -> None:
    """§24-3."""
    pays, collects = drivers(Town(), latency, 0.1)
    exchange(pays, collects)
    assert pays.result.code is code
    assert collects.result.code is code
