"""What a ledger knows: facts, each under its digest, each with the epoch in which it was first seen.

A set of facts is all that names and credits depend on. Repeating a fact changes nothing; where two stamps meet,
the smaller stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple, cast

from dualtap import codec
from dualtap.codec import blob, counter, digest, enumeration, record
from dualtap.errors import Code, TapError
from dualtap.forms import issued_check, statement_check, statement_fields, statement_of
from dualtap.issued import AuthorityCertificate, Token, WalletCertificate
from dualtap.logcodec import BYTES, ITEMS
from dualtap.statements import (
    BindBody,
    Kind,
    Opening,
    OrderBody,
    Outcome,
    OwnBody,
    Private,
    RequestOpening,
    Scheme,
    Signed,
    TapeStatement,
    Transfer,
    TransferBody,
    Verification,
    Word,
)
from dualtap.suite import sha256
from dualtap.trust import Trust, issued_id
from dualtap_issuer.rows import HandRow


class FactKind(IntEnum):
    """What a fact is."""

    TOKEN = 1
    CERTIFICATE = 2
    STATEMENT = 3
    OPENING = 4
    ASKED = 5
    AUTHORITY = 6
    WORD = 7


class Fact(NamedTuple):
    """A fact as it is stored: its kind, its digest (32 bytes) and its canonical bytes."""

    kind: FactKind
    digest: bytes
    body: bytes


class OpeningOf(NamedTuple):
    """What a statement commits to."""

    statement: bytes
    opening: Opening


class AskedBy(NamedTuple):
    """The request that a commitment answers. It is stored also before any statement with that commitment is."""

    commitment: bytes
    opening: RequestOpening


FactValue = Token | WalletCertificate | TapeStatement | OpeningOf | AskedBy | AuthorityCertificate | Word


def opening_digest(statement: bytes) -> bytes:
    """Return the digest of the opening of the statement with this id: an id commits to one opening.

    It begins as the id does, so that both are near each other in a store's index, and is as hard to meet as a whole
    digest: half of it is the id's, half another digest of the id.
    """
    return statement[:16] + sha256(b"dualtap opening" + statement)[:16]


def asked_digest(commitment: bytes) -> bytes:
    """Return the digest of the request's opening of this commitment."""
    return sha256(b"dualtap asked" + commitment)


def token_fact(trust: Trust, token: Token) -> Fact:
    """Return a token as a fact; raise ``UNKNOWN_ISSUER``. Its signature is not checked, here or below."""
    return Fact(FactKind.TOKEN, trust.token_id(token), codec.pack(token))


def certificate_fact(trust: Trust, certificate: WalletCertificate) -> Fact:
    """Return a wallet's certificate as a fact; raise ``UNKNOWN_ISSUER``."""
    key = issued_id(trust.scheme, certificate, trust.issuer_key(certificate.issuer))
    return genuine_fact(key, certificate)


def genuine_fact(digest: bytes, certificate: WalletCertificate) -> Fact:
    """Return a wallet's certificate, whose digest is known, as a fact."""
    return Fact(FactKind.CERTIFICATE, digest, codec.pack(certificate))


def authority_fact(trust: Trust, certificate: AuthorityCertificate) -> Fact:
    """Return an authority's certificate as a fact; raise ``UNKNOWN_ISSUER``."""
    key = issued_id(trust.scheme, certificate, trust.issuer_key(certificate.issuer))
    return Fact(FactKind.AUTHORITY, key, codec.pack(certificate))


def statement_facts(statement: TapeStatement) -> list[Fact]:
    """Return a statement as facts: itself, closed; what it commits to, if it is open; the request it answers."""
    return [fact for fact, _ in statement_values(statement)]


def statement_values(statement: TapeStatement) -> list[tuple[Fact, FactValue]]:
    """Return the facts of :func:`statement_facts`, each with what it says."""
    kind, key, body, _, signature = statement_fields(statement)
    closed = codec.pack((kind, key, body, statement.commitment, signature))
    found: list[tuple[Fact, FactValue]] = [(Fact(FactKind.STATEMENT, statement.id, closed), statement)]
    opening = statement.opening
    if opening is not None:
        said = OpeningOf(statement.id, opening)
        found.append((Fact(FactKind.OPENING, opening_digest(statement.id), codec.pack(said)), said))
        if opening.request and isinstance(statement.body, TransferBody):
            found.append(_asked(AskedBy(statement.commitment, opening.answered())))
    return found


def asked_fact(opening: RequestOpening) -> Fact:
    """Return the opening of a request as a fact."""
    return asked_value(opening)[0]


def asked_value(opening: RequestOpening) -> tuple[Fact, AskedBy]:
    """Return the fact of :func:`asked_fact`, with what it says."""
    return _asked(AskedBy(opening.commitment(), opening))


def _asked(said: AskedBy) -> tuple[Fact, AskedBy]:
    return Fact(FactKind.ASKED, asked_digest(said.commitment), codec.pack(said)), said


def word_fact(word: Word) -> Fact:
    """Return what an owner, or its wallet, signed of their tie (SPEC §23) as a fact."""
    return Fact(FactKind.WORD, word.id, codec.pack(statement_fields(word)))


