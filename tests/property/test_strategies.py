"""The strategies that users get: what is made is accepted, what is tampered with is refused, every type is known."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualtap import wire
from dualtap.errors import TapError
from dualtap.issued import Token
from dualtap.provenance import rebuild, verify
from dualtap.records import Record
from dualtap.statements import Body, Receipt, ReceiptBody, Transfer, TransferBody
from dualtap.wire import Message, TransferMessage
from dualtap_devices.wallet import Wallet
from dualtap_testing import shapes
from dualtap_testing import strategies as taps
from dualtap_testing.seeded import SeededScheme

MADE = [HealthCheck.too_slow]
"""Payments are really made, which takes a busy machine longer than Hypothesis expects."""
few = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=MADE)
some = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=MADE)


def test_every_kind_of_message_record_and_statement_has_a_strategy() -> None:
    assert set(shapes.MESSAGES) == set(get_args(Message))
    assert set(shapes.RECORDS) == set(get_args(Record))
    assert set(shapes.BODIES) == set(get_args(Body))


@given(taps.payments())
@few
def test_a_payment_that_is_made_is_believed(payment: taps.Payment) -> None:
    trust = payment.scheme.wallet().book.trust
    assert verify(trust, payment.received(), payment.acceptance()) == payment.amount
    assert isinstance(payment.outcome.body, ReceiptBody)
    assert payment.outcome.body.transfer == payment.transfer.id
    assert payment.payee.book.available(payment.scheme.epoch) == payment.amount
    payment.scheme.sync_wallet(payment.payee, deposit=True)
    assert payment.scheme.ledger.audit().at_risk == payment.amount


@given(taps.forged_payments())
@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=MADE)
def test_a_forged_payment_is_refused(forged: taps.Forged) -> None:
    payment, message = forged.payment, forged.message
    trust = payment.scheme.wallet().book.trust
    with pytest.raises(TapError):  # noqa: PT012 - either may refuse it
        received = rebuild(trust, message, payment.payee.book.key, payment.request)
        assert verify(trust, received, payment.acceptance()) != payment.amount, forged.what
        raise TapError(0, "another amount than was asked")


@given(taps.foreign_bytes())
@some
def test_foreign_bytes_are_refused(foreign: taps.Foreign) -> None:
    with pytest.raises(TapError):
        wire.decode(foreign.data)


@given(st.data())
@some
def test_damaged_bytes_are_never_the_same(data: st.DataObject) -> None:
    good = data.draw(taps.frames)
    assert data.draw(taps.damaged(st.just(good))) != good


@given(st.data())
@few
def test_a_wallet_holds_what_was_asked_for(data: st.DataObject) -> None:
    balance = data.draw(st.integers(0, 500))
    wallet = data.draw(taps.wallets(balance=st.just(balance)))
    assert sum(item.amount for item in wallet.book.holdings) == balance


def test_a_scheme_is_made_anew_from_what_it_shows() -> None:
    one = SeededScheme(7, "p256")
    again = eval(repr(one), {"SeededScheme": SeededScheme})
    assert again.scheme.id == one.scheme.id
    assert again.wallet(5).book.key == one.wallet(5).book.key
    assert SeededScheme(8, "p256").scheme.id != one.scheme.id


@given(st.data())
@few
def test_types_of_ours_are_known_by_their_names(data: st.DataObject) -> None:
    """Also the unions and statements that only an annotation names."""
    assert isinstance(data.draw(st.from_type(Transfer)).body, TransferBody)
    assert isinstance(data.draw(st.from_type(Receipt)).body, ReceiptBody)
    assert data.draw(st.from_type(Token)).amount >= 1
    message: TransferMessage = data.draw(st.from_type(TransferMessage))
    assert wire.decode(wire.encode(message)) == message
    assert data.draw(st.from_type(Wallet)).book.joined


def test_a_strangers_type_is_not_ours() -> None:
    assert taps.of_type(int) is None
    assert taps.of_type([]) is None
