"""Relays: somebody between two honest devices who carries, delays, or answers in the payee's place (SPEC §24)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualtap import limits
from dualtap.errors import Code
from dualtap.events import Ask, Result
from dualtap.statements import Kind
from dualtap.states import Part, State
from dualtap_transports import ble, nfc, tcp
from dualtap_transports.nearness import round_trip_of
from tests.playbook import TIER, Meeting, World

CAP = 1_000
FIRST = 1_700_000_000.0
FRAME = 28
"""Bytes of a sealed Ping or Pong."""


def victims(amount: int, within: float | None, latency: float = 0.0) -> Meeting:
    """Two honest devices who believe themselves near."""
    world = World(tiers=(TIER._replace(untimed=CAP),))
    payer, payee = world.wallet(fund=10_000), world.wallet()
    meeting = world.meet(payer, payee, amount, seconds=FIRST, within=within)
    meeting.latency = latency
    return meeting


def nothing_was_signed(meeting: Meeting) -> None:
    assert meeting.payer.report.result is Result.NOT_PAID
    assert Kind.TRANSFER not in meeting.payer.signed
    assert not [effect for effect in meeting.payer.effects if isinstance(effect, Ask)]
    assert not meeting.payer.book.pending
    meeting.world.check()


@pytest.mark.parametrize("scheme", [nfc.SCHEME, ble.SCHEME, tcp.SCHEME], ids=["nfc", "ble", "tcp"])
def test_a_relay_that_is_slow_is_paid_no_more_than_the_cap(scheme: object) -> None:
    """§24-1, §24-3: 80 ms more on each side."""
    far = victims(CAP + 1, round_trip_of(scheme), latency=0.08).run()
    assert far.payer.report.code is Code.TOO_FAR
    assert far.said.count("Ping") == limits.PINGS
    nothing_was_signed(far)
    less = victims(CAP, round_trip_of(scheme), latency=0.08).run()
    assert less.payer.report.result is Result.PAID


def test_a_relay_that_is_fast_is_not_seen() -> None:
    """§24-3: what is not promised, said by a test: 20 ms on each side pass for nearness."""
    assert victims(CAP + 1, round_trip_of(nfc.SCHEME), latency=0.02).run().payer.report.result is Result.PAID


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "the Ping, reflected": lambda ping: ping,
    "zeros": lambda _: bytes(FRAME),
    "bytes of its own": lambda ping: ping[::-1],
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_relay_cannot_answer_for_the_payee(answer: Callable[[bytes], bytes]) -> None:
    """§24-2, §6-3: both messages are sealed, each way by a key of its own."""
    meeting = victims(CAP + 1, 0.06)
    seen: list[bytes] = []

    def between(frame: bytes) -> list[bytes]:
        if len(frame) != FRAME:
            return [frame]
        seen.append(frame)
        return [answer(seen[0])] if len(seen) == 2 else [frame]

    meeting.run(intercept=between)
    assert len(seen) == 2
    assert meeting.payer.report.code is Code.BAD_SEAL
    nothing_was_signed(meeting)


def short(meeting: Meeting) -> list[bytes]:
    """The Pings and Pongs of a tap that was played to its end."""
    return [frame for frame in meeting.frames if len(frame) == FRAME]


@pytest.mark.parametrize("session", ["this", "another"])
def test_a_pong_of_an_earlier_round_or_session_is_none(session: str) -> None:
    """§24-2, §6-3: a relay that keeps what it heard has nothing that opens again."""
    kept = short(victims(CAP + 1, 0.06).run())[1:] if session == "another" else []
    meeting = victims(CAP + 1, 0.06, latency=0.2)

    def between(frame: bytes) -> list[bytes]:
        pong = len(frame) == FRAME and len(short(meeting)) % 2 == 0
        if pong and kept:
            return [kept[0]]
        if pong:
            kept.append(frame)
        return [frame]

    meeting.run(intercept=between)
    assert meeting.payer.report.code is Code.BAD_SEAL
    nothing_was_signed(meeting)


def test_whoever_only_measures_costs_a_payee_four_short_answers() -> None:
    """§24-6: a payee under a flood of Pings says no more, and its next customer pays."""
    meeting = victims(CAP + 1, 0.06, latency=1.0)
    payee = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.run()
    assert meeting.said.count("Pong") == limits.PINGS
    assert payee.report.code is Code.TOO_FAR
    again = meeting.world.meet(meeting.payer.wallet, meeting.payee.wallet, CAP, seconds=FIRST).run()
    assert again.payer.report.result is Result.PAID
    meeting.world.check()