_opening: Final = record(
    Opening, blob(16), counter, counter, record(Private, enumeration(Verification), blob(0, 32)), blob(0, 32)
)
_opening_of: Final = record(OpeningOf, digest, _opening)
_asked_by: Final = record(AskedBy, digest, record(RequestOpening, digest, digest, digest))


@dataclass(slots=True)
class Facts:
    """A stamped set of facts, decoded. Openings are by statement, requests by commitment, stamps by digest."""

    scheme: Scheme
    tokens: dict[bytes, Token] = field(default_factory=dict[bytes, Token])
    certificates: dict[bytes, WalletCertificate] = field(default_factory=dict[bytes, WalletCertificate])
    authorities: dict[bytes, AuthorityCertificate] = field(default_factory=dict[bytes, AuthorityCertificate])
    transfers: dict[bytes, Transfer] = field(default_factory=dict[bytes, Transfer])
    outcomes: dict[bytes, Outcome] = field(default_factory=dict[bytes, Outcome])
    openings: dict[bytes, Opening] = field(default_factory=dict[bytes, Opening])
    asked: dict[bytes, RequestOpening] = field(default_factory=dict[bytes, RequestOpening])
    words: dict[bytes, Word] = field(default_factory=dict[bytes, Word])
    seen: dict[bytes, int] = field(default_factory=dict[bytes, int])

    def put(self, fact: Fact, epoch: int) -> None:
        """Take in a fact; raise ``LEDGER_CORRUPT`` if its bytes do not give its digest."""
        known = self.seen.get(fact.digest)
        if known is not None:
            self.seen[fact.digest] = min(known, epoch)
            return
        self.take(fact.digest, decode_fact(self.scheme, fact), epoch)

    def take(self, digest: bytes, value: FactValue, epoch: int) -> None:
        """Take in what a fact that is not here yet says."""
        self.seen[digest] = epoch
        match value:
            case Token():
                self.tokens[digest] = value
            case WalletCertificate():
                self.certificates[digest] = value
            case AuthorityCertificate():
                self.authorities[digest] = value
            case OpeningOf(statement, opening):
                self.openings[statement] = opening
            case AskedBy(commitment, opening):
                self.asked[commitment] = opening
            case Signed():
                if isinstance(value.body, BindBody | OwnBody | OrderBody):
                    self.words[value.id] = cast("Word", value)
                elif isinstance(value.body, TransferBody):
                    self.transfers[value.id] = cast("Transfer", value)
                else:
                    self.outcomes[value.id] = cast("Outcome", value)

    def statements(self) -> Iterator[TapeStatement]:
        """Yield every statement."""
        yield from self.transfers.values()
        yield from self.outcomes.values()

    def digest(self) -> bytes:
        """Return a digest of the stamped set: two ledgers that agree on it agree on everything."""
        rows = sorted(key + epoch.to_bytes(4, "big") for key, epoch in self.seen.items())
        return sha256(b"".join(rows))


def decode_fact(scheme: Scheme, fact: Fact) -> FactValue:
    """Return what a fact says; raise ``LEDGER_CORRUPT`` if its bytes are not what its digest stands for.

    The digests of tokens and of all certificates depend on their issuer's whole key: an audit checks those.
    """
    try:
        return _decode(scheme, fact)
    except TapError as error:
        raise TapError(Code.LEDGER_CORRUPT, f"fact {fact.digest.hex()}") from error


def _decode(scheme: Scheme, fact: Fact) -> FactValue:
    raw = codec.unpack(fact.body, BYTES, ITEMS)
    match fact.kind:
        case FactKind.TOKEN:
            return issued_check(Token)(raw)
        case FactKind.CERTIFICATE:
            return issued_check(WalletCertificate)(raw)
        case FactKind.AUTHORITY:
            return issued_check(AuthorityCertificate)(raw)
        case FactKind.STATEMENT:
            statement = statement_check(scheme.id)(raw)
            _same(statement.id, fact.digest)
            return cast("TapeStatement", statement)
        case FactKind.WORD:
            word = statement_of(scheme.id, BindBody, OwnBody, OrderBody)(raw)
            _same(word.id, fact.digest)
            return cast("Word", word)  # pyright: ignore[reportUnnecessaryCast] - mypy needs it
        case FactKind.OPENING:
            shown = _opening_of(raw)
            _same(opening_digest(shown.statement), fact.digest)
            return shown
        case FactKind.ASKED:
            asked = _asked_by(raw)
            _same(asked_digest(asked.opening.commitment()), fact.digest)
            return asked


def hand_of(fact: Fact) -> HandRow | None:
    """Return from whom to whom a stored fact goes, and what it commits to; ``None`` for what is no transfer."""
    if fact.kind is not FactKind.STATEMENT:
        return None
    kind, key, body, commitment, _ = cast("tuple[Any, ...]", codec.unpack(fact.body, BYTES, ITEMS))
    return HandRow(fact.digest, key, body[0], body[2], commitment) if kind == Kind.TRANSFER else None


def request_of(fact: Fact) -> bytes:
    """Return the request that a stored fact of kind ``ASKED`` shows."""
    return _asked_by(codec.unpack(fact.body, BYTES, ITEMS)).opening.request


def _same(found: bytes, stored: bytes) -> None:
    if found != stored:
        raise TapError(Code.LEDGER_CORRUPT, "a digest of something else")
