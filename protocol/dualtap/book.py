"""The wallet (SPEC §12): what it holds, what is in doubt, what it was asked; a fold over its records.

``Book.apply`` is the only way in which a wallet changes, live and on replay alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar, cast

from dualtap import allowance, limits
from dualtap.conditions import understood, uses
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.graph import Graph
from dualtap.issued import Tier, Token, WalletCertificate
from dualtap.limits import Profile
from dualtap.logcodec import encoder
from dualtap.provenance import Received, offline_refusal, rebuild
from dualtap.records import (
    Answered,
    Asked,
    Carried,
    Funded,
    Healed,
    Holding,
    Line,
    Moved,
    News,
    Ordered,
    Question,
    Record,
    Retired,
    Sent,
    SignedTail,
    Since,
    Snapshot,
    Spent,
    Synced,
    Taken,
    Tied,
    Told,
    ToldLine,
    Warned,
    Witnessed,
)
from dualtap.renewal import is_renewal
from dualtap.standing import OPEN
from dualtap.statements import (
    UNSAID,
    Close,
    CloseBody,
    Opening,
    Outcome,
    Parent,
    Private,
    ReceiptBody,
    Scheme,
    Side,
    Span,
    Successor,
    SuccessorBody,
    TapeStatement,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.suite import Drbg
from dualtap.ties import Ties
from dualtap.trust import Trust
from dualtap.wire import TransferMessage, decode

_T = TypeVar("_T")
ENTRY_ROOM = 1536
"""Bytes reserved for one outcome: the statement, its signature and the log's own framing, in two appends."""


