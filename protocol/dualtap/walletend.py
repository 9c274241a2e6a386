"""The wallet's end of an owner's session (SPEC §23): it serves its owner, and tells strangers nothing."""

from __future__ import annotations

from dualtap import limits, wire
from dualtap.book import Book
from dualtap.errors import Code, TapError, decode_code
from dualtap.events import Begin, Consent, Decline, Event, Received, Send, Signature
from dualtap.forms import signed
from dualtap.issued import AuthorityCertificate
from dualtap.ownermessages import (
    LINES,
    BoundMessage,
    ClaimMessage,
    Expiry,
    OrderMessage,
    OwnerMessage,
    StateLine,
    StateMessage,
    encode,
)
from dualtap.owning import AskOwner, End, Step
from dualtap.records import Tied
from dualtap.session import NO_HANDOVER, Handover, check_hello
from dualtap.statements import BindBody, OrderBody, Verification
from dualtap.suite import TAG, Ephemeral, sha256
from dualtap.wire import VERSION, DoneMessage, Hello, RefuseMessage, Welcome


class WalletEnd(End):
    """The wallet's end, always the responder: it serves its owner, and nobody else."""

    def __init__(
        self,
        book: Book,
        ephemeral: Ephemeral,
        least: Verification = Verification.PRESENCE,
        handover: Handover = NO_HANDOVER,
    ) -> None:
        """``least`` is how its person must be verified before it binds itself: a press, or a PIN if it has one."""
        super().__init__(book, ephemeral, False, handover)
        self._least = least
        self._asked: ClaimMessage | None = None

    def _take(self, event: Event) -> None:
        match self.step_now, event:
            case Step.READY, Begin():
                self.step_now = Step.AWAIT_HELLO
            case Step.AWAIT_HELLO, Received(frame):
                self._hello(wire.decode_hello(frame))
            case ((Step.AWAIT_CLAIM | Step.AWAIT_ORDER), Received(frame)):
                self._heard(self._hear(frame))
            case Step.AWAIT_CONSENT, Consent(verification):
                self._consented(verification)
            case Step.AWAIT_CONSENT, Decline():
                raise TapError(Code.DECLINED)
            case Step.SIGN_ANSWER, Signature():
                self._answer(event)
            case ((Step.READY | Step.AWAIT_CONSENT | Step.SIGN_ANSWER), Received()):
                raise TapError(Code.UNEXPECTED_MESSAGE, f"a frame in state {self.step_now.value}")
            case _:
                raise TapError(Code.BAD_INPUT, f"not in state {self.step_now.value}")

    def _hello(self, hello: Hello) -> None:
        check_hello(self.book.scheme, hello, self._want())
        welcome = Welcome(VERSION, self._ephemeral.public, self._want(), b"")
        self._meet(hello, welcome)
        self._effects.append(Send(wire.encode_welcome(welcome)))
        self.step_now = Step.AWAIT_CLAIM

    def _heard(self, message: OwnerMessage) -> None:
        match message:
            case ClaimMessage() if self.step_now is Step.AWAIT_CLAIM:
                self._claimed(message)
            case OrderMessage() if self.step_now is Step.AWAIT_ORDER:
                self._ordered(message)
            case DoneMessage() if self.step_now is Step.AWAIT_ORDER:
                self._end()
            case RefuseMessage(code):
                self._end(decode_code(code), "said by the other device")
            case _:
                raise TapError(Code.UNEXPECTED_MESSAGE, type(message).__name__)

    def _claimed(self, message: ClaimMessage) -> None:
        """Refuse whom this wallet does not belong to before anything is said of it (SPEC §23-3 to §23-5)."""
        certificate = message.certificate
        self._believe(certificate, message.authorities, self._theirs(message.epoch, certificate, message.signature))
        self._check_owner()
        self._asked = message
        if self.book.ties.owner == certificate.key:
            self._prepare()
            return
        self.book.trust.check_valid(certificate, self._epoch)
        self._effects.append(AskOwner(message.bind, certificate))
        self.step_now = Step.AWAIT_CONSENT

    def _check_owner(self) -> None:
        assert self.peer is not None
        if self.book.ties.owner not in (b"", self.peer.key):
            raise TapError(Code.BOUND)

    def _consented(self, verification: Verification) -> None:
        if verification < self._least:
            raise TapError(Code.DECLINED, "its person was not verified as it needs")
        self._check_owner()  # while the person thought, another session may have been quicker
        self._prepare()

    def _prepare(self) -> None:
        """Make what binds durable, then have the answer signed (SPEC §23-6)."""
        assert self._asked is not None
        assert self.peer is not None
        assert self._channel is not None
        book, ties = self.book, self.book.ties
        if not self._asked.bind:
            self._sign(self._present(), Step.SIGN_ANSWER)
            return
        again = ties.owner == self.peer.key
        number = ties.number if again else ties.number + 1
        body = BindBody(self.peer.key, self._channel.transcript, number, book.trust.epoch)
        bind = signed(book.scheme.id, book.key, body)
        if not again:
            self._persist(Tied(book.key, number, bind, None))
        self._sign(bind, Step.SIGN_ANSWER)

    def _answer(self, event: Signature) -> None:
        word, book = self._word(event), self.book
        if isinstance(word.body, BindBody):
            body = word.body
            self._say(BoundMessage(body.number, body.epoch, word.signature, book.certificate, self._chain()))
        else:
            self._say(self._fitting(word.signature))
        self.step_now = Step.AWAIT_ORDER

    def _fitting(self, signature: bytes) -> StateMessage:
        """Return what this wallet holds, with as much history as both ends take, the latest first."""
        assert self._asked is not None
        most = min(self._asked.size, self.book.profile.message) - TAG
        message = state_of(self.book, self._epoch, self._asked.lines, signature, self._chain())
        while len(encode(message)) > most and (message.lines or message.expiries):
            short = message._replace(lines=message.lines[:-1])
            message = short if message.lines else message._replace(expiries=message.expiries[:-1])
        return message

    def _ordered(self, message: OrderMessage) -> None:
        """Obey an order of the owner that has proved its key in this session (SPEC §23-12)."""
        assert self.peer is not None
        book = self.book
        bind, number, errand, frozen, payment, day, epoch, signature = message
        body = OrderBody(book.key, bind, number, errand, frozen, payment, day, 0, b"", epoch)
        order = signed(book.scheme.id, self.peer.key, body, b"", signature)
        book.trust.verify_statement(order)
        records = book.ties.taken(order, frozenset())
        if records:
            self._persist(*records)
        self._say(DoneMessage())


