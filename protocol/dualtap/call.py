"""A Call (SPEC §25): who opened a link asks the device at its other end to begin the session.

It stands before any session, in the clear, and grants nothing: the device does what it would do had it come by itself.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from dualtap import codec, limits
from dualtap.codec import Check, blob, maybe, record
from dualtap.errors import Code, TapError
from dualtap.wire import Want

_CALL = 32
_LONGEST = 192
"""Bytes: a Call takes less than 150."""
_BEGINNING = bytes([0x94, _CALL])
"""An array of four, the number first; a Hello is one of five."""


class Charged(NamedTuple):
    """What a Call asks a payee to collect: minor units, currency, basket and part, as in a Request."""

    amount: int
    currency: str
    basket: bytes
    part: int


class Introduction(NamedTuple):
    """The handover that introduced the session's responder, told to its initiator (SPEC §6-17)."""

    said: bytes
    ident: bytes


class Call(NamedTuple):
    """The first frame of a link whose other end is to begin: to collect, to pay, to sync, or as an owner."""

    want: Want
    charge: Charged | None = None
    introduction: Introduction | None = None


_call: Check[Call] = record(
    Call,
    codec.enumeration(Want),
    maybe(record(Charged, codec.uint(limits.AMOUNT, 1), codec.currency, codec.basket, codec.uint(255))),
    maybe(record(Introduction, blob(64), blob(16))),
)


def encode_call(call: Call) -> bytes:
    """Return the frame."""
    return codec.pack((_CALL, *call))


def decode_call(frame: bytes) -> Call:
    """Return the Call in a frame; raise ``UNEXPECTED_MESSAGE`` for another message, or as a decoder does."""
    value = codec.unpack(frame, _LONGEST)
    if type(value) is not list or not value:
        raise TapError(Code.MALFORMED, "not a Call")
    number, *fields = cast("list[object]", value)
    if number != _CALL or type(number) is not int:
        raise TapError(Code.UNEXPECTED_MESSAGE, "not a Call")
    return _call(fields)


def is_call(frame: bytes) -> bool:
    """Tell whether a link's first frame is a Call, or what should be one; any other is for a session to judge."""
    return frame.startswith(_BEGINNING)


def check_call(call: Call, allowed: Want) -> None:
    """Raise ``WRONG_ROLE`` for what this device does not do when called, ``MALFORMED`` for a charge that is out of
    place or missing (SPEC §25-2)."""
    if call.want not in (Want.COLLECT, Want.PAY, Want.SYNC, Want.OWN) or not call.want & allowed:
        raise TapError(Code.WRONG_ROLE, "a Call for what this device does not do")
    if (call.charge is not None) != (call.want == Want.COLLECT):
        raise TapError(Code.MALFORMED, "a Call to collect says what, and no other does")
    if call.want == Want.SYNC and call.introduction is not None:
        raise TapError(Code.MALFORMED, "nobody introduces an issuer")
