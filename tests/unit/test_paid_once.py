"""What a wallet held at ``claim_by`` is paid in one way, whatever is reported or ordered later (SPEC §16-25)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualtap.errors import Code, TapError
from dualtap.statements import BindBody, Errand, OrderBody, OwnBody
from dualtap.ties import FREE, Restraint
from dualtap_issuer import payoutcheck, payouts, settling
from dualtap_issuer.guarantee import EVERYBODY, parted
from dualtap_issuer.ordering import give, known_of, sign_order
from dualtap_issuer.payouts import payout_serial
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS
from tests.unit.test_payouts import LAST, Family, identify

ORDERS: dict[str, Callable[[Family], object]] = {
    "lost": lambda family: family.order(Errand.LOST),
    "moved": lambda family: family.order(Errand.MOVE, 1, family.spare.book.key),
    "moved by its institution": lambda family: sign_order(family.mint.ledger, moved(family), family.mint.epoch),
}


def moved(family: Family) -> OrderBody:
    return OrderBody(family.card.book.key, 0, 0, Errand.MOVE, False, 0, 0, 0, family.spare.book.key, EPOCH)


def on_account(family: Family) -> set[bytes]:
    rows = family.mint.store.ask("SELECT accounts FROM settled")
    return {key for row in rows for key in parted(row[0], family.mint.suite.public_size)}


@pytest.mark.parametrize("order", ORDERS)
def test_what_a_person_was_credited_is_nobody_elses_afterwards(order: str) -> None:
    """§16-25: reported after the settlement that credited it, it is not paid; reported before, it is not credited."""
    family = Family()
    family.bind()
    family.settle()
    assert family.card.book.key in on_account(family)
    ORDERS[order](family)
    for day in (LAST + 2, LAST + 3):
        family.settle(day)
    assert (family.funded(family.phone), family.funded(family.spare), family.funded(family.card)) == (0, 0, 0)
    assert family.mint.store.ask("SELECT token FROM payout") == []
    early = Family()
    early.bind()
    ORDERS[order](early)
    early.settle()
    assert early.card.book.key not in on_account(early)
    assert early.funded(early.phone) + early.funded(early.spare) == 80


@pytest.mark.parametrize("later", ["the tier becomes anonymous", "the wallet is certified with a person"])
def test_whose_person_is_known_later_changes_nothing(later: str) -> None:
    """§16-25: what was credited stays so; what was open is paid to who presents the card."""
    family = Family(anonymous=later != "the tier becomes anonymous")
    family.settle()
    family.mint.ledger.terms = TERMS._replace(anonymous=frozenset({1}))
    if family.card.book.key in on_account(family):
        with pytest.raises(TapError, match="on its person's account"):
            family.present(family.card)
        assert family.mint.store.ask("SELECT token FROM payout") == []
    else:
        identify(family.mint, family.card)
        assert (family.present(family.card), family.funded(family.card)) == (80, 80)
        with pytest.raises(TapError, match="on its person's account"):
            family.present(family.card)
    family.settle(LAST + 2)


@pytest.mark.parametrize("heir", ["a stranger", "a cheat"])
def test_with_an_heir_that_cannot_be_paid_it_is_the_persons(heir: str) -> None:
    """§16-25: it would else be nobody's."""
    family = Family()
    mint = family.mint
    family.bind()
    to = mint.suite.signer(b"n" * 32).public
    if heir == "a cheat":
        twin, to = mint.clone(family.spare), family.spare.book.key
        mint.fund(family.spare, 50)
        mint.settle_in(twin)
        assert mint.pay(family.spare, family.shop, 50) == mint.pay(twin, mint.wallet(), 50) == "paid"
        for wallet in mint.wallets:
            mint.settle_in(wallet)
    family.order(Errand.MOVE, 1, to)
    family.settle()
    assert family.card.book.key in on_account(family)
    assert mint.store.ask("SELECT token FROM payout") == []


def test_who_settled_before_that_was_recorded_pays_nothing_again() -> None:
    """§16-25: a person who is known now was credited then."""
    family = Family()
    family.bind()
    with_seal(family.mint.store, family)
    family.order(Errand.LOST)
    for day in (LAST + 2, LAST + 3):
        family.settle(day)
    assert family.funded(family.phone) == 0
    with pytest.raises(TapError, match="on its person's account"):
        family.present(family.card)


def with_seal(store: Store, family: Family) -> None:
    """Settle as it was done once: without accounts."""
    ledger, family.mint.epoch = family.mint.ledger, LAST + 1
    with store.transaction():
        store.close_epoch(LAST + 1)
    settling.settle(store, ledger.trust, LAST + 1, ledger.guarantee, EVERYBODY)
    ledger.audit()


