"""The ledger's own tests, and the random worlds, over PostgreSQL."""

from __future__ import annotations

import random

import pytest

from tests.property import test_settlement as worlds
from tests.property.test_books import check_books
from tests.unit import test_insured as insured
from tests.unit import test_ledger as ledgers
from tests.unit import test_paid_once as once
from tests.unit import test_payouts as payouts
from tests.unit import test_renewal as renewals
from tests.unit import test_renewal_elsewhere as elsewhere
from tests.unit import test_renewed_shares as shares
from tests.unit import test_rules_of_syncs as syncs
from tests.unit import test_standing as standings

pytestmark = pytest.mark.usefixtures("moved")
OVER_SQLITE = {"test_an_audit_names_the_row_that_is_wrong", "test_an_audit_finds_a_changed_fact"}
"""They reach into the file; the contract of the stores has their like."""
mint = ledgers.mint
TESTS = {
    name: test
    for module in (elsewhere, insured, ledgers, once, payouts, renewals, shares, standings, syncs)
    for name, test in vars(module).items()
    if name.startswith("test_") and name not in OVER_SQLITE
}
globals().update(TESTS)


def test_the_ledgers_tests_are_here() -> None:
    assert len(TESTS) == 99


@pytest.mark.parametrize("seed", range(30))
def test_order_batches_and_repetition_change_nothing_here(seed: int) -> None:
    """§1-5, §16-2, §16-3, §16-4, §16-13."""
    worlds.check_order(seed, random.Random(seed))


@pytest.mark.parametrize("seed", [74, 107, 114, *range(12)])
def test_the_books_are_the_oracles_here(seed: int) -> None:
    """§14-26, §16-8, §16-9, §16-10, §16-15, §16-16, §16-17."""
    check_books(seed)
