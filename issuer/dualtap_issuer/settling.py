"""Settlement at ``claim_by`` (SPEC §16-10, §16-15 to §16-18), a bounded batch of tokens at a time.

What a token's holders get follows from the statements seen by its ``claim_by``, of which none comes later: batches
need no order, and one that is interrupted is gone on with by the next settlement. Syncs go on between batches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, NamedTuple, cast

from dualtap.issued import Token
from dualtap_issuer.facts import Fact, FactKind, decode_fact
from dualtap_issuer.following import behind
from dualtap_issuer.guarantee import COUNTED, Caps, Liability, Registry, Ruling, Share, joined, owed, shares, short
from dualtap_issuer.marks import marks_of, overspent
from dualtap_issuer.renewals import renewed_in
from dualtap_issuer.roll import Roll
from dualtap_issuer.rules import Leaf, Lot, World
from dualtap_issuer.store import Store

SPANS: Final = 20_000
"""Spans of the tokens of one batch, above which it takes no more: bounds the memory that a settlement needs."""
TOKENS: Final = 500
"""Tokens of one batch at most."""


class Settled(NamedTuple):
    """What follows for one token: its leaves, and if it was overspent, who is liable and who gets what."""

    token: bytes
    ruling: Ruling
    leaves: list[Leaf]
    liabilities: list[Liability]
    shares: list[Share]


def settled_of(
    world: World,
    named: dict[bytes, int],
    token: bytes,
    epoch: int,
    caps: Caps,
    bound: Registry | frozenset[bytes],
    renewed: Callable[[Collection[bytes]], Collection[bytes]],
) -> Settled:
    """Return what follows for a token; ``named`` is what its evidence proves overspent, by key.

    ``bound`` is a registry, or the keys that were found bound when it was asked; ``renewed`` tells which of some
    deposits fresh tokens have replaced.
    """
    known = world.facts.tokens[token]
    leaves = world.leaves(token, known.claim_by)
    if not named:
        return Settled(token, Ruling(epoch, caps, frozenset()), leaves, [], [])
    deposits = {leaf.transfer for leaf in leaves if leaf.lot is Lot.DEPOSITED}
    backed = owed(known.amount, leaves, named, renewed(deposits))
    lacking = short(backed, named)
    people = bound.intersection(lacking) if isinstance(bound, frozenset) else frozenset(bound.bound(lacking))
    ruling = Ruling(epoch, caps, people & frozenset(lacking))
    liable = [Liability(token, key, min(amount, COUNTED)) for key, amount in sorted(named.items())]
    return Settled(token, ruling, leaves, liable, shares(token, backed, named, ruling))


def settle(
    store: Store, trust: Roll, epoch: int, caps: Caps, people: Registry, accounts: Registry | None = None
) -> int:
    """Settle every token whose ``claim_by`` is before an epoch that is closed; return the minor units of its leaves.

    ``accounts`` knows of which holders a person is credited what they never deposited (SPEC §16-25); without it, that
    is not recorded. Each batch is a transaction of its own.
    """
    total = 0
    for batch in _batches(store, _due(store, trust, epoch)):
        with store.transaction():
            store.lock("settle")
            todo = set(batch) - done(store, batch)
            found = list(_settle(store, trust, todo, epoch, caps, people))
            for one in found if accounts is None else credited(found, accounts):
                put(store, one)
                total += sum(leaf.amount for leaf in one.leaves)
    return total


def _due(store: Store, trust: Roll, epoch: int) -> list[bytes]:
    """Return the tokens that are to be settled: their ids alone are held."""
    query = (
        "SELECT f.digest, f.kind, f.body FROM fact f WHERE f.kind = 1 "
        "AND NOT EXISTS (SELECT 1 FROM settled s WHERE s.token = f.digest)"
    )
    found = list[bytes]()
    for digest, kind, body in store.scan(query):
        token = cast("Token", decode_fact(trust.scheme, Fact(FactKind(kind), digest, body)))
        if token.claim_by < epoch:
            found.append(digest)
    return sorted(found)


def _batches(store: Store, tokens: list[bytes]) -> Iterator[list[bytes]]:
    """Yield these tokens in batches of bounded size; a token with more spans than a batch has one to itself."""
    query = "SELECT w.a, count(s.transfer) FROM {wanted} LEFT JOIN span s ON s.token = w.a GROUP BY w.a"
    batch, spans = list[bytes](), 0
    for place in range(0, len(tokens), TOKENS):
        asked = store.ask(query, [(token,) for token in tokens[place : place + TOKENS]])
        counts: dict[bytes, int] = {row[0]: row[1] for row in asked}
        for token in sorted(counts):
            if batch and (spans + counts[token] > SPANS or len(batch) == TOKENS):
                yield batch
                batch, spans = [], 0
            batch.append(token)
            spans += counts[token]
    if batch:
        yield batch


def _settle(
    store: Store, trust: Roll, tokens: Collection[bytes], epoch: int, caps: Caps, people: Registry
) -> Iterator[Settled]:
    query = "SELECT DISTINCT s.transfer FROM {wanted} CROSS JOIN span s WHERE s.token = w.a"
    transfers = {row[0] for row in store.ask(query, sorted((token,) for token in tokens))}
    facts = behind(store, trust, transfers)
    for fact, seen in store.find(set(tokens) - facts.tokens.keys()):
        facts.put(fact, seen)
    world = World(facts, trust.institutions, trust)
    proved = overspent(world, marks_of(world), lambda token: facts.tokens[token].claim_by)

    def renewed(deposits: Collection[bytes]) -> Collection[bytes]:
        return renewed_in(store, trust.scheme, deposits)

    for token in sorted(tokens):
        yield settled_of(world, proved.get(token, {}), token, epoch, caps, people, renewed)


def keepers(one: Settled) -> set[bytes]:
    """Return the holders of what was not deposited of a token."""
    return {leaf.holder for leaf in one.leaves if leaf.lot is not Lot.DEPOSITED}


def credited(batch: Collection[Settled], accounts: Registry) -> Iterator[Settled]:
    """Yield settled tokens with those of their holders whose persons are credited, for good."""
    known = frozenset(accounts.bound(set[bytes]().union(*map(keepers, batch))))
    for one in batch:
        yield one._replace(ruling=one.ruling._replace(accounts=known & keepers(one)))


def done(store: Store, tokens: Iterable[bytes]) -> set[bytes]:
    """Return those of these tokens that are settled."""
    query = "SELECT s.token FROM {wanted} CROSS JOIN settled s WHERE s.token = w.a"
    return {row[0] for row in store.ask(query, sorted((token,) for token in tokens))}


# Rows


def put(store: Store, one: Settled) -> None:
    """Keep what follows for a token."""
    epoch, caps, bound, accounts = one.ruling
    row = {
        "token": one.token, "epoch": epoch, "payee_cap": caps.payee, "token_cap": caps.token, "bound": joined(bound),
        "seal": one.ruling.seal(one.token),
    }  # fmt: skip
    if accounts is not None:
        row["accounts"] = joined(accounts)
    store.insert("settled", tuple(row), [tuple(row.values())])
    store.put(one.leaves)
    store.insert("share", Share._fields, one.shares)
    store.insert("liability", Liability._fields, one.liabilities)


def all_shares(store: Store) -> list[Share]:
    """Return who got what of every overspent token that is settled, in order."""
    rows = store.ask("SELECT token, holder, claim, backed, guaranteed FROM share ORDER BY token, holder")
    return [Share(*row) for row in rows]


def all_liabilities(store: Store) -> list[Liability]:
    """Return what every named wallet owes for tokens that are settled, in order."""
    rows = store.ask("SELECT token, key, amount FROM liability ORDER BY token, key")
    return [Liability(*row) for row in rows]
