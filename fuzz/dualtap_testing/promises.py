"""The promises of the design, as checkers over plain statements and single units.

Nothing here uses the rules of the ledger or the book: a :class:`Statements` is a bag of what was ever durable in some
store (or is in a ledger), every unit is followed by itself, and intervals are sets of integers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple, TypeAlias

from dualtap.issued import Token
from dualtap.statements import Outcome, Parent, ReceiptBody, Side, Transfer

Unit: TypeAlias = tuple[bytes, int]
"""One minor unit: a token's id and the unit's number."""


class Place(NamedTuple):
    """One unit where it can be spent from: a parent, and the unit's number."""

    parent: Parent
    unit: int


class Entry(NamedTuple):
    """What a tape shows: whose, from where, to where, and which statement."""

    key: bytes
    prev: int
    ctr: int
    statement: bytes


class Name(NamedTuple):
    """A key, and what it did: ``fork``, ``tape_fork``, ``two_outcomes`` or ``dead_spent``."""

    key: bytes
    fraud: str


def accepts(outcome: Outcome) -> bytes:
    """Return the transfer that an outcome accepts, or nothing for a Close."""
    return outcome.body.transfer if isinstance(outcome.body, ReceiptBody) else b""


def places(transfer: Transfer) -> Iterator[tuple[Place, int]]:
    """Yield each unit that a transfer hands over, from where, and the number of its span."""
    for number, (parent, start, end) in enumerate(transfer.body.spans):
        for unit in range(start, end):
            yield Place(parent, unit), number


@dataclass
class Statements:
    """A bag of statements. ``requests`` says which request a transfer answers (deposits answer none)."""

    tokens: dict[bytes, Token] = field(default_factory=dict[bytes, Token])
    transfers: dict[bytes, Transfer] = field(default_factory=dict[bytes, Transfer])
    requests: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    answers: dict[tuple[bytes, bytes], set[bytes]] = field(
        default_factory=lambda: defaultdict[tuple[bytes, bytes], set[bytes]](set)
    )
    tape: set[Entry] = field(default_factory=set[Entry])

    # What is a statement

    def owner(self, parent: Parent) -> tuple[bytes, bytes, int, int] | None:
        """Return the token, the owner and the units ``[start, end)`` that a parent gives, if it is good."""
        if parent.side is Side.TOKEN:
            token = self.tokens.get(parent.id)
            return None if token is None else (parent.id, token.owner, 0, token.amount)
        transfer = self.transfers.get(parent.id)
        if transfer is None or not self.good(transfer) or parent.place >= len(transfer.body.spans):
            return None
        above, start, end = transfer.body.spans[parent.place]
        up = self.owner(above)
        if up is None:
            return None
        return up[0], transfer.body.payee if parent.side is Side.PAYEE else transfer.key, start, end

    def good(self, transfer: Transfer) -> bool:
        """Whether its signer owned every unit that it hands over, and hands over none twice."""
        units: set[Unit] = set()
        for parent, start, end in transfer.body.spans:
            given = self.owner(parent)
            if given is None or given[1] != transfer.key or not given[2] <= start < end <= given[3]:
                return False
            here = {(given[0], unit) for unit in range(start, end)}
            if units & here:
                return False
            units |= here
        return True

    def unit(self, place: Place) -> Unit:
        """Return the unit that is at a place."""
        given = self.owner(place.parent)
        assert given is not None
        return given[0], place.unit

    def outcomes(self, transfer: Transfer) -> set[bytes]:
        """Return what its payee ever answered to its request: transfers accepted, ``b""`` for a Close."""
        request = self.requests.get(transfer.id)
        return set() if request is None else self.answers.get((transfer.body.payee, request), set())

    def dead(self, transfer: Transfer) -> bool:
        """Whether its request has another outcome than its Receipt."""
        return bool(self.outcomes(transfer) - {transfer.id})

    def accepted(self, transfer: Transfer) -> bool:
        """Whether it has its Receipt."""
        return transfer.id in self.outcomes(transfer)

    def spends(self) -> dict[Place, set[bytes]]:
        """Return which good transfers spend each place."""
        found: dict[Place, set[bytes]] = defaultdict(set)
        for transfer in self.transfers.values():
            if self.good(transfer):
                for place, _ in places(transfer):
                    found[place].add(transfer.id)
        return found

    def spends_dead(self, place: Place) -> bool:
        """Whether a place is the payee's side of a dead transfer."""
        return place.parent.side is Side.PAYEE and self.dead(self.transfers[place.parent.id])

    # What they prove

    def overspent(self) -> Counter[Unit]:
        """Return how often beyond once each unit is proved to be spent."""
        found: Counter[Unit] = Counter()
        for place, spenders in self.spends().items():
            found[self.unit(place)] += len(spenders) - 1 + self.spends_dead(place)
        return +found

    def names(self) -> set[Name]:
        """Return everybody whom two statements name."""
        found: set[Name] = set()
        for place, spenders in self.spends().items():
            signer = self.transfers[min(spenders)].key
            if len(spenders) > 1:
                found.add(Name(signer, "fork"))
            if self.spends_dead(place):
                found.add(Name(signer, "dead_spent"))
        found |= {Name(key, "two_outcomes") for (key, _), given in self.answers.items() if len(given) > 1}
        for one, other in combinations(sorted(self.tape), 2):
            apart = one.ctr <= other.prev or other.ctr <= one.prev
            if one.key == other.key and one.statement != other.statement and not apart:
                found.add(Name(one.key, "tape_fork"))
        return found


