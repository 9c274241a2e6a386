"""What a wallet makes durable (SPEC §12): the records of its log, and their bytes.

The log is replayed to rebuild the wallet: :mod:`dualtap.book` is a fold over these records and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias, cast

from dualtap import codec
from dualtap.codec import (
    Check,
    any_blob,
    basket,
    blob,
    counter,
    digest,
    enumeration,
    epoch,
    list_of,
    maybe,
    money,
    number,
    record,
    text,
    uint,
)
from dualtap.errors import Code, TapError
from dualtap.forms import (
    issued_check,
    parent,
    statement_check,
    statement_fields,
    statement_of,
    warrant_fields,
    warrants_check,
)
from dualtap.issued import AuthorityCertificate, Header, Policy, Token, WalletCertificate
from dualtap.standing import Standing
from dualtap.statements import (
    Bind,
    BindBody,
    OrderBody,
    Outcome,
    Own,
    OwnBody,
    OwnerOrder,
    Parent,
    Signed,
    Successor,
    SuccessorBody,
    TapeStatement,
    Transfer,
    Verification,
    Warrant,
)

ITEMS = 1_000_000
"""The longest list in a record: a snapshot may hold a shop's year of receipts."""
TOLD = 64
"""Transfers of which a wallet keeps how they stand: the issuer's ledger knows of all."""
BYTES = 256 * 1024 * 1024
"""The longest record, in bytes: the log's own size bounds it first."""


class News(NamedTuple):
    """What the scheme says: a new certificate of this wallet, authorities, date and policy."""

    certificate: WalletCertificate | None
    authorities: tuple[AuthorityCertificate, ...]
    header: Header | None
    policy: Policy | None


class Funded(NamedTuple):
    """A token issued to this wallet."""

    token: Token


class Asked(NamedTuple):
    """A request that this wallet made; it stays open until its outcome."""

    request: bytes
    basket: bytes
    part: int
    amount: int
    currency: str
    epoch: int
    verification: Verification = Verification.NONE


class Answered(NamedTuple):
    """The outcome of a request, not yet signed; ``message`` is the accepted transfer's, or a refused double spend's."""

    outcome: Outcome
    message: bytes


class Sent(NamedTuple):
    """A transfer that this wallet will sign, and the basket and part it pays."""

    transfer: Transfer
    basket: bytes
    part: int


class SignedTail(NamedTuple):
    """The signature of the tape's last entry."""

    id: bytes
    signature: bytes


class Moved(NamedTuple):
    """The tape's unsigned last entry takes another interval, because the keystore's counter skipped past it."""

    id: bytes
    prev: int
    ctr: int


class Healed(NamedTuple):
    """The outcome of a pending transfer arrived."""

    transfer: bytes
    outcome: Outcome


class Synced(NamedTuple):
    """The issuer has the tape up to this counter; its tokens up to this number are here.

    ``deposits`` are the transfers that ended by it: deposits that it has, and what is past its tokens' ``claim_by``.
    """

    ctr: int
    deposits: tuple[bytes, ...]
    delivered: int


class Retired(NamedTuple):
    """This key names its successor, and asks and pays nothing any more; the statement is not yet signed."""

    successor: Successor


class Tied(NamedTuple):
    """Who owns a wallet: this one, by its own Bind, not signed; or another, by its Bind and this wallet's Own.

    ``number`` counts the wallet's bindings; without ``bind``, it is bound no more (SPEC §23).
    """

    wallet: bytes
    number: int
    bind: Bind | None
    own: Own | None


class Ordered(NamedTuple):
    """An order that this wallet obeys, or gave."""

    order: OwnerOrder


class Holding(NamedTuple):
    """Units ``[start, end)`` of a token that this wallet holds, cut from ``parent``."""

    parent: Parent
    token: bytes
    start: int
    end: int

    @property
    def amount(self) -> int:
        """Minor units."""
        return self.end - self.start


class Line(NamedTuple):
    """A line of the history: what happened, to how much, with whom, at which date."""

    what: str
    amount: int
    currency: str
    peer: bytes
    transfer: bytes
    epoch: int


