"""Stories of thieves, each caught by its own evidence, and of honest people in bad luck, who never are."""

from __future__ import annotations

import random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtap.evidence import Fraud
from dualtap.records import Healed
from dualtap.statements import CloseBody, Outcome, ReceiptBody, TapeStatement, Transfer
from dualtap.sync import upload_of
from dualtap.verdict import Verdict, verify_evidence
from dualtap_devices.wallet import Wallet
from dualtap_issuer.audit import wallet_id
from tests.mint import Mint


@pytest.fixture(params=["ed25519", "p256"])
def mint(request: pytest.FixtureRequest) -> Mint:
    return Mint(cast("str", request.param))


def verdicts(mint: Mint) -> list[Verdict]:
    """Audit, and check all evidence by the root key alone."""
    return [verify_evidence(found.evidence, mint.scheme.root) for found in mint.ledger.audit().conflicts]


def frauds(mint: Mint) -> set[tuple[str, Fraud]]:
    return {(wallet_id(found.key), found.fraud) for found in verdicts(mint)}


def sent(wallet: Wallet, payee: Wallet) -> Transfer:
    found = [one for one in wallet.book.graph.transfers.values() if one.body.payee == payee.book.key]
    return found[-1]


def test_a_clone_that_spends_the_same_units_is_named_for_both(mint: Mint) -> None:
    """§8.1-8, §16-3, §16-8."""
    thief, one, other = mint.wallet(1000), mint.wallet(), mint.wallet()
    clone = mint.clone(thief)
    assert mint.pay(thief, one, 700) == mint.pay(clone, other, 600) == "paid"
    (_, start, end), (_, low, high) = sent(thief, one).body.spans[0], sent(clone, other).body.spans[0]
    twice = min(end, high) - max(start, low)
    assert mint.account().unseen == twice >= 300
    for payee in (one, other):
        mint.settle_in(payee, deposit=True)
    name = wallet_id(thief.book.key)
    assert frauds(mint) == {(name, Fraud.FORK), (name, Fraud.TAPE_FORK)}
    found = mint.ledger.audit()
    assert (found.issued, found.overspend, found.settled, found.outstanding) == (1000, twice, 1300, twice - 300)
    assert mint.account().accounted
    assert mint.ledger.policy.hotlist == (thief.book.key,)
    mint.settle_in(one)
    assert mint.pay(mint.clone(thief), one, 100) == "not_paid"


def test_a_clone_that_spends_other_units_forks_its_tape_and_overspends_nothing() -> None:
    mint, thief, payees = next(filter(_disjoint, map(_paid_twice, range(20))))
    for payee in payees:
        mint.settle_in(payee, deposit=True)
    assert frauds(mint) == {(wallet_id(thief.book.key), Fraud.TAPE_FORK)}
    assert mint.ledger.audit().overspend == 0
    assert mint.account().accounted


def _paid_twice(seed: int) -> tuple[Mint, Wallet, tuple[Wallet, Wallet]]:
    mint = Mint(seed=f"disjoint {seed}")
    thief, payees = mint.wallet(1000), (mint.wallet(), mint.wallet())
    clone = mint.clone(thief)
    assert mint.pay(thief, payees[0], 100) == mint.pay(clone, payees[1], 100) == "paid"
    return mint, thief, payees


def _disjoint(story: tuple[Mint, Wallet, tuple[Wallet, Wallet]]) -> bool:
    """Return whether the two payments took other units: wallets spend from a random end."""
    payees = story[2]
    (_, start, end), (_, low, high) = (
        next(iter(payee.book.graph.transfers.values())).body.spans[0] for payee in payees
    )
    return end <= low or high <= start


