"""A sync that somebody else carries (SPEC §14-14 to §14-22): two machines, wallet and issuer, in one sealed session.

The wallet speaks first, and each frame is answered by exactly one, so that it maps onto APDUs and onto HTTP alike.
The issuer proves itself before the wallet says anything of its own. What is longer than a frame goes in pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from dualtap import limits, wire
from dualtap.errors import Code, TapError, decode_code
from dualtap.events import Received, Send, Sign, Signature
from dualtap.issued import Authority, AuthorityCertificate
from dualtap.logcodec import BYTES
from dualtap.pieces import Joiner
from dualtap.session import Channel, check_hello, check_welcome, establish
from dualtap.statements import Scheme
from dualtap.suite import Ephemeral
from dualtap.sync import Reply, SignedUpload, decode_signed_upload, encode_signed_upload, open_reply, sync_statement
from dualtap.syncmessages import (
    PieceCutter,
    SyncMessage,
    SyncNext,
    SyncPiece,
    SyncProof,
    encode,
    open_message,
    proof_id,
    unexpected,
)
from dualtap.trust import Trust
from dualtap.wire import VERSION, Hello, RefuseMessage, Want, Welcome

# The wallet's end


@dataclass(frozen=True, slots=True)
class Replied:
    """The sync is over: the reply, proved to be the issuer's to this very upload."""

    reply: Reply


class _Wallet(Enum):
    START = "start"
    WELCOME = "await welcome"
    SIGNATURE = "sign upload"
    HEIR = "sign upload as the successor"
    UPLOAD = "upload"
    REPLY = "await reply"
    ENDED = "ended"


