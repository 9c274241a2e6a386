"""The registry of persons as a ledger's rows tell it: ties of wallets to owners, and whom certificates make known."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dualtap.statements import Scheme
from dualtap_issuer.insured import Certified
from dualtap_issuer.people import People
from dualtap_issuer.store import Store
from dualtap_issuer.words import said_of


def people_of(store: Store, scheme: Scheme, institutions: Collection[bytes], wallets: Iterable[bytes]) -> People:
    """Return what a ledger knows of these wallets' people."""
    words = said_of(store, scheme, institutions, wallets)
    return People(words, store.stamps(word.id for word in words), institutions)


class Bound:
    """Who is bound to a person: whose certificate's tier carries an identity, or whose owner's does (SPEC §16-24)."""

    def __init__(
        self, store: Store, scheme: Scheme, institutions: Collection[bytes], anonymous: Collection[int]
    ) -> None:
        """``anonymous`` are the numbers of the tiers whose holders nobody knows."""
        self._store, self._scheme, self._institutions = store, scheme, institutions
        self._certified = Certified(store, scheme, anonymous)

    def bound(self, keys: Collection[bytes]) -> Collection[bytes]:
        """Return those of these keys that are bound to a person."""
        known = set(self._certified.bound(keys))
        people = people_of(self._store, self._scheme, self._institutions, set(keys) - known)
        ties = {key: tie.owner for key in keys if (tie := people.tie(key)) is not None}
        owners = self._certified.bound(set(ties.values()))
        return known | {key for key, owner in ties.items() if owner in owners}
