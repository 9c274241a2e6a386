"""What a wallet holds, owes and may do: the state that its log adds up to, and what can be asked of it.

Nothing changes it but :class:`dualtap.book.Book`, by records.
"""

from __future__ import annotations

from typing import cast

from dualtap import allowance, limits
from dualtap.conditions import understood, uses
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.graph import Graph
from dualtap.issued import Tier, WalletCertificate
from dualtap.limits import Profile
from dualtap.provenance import Received, offline_refusal, rebuild
from dualtap.records import (
    Asked,
    Holding,
    Line,
    Question,
    Sent,
    SignedTail,
    Since,
    Spent,
    Taken,
    ToldLine,
    Witnessed,
)
from dualtap.standing import OPEN
from dualtap.statements import (
    UNSAID,
    Close,
    CloseBody,
    Opening,
    Outcome,
    Private,
    ReceiptBody,
    Scheme,
    Side,
    Span,
    Successor,
    SuccessorBody,
    TapeStatement,
    Transfer,
)
from dualtap.suite import Drbg
from dualtap.ties import Ties
from dualtap.trust import Trust
from dualtap.wire import TransferMessage, decode

ENTRY_ROOM = 1536
"""Bytes reserved for one outcome: the statement, its signature and the log's own framing, in two appends."""


