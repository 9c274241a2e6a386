"""A quasi-account: what the ledger alone says that a wallet holds. After each sync the wallet's book says the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from dualtap_issuer.rules import EVER, Lot, World


class Shadow(NamedTuple):
    """Minor units of one currency of one wallet: what it can pay with, and what it signed away without an outcome."""

    held: int
    in_doubt: int


def shadow(world: World, key: bytes, currency: str, settled: Collection[bytes]) -> Shadow:
    """Return the shadow account of a wallet's key; tokens that are settled are on nobody's device any more."""
    held = in_doubt = 0
    for digest, token in world.facts.tokens.items():
        if token.currency != currency or digest in settled:
            continue
        for leaf in world.leaves(digest, EVER):
            if leaf.holder == key and leaf.lot is Lot.HELD:
                held += leaf.amount
            elif leaf.holder == key and leaf.lot is Lot.IN_DOUBT:
                in_doubt += leaf.amount
    return Shadow(held, in_doubt)
