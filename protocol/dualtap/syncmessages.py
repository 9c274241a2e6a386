"""The messages of a sync that somebody else carries, and the pieces of what is longer than a frame (SPEC §14)."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dualtap import codec, forms, limits
from dualtap.codec import Check, record
from dualtap.errors import Code, TapError
from dualtap.forms import public_digest
from dualtap.issued import AuthorityCertificate
from dualtap.pieces import Cutter
from dualtap.session import Channel
from dualtap.statements import Kind, Scheme, statement_id
from dualtap.suite import TAG
from dualtap.wire import RefuseMessage

LEAST_FRAME = 128
"""Bytes: who takes no frame so long cannot sync."""
_HEADERS = 16
"""Bytes of a piece besides its data: array, number, ``left``, ``size`` and the data's length, rounded up."""


class SyncProof(NamedTuple):
    """The issuer's first word: a challenge, and an institution's signature over it in this session.

    ``size`` is the longest frame, in bytes, that the issuer takes.
    """

    challenge: bytes
    certificate: AuthorityCertificate
    size: int
    signature: bytes


class SyncPiece(NamedTuple):
    """A piece of a SignedUpload or SignedReply. ``left`` bytes follow it; ``size`` is the sender's longest frame."""

    left: int
    size: int
    data: bytes


class SyncNext(NamedTuple):
    """``taken`` bytes have come: go on."""

    taken: int


SyncMessage: TypeAlias = SyncProof | SyncPiece | SyncNext | RefuseMessage

_NUMBER: dict[type[SyncMessage], int] = {RefuseMessage: 8, SyncProof: 10, SyncPiece: 11, SyncNext: 12}
_size = codec.uint(limits.MESSAGE)
_MESSAGE: dict[type[SyncMessage], Check[SyncMessage]] = {
    RefuseMessage: record(RefuseMessage, codec.number),
    SyncProof: record(SyncProof, codec.digest, forms.issued_check(AuthorityCertificate), _size, codec.signature),
    SyncPiece: record(SyncPiece, codec.number, _size, codec.any_blob),
    SyncNext: record(SyncNext, codec.number),
}
_CHECK = {_NUMBER[kind]: check for kind, check in _MESSAGE.items()}


def encode(message: SyncMessage) -> bytes:
    """Return a message's bytes, to be sealed."""
    return codec.pack((_NUMBER[type(message)], *message))


def decode(data: bytes, limit: int = limits.MESSAGE) -> SyncMessage:
    """Return the message in opened bytes; raise ``UNKNOWN_MESSAGE`` or what :func:`dualtap.codec.unpack` raises."""
    number, fields = codec.numbered(data, limit)
    check = _CHECK.get(number)
    if check is None:
        raise TapError(Code.UNKNOWN_MESSAGE, f"number {number}")
    return check(fields)


def proof_id(scheme: Scheme, issuer: bytes, session: bytes, challenge: bytes) -> bytes:
    """Return what an institution (its whole key) signs: this challenge, in the session of this transcript.

    SPEC §14-16.
    """
    return statement_id(scheme.id, Kind.CHALLENGE, issuer, public_digest((session, challenge)))


class PieceCutter:
    """Cuts bytes into pieces that the peer's frames hold."""

    __slots__ = ("_cutter", "_own")

    def __init__(self, data: bytes, own: int, peer: int) -> None:
        """``own`` and ``peer`` are the longest frames, in bytes, that each side takes; raise ``TOO_LARGE``."""
        if peer < LEAST_FRAME:
            raise TapError(Code.TOO_LARGE, f"a frame of {peer} bytes holds no piece")
        # Nothing longer than its sender takes either: a card's link and memory hold no more.
        self._cutter, self._own = Cutter(data, min(own, peer) - TAG - _HEADERS), own

    def next(self, taken: int) -> SyncPiece:
        """Return the next piece; raise ``MALFORMED`` unless the peer has taken all before."""
        if taken != self._cutter.sent or not self.left:
            raise TapError(Code.MALFORMED, f"{taken} bytes taken of {self._cutter.sent} sent")
        left, data = self._cutter.next()
        return SyncPiece(left, self._own, data)

    @property
    def left(self) -> int:
        """Bytes that are still to be sent."""
        return self._cutter.left


def open_message(channel: Channel, frame: bytes, most: int) -> SyncMessage:
    """Return the message in a sealed frame of at most ``most`` bytes; raise ``TOO_LARGE`` or as :func:`decode`."""
    if len(frame) > most:
        raise TapError(Code.TOO_LARGE, f"{len(frame)} bytes, at most {most}")
    return decode(channel.open(frame), most)


def unexpected(message: SyncMessage) -> TapError:
    """Return the error of a message that does not belong here."""
    return TapError(Code.UNEXPECTED_MESSAGE, type(message).__name__)
