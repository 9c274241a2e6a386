"""What lost and moved wallets are paid does not depend on the order, batches and repetition of syncs (SPEC §1-5)."""

from __future__ import annotations

import random
from functools import cache

import pytest

from dualtap.statements import BindBody, Errand, OrderBody, OwnBody, Word
from tests.unit.test_payouts import Family


def words_of(family: Family) -> list[Word]:
    """Return what three wallets say of the card in one epoch: it is bound, lost, moved; a thief binds it as well."""
    mint, epoch, card = family.mint, family.mint.epoch, family.card.book.key
    found: list[Word] = []
    for owner, number in ((family.phone, 1), (family.shop, 2)):
        session = bytes([number]) * 32
        found.append(mint.sign(family.card, BindBody(owner.book.key, session, number, epoch)))
        found.append(mint.sign(owner, OwnBody(card, session, epoch)))
        for errand, to in ((Errand.LOST, b""), (Errand.MOVE, (family.spare, owner)[number - 1].book.key)):
            body = OrderBody(card, number, len(found), errand, False, 5, 6, 0, to, epoch)
            found.append(mint.sign(owner, body))
    return found


@cache
def lived(seed: int) -> tuple[bytes, int, list[object]]:
    """Return the ledger's digest, what was paid to the spare card, and the payouts; seed 0 changes no order."""
    draw, family = random.Random(seed), Family()
    mint = family.mint
    assert mint.pay(family.card, family.shop, 30) == "paid"
    items: list[Word | None] = [*words_of(family), None]  # None: the shop's own sync
    if seed:
        items = draw.sample(items, len(items)) + draw.choices(items, k=2)
    while items:
        size = draw.randrange(1, 4) if seed else 1
        batch, items = items[:size], items[size:]
        if None in batch:
            mint.settle_in(family.shop)
        family.tell(*[word for word in batch if word is not None])
    family.settle()
    rows = mint.store.ask("SELECT token, holder, epoch, fresh FROM payout ORDER BY token, holder")
    return mint.ledger.digest(), family.funded(family.spare), [tuple(row) for row in rows]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_batches_and_repetition_change_nothing_that_is_paid(seed: int) -> None:
    """§1-5, §16-13, §16-21, §16-22: the smaller number was bound first, as far as one epoch tells."""
    expected = lived(0)
    assert (expected[1], len(expected[2])) == (50, 1)
    assert lived(seed) == expected
