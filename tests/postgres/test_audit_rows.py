"""Every corruption of a row is reported over PostgreSQL too; an audit holds up no sync."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.test_store_contract import NAMES
from tests.mint import Mint
from tests.support.corrupt import rich
from tests.support.postgres import Postgres
from tests.unit.test_audit_rows import TABLES, check_table


@pytest.fixture(scope="module")
def mint(postgres: Postgres) -> Iterator[Mint]:
    found = rich(postgres.place())
    yield found
    found.store.close()


@pytest.mark.parametrize("table", TABLES)
def test_every_corruption_of_a_row_is_reported_and_no_other_row(mint: Mint, table: str) -> None:
    """§16-14."""
    columns = [row[0] for row in mint.store.ask(NAMES["postgresql"], values=(table,))]
    check_table(mint, table, columns, every=False)


def test_an_audit_holds_up_no_sync(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    where = postgres.place()
    mint, other = Mint(path=where), Mint(path=where)
    payer, shop = mint.wallet(100), mint.wallet()
    mint.pay(payer, shop, 60)
    real, before = other.store.marks, mint.ledger.digest()

    def marks() -> object:
        if mint.ledger.digest() == before:
            mint.settle_in(shop, deposit=True)
        return real()

    monkeypatch.setattr(other.store, "marks", marks)
    assert (other.ledger.audit().settled, mint.ledger.digest() != before) == (0, True)
    monkeypatch.undo()
    assert other.ledger.audit().settled == 60
    mint.store.close()
    other.store.close()
