"""How a wallet's transfers stand, as a reply tells it (SPEC §14-27): states, and what was renewed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias, cast

from dualtap.renewal import is_renewal, renewal_serial
from dualtap.standing import Settlement, Standing
from dualtap.statements import Scheme, Token, Transfer
from dualtap_issuer import states
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.store import Store

Line: TypeAlias = Callable[[bytes], Iterable[bytes]]
_TOLD = {
    states.Standing.RECEIVED: Standing.RECEIVED,
    states.Standing.AT_RISK: Standing.AT_RISK,
    states.Standing.FINAL: Standing.FINAL,
    states.Standing.IN_DOUBT: Standing.IN_DOUBT,
}
"""What an outcome has ended, the reply's outcomes tell."""


def standings(
    store: Store, scheme: Scheme, key: bytes, transfers: Iterable[bytes], line: Line
) -> tuple[Settlement, ...]:
    """Return how these transfers stand, as far as a wallet's key signed them and the ledger has no outcome of them.

    ``line`` gives the keys to which a key's renewals may have been issued (SPEC §20-9).
    """
    found = [one for one in states.states(store, scheme, key, transfers) if one.standing in _TOLD and one.until]
    credited = {row.transfer for row in store.deposits(one.transfer for one in found) if row.credited}
    renewed = _renewed(store, scheme, key, credited, line)
    return tuple(
        [
            Settlement(
                one.transfer,
                Standing.RENEWED if one.transfer in renewed else _TOLD[one.standing],
                one.until,
                one.amount,
            )
            for one in found
        ]
    )


def _renewed(store: Store, scheme: Scheme, key: bytes, deposits: Collection[bytes], line: Line) -> set[bytes]:
    """Return those of these credited deposits that fresh tokens have replaced."""
    facts = [decode_fact(scheme, fact) for fact, _ in store.find(deposits)]
    asked = {one.id for one in cast("list[Transfer]", facts) if is_renewal(one)}
    if not asked:
        return asked
    fresh = [token for one in line(key) for _, token in store.deliveries(one, 0)]
    given = [decode_fact(scheme, fact) for fact, _ in store.find(fresh)]
    serials = {token.serial for token in cast("list[Token]", given)}
    return {one for one in asked if renewal_serial(one, 0) in serials}
