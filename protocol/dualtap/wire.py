"""The bytes of a tap's messages, and of the provenance in them (SPEC §5, §6).

The types below are wire forms; :mod:`dualtap.provenance` turns the compact ones back into statements, with what the
receiver knows.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final, NamedTuple, TypeAlias, TypeVar, cast

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
    signature_or_none,
    uint,
    unpack,
)
from dualtap.errors import Code, TapError
from dualtap.statements import (
    KIND,
    ON_TAPE,
    ZERO,
    Authority,
    AuthorityCertificate,
    BindBody,
    Body,
    Carrier,
    CloseBody,
    Condition,
    Errand,
    Grant,
    GrantBody,
    Header,
    Issued,
    Kind,
    Opening,
    OrderBody,
    OwnBody,
    Parent,
    Policy,
    PresentBody,
    Private,
    ReceiptBody,
    RequestBody,
    RequestOpening,
    Role,
    Side,
    Signed,
    Span,
    SuccessorBody,
    SyncBody,
    TapeOpening,
    Tier,
    Token,
    TransferBody,
    Verification,
    WalletCertificate,
    Warrant,
    statement_id,
)
from dualtap.suite import sha256

VERSION: Final = 1
B = TypeVar("B", bound=Body)


# Tokens, certificates and policy: their signed fields, then the issuer's hint and its signature.

_condition = record(Condition, number, any_blob)
_tier = record(Tier, number, money, number, number, money, money, money, money, money)

_ISSUED: dict[type[Issued], Check[Issued]] = {
    Token: record(
        Token, blob(8), uint(limits.AMOUNT, 1), currency, public_key, epoch, epoch, uint(255),
        list_of(_condition), hint, signature,
    ),
    AuthorityCertificate: record(
        AuthorityCertificate, public_key, enumeration(Authority), number, number, epoch, hint, signature
    ),
    WalletCertificate: record(
        WalletCertificate, public_key, enumeration(Carrier), uint(255), enumeration(Role), uint(9999),
        digest_or_none, epoch, number, hint, signature,
    ),
    Header: record(Header, epoch, number, hint, signature),
    Policy: record(Policy, number, list_of(_tier), list_of(public_key), list_of(hint), hint, signature),
}  # fmt: skip
I = TypeVar("I", bound=Issued)


def issued_check(kind: type[I]) -> Check[I]:
    """Return the check that reads one kind of token, certificate, header or policy."""
    return cast("Check[I]", _ISSUED[cast("type[Issued]", kind)])


_authority = issued_check(AuthorityCertificate)
_wallet = issued_check(WalletCertificate)
_header = issued_check(Header)
_token = issued_check(Token)


def public_digest(fields: tuple[object, ...]) -> bytes:
    """Return H(public): the digest of the fields that everybody sees."""
    return sha256(pack(fields))


def signed(scheme: bytes, key: bytes, body: B, opening: Opening | bytes = b"", signature: bytes = b"") -> Signed[B]:
    """Return a wallet's statement with its id. ``opening`` is an opening, a commitment, or empty off the tape."""
    commitment = ZERO
    shown: Opening | None = None
    place: TapeOpening | None = None
    if isinstance(opening, Opening):
        shown, place = opening, opening.tape()
        commitment = place.commitment()
    elif opening:
        commitment = opening
    public = sha256(pack(body))
    named = statement_id(scheme, KIND[type(body)], key, public, commitment)
    return Signed(named, key, body, public, commitment, signature, shown, place)


# The whole form of a wallet's statement: in a store, a sync, a ledger and in evidence.

