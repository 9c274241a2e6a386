"""The wallet (SPEC §12): a fold over its records, which :mod:`dualtap.account` is the state of.

``Book.apply`` is the only way in which a wallet changes, live and on replay alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from dualtap import allowance, limits
from dualtap.account import Account, amount_of
from dualtap.compaction import snapshot_of
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.graph import Graph
from dualtap.issued import Token
from dualtap.limits import Profile
from dualtap.logcodec import encoder
from dualtap.provenance import rebuild
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
    Synced,
    Taken,
    Tied,
    Told,
    Warned,
    Witnessed,
)
from dualtap.renewal import is_renewal
from dualtap.statements import (
    Outcome,
    Parent,
    ReceiptBody,
    Scheme,
    Side,
    TapeStatement,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.wire import TransferMessage, decode


class Book(Account):
    """One wallet's durable state, in memory."""

    def __init__(self, scheme: Scheme, profile: Profile, key: bytes) -> None:
        super().__init__(scheme, profile, key)
        self._encode = encoder(scheme.id)

    def encoded(self, records: tuple[Record, ...]) -> tuple[bytes, ...]:
        """Return these records' bytes, after the signature that is not durable yet: the caller makes all of them so.

        Raises ``BAD_INPUT``, and changes nothing, for a record that could not be read again.
        """
        data = tuple([self._encode(item) for item in records])
        unsaved, self.unsaved = self.unsaved, None
        return data if unsaved is None else (self._encode(unsaved), *data)

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
        if not self.tape and synced.ctr >= self.counter:
            # A tap while the reply was on its way keeps its counts, and what it heard, for the next sync.
            self.since, self.heard, self.witnessed = Since(), [], []

    # Compaction

    def snapshot(self) -> Snapshot:
        """Return the whole wallet as one record: what it still needs, and nothing else (SPEC §12-12)."""
        return snapshot_of(self)

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
