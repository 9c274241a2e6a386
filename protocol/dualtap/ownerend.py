"""The owner's end of an owner's session (SPEC §23): it carries out one wish, and keeps what it signs."""

from __future__ import annotations

from typing import cast

from dualtap import forms, wire
from dualtap.book import Book
from dualtap.errors import Code, TapError, decode_code
from dualtap.events import Begin, Event, Received, Send, Signature
from dualtap.forms import signed
from dualtap.ownermessages import LINES, BoundMessage, ClaimMessage, OrderMessage, OwnerMessage, StateMessage
from dualtap.owning import Bond, End, Look, Release, Restrain, Step, Wish
from dualtap.records import Ordered, Tied
from dualtap.session import NO_HANDOVER, Handover, check_welcome
from dualtap.statements import Bind, BindBody, Body, Errand, OrderBody, OwnBody, Signed
from dualtap.suite import Ephemeral
from dualtap.ties import FREE, Restraint
from dualtap.wire import VERSION, DoneMessage, Hello, RefuseMessage, Welcome


class OwnerEnd(End):
    """The owner's end, always the initiator: it carries out one wish."""

    def __init__(
        self,
        book: Book,
        wish: Wish,
        ephemeral: Ephemeral,
        expected: bytes = b"",
        handover: Handover = NO_HANDOVER,
    ) -> None:
        """``ephemeral`` is made for this session alone; ``expected`` is the wallet's key where it is known."""
        super().__init__(book, ephemeral, True, handover)
        self._wish, self._expected = wish, expected
        self._hello: Hello | None = None
        self._bind: Bind | None = None

    def _take(self, event: Event) -> None:
        match self.step_now, event:
            case Step.READY, Begin():
                self._hello = Hello(self.book.scheme.hint, (VERSION,), self._ephemeral.public, self._want())
                self._effects.append(Send(wire.encode_hello(self._hello)))
                self.step_now = Step.AWAIT_WELCOME
            case Step.AWAIT_WELCOME, Received(frame):
                self._welcome(wire.decode_welcome(frame, self.book.profile.message))
            case Step.SIGN_CLAIM, Signature():
                self._claim(event)
            case Step.SIGN_WORD, Signature():
                self._worded(event)
            case ((Step.AWAIT_ANSWER | Step.AWAIT_DONE), Received(frame)):
                self._heard(self._hear(frame))
            case ((Step.READY | Step.SIGN_CLAIM | Step.SIGN_WORD), Received()):
                raise TapError(Code.UNEXPECTED_MESSAGE, f"a frame in state {self.step_now.value}")
            case _:
                raise TapError(Code.BAD_INPUT, f"not in state {self.step_now.value}")

    def _welcome(self, welcome: Welcome) -> None:
        assert self._hello is not None
        check_welcome(welcome, self._hello.want)
        self._meet(self._hello, welcome)
        self._sign(self._present(), Step.SIGN_CLAIM)

    def _claim(self, event: Signature) -> None:
        word, book, wish = self._word(event), self.book, self._wish
        lines = wish.lines if isinstance(wish, Look) else 0
        epoch = book.trust.epoch
        self._say(
            ClaimMessage(
                isinstance(wish, Bond), min(lines, LINES), book.profile.message, epoch, word.signature,
                book.certificate, self._chain(),
            )
        )  # fmt: skip
        self.step_now = Step.AWAIT_ANSWER

    def _heard(self, message: OwnerMessage) -> None:
        match message:
            case RefuseMessage(code):
                raise _Said(decode_code(code))
            case BoundMessage() if self.step_now is Step.AWAIT_ANSWER and isinstance(self._wish, Bond):
                self._bound(message)
            case StateMessage() if self.step_now is Step.AWAIT_ANSWER and not isinstance(self._wish, Bond):
                self._shown(message)
            case DoneMessage() if self.step_now is Step.AWAIT_DONE:
                self._obeyed()
            case _:
                raise TapError(Code.UNEXPECTED_MESSAGE, type(message).__name__)

    def _fail(self, error: TapError, answer: bool) -> None:
        super()._fail(error, answer and not isinstance(error, _Said))

    def _check_expected(self) -> None:
        assert self.peer is not None
        if self._expected and self.peer.key != self._expected:
            raise TapError(Code.NOT_BOUND, "this is another wallet")

    def _bound(self, message: BoundMessage) -> None:
        """Believe the wallet's Bind of this session, and sign that it is this one's (SPEC §23-7)."""
        assert self._channel is not None
        if not message.number:
            raise TapError(Code.MALFORMED, "a binding without a number: they are counted from 1")
        book, key = self.book, message.certificate.key
        body = BindBody(book.key, self._channel.transcript, message.number, message.epoch)
        self._bind = signed(book.scheme.id, key, body, b"", message.signature)
        self._believe(message.certificate, message.authorities, self._bind)
        self._check_expected()
        own = OwnBody(key, self._channel.transcript, book.trust.epoch)
        self._sign(signed(book.scheme.id, book.key, own), Step.SIGN_WORD)

    def _shown(self, message: StateMessage) -> None:
        """Take what the wallet says of itself, once it has proved its key; then order what is wished."""
        self._believe(
            message.certificate,
            message.authorities,
            self._theirs(message.epoch, message.certificate, message.signature),
        )
        self._check_expected()
        self._state = message
        self._heal_release(message)
        if isinstance(self._wish, Restrain | Release):
            self._order(self._wish, message)
            return
        self._say(DoneMessage())
        self._end()

    def _heal_release(self, state: StateMessage) -> None:
        """Own no more what this wallet gave up and the other end says is over: its Done was lost (SPEC §23-20)."""
        assert self.peer is not None
        ties, key = self.book.ties, self.peer.key
        tied = ties.owned.get(key)
        over = tied is not None and tied.number != state.bind and not isinstance(self._wish, Release)
        if over and ties.gave_up(key):
            self._persist(Tied(key, 0, None, None))

    def _order(self, wish: Restrain | Release, state: StateMessage) -> None:
        assert self.peer is not None
        book, key = self.book, self.peer.key
        tied = book.ties.owned.get(key)
        if tied is not None and tied.number != state.bind and isinstance(wish, Release):
            self._obeyed()  # it was told before, and the answer was lost
            return
        if tied is None or tied.number != state.bind:
            raise TapError(Code.NOT_BOUND)
        self._sign(order_of(book, key, wish), Step.SIGN_WORD)

    def _worded(self, event: Signature) -> None:
        """What is signed is durable before it is sent: it goes to the issuer also if this session is torn."""
        word = self._word(event)
        match word.body:
            case OwnBody(wallet):
                assert self._bind is not None
                tied = Tied(wallet, self._bind.body.number, self._bind, _as(word, OwnBody))
                self._persist(tied)
                self._say(DoneMessage())
                self._end()
            case OrderBody() as body:
                self._persist(Ordered(_as(word, OrderBody)))
                self._say(
                    OrderMessage(
                        body.bind, body.number, body.errand, body.frozen, body.payment, body.day, body.epoch,
                        word.signature,
                    )
                )  # fmt: skip
                self.step_now = Step.AWAIT_DONE
            case _:
                raise TapError(Code.BAD_INPUT, "a signature of something else")

    def _obeyed(self) -> None:
        assert self.peer is not None
        if isinstance(self._wish, Release):
            self._persist(Tied(self.peer.key, 0, None, None))
        self._say(DoneMessage())
        self._end()


