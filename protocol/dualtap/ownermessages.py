"""The messages of an owner's session (SPEC §23): canonical, and known in that session alone."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dualtap import codec, forms, limits
from dualtap.codec import Check, blob, list_of, record, text
from dualtap.errors import Code, TapError
from dualtap.issued import AuthorityCertificate, WalletCertificate
from dualtap.statements import Errand
from dualtap.wire import DoneMessage, RefuseMessage

LINES = 64
"""Lines of history, or dates of expiry, in one State."""


class ClaimMessage(NamedTuple):
    """The owner's first word: a Present of this session, to bind or to look. ``lines`` of history are wanted."""

    bind: bool
    lines: int
    size: int
    epoch: int
    signature: bytes
    certificate: WalletCertificate
    authorities: tuple[AuthorityCertificate, ...]


class BoundMessage(NamedTuple):
    """The wallet's Bind: owner and session are derived."""

    number: int
    epoch: int
    signature: bytes
    certificate: WalletCertificate
    authorities: tuple[AuthorityCertificate, ...]


class StateLine(NamedTuple):
    """A line of a wallet's history; ``peer`` is the first 8 bytes of H(key), or empty."""

    what: str
    amount: int
    currency: str
    peer: bytes
    epoch: int


class Expiry(NamedTuple):
    """Minor units that can be paid offline up to this epoch."""

    epoch: int
    amount: int


class StateMessage(NamedTuple):
    """What a wallet holds, and a Present of this session: session and role are derived. ``bind`` is 0 if unbound."""

    bind: int
    balance: int
    doubt: int
    available: int
    frozen: bool
    payment: int
    day: int
    expiries: tuple[Expiry, ...]
    lines: tuple[StateLine, ...]
    epoch: int
    signature: bytes
    certificate: WalletCertificate
    authorities: tuple[AuthorityCertificate, ...]


class OrderMessage(NamedTuple):
    """An order for the wallet that has just proved its key, which is derived, as are no amount and no other key."""

    bind: int
    number: int
    errand: Errand
    frozen: bool
    payment: int
    day: int
    epoch: int
    signature: bytes


OwnerMessage: TypeAlias = ClaimMessage | BoundMessage | StateMessage | OrderMessage | RefuseMessage | DoneMessage

_NUMBER: dict[type[OwnerMessage], int] = {
    RefuseMessage: 8, DoneMessage: 9, ClaimMessage: 16, BoundMessage: 17, StateMessage: 18, OrderMessage: 19,
}  # fmt: skip
_certificate = forms.issued_check(WalletCertificate)
_authorities = list_of(forms.issued_check(AuthorityCertificate), 8)


def _printable(value: object) -> str:
    """Check text that a screen is given: nothing in it moves a cursor, or hides what stands there (SPEC §23-19)."""
    found = text(value)
    if not found.isascii() or not found.isprintable():
        raise TapError(Code.MALFORMED, "text that is not printable")
    return found


_line = record(StateLine, _printable, codec.money, codec.currency, blob(0, 8), codec.epoch)
_expiry = record(Expiry, codec.epoch, codec.money)
_MESSAGE: dict[type[OwnerMessage], Check[OwnerMessage]] = {
    RefuseMessage: record(RefuseMessage, codec.number),
    DoneMessage: record(DoneMessage),
    ClaimMessage: record(
        ClaimMessage, codec.boolean, codec.uint(LINES), codec.uint(limits.MESSAGE), codec.epoch, codec.signature,
        _certificate, _authorities,
    ),
    BoundMessage: record(BoundMessage, codec.counter, codec.epoch, codec.signature, _certificate, _authorities),
    StateMessage: record(
        StateMessage, codec.counter, codec.money, codec.money, codec.money, codec.boolean, codec.money, codec.money,
        list_of(_expiry, LINES), list_of(_line, LINES), codec.epoch, codec.signature, _certificate, _authorities,
    ),
    OrderMessage: record(
        OrderMessage, codec.counter, codec.counter, codec.enumeration(Errand), codec.boolean, codec.money, codec.money,
        codec.epoch, codec.signature,
    ),
}  # fmt: skip
_CHECK = {_NUMBER[kind]: check for kind, check in _MESSAGE.items()}


def encode(message: OwnerMessage) -> bytes:
    """Return a message's bytes, to be sealed."""
    return codec.pack((_NUMBER[type(message)], *message))


def decode(data: bytes, limit: int = limits.MESSAGE) -> OwnerMessage:
    """Return the message in opened bytes; raise ``UNKNOWN_MESSAGE`` or what :func:`dualtap.codec.unpack` raises."""
    number, fields = codec.numbered(data, limit)
    check = _CHECK.get(number)
    if check is None:
        raise TapError(Code.UNKNOWN_MESSAGE, f"number {number}")
    return check(fields)
