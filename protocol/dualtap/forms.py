"""What is signed, as bytes (SPEC §4.1, §5.5): the whole forms of tokens, certificates and wallets' statements.

A store, a sync, a ledger and evidence hold statements in their whole form; in a tap they are shorter
(:mod:`dualtap.wire`).
"""

from __future__ import annotations

from typing import TypeVar, cast

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
    money,
    number,
    pack,
    public_key,
    record,
    seed,
    signature,
    signature_or_none,
    uint,
    unpack,
)
from dualtap.issued import (
    Authority,
    AuthorityCertificate,
    Carrier,
    Condition,
    Header,
    Issued,
    Policy,
    Role,
    Tier,
    Token,
    WalletCertificate,
)
from dualtap.statements import (
    KIND,
    ON_TAPE,
    ZERO,
    BindBody,
    Body,
    CloseBody,
    Errand,
    Grant,
    GrantBody,
    Kind,
    Opening,
    OrderBody,
    OwnBody,
    Parent,
    PresentBody,
    Private,
    ReceiptBody,
    RequestBody,
    RequestOpening,
    Side,
    Signed,
    Span,
    SuccessorBody,
    SyncBody,
    TapeOpening,
    TapeStatement,
    TransferBody,
    Verification,
    Warrant,
    statement_id,
)
from dualtap.suite import sha256

B = TypeVar("B", bound=Body)


# Tokens, certificates and policy: their signed fields, then the issuer's hint and its signature.

condition = record(Condition, number, any_blob)
_tier = record(Tier, number, money, number, number, money, money, money, money, money)

_ISSUED: dict[type[Issued], Check[Issued]] = {
    Token: record(
        Token, blob(8), uint(limits.AMOUNT, 1), currency, public_key, epoch, epoch, uint(255),
        list_of(condition), hint, signature,
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
tape_opening = record(TapeOpening, digest, counter, counter, digest, digest)
request_opening = record(RequestOpening, digest, digest, digest)


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

    return record(Warrant, request_opening, outcome)


def warrants_check(scheme: bytes) -> Check[tuple[bytes, Warrant]]:
    """Return the check that reads a dead transfer's id and its warrant."""

    def pair(transfer: bytes, warrant: Warrant) -> tuple[bytes, Warrant]:
        return transfer, warrant

    return record(pair, digest, warrant_check(scheme))


def plain(value: object) -> object:
    """Return ``value`` with every statement and warrant in its whole wire form."""
    if isinstance(value, Signed):
        return statement_fields(cast("TapeStatement", value))
    if isinstance(value, Warrant):
        return warrant_fields(value)
    if isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        return tuple([item if type(item) in _PLAIN else plain(item) for item in items])
    return value


_PLAIN = frozenset({bytes, int, str, bool, type(None), Parent, *_ISSUED})
"""Types of most fields, which hold no statement: to look into each takes longer than to encode them all."""


# What a transfer's witness may hold, besides any bytes: a wallet's certificate, and a Grant.


def encode_certificate(certificate: WalletCertificate) -> bytes:
    """Return a certificate as a witness."""
    return pack(certificate)


def decode_certificate(data: bytes) -> WalletCertificate:
    """Return the certificate in a witness; raise ``MALFORMED``, ``NOT_CANONICAL`` or ``TOO_LARGE``."""
    return issued_check(WalletCertificate)(unpack(data, limits.WITNESS))


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
