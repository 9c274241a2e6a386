"""The rules of names and credits (SPEC §16), as pure functions of a stamped set of facts.

Who is named depends on the set alone. Who is credited depends on the set and its first-seen epochs. Order, repetition
and batching cannot matter, because nothing here sees them. Amounts are minor units; intervals are ``[start, end)``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from dualtap.errors import TapError
from dualtap.evidence import Fraud, outcome_of
from dualtap.graph import Origin, check_origins
from dualtap.issued import Token, key_hint
from dualtap.statements import Outcome, Parent, Side, Transfer
from dualtap.trust import Trust
from dualtap_issuer.facts import Facts, asked_digest
from dualtap_issuer.roll import Watched, since_all

NEVER: Final = 2**31
"""Later than any epoch: the stamp of what is not known."""
EVER: Final = NEVER - 1
"""By then, all that is known counts."""


class Kid(NamedTuple):
    """A span of a transfer that is cut from a parent."""

    start: int
    end: int
    transfer: bytes
    place: int


class Conflict(NamedTuple):
    """Two statements that name a key: by id, the smaller first; for ``DEAD_SPENT``, the dead transfer first."""

    key: bytes
    fraud: Fraud
    first: bytes
    second: bytes


class Lot(IntEnum):
    """Where a leaf of value is: with its holder, on its way and thus with the payer, or deposited."""

    HELD = 1
    IN_DOUBT = 2
    DEPOSITED = 3


class Leaf(NamedTuple):
    """Units of a token that somebody is entitled to. One unit has two leaves only if it was overspent."""

    token: bytes
    start: int
    end: int
    holder: bytes
    lot: Lot
    transfer: bytes

    @property
    def amount(self) -> int:
        """Minor units."""
        return self.end - self.start


class _Part(NamedTuple):
    """What a parent gave: whose it is where nothing spends it, and in what lot; without a lot, nobody's."""

    parent: Parent
    start: int
    end: int
    holder: bytes
    lot: Lot | None = Lot.HELD


class Credit(NamedTuple):
    """One span of a deposit: who is credited, and the epoch in which its provenance was whole."""

    transfer: bytes
    number: int
    token: bytes
    key: bytes
    amount: int
    epoch: int


def conflict_of(key: bytes, fraud: Fraud, one: bytes, other: bytes) -> Conflict:
    """Return the conflict of two statements that play the same part, whichever came first."""
    return Conflict(key, fraud, min(one, other), max(one, other))


