"""Any row of any table that is altered, deleted or added is reported, and nothing else is (SPEC §16-14)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dualtap_issuer.findings import Wrong
from dualtap_issuer.store import DISTRIBUTION, FRONT_DOOR
from tests.mint import Mint
from tests.support.corrupt import Corruption, corruptions, rich, write

EVERY = bool(os.environ.get("DUALTAP_EVERY_ROW"))
"""All rows, and not only the first and the last of each table: it takes minutes."""
TABLES = sorted((DISTRIBUTION.keys() | FRONT_DOOR) - {"todo"})
EMPTY = {"dated", "party", "setting", "renewal", "successor"}
"""Nothing is in them here."""
QUESTIONS = {("ordinal", "key")}
"""What a bank may have to answer for, and not the ledger."""
SURVIVORS: dict[tuple[str, str], str] = {
    ("fact", "epoch"): "the stamp is the ledger's own word; it shows only where a credit depends on it",
    ("challenge", "*"): "a challenge is 32 random bytes: nothing else tells of it",
    ("closed", "add"): "an epoch in which nothing was settled looks the same",
    ("wait", "delete"): "what it waited for has come, or it waits for another thing too",
    ("ordinal", "delete"): "the last of a sequence, of a wallet that has never synced",
    ("ordinal", "key"): "of a wallet that has never synced",
    ("delivery", "delete"): "the last of a sequence: nothing says that there was more",
    ("policy", "delete"): "the last of a sequence: nothing says that there was more",
}
"""What an audit cannot see, and why. It may see some."""


@pytest.fixture(scope="module")
def mint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mint]:
    found = rich(str(tmp_path_factory.mktemp("rich") / "ledger.db"))
    yield found
    found.store.close()


def columns_of(mint: Mint, table: str) -> list[str]:
    return [row[0] for row in mint.store.ask("SELECT name FROM pragma_table_info(%s) ORDER BY cid", values=(table,))]


def test_a_sound_ledger_has_questions_only(mint: Mint) -> None:
    """§15-10: what a liar's tape leaves out, and what a torn tap did, names nobody."""
    found = mint.ledger.findings()
    assert {(one.table, one.wrong) for one in found} <= {("tape", Wrong.QUESTION)}
    mint.ledger.audit()


@pytest.mark.parametrize("table", TABLES)
def test_every_corruption_of_a_row_is_reported_and_no_other_row(mint: Mint, table: str) -> None:
    """§16-14."""
    check_table(mint, table, columns_of(mint, table), EVERY)


def check_table(mint: Mint, table: str, columns: list[str], every: bool) -> None:
    keys = list(mint.store.catalogue()[table])
    if table != "span":  # which an audit shows whole, in its own order
        columns = [*keys, *[name for name in columns if name not in keys]]
    before = set(mint.ledger.findings())
    done, unseen = 0, set[tuple[str, str]]()
    for corruption in corruptions(mint.store, table, columns, every):
        if not write(mint.store, corruption, columns):
            continue
        found = set(mint.ledger.findings()) - before
        write(mint.store, corruption, columns, undo=True)
        done += 1
        if (table, corruption.how) == ("fact", "epoch"):
            continue  # where it shows, it shows in a credit
        if not found:
            unseen.add((table, corruption.how))
        for one in found:
            assert corruption.tells(one.table, one.row) or _of_fact(corruption, one.row), (corruption, one)
    assert unseen <= SURVIVORS.keys() | {(table, how) for _, how in unseen if (table, "*") in SURVIVORS}, unseen
    assert (done == 0) == (table in EMPTY), "the ledger is worth something"
    assert set(mint.ledger.findings()) == before


def _of_fact(corruption: Corruption, row: tuple[object, ...]) -> bool:
    """Return whether a row tells of the fact that was corrupted, by its digest; or the fact that an added row tells of.

    A row that is alone in telling of a fact that is not there: which of both is wrong, nothing says.
    """
    if corruption.table in {"authority", "certified"} and corruption.new is not None:
        return row == (corruption.new[1],)
    return corruption.table == "fact" and corruption.old is not None and corruption.old[0] in row


ABOUT: list[tuple[str, Callable[[tuple[object, ...]], object]]] = [
    ("span", lambda row: int(str(row[5])) - int(str(row[4]))),
    ("leaf", lambda row: int(str(row[2])) - int(str(row[1]))),
    ("credit", lambda row: row[4]),
    ("share", lambda row: row[2]),
    ("liability", lambda row: row[2]),
]


@pytest.mark.parametrize(("table", "amount"), ABOUT, ids=[table for table, _ in ABOUT])
def test_what_is_reported_tells_the_amount(
    mint: Mint, table: str, amount: Callable[[tuple[object, ...]], object]
) -> None:
    """§16-14: in minor units of its currency."""
    columns = columns_of(mint, table)
    corruption = next(one for one in corruptions(mint.store, table, columns, every=False) if one.how == "delete")
    write(mint.store, corruption, columns)
    found = [one for one in mint.ledger.findings() if one.wrong is not Wrong.QUESTION]
    write(mint.store, corruption, columns, undo=True)
    assert [(one.currency, one.wrong) for one in found] == [("CNY", Wrong.MISSING)]
    assert found[0].amount == amount(found[0].row) > 0  # type: ignore[operator]


def test_an_audit_holds_up_no_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one process audits, another takes a sync; the audit sees the instant at which it began."""
    mint = Mint(path=tmp_path / "ledger.db")
    payer, shop = mint.wallet(100), mint.wallet()
    mint.pay(payer, shop, 60)
    other = Mint(path=tmp_path / "ledger.db")
    real = other.store.marks

    def marks() -> object:
        if mint.ledger.digest() == before:
            mint.settle_in(shop, deposit=True)
        return real()

    before = mint.ledger.digest()
    monkeypatch.setattr(other.store, "marks", marks)
    found = other.ledger.audit()
    assert (found.settled, mint.ledger.digest() != before) == (0, True)
    monkeypatch.undo()
    assert other.ledger.audit().settled == 60
    mint.store.close()
    other.store.close()
