"""What must have arrived: deposits that came in time, at the ledger; tokens that were issued, in their wallets."""

from __future__ import annotations

from collections.abc import Callable

from dualtap_testing.checkers import Checkers
from dualtap_testing.reading import Word


def deposited(checkers: Checkers, credited: set[tuple[bytes, int]], first: Callable[[bytes], int]) -> None:
    """Promise 2: what an honest wallet handed in by ``claim_by``, with all behind it, is credited.

    ``first`` tells when the ledger was first told of a deposit.
    """
    told = checkers.told
    for deposit in told.transfers.values():
        if deposit.payee not in told.offices or not checkers.honest(deposit.key) or not _whole(checkers, deposit):
            continue
        for number, (parent, start, end) in enumerate(deposit.pieces):
            source = told.source(parent)
            in_time = source is not None and first(deposit.id) <= told.coins[source.coin].claim_by
            if in_time and (deposit.id, number) not in credited:
                checkers.tally.value_lost += end - start
                raise checkers.broken(2, "a deposit that came in time is not credited", end - start)


def _whole(checkers: Checkers, transfer: Word) -> bool:
    """Whether the ledger was told all behind a transfer, and that what was restored is dead."""
    return checkers.told.good(transfer.id) and checkers.told.restored(transfer)


def delivered(checkers: Checkers) -> None:
    """Promise 2, once everybody has synced: each token that was issued to an honest wallet is there."""
    for named in checkers.issued - checkers.settled:
        coin = checkers.bag.coins[named]
        shelves = checkers.shelves.get(coin.owner, [])
        if checkers.honest(coin.owner) and not any(named in shelf.funded for shelf in shelves):
            checkers.tally.value_lost += coin.amount
            raise checkers.broken(2, "a token that was issued is never delivered", coin.amount)