class Book:
    """One wallet's durable state, in memory."""

    def __init__(self, scheme: Scheme, profile: Profile, key: bytes) -> None:
        self.scheme = scheme
        self.profile = profile
        self.key = key
        self.trust = Trust(scheme)
        self._encode = encoder(scheme.id)
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

    def encoded(self, records: tuple[Record, ...]) -> tuple[bytes, ...]:
        """Return these records' bytes, after the signature that is not durable yet: the caller makes all of them so.

        Raises ``BAD_INPUT``, and changes nothing, for a record that could not be read again.
        """
        data = tuple([self._encode(item) for item in records])
        unsaved, self.unsaved = self.unsaved, None
        return data if unsaved is None else (self._encode(unsaved), *data)

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

    # The fold

    def replay(self, records: Iterable[Record]) -> None:
        """Apply a log (SPEC §12-1)."""
        for item in records:
            self.apply(item)

    def apply(self, item: Record) -> None:
        """Change the wallet by one record."""
        match item:
            case News():
                self._news(item)
            case Funded(token):
                self._fund(token)
            case Asked():
                self.questions[item.request] = Question(item, None)
                self.open[item.request] = item
                self.parts.setdefault((item.basket, item.part), []).append(item.request)
            case Answered(outcome, message):
                self._answer(outcome, message)
            case Sent():
                self._send(item)
            case SignedTail(key, signature):
                self.seal(key, signature)
            case Moved():
                self._move(item)
            case Healed(transfer, outcome):
                self._heal(transfer, outcome)
            case Synced():
                self._synced(item)
            case Snapshot():
                self._restore(item)
            case Carried(spent):
                self.spent = spent
            case Told(lines):
                self.told = {line.transfer: line for line in lines}
            case Retired(successor):
                self.successor = successor
            case Warned(key, evidence):
                self._warn(key, evidence)
            case Tied() | Ordered():
                self.ties.apply(item)

    def _news(self, news: News) -> None:
        if news.certificate is not None:
            self._own = news.certificate
            self.graph.certificates[news.certificate.key] = news.certificate
        self.trust.learn(news.authorities)
        if news.policy is not None:  # before the date: it was in force when its key was, and a replay judges it again
            self.trust.set_policy(news.policy)
            for key in news.policy.hotlist:
                self.warned.pop(key, None)
            self.trust.blocked = frozenset(self.warned)
        if news.header is not None:
            self.trust.adopt(news.header, any_step=True)

    def _warn(self, key: bytes, evidence: bytes) -> None:
        """Block a key by evidence; the oldest evidence gives way to the bounds of number and bytes (SPEC §21-8)."""
        self.warned[key] = evidence
        while len(self.warned) > limits.WARNED or sum(map(len, self.warned.values())) > self.profile.log // 8:
            del self.warned[next(iter(self.warned))]
        self.trust.blocked = frozenset(self.warned)

    def _fund(self, token: Token) -> None:
        token_id = self.trust.token_id(token)
        if token_id in self.graph.tokens:
            return
        self.graph.tokens[token_id] = token
        self.holdings.append(Holding(Parent(token_id, Side.TOKEN, 0), token_id, 0, token.amount))
        self._line("funded", token.amount, token.currency, b"", token_id, self.trust.epoch)

    def _line(self, what: str, amount: int, currency: str, peer: bytes, transfer: bytes, epoch: int) -> None:
        self.history.append(Line(what, amount, currency, peer, transfer, epoch))

    def _entry(self, statement: TapeStatement) -> None:
        self.tape.append(statement)
        self.counter = statement.shown().ctr

    def _answer(self, outcome: Outcome, message: bytes) -> None:
        self._entry(outcome)
        asked = self.questions[outcome.body.request].asked
        self.questions[asked.request] = Question(asked, outcome)
        self.open.pop(asked.request, None)
        if not isinstance(outcome.body, ReceiptBody):
            if message:
                self.witnessed.append(Witnessed(asked.request, message))
            return
        received, self.examined = self.examined, None
        if received is None or received.transfer.id != outcome.body.transfer:
            received = rebuild(self.trust, cast("TransferMessage", decode(message)), self.key, asked.request)
            received.graph.put(received.transfer)
        transfer, graph, _ = received
        self.graph.add(graph)
        for index, (parent, start, end) in enumerate(transfer.body.spans):
            token = self.graph.origin(parent).token
            self.holdings.append(Holding(Parent(transfer.id, Side.PAYEE, index), token, start, end))
        amount = amount_of(transfer)
        self.taken[transfer.id] = Taken(transfer.id, transfer.key, amount, 0)
        since = self.since
        self.since = Since(since.payments, since.receipts + 1, since.received + amount)
        self._line("received", amount, asked.currency, transfer.key, transfer.id, outcome.body.epoch)

    def reported(self) -> Graph:
        """Return all that a sync tells of value: what this wallet holds or passed on, and what it refused as spent."""
        graph = Graph()
        graph.add(self.graph)
        for request, message in self.witnessed:
            shown = rebuild(self.trust, cast("TransferMessage", decode(message)), self.key, request)
            graph.add(shown.graph)
            graph.put(shown.transfer)
        return graph

    def _send(self, sent: Sent) -> None:
        transfer = sent.transfer
        self._entry(transfer)
        self.graph.put(transfer)
        for parent, start, end in transfer.body.spans:
            self._cut(parent, start, end)
        self.pending[transfer.id] = sent
        opening = transfer.shown()
        amount = amount_of(transfer)
        what = "sent"
        if not opening.request:
            what = "handed in" if is_renewal(transfer) else "deposited"
        elif opening.private.refund_of:
            what = "refunded"
            taken = self.taken[opening.private.refund_of]
            self.taken[taken.transfer] = taken._replace(refunded=taken.refunded + amount)
        if opening.request:
            since = self.since
            self.since = Since(since.payments + 1, since.receipts, since.received)
            self.spent = allowance.paid(self.spent, transfer, amount)
        self._line(what, amount, self.currency(transfer), transfer.body.payee, transfer.id, transfer.body.epoch)

    def _cut(self, parent: Parent, start: int, end: int) -> None:
        for place, held in enumerate(self.holdings):
            if held.parent == parent and held.start <= start and end <= held.end:
                rest = [Holding(parent, held.token, held.start, start), Holding(parent, held.token, end, held.end)]
                self.holdings[place : place + 1] = [piece for piece in rest if piece.amount]
                return
        raise TapError(Code.STORE_FAILED, "the log spends what it does not hold")

    def currency(self, transfer: Transfer) -> str:
        """Return the currency of a transfer that this wallet knows."""
        return self.graph.tokens[self.graph.origin(transfer.body.spans[0].parent).token].currency

    def claim_by(self, transfer: Transfer) -> int:
        """Return the last epoch in which a transfer's outcome can matter: after it, its tokens are settled."""
        return max(self.graph.tokens[self.graph.origin(span.parent).token].claim_by for span in transfer.body.spans)

    def seal(self, key: bytes, signature: bytes) -> None:
        """Put its signature on the tape's last entry, wherever that is kept."""
        tail = self.tail
        if tail is None or tail.id != key:
            raise TapError(Code.STORE_FAILED, "a signature of something else than the tape's last entry")
        if tail.signature:
            return
        self._replace_tail(tail.sealed(signature))

    def _replace_tail(self, tail: TapeStatement) -> None:
        old = self.tape[-1]
        self.tape[-1] = tail
        if isinstance(tail.body, TransferBody):
            transfer = cast("Transfer", tail)
            sent = self.pending.pop(old.id, None)
            if sent is not None:
                self.pending[transfer.id] = Sent(transfer, sent.basket, sent.part)
            if transfer.id == old.id:
                self.graph.transfers[transfer.id] = transfer
            else:
                self.graph.drop(old.id)
                self.graph.put(transfer)
        else:
            outcome = cast("Outcome", tail)
            question = self.questions[outcome.body.request]
            self.questions[outcome.body.request] = Question(question.asked, outcome)

    def _move(self, moved: Moved) -> None:
        tail = self.tape[-1]
        if tail.id != moved.id or tail.signature:
            raise TapError(Code.STORE_FAILED, "only the tape's unsigned last entry can move")
        opening = tail.shown()._replace(prev=moved.prev, ctr=moved.ctr)
        self._replace_tail(signed(self.scheme.id, tail.key, tail.body, opening))
        self.counter = moved.ctr

    def _heal(self, key: bytes, outcome: Outcome) -> None:
        sent = self.pending.pop(key)
        self.told.pop(key, None)
        self.heard.append(outcome)
        transfer = sent.transfer
        amount, currency = amount_of(transfer), self.currency(transfer)
        if isinstance(outcome.body, ReceiptBody) and outcome.body.transfer == key:
            self._line("accepted", amount, currency, transfer.body.payee, key, outcome.body.epoch)
            return
        self.graph.warrants[key] = Warrant(transfer.shown().answered(), outcome)
        self.spent = allowance.given_back(self.spent, transfer, amount)
        for index, (parent, start, end) in enumerate(transfer.body.spans):
            token = self.graph.origin(parent).token
            self.holdings.append(Holding(Parent(key, Side.PAYER, index), token, start, end))
        refunded = transfer.shown().private.refund_of
        if refunded in self.taken:
            taken = self.taken[refunded]
            self.taken[refunded] = taken._replace(refunded=taken.refunded - amount)
        self._line("restored", amount, currency, transfer.body.payee, key, outcome.body.epoch)

    def _synced(self, synced: Synced) -> None:
        for key in synced.deposits:
            sent = self.pending.pop(key, None)
            if sent is not None:
                amount = amount_of(sent.transfer)
                self._line("settled", amount, self.currency(sent.transfer), b"", key, self.trust.epoch)
        self.delivered = max(self.delivered, synced.delivered)
        told = [entry for entry in self.tape if entry.signature and entry.shown().ctr <= synced.ctr]
        if told:
            self.previous = told[-1].id
            self.tape = self.tape[len(told) :]
        if not self.tape:
            # A tap while the reply was on its way keeps its counts, and what it heard, for the next sync.
            self.since, self.heard, self.witnessed = Since(), [], []

    # Compaction

    def snapshot(self) -> Snapshot:
        """Return the whole wallet as one record: what it still needs, and nothing else (SPEC §12-12)."""
        needed: dict[bytes, Transfer] = {}
        tokens: dict[bytes, Token] = {}
        spent = [sent.transfer for sent in self.pending.values()]
        for held in self.holdings:
            tokens[held.token] = self.graph.tokens[held.token]
            if held.parent.side is not Side.TOKEN:
                spent.append(self.graph.transfers[held.parent.id])
        spent += [cast("Transfer", entry) for entry in self.tape if isinstance(entry.body, TransferBody)]
        for transfer in spent:
            for hand in (*self.graph.ancestors(transfer), transfer):
                needed[hand.id] = hand
                for parent, _, _ in hand.body.spans:
                    if parent.side is Side.TOKEN:
                        tokens[parent.id] = self.graph.tokens[parent.id]
        # In order: a log's bytes follow from the wallet alone.
        hands = dict.fromkeys([*[hand.key for hand in needed.values()], *[token.owner for token in tokens.values()]])
        oldest = self.trust.epoch - limits.MAX_LIFE
        certificates = self.graph.certificates
        return Snapshot(
            News(self._own, self.trust.authorities, self.trust.header, self.trust.policy),
            tuple(tokens.values()),
            tuple(needed.values()),
            tuple((key, warrant) for key, warrant in self.graph.warrants.items() if key in needed),
            tuple(certificates[key] for key in hands if key in certificates),
            tuple(self.holdings),
            tuple(self.pending.values()),
            tuple(question for question in self.questions.values() if question.asked.epoch >= oldest),
            _newest(self.taken.values(), self.profile.history),
            _newest(self.history, self.profile.history),
            tuple(self.tape),
            tuple(self.heard),
            tuple(self.witnessed),
            self.delivered,
            self.previous,
            self.counter,
            self.since,
            self.spent,
        )

    def compacted(self) -> tuple[Record, ...]:
        """Return the records of a compacted log: the snapshot, and what is kept beside it (SPEC §12-12)."""
        told = (Told(tuple(self.told.values())),) if self.told else ()
        retired = () if self.successor is None else (Retired(self.successor),)
        warned = [Warned(key, evidence) for key, evidence in self.warned.items()]
        return (self.snapshot(), *retired, *told, *warned, *self.ties.kept())

    def _restore(self, snapshot: Snapshot) -> None:
        self._news(snapshot.news)
        graph = Graph()
        graph.tokens = {self.trust.token_id(token): token for token in snapshot.tokens}
        for transfer in snapshot.transfers:
            graph.put(transfer)
        graph.warrants = dict(snapshot.warrants)
        graph.certificates = {certificate.key: certificate for certificate in snapshot.certificates}
        if self._own is not None:
            graph.certificates[self._own.key] = self._own
        self.graph = graph
        self.holdings = list(snapshot.holdings)
        self.pending = {sent.transfer.id: sent for sent in snapshot.pending}
        self.questions = {question.asked.request: question for question in snapshot.questions}
        self.open = {key: item.asked for key, item in self.questions.items() if item.outcome is None}
        self.parts = {}
        for asked, _ in snapshot.questions:
            self.parts.setdefault((asked.basket, asked.part), []).append(asked.request)
        self.taken = {taken.transfer: taken for taken in snapshot.taken}
        self.history = list(snapshot.history)
        self.tape = list(snapshot.tape)
        self.heard, self.witnessed = list(snapshot.heard), list(snapshot.witnessed)
        self.delivered = snapshot.delivered
        self.previous, self.counter = snapshot.previous, snapshot.counter
        self.since, self.spent = snapshot.since, snapshot.spent


def _newest(items: Iterable[_T], most: int) -> tuple[_T, ...]:
    """Return the last ``most`` of these; of none, nothing."""
    found = tuple(items)
    return found[max(0, len(found) - most) :]


def amount_of(transfer: Transfer) -> int:
    """Return the minor units that a transfer hands over."""
    return sum(end - start for _, start, end in transfer.body.spans)
