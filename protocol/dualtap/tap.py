"""One tap (SPEC §11): a machine that turns events into effects, for either part and either end of the link.

What a part does on a transition is in :mod:`dualtap.payee` and :mod:`dualtap.payer`. This file knows only how to
get from an event to its transition.
"""

from __future__ import annotations

from typing import TypeAlias

from dualtap import limits, payee, payer, wire
from dualtap.book import Book
from dualtap.context import Context, Order
from dualtap.errors import TABLE as ERRORS
from dualtap.errors import Code, Fault, TapError
from dualtap.events import Begin, Consent, Decline, Effect, Event, Received, Signature, Stop
from dualtap.session import NO_HANDOVER, Handover
from dualtap.states import TABLE, TELLING, On, Part, State, refusal
from dualtap.suite import Drbg, Ephemeral
from dualtap.wire import (
    DoneMessage,
    Hello,
    Message,
    NewsHave,
    NewsPiece,
    OutcomeMessage,
    PingMessage,
    PongMessage,
    PresentMessage,
    ProceedMessage,
    RecallMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    Welcome,
)

Payload: TypeAlias = Hello | Welcome | Message | Begin | Signature | Consent | Decline | Stop

_ON: dict[type[Payload], On] = {
    Hello: On.HELLO,
    Welcome: On.WELCOME,
    RequestMessage: On.REQUEST,
    PresentMessage: On.PRESENT,
    TransferMessage: On.TRANSFER,
    OutcomeMessage: On.OUTCOME,
    ProceedMessage: On.PROCEED,
    RefuseMessage: On.REFUSE,
    DoneMessage: On.DONE,
    RecallMessage: On.RECALL,
    NewsHave: On.HAVE,
    NewsPiece: On.PIECE,
    PingMessage: On.PING,
    PongMessage: On.PONG,
    Begin: On.BEGIN,
    Signature: On.SIGNED,
    Consent: On.CONSENT,
    Decline: On.DECLINE,
    Stop: On.STOP,
}
ACTIONS = {Part.PAYEE: payee.ACTIONS, Part.PAYER: payer.ACTIONS}


class Tap:
    """One tap of one wallet. Feed it events with :meth:`step`; carry out the effects in order.

    ``ephemeral`` is a key pair made for this tap alone, ``random`` gives the
    seeds and skips of its tape and the ends that it cuts from: seeded with at least 32 fresh bytes.
    ``handover`` is what introduced the two devices to each other, if anything did: the same on both sides.
    ``retired`` are the wallets of this device's former keys, oldest first: they heal (SPEC §20.1).
    ``within`` is the longest round trip, in seconds, of an honest link of this kind (SPEC §24-3); without it a payer
    pays no more than its tier's ``untimed``. Without ``news``, this device takes no part in news (SPEC §21).
    """

    def __init__(
        self,
        book: Book,
        order: Order,
        initiator: bool,
        ephemeral: Ephemeral,
        random: Drbg,
        handover: Handover = NO_HANDOVER,
        within: float | None = None,
        retired: tuple[Book, ...] = (),
        *,
        news: bool = True,
    ) -> None:
        self._context = Context(book, order, initiator, ephemeral, random, handover, within, retired, news=news)
        self._began: float | None = None

    @property
    def part(self) -> Part:
        """Which part this device plays."""
        return self._context.part

    @property
    def state(self) -> State:
        """Where the tap stands."""
        return self._context.state

    @property
    def telling(self) -> bool:
        """Whether the payment is over and reported, and only news is exchanged (SPEC §21)."""
        return self._context.state in TELLING

    @property
    def ended(self) -> bool:
        """Whether the tap is over."""
        return self._context.state is State.ENDED

    @property
    def transcript(self) -> bytes:
        """The session's transcript hash (SPEC §6-2); empty before the channel stands."""
        return b"" if self._context.channel is None else self._context.channel.transcript

    @property
    def barred(self) -> bool:
        """Whether this payee asks for nothing, and heals only (SPEC §11.2-11)."""
        return self._context.barred is not None

    @property
    def joined(self) -> bool:
        """Whether the peer has shown that it shares the session: a sealed frame of its was opened."""
        return bool(self._context.raw)

    def step(self, event: Event, now: float = 0.0) -> tuple[Effect, ...]:
        """Take one event at ``now`` (seconds since 1970, or 0 without a clock) and return the effects.

        ``now`` does not run backwards within a tap, and tells milliseconds (SPEC §24-5).

        A peer's mistake ends the tap with a :class:`~dualtap.events.Report`; a caller's raises ``BAD_INPUT``, or
        ``ENDED`` after the end, and changes nothing.
        """
        context = self._context
        context.now, context.effects = now, []
        if self.ended:
            raise TapError(Code.ENDED)
        if self._began is None:
            self._began = now
        elif self._late(now) and not isinstance(event, Signature):
            event = Stop(Code.TIMEOUT)  # what the keystore has signed counts, however late
        try:
            self._dispatch(self._decode(event.frame) if isinstance(event, Received) else event)
        except TapError as error:
            if error.code is Code.BAD_INPUT:
                raise
            self._fail(error, answer=not isinstance(event, Stop))
        return tuple(context.effects)

    def _late(self, now: float) -> bool:
        """Return whether the tap, or its news, has taken too long (SPEC §6-15 and §21-4)."""
        assert self._began is not None
        telling = self.telling and now - self._context.news_began > limits.NEWS_SECONDS
        return telling or now - self._began > limits.SESSION_SECONDS

    def _dispatch(self, payload: Payload) -> None:
        """Make the transition that the table names, or raise the cell's refusal."""
        context = self._context
        on = _ON[type(payload)]
        if isinstance(payload, TransferMessage) and payload.request:
            on = On.RESUME
        move = TABLE.get((context.part, context.state, on))
        if move is None:
            raise TapError(refusal(context.state, on), f"{on.value} in state {context.state.value}")
        ACTIONS[context.part][move.name](context, payload)
        if context.state not in move.to:
            raise AssertionError(f"{move.name} led to {context.state}, which the table does not list")
        if isinstance(payload, Welcome) and payload.sealed:
            self._dispatch(self._decode(payload.sealed))

    def _decode(self, frame: bytes) -> Payload:
        context = self._context
        most = context.book.profile.message
        if context.channel is not None:
            if len(frame) > most:
                raise TapError(Code.TOO_LARGE, f"{len(frame)} bytes, at most {most}")
            context.raw = context.channel.open(frame)
            return wire.decode(context.raw, most)
        if context.state is State.AWAIT_WELCOME:
            return wire.decode_welcome(frame, most)
        return wire.decode_hello(frame)

    def _fail(self, error: TapError, answer: bool) -> None:
        """End the tap; tell the peer why if it is our turn to speak and the peer can hear it."""
        context = self._context
        link = isinstance(error.code, Code) and ERRORS[error.code].fault is Fault.LINK
        if answer and context.channel is not None and not link and error.code is not Code.BAD_SEAL:
            context.send(RefuseMessage(int(error.code)))
        context.end(error.code, error.detail)
