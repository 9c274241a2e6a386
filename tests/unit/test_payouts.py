"""Lost, moved and anonymous wallets: what they held is paid at ``claim_by``, once (SPEC §16-22, §16-23)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.statements import BindBody, Errand, OrderBody, OwnBody, PresentBody, Word
from dualtap.suite import Drbg
from dualtap.sync import Reply, upload_of
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.rotation import rotate, sync_device
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import Prepared, tell
from dualtap_devices.wallet import Wallet
from dualtap_issuer import settling
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.ordering import sign_order
from dualtap_issuer.payouts import payout_serial, redeem
from tests.mint import EPOCH, TERMS, Mint

LAST = EPOCH + TERMS.spend + TERMS.grace


class Family:
    """A phone that owns a card with 80 units, a spare card, and a shop."""

    def __init__(self, *, anonymous: bool = False) -> None:
        self.mint = mint = Mint(seed="family")
        if anonymous:
            mint.ledger.terms = TERMS._replace(anonymous=frozenset({1}))
        self.phone, self.card, self.spare, self.shop = mint.wallet(), mint.wallet(80), mint.wallet(), mint.wallet()
        mint.settle_in(self.phone)

    def bind(self) -> None:
        phone, card, session = self.phone.book.key, self.card.book.key, b"s" * 32
        bind = self.mint.sign(self.card, BindBody(phone, session, 1, self.mint.epoch))
        self.tell(bind, self.mint.sign(self.phone, OwnBody(card, session, self.mint.epoch)))

    def order(self, errand: Errand, number: int = 1, to: bytes = b"", by: Wallet | None = None) -> Word:
        body = OrderBody(
            self.card.book.key, 1, number, errand, False, limits.AMOUNT, limits.AMOUNT, 0, to, self.mint.epoch
        )
        word = self.mint.sign(by or self.phone, body)
        self.tell(word)
        return word

    def tell(self, *words: Word) -> None:
        upload = upload_of(self.shop.book)._replace(words=words)
        self.mint.sync(self.mint.signed_upload(self.shop, upload))

    def settle(self, day: int = LAST + 1) -> None:
        self.mint.epoch = day
        self.mint.ledger.settle(day)
        self.mint.ledger.audit()

    def funded(self, wallet: Wallet) -> int:
        return self.mint.settle_in(wallet).funded

    def present(self, wallet: Wallet) -> int:
        body = PresentBody(self.mint.challenge(), initiator=True, epoch=self.mint.epoch)
        return redeem(self.mint.ledger, self.mint.sign(wallet, body), self.mint.epoch)


def test_a_lost_wallets_value_is_its_owners_at_claim_by_and_never_before() -> None:
    """§16-22: with what it had spent by then taken off, and once."""
    family = Family()
    family.bind()
    assert family.mint.pay(family.card, family.shop, 30) == "paid"
    family.mint.settle_in(family.shop)
    family.order(Errand.LOST)
    assert family.funded(family.phone) == 0
    family.settle(LAST)
    assert family.funded(family.phone) == 0
    family.settle()
    assert family.funded(family.phone) == 50
    family.settle(LAST + 2)
    assert (family.funded(family.phone), family.funded(family.card)) == (0, 0)
    family.mint.ledger.audit()


def test_who_reports_it_later_is_paid_by_the_next_settlement() -> None:
    """§16-22: nobody knows the card's person, and nobody has been paid for it yet."""
    family = Family(anonymous=True)
    family.bind()
    family.settle()
    assert family.funded(family.phone) == 0
    family.order(Errand.LOST)
    family.settle(LAST + 1)
    assert family.funded(family.phone) == 0, "what was seen in an epoch counts when that epoch is over"
    family.settle(LAST + 2)
    assert family.funded(family.phone) == 80


@pytest.mark.parametrize("what", ["found again", "unbound", "a stranger's order", "not bound"])
def test_nobody_else_is_paid(what: str) -> None:
    """§16-21, §16-22."""
    family = Family()
    if what != "not bound":
        family.bind()
    if what == "a stranger's order":
        family.order(Errand.MOVE, 1, family.shop.book.key, by=family.shop)
        family.order(Errand.LOST, 2, by=family.shop)
    else:
        family.order(Errand.LOST)
    if what == "found again":
        family.order(Errand.RESTRAIN, 2)
    if what == "unbound":
        family.order(Errand.UNBIND, 2)
    family.settle()
    assert (family.funded(family.phone), family.funded(family.shop)) == (0, 0)