class WalletSync:
    """The wallet's end: :meth:`begin`, then :meth:`step` for every frame and signature.

    A step that raises has ended it: the wallet has changed nothing, and may begin another.
    """

    def __init__(
        self,
        scheme: Scheme,
        key: bytes,
        upload: bytes,
        epoch: int,
        message: int,
        ephemeral: Ephemeral,
        heir: bytes = b"",
    ) -> None:
        """``upload`` is an Upload's bytes, ``epoch`` the wallet's date, ``message`` the longest frame that it takes.

        ``ephemeral`` is a key pair made for this session alone; ``heir`` is the successor that the upload names.
        """
        self._heir = heir
        self._scheme, self._key, self._upload, self._epoch, self._size = scheme, key, upload, epoch, message
        self._ephemeral = ephemeral
        self._hello = Hello(scheme.hint, (VERSION,), ephemeral.public, Want.SYNC)
        self._trust = Trust(scheme)  # from the root alone: what is learnt here is of this session, and not durable
        self._state = _Wallet.START
        self._channel: Channel | None = None
        self._joiner = Joiner(BYTES)
        self._asked: SignedUpload | None = None
        self._cutter: PieceCutter | None = None
        self._peer = 0

    def begin(self) -> Send:
        """Return the first frame; raise ``ENDED`` the second time."""
        if self._state is not _Wallet.START:
            raise TapError(Code.ENDED)
        self._state = _Wallet.WELCOME
        return Send(wire.encode_hello(self._hello))

    def step(self, event: Received | Signature) -> Send | Sign | Replied:
        """Take what came and return what to do: answer ``Sign`` with :class:`Signature`, ``Send`` with the answer.

        Raises what the issuer did wrong, the code with which it refused, or ``ENDED``.
        """
        state, self._state = self._state, _Wallet.ENDED  # whatever raises, ends it
        match state, event:
            case _Wallet.WELCOME, Received(frame):
                return self._welcome(frame)
            case ((_Wallet.SIGNATURE | _Wallet.HEIR), Signature(signature)):
                return self._signed(state, signature)
            case ((_Wallet.UPLOAD | _Wallet.REPLY), Received(frame)):
                return self._answer(state, frame)
            case _:
                raise TapError(Code.ENDED if state is _Wallet.ENDED else Code.BAD_INPUT)

    def _welcome(self, frame: bytes) -> Sign:
        """Take the Welcome; believe nobody who does not prove to be the issuer (SPEC §14-16)."""
        welcome = wire.decode_welcome(frame, self._size)
        check_welcome(welcome, Want.SYNC)
        channel = establish(self._scheme, self._ephemeral, True, self._hello, welcome)
        proof = open_message(channel, welcome.sealed, self._size)
        if not isinstance(proof, SyncProof):
            raise unexpected(proof)
        self._trust.learn((proof.certificate,))
        issuer = self._trust.authority(proof.certificate.hint, _INSTITUTION, 0)  # expiry never blocks a sync
        named = proof_id(self._scheme, issuer.key, channel.transcript, proof.challenge)
        self._trust.verify(issuer.key, proof.signature, named)
        self._channel, self._peer = channel, proof.size
        self._asked = SignedUpload(self._upload, proof.challenge, self._epoch, b"")
        self._state = _Wallet.SIGNATURE
        return self._sign(self._asked, self._key)

    def _sign(self, asked: SignedUpload, key: bytes) -> Sign:
        return Sign(sync_statement(self._scheme, key, self._upload, asked.challenge, self._epoch))

    def _signed(self, state: _Wallet, signature: bytes) -> Send | Sign:
        assert self._asked is not None
        if state is _Wallet.HEIR:
            self._asked = self._asked._replace(heir=signature)
        else:
            self._asked = self._asked._replace(signature=signature)
            if self._heir:
                self._state = _Wallet.HEIR
                return self._sign(self._asked, self._heir)
        self._cutter = PieceCutter(encode_signed_upload(self._asked), self._size, self._peer)
        self._state = _Wallet.UPLOAD
        return self._send(self._cutter.next(0))

    def _answer(self, state: _Wallet, frame: bytes) -> Send | Replied:
        assert self._channel is not None
        assert self._cutter is not None
        assert self._asked is not None
        message = open_message(self._channel, frame, self._size)
        match message:
            case SyncNext(taken) if state is _Wallet.UPLOAD:
                piece = self._cutter.next(taken)
                self._state = _Wallet.UPLOAD
                return self._send(piece)
            case SyncPiece() if not self._cutter.left:
                if self._joiner.take(message.left, message.data):
                    return Replied(open_reply(self._trust, self._asked, self._joiner.whole()))
                self._state = _Wallet.REPLY
                return self._send(SyncNext(self._joiner.taken))
            case RefuseMessage(code):
                raise TapError(decode_code(code), "the issuer refused this sync")
            case _:
                raise unexpected(message)

    def _send(self, message: SyncMessage) -> Send:
        assert self._channel is not None
        return Send(self._channel.seal(encode(message)))


# The issuer's end


@dataclass(frozen=True, slots=True)
class Prove:
    """Draw a challenge and have an institution sign :func:`proof_id` for this transcript; answer :class:`Proved`."""

    session: bytes


@dataclass(frozen=True, slots=True)
class Proved:
    """A challenge of 32 fresh bytes, the institution's certificate, and its signature."""

    challenge: bytes
    certificate: AuthorityCertificate
    signature: bytes


@dataclass(frozen=True, slots=True)
class Take:
    """Store this SignedUpload, which answers the session's challenge; then answer :class:`Taken`."""

    signed_upload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """The SignedReply's bytes, or the code with which the ledger refused."""

    signed_reply: bytes = field(repr=False)
    refused: Code | int | None = None


class _Issuer(Enum):
    HELLO = "await hello"
    PROOF = "prove"
    UPLOAD = "await upload"
    LEDGER = "store"
    REPLY = "reply"
    ENDED = "ended"


