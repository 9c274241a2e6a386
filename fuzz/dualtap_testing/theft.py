"""A thief, what it sells, and what is written down of it: what a ledger must find, of whom, and for how many units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations

from dualtap.evidence import Fraud
from dualtap.statements import Span, TapeStatement, Transfer
from dualtap_testing.forging import Hand, Piece
from dualtap_testing.quarter import Plant, Quarter


class Theft:
    """Helps a plot: a thief with a token, what it sells, and what is written down about it."""

    def __init__(self, quarter: Quarter, plot: str, amount: int = 1_000) -> None:
        self.quarter, self.plot = quarter, plot
        self.thief = quarter.hand(bad=True)
        self.piece = quarter.fund(self.thief, amount)
        self.entries: list[TapeStatement] = []

    def friend(self) -> Hand:
        """Return another thief, who never syncs."""
        return self.quarter.hand(bad=True)

    def span(self, start: int, end: int, piece: Piece | None = None) -> Span:
        """Return so much of the thief's token, or of a piece."""
        parent, low, _ = (piece or self.piece).span
        return Span(parent, low + start, low + end)

    def sell(
        self, payee: Hand, *spans: Span, payer: Hand | None = None, place: tuple[int, int] | None = None, epoch: int = 0
    ) -> Transfer:
        """Let somebody accept a payment of these spans by the thief."""
        transfer = self.quarter.transfer(payer or self.thief, payee.key, spans, place=place, epoch=epoch)
        self.quarter.accept(transfer, payee)
        return transfer

    def name(self, fraud: Fraud, statements: Iterable[TapeStatement], key: bytes = b"") -> None:
        """Write down who must be named, and by which statements of its own."""
        marks = frozenset(one.id for one in statements)
        assert len(marks) > (fraud is not Fraud.DEAD_SPENT), self.plot
        self.quarter.plants.append(Plant(self.plot, key or self.thief.key, fraud, marks))

    def liable(self, units: int, key: bytes = b"", token: bytes = b"") -> None:
        """Write down that somebody owes so many units of a token."""
        if units:
            self.quarter.liable[key or self.thief.key, token or self.piece.token] += units

    def forks(self, transfers: Sequence[Transfer], liable: bool = True) -> None:
        """Write down a fork for every two of these that overlap; each unit spent n times is owed n - 1 times."""
        cuts = [(one, span) for one in transfers for span in one.body.spans]
        pairs = [
            {one.id: one, two.id: two}
            for (one, mine), (two, other) in combinations(cuts, 2)
            if one is not two
            and one.key == two.key
            and mine.parent == other.parent
            and max(mine.start, other.start) < min(mine.end, other.end)
        ]
        self.name(Fraud.FORK, {name: one for pair in pairs for name, one in pair.items()}.values(), transfers[0].key)
        spent = Counter((span.parent, unit) for _, span in cuts for unit in range(span.start, span.end))
        for (parent, _), times in spent.items():
            if liable and times > 1:
                self.liable(times - 1, transfers[0].key, self.quarter.above(parent)[0])

    def tape(self, hand: Hand | None = None) -> None:
        """Write down a tape fork for whatever a key signed at overlapping intervals."""
        key = (hand or self.thief).key
        entries = [one for one in self.quarter.signed[-200:] if one.key == key]
        forked: dict[bytes, TapeStatement] = {}
        for one, two in combinations(entries, 2):
            mine, other = one.shown(), two.shown()
            if max(mine.prev, other.prev) < min(mine.ctr, other.ctr):
                forked |= {one.id: one, two.id: two}
        self.name(Fraud.TAPE_FORK, forked.values(), key)
