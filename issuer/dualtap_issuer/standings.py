"""How a wallet's transfers stand, as a reply tells it (SPEC §14-27)."""

from __future__ import annotations

from collections.abc import Iterable

from dualtap.standing import Settlement, Standing
from dualtap.statements import Scheme
from dualtap_issuer import states
from dualtap_issuer.store import Store

_TOLD = {
    states.Standing.RECEIVED: Standing.RECEIVED,
    states.Standing.AT_RISK: Standing.AT_RISK,
    states.Standing.FINAL: Standing.FINAL,
    states.Standing.IN_DOUBT: Standing.IN_DOUBT,
    states.Standing.RENEWED: Standing.RENEWED,
}
"""What an outcome has ended, the reply's outcomes tell."""


def standings(store: Store, scheme: Scheme, key: bytes, transfers: Iterable[bytes]) -> tuple[Settlement, ...]:
    """Return how these transfers stand, as far as a wallet's key signed them and the ledger has no outcome of them."""
    found = [one for one in states.states(store, scheme, key, transfers) if one.standing in _TOLD and one.until]
    return tuple([Settlement(one.transfer, _TOLD[one.standing], one.until, one.amount) for one in found])
