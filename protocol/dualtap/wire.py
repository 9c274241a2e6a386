"""The bytes of a tap's messages (SPEC §5.2, §6). Hello and Welcome are in the clear; the others are sealed."""

from __future__ import annotations

from enum import IntFlag
from typing import Final, NamedTuple, TypeAlias

from dualtap import limits
from dualtap.codec import (
    Check,
    any_blob,
    basket,
    blob,
    boolean,
    counter,
    currency,
    details,
    digest,
    digest_or_none,
    enumeration,
    epoch,
    hint,
    list_of,
    malformed,
    maybe,
    money,
    number,
    numbered,
    pack,
    public_key,
    record,
    seed,
    signature,
    uint,
)
from dualtap.compact import Bundle, CompactSpan, bundle_form, spans_form, witness_form
from dualtap.errors import Code, TapError
from dualtap.forms import issued_check
from dualtap.issued import AuthorityCertificate, Header, WalletCertificate
from dualtap.statements import Kind, Verification

VERSION: Final = 1


class Want(IntFlag):
    """What the initiator is here for, and whether a side lacks authorities' certificates."""

    COLLECT = 1
    PAY = 2
    SYNC = 4
    AUTHORITIES = 8
    OWN = 16


class Hello(NamedTuple):
    """The initiator's first frame."""

    scheme: bytes
    versions: tuple[int, ...]
    ephemeral: bytes
    want: Want


class Welcome(NamedTuple):
    """The responder's answer. ``sealed`` is its first sealed message if it collects, else empty."""

    version: int
    ephemeral: bytes
    want: Want
    sealed: bytes


class RequestMessage(NamedTuple):
    """A Request; session and role are derived. ``prove`` asks the payer for its Present first."""

    prove: bool
    amount: int
    currency: str
    basket: bytes
    part: int
    details: bytes
    hops: int
    spans: int
    size: int
    verification: Verification
    epoch: int
    signature: bytes
    certificate: WalletCertificate
    authorities: tuple[AuthorityCertificate, ...]
    news: int = 0


class PresentMessage(NamedTuple):
    """A Present; session and role are derived. ``prove`` asks the payer for its Present too."""

    prove: bool
    epoch: int
    signature: bytes
    certificate: WalletCertificate
    authorities: tuple[AuthorityCertificate, ...]
    news: int = 0


class TransferMessage(NamedTuple):
    """A Transfer and its provenance. ``request`` is empty if it answers this session's, else this is a Resume."""

    request: bytes
    spans: tuple[CompactSpan, ...]
    epoch: int
    witness: tuple[bytes, ...]
    seed: bytes
    prev: int
    ctr: int
    verification: Verification
    refund_of: bytes
    signature: bytes
    bundle: Bundle
    header: Header | None
    authorities: tuple[AuthorityCertificate, ...]
    news: bool = False


class OutcomeMessage(NamedTuple):
    """A Receipt or Close of the transfer just shown; ``transfer`` is set if a Receipt is for another one."""

    kind: Kind
    transfer: bytes
    reason: int
    epoch: int
    seed: bytes
    prev: int
    ctr: int
    signature: bytes
    header: Header | None


class ProceedMessage(NamedTuple):
    """Nothing more is pending to you: go on."""


class RefuseMessage(NamedTuple):
    """No transfer will follow, and why: an error code."""

    code: int


class DoneMessage(NamedTuple):
    """Nothing more to say."""


class RecallMessage(NamedTuple):
    """Did you hold one of these keys (SPEC §20.1)? A digest each; if not, go on."""

    digests: tuple[bytes, ...]


class PingMessage(NamedTuple):
    """Answer at once: how near are you (SPEC §24)?"""

    nonce: bytes


class PongMessage(NamedTuple):
    """The nonce of the Ping, given back."""

    nonce: bytes


class NewsHave(NamedTuple):
    """What its sender knows (SPEC §21): policy version, hints of blocked keys; most bytes in all, and in a frame."""

    policy: int
    blocked: tuple[bytes, ...]
    room: int
    size: int


class NewsPiece(NamedTuple):
    """A piece of what is handed; ``left`` bytes follow it."""

    left: int
    data: bytes


Message: TypeAlias = (
    RequestMessage
    | PresentMessage
    | TransferMessage
    | OutcomeMessage
    | ProceedMessage
    | RefuseMessage
    | DoneMessage
    | RecallMessage
    | NewsHave
    | NewsPiece
    | PingMessage
    | PongMessage
)

