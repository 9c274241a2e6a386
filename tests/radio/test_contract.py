"""The contract of every transport, over pcscd: our virtual card in its reader, read through PC/SC."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from dualtap_transports import pcsc, vpcd
from dualtap_transports.contract import Ends
from tests.contract import test_transport_contract as suite
from tests.support.pcscd import Pcscd

PATIENCE = 30.0
TESTS = {
    name: test
    for name, test in vars(suite).items()
    if name.startswith("test_") and "join" in inspect.signature(test).parameters
}
globals().update(TESTS)


@pytest.fixture(params=["", "-card", "?extended"], ids=["reader", "card", "extended"])
def join(request: pytest.FixtureRequest, pcscd: Pcscd) -> Iterator[Callable[[], Ends]]:
    """Opens pairs of ends, each in a reader of its own, and closes them after the test."""
    more = "?extended" if request.param == "?extended" else ""
    readers = iter(zip(pcscd.readers, pcscd.addresses, strict=True))
    with ExitStack() as stack:

        def opened() -> Ends:
            name, address = next(readers)
            listener = vpcd.SCHEME.listen(address + more)
            stack.callback(listener.close)
            reader = pcsc.SCHEME.connect(name + more, PATIENCE)
            card = listener.accept(PATIENCE)
            for end in (card, reader):
                stack.callback(end.close)
            return (card, reader) if request.param == "-card" else (reader, card)

        yield opened


def test_the_whole_contract_is_here() -> None:
    assert len(TESTS) == 11