parent = record(Parent, digest, enumeration(Side), uint(limits.SPANS - 1))
_span = record(Span, parent, money, money)
_request_body = record(
    RequestBody, digest, boolean, money, currency, basket, uint(255), details, uint(255),
    uint(255), uint(limits.MESSAGE), enumeration(Verification), epoch,
)  # fmt: skip
_grant_fields = (digest, blob(0, 32, 33), uint(9999), money, blob(0, 16), epoch, epoch)
_BODY: dict[Kind, Check[Body]] = {
    Kind.REQUEST: _request_body,
    Kind.PRESENT: record(PresentBody, digest, boolean, epoch),
    Kind.SYNC: record(SyncBody, digest, digest, epoch),
    Kind.SUCCESSOR: record(SuccessorBody, public_key, epoch),
    Kind.GRANT: record(GrantBody, *_grant_fields),
    Kind.BIND: record(BindBody, public_key, digest, counter, epoch),
    Kind.OWN: record(OwnBody, public_key, digest, epoch),
    Kind.ORDER: record(
        OrderBody,
        public_key,
        counter,
        counter,
        enumeration(Errand),
        boolean,
        money,
        money,
        money,
        blob(0, 32, 33),
        epoch,
    ),
    Kind.TRANSFER: record(
        TransferBody, public_key, list_of(_span, limits.SPANS, 1), epoch, list_of(any_blob, limits.SPANS)
    ),
    Kind.RECEIPT: record(ReceiptBody, digest, digest, epoch),
    Kind.CLOSE: record(CloseBody, digest, number, epoch),
}
_private = record(Private, enumeration(Verification), digest_or_none)
_opening = record(Opening, seed, counter, counter, _private, digest_or_none)
_tape_opening = record(TapeOpening, digest, counter, counter, digest, digest)
_request_opening = record(RequestOpening, digest, digest, digest)


def statement_fields(statement: Signed[Body]) -> tuple[object, ...]:
    """Return the whole form of a statement: kind, key, body, opening or commitment, signature."""
    shown = statement.opening or statement.commitment
    return (KIND[type(statement.body)], statement.key, statement.body, shown, statement.signature)


_kind = enumeration(Kind)


def statement_check(scheme: bytes, *, identified: bool = True) -> Check[Signed[Body]]:
    """Return the check that reads a statement in its whole form. It does not verify the signature.

    Unless ``identified``, only its form is checked: its id and digests, which are not in its bytes, are left zero. On a
    card they cost more than a signature.
    """

    def check(value: object) -> Signed[Body]:
        if type(value) is not list or len(cast("list[object]", value)) != 5:
            raise malformed("not a statement")
        kind, key, body, shown, signature = cast("list[object]", value)
        opening = digest(shown) if type(shown) is bytes else _opening(shown)
        named = _kind(kind)
        if named not in _BODY:
            raise malformed("not a wallet's statement")
        if named not in ON_TAPE and opening != ZERO:
            raise malformed("off the tape, nothing is committed to")
        checked = public_key(key), _BODY[named](body), opening, signature_or_none(signature)
        if not identified:
            return Signed(ZERO, checked[0], checked[1], ZERO, ZERO, checked[3])
        return signed(scheme, *checked)

    return check


def statement_of(scheme: bytes, *bodies: type[B]) -> Check[Signed[B]]:
    """Return the check that reads a statement in its whole form, of one of these bodies."""
    statement = statement_check(scheme)

    def check(value: object) -> Signed[B]:
        found = statement(value)
        if not isinstance(found.body, bodies):
            raise malformed("another statement")
        return cast("Signed[B]", found)

    return check


def warrant_fields(warrant: Warrant) -> tuple[object, ...]:
    """Return the whole form of a warrant."""
    return (warrant.opening, statement_fields(warrant.outcome))


def warrant_check(scheme: bytes) -> Check[Warrant]:
    """Return the check that reads a warrant in its whole form."""
    statement = statement_check(scheme)

    def outcome(value: object) -> Signed[Body]:
        found = statement(value)
        if not isinstance(found.body, ReceiptBody | CloseBody):
            raise malformed("not an outcome")
        return found

    return record(Warrant, _request_opening, outcome)


def warrants_check(scheme: bytes) -> Check[tuple[bytes, Warrant]]:
    """Return the check that reads a dead transfer's id and its warrant."""

    def pair(transfer: bytes, warrant: Warrant) -> tuple[bytes, Warrant]:
        return transfer, warrant

    return record(pair, digest, warrant_check(scheme))


# What a transfer's witness may hold, besides any bytes: a wallet's certificate, and a Grant.


def encode_certificate(certificate: WalletCertificate) -> bytes:
    """Return a certificate as a witness."""
    return pack(certificate)


def decode_certificate(data: bytes) -> WalletCertificate:
    """Return the certificate in a witness; raise ``MALFORMED``, ``NOT_CANONICAL`` or ``TOO_LARGE``."""
    return _wallet(unpack(data, limits.WITNESS))


def _grant_parts(*fields: object) -> tuple[GrantBody, bytes]:
    return GrantBody._make(cast("tuple[bytes, bytes, int, int, bytes, int, int]", fields[:-1])), cast(
        "bytes", fields[-1]
    )


