"""What a ledger renews keeps its purpose and its dates, judged by hand (SPEC §14-25)."""

from __future__ import annotations

from collections import Counter

from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.reading import Coin

_Kind = tuple[tuple[tuple[int, bytes], ...], int, int]
"""Conditions and both last days; of value that binds nobody, no conditions and no days."""


_FREE: _Kind = ((), 0, 0)


def _kind(coin: Coin) -> _Kind:
    return (coin.conditions, coin.spend_by, coin.claim_by) if coin.conditions else _FREE


def check_renewed(checkers: Checkers) -> None:
    """Raise unless the fresh tokens of each purpose and date have no more units than were handed in of it."""
    told, fresh, handed = checkers.told, Counter[_Kind](), Counter[_Kind]()
    for named, coin in told.coins.items():
        if named not in checkers.issued:
            fresh[_kind(coin)] += coin.amount
    if not fresh:
        return
    for transfer in told.transfers.values():
        for parent, start, end in transfer.pieces if transfer.renews and told.good(transfer.id) else ():
            source = told.source(parent)
            assert source is not None, "what is good has a source"
            coin = told.coins[source.coin]
            handed[_kind(coin) if coin.owner == transfer.key else _FREE] += end - start
    for kind, units in fresh.items():
        if units > handed[kind]:
            raise PromiseBroken(1, "a renewal takes value's purpose away, or gives it another last day")
