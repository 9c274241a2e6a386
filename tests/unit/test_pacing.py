"""``--pace``: the time of a radio on a link that has none."""

from __future__ import annotations

from dualtap_apps.pacing import paced, within_of
from dualtap_transports import loopback
from dualtap_transports.nearness import BLE_SECONDS, NFC_SECONDS

TAP = (46, 284, 347, 112)
"""Bytes of a first payment's frames."""


def taken(name: str, sizes: tuple[int, ...] = TAP) -> float:
    """Seconds, of a clock that only sleeping moves, that these frames take."""
    now = [0.001]

    def sleep(seconds: float) -> None:
        assert seconds > 0
        now[0] += seconds

    near, far = loopback.pair()
    link = paced(near, name, lambda: now[0], sleep)
    assert link.max_frame == near.max_frame
    for size in sizes:
        link.send(bytes(size))
        assert far.receive(1) == bytes(size)
    link.close()
    return now[0] - 0.001


def test_frames_take_the_time_of_the_radio_that_is_named() -> None:
    times = [taken(name) for name in ("nfc848", "nfc424", "nfc106")]
    assert times == sorted(times)
    assert 0.07 < times[-1] < 0.12  # 789 bytes at 106 kbit/s are 67 ms without anything around them
    for name, interval in (("ble15", 0.015), ("ble30", 0.03), ("ble50", 0.05)):
        assert 3 * interval < taken(name) < 4 * interval + 0.04


def test_a_timed_round_is_judged_by_the_radio_that_is_named() -> None:
    """§24-3."""
    assert [within_of(name) for name in ("nfc106", "ble50", "", None)] == [NFC_SECONDS, BLE_SECONDS, None, None]
    assert 2 * taken("nfc106", (28,)) < NFC_SECONDS
    assert NFC_SECONDS < taken("ble50", (28, 28)) < BLE_SECONDS


def test_without_a_name_a_link_is_itself() -> None:
    near, _ = loopback.pair()
    assert paced(near, None) is near
    assert paced(near, "") is near