class _Said(TapError):
    """The peer refused: it needs no answer."""

    def __init__(self, code: Code | int) -> None:
        super().__init__(code, "said by the other device")


def _as(word: Signed[Body], kind: type[forms.B]) -> Signed[forms.B]:
    """Return a statement whose body is known to be of this kind."""
    assert isinstance(word.body, kind)
    return cast("Signed[forms.B]", word)


def order_of(book: Book, wallet: bytes, wish: Restrain | Release) -> Signed[OrderBody]:
    """Return an owner's order about a wallet that is bound to it, not yet signed; raise ``NOT_BOUND``."""
    tied = book.ties.owned.get(wallet)
    if tied is None:
        raise TapError(Code.NOT_BOUND)
    if isinstance(wish, Release):
        return errand_of(book, wallet, Errand.UNBIND)
    frozen, payment, day = book.ties.given_to(wallet)
    now = Restraint(
        frozen if wish.frozen is None else wish.frozen,
        payment if wish.payment is None else wish.payment,
        day if wish.day is None else wish.day,
    )
    return errand_of(book, wallet, Errand.RESTRAIN, now)


def errand_of(
    book: Book, wallet: bytes, errand: Errand, restraint: Restraint = FREE, amount: int = 0, to: bytes = b""
) -> Signed[OrderBody]:
    """Return an order by this wallet, not yet signed: about one that it owns, or itself; raise ``NOT_BOUND``."""
    tied = book.ties.owned.get(wallet)
    if tied is None and wallet != book.key:
        raise TapError(Code.NOT_BOUND)
    bind, number = tied.number if tied else 0, book.ties.next_number(wallet)
    body = OrderBody(wallet, bind, number, errand, *restraint, amount, to, book.trust.epoch)
    return signed(book.scheme.id, book.key, body)
