"""A process dies between what others can see and what follows from it: whoever opens the ledger next finishes it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

import pytest

from dualtap_issuer import rowcheck
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.rows import TodoRow
from dualtap_issuer.store import Store
from tests.contract.test_store_contract import paid
from tests.mint import TERMS, Mint
from tests.support.postgres import Postgres


@pytest.mark.parametrize("commits", [1, 2])
def test_what_a_dead_process_left_is_finished(postgres: Postgres, commits: int) -> None:
    """§1-5: names are a function of the set, also of what nobody uploads again."""
    where = postgres.place()
    mint = Mint(path=where)
    shop = paid(mint, 1)
    real, count = mint.store.publish, [0]

    def publish(todo: Iterable[TodoRow] = ()) -> bool:
        shown = real(todo)
        count[0] += 1
        if count[0] == commits:
            raise InterruptedError
        return shown

    mint.store.publish = publish  # type: ignore[method-assign]
    with pytest.raises(InterruptedError):
        mint.settle_in(shop)
    with closing(mint.store) as store:
        assert store.unfinished()
        assert (store.conflicts(), mint.ledger.policy.hotlist) == ([], ())
    again = Ledger(Store.open(where), mint.authority, TERMS)
    with closing(again.store) as store:
        assert store.unfinished() == []
        rowcheck.check_rows(again.world(), store)
        assert again.policy.hotlist == (again.conflicts()[0].key,)
