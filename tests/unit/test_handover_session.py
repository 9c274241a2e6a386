"""What introduced two devices is part of what they agree on; where nothing did, nothing has changed."""

from __future__ import annotations

import hmac

import pytest

from dualtap import codec, wire
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.session import NO_HANDOVER, Handover, establish, ident, transcript
from dualtap.statements import Scheme
from dualtap.suite import P256, SUITES, Suite, sha256
from dualtap_devices.driver import Driver, exchange
from dualtap_testing.toyscheme import ToyScheme

SAID = sha256(b"a request") + sha256(b"a select")
SECRETS = b"i" * 32, b"r" * 32


def greeting(suite: Suite) -> tuple[Scheme, wire.Hello, wire.Welcome]:
    scheme = Scheme.of(suite, suite.signer(b"k" * 32).public)
    near, far = (suite.ephemeral(secret) for secret in SECRETS)
    hello = wire.Hello(scheme.hint, (1,), near.public, wire.Want.PAY)
    return scheme, hello, wire.Welcome(1, far.public, wire.Want.COLLECT, b"")


@pytest.mark.parametrize("suite", SUITES.values(), ids=repr)
def test_both_handover_messages_are_in_the_transcript(suite: Suite) -> None:
    """§6-17: at the end of what th hashes; without a handover th is what it would be otherwise."""
    scheme, hello, welcome = greeting(suite)
    choice = codec.pack((welcome.version, welcome.ephemeral, welcome.want))
    plain = b"dualtap tap 1" + scheme.id + sha256(wire.encode_hello(hello)) + choice
    assert transcript(scheme, hello, welcome, Handover(SAID)) == sha256(plain + SAID)
    assert transcript(scheme, hello, welcome) == transcript(scheme, hello, welcome, NO_HANDOVER) == sha256(plain)


@pytest.mark.parametrize("suite", SUITES.values(), ids=repr)
def test_an_ident_is_derived_as_written(suite: Suite) -> None:
    """§6-18, with HKDF written out (RFC 5869)."""
    public = suite.ephemeral(SECRETS[1]).public
    extracted = hmac.digest(bytes(32), public, "sha256")
    assert ident(public) == hmac.digest(extracted, b"dualtap ident 1\x01", "sha256")[:16]


@pytest.mark.parametrize("suite", SUITES.values(), ids=repr)
@pytest.mark.parametrize("said", [b"", SAID[32:] + SAID[:32], SAID[:63] + b"x"])
def test_another_handover_is_another_session(suite: Suite, said: bytes) -> None:
    """§6-17."""
    scheme, hello, welcome = greeting(suite)
    near, far = (suite.ephemeral(secret) for secret in SECRETS)
    one = establish(scheme, near, True, hello, welcome, Handover(SAID, ident(far.public)))
    other = establish(scheme, far, False, hello, welcome, Handover(said))
    with pytest.raises(TapError) as caught:
        other.open(one.seal(b"hello"))
    assert caught.value.code is Code.BAD_SEAL


def meet(payer: Handover, payee: Handover) -> tuple[Driver, Driver]:
    """Run a tap whose payee answers as it was introduced; return both drivers."""
    toy = ToyScheme(P256)
    watch, till = toy.memory_wallet(Carrier.WATCH, 100), toy.memory_wallet(Carrier.POS)
    near, far = (P256.ephemeral(secret) for secret in SECRETS)
    one = Driver.fresh(watch, Pay(), initiator=True, ephemeral=near, handover=payer)
    two = Driver.fresh(till, Charge(5, "CNY", bytes(16)), initiator=False, ephemeral=far, handover=payee)
    exchange(one, two)
    return one, two


NAMED = ident(P256.ephemeral(SECRETS[1]).public)


def test_devices_that_were_introduced_pay() -> None:
    """§6-17, §6-18."""
    payer, payee = meet(Handover(SAID, NAMED), Handover(SAID, NAMED))
    assert (payer.result.result, payee.result.result) == (Result.PAID, Result.COLLECTED)


def test_a_key_that_was_not_introduced_is_refused_before_anything_is_said() -> None:
    """§6-18: the payer has said its Hello, and falls silent (§6-10)."""
    payer, payee = meet(Handover(SAID, bytes(16)), Handover(SAID))
    assert (payer.result.result, payer.result.code) == (Result.NOT_PAID, Code.BAD_KEY)
    assert payee.result.code is Code.LINK_LOST


@pytest.mark.parametrize("said", [b"", sha256(b"another") + SAID[32:], SAID[:32] + sha256(b"another")])
def test_a_handover_message_changed_on_the_way_ends_the_tap(said: bytes) -> None:
    """§6-17."""
    payer, payee = meet(Handover(SAID, NAMED), Handover(said))
    assert (payer.result.result, payer.result.code) == (Result.NOT_PAID, Code.BAD_SEAL)
    assert payee.result.result is Result.NOT_PAID
