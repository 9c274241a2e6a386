"""One mark for each statement that stands against another, and one witness: never all pairs."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from dualtap.evidence import Fraud
from dualtap.statements import Parent, Side, Span, TransferBody
from dualtap.sync import upload_of
from dualtap_issuer.database import migrations
from dualtap_issuer.marks import Mark, chain, differing
from dualtap_issuer.rules import World, pairs
from dualtap_issuer.store import Store
from tests.mint import Mint

A, B, C, D = (bytes([number]) * 32 for number in range(1, 5))


@pytest.mark.parametrize("seed", range(50))
def test_a_chain_holds_all_that_overlap_and_no_others(seed: int) -> None:
    draw = random.Random(seed)
    items = list[tuple[int, int, bytes]]()
    for number in range(draw.randrange(9)):
        start = draw.randrange(20)
        items.append((start, start + draw.choice([0, 1, 3, 9]), bytes([number])))
    found, every = list(chain(items)), {frozenset(pair) for pair in pairs(items)}
    assert {frozenset(pair) for pair in found} <= every
    assert {one for pair in found for one in pair} == {one for pair in every for one in pair}
    assert len(found) < max(1, len(items))
    draw.shuffle(items)
    assert list(chain(items * 2)) == found


@pytest.mark.parametrize("seed", range(30))
def test_outcomes_that_differ_are_all_in_pairs(seed: int) -> None:
    """§4.1-12."""
    draw = random.Random(seed)
    items = [(bytes([number]), draw.choice([b"", b"x", b"y"][: draw.choice([1, 2, 3])])) for number in range(6)]
    accepted, found = dict(items), list(differing(items))
    assert all(accepted[one] != accepted[other] for one, other in found)
    expected = set(accepted) if len(set(accepted.values())) > 1 else set[bytes]()
    assert {one for pair in found for one in pair} == expected
    draw.shuffle(items)
    assert list(differing(items)) == found
    assert list(differing([])) == []


def test_n_statements_of_a_thief_make_n_rows() -> None:
    """§16-3: a hostile upload costs what it holds, not its square."""
    mint, count = Mint(), 40
    thief, shop = mint.wallet(100), mint.wallet()
    ((token, _),) = thief.book.graph.tokens.items()
    span = Span(Parent(token, Side.TOKEN, 0), 0, 100)
    body = TransferBody(shop.book.key, (span,), mint.epoch, ())
    transfers = tuple(mint.sign(thief, body, mint.opening(0, 9)) for _ in range(count))
    for part in (transfers[:15], transfers[15:], transfers):
        mint.sync(mint.signed_upload(thief, upload_of(thief.book)._replace(transfers=part)))
    marks = mint.store.marks()
    assert [
        marks.count(Mark(thief.book.key, kind, one.id)) for kind in (Fraud.FORK, Fraud.TAPE_FORK) for one in transfers
    ] == [1] * 2 * count
    assert len(marks) == 2 * count
    assert len(mint.store.conflicts()) == 2 * (count - 1)
    assert mint.ledger.audit().overspend == 100 * (count - 1)


def test_each_part_of_a_token_is_visited_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payment that its payee never told of, spent in many pieces that do not touch."""
    mint, count = Mint(), 30
    payer, shop, other = mint.wallet(1_000), mint.wallet(), mint.wallet()
    ((token, _),) = payer.book.graph.tokens.items()
    whole = TransferBody(shop.book.key, (Span(Parent(token, Side.TOKEN, 0), 0, 1_000),), mint.epoch, ())
    payment = mint.sign(payer, whole, mint.opening(0, 1))
    there = Parent(payment.id, Side.PAYEE, 0)
    kids = tuple(
        mint.sign(shop, TransferBody(other.book.key, (Span(there, 3 * n, 3 * n + 1),), mint.epoch, ()),
                  mint.opening(n, n + 1))
        for n in range(count)
    )  # fmt: skip
    mint.settle_in(shop)
    mint.sync(mint.signed_upload(payer, upload_of(payer.book)._replace(transfers=(payment, *kids))))
    world, asked, real = mint.ledger.world(), list[Parent](), World.valid_kids

    def counted(self: World, parent: Parent, by: int) -> object:
        asked.append(parent)
        return real(self, parent, by)

    monkeypatch.setattr(World, "valid_kids", counted)
    leaves = world.leaves(token, mint.epoch)
    assert len(leaves) == 2 * count
    assert sum(leaf.amount for leaf in leaves) == 1_000
    assert len(asked) == len(set(asked)) == count + 2


def test_a_ledger_that_kept_pairs_keeps_their_marks(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as old:
        for statement in dict(migrations("sqlite"))[1]:
            old.execute(statement)
        old.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY)")
        old.execute("INSERT INTO migration VALUES (1)")
        rows = [(A, Fraud.FORK, B, C), (A, Fraud.FORK, B, D), (A, Fraud.DEAD_SPENT, B, D)]
        old.executemany("INSERT INTO conflict VALUES (?, ?, ?, ?)", [(a, int(b), c, d) for a, b, c, d in rows])
    old.close()
    store = Store.open(path)
    forked = [Mark(A, Fraud.FORK, one) for one in (B, C, D)]
    assert store.marks() == [*forked, Mark(A, Fraud.DEAD_SPENT, D)]
    store.close()