class Account:
    """One wallet's state, in memory."""

    def __init__(self, scheme: Scheme, profile: Profile, key: bytes) -> None:
        self.scheme = scheme
        self.profile = profile
        self.key = key
        self.trust = Trust(scheme)
        self.graph = Graph()
        self.free = profile.log
        self._own: WalletCertificate | None = None
        self.holdings: list[Holding] = []
        self.pending: dict[bytes, Sent] = {}
        self.questions: dict[bytes, Question] = {}
        self.open: dict[bytes, Asked] = {}
        self.parts: dict[tuple[bytes, int], list[bytes]] = {}
        self.taken: dict[bytes, Taken] = {}
        self.history: list[Line] = []
        self.tape: list[TapeStatement] = []
        self.heard: list[Outcome] = []
        self.witnessed: list[Witnessed] = []
        self.told: dict[bytes, ToldLine] = {}
        self.warned: dict[bytes, bytes] = {}
        self.delivered = 0
        self.examined: Received | None = None
        self.previous = b""
        self.counter = 0
        self.since = Since()
        self.spent = Spent()
        self.successor: Successor | None = None
        """What retired this key, not signed: the key asks and pays nothing any more (SPEC §20-3)."""
        self.ties = Ties(key)
        self.unsaved: SignedTail | None = None
        """The tail's signature while only memory has it: it becomes durable with the next record, of any tap."""

    @property
    def certificate(self) -> WalletCertificate:
        """This wallet's certificate; raise ``WRONG_CERTIFICATE`` before the first."""
        if self._own is None:
            raise TapError(Code.WRONG_CERTIFICATE, "this wallet has not joined a scheme")
        return self._own

    @property
    def joined(self) -> bool:
        """Whether this wallet has a certificate."""
        return self._own is not None

    @property
    def tail(self) -> TapeStatement | None:
        """The tape's last entry, or ``None`` if all that is known of it is its id in ``previous``."""
        return self.tape[-1] if self.tape else None

    @property
    def tier(self) -> Tier:
        """The limits of this wallet."""
        return self.trust.tier(self.certificate.tier)

    def tail_ids(self) -> tuple[bytes, ...]:
        """Return the ids that an honest keystore may hold: the last entry's and its predecessor's (SPEC §12-6)."""
        if not self.tape:
            return (self.previous,)
        return (self.tape[-1].id, self.tape[-2].id if len(self.tape) > 1 else self.previous)

    def check_active(self) -> None:
        """Raise ``RETIRED`` if this key has named its successor (SPEC §20-3)."""
        if self.successor is not None:
            raise TapError(Code.RETIRED)

    # What a person asks

    def available(self, epoch: int) -> int:
        """Return the minor units that can be paid offline at this epoch."""
        left = self.uses_left(epoch)
        return sum(
            holding.amount for holding in self.holdings if left.get(holding.token, 1) and self.spendable(holding, epoch)
        )

    def uses_left(self, epoch: int) -> dict[bytes, int]:
        """Return how many uses of each counted token of its own this wallet can pay with offline (SPEC §5.6-14)."""
        found: dict[bytes, int] = {}
        for holding in self.holdings:
            number = self.uses_in(holding)
            if number is not None and self.spendable(holding, epoch):
                found[holding.token] = found.get(holding.token, 0) + number
        return found

    def uses_in(self, holding: Holding) -> int | None:
        """Return how many units of a holding, its first ones, are uses; ``None`` if they are not counted for this key.

        SPEC §5.6-14.
        """
        token = self.graph.tokens[holding.token]
        number = uses(token) if token.conditions and token.owner == self.key else None
        if number is None:
            return None
        fresh = self.graph.origin(holding.parent).hops == 0
        return max(0, min(number, holding.end) - holding.start) if fresh else 0

    def in_doubt(self) -> int:
        """Return the minor units of transfers whose outcome is not known here."""
        return sum(amount_of(sent.transfer) for sent in self.pending.values())

    def held(self) -> int:
        """Return the minor units that count against a balance: all that is held, and all that may come back."""
        return sum(holding.amount for holding in self.holdings) + self.in_doubt()

    def received_unsettled(self) -> int:
        """Return the minor units that were received and are still held here."""
        return sum(holding.amount for holding in self.holdings if holding.parent.side is Side.PAYEE)

    def asks_after(self) -> list[bytes]:
        """Return the transfers of which the issuer's last word was not its final one."""
        return [key for key, line in self.told.items() if line.standing in OPEN]

    def payments_left(self) -> int:
        """Return how many payments may be made before the next sync."""
        return max(0, self.tier.payments - self.since.payments)

    def spendable(self, holding: Holding, epoch: int, hops: int = limits.HOPS) -> bool:
        """Return whether a holding can be paid offline to a payee that takes this many hops."""
        token = self.graph.tokens[holding.token]
        origin = self.graph.origin(holding.parent)
        return understood(token.conditions) and offline_refusal(token, origin, epoch, hops) is None

    def check_restraint(self, amount: int) -> None:
        """Raise ``FROZEN`` or ``OVER_LIMIT`` unless owner and issuer let this wallet pay this much (SPEC §23-14)."""
        bound = self.ties.restraint()
        if bound.frozen:
            raise TapError(Code.FROZEN)
        day = bound.day < limits.AMOUNT and allowance.today(self.spent, self.trust.epoch) + amount > bound.day
        if amount > bound.payment or day:
            raise TapError(Code.OVER_LIMIT, "its owner or issuer set a lower limit")

    def holds(self, span: Span) -> bool:
        """Return whether these units are still held here."""
        return any(
            held.parent == span.parent and held.start <= span.start <= span.end <= held.end for held in self.holdings
        )

    def accepted(self, basket: bytes, part: int) -> bytes | None:
        """Return the transfer accepted for this part of a basket, if there is one."""
        for request in self.parts.get((basket, part), ()):
            outcome = self.questions[request].outcome
            if outcome is not None and isinstance(outcome.body, ReceiptBody):
                return outcome.body.transfer
        return None

    def pending_to(self, key: bytes) -> list[Sent]:
        """Return the transfers in doubt to a payee key."""
        return [sent for sent in self.pending.values() if sent.transfer.body.payee == key]

    def reserved(self) -> int:
        """Return the bytes of log kept for what must still be written: open requests and outcomes."""
        opened = len(self.open) * (self.profile.message + ENTRY_ROOM)
        return opened + len(self.pending) * ENTRY_ROOM

    def reserve(self, size: int) -> None:
        """Raise ``STORE_FULL`` unless ``size`` more bytes fit beside what is reserved (SPEC §12-8)."""
        if self.free < self.reserved() + size:
            raise TapError(Code.STORE_FULL)

    def asks(self, epoch: int) -> bool:
        """Return whether to ask a peer for authorities at ``epoch``: some are needed, and there is room to keep them.

        The room is needed beside that of a payment, which may come first. A full log heals by what it knows (SPEC
        §7-25, §12-13).
        """
        room = self.free >= self.reserved() + self.profile.message + 3 * ENTRY_ROOM
        return room and self.trust.asks(self.certificate.issuer, epoch)

    def currency(self, transfer: Transfer) -> str:
        """Return the currency of a transfer that this wallet knows."""
        return self.graph.tokens[self.graph.origin(transfer.body.spans[0].parent).token].currency

    def claim_by(self, transfer: Transfer) -> int:
        """Return the last epoch in which a transfer's outcome can matter: after it, its tokens are settled."""
        return max(self.graph.tokens[self.graph.origin(span.parent).token].claim_by for span in transfer.body.spans)

    def reported(self) -> Graph:
        """Return all that a sync tells of value: what this wallet holds or passed on, and what it refused as spent."""
        graph = Graph()
        graph.add(self.graph)
        for request, message in self.witnessed:
            shown = rebuild(self.trust, cast("TransferMessage", decode(message)), self.key, request)
            graph.add(shown.graph)
            graph.put(shown.transfer)
        return graph

    # What this wallet signs next

    def place(self, random: Drbg, request: bytes = b"", private: Private = UNSAID) -> Opening:
        """Return the next place on this wallet's tape, with a random skip; ``request`` is what a transfer answers.

        ``private`` is a transfer's private half. SPEC §4.1-6.
        """
        seed = random.take(16)
        return Opening(seed, self.counter, self.counter + 1 + random.below(limits.COUNTER_STEP), private, request)

    def close_of(self, request: bytes, reason: Code | int, random: Drbg) -> Close:
        """Return the Close of a request, not yet signed."""
        return signed(self.scheme.id, self.key, CloseBody(request, int(reason), self.trust.epoch), self.place(random))

    def succeeded_by(self, key: bytes) -> Successor:
        """Return the statement that this key's successor is ``key``, not yet signed; raise ``BOUND`` (SPEC §23-17)."""
        self.ties.check_none()
        return signed(self.scheme.id, self.key, SuccessorBody(key, self.trust.epoch))


def amount_of(transfer: Transfer) -> int:
    """Return the minor units that a transfer hands over."""
    return sum(end - start for _, start, end in transfer.body.spans)
