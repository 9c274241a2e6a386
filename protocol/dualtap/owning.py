"""An owner's session (SPEC §23): a wallet and who owns it, or is to own it, in one sealed session.

The owner begins and proves its key first, so that a stranger learns nothing of the wallet. Two machines of their own,
events in and effects out, as in a tap: :class:`OwnerEnd` and :class:`WalletEnd`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from dualtap import limits
from dualtap.account import ENTRY_ROOM
from dualtap.book import Book
from dualtap.errors import TABLE as ERRORS
from dualtap.errors import Code, Fault, TapError
from dualtap.events import Event, Persist, Send, Sign, Signature, Stop
from dualtap.forms import signed
from dualtap.issued import AuthorityCertificate, WalletCertificate
from dualtap.ownermessages import (
    OwnerMessage,
    StateMessage,
    decode,
    encode,
)
from dualtap.records import News, Record
from dualtap.session import NO_HANDOVER, Channel, Handover, establish
from dualtap.statements import Body, PresentBody, Signed
from dualtap.suite import Ephemeral
from dualtap.wire import Hello, RefuseMessage, Want, Welcome


class Step(Enum):
    """Where either end stands."""

    READY = "ready"
    AWAIT_HELLO = "await hello"
    AWAIT_WELCOME = "await welcome"
    SIGN_CLAIM = "sign claim"
    AWAIT_CLAIM = "await claim"
    AWAIT_CONSENT = "await consent"
    SIGN_ANSWER = "sign answer"
    AWAIT_ANSWER = "await answer"
    SIGN_WORD = "sign word"
    AWAIT_ORDER = "await order"
    AWAIT_DONE = "await done"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class AskOwner:
    """Ask the person who has the wallet: to bind it to this key, or to show it; answer with a Consent or Decline."""

    bind: bool
    owner: WalletCertificate


@dataclass(frozen=True, slots=True)
class Told:
    """How the session ended: what the wallet said of itself, whose it is, and the error if there was one."""

    code: Code | int | None = None
    detail: str = ""
    peer: WalletCertificate | None = None
    state: StateMessage | None = None


OwnerEffect: TypeAlias = Persist | Sign | Send | AskOwner | Told


class Bond(NamedTuple):
    """Bind the wallet to this one."""


class Look(NamedTuple):
    """See what the wallet holds, and so many lines of its history."""

    lines: int = 10


class Restrain(NamedTuple):
    """Turn the wallet off or on, or set limits below its tier's; ``None`` leaves what was ordered last."""

    frozen: bool | None = None
    payment: int | None = None
    day: int | None = None


class Release(NamedTuple):
    """Unbind the wallet."""


Wish: TypeAlias = Bond | Look | Restrain | Release


