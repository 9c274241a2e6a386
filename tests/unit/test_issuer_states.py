"""What people are told of their money, from the tap to the settlement (SPEC §16-12)."""

from __future__ import annotations

from dualtap.account import amount_of
from dualtap.statements import Parent, Side, Span, Transfer, TransferBody
from dualtap.suite import Drbg
from dualtap.sync import upload_of
from dualtap_devices.syncing import close
from dualtap_devices.wallet import Wallet
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.states import Standing, State, paid, states
from tests.mint import EPOCH, TERMS, Mint

LAST = EPOCH + TERMS.spend + TERMS.grace


def told(mint: Mint, wallet: Wallet, *transfers: Transfer) -> list[tuple[Standing, int, int]]:
    found = states(mint.store, mint.scheme, wallet.book.key, [one.id for one in transfers])
    assert [state.transfer for state in found] == sorted(one.id for one in transfers)
    return [state[1:] for state in found]


def deposit(mint: Mint, wallet: Wallet, payment: Transfer) -> Transfer:
    span = Span(Parent(payment.id, Side.PAYEE, 0), *payment.body.spans[0][1:])
    body = TransferBody(mint.authority.institution, (span,), mint.epoch, ())
    return mint.sign(wallet, body, mint.opening(50, 51))


def test_a_deposit_is_received_then_at_risk_then_final() -> None:
    """§16-7, §16-12."""
    mint = Mint()
    payer, shop = mint.wallet(100), mint.wallet()
    mint.pay(payer, shop, 60)
    (payment,) = shop.book.graph.transfers.values()
    given = deposit(mint, shop, payment)
    alone = upload_of(shop.book)._replace(transfers=(given,), tokens=(), tape=(), pending=(given.id,))
    mint.sync(mint.signed_upload(shop, alone))
    assert told(mint, shop, given) == [(Standing.RECEIVED, 0, 0)], "what is behind it is missing"
    mint.settle_in(shop)
    assert told(mint, shop, given) == [(Standing.AT_RISK, 60, LAST)]
    mint.ledger.settle(LAST)
    assert told(mint, shop, given) == [(Standing.AT_RISK, 60, LAST)]
    mint.ledger.settle(LAST + 1)
    assert told(mint, shop, given) == [(Standing.FINAL, 60, LAST)]


def test_a_deposit_that_waits_for_a_certificate_is_received() -> None:
    mint = Mint()
    payer, partner = mint.wallet(100), mint.wallet()
    ((token, _),) = payer.book.graph.tokens.items()
    body = TransferBody(partner.book.key, (Span(Parent(token, Side.TOKEN, 0), 0, 60),), mint.epoch, ())
    payment = mint.sign(payer, body, mint.opening(50, 51))
    given = deposit(mint, partner, payment)
    mint.sync(mint.signed_upload(payer, upload_of(payer.book)._replace(transfers=(payment, given))))
    assert told(mint, partner, given) == [(Standing.RECEIVED, 60, LAST)]
    mint.settle_in(partner)
    assert told(mint, partner, given) == [(Standing.AT_RISK, 60, LAST)]


def test_a_deposit_that_waits_for_a_death_is_received() -> None:
    """§16-7: what was restored is credited as soon as its Close is known, whoever tells it."""
    mint = Mint()
    payer, shop = mint.wallet(100), mint.wallet()
    assert mint.pay(payer, shop, 60, cut=2) == "in_doubt"
    for request in list(shop.book.open):
        close(shop, request, Drbg(mint.draw()))
    assert mint.pay(payer, shop, 10) == "paid"
    (back,) = (held for held in payer.book.holdings if held.parent.side is Side.PAYER)
    body = TransferBody(mint.authority.institution, (Span(back.parent, back.start, back.end),), mint.epoch, ())
    given = mint.sign(payer, body, mint.opening(50, 51))
    known = upload_of(payer.book)
    alone = known._replace(transfers=(*known.transfers, given), warrants=(), heard=(), tape=())
    mint.sync(mint.signed_upload(payer, alone))
    assert told(mint, payer, given) == [(Standing.RECEIVED, back.amount, LAST)]
    mint.settle_in(shop)
    assert told(mint, payer, given) == [(Standing.AT_RISK, back.amount, LAST)]


def test_a_stuck_payer_is_told_a_date_and_after_it_what_came_back() -> None:
    """§16-12."""
    mint = Mint()
    payer, shop = mint.wallet(100), mint.wallet()
    assert mint.pay(payer, shop, 60, cut=3) == "in_doubt"
    (sent,) = payer.book.pending.values()
    payment = sent.transfer
    mint.settle_in(payer)
    assert told(mint, payer, payment) == [(Standing.IN_DOUBT, 60, LAST)]
    mint.ledger.settle(LAST + 1)
    assert told(mint, payer, payment) == [(Standing.FINAL, amount_of(payment), LAST)]


def test_a_payment_whose_payee_has_told_is_no_longer_in_doubt() -> None:
    """What was paid on comes back to nobody: final, nothing is the payer's."""
    mint = Mint()
    payer, shop = mint.wallet(100), mint.wallet()
    mint.pay(payer, shop, 60)
    (payment,) = shop.book.graph.transfers.values()
    mint.settle_in(shop)
    assert told(mint, payer, payment) == [(Standing.ANSWERED, 60, LAST)]
    mint.ledger.settle(LAST + 1)
    assert told(mint, payer, payment) == [(Standing.FINAL, 0, LAST)]


def test_nobody_is_told_of_anothers_transfers_nor_of_unknown_ones() -> None:
    mint = Mint()
    payer, shop = mint.wallet(100), mint.wallet()
    mint.pay(payer, shop, 60)
    (payment,) = shop.book.graph.transfers.values()
    mint.settle_in(shop)
    asked = [payment.id, bytes(32)]
    assert states(mint.store, mint.scheme, shop.book.key, asked) == []
    assert states(mint.store, mint.scheme, payer.book.key, asked) == [State(payment.id, Standing.ANSWERED, 60, LAST)]


def test_what_a_robbed_till_is_told_is_what_it_gets() -> None:
    """§16-9, §16-12: of two deposits of one overspent token, each brings its part."""
    mint = Mint()
    mint.ledger.terms = TERMS._replace(guarantee=Caps(payee=11))
    thief, shop, other = mint.wallet(100), mint.wallet(), mint.wallet()
    clone = mint.clone(thief)
    assert mint.pay(clone, other, 100) == mint.pay(thief, shop, 60) == mint.pay(thief, shop, 40) == "paid"
    mint.settle_in(other, deposit=True)
    mint.settle_in(shop, deposit=True)
    mint.ledger.settle(LAST + 1)
    deposits = [row.transfer for row in mint.store.deposits()]
    found = states(mint.store, mint.scheme, shop.book.key, deposits)
    tokens = mint.ledger.facts().tokens
    assert sum(state.amount for state in found) == 61
    assert {state.standing for state in found} == {Standing.FINAL}
    got = paid(mint.store, mint.scheme, shop.book.key, tokens)
    assert sum(one.guaranteed for one in got.values()) == 11
    assert sum(one.backed for one in got.values()) == 50
    assert paid(mint.store, mint.scheme, thief.book.key, tokens) == {}