_HELLO, _WELCOME = 1, 2
_NUMBER: dict[type[Message], int] = {
    RequestMessage: 3,
    PresentMessage: 4,
    TransferMessage: 5,
    OutcomeMessage: 6,
    ProceedMessage: 7,
    RefuseMessage: 8,
    DoneMessage: 9,
    RecallMessage: 13,
    NewsHave: 14,
    NewsPiece: 15,
    PingMessage: 24,
    PongMessage: 25,
}
_certificate = issued_check(WalletCertificate)
_authorities = list_of(issued_check(AuthorityCertificate), 8)
_header = issued_check(Header)
_news = uint(0xFFFF)
_hello = record(Hello, hint, list_of(uint(255), 8, 1), public_key, enumeration(Want))
_welcome = record(Welcome, uint(255), public_key, enumeration(Want), any_blob)


_outcome_number = uint(Kind.CLOSE, Kind.RECEIPT)


def _outcome_kind(value: object) -> Kind:
    return Kind(_outcome_number(value))


def _outcome_message(value: object) -> OutcomeMessage:
    found = _outcome_fields(value)
    if found.reason if found.kind is Kind.RECEIPT else found.transfer:
        raise malformed("a Receipt gives no reason, and a Close accepts no transfer")
    return found


_outcome_fields = record(
    OutcomeMessage, _outcome_kind, digest_or_none, number, epoch, seed, counter, counter, signature, maybe(_header)
)
_MESSAGE: dict[type[Message], Check[Message]] = {
    RequestMessage: record(
        RequestMessage, boolean, money, currency, basket, uint(255), details, uint(255), uint(255),
        uint(limits.MESSAGE), enumeration(Verification), epoch, signature, _certificate, _authorities, _news,
    ),
    PresentMessage: record(PresentMessage, boolean, epoch, signature, _certificate, _authorities, _news),
    TransferMessage: record(
        TransferMessage, digest_or_none, spans_form, epoch, witness_form, seed, counter, counter,
        enumeration(Verification), digest_or_none, signature, bundle_form, maybe(_header), _authorities, boolean,
    ),
    OutcomeMessage: _outcome_message,
    ProceedMessage: record(ProceedMessage),
    RefuseMessage: record(RefuseMessage, number),
    DoneMessage: record(DoneMessage),
    RecallMessage: record(RecallMessage, list_of(digest, limits.RECALLS, 1)),
    NewsHave: record(NewsHave, number, list_of(hint), uint(limits.MESSAGE), uint(limits.MESSAGE)),
    NewsPiece: record(NewsPiece, number, any_blob),
    PingMessage: record(PingMessage, blob(8)),
    PongMessage: record(PongMessage, blob(8)),
}  # fmt: skip
_CHECK = {_NUMBER[kind]: check for kind, check in _MESSAGE.items()}


def encode(message: Message) -> bytes:
    """Return a message's bytes, to be sealed."""
    return pack((_NUMBER[type(message)], *message))


def decode(data: bytes, limit: int = limits.MESSAGE) -> Message:
    """Return the message in opened bytes; raise ``UNKNOWN_MESSAGE`` or what :func:`unpack` raises."""
    number, fields = numbered(data, limit)
    check = _CHECK.get(number)
    if check is None:
        raise TapError(Code.UNKNOWN_MESSAGE, f"number {number}")
    return check(fields)


def encode_hello(hello: Hello) -> bytes:
    """Return the first frame's bytes."""
    return pack((_HELLO, *hello))


def encode_welcome(welcome: Welcome) -> bytes:
    """Return the second frame's bytes."""
    return pack((_WELCOME, *welcome))


def decode_hello(data: bytes) -> Hello:
    """Return the Hello in a frame, or raise."""
    number, fields = numbered(data, 128)
    if number != _HELLO:
        raise TapError(Code.UNEXPECTED_MESSAGE, "not a Hello")
    return _hello(fields)


def decode_welcome(data: bytes, limit: int = limits.MESSAGE) -> Welcome:
    """Return the Welcome in a frame, or raise."""
    number, fields = numbered(data, limit)
    if number != _WELCOME:
        raise TapError(Code.UNEXPECTED_MESSAGE, "not a Welcome")
    return _welcome(fields)