_signed_grant = record(_grant_parts, *_grant_fields, signature)


def encode_grant(grant: Grant) -> bytes:
    """Return a signed Grant as a witness. Its signer's key is in the condition that asks for it."""
    return pack((*grant.body, grant.signature))


def decode_grant(scheme: bytes, key: bytes, data: bytes) -> Grant:
    """Return the Grant of this key in a witness, or raise as :func:`decode_certificate`. Verifies nothing."""
    body, word = _signed_grant(unpack(data, limits.WITNESS))
    return signed(scheme, key, body, b"", word)


# Compact provenance: what a receiver cannot derive. References are indices into the same bundle.


class CompactWarrant(NamedTuple):
    """A dead transfer's opened request and that request's other outcome (``transfer`` empty for a Close)."""

    place: bytes
    salt: bytes
    request: bytes
    transfer: bytes
    reason: int
    epoch: int
    commitment: bytes
    signature: bytes


CompactSpan: TypeAlias = tuple[int, ...]
"""(token, start, end), or (transfer, side, span, start, end)."""


class CompactTransfer(NamedTuple):
    """An earlier hand: payer's certificate, payee's (or its bare key), spans, and a commitment or warrant."""

    payer: int
    payee: int | bytes
    spans: tuple[CompactSpan, ...]
    epoch: int
    witness: tuple[bytes, ...]
    proof: bytes | CompactWarrant
    signature: bytes


class CompactToken(NamedTuple):
    """A token whose owner is a certificate of the bundle."""

    serial: bytes
    amount: int
    currency: str
    owner: int
    spend_by: int
    claim_by: int
    hops: int
    conditions: tuple[Condition, ...]
    issuer: bytes
    signature: bytes


class Bundle(NamedTuple):
    """Provenance, ancestors first. The payer's own certificate is the first."""

    certificates: tuple[WalletCertificate, ...]
    tokens: tuple[CompactToken, ...]
    transfers: tuple[CompactTransfer, ...]


_index = uint(limits.STATEMENTS - 1)


def _compact_warrant(value: object) -> CompactWarrant:
    found = _warrant_fields(value)
    if found.transfer and found.reason:
        raise malformed("a Receipt gives no reason")
    return found


_warrant_fields = record(CompactWarrant, digest, digest, digest, digest_or_none, number, epoch, digest, signature)


def _compact_span(value: object) -> CompactSpan:
    if type(value) is not list or len(cast("list[object]", value)) not in (3, 5):
        raise malformed("not a span")
    items = cast("list[object]", value)
    ref, *side, start, end = items
    if not side:
        return (_index(ref), money(start), money(end))
    return (_index(ref), uint(2, 1)(side[0]), uint(limits.SPANS - 1)(side[1]), money(start), money(end))


_spans = list_of(_compact_span, limits.SPANS, 1)
_witness = list_of(any_blob, limits.SPANS)
_compact_transfer = record(
    CompactTransfer,
    _index,
    lambda value: public_key(value) if type(value) is bytes else _index(value),
    _spans,
    epoch,
    _witness,
    lambda value: digest(value) if type(value) is bytes else _compact_warrant(value),
    signature,
)
_compact_token = record(
    CompactToken, blob(8), uint(limits.AMOUNT, 1), currency, _index, epoch, epoch, uint(255),
    list_of(_condition), hint, signature,
)  # fmt: skip
_bundle = record(Bundle, list_of(_wallet, least=1), list_of(_compact_token, least=1), list_of(_compact_transfer))


# Messages. Hello and Welcome are in the clear; the others are sealed.


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
_authorities = list_of(_authority, 8)
_news = uint(0xFFFF)
_hello = record(Hello, hint, list_of(uint(255), 8, 1), public_key, enumeration(Want))
_welcome = record(Welcome, uint(255), public_key, enumeration(Want), any_blob)


def _outcome_kind(value: object) -> Kind:
    return Kind(uint(Kind.CLOSE, Kind.RECEIPT)(value))


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
        uint(limits.MESSAGE), enumeration(Verification), epoch, signature, _wallet, _authorities, _news,
    ),
    PresentMessage: record(PresentMessage, boolean, epoch, signature, _wallet, _authorities, _news),
    TransferMessage: record(
        TransferMessage, digest_or_none, _spans, epoch, _witness, seed, counter, counter,
        enumeration(Verification), digest_or_none, signature, _bundle, maybe(_header), _authorities, boolean,
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
