"""A bag of statements and what follows from it: who owned what, what is dead, who is named, where each unit is.

Written from DESIGN's and SPEC's rules alone, on what :mod:`dualtap_testing.reading` read.
Intervals are ``[start, end)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dualtap_testing.binding import Binding, Here, Tied
from dualtap_testing.intervals import minus
from dualtap_testing.reading import PAYEE, PAYER, TOKEN, TRANSFER, Coin, Parent, Piece, Word


class Source(NamedTuple):
    """What a parent gives: units of a token, and to whom."""

    coin: bytes
    owner: bytes
    start: int
    end: int


class Name(NamedTuple):
    """A key, and what it did: ``fork``, ``tape_fork``, ``two_outcomes`` or ``dead_spent``."""

    key: bytes
    fraud: str


class Leaf(NamedTuple):
    """Units that are somewhere: whose, and how (``held``, ``doubt`` or ``deposit``); from which transfer and span."""

    coin: bytes
    start: int
    end: int
    owner: bytes
    how: str
    parent: Parent


Spends: TypeAlias = dict[Parent, list[tuple[int, int, bytes, int]]]


@dataclass
class _Found:
    """What was found in a bag since something came into it."""

    spends: Spends | None = None
    names: frozenset[Name] | None = None
    leaves: list[Leaf] | None = None
    overspent: dict[bytes, int] | None = None


class Bag:
    """Statements, in whatever order they came. A statement that nobody could rely on is kept and proves nothing."""

    def __init__(self, offices: Iterable[bytes], binding: Binding | None = None) -> None:
        """``binding`` judges conditions; without one, no value has any."""
        self._binding = binding
        self.offices = frozenset(offices)
        """The institutions' keys: what is paid to one is a deposit."""
        self.coins: dict[bytes, Coin] = {}
        self.transfers: dict[bytes, Word] = {}
        self.requests: dict[bytes, bytes] = {}
        self.answers: dict[tuple[bytes, bytes], dict[bytes, bytes]] = {}
        """By payee and request: which transfer was accepted, or nothing by a Close; and one statement that says so."""
        self.tape: dict[bytes, dict[bytes, tuple[int, int]]] = {}
        self._good: set[bytes] = set()
        self._not_yet: set[bytes] = set()
        """Transfers that were judged not to be good; more may come that makes them so."""
        self._found = _Found()

    def copy(self) -> Bag:
        """Return another with the same statements."""
        twin = Bag(self.offices, self._binding)
        twin.coins, twin.transfers, twin.requests = dict(self.coins), dict(self.transfers), dict(self.requests)
        twin.answers = {asked: dict(given) for asked, given in self.answers.items()}
        twin.tape = {key: dict(places) for key, places in self.tape.items()}
        return twin

    # What it is told

    def _grown(self) -> None:
        """Forget what was found in less: what was good stays so."""
        self._found = _Found()
        self._not_yet.clear()

    def coin(self, named: bytes, coin: Coin) -> None:
        """Take in a token."""
        if named not in self.coins:
            self.coins[named] = coin
            self._grown()

    def word(self, word: Word) -> None:
        """Take in a statement of a tape."""
        if word.place is not None:
            places = self.tape.setdefault(word.key, {})
            if places.get(word.id) != word.place:
                places[word.id] = word.place
                self._grown()
        if word.kind == TRANSFER:
            if word.id not in self.transfers or (word.request and not self.transfers[word.id].request):
                self.transfers[word.id] = word
                self._grown()
            if word.request:
                self.asked(word.id, word.request)
        else:
            given = self.answers.setdefault((word.key, word.request), {})
            if word.accepts not in given:
                given[word.accepts] = word.id
                self._grown()

    def asked(self, transfer: bytes, request: bytes) -> None:
        """Learn, from a warrant, which request a transfer answers."""
        if self.requests.get(transfer) != request:
            self.requests[transfer] = request
            self._grown()

    def forget(self, word: bytes) -> None:
        """Leave out a statement that was never signed: it took another place."""
        self.requests.pop(word, None)
        self.transfers.pop(word, None)
        for places in self.tape.values():
            places.pop(word, None)
        self._good.clear()
        self._grown()

    # What is a statement

    def source(self, parent: Parent) -> Source | None:
        """Return what a parent gives, if it and all behind it are statements."""
        named, side, place = parent
        if side == TOKEN:
            coin = self.coins.get(named)
            return None if coin is None else Source(named, coin.owner, 0, coin.amount)
        transfer = self.transfers.get(named)
        if transfer is None or place >= len(transfer.pieces) or not self.good(named):
            return None
        above, start, end = transfer.pieces[place]
        up = self.source(above)
        return None if up is None else Source(up.coin, transfer.payee if side == PAYEE else transfer.key, start, end)

    def good(self, named: bytes) -> bool:
        """Whether a transfer's signer owned each unit that it hands over, and hands over none twice."""
        if named in self._good:
            return True
        if named in self._not_yet:
            return False
        found = self._judge(self.transfers[named])
        (self._good if found else self._not_yet).add(named)
        return found

    def _judge(self, transfer: Word) -> bool:
        taken: list[tuple[bytes, int, int]] = []
        for parent, start, end in transfer.pieces:
            given = self.source(parent)
            if given is None or given.owner != transfer.key or not given.start <= start < end <= given.end:
                return False
            if any(coin == given.coin and start < high and low < end for coin, low, high in taken):
                return False
            taken.append((given.coin, start, end))
        return bool(taken) and not self.unmet(transfer)

    def unmet(self, transfer: Word, here: Here | None = None) -> str:
        """Return which condition of its signer's own value a transfer does not meet, if any (SPEC §5.6).

        ``here`` is what only the two at the tap know. All behind it is known.
        """
        if self._binding is None:
            return ""
        tied: dict[bytes, Tied] = {}
        for parent, start, end in transfer.pieces:
            named, hops = self._origin(parent)
            coin = self.coins[named]
            if coin.conditions and coin.owner == transfer.key:
                tied[named] = tied.get(named, Tied(coin)).plus(start, end, hops)
        return self._binding.unmet(transfer, tied, here) if tied or transfer.witness else ""

    def _origin(self, parent: Parent) -> tuple[bytes, int]:
        """Return the token of a parent whose past is known, and how many payees' hands it was in."""
        named, side, place = parent
        if side == TOKEN:
            return named, 0
        coin, hops = self._origin(self.transfers[named].pieces[place].parent)
        return coin, hops + (side == PAYEE)

    def outcomes(self, transfer: Word) -> dict[bytes, bytes]:
        """Return every outcome of a transfer's request."""
        request = self.requests.get(transfer.id)
        return {} if request is None else self.answers.get((transfer.payee, request), {})

    def dead(self, transfer: Word) -> bool:
        """Whether its request has another outcome than its Receipt."""
        return any(accepts != transfer.id for accepts in self.outcomes(transfer))

    def accepted(self, transfer: Word) -> bool:
        """Whether it has its Receipt."""
        return transfer.id in self.outcomes(transfer)

    def restored(self, transfer: Word) -> bool:
        """Whether all that came back behind a transfer was dead: what its signer says it has is so."""
        for named, side, _ in (piece.parent for piece in transfer.pieces):
            if side != TOKEN and not self.restored(self.transfers[named]):
                return False
            if side == PAYER and not self.dead(self.transfers[named]):
                return False
        return True

    def spends(self) -> Spends:
        """Return what is cut from each parent: units, by which transfer, and as which of its spans."""
        if self._found.spends is None:
            self._found.spends = self._spends()
        return self._found.spends

    def _spends(self) -> Spends:
        found: Spends = {}
        for transfer in self.transfers.values():
            if self.good(transfer.id):
                for place, (parent, start, end) in enumerate(transfer.pieces):
                    found.setdefault(parent, []).append((start, end, transfer.id, place))
        return found

    # What it proves

    def names(self) -> frozenset[Name]:
        """Return everybody whom two statements name."""
        if self._found.names is None:
            self._found.names = frozenset(self._names())
        return self._found.names

    def _names(self) -> set[Name]:
        found: set[Name] = set()
        for parent, cuts in self.spends().items():
            if _overlap((start, end, by) for start, end, by, _ in cuts):
                found.add(Name(self.transfers[cuts[0][2]].key, "fork"))
            if parent[1] == PAYEE and self.dead(self.transfers[parent[0]]):
                found.add(Name(self.transfers[parent[0]].payee, "dead_spent"))
        for (key, _), given in self.answers.items():
            if len(given) > 1:
                found.add(Name(key, "two_outcomes"))
        for key, places in self.tape.items():
            if _overlap((prev, ctr, named) for named, (prev, ctr) in places.items()):
                found.add(Name(key, "tape_fork"))
        return found

    def leaves(self) -> list[Leaf]:
        """Return where every unit is: each once, and once more for each proven overspend of it."""
        if self._found.leaves is None:
            self._found.leaves = list(self._leaves())
        return self._found.leaves

    def _leaves(self) -> Iterator[Leaf]:
        spends = self.spends()
        for named, coin in self.coins.items():
            stack = [((named, TOKEN, 0), 0, coin.amount, coin.owner, True)]
            while stack:
                parent, start, end, owner, live = stack.pop()
                rest = [(start, end)]
                for low, high, by, place in spends.get(parent, ()):
                    rest = minus(rest, low, high)
                    piece = Piece(parent, low, high)
                    for leaf, more in self._follow(named, piece, self.transfers[by], place):
                        if leaf is not None:
                            yield leaf
                        stack += more
                if live:
                    for low, high in rest:
                        yield Leaf(named, low, high, owner, "held", parent)

    def _follow(
        self, coin: bytes, piece: Piece, transfer: Word, place: int
    ) -> Iterator[tuple[Leaf | None, list[tuple[Parent, int, int, bytes, bool]]]]:
        """Yield where the units of one span of a transfer are, and the sides on which they go on."""
        _, start, end = piece
        payer, payee = (transfer.id, PAYER, place), (transfer.id, PAYEE, place)
        if transfer.payee in self.offices:
            yield Leaf(coin, start, end, transfer.key, "deposit", payee), []
        elif self.dead(transfer):
            yield (
                None,
                [(payer, start, end, transfer.key, True), (payee, start, end, transfer.payee, False)],
            )
        elif self.accepted(transfer):
            yield None, [(payee, start, end, transfer.payee, True)]
        else:
            yield Leaf(coin, start, end, transfer.key, "doubt", payee), [(payee, start, end, transfer.payee, False)]

    def backs(self, coin: bytes) -> int:
        """Return a token's units without those that were handed in for renewal."""
        renewed = [piece for one in self.transfers.values() if one.renews and self.good(one.id) for piece in one.pieces]
        found = [(self.source(parent), end - start) for parent, start, end in renewed]
        return self.coins[coin].amount - sum(units for source, units in found if source and source.coin == coin)

    def overspent(self) -> dict[bytes, int]:
        """Return the units of each token that its statements spend beyond once."""
        if self._found.overspent is None:
            self._found.overspent = self._overspent()
        return self._found.overspent

    def _overspent(self) -> dict[bytes, int]:
        counted: dict[bytes, int] = {}
        for leaf in self.leaves():
            counted[leaf.coin] = counted.get(leaf.coin, 0) + leaf.end - leaf.start
        return {
            coin: count - self.coins[coin].amount for coin, count in counted.items() if count > self.coins[coin].amount
        }


def _overlap(items: Iterable[tuple[int, int, bytes]]) -> bool:
    """Whether two intervals of different statements overlap."""
    reach, by = -1, b""
    for start, end, named in sorted(items):
        if start < reach and named != by:
            return True
        if end > reach:
            reach, by = end, named
    return False
