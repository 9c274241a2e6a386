"""What a scheme decided of its guarantee: caps that are kept, and whose wallets are bound to nobody (SPEC §16-16)."""

from __future__ import annotations

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_issuer import settling
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.insured import Certified, set_caps
from dualtap_issuer.ledger import Ledger
from tests.mint import EPOCH, TERMS, Mint

LAST = EPOCH + TERMS.spend + TERMS.grace


def robbed() -> tuple[Mint, list[bytes]]:
    """Return a ledger where a thief spent 100 at two tills, and the tills' keys."""
    mint = Mint()
    thief = mint.wallet(100)
    tills = [mint.wallet(), mint.wallet()]
    for payer, till in zip((thief, mint.clone(thief)), tills, strict=True):
        assert mint.pay(payer, till, 100) == "paid"
        mint.settle_in(till, deposit=True)
    return mint, [till.book.key for till in tills]


def test_caps_that_were_set_hold_for_every_process() -> None:
    """§16-16: they outlive the process that set them, and replace the terms' own."""
    mint, _ = robbed()
    set_caps(mint.store, Caps(30, limits.AMOUNT))
    other = Ledger(mint.store, mint.authority, TERMS._replace(guarantee=Caps(1, 2)))
    assert other.guarantee == (30, limits.AMOUNT)
    other.settle(LAST + 1)
    assert [share.guaranteed for share in settling.all_shares(mint.store)] == [30, 30]
    set_caps(mint.store, Caps(5, 6))
    other.audit()


@pytest.mark.parametrize("caps", [Caps(-1, 0), Caps(0, limits.AMOUNT + 1)])
def test_a_cap_is_an_amount(caps: Caps) -> None:
    mint = Mint()
    with pytest.raises(TapError, match="a cap is an amount") as caught:
        set_caps(mint.store, caps)
    assert caught.value.code is Code.BAD_INPUT
    assert mint.ledger.guarantee == TERMS.guarantee


def test_who_is_certified_without_an_identity_is_bound_to_nobody() -> None:
    """§16-16 and §4.3-7: its tier says so."""
    mint, tills = robbed()
    stranger = mint.draw()
    assert set(Certified(mint.store, mint.scheme, ()).bound([*tills, stranger])) == set(tills)
    assert set(Certified(mint.store, mint.scheme, (1,)).bound(tills)) == set()
    mint.ledger.terms = TERMS._replace(anonymous=frozenset({1}))
    mint.ledger.settle(LAST + 1)
    assert [share.guaranteed for share in settling.all_shares(mint.store)] == [0, 0]
    mint.ledger.audit()