def state_of(
    book: Book, epoch: int, lines: int, signature: bytes, authorities: tuple[AuthorityCertificate, ...]
) -> StateMessage:
    """Return what a wallet tells its owner at a date: what it holds, until when, and its last lines, latest first.

    Of more than ``AMOUNT`` units it tells ``AMOUNT``: no message holds more.
    """
    expiries: dict[int, int] = {}
    for held in book.holdings:
        if book.spendable(held, epoch):
            last = book.graph.tokens[held.token].spend_by
            expiries[last] = expiries.get(last, 0) + held.amount
    told = [
        StateLine(line.what, line.amount, line.currency, sha256(line.peer)[:8] if line.peer else b"", line.epoch)
        for line in reversed(book.history[-lines:] if lines else [])
    ]
    total = sum(held.amount for held in book.holdings)
    return StateMessage(
        book.ties.number if book.ties.bind is not None else 0,
        min(total, limits.AMOUNT),
        min(book.in_doubt(), limits.AMOUNT),
        min(book.available(epoch), limits.AMOUNT),
        *book.ties.restraint(),
        tuple(Expiry(last, min(amount, limits.AMOUNT)) for last, amount in sorted(expiries.items())[:LINES]),
        tuple(told),
        book.trust.epoch,
        signature,
        book.certificate,
        authorities,
    )