def pairs(items: Iterable[tuple[int, int, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield each pair of different ids whose intervals ``[start, end)`` overlap. Empty ones meet nothing."""
    live: list[tuple[int, int, bytes]] = []
    for item in sorted(item for item in items if item[0] < item[1]):
        live = [other for other in live if other[1] > item[0]]
        for other in live:
            if other[2] != item[2]:
                yield other[2], item[2]
        live.append(item)


def union(items: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of ``[start, end)`` that these intervals cover, in order, none touching another."""
    covered: list[tuple[int, int]] = []
    for low, high in sorted((max(low, start), min(high, end)) for low, high in items):
        if low >= high:
            continue
        if covered and low <= covered[-1][1]:
            covered[-1] = (covered[-1][0], max(covered[-1][1], high))
        else:
            covered.append((low, high))
    return covered


def gaps(covered: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of ``[start, end)`` that a union leaves out."""
    edges = [start, *[edge for part in covered for edge in part], end]
    return [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]


class World:
    """A set of facts, indexed: which transfers are statements, what spends what, what is dead, and since when."""

    def __init__(self, facts: Facts, institutions: frozenset[bytes], trust: Trust) -> None:
        self.facts = facts
        self.trust = trust
        self.institutions = institutions
        self._watched = Watched(trust)
        self.origins: dict[Parent, Origin] = {}
        self.shaped: dict[bytes, Transfer] = {}
        self.kids: dict[Parent, list[Kid]] = defaultdict(list)
        self.answers: dict[tuple[bytes, bytes], list[Outcome]] = defaultdict(list)
        self.dead_at: dict[bytes, int] = {}
        self.accepted_at: dict[bytes, int] = {}
        self.asked_at: dict[bytes, int] = {}
        self.whole_at: dict[bytes, int] = {}
        self.certified_at: dict[bytes, int] = {}
        self._index()

    def _index(self) -> None:
        facts = self.facts
        for key, token in facts.tokens.items():
            origin = Origin(key, 0, token.amount, token.owner, 0, 0, 0, _bound(token))
            self.origins[Parent(key, Side.TOKEN, 0)] = origin
        for key, certificate in facts.certificates.items():
            seen = facts.seen[key]
            self.certified_at[certificate.key] = min(seen, self.certified_at.get(certificate.key, seen))
        for outcome in facts.outcomes.values():
            self.answers[outcome.key, outcome.body.request].append(outcome)
        for transfer in facts.transfers.values():
            self._judge(transfer)
        for transfer in self._ordered():
            self._shape(transfer)

    def _judge(self, transfer: Transfer) -> None:
        """Find since when a transfer is dead, and since when accepted: each needs its request shown."""
        asked = self.facts.asked.get(transfer.commitment)
        if asked is None:
            return
        shown = self.asked_at[transfer.id] = self.facts.seen[asked_digest(transfer.commitment)]
        for outcome in self.answers.get((transfer.body.payee, asked.request), ()):
            epoch = max(shown, self.facts.seen[outcome.id])
            fate = self.accepted_at if outcome_of(outcome) == transfer.id else self.dead_at
            fate[transfer.id] = min(epoch, fate.get(transfer.id, epoch))

    def _ordered(self) -> list[Transfer]:
        """Return all transfers, each before those that spend it."""
        transfers = self.facts.transfers
        order: dict[bytes, Transfer] = {}
        for start in transfers:
            stack = [(start, False)]
            while stack:
                key, expanded = stack.pop()
                if key in order or key not in transfers:
                    continue
                if expanded:
                    order[key] = transfers[key]
                    continue
                stack.append((key, True))
                stack += [(span.parent.id, False) for span in transfers[key].body.spans]
        return list(order.values())

    def _shape(self, transfer: Transfer) -> None:
        """Take in a transfer if it is a statement: its signer owns each parent, and all behind it are statements."""
        self._watched.asked.clear()
        try:
            check_origins(transfer, self.origins.__getitem__, self._watched)
        except (TapError, KeyError):
            return
        self.shaped[transfer.id] = transfer
        for index, (parent, start, end) in enumerate(transfer.body.spans):
            self.kids[parent].append(Kid(start, end, transfer.id, index))
            self.origins.update(sides(transfer, index, self.origins[parent]))
        epochs = [self.facts.seen[transfer.id], self.certified_at.get(transfer.key, NEVER)]
        epochs += [self._given_at(parent) for parent, _, _ in transfer.body.spans]
        epochs.append(since_all(self.trust, self._watched.asked))
        if transfer.body.payee in self.institutions:
            epochs.append(since_all(self.trust, (key_hint(transfer.body.payee),)))
        self.whole_at[transfer.id] = max(epochs)

    def _given_at(self, parent: Parent) -> int:
        """Return since when a parent's side can be spent: the payer's only since its warrant."""
        if parent.side is Side.TOKEN:
            return self.facts.seen[parent.id]
        whole = self.whole_at[parent.id]
        return whole if parent.side is Side.PAYEE else max(whole, self.dead_at.get(parent.id, NEVER))

    # Names

    def conflicts(self) -> set[Conflict]:
        """Return every pair of statements that names a key, whether or not that key has a certificate."""
        found: set[Conflict] = set()
        for kids in self.kids.values():
            for one, other in pairs((kid.start, kid.end, kid.transfer) for kid in kids):
                found.add(conflict_of(self.shaped[one].key, Fraud.FORK, one, other))
        tapes: dict[bytes, list[tuple[int, int, bytes]]] = defaultdict(list)
        for statement in self.facts.statements():
            opening = self.facts.openings.get(statement.id)
            if opening is not None:
                tapes[statement.key].append((opening.prev, opening.ctr, statement.id))
        for key, tape in tapes.items():
            found.update(conflict_of(key, Fraud.TAPE_FORK, one, other) for one, other in pairs(tape))
        for (key, _), outcomes in self.answers.items():
            for place, given in enumerate(outcomes):
                found.update(
                    conflict_of(key, Fraud.TWO_OUTCOMES, given.id, other.id)
                    for other in outcomes[:place]
                    if outcome_of(given) != outcome_of(other)
                )
        for key in self.dead_at:
            for kid in self.payee_kids(key):
                payee = self.facts.transfers[key].body.payee
                found.add(Conflict(payee, Fraud.DEAD_SPENT, key, kid.transfer))
        return found

    def payee_kids(self, transfer: bytes) -> list[Kid]:
        """Return the spans cut from the payee's side of a transfer."""
        count = len(self.facts.transfers[transfer].body.spans)
        sides = [Parent(transfer, Side.PAYEE, index) for index in range(count)]
        return [kid for side in sides for kid in self.kids.get(side, ())]

    # Credits

    def token_of(self, parent: Parent) -> bytes:
        """Return the token that a parent is part of."""
        return self.origins[parent].token

    def valid_kids(self, parent: Parent, by: int) -> list[Kid]:
        """Return the spans cut from a parent by transfers whose whole provenance was seen by an epoch."""
        return [kid for kid in self.kids.get(parent, ()) if self.whole_at[kid.transfer] <= by]

    def leaves(self, token: bytes, by: int) -> list[Leaf]:
        """Return who is entitled to which units of a token, by the statements seen by an epoch (SPEC §16-10)."""
        whole = self.facts.tokens[token]
        found: list[Leaf] = []
        stack = [_Part(Parent(token, Side.TOKEN, 0), 0, whole.amount, whole.owner)]
        while stack:
            part = stack.pop()
            kids = self.valid_kids(part.parent, by)
            # A valid kid lies within what its parent gave, whole: a part is visited once, with all its kids.
            rest = gaps(union(((kid.start, kid.end) for kid in kids), part.start, part.end), part.start, part.end)
            if part.lot is not None:
                source = _origin_id(part.parent)
                found += [Leaf(token, low, high, part.holder, part.lot, source) for low, high in rest]
            stack += [there for kid in kids for there in self._follow(kid, token, by, found)]
        return sorted(found)

    def _follow(self, kid: Kid, token: bytes, by: int, found: list[Leaf]) -> list[_Part]:
        """Return the sides on which units of a transfer go on; add those that are deposited to ``found``."""
        transfer, start, end = self.shaped[kid.transfer], kid.start, kid.end
        payer, payee = transfer.key, transfer.body.payee
        if self.deposits(transfer, by):
            found.append(Leaf(token, start, end, payer, Lot.DEPOSITED, transfer.id))
            return []
        there = _Part(Parent(transfer.id, Side.PAYEE, kid.place), start, end, payee)
        if self.dead_at.get(transfer.id, NEVER) <= by:
            # What its payee spent all the same is followed, and the rest is the payer's.
            back = _Part(Parent(transfer.id, Side.PAYER, kid.place), start, end, payer)
            return [back, there._replace(lot=None)]
        if self.accepted_at.get(transfer.id, NEVER) <= by:
            return [there]
        return [there._replace(holder=payer, lot=Lot.IN_DOUBT)]

    def deposits(self, transfer: Transfer, by: int) -> bool:
        """Return whether a transfer is a deposit, by what was seen by an epoch: an institution's, with no request.

        One that answers a request is a payment, whose payee may have refused it: its payer could spend it again.
        """
        return transfer.body.payee in self.institutions and self.asked_at.get(transfer.id, NEVER) > by

    def credits(self) -> set[Credit]:
        """Return what deposits credit: each span whose whole provenance was seen by its token's ``claim_by``."""
        found: set[Credit] = set()
        for key, transfer in self.shaped.items():
            if transfer.body.payee in self.institutions:
                found.update(self.credits_of(key))
        return found

    def credits_of(self, deposit: bytes) -> list[Credit]:
        """Return what one deposit credits (SPEC §16-5)."""
        transfer, epoch = self.shaped[deposit], self.whole_at[deposit]
        found: list[Credit] = []
        for index, (parent, start, end) in enumerate(transfer.body.spans):
            token = self.token_of(parent)
            last = self.facts.tokens[token].claim_by
            if epoch <= last and self.deposits(transfer, last):
                found.append(Credit(deposit, index, token, transfer.key, end - start, epoch))
        return found


def _bound(token: Token) -> Token | None:
    return token if token.conditions else None


def sides(transfer: Transfer, index: int, above: Origin) -> dict[Parent, Origin]:
    """Return what both sides of one span of a transfer give; ``above`` is what it is cut from.

    Hops are told apart from none only: a ledger takes any number of them.
    """
    (_, start, end), epoch = transfer.body.spans[index], transfer.body.epoch
    return {
        Parent(transfer.id, Side.PAYEE, index): Origin(
            above.token, start, end, transfer.body.payee, 1, 0, epoch, above.bound
        ),
        Parent(transfer.id, Side.PAYER, index): Origin(
            above.token, start, end, transfer.key, above.hops, 0, epoch, above.bound
        ),
    }


def _origin_id(parent: Parent) -> bytes:
    return b"" if parent.side is Side.TOKEN else parent.id