def test_a_replaced_cards_value_comes_to_the_new_one_once() -> None:
    """§16-22: whoever repeats the order, or gives it twice, moves nothing twice."""
    family = Family()
    family.bind()
    word = family.order(Errand.MOVE, 1, family.spare.book.key)
    family.tell(word, word)
    family.order(Errand.MOVE, 2, family.spare.book.key)
    family.settle()
    assert family.funded(family.spare) == 80
    family.order(Errand.MOVE, 3, family.shop.book.key)
    family.settle(LAST + 2)
    assert (family.funded(family.shop), family.funded(family.phone)) == (0, 0)
    family.mint.ledger.audit()


def test_an_heir_that_changed_its_key_since_is_paid_under_the_new_one() -> None:
    """§16-22 and §20-9: the device asks for nothing more with the old key, and drops it."""
    family = Family()
    mint = family.mint
    family.bind()
    family.order(Errand.MOVE, 1, family.spare.book.key)
    fresh = Wallet(mint.scheme, limits.FULL, MemoryKeystore(mint.scheme, mint.draw()), MemoryStore.open(1 << 20))

    def reach(wallet: Wallet, prepared: Prepared) -> Reply:
        return tell(wallet, prepared, mint)

    rotate(family.spare, fresh, reach, mint.draw())
    family.settle()
    assert sync_device(fresh, reach, Drbg(mint.draw()), deposit=False).funded == 80
    mint.ledger.audit()


def test_an_order_is_not_of_a_day_that_is_settled() -> None:
    """§16-22: what is paid out follows from the words seen before, and no word is seen before again."""
    family = Family()
    family.bind()
    family.order(Errand.LOST)
    family.settle()
    assert family.funded(family.phone) == 80
    body = OrderBody(family.card.book.key, 1, 0, Errand.UNBIND, False, 0, 0, 0, b"", EPOCH)
    word = sign_order(family.mint.ledger, body, EPOCH)
    family.mint.ledger.audit()
    assert family.mint.store.stamps([word.id]) == {word.id: LAST + 1}


def test_an_institution_moves_what_its_customer_cannot() -> None:
    """§16-22 and §23-12: with no owner at all."""
    family = Family()
    body = OrderBody(family.card.book.key, 0, 0, Errand.MOVE, False, 0, 0, 0, family.spare.book.key, EPOCH)
    assert [sign_order(family.mint.ledger, body, EPOCH).body.number for _ in range(2)] == [1, 2]
    family.settle()
    assert family.funded(family.spare) == 80


def test_to_a_key_that_nobody_certified_nothing_is_paid() -> None:
    """§16-22: it stays credited to the card."""
    family = Family()
    family.bind()
    family.order(Errand.MOVE, 1, family.mint.suite.signer(b"n" * 32).public)
    family.settle()
    assert family.mint.store.ask("SELECT token FROM payout") == []


def test_a_named_wallets_value_is_not_paid_out() -> None:
    """§16-22: who breaks a card and reports it lost gains nothing."""
    family = Family()
    family.bind()
    twin = family.mint.clone(family.card)
    family.mint.fund(family.card, 50)
    assert family.mint.pay(family.card, family.shop, 60) == family.mint.pay(twin, family.spare, 60) == "paid"
    for wallet in (family.shop, family.spare):
        family.mint.settle_in(wallet, deposit=True)
    family.order(Errand.LOST)
    family.settle()
    assert family.funded(family.phone) == 0


def test_what_was_overspent_is_paid_as_far_as_its_share_goes() -> None:
    """§16-22 with §16-15 and §16-16: what the card had of a thief's token, backed by half and capped."""
    family = Family()
    family.mint.ledger.terms = TERMS._replace(guarantee=Caps(payee=7))
    family.bind()
    thief = family.mint.wallet(100)
    twin = family.mint.clone(thief)
    assert family.mint.pay(thief, family.card, 100) == family.mint.pay(twin, family.shop, 100) == "paid"
    family.mint.settle_in(family.card)
    family.mint.settle_in(family.shop, deposit=True)
    family.order(Errand.LOST)
    family.settle()
    assert family.funded(family.phone) == 80 + 50 + 7


def test_expired_anonymous_value_is_redeemed_by_presenting_the_card() -> None:
    """§16-23: after claim_by, once; the card has it as fresh value."""
    family = Family(anonymous=True)
    assert family.present(family.card) == 0, "it is not settled yet, and still on the card"
    family.settle()
    assert family.present(family.card) == 80
    assert family.present(family.card) == 0
    assert family.funded(family.card) == 80
    assert sum(held.amount for held in family.card.book.holdings if held.token in family.card.book.graph.tokens) >= 80
    family.mint.ledger.audit()


