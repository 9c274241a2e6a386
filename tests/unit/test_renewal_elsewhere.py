"""A renewal goes to who issued the value, wherever it is told; and it waits for nobody who may pay it too (§14-24)."""

from __future__ import annotations

import pytest

from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from tests.mint import EPOCH
from tests.support.league import League

LAST = EPOCH + 15


def handed_in(league: League) -> Wallet:
    """Return a wallet that told the second institution to renew what the first one issued, and came far."""
    one, two = league.members
    first, second, last = league.customer(one, 300), league.customer(one), league.customer(two)
    assert league.pay(first, second, 300) == league.pay(second, last, 300) == "paid"
    report = sync(last, two, league.draw(), deposit=False, renew=True)
    assert (report.renewed, league.store.ask("SELECT count(*) FROM renewal")) == (0, [(1,)])
    return last


def test_what_another_institution_issued_is_renewed_by_that_one() -> None:
    """§16-26: whoever else has the upload; once."""
    league = League(2)
    one, two = league.members
    last = handed_in(league)
    other = league.customer(one)
    for member in (two, one, one, two):
        league.sync_at(member, other)
    assert (league.sync_at(two, last).funded, league.sync_at(one, last).funded) == (300, 0)
    found = one.ledger.audit()
    assert (found.issued, found.renewed, found.outstanding) == (300, 300, 300)


@pytest.mark.parametrize("late", [LAST, LAST + 1])
def test_what_was_settled_as_a_credit_is_not_renewed_as_well(late: int) -> None:
    """§16-26: another institution settled first, and paid it."""
    league = League(2)
    one, two = league.members
    last = handed_in(league)
    league.epoch = late
    if late > LAST:
        two.ledger.settle(late)
    assert league.sync_at(one, last).funded == (0 if late > LAST else 300)
    found = one.ledger.audit()
    assert (found.renewed, found.settled) == ((0, 300) if late > LAST else (300, 0))
    league.epoch = LAST + 2
    one.ledger.settle(LAST + 2)
    one.ledger.audit()
