"""A sync that replaces: restored and far-travelled value comes back as fresh tokens, once, and the ledger balances."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap.issued import Condition
from dualtap.renewal import RENEWAL, is_renewal, renewal_serial
from dualtap.statements import Parent, Side, Span, TransferBody
from dualtap.suite import Drbg
from dualtap.sync import upload_of
from dualtap_devices.renewing import worn
from dualtap_devices.syncing import SyncReport, prepare, sync, tell
from dualtap_devices.wallet import Wallet
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.renewals import renewals
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS, Mint

CAP = Condition(4, (500).to_bytes(8, "big"))
GRANTED = 7


class Lossy:
    """An issuer whose answer is lost on the way."""

    def __init__(self, mint: Mint) -> None:
        self.mint = mint

    def challenge(self) -> bytes:
        return self.mint.challenge()

    def sync(self, signed_upload: bytes) -> bytes:
        self.mint.sync(signed_upload)
        raise TapError(Code.LINK_LOST)


def renewed(mint: Mint, wallet: Wallet) -> SyncReport:
    return sync(wallet, mint, mint.draw(), deposit=False, renew=True)


def far(mint: Mint) -> Wallet:
    """Return a wallet that holds 300 units over two hops, and 200 of its own that were restored."""
    first, second, last = mint.wallet(1000), mint.wallet(), mint.wallet(200)
    restore(mint, last, 200)
    assert mint.pay(first, second, 300) == "paid"
    assert mint.pay(second, last, 300) == "paid"
    return last


def dies(*_: object) -> bool:
    """Renew nothing, as a process that died before it could."""
    return False


def restore(mint: Mint, payer: Wallet, amount: int) -> None:
    """Let a payment die: the Transfer never arrives, the payee closes it at its sync, the payer's heals it."""
    shop = mint.wallet()
    assert mint.pay(payer, shop, amount, cut=2) == "in_doubt"
    mint.settle_in(shop)
    mint.settle_in(payer)
    assert not payer.book.pending


def test_a_sync_replaces_what_was_restored_or_came_far() -> None:
    """§14-23: what few would take comes back as one fresh token of the same amount, with no hand behind it."""
    mint = Mint()
    wallet = far(mint)
    assert sum(held.amount for held in worn(wallet.book)) == 500
    report = renewed(mint, wallet)
    assert (report.renewed, report.funded, report.deposited) == (500, 500, 0)
    (held,) = wallet.book.holdings
    assert (held.parent.side, held.amount, worn(wallet.book)) == (Side.TOKEN, 500, [])
    token = wallet.book.graph.tokens[held.token]
    assert (token.spend_by, token.claim_by) == (EPOCH + TERMS.spend, EPOCH + TERMS.spend + TERMS.grace)
    assert not wallet.book.pending
    assert renewed(mint, wallet).funded == 0


def test_value_that_everybody_takes_stays_as_it_is() -> None:
    """§14-23: a token of one's own, and what came over one hop, are not handed in."""
    mint = Mint()
    payer, payee = mint.wallet(100), mint.wallet(50)
    mint.pay(payer, payee, 30)
    before = list(payee.book.holdings)
    renewed(mint, payee)
    assert payee.book.holdings == before


def test_the_ledger_balances_before_and_after_settlement() -> None:
    """§14-26: the credit stands and the fresh token has spent it; every unit is counted once."""
    mint = Mint()
    wallet = far(mint)
    renewed(mint, wallet)
    found = mint.ledger.audit()
    assert (found.issued, found.settled, found.renewed, found.outstanding) == (1200, 0, 500, 1200)
    counted = mint.account()
    assert (counted.accounted, counted.issued, counted.held) == (True, 1200, 1200)
    mint.epoch = EPOCH + TERMS.spend + TERMS.grace + 1
    mint.ledger.settle(mint.epoch)
    found = mint.ledger.audit()
    assert (found.issued, found.settled, found.outstanding, found.at_risk) == (1200, 1200, 0, 0)


@pytest.mark.parametrize("again", [1, 3])
def test_a_torn_sync_renews_once(again: int) -> None:
    """§14-24: the answer was lost after the ledger had stored all; repeated, the token comes once, and no credit."""
    mint = Mint()
    wallet = far(mint)
    for _ in range(again):
        with pytest.raises(TapError):
            sync(wallet, Lossy(mint), mint.draw(), deposit=False, renew=True)
    report = renewed(mint, wallet)
    assert (report.funded, report.renewed) == (500, 500)
    assert renewed(mint, wallet).funded == 0
    assert len(renewals(mint.ledger.world())) == 1
    assert (mint.ledger.audit().issued, mint.ledger.audit().renewed) == (1200, 500)


