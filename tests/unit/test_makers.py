"""A maker's word for a chip (SPEC §7): what it says, and what it does not."""

from __future__ import annotations

from typing import cast

import pytest

from dualtap import codec
from dualtap.errors import Code, TapError
from dualtap.issued import Carrier, key_hint
from dualtap.statements import Scheme
from dualtap.suite import SUITES, sha256
from dualtap_issuer.makers import attest, check_attestation, decode_attestation, demand, demanded, register
from dualtap_issuer.store import Store

SUITE = SUITES["p256"]
MAKER, OTHER, CHIP = (SUITE.signer(bytes([number]) * 32) for number in (1, 2, 3))
SCHEME = Scheme.of(SUITE, SUITE.signer(b"r" * 32).public)
ELSEWHERE = Scheme.of(SUITE, SUITE.signer(b"e" * 32).public)
WORD = attest(SCHEME, MAKER, b"number of a chip", "J3R180", Carrier.CARD, CHIP.public)


def refused(
    data: bytes = WORD, key: bytes = CHIP.public, carrier: Carrier = Carrier.CARD, scheme: Scheme = SCHEME
) -> object:
    with pytest.raises(TapError) as caught:
        check_attestation(scheme, (OTHER.public, MAKER.public), data, key, carrier)
    return caught.value.code


def test_a_maker_attests_a_key_in_a_chip() -> None:
    """§7-24: the bytes, as they are told."""
    assert check_attestation(SCHEME, (OTHER.public, MAKER.public), WORD, CHIP.public, Carrier.CARD) == sha256(WORD)
    chip, model, carrier, key, maker, signature = cast("list[bytes]", codec.unpack(WORD))
    assert [chip, model, carrier] == [b"number of a chip", b"J3R180", 2]
    assert (key, maker) == (CHIP.public, key_hint(MAKER.public))
    public = sha256(codec.pack((chip, model, carrier, key)))
    named = sha256(b"dualtap attestation 1" + SCHEME.id + MAKER.public + public)
    SUITE.verifier(MAKER.public)(signature, named)


def test_a_word_for_something_else_counts_for_nothing() -> None:
    """§7-24."""
    assert refused(key=OTHER.public) is Code.WRONG_CERTIFICATE
    assert refused(carrier=Carrier.WATCH) is Code.WRONG_CERTIFICATE
    assert refused(scheme=ELSEWHERE) is Code.BAD_SIGNATURE
    said = decode_attestation(WORD)
    assert refused(codec.pack(said._replace(chip=bytes(16)))) is Code.BAD_SIGNATURE
    assert refused(codec.pack(said._replace(maker=key_hint(OTHER.public)))) is Code.BAD_SIGNATURE
    assert refused(codec.pack(said._replace(maker=key_hint(CHIP.public)))) is Code.UNKNOWN_ISSUER
    assert refused(codec.pack(said._replace(chip=b"short"))) is Code.MALFORMED
    assert refused(codec.pack(said._replace(model=b""))) is Code.MALFORMED
    assert refused(WORD + b"\0") is Code.MALFORMED
    assert refused(b"") is Code.MALFORMED


@pytest.mark.parametrize(
    ("chip", "model", "code"),
    [(b"short", "J3R180", Code.BAD_INPUT), (bytes(16), "", Code.BAD_INPUT), (bytes(16), "m" * 33, Code.BAD_INPUT)],
)
def test_what_cannot_be_attested(chip: bytes, model: str, code: Code) -> None:
    with pytest.raises(TapError) as caught:
        attest(SCHEME, MAKER, chip, model, Carrier.CARD, CHIP.public)
    assert caught.value.code is code


def test_makers_are_registered_once() -> None:
    store = Store.open()
    register(SCHEME, store, "one", MAKER.public)
    register(SCHEME, store, "one", MAKER.public)
    for name, key in (("two", MAKER.public), ("one", OTHER.public)):
        with pytest.raises(TapError, match="another maker"):
            register(SCHEME, store, name, key)
    with pytest.raises(TapError) as caught:
        register(SCHEME, store, "bad", bytes(33))
    assert caught.value.code is Code.BAD_KEY
    assert store.parties("maker") == {"one": MAKER.public}


def test_a_scheme_demands_attestations_of_chips_only() -> None:
    store = Store.open()
    assert demanded(store) == frozenset()
    demand(store, [Carrier.SIM, Carrier.CARD, Carrier.SIM])
    assert demanded(store) == {Carrier.CARD, Carrier.SIM}
    with pytest.raises(TapError, match="phone is no secure element"):
        demand(store, [Carrier.CARD, Carrier.PHONE])
    assert demanded(store) == {Carrier.CARD, Carrier.SIM}