def test_an_audit_finds_what_was_paid_besides_an_account() -> None:
    """§16-14, §16-25: a fresh token for what is on account, with its row or without; an account that was taken away."""
    family = Family()
    family.settle()
    mint, holder = family.mint, family.card.book.key
    ((token, _),) = mint.store.settled().items()
    fresh = mint.ledger.issue(holder, 80, LAST + 1, payout_serial(token, holder))
    with pytest.raises(TapError, match=r"payout.*is missing"):
        mint.ledger.audit()
    row = (token, holder, LAST + 1, mint.ledger.trust.token_id(fresh))
    mint.store.insert("payout", ("token", "holder", "epoch", "fresh"), [row])
    with pytest.raises(TapError, match=r"payout.*is not what it says"):
        mint.ledger.audit()
    mint.store.ask("UPDATE settled SET accounts = %s RETURNING token", values=(b"",))
    with pytest.raises(TapError, match=r"settled.*is not what it says"):
        mint.ledger.audit()


def test_the_audit_counts_what_was_paid_out_once() -> None:
    """§16-14: the fresh token stands for what was credited; it is not issued besides, and not settled."""
    family = Family()
    family.bind()
    family.order(Errand.LOST)
    family.settle()
    found = family.mint.ledger.audit()
    assert (found.issued, found.settled, found.renewed, found.outstanding) == (80, 0, 80, 80)
    assert family.funded(family.phone) == 80
    counted = family.mint.account()
    assert (counted.accounted, counted.issued, counted.held) == (True, 80, 80)


def test_an_institution_takes_back_that_a_wallet_is_lost_by_freeing_it_alone() -> None:
    """§16-22, §23-14: a limit or a freeze ordered in passing would leave its owner without what it held."""
    family = Family()
    ledger, card = family.mint.ledger, family.card.book.key
    family.bind()
    give(ledger, card, Errand.LOST, EPOCH)
    for restraint in (Restraint(frozen=True), Restraint(day=5)):
        with pytest.raises(TapError, match="free it first") as caught:
            give(ledger, card, Errand.RESTRAIN, EPOCH, restraint)
        assert caught.value.code is Code.BAD_INPUT
    assert known_of(ledger, card).is_lost(card)
    give(ledger, card, Errand.RESTRAIN, EPOCH, FREE)
    assert not known_of(ledger, card).is_lost(card)
    give(ledger, card, Errand.RESTRAIN, EPOCH, Restraint(frozen=True))
    family.settle()
    assert family.funded(family.phone) == 0


def test_two_wallets_that_own_each_other_are_paid_once() -> None:
    """§16-22: each is the other's heir."""
    family = Family()
    family.bind()
    mint, phone, card, session = family.mint, family.phone.book.key, family.card.book.key, b"t" * 32
    mint.fund(family.phone, 50)
    bind = mint.sign(family.phone, BindBody(card, session, 1, mint.epoch))
    family.tell(bind, mint.sign(family.card, OwnBody(phone, session, mint.epoch)))
    family.order(Errand.LOST)
    body = OrderBody(phone, 1, 1, Errand.LOST, False, 0, 0, 0, b"", mint.epoch)
    family.tell(mint.sign(family.card, body))
    family.settle()
    family.settle(LAST + 2)
    assert (family.funded(family.phone), family.funded(family.card)) == (80, 50)


def same_serial(token: bytes, holder: bytes) -> bytes:
    return bytes(len(token[:4] + holder[:4]))


@pytest.mark.parametrize("heir", ["each its own", "one for both"])
def test_payouts_of_one_serial_are_all_paid(heir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """§16-22: 8 bytes can be ground to collide; that costs nobody anything, and an audit takes it for no corruption."""
    for module in (payouts, payoutcheck):
        monkeypatch.setattr(module, "payout_serial", same_serial)
    family = Family(anonymous=True)
    mint = family.mint
    wallet = family.card if heir == "one for both" else family.spare
    mint.fund(wallet, 80)
    if heir == "one for both":
        family.bind()
        family.order(Errand.LOST)
    for day in (LAST + 1, LAST + 2):
        family.settle(day)
    if heir == "one for both":
        assert family.funded(family.phone) == 160
    else:
        assert [family.present(one) for one in (family.card, family.spare)] == [80, 80]
        assert [family.funded(one) for one in (family.card, family.spare)] == [80, 80]
    mint.ledger.audit()