def test_two_services_over_one_store_renew_once(tmp_path: Path) -> None:
    """§14-24: the same upload taken by two ledgers of one store, each with a challenge, one before midnight."""
    mint = Mint(path=tmp_path / "ledger.db")
    wallet = far(mint)
    mint.epoch += 1
    with pytest.raises(TapError):
        sync(wallet, Lossy(mint), mint.draw(), deposit=False, renew=True)
    other = Ledger(Store.open(tmp_path / "ledger.db"), mint.authority, TERMS)
    other.sync(mint.signed_upload(wallet), EPOCH)  # an earlier stamp: everything is credited anew
    mint.sync(mint.signed_upload(wallet))
    assert len(renewals(mint.ledger.world())) == 1
    other.store.close()
    assert renewed(mint, wallet).funded == 500


def test_a_ledger_that_died_before_it_issued_does_so_at_the_next_sync() -> None:
    """§14-24: the deposit was credited, and its renewal waits in the store: no sync is needed of the wallet itself."""
    mint = Mint()
    wallet = far(mint)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dualtap_issuer.ledger.renew", dies)
        with pytest.raises(TapError):
            sync(wallet, Lossy(mint), mint.draw(), deposit=False, renew=True)
    assert not renewals(mint.ledger.world())
    mint.settle_in(mint.wallet())
    assert len(renewals(mint.ledger.world())) == 1
    assert renewed(mint, wallet).funded == 500


def test_conditions_of_ones_own_value_stay_with_dates() -> None:
    """§14-25: restored value of one's own token keeps conditions, spend_by and claim_by; hops begin again."""
    mint = Mint()
    wallet = mint.wallet()
    mint.ledger.issue(wallet.book.key, 400, mint.epoch, mint.draw(8), (CAP,))
    mint.settle_in(wallet)
    restore(mint, wallet, 400)
    mint.epoch += 3
    assert renewed(mint, wallet).renewed == 400
    (held,) = wallet.book.holdings
    token = wallet.book.graph.tokens[held.token]
    assert token.conditions == (CAP,)
    assert (token.spend_by, token.claim_by) == (EPOCH + TERMS.spend, EPOCH + TERMS.spend + TERMS.grace)


def test_conditions_of_others_fall_away() -> None:
    """§14-25: units of somebody else's token are free in the payee's hands, and stay so."""
    mint = Mint()
    payer, hand, wallet = mint.wallet(), mint.wallet(), mint.wallet()
    mint.ledger.issue(payer.book.key, 400, mint.epoch, mint.draw(8), (CAP,))
    mint.settle_in(payer)
    assert mint.pay(payer, hand, 400) == "paid"
    assert mint.pay(hand, wallet, 400) == "paid"
    assert renewed(mint, wallet).renewed == 400
    (held,) = wallet.book.holdings
    assert wallet.book.graph.tokens[held.token].conditions == ()


def test_what_a_second_signature_names_is_left() -> None:
    """§14-23: a Grant names the old token, so that a fresh one could not be spent with it."""
    mint = Mint()
    wallet, signer = mint.wallet(), mint.wallet()
    condition = Condition(GRANTED, signer.book.key)
    mint.ledger.issue(wallet.book.key, 400, mint.epoch, mint.draw(8), (condition,))
    mint.settle_in(wallet)
    (held,) = wallet.book.holdings
    assert not [one for one in worn(wallet.book) if one.token == held.token]


def test_past_its_last_day_conditional_value_stays_a_credit() -> None:
    """§14-25: a fresh token could no longer be spent, and its dates do not move."""
    mint = Mint()
    wallet = mint.wallet()
    mint.ledger.issue(wallet.book.key, 400, mint.epoch, mint.draw(8), (CAP,))
    mint.settle_in(wallet)
    restore(mint, wallet, 400)
    mint.epoch += TERMS.spend + 1
    assert renewed(mint, wallet).funded == 0
    assert [credit.amount for credit in mint.store.credits()] == [400]
    assert not renewals(mint.ledger.world())


