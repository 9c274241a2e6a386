"""What a handover leads to is a link as any other: the contract, and a tap torn at every frame, each met anew."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dualtap_transports.contract import Ends
from dualtap_transports.lan import LanScheme
from dualtap_transports.link import Scheme
from dualtap_transports.mdns import Mdns
from dualtap_transports.nfc_handover import NFC
from tests.contract import test_transport_contract as suite
from tests.support.directory import LOCAL
from tests.support.introduced import tear_everywhere

PATIENCE = 30.0
TESTS = {
    name: test
    for name, test in vars(suite).items()
    if name.startswith("test_") and "join" in inspect.signature(test).parameters
}
globals().update(TESTS)


@pytest.fixture(params=["reads", "is-the-tag"])
def join(request: pytest.FixtureRequest, air: str) -> Iterator[Callable[[], Ends]]:
    """Opens pairs of ends, each by a tag of its own that is read over nfcpy's UDP, and closes them after the test."""
    with ExitStack() as stack:

        def opened() -> Ends:
            listener = NFC.listen(f"udp:127.0.0.1:0{air}")
            stack.callback(listener.close)
            near = NFC.connect(listener.address, PATIENCE)
            stack.callback(near.close)
            far = listener.accept(PATIENCE)
            stack.callback(far.close)
            return (near, far) if request.param == "reads" else (far, near)

        yield opened


def test_the_whole_contract_is_here() -> None:
    assert len(TESTS) == 11


@pytest.mark.parametrize("heard", [False, True], ids=["frame-lost", "frame-heard"])
@pytest.mark.parametrize("payer_starts", [True, False], ids=["payer-reads", "payee-reads"])
@pytest.mark.parametrize("name", ["nfc+ble", "lan"])
def test_a_tear_at_every_frame_is_healed_by_a_second_tap(air: str, name: str, payer_starts: bool, heard: bool) -> None:
    """§1-4, over SPEC §19 as §19-16 introduces it, and over §19.1."""
    scheme: Scheme = NFC if name == "nfc+ble" else LanScheme(Mdns())
    tear_everywhere(scheme, f"udp:127.0.0.1:0{air}" if name == "nfc+ble" else f"new@{LOCAL}", payer_starts, heard)