def test_two_outcomes_of_one_request_name_the_payee(mint: Mint) -> None:
    """§4.1-12."""
    payer, liar = mint.wallet(1000), mint.wallet()
    mint.pay(payer, liar, 400)
    receipt = liar.book.tape[-1]
    ctr = receipt.shown().ctr
    close = forged_close(mint, liar, sent(payer, liar), ctr)
    upload = upload_of(liar.book)
    mint.sync(mint.signed_upload(liar, upload._replace(tape=(receipt, cast("TapeStatement", close)))))
    assert frauds(mint) == {(wallet_id(liar.book.key), Fraud.TWO_OUTCOMES)}
    assert mint.ledger.audit().overspend == 0


def forged_close(mint: Mint, payee: Wallet, transfer: Transfer, prev: int) -> Outcome:
    body = CloseBody(transfer.shown().request, 10, mint.epoch)
    return mint.sign(payee, body, mint.opening(prev, prev + 1))


def robbed(mint: Mint) -> tuple[Wallet, Wallet, Wallet]:
    """Let a payee take a payment, spend it, and tell its payer that it was refused."""
    payer, thief, shop = mint.wallet(1000), mint.wallet(), mint.wallet()
    cut = next(n for n in range(1, 20) if _in_doubt(n))
    assert mint.pay(payer, thief, 400, cut) == "in_doubt"
    assert isinstance(thief.book.tape[-1].body, ReceiptBody)
    assert mint.pay(thief, shop, 400) == "paid"
    transfer = sent(payer, thief)
    payer.write(Healed(transfer.id, forged_close(mint, thief, transfer, 1000)))
    assert payer.book.available(mint.epoch) == 1000
    return payer, thief, shop


def _in_doubt(cut: int) -> bool:
    """Return whether tearing a tap here leaves a payment accepted of which the payer does not know."""
    mint = Mint(seed="try")
    payer, payee = mint.wallet(10), mint.wallet()
    mint.pay(payer, payee, 10, cut)
    return payer.book.in_doubt() == payee.book.available(mint.epoch) == 10


def test_spending_what_was_refused_names_the_payee(mint: Mint) -> None:
    payer, thief, shop = robbed(mint)
    for honest in (shop, payer):
        mint.settle_in(honest, deposit=True)
    assert frauds(mint) == {(wallet_id(thief.book.key), Fraud.DEAD_SPENT)}
    found = mint.ledger.audit()
    assert (found.overspend, found.settled) == (400, 1400)
    assert mint.account().accounted


def test_of_three_that_overlap_each_stands_in_a_pair() -> None:
    """§16-3."""
    mint = Mint()
    thief = mint.wallet(1000)
    clones = [thief, mint.clone(thief), mint.clone(thief)]
    shops = [mint.wallet() for _ in clones]
    for clone, shop in zip(clones, shops, strict=True):
        mint.pay(clone, shop, 900)
    for shop in shops:
        mint.settle_in(shop, deposit=True)
    kinds = [found.fraud for found in verdicts(mint)]
    assert (kinds.count(Fraud.FORK), kinds.count(Fraud.TAPE_FORK)) == (2, 2)
    assert len(mint.store.marks()) == 6
    assert mint.ledger.audit().overspend == 1700


def test_a_payment_of_which_the_payee_never_told_goes_back_at_claim_by(mint: Mint) -> None:
    """§16-10."""
    payer, payee = mint.wallet(1000), mint.wallet()
    cut = next(n for n in range(1, 20) if _in_doubt(n))
    mint.pay(payer, payee, 400, cut)
    mint.settle_in(payer)
    assert mint.account().in_doubt == 0, "the payee's store has the Receipt"
    mint.epoch += 16
    assert mint.ledger.settle(mint.epoch) == 1000
    ((_, leaves),) = mint.store.settled().items()
    assert {leaf.holder for leaf in leaves} == {payer.book.key}
    mint.ledger.audit()


