"""The promises' state machine, whose taps are carried by nfcpy's UDP device, by TCP, and by a PC/SC reader of pcscd.

Over Bluetooth it is in ``test_ble_processes.py``. Frames that a story loses are lost before they reach the stack.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pytest

from dualtap_transports import nfc, pcsc, tcp, vpcd
from dualtap_transports.link import Scheme
from tests.support.lanes import LANES, Lane, lane, live_over
from tests.support.pcscd import Pcscd


def lanes(scheme: Scheme, place: str, stack: ExitStack) -> list[Lane]:
    listeners = [scheme.listen(place) for _ in range(LANES)]
    for listener in listeners:
        stack.callback(listener.close)
    return [lane(scheme, "", listener) for listener in listeners]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "place"), [(nfc.SCHEME, "udp:127.0.0.1:0"), (tcp.SCHEME, "127.0.0.1:0")])
def test_the_promises_hold_over_nfc_and_tcp(scheme: Scheme, place: str) -> None:
    """§1-1, §1-2, §1-3, §1-4, §1-7, over SPEC §18: every frame of every tap goes through nfcpy, as ISO-DEP."""
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
