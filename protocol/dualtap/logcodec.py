"""The bytes of a wallet's log: its records, read and written (SPEC §12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

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
from dualtap.forms import issued_check, parent, plain, statement_check, statement_of, warrants_check
from dualtap.issued import AuthorityCertificate, Header, Policy, Token, WalletCertificate
from dualtap.records import (
    Answered,
    Asked,
    Carried,
    Funded,
    Healed,
    Holding,
    Line,
    Moved,
    News,
    Ordered,
    Question,
    Record,
    Retired,
    Sent,
    SignedTail,
    Since,
    Snapshot,
    Spent,
    Synced,
    Taken,
    Tied,
    Told,
    ToldLine,
    Warned,
    Witnessed,
)
from dualtap.standing import Standing
from dualtap.statements import BindBody, OrderBody, Outcome, OwnBody, SuccessorBody, Transfer, Verification

ITEMS = 1_000_000
"""The longest list in a record: a snapshot may hold a shop's year of receipts."""
BYTES = 256 * 1024 * 1024
"""The longest record, in bytes: the log's own size bounds it first."""

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
    check = record_check(scheme, identified=False)

    def encode(item: Record) -> bytes:
        try:
            data = encode_record(item)
            check(codec.parse(data, BYTES, ITEMS))
        except (TapError, TypeError, ValueError, OverflowError) as error:
            raise TapError(Code.BAD_INPUT, "a record that could not be read again") from error
        return data

    return encode


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


def _snapshot(
    scheme: bytes, statement: Check[Transfer], sent: Check[Sent], question: Check[Question]
) -> Check[Snapshot]:
    return record(
        Snapshot,
        news_check,
        list_of(issued_check(Token), ITEMS),
        list_of(statement, ITEMS),
        list_of(warrants_check(scheme), ITEMS),
        list_of(issued_check(WalletCertificate), ITEMS),
        list_of(_holding, ITEMS),
        list_of(sent, ITEMS),
        list_of(question, ITEMS),
        list_of(_taken, ITEMS),
        list_of(_line, ITEMS),
        list_of(statement, ITEMS),
        list_of(cast("Check[Outcome]", statement), ITEMS),
        list_of(record(Witnessed, digest, any_blob), ITEMS),
        counter,
        blob(0, 32),
        counter,
        _since,
        _spent,
    )


def decoder(scheme: bytes) -> Check[Record]:
    """Return the check that reads a record from its bytes, for a wallet of this scheme (its 32-byte id).

    It raises ``MALFORMED`` or ``NOT_CANONICAL``: a log that holds such bytes was not written by a wallet.
    """
    check = record_check(scheme)
    return lambda data: check(codec.unpack(any_blob(data), BYTES, ITEMS))


def record_check(scheme: bytes, *, identified: bool = True) -> Check[Record]:
    """Return the check that reads a record from the array that was its bytes; it raises ``MALFORMED``.

    Unless ``identified``, it only checks their form: the statements' ids are not computed.
    """
    statement = cast("Check[Transfer]", statement_check(scheme, identified=identified))
    outcome = cast("Check[Outcome]", statement)
    sent = record(Sent, statement, basket, uint(255))
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
        Snapshot: _snapshot(scheme, statement, sent, question),
        Retired: record(Retired, statement_of(scheme, SuccessorBody)),
        Told: record(Told, list_of(_told_line, ITEMS)),
        Carried: record(Carried, _spent),
        Warned: record(Warned, blob(32, 33), any_blob),
    }
    numbered = {_NUMBER[kind]: check for kind, check in checks.items()}

    def read(value: object) -> Record:
        if type(value) is not list or not value:
            raise TapError(Code.MALFORMED, "not a record")
        kind, *fields = cast("list[object]", value)
        check = numbered.get(kind) if type(kind) is int else None
        if check is None:
            raise TapError(Code.MALFORMED, "a record of an unknown kind")
        return check(fields)

    return read
