"""What a device showed over a whole run, and what contradicts itself there (SPEC §4.1, §4.2, §6).

A tester meets a device many times, as many peers. No one of them could see what these do together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dualtap import limits
from dualtap.graph import Graph, Interval, overlaps
from dualtap.issued import Token
from dualtap.statements import Outcome, Parent, ReceiptBody, Side, Transfer, Warrant
from dualtap.wire import TransferMessage


@dataclass(slots=True)
class Memory:
    """What is kept between taps. ``faults`` holds, by clause, what was expected and what came first instead."""

    faults: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    ephemerals: set[bytes] = field(default_factory=set[bytes])
    seeds: set[bytes] = field(default_factory=set[bytes])
    sessions: int = 0
    began: int | None = None
    """Where the device's tape stood before the first entry that was seen: 0 if it was made ready anew."""
    parts: dict[bytes, tuple[bytes, int]] = field(default_factory=dict[bytes, tuple[bytes, int]])
    outcomes: dict[bytes, Outcome] = field(default_factory=dict[bytes, Outcome])
    accepted: dict[tuple[bytes, int], bytes] = field(default_factory=dict[tuple[bytes, int], bytes])
    entries: dict[bytes, tuple[int, int, int]] = field(default_factory=dict[bytes, tuple[int, int, int]])

    unjudged: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """Units of transfers that came where none should have, by signature: a check that failed there settles none."""

    def heard(self, message: object) -> None:
        """Take in whatever the device said."""
        if isinstance(message, TransferMessage):
            self.unjudged[message.signature] = sum(span[-1] - span[-2] for span in message.spans)

    def fault(self, clause: str, expected: str, got: str) -> None:
        """Keep the first fault under a clause: a later check reports it."""
        self.faults.setdefault(clause, (expected, got))

    def saw_ephemeral(self, key: bytes) -> None:
        """Take in the ephemeral key of a Welcome."""
        self.sessions += 1
        if key in self.ephemerals:
            self.fault("6-4", "an ephemeral key of this tap alone", f"{key.hex()}, a second time")
        self.ephemerals.add(key)

    def saw_request(self, request: bytes, basket: bytes, part: int) -> None:
        """Take in a Request that the device made."""
        self.parts[request] = (basket, part)

    def saw_outcome(self, request: bytes, outcome: Outcome) -> None:
        """Take in an outcome that the device signed."""
        known = self.outcomes.setdefault(request, outcome)
        if _accepts(known) != _accepts(outcome):
            self.fault("4.1-12", "one outcome of a request", f"{_said(outcome)} after {_said(known)}")
        where = self.parts.get(request)
        if where is None or not isinstance(outcome.body, ReceiptBody):
            return
        transfer = self.accepted.setdefault(where, outcome.body.transfer)
        if transfer != outcome.body.transfer:
            self.fault("1-7", "one payment of a part of a basket", "a second Receipt")

    def saw_entry(self, entry: bytes, seed: bytes, prev: int, ctr: int, epoch: int) -> None:
        """Take in an entry of the device's tape, by its id."""
        if entry in self.entries:
            return
        if self.began is None:
            self.began = prev
        if seed in self.seeds:
            self.fault("4.2-4", "16 fresh random bytes for each entry", f"the seed {seed.hex()}, a second time")
        self.seeds.add(seed)
        for start, end, other in self.entries.values():
            if prev < end and start < ctr:
                self.fault("4.1-5", "disjoint intervals of the tape", f"({prev}, {ctr}] beside ({start}, {end}]")
            if (ctr > end and epoch < other) or (ctr < end and epoch > other):
                self.fault("4.1-8", "epochs that do not fall along the tape", f"{epoch} beside {other}")
        self.entries[entry] = (prev, ctr, epoch)


def _accepts(outcome: Outcome) -> bytes:
    return outcome.body.transfer if isinstance(outcome.body, ReceiptBody) else b""


def _said(outcome: Outcome) -> str:
    return "a Receipt" if isinstance(outcome.body, ReceiptBody) else "a Close"


class Holdings:
    """What a payer under test must still hold, by what it was seen to pay and what became of that."""

    def __init__(self, tokens: dict[bytes, Token], owner: bytes) -> None:
        self.owner = owner
        self.graph = Graph()
        self.graph.tokens.update(tokens)
        self.free: dict[Parent, list[Interval]] = {
            Parent(key, Side.TOKEN, 0): [Interval(0, token.amount, b"")] for key, token in tokens.items()
        }
        self.doubtful: dict[bytes, Transfer] = {}
        self.paid: set[bytes] = set()
        self.cuts: list[str] = []
        """From where each span was cut that is shorter than what it was cut from: start, end or middle."""

    def amount(self, currency: str, epoch: int) -> int:
        """Return the units that can be paid offline."""
        return sum(
            end - start
            for parent, pieces in self.free.items()
            for start, end, _ in pieces
            if self._usable(parent, currency, epoch)
        )

    def _usable(self, parent: Parent, currency: str, epoch: int) -> bool:
        origin = self.graph.origin(parent)
        token = self.graph.tokens[origin.token]
        good = not token.conditions and epoch <= token.spend_by and token.hops > origin.hops
        return good and token.currency == currency and origin.restored <= limits.WARRANTS

    def pays(self, transfer: Transfer) -> str:
        """Cut a transfer's spans out; return what is wrong with that, or nothing. Seen twice, it is cut once."""
        if transfer.id in self.doubtful or transfer.id in self.paid or transfer.id in self.graph.warrants:
            return ""
        self.doubtful[transfer.id] = transfer
        self.graph.put(transfer)
        wrong = ""
        for parent, start, end in transfer.body.spans:
            pieces = self.free.get(parent, [])
            for place, (begin, stop, _) in enumerate(pieces):
                if begin <= start and end <= stop:
                    rest = (Interval(begin, start, b""), Interval(end, stop, b""))
                    pieces[place : place + 1] = left = [piece for piece in rest if piece.end > piece.start]
                    if left:
                        self.cuts.append("middle" if len(left) > 1 else "start" if start == begin else "end")
                    break
            else:
                doubt = any(
                    overlaps([Interval(s.start, s.end, b"")], start, end)
                    for other in self.doubtful.values()
                    if other.id != transfer.id
                    for s in other.body.spans
                    if s.parent == parent
                )
                wrong = "that are in doubt" if doubt else "that it had spent"
        return wrong

    def heard(self, transfer: Transfer, warrant: Warrant | None) -> None:
        """Take in the outcome that the device was given; a warrant restores the transfer's spans."""
        if self.doubtful.pop(transfer.id, None) is None:
            return
        if warrant is None:
            self.paid.add(transfer.id)
            return
        self.graph.warrants[transfer.id] = warrant
        for place, (_, start, end) in enumerate(transfer.body.spans):
            self.free[Parent(transfer.id, Side.PAYER, place)] = [Interval(start, end, b"")]
