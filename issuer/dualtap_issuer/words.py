"""What owners and their wallets signed of their ties (SPEC §23), and what a reply brings of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import cast

from dualtap.statements import BindBody, Errand, OrderBody, OwnBody, OwnerOrder, Scheme, Word
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.store import Store

FOR_WALLETS = frozenset({Errand.RESTRAIN, Errand.UNBIND, Errand.LOST})
"""What a wallet itself obeys; the rest is for the issuer."""


def subject(word: Word) -> bytes:
    """Return the key of the wallet that a word is about."""
    match word.body:
        case BindBody():
            return word.key
        case OwnBody(wallet) | OrderBody(wallet):
            return wallet


def words_of(store: Store, scheme: Scheme, ids: Iterable[bytes]) -> list[Word]:
    """Return what these words say, in the order of their ids."""
    found = sorted(store.find(ids), key=lambda one: one[0].digest)
    return [cast("Word", decode_fact(scheme, fact)) for fact, _ in found]


def said_of(store: Store, scheme: Scheme, institutions: Collection[bytes], wallets: Iterable[bytes]) -> list[Word]:
    """Return all of these wallets' ties that can count: what a wallet, whom it bound itself to, or an institution said.

    What strangers say of a wallet, and they may say much, is never read.
    """
    wallets = set(wallets)
    own = words_of(store, scheme, [row.id for row in store.words_said((key, key) for key in wallets)])
    pairs = {(key, other) for key in wallets for other in institutions}
    pairs |= {(word.key, word.body.owner) for word in own if isinstance(word.body, BindBody)}
    others = pairs - {(key, key) for key in wallets}
    return own + words_of(store, scheme, [row.id for row in store.words_said(others)])


def orders_for(store: Store, scheme: Scheme, institutions: Collection[bytes], key: bytes) -> tuple[OwnerOrder, ...]:
    """Return the orders that a reply brings a wallet (SPEC §23-16): those about it, and who of its own was unbound.

    Only keys that it bound itself to, and institutions, are heard; of each the last orders, in their order, so that
    no stranger makes a reply longer.
    """
    words = said_of(store, scheme, institutions, [key])
    bindings: dict[bytes, int] = defaultdict(int)
    for word in words:
        if isinstance(word.body, BindBody):
            bindings[word.body.owner] = max(bindings[word.body.owner], word.body.number)
    orders = [cast("OwnerOrder", word) for word in words if isinstance(word.body, OrderBody)]
    found = [
        order
        for order in orders
        if order.body.errand in FOR_WALLETS
        and (order.key in institutions or order.body.bind == bindings.get(order.key))
    ]
    claimed = {row.wallet for row in store.words_by([key])} - {key}
    given = words_of(store, scheme, [row.id for row in store.words_said((wallet, wallet) for wallet in claimed)])
    owned = {word.key for word in given if isinstance(word.body, BindBody) and word.body.owner == key}
    theirs = [row.id for row in store.words_said((wallet, other) for wallet in owned for other in institutions)]
    released = [cast("OwnerOrder", word) for word in words_of(store, scheme, theirs)]
    found = [*_latest(found), *(order for order in released if order.body.errand is Errand.UNBIND)]
    return tuple(sorted(found, key=lambda order: (order.body.number, order.id)))


def _latest(orders: Iterable[OwnerOrder]) -> list[OwnerOrder]:
    """Return, of each signer, the last order of each errand."""
    last: dict[tuple[bytes, Errand], OwnerOrder] = {}
    for order in sorted(orders, key=lambda one: (one.body.number, one.id)):
        last[order.key, order.body.errand] = order
    return list(last.values())