@pytest.mark.parametrize(
    "day", [TERMS.spend, TERMS.spend + 1, TERMS.spend + TERMS.grace, TERMS.spend + TERMS.grace + 1]
)
def test_what_is_handed_in_on_which_last_day(day: int) -> None:
    """§14-23: one's own value with conditions while it can be spent, all else while it can be claimed."""
    mint = Mint()
    bound, free = mint.wallet(), mint.wallet(300)
    mint.ledger.issue(bound.book.key, 400, mint.epoch, mint.draw(8), (CAP,))
    mint.settle_in(bound)
    for wallet, amount in ((bound, 400), (free, 300)):
        restore(mint, wallet, amount)
        mint.epoch += day
        mint.settle_in(wallet)
        mint.epoch -= day
    handed = [sum(held.amount for held in worn(wallet.book)) for wallet in (bound, free)]
    assert handed == [400 * (day <= TERMS.spend), 300 * (day <= TERMS.spend + TERMS.grace)]


def test_a_sync_counts_every_fresh_token_that_replaces_something() -> None:
    """§14-25: one's own value with conditions, and all the rest, are two."""
    mint = Mint()
    wallet = far(mint)
    mint.ledger.issue(wallet.book.key, 400, mint.epoch, mint.draw(8), (CAP,))
    mint.settle_in(wallet)
    restore(mint, wallet, 400 + wallet.book.available(mint.epoch) - 400)
    report = renewed(mint, wallet)
    assert (report.renewed, report.funded) == (900, 900)


def test_what_comes_after_a_part_of_it_was_settled_stays_a_credit() -> None:
    """§14-25: the settled part was paid already; fresh tokens for the whole would pay it again."""
    mint = Mint()
    wallet = mint.wallet(100)
    mint.epoch += 3
    mint.fund(wallet, 50)
    restore(mint, wallet, 150)
    prepared = prepare(wallet, Drbg(mint.draw()), deposit=False, renew=True)
    first, last = sorted(token.claim_by for token in wallet.book.graph.tokens.values())
    mint.epoch = first + 1
    assert mint.epoch <= last
    mint.ledger.settle(mint.epoch)
    tell(wallet, prepared, mint)
    assert (mint.ledger.audit().renewed, renewals(mint.ledger.world())) == (0, {})
    assert [credit.amount for credit in mint.store.credits()] == [50]


def test_a_cheats_value_is_not_made_clean() -> None:
    """§14-26: behind it is the hand of a wallet that is named: it stays a credit, at risk as any other."""
    mint = Mint()
    thief, hand, wallet, other = mint.wallet(300), mint.wallet(), mint.wallet(), mint.wallet()
    twin = mint.clone(thief)
    mint.pay(thief, hand, 300)
    mint.pay(twin, other, 300)
    mint.pay(hand, wallet, 300)
    mint.settle_in(other)
    mint.settle_in(hand)
    assert mint.named()
    report = renewed(mint, wallet)
    assert (report.funded, mint.ledger.audit().renewed) == (0, 0)
    assert sum(credit.amount for credit in mint.store.credits()) == 300


def test_one_deposit_is_a_credit_or_a_token() -> None:
    """§14-24: the choice is in the signed body; to hand in and to deposit the same units is to cheat."""
    mint = Mint()
    wallet = mint.wallet(100)
    (held,) = wallet.book.holdings
    span = Span(Parent(held.token, Side.TOKEN, 0), 0, 100)
    where = mint.authority.institution
    plain = mint.sign(wallet, TransferBody(where, (span,), EPOCH, ()), mint.opening(0, 1))
    fresh = mint.sign(wallet, TransferBody(where, (span,), EPOCH, (RENEWAL,)), mint.opening(1, 2))
    assert (is_renewal(plain), is_renewal(fresh)) == (False, True)
    mint.sync(mint.signed_upload(wallet, upload_of(wallet.book)._replace(transfers=(plain, fresh))))
    assert mint.named() == {(wallet.book.key, "FORK")}
    assert not renewals(mint.ledger.world())


def test_serials_differ_by_deposit_and_number() -> None:
    """§14-25: 8 bytes of a hash over the deposit and the token's number."""
    found = {renewal_serial(bytes([one]) * 32, number) for one in range(4) for number in range(4)}
    assert len(found) == 16
    assert {len(serial) for serial in found} == {8}


def test_an_audit_finds_a_fresh_token_of_another_amount() -> None:
    """§14-26 and §16-14: a token with a renewal's serial that the deposit does not account for."""
    mint = Mint()
    wallet = far(mint)
    renewed(mint, wallet)
    (deposit,) = renewals(mint.ledger.world())
    mint.ledger.issue(wallet.book.key, 7, EPOCH, renewal_serial(deposit, 1))
    with pytest.raises(TapError, match=f"renewal {deposit.hex()}"):
        mint.ledger.audit()
