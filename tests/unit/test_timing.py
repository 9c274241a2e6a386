"""The models of the radios beside what was published and measured, and the properties that any such model has."""

from __future__ import annotations

import pytest

from dualtap.errors import Code, TapError
from dualtap_transports import apdu
from dualtap_transports.loopback import pair
from dualtap_transports.timing.ble import Ble, Phy
from dualtap_transports.timing.cards import CARDS, Work, ccm_blocks, sha_blocks
from dualtap_transports.timing.nfc import RATES, Nfc
from dualtap_transports.timing.paced import Paced

SELECT = (len(apdu.SELECT), len(apdu.encode_selected(apdu.SHORT)) + 2)
FULL_APDU = (4 + 1 + 255 + 1, 256 + 2)


@pytest.mark.parametrize(
    ("rate", "select_ms", "full_ms"), [(106, 4.7, 48), (212, 2.7, 25), (424, 1.8, 14), (848, 1.3, 8)]
)
def test_an_apdu_takes_what_a_worked_table_says_nearly(rate: int, select_ms: float, full_ms: float) -> None:
    field = Nfc(rate)
    assert 1000 * field.apdu(*FULL_APDU) == pytest.approx(full_ms, rel=0.05 if rate == 106 else 0.2)
    assert 1000 * field.apdu(*SELECT) == pytest.approx(select_ms, abs=0.6)


@pytest.mark.parametrize(
    ("rate", "block", "kilobytes"),
    [(106, 256, 11.1), (106, 64, 9.3), (212, 256, 21), (212, 64, 17), (424, 256, 40), (424, 64, 27), (848, 256, 71)],
)
def test_ten_kilobytes_pass_as_fast_as_the_table_says_within_an_eighth(rate: int, block: int, kilobytes: float) -> None:
    size = 10_000
    seconds = Nfc(rate, block).spoken(size)
    assert size / seconds / 1000 == pytest.approx(kilobytes, rel=0.125)


def test_the_waiting_times_are_the_standards() -> None:
    assert [round(1000 * Nfc(fwi=fwi).waiting, 1) for fwi in (4, 8, 11)] == [4.8, 77.3, 618.6]


def test_a_card_that_computes_asks_for_time_once_in_each_waiting_time() -> None:
    field = Nfc()
    assert field.waits(0.077) == 0
    once = field.waits(0.078)
    assert once > 0
    assert field.waits(4.5 * field.waiting) == pytest.approx(4 * once)
    assert field.apdu(20, 20, 0.05) - field.apdu(20, 20) == pytest.approx(0.05 - 1172 / 13.56e6)


@pytest.mark.parametrize("rate", RATES)
def test_more_bytes_never_take_less_and_a_faster_field_never_more(rate: int) -> None:
    times = [Nfc(rate).apdu(size, size) for size in range(1, 1200)]
    assert times == sorted(times)
    assert times[0] < times[-1]
    assert all(Nfc(rate).apdu(size, 9) < Nfc(RATES[0]).apdu(size, 9) for size in (5, 300) if rate != RATES[0])


@pytest.mark.parametrize(("phy", "data", "kilobits"), [(Phy.M1, 251, 791), (Phy.M1, 27, 237), (Phy.M2, 251, 1402)])
def test_the_ceilings_are_the_known_ones(phy: Phy, data: int, kilobits: int) -> None:
    assert 8 * Ble(phy=phy, data=data).ceiling / 1000 == pytest.approx(kilobits, rel=0.002)


def test_subscribing_takes_what_was_measured_at_thirty_milliseconds() -> None:
    assert Ble(0.03).opening(14) == pytest.approx(0.853, rel=0.02)
    assert Ble(0.03).opening() == pytest.approx(0.484, rel=0.02)
    assert Ble(0.03).round_trip() == pytest.approx(0.060)


def test_a_value_waits_for_the_next_event_and_long_ones_for_more() -> None:
    link = Ble(0.03)
    small = link.arrival(0.031, [20])
    assert small == pytest.approx(0.06 + link.pair(27))
    assert link.arrival(0.06, [20]) == small
    many = [244] * (link.per_event + 1)
    assert link.arrival(0.0, many) == pytest.approx(0.03 + link.pair(251))
    times = [link.arrival(0.0, [size]) for size in range(1, 513)]
    assert times == sorted(times)


@pytest.mark.parametrize("wrong", [{"interval": 0.005}, {"data": 26}, {"value": 600}])
def test_no_connection_is_made_up(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no such connection"):
        Ble(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"rate": 100}, {"block": 15}, {"fwi": 15}])
def test_no_field_is_made_up(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no such field"):
        Nfc(**wrong)


def test_work_adds_up_and_each_card_says_where_its_figures_are_from() -> None:
    both = Work(sign=1, verify=2, sha_blocks=5) + Work(verify=1, ecdh=1, keygen=1)
    assert both == Work(1, 3, 1, 1, 5)
    assert CARDS["jcop4"].seconds(both) == pytest.approx(0.032 + 3 * 0.030 + 0.020 + 0.027 + 0.008)
    assert CARDS["jcop4"].seconds(Work(aes_blocks=16, aes_keys=1)) == pytest.approx(0.0019 + 2 * 0.0061)
    assert all(card.source for card in CARDS.values())
    assert [sha_blocks(size) for size in (0, 55, 56, 256)] == [1, 1, 2, 5]
    assert [ccm_blocks(size) for size in (0, 16, 17)] == [2, 4, 6]


def test_a_paced_link_takes_the_models_time_and_changes_nothing() -> None:
    slept = list[float]()
    left, right = pair()
    slow = Paced(left, lambda size: Nfc().frame(size), slept.append)
    slow.send(b"x" * 100)
    assert right.receive(0) == b"x" * 100
    assert slept == [Nfc().frame(100)]
    with pytest.raises(TapError) as caught:
        slow.send(b"")
    assert caught.value.code is Code.MALFORMED
    assert len(slept) == 1
    right.send(b"back")
    assert slow.receive(0) == b"back"
    slow.close()
    with pytest.raises(TapError):
        right.receive(0)
    assert slow.max_frame == right.max_frame
