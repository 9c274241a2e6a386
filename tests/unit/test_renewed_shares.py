"""A renewed deposit was paid by its fresh tokens: a settlement gives it nothing more (SPEC §14-24, §16-15)."""

from __future__ import annotations

import pytest

from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer import settling
from dualtap_issuer.guarantee import Caps, Share
from dualtap_issuer.renewals import renewals
from dualtap_issuer.states import Paid, Standing, paid, states
from tests.mint import EPOCH, TERMS, Mint

LAST = EPOCH + TERMS.spend + TERMS.grace
ONE = (1).to_bytes(1, "big")


def dies(*_: object) -> bool:
    """Renew nothing, as a process that died before it could."""
    return False


class Robbed:
    """A token of 300 units, spent twice: 300 reached ``other``; of the rest 100 were renewed, 200 deposited."""

    def __init__(self, caps: Caps = Caps(), renewed: int = 300) -> None:  # noqa: B008 - immutable
        self.mint = mint = Mint()
        mint.ledger.terms = TERMS._replace(guarantee=caps)
        thief, hand = mint.wallet(300), mint.wallet()
        twin = mint.clone(thief)
        self.thief, self.wallet, self.other = thief, mint.wallet(), mint.wallet()
        assert mint.pay(thief, hand, 300) == mint.pay(hand, self.wallet, renewed) == "paid"
        ((self.token, _),) = self.wallet.book.graph.tokens.items()
        assert sync(self.wallet, mint, mint.draw(), deposit=False, renew=True).renewed == renewed
        if renewed < 300:
            assert mint.pay(hand, self.wallet, 300 - renewed) == "paid"
            mint.settle_in(self.wallet, deposit=True)
        assert mint.pay(twin, self.other, 300) == "paid"
        mint.settle_in(self.other, deposit=True)
        assert mint.named() == {(thief.book.key, "FORK")}
        (self.deposit,) = renewals(mint.ledger.world())

    def shares(self) -> dict[bytes, Share]:
        self.mint.ledger.settle(LAST + 1)
        return {share.holder: share for share in settling.all_shares(self.mint.store)}

    def got(self, wallet: Wallet) -> Paid:
        """Return what a settlement of the spent token paid a wallet."""
        given = paid(self.mint.store, self.mint.scheme, wallet.book.key, [self.token]).values()
        return Paid(sum(one.backed for one in given), sum(one.guaranteed for one in given))


def test_a_renewed_deposit_gets_no_share_and_no_guarantee() -> None:
    """§14-24: its fresh tokens are all that it is paid; who stands against it loses nothing by them."""
    robbed = Robbed()
    assert robbed.shares() == {robbed.other.book.key: Share(robbed.token, robbed.other.book.key, 300, 150, 150)}
    assert robbed.got(robbed.wallet) == Paid(0, 0)
    assert robbed.got(robbed.other) == Paid(150, 150)
    robbed.mint.ledger.audit()


@pytest.mark.parametrize("caps", [Caps(), Caps(payee=30), Caps(token=40)])
def test_what_the_same_holder_deposited_beside_it_is_a_claim_of_its_own(caps: Caps) -> None:
    """§16-15, §16-16: 100 of its units were renewed, and 200 deposited."""
    robbed = Robbed(caps, renewed=100)
    found = robbed.shares()
    mine, others = found[robbed.wallet.book.key], found[robbed.other.book.key]
    assert (mine.claim, mine.backed, others.claim, others.backed) == (200, 100, 300, 150)
    assert (mine.guaranteed, others.guaranteed) == {
        Caps(): (100, 150), Caps(payee=30): (30, 30), Caps(token=40): (16, 24)
    }[caps]  # fmt: skip
    assert robbed.got(robbed.wallet) == (100, mine.guaranteed)
    robbed.mint.ledger.audit()


def test_who_deposited_it_is_told_that_it_was_renewed_before_and_after_the_settlement() -> None:
    """§14-27: with what it credited, and never as final."""
    robbed = Robbed()
    mint, key = robbed.mint, robbed.wallet.book.key
    for _ in range(2):
        (state,) = states(mint.store, mint.scheme, key, [robbed.deposit])
        assert (state.standing, state.amount, state.until) == (Standing.RENEWED, 300, LAST)
        mint.ledger.settle(LAST + 1)


def test_a_renewal_that_a_dead_process_left_is_made_before_the_settlement() -> None:
    """§14-24: else the settlement would pay what the next sync renews."""
    mint = Mint()
    first, second, last = mint.wallet(300), mint.wallet(), mint.wallet()
    assert mint.pay(first, second, 300) == mint.pay(second, last, 300) == "paid"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dualtap_issuer.ledger.renew", dies)
        sync(last, mint, mint.draw(), deposit=False, renew=True)
    assert not renewals(mint.ledger.world())
    mint.ledger.settle(LAST + 1)
    (deposit,) = renewals(mint.ledger.world())
    assert mint.ledger.lines.line(last.book.key)
    assert paid(mint.store, mint.scheme, last.book.key, [*mint.store.settled()]) == {}
    mint.epoch = LAST + 1
    assert mint.settle_in(last).funded == 300
    assert mint.ledger.audit().settled == 0
    assert deposit
