"""What one store remembers, and must act on: who is listed, what it saw spent, which cheats it met, what it heard.

Read by hand, as all that the checkers know; a compacted log remembers what stands in it, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dualtap_testing.bag import Bag
from dualtap_testing.reading import PAYEE, PAYER, TOKEN, TRANSFER, Parent, Raw, Word, unpack, word

SPENT = frozenset({69, 70})
"""``DOUBLE_SPENT`` and ``TAPE_FORKED``: refusals of which the message is kept, and told (SPEC §8.3-5)."""
WARNED = 16
"""Pieces of evidence that a device keeps (SPEC §10), in at most an eighth of its log."""
_Taken = tuple[int, int, bytes]


@dataclass
class Memory:
    """What one store knows beside its value. ``log`` is what its device's log holds, in bytes."""

    scheme: bytes
    log: int
    version: int = 0
    listed: frozenset[bytes] = frozenset()
    warned: dict[bytes, int] = field(default_factory=dict[bytes, int])
    met: list[bytes] = field(default_factory=list[bytes])
    """Signatures of payments that were refused as spent, and are not told yet."""
    heard: list[bytes] = field(default_factory=list[bytes])
    """Outcomes that were heard, and are not told yet."""
    hands: set[bytes] = field(default_factory=set[bytes])
    spends: dict[Parent, list[_Taken]] = field(default_factory=dict[Parent, list[_Taken]])
    tapes: dict[bytes, list[_Taken]] = field(default_factory=dict[bytes, list[_Taken]])
    dead: set[bytes] = field(default_factory=set[bytes])

    # What it reads

    @property
    def refuses(self) -> frozenset[bytes]:
        """The keys that this wallet must refuse now, in any hand (SPEC §7-20, §21-8)."""
        return self.listed | self.warned.keys()

    def policy(self, policy: Raw | None) -> bool:
        """Take in a policy; return whether it is older than the one before."""
        if policy is None:
            return False
        older = bool(policy[0] < self.version)
        self.version, self.listed = policy[0], frozenset(policy[2])
        for key in self.listed:
            self.warned.pop(key, None)
        return older

    def warn(self, key: bytes, evidence: bytes) -> None:
        """Take in evidence that names a key; the oldest gives way."""
        self.warned[key] = len(evidence)
        while len(self.warned) > WARNED or sum(self.warned.values()) > self.log // 8:
            del self.warned[next(iter(self.warned))]

    def refused(self, reason: int, message: bytes) -> bool:
        """Take in a Close; return whether what was refused as spent was not kept with it."""
        if message:
            self.met.append(unpack(message)[10])
        return reason in SPENT and not message

    def restore(self, fields: Raw) -> None:
        """Begin anew with a compacted log: evidence follows it."""
        self.warned.clear()
        self.hands, self.spends, self.tapes = set(), {}, {}
        self.dead = {dead for dead, _ in fields[3]}
        for statement in fields[2]:
            self._learn(word(self.scheme, statement))

    # What it accepts

    def _learn(self, hand: Word) -> None:
        self.hands.add(hand.id)
        for parent, start, end in hand.pieces:
            self.spends.setdefault(parent, []).append((start, end, hand.id))
            if parent[1] == PAYER:
                self.dead.add(parent[0])
        if hand.place is not None and hand.kind == TRANSFER:
            self._place(hand.key, *hand.place, hand.id)

    def _place(self, key: bytes, prev: int, ctr: int, named: bytes) -> None:
        self.tapes.setdefault(key, []).append((prev, ctr, named))

    def accept(self, bag: Bag, transfer: Word, message: Raw) -> str:
        """Take in a payment that was accepted; return what this wallet could see is wrong with it, if anything is."""
        found = ""
        place = (message[6], message[7], transfer.id)
        for hand in _behind(bag, transfer):
            if hand.id not in self.hands:
                found = found or self._seen_spent(hand)
                self._learn(hand._replace(place=None))
        if _meets(self.tapes.get(transfer.key, []), *place):
            found = found or "is at a place of its tape that this wallet saw taken"
        self._place(transfer.key, *place)
        return found

    def _seen_spent(self, hand: Word) -> str:
        for parent, start, end in hand.pieces:
            if _meets(self.spends.get(parent, []), start, end, hand.id):
                return "spends what this wallet saw spent"
            if parent[1] == PAYEE and parent[0] in self.dead:
                return "spends the payee's side of what this wallet knows to be dead"
            if parent[1] == PAYER and any(one[:2] == (parent[0], PAYEE) for one in self.spends):
                return "restores what this wallet saw its payee spend"
        return ""


def _behind(bag: Bag, transfer: Word) -> Iterator[Word]:
    """Yield all hands behind a payment, and itself last."""
    for named, side, _ in (piece.parent for piece in transfer.pieces):
        if side != TOKEN:
            yield from _behind(bag, bag.transfers[named])
    yield transfer


def _meets(taken: list[_Taken], start: int, end: int, named: bytes) -> bool:
    return any(low < end and start < high and by != named for low, high, by in taken)