class IssuerSync:
    """The issuer's end: :meth:`step` for every frame, and for what :class:`Prove` and :class:`Take` ask.

    A step that raises has ended it, and nothing is to be answered; what the wallet may hear is a sealed refusal.
    """

    def __init__(self, scheme: Scheme, ephemeral: Ephemeral, most: int) -> None:
        """``ephemeral`` is made for this session alone; ``most`` is the longest SignedUpload, in bytes."""
        self._scheme, self._ephemeral = scheme, ephemeral
        self._state = _Issuer.HELLO
        self._channel: Channel | None = None
        self._welcome = Welcome(VERSION, ephemeral.public, Want.SYNC, b"")
        self._challenge = b""
        self._joiner = Joiner(most)
        self._cutter: PieceCutter | None = None
        self._peer = 0

    @property
    def ended(self) -> bool:
        """Whether the session is over."""
        return self._state is _Issuer.ENDED

    @property
    def stored(self) -> bool:
        """Whether the ledger has taken the upload, and its reply is on the way."""
        return self._cutter is not None

    @property
    def held(self) -> int:
        """Bytes of upload or reply that this session holds."""
        return self._cutter.left if self._cutter is not None else self._joiner.taken

    def step(self, event: Received | Proved | Taken) -> Prove | Take | Send:
        """Take what came and return what to do."""
        state, self._state = self._state, _Issuer.ENDED
        match state, event:
            case _Issuer.HELLO, Received(frame):
                return self._hello(frame)
            case _Issuer.PROOF, Proved():
                return self._proved(event)
            case ((_Issuer.UPLOAD | _Issuer.REPLY), Received(frame)):
                try:
                    return self._heard(state, frame)
                except TapError as error:
                    if error.code is Code.BAD_SEAL:
                        raise  # not from the wallet, so that it is nobody's to be answered (SPEC §6-3)
                    return self._refuse(error.code)
            case _Issuer.LEDGER, Taken():
                return self._taken(event)
            case _:
                raise TapError(Code.ENDED if state is _Issuer.ENDED else Code.BAD_INPUT)

    def _hello(self, frame: bytes) -> Prove:
        hello = wire.decode_hello(frame)
        check_hello(self._scheme, hello, Want.SYNC)
        self._channel = establish(self._scheme, self._ephemeral, False, hello, self._welcome)
        self._state = _Issuer.PROOF
        return Prove(self._channel.transcript)

    def _proved(self, event: Proved) -> Send:
        assert self._channel is not None
        self._challenge = event.challenge
        proof = SyncProof(event.challenge, event.certificate, limits.MESSAGE, event.signature)
        self._state = _Issuer.UPLOAD
        sealed = self._channel.seal(encode(proof))
        return Send(wire.encode_welcome(self._welcome._replace(sealed=sealed)))

    def _heard(self, state: _Issuer, frame: bytes) -> Take | Send:
        assert self._channel is not None
        message = open_message(self._channel, frame, limits.MESSAGE)
        match message:
            case SyncPiece() if state is _Issuer.UPLOAD:
                self._peer = message.size
                if not self._joiner.take(message.left, message.data):
                    self._state = _Issuer.UPLOAD
                    return self._send(SyncNext(self._joiner.taken))
                data = self._joiner.whole()
                if decode_signed_upload(data).challenge != self._challenge:
                    raise TapError(Code.REPLAYED_REQUEST, "an upload for another session")
                self._state = _Issuer.LEDGER
                return Take(data)
            case SyncNext(taken) if self._cutter is not None:
                return self._reply(self._cutter, taken)
            case _:
                raise unexpected(message)

    def _taken(self, event: Taken) -> Send:
        if event.refused is not None:
            return self._refuse(event.refused)
        try:
            self._cutter = PieceCutter(event.signed_reply, limits.MESSAGE, self._peer)
        except TapError as error:
            return self._refuse(error.code)
        return self._reply(self._cutter, 0)

    def _reply(self, cutter: PieceCutter, taken: int) -> Send:
        piece = cutter.next(taken)
        if piece.left:
            self._state = _Issuer.REPLY
        return self._send(piece)

    def _refuse(self, code: Code | int) -> Send:
        return self._send(RefuseMessage(int(code)))

    def _send(self, message: SyncMessage) -> Send:
        assert self._channel is not None
        return Send(self._channel.seal(encode(message)))


_INSTITUTION = frozenset({Authority.INSTITUTION})
