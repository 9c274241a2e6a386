"""The peer that the tester plays: one tap, as initiator, in which anything may be said.

It keeps the session's keys as SPEC §6 asks, so that what it says is wrong only where a check wants it to be.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

from dualtap.errors import Code, TapError, decode_code
from dualtap.session import Channel, establish
from dualtap.statements import Scheme
from dualtap.suite import Ephemeral
from dualtap.wire import (
    VERSION,
    Hello,
    Message,
    PingMessage,
    PongMessage,
    ProceedMessage,
    RecallMessage,
    RefuseMessage,
    TransferMessage,
    Want,
    Welcome,
    decode,
    decode_welcome,
    encode,
    encode_hello,
    encode_welcome,
)
from dualtap_transports.handover import handover_of
from dualtap_transports.link import Link

M = TypeVar("M", bound=Message)


class Failure(Exception):
    """A device did otherwise than SPEC says. Without a clause, the first of the check that was made."""

    def __init__(self, expected: str, got: str, clause: str = "") -> None:
        super().__init__(expected, got, clause)
        self.expected, self.got, self.clause = expected, got, clause


class NotHereError(Exception):
    """This check says nothing about this device, and why."""


def must(holds: bool, clause: str, expected: str, got: object) -> None:
    """Raise :class:`Failure` unless something holds."""
    if not holds:
        raise Failure(expected, str(got), clause)


def code_name(number: int) -> str:
    """Return the name of an error code, or its number."""
    code = decode_code(number)
    return code.name if isinstance(code, Code) else str(code)


def named(message: Message) -> str:
    """Return what a message is, in a few words."""
    match message:
        case RefuseMessage(code):
            return f"Refuse {code_name(code)}"
        case TransferMessage() if message.request:
            return "a Resume"
        case _:
            return f"a {type(message).__name__.removesuffix('Message')}"


class Puppet:
    """One tap. ``patience`` and ``quiet`` are seconds to wait: for an answer, and where none should come."""

    def __init__(
        self, scheme: Scheme, link: Link, ephemeral: Ephemeral, want: Want, patience: float, quiet: float
    ) -> None:
        self.scheme, self.link, self.ephemeral, self.want = scheme, link, ephemeral, want
        self.patience, self.quiet = patience, quiet
        self.channel: Channel | None = None
        self.hears: Callable[[Message], None] = lambda _: None
        """Is told of each message that is heard."""
        self.greeted = False
        """Whether a Hello was said to which a Welcome is due."""
        self.known: frozenset[bytes] | None = None
        """The requests of the payee that the tester plays, if it does: only these may be shown to it."""
        self.pongs = True
        """Whether Pings are answered by themselves, as an honest payee does."""
        self.first: bytes = b""
        """The sealed message of the Welcome, not opened yet."""

    def __enter__(self) -> Puppet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.link.close()

    # Frames

    def send(self, frame: bytes) -> None:
        """Send a frame. A device that has gone is found out when it does not answer."""
        try:
            self.link.send(frame)
        except TapError as error:
            if error.code is not Code.LINK_LOST:
                raise

    def receive(self, expected: str, clause: str = "") -> bytes:
        """Return the next frame; raise :class:`Failure` if none comes."""
        try:
            return self.link.receive(self.patience)
        except TapError as error:
            raise Failure(expected, _ended(error, self.patience), clause) from None

    def silence(self, clause: str, why: str) -> None:
        """Raise :class:`Failure` if the device says anything more."""
        try:
            frame = self.link.receive(self.quiet)
        except TapError as error:
            if error.code in {Code.LINK_LOST, Code.TIMEOUT}:
                return
            raise Failure(f"silence, for {why}", str(error), clause) from None
        raise Failure(f"silence, for {why}", self._meant(frame), clause)

    def _meant(self, frame: bytes) -> str:
        """Return what a frame that should not be there is, as far as it can be told."""
        if self.channel is not None:
            try:
                return named(decode(self.channel.open(frame)))
            except TapError:
                return f"a frame of {len(frame)} bytes"
        try:
            decode_welcome(frame)
        except TapError:
            return f"a frame of {len(frame)} bytes"
        return "a Welcome"

    # The handshake

    def hello(self, **changes: Any) -> Hello:
        """Return a Hello, with some of its fields changed."""
        hello = Hello(self.scheme.hint, (VERSION,), self.ephemeral.public, self.want)
        return hello._replace(**changes) if changes else hello

    def greet(self, hello: Hello | None = None) -> Welcome:
        """Say Hello, take the Welcome, and derive the channel."""
        hello = hello or self.hello()
        self.greeted = True
        self.send(encode_hello(hello))
        frame = self.receive("a Welcome", "6-1")
        try:
            welcome = decode_welcome(frame)
        except TapError as error:
            raise Failure("a Welcome", f"{len(frame)} bytes: {error}", "5.2-1") from None
        must(encode_welcome(welcome) == frame, "5.1-1", "a canonical Welcome", frame.hex())
        must(welcome.version == VERSION, "6-7", f"version {VERSION}", f"version {welcome.version}")
        try:
            self.channel = establish(self.scheme, self.ephemeral, True, hello, welcome, handover_of(self.link))
        except TapError as error:
            raise Failure("a valid ephemeral key", f"{welcome.ephemeral.hex()}: {error}", "6-4") from None
        self.first = welcome.sealed
        return welcome

    def established(self) -> Channel:
        """Return the channel."""
        return cast("Channel", self.channel)

    # Messages

    def say(self, message: Message) -> None:
        """Seal and send a message."""
        self.say_bytes(encode(message))

    def say_bytes(self, plaintext: bytes) -> None:
        """Seal and send bytes that may be no message."""
        self.send(self.established().seal(plaintext))

    def hear_any(self, expected: str = "an answer", clause: str = "") -> Message:
        """Return the device's next message that no Pong answers."""
        while True:
            message = self._next(expected, clause)
            if not (self.pongs and isinstance(message, PingMessage)):
                return message
            self.say(PongMessage(message.nonce))

    def _next(self, expected: str, clause: str) -> Message:
        """Return the device's next message."""
        if self.first:
            frame, self.first = self.first, b""
        else:
            frame = self.receive(expected, clause)
        try:
            plaintext = self.established().open(frame)
        except TapError:
            raise Failure("a frame sealed as §6-2 says", f"{len(frame)} bytes that do not open", "6-2") from None
        try:
            message = decode(plaintext)
        except TapError as error:
            raise Failure("a canonical message", f"{plaintext.hex()}: {error}", "5.1-1") from None
        self.hears(message)
        if self.known is not None and isinstance(message, TransferMessage) and message.request:
            must(message.request in self.known, "11.4-1", "nothing of what is in doubt to others", "a Resume of it")
        if isinstance(message, RecallMessage) and self.want & Want.COLLECT:
            # What other checks left in doubt: the tester's tills have had no other key (SPEC §20.1-4).
            self.say(ProceedMessage())
            return self.hear_any(expected, clause)
        return message

    def hear(self, kind: type[M], clause: str = "") -> M:
        """Return the device's next message, which must be of this kind."""
        expected = f"a {kind.__name__.removesuffix('Message')}"
        message = self.hear_any(expected, clause)
        if isinstance(message, RecallMessage) and kind is ProceedMessage:
            message = ProceedMessage()  # it stands for one where the keys are not known (SPEC §20.1-1)
        if not isinstance(message, kind):
            raise Failure(expected, named(message), clause)
        return message

    def hear_refusal(self, code: Code, clause: str, why: str) -> None:
        """Hear a Refuse with this code."""
        expected = f"Refuse {code.name}, for {why}"
        message = self.hear_any(expected, clause)
        if message != RefuseMessage(code):
            raise Failure(expected, named(message), clause)


def _ended(error: TapError, patience: float) -> str:
    if error.code is Code.LINK_LOST:
        return "the device closed the link"
    return f"nothing within {patience:g} s" if error.code is Code.TIMEOUT else str(error)
