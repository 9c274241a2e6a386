"""Attacks by sums: who issues tokens of the greatest amount, and pays with them, or spends one a thousand times."""

from __future__ import annotations

from dualtap import limits
from dualtap.issued import Tier
from dualtap.ownermessages import decode, encode
from dualtap.statements import (
    BindBody,
    Errand,
    OrderBody,
    Outcome,
    OwnBody,
    ReceiptBody,
    Span,
    Transfer,
    TransferBody,
)
from dualtap.sync import upload_of
from dualtap.walletend import state_of
from dualtap_devices.wallet import Wallet
from tests.mint import EPOCH, TERMS, Mint
from tests.support.league import League

MOST = limits.AMOUNT
LAST = EPOCH + TERMS.spend + TERMS.grace
UNLIMITED = TERMS._replace(tiers=(Tier(1, MOST, 1_000, 1_000, MOST, MOST, MOST, MOST, MOST),))


def test_a_shop_that_was_paid_more_than_a_number_holds_goes_on() -> None:
    """Its deposit was in one transfer: it could not read the reply, nor, once compacted, its own log."""
    league = League(2, terms=UNLIMITED)
    one, two = league.members
    thief, shop = league.customer(two), league.customer(one)
    for _ in range(2):
        two.ledger.issue(thief.book.key, MOST, EPOCH, league.draw(8))
        league.sync_at(two, thief)
        assert league.pay(thief, shop, MOST) == "paid"
        league.sync_at(one, shop)
    told = state_of(shop.book, EPOCH, 8, bytes(64), ())
    assert decode(encode(told)) == told, "its owner can read how much it holds"
    assert told.balance == MOST
    assert league.sync_at(one, shop, deposit=True).deposited == 2 * MOST
    league.sync_at(one, shop)
    shop.compact()
    assert not Wallet(league.scheme, limits.FULL, shop.keystore, shop.store).quarantined


def test_a_great_token_spent_a_thousand_times_stops_no_settlement() -> None:
    """What its signer owes is more than a database's integer: nothing of the scheme could be settled."""
    league = League(2)
    one, two = league.members
    thief, anna = league.customer(two), league.customer(one, 100)
    two.ledger.issue(thief.book.key, MOST, EPOCH, league.draw(8))
    league.sync_at(two, thief)
    (held,) = thief.book.holdings
    tape = tuple(
        league.sign(
            thief, TransferBody(key, (Span(held.parent, 0, MOST),), EPOCH, ()), league.opening(place, place + 1)
        )
        for place, key in enumerate([league.draw(), two.key] * 516)
    )
    upload = upload_of(thief.book)._replace(tape=tape)
    two.ledger.sync(league.signed_upload(thief, upload, two.challenge()), EPOCH)
    league.sync_at(one, anna, deposit=True)
    one.ledger.settle(EPOCH + 16)
    assert one.ledger.net().claims == ()
    assert {anna.book.key, thief.book.key} == {leaf.holder for held in league.store.settled().values() for leaf in held}


def test_two_receipts_for_a_great_token_stop_no_payout() -> None:
    """§16-22: a lost accomplice's share, with its guarantee, was more than a token holds; no later wallet was paid."""
    mint = Mint(seed="accomplice")
    phone, card, thief = mint.wallet(), mint.wallet(), mint.wallet()
    mint.settle_in(phone)
    session, upload = b"s" * 32, upload_of(phone.book)
    words = (
        mint.sign(card, BindBody(phone.book.key, session, 1, EPOCH)),
        mint.sign(phone, OwnBody(card.book.key, session, EPOCH)),
        mint.sign(phone, OrderBody(card.book.key, 1, 1, Errand.LOST, False, MOST, MOST, 0, phone.book.key, EPOCH)),
    )
    mint.sync(mint.signed_upload(phone, upload._replace(words=words)))
    mint.ledger.issue(thief.book.key, MOST, EPOCH, mint.draw(8))
    mint.settle_in(thief)
    (held,) = thief.book.holdings
    tape, heard = list[Transfer](), list[Outcome]()
    for place in (10, 20):
        request = mint.draw()
        body = TransferBody(card.book.key, (Span(held.parent, 0, MOST),), EPOCH, ())
        tape.append(mint.sign(thief, body, mint.opening(place, place + 1, request)))
        heard.append(mint.sign(card, ReceiptBody(request, tape[-1].id, EPOCH), mint.opening(place, place + 1)))
    upload = upload_of(thief.book)._replace(
        tape=tuple(tape), heard=tuple(heard), certificates=(card.book.certificate,)
    )  # fmt: skip
    mint.sync(mint.signed_upload(thief, upload))
    mint.epoch = LAST + 1
    mint.ledger.settle(mint.epoch)
    mint.ledger.audit()
    assert mint.settle_in(phone).funded == MOST