def test_a_receipt_seen_by_claim_by_pays_the_payee_that_never_deposits(mint: Mint) -> None:
    """§16-10."""
    payer, payee = mint.wallet(1000), mint.wallet()
    mint.pay(payer, payee, 400)
    mint.settle_in(payer)
    mint.epoch += 16
    mint.ledger.settle(mint.epoch)
    ((_, leaves),) = mint.store.settled().items()
    assert {leaf.holder: leaf.amount for leaf in leaves} == {payer.book.key: 600, payee.book.key: 400}
    assert mint.account().accounted


def test_what_is_told_after_claim_by_names_but_does_not_credit(mint: Mint) -> None:
    """§16-11."""
    payer, payee = mint.wallet(1000), mint.wallet()
    mint.pay(payer, payee, 400)
    mint.epoch += 16
    mint.settle_in(payee, deposit=True)
    mint.ledger.settle(mint.epoch)
    ((_, leaves),) = mint.store.settled().items()
    assert {leaf.holder: leaf.amount for leaf in leaves} == {payer.book.key: 1000}
    mint.ledger.audit()


def test_a_sync_heals_a_payer_whose_payee_told_first(mint: Mint) -> None:
    payer, payee = mint.wallet(1000), mint.wallet()
    cut = next(n for n in range(1, 20) if _in_doubt(n))
    mint.pay(payer, payee, 400, cut)
    mint.settle_in(payee)
    assert mint.settle_in(payer).healed == 1
    assert (payer.book.in_doubt(), payer.book.available(mint.epoch)) == (0, 600)


@settings(max_examples=25, deadline=None)
@given(st.integers(min_value=0, max_value=2**32))
def test_nobody_honest_is_named_and_every_unit_is_accounted_for(seed: int) -> None:
    """Torn taps, repeated syncs, deposits: at every instant the books are even."""
    draw = random.Random(seed)
    mint = Mint(seed=str(seed))
    wallets = [mint.wallet(100) for _ in range(3)]
    for _ in range(14):
        one, other = draw.sample(wallets, 2)
        if draw.random() < 0.7:
            mint.pay(one, other, draw.randint(1, 60), draw.choice([1, 2, 3, 4, 5, 100, 100]))
        else:
            mint.settle_in(one, deposit=draw.random() < 0.3)
        assert mint.account().accounted
    for wallet in draw.sample(wallets, 3) * 2:
        mint.settle_in(wallet, deposit=True)
    assert not mint.named()
    found = mint.ledger.audit()
    assert found.overspend == 0
    assert found.outstanding == mint.account().in_doubt + mint.account().held
    mint.epoch += 16
    mint.ledger.settle(mint.epoch)
    assert mint.ledger.audit().settled == 300
    assert mint.account().accounted


def test_a_double_spend_that_a_till_refused_is_named_when_that_till_syncs(mint: Mint) -> None:
    """§8.3-5, §14-5."""
    thief, shop = mint.wallet(100), mint.wallet()
    clone = mint.clone(thief)
    assert mint.pay(thief, shop, 100) == "paid"
    assert mint.pay(clone, shop, 100) == "not_paid"
    shop.compact()
    assert len(shop.book.witnessed) == 1
    mint.settle_in(shop, deposit=True)
    assert {key for key, _ in mint.named()} == {thief.book.key}
    assert shop.book.witnessed == []


def test_a_payee_that_closed_and_spent_all_the_same_is_seen_by_who_holds_both_sides(mint: Mint) -> None:
    """§8.2-6, §8.3-2."""
    payer, cheat, shop = mint.wallet(100), mint.wallet(), mint.wallet()
    mint.pay(payer, cheat, 100, cut=3)
    (pending,) = payer.book.pending.values()
    assert mint.pay(cheat, shop, 100) == "paid"
    request = pending.transfer.shown().request
    payer.write(Healed(pending.transfer.id, mint.sign(cheat, CloseBody(request, 11, mint.epoch), mint.opening(90, 91))))
    assert mint.pay(payer, shop, 100) == "not_paid"
    mint.settle_in(shop)
    assert {key for key, _ in mint.named()} == {cheat.book.key}