def test_hosts_on_both_sides_of_midnight_agree_on_what_was_redeemed() -> None:
    """§16-23: the fresh token is taken in, a day earlier, by a host whose day is not over."""
    family = Family(anonymous=True)
    family.settle()
    family.mint.epoch = LAST + 5
    assert family.present(family.card) == 80
    assert family.funded(family.card) == 80
    family.mint.epoch = LAST + 4
    assert family.mint.pay(family.card, family.shop, 80) == "paid"
    family.mint.settle_in(family.shop, deposit=True)
    family.mint.ledger.audit()


def test_what_was_deposited_is_not_redeemed_as_well() -> None:
    """§16-23."""
    family = Family(anonymous=True)
    family.mint.settle_in(family.card, deposit=True)
    family.settle()
    assert family.present(family.card) == 0


def test_redeeming_is_refused() -> None:
    """§16-23: with a reason, and nothing is changed."""
    family = Family()
    family.settle()
    other = Family(anonymous=True)
    other.settle()

    def refused(code: Code, detail: str, action: Callable[[], object]) -> None:
        with pytest.raises(TapError, match=detail) as caught:
            action()
        assert caught.value.code is code

    refused(Code.BAD_INPUT, "on its person's account", lambda: family.present(family.card))
    proof = other.mint.sign(other.card, PresentBody(b"c" * 32, initiator=True, epoch=other.mint.epoch))
    refused(Code.REPLAYED_REQUEST, "challenge", lambda: redeem(other.mint.ledger, proof, LAST + 1))
    forged = proof.sealed(bytes(64))
    refused(Code.BAD_SIGNATURE, "signature", lambda: redeem(other.mint.ledger, forged, LAST + 1))
    other.bind()
    other.order(Errand.LOST)
    refused(Code.BAD_INPUT, "lost or replaced", lambda: other.present(other.card))
    for each in (family, other):
        assert each.mint.store.ask("SELECT token FROM payout") == []


def test_an_anonymous_card_that_a_known_person_owns_is_covered_by_the_guarantee() -> None:
    """§16-24: its owner's certificate has an identity."""
    family = Family()
    mint = family.mint
    thief = mint.wallet(100)
    twin = mint.clone(thief)
    assert mint.pay(thief, family.card, 100) == mint.pay(twin, family.shop, 100) == "paid"
    for wallet in (family.card, family.shop):
        mint.settle_in(wallet, deposit=True)
    family.bind()
    identify(mint, family.phone)
    mint.ledger.terms = TERMS._replace(anonymous=frozenset({1}))
    family.settle()
    found = {share.holder: share.guaranteed for share in settling.all_shares(mint.store)}
    assert found == {family.card.book.key: 50, family.shop.book.key: 0}


def identify(mint: Mint, wallet: Wallet) -> None:
    """Certify a wallet again, in a tier that carries an identity, and let it sync so."""
    old = wallet.book.certificate
    proof = mint.sign(wallet, PresentBody(mint.challenge(), initiator=False, epoch=mint.epoch))
    certificate = mint.ledger.certify(proof, old.carrier, 2, old.role, EPOCH + 300)
    mint.sync(mint.signed_upload(wallet, upload_of(wallet.book)._replace(certificate=certificate)))


@pytest.mark.parametrize(("amount", "whose"), [(80, "card"), (79, "card"), (80, "shop")])
def test_an_audit_finds_a_payout_of_another_amount_or_to_another(amount: int, whose: str) -> None:
    """§16-14, §16-22."""
    family = Family(anonymous=True)
    family.settle()
    mint, holder = family.mint, family.card.book.key
    ((token, _),) = mint.store.settled().items()
    owner = holder if whose == "card" else family.shop.book.key
    fresh = mint.ledger.issue(owner, amount, LAST + 1, payout_serial(token, holder))
    row = (token, holder, LAST + 1, mint.ledger.trust.token_id(fresh))
    mint.store.insert("payout", ("token", "holder", "epoch", "fresh"), [row])
    if (amount, whose) == (80, "card"):
        mint.ledger.audit()
    else:
        with pytest.raises(TapError, match=r"payout.*is not what it says"):
            mint.ledger.audit()


def test_a_payouts_serial_follows_from_token_and_holder() -> None:
    """§16-22."""
    assert len({payout_serial(bytes([one]) * 32, bytes([two]) * 32) for one in range(3) for two in range(3)}) == 9
