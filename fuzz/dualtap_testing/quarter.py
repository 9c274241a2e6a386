"""A quarter of a town: honest wallets that do everything that looks suspicious and is legal.

They pay, tear taps, heal, refuse, spend restored value again, refund, deposit, skip counters, sync late and twice,
rotate, and hold conditional value. Each knows what it is owed in the end, by the rules of SPEC §16 alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from dualtap.evidence import Fraud
from dualtap.issued import Condition
from dualtap.statements import Outcome, Parent, Side, Span, Transfer
from dualtap.suite import sha256
from dualtap_testing.forging import EPOCH, SPEND_BY, Forge, Hand, Piece

WORD = b"the word that opens it"
DAYS = 18
"""Days of a quarter's life; whoever has not synced by then does so before ``CLAIM_BY``."""
HOPS, RESTORED = 4, 2


class Plant(NamedTuple):
    """A fraud that was planted: whose, what kind, and which statements of its own stand against it."""

    plot: str
    key: bytes
    fraud: Fraud
    marks: frozenset[bytes]


class Quarter(Forge):
    """Honest people, what they are owed, and what was planted among them."""

    def __init__(self, suite: str, seed: str, number: int, people: int = 24) -> None:
        super().__init__(suite, seed, number)
        self.plants: list[Plant] = []
        self.liable: Counter[tuple[bytes, bytes]] = Counter()
        self.heirs: dict[bytes, bytes] = {}
        self.ordinals: set[int] = set()
        self.forged = 0
        self.done: Counter[str] = Counter()
        self.people = [self.hand(category=5411 if place % 4 == 0 else 0) for place in range(people)]
        for person in self.people:
            self._pay_in(person)

    @property
    def shops(self) -> list[Hand]:
        """Those whom everybody pays."""
        return [person for person in self.people if person.certificate.category and not person.retired]

    def shop(self) -> Hand:
        """Return any honest shop."""
        return self.draw.choice(self.shops)

    def person(self, *but: Hand) -> Hand:
        """Return any honest wallet but these."""
        return self.draw.choice([one for one in self.people if one not in but and not one.retired])

    def _pay_in(self, person: Hand) -> None:
        conditions = (
            (),
            (),
            (Condition(4, (400).to_bytes(8, "big")),),
            (Condition(1, self.people[0].key),),
            (Condition(6, sha256(WORD)),),
            (Condition(5, EPOCH.to_bytes(4, "big") + SPEND_BY.to_bytes(4, "big")),),
        )[self.draw.randrange(6)]
        person.pieces.append(self.fund(person, self.draw.randint(200, 5_000), conditions))

    # Choosing value

    def bound(self, piece: Piece, hand: Hand) -> tuple[Condition, ...]:
        """Return the conditions that bind a hand that spends a piece."""
        token = self.tokens[piece.token]
        return token.conditions if token.owner == hand.key else ()

    def fits(self, piece: Piece, hand: Hand, payee: bytes, amount: int) -> bool:
        """Return whether a hand may pay so many of these units to a key."""
        bound = {one.code: one.value for one in self.bound(piece, hand)}
        capped = 4 in bound and amount > int.from_bytes(bound[4], "big")
        return payee == self.institution or not (capped or (1 in bound and bound[1] != payee))

    def witness(self, pieces: Iterable[Piece], hand: Hand, payee: bytes) -> tuple[bytes, ...]:
        """Return what a transfer must carry for its conditions."""
        worded = any(one.code == 6 for piece in pieces for one in self.bound(piece, hand))
        return (WORD,) if worded and payee != self.institution else ()

    def cut(self, piece: Piece, amount: int) -> tuple[Piece, list[Piece]]:
        """Return so many units of a piece, from a random end, and what is left."""
        parent, start, end = piece.span
        middle = start + amount if self.draw.random() < 0.5 else end - amount
        parts = (Span(parent, start, middle), Span(parent, middle, end))
        taken, left = parts if middle == start + amount else parts[::-1]
        return piece._replace(span=taken), [piece._replace(span=left)] if left.end > left.start else []

    def choose(self, payer: Hand, payee: bytes) -> list[Piece]:
        """Take one or two pieces' worth from what a hand holds, as its rules allow; empty if there is nothing."""
        usable = [one for one in payer.pieces if one.hops < HOPS and one.restored <= RESTORED]
        if not usable:
            return []
        piece = self.draw.choice(usable)
        amount = self.draw.randint(1, min(piece.amount, self.draw.choice([50, 400, 5_000])))
        if not self.fits(piece, payer, payee, amount):
            return []
        chosen = [self._take(payer, piece, amount)]
        if self.draw.random() < 0.15:
            others = [one for one in usable if one.token != piece.token and one in payer.pieces]
            other = self.draw.choice(others) if others else None
            if other and self.fits(other, payer, payee, other.amount):
                chosen.append(self._take(payer, other, other.amount))
        return chosen

    def _take(self, payer: Hand, piece: Piece, amount: int) -> Piece:
        taken, left = self.cut(piece, amount)
        payer.pieces.remove(piece)
        payer.pieces += left
        return taken

    # One tap

    def offer(self, payer: Hand, payee: bytes, pieces: list[Piece], refund: bytes = b"") -> Transfer:
        """Sign a payment of these pieces."""
        spans = [piece.span for piece in pieces]
        return self.transfer(payer, payee, spans, witness=self.witness(pieces, payer, payee), refund=refund)

    def accept(self, transfer: Transfer, payee: Hand) -> Outcome:
        """Let a payee have a transfer, sign its Receipt, and hold the value."""
        self.show(transfer, payee)
        payee.pieces += self.sides(transfer, Side.PAYEE)
        return self.receipt(payee, transfer)

    def sides(self, transfer: Transfer, side: Side) -> list[Piece]:
        """Return what a side of a transfer holds."""
        found: list[Piece] = []
        for place, span in enumerate(transfer.body.spans):
            token, hops, restored = self.above(span.parent)
            hop = side is Side.PAYEE
            cut = Span(Parent(transfer.id, side, place), span.start, span.end)
            found.append(Piece(token, cut, hops + hop, restored + (not hop)))
        return found

    def above(self, parent: Parent) -> tuple[bytes, int, int]:
        """Return the token behind a parent, and the hops and restorations on the way."""
        hops = restored = 0
        while parent.side is not Side.TOKEN:
            hops += parent.side is Side.PAYEE
            restored += parent.side is Side.PAYER
            parent = self.transfers[parent.id].body.spans[parent.place].parent
        return parent.id, hops, restored

    def dies(self, transfer: Transfer, payer: Hand, payee: Hand) -> None:
        """Let a payee close what a transfer answers, and its payer hear it."""
        self.hears(transfer, payer, self.close(payee, transfer))

    def hears(self, transfer: Transfer, payer: Hand, outcome: Outcome) -> None:
        """Tell a payer that its transfer is dead: the spans are the payer's again."""
        payer.warrants[transfer.id] = self.warrant(transfer, outcome)
        payer.heard.append(outcome)
        payer.pending.pop(transfer.id, None)
        payer.pieces += self.sides(transfer, Side.PAYER)
