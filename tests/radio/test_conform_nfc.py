"""Our card passes ``dualtap conform`` over NFC: nfcpy's UDP device on both sides, as payer and as payee."""

from __future__ import annotations

import pytest

from dualtap import limits
from dualtap.states import Part
from dualtap.suite import P256
from dualtap_conform.personal import personalise
from dualtap_conform.tester import Verdict
from dualtap_transports.link import Link, Listener, open_scheme
from tests.scenarios.test_conform import PATIENCE, examined


class Field:
    """A card emulated on a port of its own, and a reader that comes for each tap anew."""

    def __init__(self) -> None:
        self._scheme, address = open_scheme("nfc:udp:127.0.0.1:0")
        self._listener = self._scheme.listen(address)

    def connect(self) -> Link:
        return self._scheme.connect(self._listener.address, PATIENCE)

    def listen(self) -> Listener:
        return self._listener


@pytest.mark.parametrize("part", list(Part))
def test_our_card_passes_over_nfc(part: Part) -> None:
    """§18."""
    outcome = examined(personalise(P256, part, limits.CARD), part, doorway=Field)
    assert outcome.findings == []
    assert outcome.skipped == {}
    assert set(outcome.clauses.values()) == {Verdict.PASS}