class Owned(NamedTuple):
    """Where one unit is: with whom, and how (``held``, ``in doubt`` or ``settled``)."""

    key: bytes
    how: str


@dataclass
class Shelf:
    """What one device says that it has: places held, transfers in doubt; and which outcomes it was ever told."""

    key: bytes
    held: set[Place]
    pending: set[bytes]
    told: dict[bytes, bytes]
    honest: bool


def count_units(
    known: Statements,
    shelves: Iterable[Shelf],
    credited: Counter[tuple[bytes, int]],
    undelivered: set[bytes],
    institution: bytes,
) -> dict[Unit, list[Owned]]:
    """Return where each unit is, each place counted once, by what the devices have and the ledger credited.

    ``credited`` counts (deposit, span number); ``undelivered`` are tokens that no device has yet. Also asserts what no
    device may do: keep what it has spent, hold without a Receipt or a warrant, or forget a transfer in doubt.
    """
    devices, spends = list(shelves), known.spends()
    found: dict[Unit, list[Owned]] = defaultdict(list)
    held: dict[Place, bytes] = {}
    told: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)
    pending: set[tuple[bytes, bytes]] = set()
    for shelf in devices:
        pending |= {(shelf.key, doubted) for doubted in shelf.pending}
        for answered, outcome in shelf.told.items():
            told[shelf.key, answered].add(outcome)
        for place in shelf.held:
            given = known.owner(place.parent)
            assert given is not None, "held, but never given"
            assert given[1] == shelf.key, "holds another's"
            if place.parent.side is not Side.TOKEN:
                above = known.transfers[place.parent.id]
                by_right = known.accepted(above) if place.parent.side is Side.PAYEE else known.dead(above)
                assert by_right, "held without a Receipt or a warrant"
            if shelf.honest:
                assert place not in spends, "an honest wallet keeps what it has spent"
                assert not known.spends_dead(place), "an honest wallet keeps what it has closed"
            if place not in spends and not known.spends_dead(place):
                held[place] = shelf.key
    for place, key in held.items():
        found[known.unit(place)].append(Owned(key, "held"))
    for token in undelivered:
        for number in range(known.tokens[token].amount):
            found[token, number].append(Owned(known.tokens[token].owner, "held"))
    for transfer in known.transfers.values():
        if not known.good(transfer):
            continue
        for place, number in places(transfer):
            unit = known.unit(place)
            if transfer.body.payee == institution:
                times = credited[transfer.id, number]
                found[unit] += [Owned(transfer.key, "settled")] * times
                if times:
                    continue
            elif known.dead(transfer):
                if told[transfer.key, transfer.id] - {transfer.id}:
                    continue  # restored: it is held, or was spent again
            elif known.accepted(transfer):
                continue  # with the payee
            else:
                assert (transfer.key, transfer.id) in pending, "a transfer in doubt was forgotten"
            found[unit].append(Owned(transfer.key, "in doubt"))
    return found


def check_units(known: Statements, found: dict[Unit, list[Owned]], settled: set[bytes]) -> None:
    """Promises 1 and 2: each unit, and once more for each proven overspend of it, is in one place."""
    overspent = known.overspent()
    for key, token in known.tokens.items():
        if key in settled:
            continue
        for number in range(token.amount):
            here, more = found.get((key, number), []), overspent[key, number]
            assert len(here) <= 1 + more, f"a unit from nothing: {here}"
            assert len(here) >= 1 + more, f"a unit is lost: {here}, {more} overspent"


def check_credits(known: Statements, credited: Counter[tuple[bytes, int]]) -> None:
    """Promise 1 at the ledger: what is credited twice is proved by what the ledger itself knows."""
    units: Counter[Unit] = Counter()
    for (deposit, number), times in credited.items():
        parent, start, end = known.transfers[deposit].body.spans[number]
        for unit in range(start, end):
            units[known.unit(Place(parent, unit))] += times
    overspent = known.overspent()
    assert all(times <= 1 + overspent[unit] for unit, times in units.items()), "credited twice, and nobody proved it"