class Taken(NamedTuple):
    """A transfer that this wallet accepted: from whom, how much, and how much of it was refunded."""

    transfer: bytes
    payer: bytes
    amount: int
    refunded: int


class Since(NamedTuple):
    """Counts since the last sync: transfers made, receipts given, and minor units received."""

    payments: int = 0
    receipts: int = 0
    received: int = 0


class Spent(NamedTuple):
    """What counts against a payer's ``day`` and ``unverified`` (SPEC §22): never a sync's business.

    ``day`` is the sum paid in ``epoch``; ``unverified`` the sum since the user was verified, for the transfer at the
    counter ``verified``. Minor units.
    """

    epoch: int = 0
    day: int = 0
    unverified: int = 0
    verified: int = 0


class Carried(NamedTuple):
    """What the key before this one had spent: a device that changes its key keeps its limits (SPEC §22-16)."""

    spent: Spent


class Question(NamedTuple):
    """A request and its outcome, if it has one."""

    asked: Asked
    outcome: Outcome | None


class Witnessed(NamedTuple):
    """A double spend that this wallet refused: the request that it answered, and its message. A sync reports it."""

    request: bytes
    message: bytes


class ToldLine(NamedTuple):
    """How one of this wallet's transfers stands at the issuer's, until or since which epoch, and its amount."""

    transfer: bytes
    standing: Standing
    epoch: int
    amount: int
    currency: str


class Told(NamedTuple):
    """What the issuer last told of this wallet's deposits and doubts: this takes the place of what it told before."""

    lines: tuple[ToldLine, ...]


class Warned(NamedTuple):
    """Evidence against a key (SPEC §15), checked before it was kept: what that key signed is refused from now on."""

    key: bytes
    evidence: bytes


class Snapshot(NamedTuple):
    """A whole wallet: what a compacted log begins with."""

    news: News
    tokens: tuple[Token, ...]
    transfers: tuple[Transfer, ...]
    warrants: tuple[tuple[bytes, Warrant], ...]
    certificates: tuple[WalletCertificate, ...]
    holdings: tuple[Holding, ...]
    pending: tuple[Sent, ...]
    questions: tuple[Question, ...]
    taken: tuple[Taken, ...]
    history: tuple[Line, ...]
    tape: tuple[TapeStatement, ...]
    heard: tuple[Outcome, ...]
    witnessed: tuple[Witnessed, ...]
    delivered: int
    previous: bytes
    counter: int
    since: Since
    spent: Spent


Record: TypeAlias = (
    News
    | Funded
    | Asked
    | Answered
    | Sent
    | SignedTail
    | Moved
    | Healed
    | Synced
    | Snapshot
    | Retired
    | Told
    | Warned
    | Carried
    | Tied
    | Ordered
)

_NUMBER: dict[type[Record], int] = {
    News: 1,
    Funded: 2,
    Asked: 3,
    Answered: 4,
    Sent: 5,
    SignedTail: 6,
    Moved: 7,
    Healed: 8,
    Synced: 9,
    Snapshot: 10,
    Retired: 11,
    Told: 13,
    Warned: 14,
    Carried: 15,
    Tied: 17,
    Ordered: 18,
}


def encode_record(item: Record) -> bytes:
    """Return a record's bytes."""
    return codec.pack((_NUMBER[type(item)], *[plain(value) for value in item]))


def encoder(scheme: bytes) -> Callable[[Record], bytes]:
    """Return what gives a record's bytes for a wallet of this scheme.

    It raises ``BAD_INPUT`` for a record that could not be read again: once written, it would close its wallet for good.
    """
    decode = decoder(scheme, identified=False)

    def encode(item: Record) -> bytes:
        try:
            data = encode_record(item)
            decode(data)
        except (TapError, TypeError, ValueError, OverflowError) as error:
            raise TapError(Code.BAD_INPUT, "a record that could not be read again") from error
        return data

    return encode