class End:
    """What both ends do alike: a channel, proofs of this session, and how each ends."""

    def __init__(self, book: Book, ephemeral: Ephemeral, initiator: bool, handover: Handover = NO_HANDOVER) -> None:
        self.book = book
        self.step_now = Step.READY
        self.peer: WalletCertificate | None = None
        self._ephemeral, self._initiator, self._handover = ephemeral, initiator, handover
        self._channel: Channel | None = None
        self._began: float | None = None
        self._now = 0.0
        self._peer_lacks = False
        self._effects: list[OwnerEffect] = []
        self._signing: Signed[Body] | None = None
        self._state: StateMessage | None = None

    @property
    def ended(self) -> bool:
        """Whether the session is over."""
        return self.step_now is Step.ENDED

    def step(self, event: Event, now: float = 0.0) -> tuple[OwnerEffect, ...]:
        """Take one event at ``now`` (seconds since 1970, or 0 without a clock) and return the effects, to be carried
        out in order.

        A peer's mistake ends the session with :class:`Told`; a caller's raises ``BAD_INPUT``, or ``ENDED`` after the
        end, and changes nothing.
        """
        if self.ended:
            raise TapError(Code.ENDED)
        self._effects, self._now = [], now
        if self._began is None:
            self._began = now
        elif now - self._began > limits.SESSION_SECONDS and not isinstance(event, Signature):
            event = Stop(Code.TIMEOUT)
        try:
            if isinstance(event, Stop):
                raise TapError(event.code)
            self._take(event)
        except TapError as error:
            if error.code is Code.BAD_INPUT:
                raise
            self._fail(error, answer=not isinstance(event, Stop))
        return tuple(self._effects)

    def _take(self, event: Event) -> None:
        raise NotImplementedError

    def _fail(self, error: TapError, answer: bool) -> None:
        link = isinstance(error.code, Code) and ERRORS[error.code].fault is Fault.LINK
        if answer and self._channel is not None and not link and error.code is not Code.BAD_SEAL:
            self._say(RefuseMessage(int(error.code)))
        self._end(error.code, error.detail)

    def _end(self, code: Code | int | None = None, detail: str = "") -> None:
        self.step_now = Step.ENDED
        self._effects.append(Told(code, detail, self.peer, self._state))

    @property
    def _epoch(self) -> int:
        """The strictest date known (SPEC §7-12)."""
        return max(self.book.trust.epoch, int(self._now) // limits.EPOCH_SECONDS)

    def _want(self) -> Want:
        return Want.OWN | Want.AUTHORITIES if self.book.asks(self._epoch) else Want.OWN

    def _meet(self, hello: Hello, welcome: Welcome) -> Channel:
        self._channel = establish(self.book.scheme, self._ephemeral, self._initiator, hello, welcome, self._handover)
        self._peer_lacks = bool((welcome if self._initiator else hello).want & Want.AUTHORITIES)
        return self._channel

    def _say(self, message: OwnerMessage) -> None:
        assert self._channel is not None
        self._effects.append(Send(self._channel.seal(encode(message))))

    def _hear(self, frame: bytes) -> OwnerMessage:
        most = self.book.profile.message
        if len(frame) > most:
            raise TapError(Code.TOO_LARGE, f"{len(frame)} bytes, at most {most}")
        assert self._channel is not None
        return decode(self._channel.open(frame), most)

    def _persist(self, *records: Record) -> None:
        """Change the wallet by these, durably, in room that nothing is reserved for (SPEC §12-10)."""
        self.book.reserve(ENTRY_ROOM)
        encoded = self.book.encoded(records)
        for item in records:
            self.book.apply(item)
        self._effects.append(Persist(encoded))

    def _sign(self, statement: Signed[Body], then: Step) -> None:
        self._signing, self.step_now = statement, then
        self._effects.append(Sign(statement))

    def _word(self, event: Signature) -> Signed[Body]:
        assert self._signing is not None
        statement, self._signing = self._signing, None
        return statement.sealed(event.signature)

    def _present(self) -> Signed[Body]:
        assert self._channel is not None
        body = PresentBody(self._channel.transcript, self._initiator, self.book.trust.epoch)
        return signed(self.book.scheme.id, self.book.key, body)

    def _chain(self) -> tuple[AuthorityCertificate, ...]:
        return self.book.trust.chain(self.book.certificate) if self._peer_lacks else ()

    def _believe(
        self, certificate: WalletCertificate, authorities: tuple[AuthorityCertificate, ...], statement: Signed[Body]
    ) -> None:
        """Believe that the peer holds a certified key: it signed a statement of this session (SPEC §6-11)."""
        trust = self.book.trust
        if certificate.key == self.book.key:
            raise TapError(Code.SELF_PAYMENT, "a wallet cannot own itself")
        trial = trust.copy()
        new = trial.learn(authorities)
        trial.check_genuine(certificate)
        trial.verify_statement(statement)
        if new:  # a stranger, who proved nothing, leaves nothing behind (SPEC §23-3)
            self._persist(News(None, new, None, None))
        self.peer = certificate

    def _theirs(self, epoch: int, certificate: WalletCertificate, signature: bytes) -> Signed[Body]:
        assert self._channel is not None
        body = PresentBody(self._channel.transcript, not self._initiator, epoch)
        return signed(self.book.scheme.id, certificate.key, body, b"", signature)
