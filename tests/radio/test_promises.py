"""The promises' state machine, whose taps are carried by nfcpy's UDP device, by TCP, and by a PC/SC reader of pcscd.

Over Bluetooth it is in ``test_ble_processes.py``. Frames that a story loses are lost before they reach the stack.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pytest

from dualtap_transports import lan, nfc, pcsc, tcp, vpcd
from dualtap_transports.handover import introduce
from dualtap_transports.link import Scheme
from tests.support.directory import LOCAL, MemoryDirectory
from tests.support.lanes import LANES, Lane, lane, live_over
from tests.support.pcscd import Pcscd


def lanes(scheme: Scheme, place: str, stack: ExitStack) -> list[Lane]:
    listeners = [scheme.listen(place) for _ in range(LANES)]
    for number, listener in enumerate(listeners):
        stack.callback(listener.close)
        if place.startswith(lan.NEW):
            introduce(listener, bytes([number]) + bytes(15))
    return [lane(scheme, "", listener) for listener in listeners]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("scheme", "place"),
    [
        pytest.param(nfc.SCHEME, "udp:127.0.0.1:0", id="nfc-udp"),
        pytest.param(tcp.SCHEME, "127.0.0.1:0", id="tcp"),
        pytest.param(lan.LanScheme(MemoryDirectory()), f"{lan.NEW}@{LOCAL}", id="lan"),
    ],
)
def test_the_promises_hold_over(scheme: Scheme, place: str) -> None:
    """§1-1, §1-2, §1-3, §1-4, §1-7, over SPEC §18 and §19.1: every frame of every tap goes through it."""
    live_over(partial(lanes, scheme, place))


@pytest.mark.timeout(300)
def test_the_promises_hold_in_a_reader(pcscd: Pcscd) -> None:
    """§1-1, §1-2, §1-3, §1-4, §1-7, over SPEC §18: every frame of every tap goes through PC/SC, pcscd and vpcd."""
    with ExitStack() as cards:
        listeners = [vpcd.SCHEME.listen(address) for address in pcscd.addresses]
        for listener in listeners:
            cards.callback(listener.close)
        readers = [lane(pcsc.SCHEME, *each) for each in zip(pcscd.readers, listeners, strict=True)]
        live_over(lambda _: readers)