def plain(value: object) -> object:
    """Return ``value`` with every statement and warrant in its whole wire form."""
    if isinstance(value, Signed):
        return statement_fields(cast("TapeStatement", value))
    if isinstance(value, Warrant):
        return warrant_fields(value)
    if isinstance(value, tuple):
        return tuple([plain(item) for item in cast("tuple[object, ...]", value)])
    return value


_name = blob(0, 32, 33)
news_check = record(
    News,
    maybe(issued_check(WalletCertificate)),
    list_of(issued_check(AuthorityCertificate), ITEMS),
    maybe(issued_check(Header)),
    maybe(issued_check(Policy)),
)
_asked = record(Asked, digest, basket, uint(255), money, text, epoch, enumeration(Verification))
_holding = record(Holding, parent, digest, money, money)
_line = record(Line, text, money, text, _name, blob(0, 32), epoch)
_taken = record(Taken, digest, _name, money, money)
_told_line = record(ToldLine, digest, enumeration(Standing), epoch, money, text)
_since = record(Since, number, number, money)
_spent = record(Spent, epoch, money, money, counter)


def successor_check(scheme: bytes) -> Check[Successor]:
    """Return the check that reads a Successor in its whole form, signed or not."""
    statement = statement_check(scheme)

    def check(value: object) -> Successor:
        found = statement(value)
        if not isinstance(found.body, SuccessorBody):
            raise TapError(Code.MALFORMED, "not a Successor")
        return cast("Successor", found)

    return check


def decoder(scheme: bytes, *, identified: bool = True) -> Check[Record]:
    """Return the check that reads a record from its bytes, for a wallet of this scheme (its 32-byte id).

    Unless ``identified``, it only checks their form: the statements' ids are not computed.
    It raises ``MALFORMED`` or ``NOT_CANONICAL``: a log that holds such bytes was not written by a wallet.
    """
    statement = cast("Check[Transfer]", statement_check(scheme, identified=identified))
    outcome = cast("Check[Outcome]", statement)
    sent = record(Sent, statement, basket, uint(255))
    dead = warrants_check(scheme)
    question = record(Question, _asked, maybe(outcome))
    checks: dict[type[Record], Check[Record]] = {
        News: news_check,
        Funded: record(Funded, issued_check(Token)),
        Asked: _asked,
        Answered: record(Answered, outcome, any_blob),
        Sent: sent,
        SignedTail: record(SignedTail, digest, codec.signature),
        Moved: record(Moved, digest, counter, counter),
        Healed: record(Healed, digest, outcome),
        Tied: record(
            Tied, codec.public_key, counter, maybe(statement_of(scheme, BindBody)), maybe(statement_of(scheme, OwnBody))
        ),
        Ordered: record(Ordered, statement_of(scheme, OrderBody)),
        Synced: record(Synced, counter, list_of(digest, ITEMS), counter),
        Snapshot: record(
            Snapshot,
            news_check,
            list_of(issued_check(Token), ITEMS),
            list_of(statement, ITEMS),
            list_of(dead, ITEMS),
            list_of(issued_check(WalletCertificate), ITEMS),
            list_of(_holding, ITEMS),
            list_of(sent, ITEMS),
            list_of(question, ITEMS),
            list_of(_taken, ITEMS),
            list_of(_line, ITEMS),
            list_of(statement, ITEMS),
            list_of(outcome, ITEMS),
            list_of(record(Witnessed, digest, any_blob), ITEMS),
            counter,
            blob(0, 32),
            counter,
            _since,
            _spent,
        ),
        Retired: record(Retired, successor_check(scheme)),
        Told: record(Told, list_of(_told_line, ITEMS)),
        Carried: record(Carried, _spent),
        Warned: record(Warned, blob(32, 33), any_blob),
    }
    numbered = {_NUMBER[kind]: check for kind, check in checks.items()}

    def decode(data: object) -> Record:
        value = codec.unpack(any_blob(data), BYTES, ITEMS)
        if type(value) is not list or not value:
            raise TapError(Code.MALFORMED, "not a record")
        kind, *fields = cast("list[object]", value)
        check = numbered.get(kind) if type(kind) is int else None
        if check is None:
            raise TapError(Code.MALFORMED, "a record of an unknown kind")
        return check(fields)

    return decode
