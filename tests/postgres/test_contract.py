"""The contract of every store, over PostgreSQL."""

from __future__ import annotations

import pytest

from tests.contract import test_store_contract as suite
from tests.support.postgres import Postgres

store = suite.store
TESTS = {name: test for name, test in vars(suite).items() if name.startswith("test_")}
globals().update(TESTS)


@pytest.fixture
def where(postgres: Postgres) -> str:
    """Where there is room for an empty ledger."""
    return postgres.place()


def test_the_whole_contract_is_here() -> None:
    assert len(TESTS) == 27
