"""What the simulator's checkers believe, where two outcomes of one request are about."""

from __future__ import annotations

import pytest

from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.reading import CLOSE, PAYER, RECEIPT, TOKEN, TRANSFER, Coin, Piece, Word
from dualtap_testing.stub import STUB

ANNA, FENCE, COIN, PAID, ASKED = b"anna", b"fence", b"coin", b"paid", b"asked"
RECEIVED = Word(b"receipt", RECEIPT, FENCE, b"", (), ASKED, PAID, b"", None, False, 1)
CLOSED = RECEIVED._replace(id=b"close", kind=CLOSE, accepts=b"")


@pytest.fixture
def checkers() -> Checkers:
    """Anna has paid a fence, who signed both outcomes; the ledger was told of the Receipt."""
    found = Checkers(STUB.name.encode(), (), STUB.verifier)
    found.bad.add(FENCE)
    found.shelf(ANNA)
    piece = Piece((COIN, TOKEN, 0), 0, 10)
    for bag in (found.bag, found.told):
        bag.coin(COIN, Coin(ANNA, 10, 9, b"", 5, 3))
        bag.word(Word(PAID, TRANSFER, ANNA, FENCE, (piece,), ASKED, b"", b"", None, False, 1))
        bag.word(RECEIVED)
    found.bag.word(CLOSED)
    return found


def settle(checkers: Checkers, *, exact: bool) -> None:
    due = checkers.bag.leaves()
    assert [(leaf.owner, leaf.parent[1]) for leaf in due] == [(ANNA, PAYER)]
    checkers.settlement(COIN, [(0, 10, FENCE)], due, exact)


@pytest.mark.parametrize("exact", [False, True])
def test_a_close_that_a_rewound_cheat_took_back_gives_nobody_anything(checkers: Checkers, exact: bool) -> None:
    settle(checkers, exact=exact)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("knows", ["the payer", "the ledger"])
def test_a_close_that_somebody_honest_was_told_counts(checkers: Checkers, knows: str, exact: bool) -> None:
    if knows == "the payer":
        checkers.shelves[ANNA][0].told.add(PAID)
    else:
        checkers.told.word(CLOSED)
    with pytest.raises(PromiseBroken, match="another than its holder"):
        settle(checkers, exact=exact)
