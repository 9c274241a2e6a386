"""Our card passes ``dualtap conform`` over NFC, as payer and as payee: by nfcpy's UDP device, and by a PC/SC reader."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from dualtap import limits
from dualtap.states import Part
from dualtap.suite import P256
from dualtap_conform.personal import personalise
from dualtap_conform.tester import Verdict
from dualtap_transports import nfc, pcsc, vpcd
from dualtap_transports.link import Link, Listener, Scheme
from dualtap_transports.nfc_handover import NFC
from tests.scenarios.test_conform import PATIENCE, Doorway, examined
from tests.support.pcscd import Pcscd


class Field:
    """A device that waits where its own address says, and a reader that comes for each tap anew."""

    def __init__(self, scheme: Scheme = nfc.SCHEME, place: str = "udp:127.0.0.1:0") -> None:
        self._scheme, self._listener = scheme, scheme.listen(place)

    def connect(self) -> Link:
        return self._scheme.connect(self._listener.address, PATIENCE)

    def listen(self) -> Listener:
        return self._listener


class Reader:
    """A virtual card of ours in a reader of pcscd."""

    def __init__(self, pcscd: Pcscd) -> None:
        self._name = pcscd.readers[0]
        self._listener = vpcd.SCHEME.listen(pcscd.addresses[0])

    def connect(self) -> Link:
        return pcsc.SCHEME.connect(self._name, PATIENCE)

    def listen(self) -> Listener:
        return self._listener


def passes(part: Part, doorway: Callable[[], Doorway]) -> None:
    outcome = examined(personalise(P256, part, limits.CARD), part, doorway=doorway)
    assert outcome.findings == []
    assert outcome.skipped == {}
    assert set(outcome.clauses.values()) == {Verdict.PASS}


@pytest.mark.parametrize("part", list(Part))
def test_our_card_passes_over_nfc(part: Part) -> None:
    """§18."""
    passes(part, Field)


@pytest.mark.parametrize("part", list(Part))
def test_our_card_passes_in_a_reader(part: Part, pcscd: Pcscd) -> None:
    """§18."""
    passes(part, partial(Reader, pcscd))


@pytest.mark.parametrize("part", list(Part))
def test_our_card_passes_over_a_handover(part: Part, air: str) -> None:
    """§19-16: each tap begins at the tag, which names no key."""
    passes(part, partial(Field, NFC, f"udp:127.0.0.1:0{air}"))
