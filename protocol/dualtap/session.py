"""The sealed session (SPEC §6): two ephemeral keys, one transcript, one key for each direction.

Half-duplex and ordered, so that a nonce is a count of the frames sealed under its key and is never sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from dualtap.codec import pack
from dualtap.errors import Code, TapError
from dualtap.statements import Scheme
from dualtap.suite import TAG, Ephemeral, Sealer, derive, sha256, unseal
from dualtap.wire import VERSION, Hello, Want, Welcome, encode_hello

_NONCE = 12
_IDENT = 16


@dataclass(frozen=True, slots=True)
class Handover:
    """What introduced the two devices before the tap, such as NFC or a QR code (SPEC §6-17); empty: nothing did.

    ``said`` is H(handover request) ‖ H(handover select), 64 bytes; ``ident`` names the responder's ephemeral key.
    """

    said: bytes = b""
    ident: bytes = b""


NO_HANDOVER = Handover()


class Channel:
    """An established session. ``transcript`` (32 bytes) names it; Requests and Presents sign it."""

    __slots__ = ("_open", "_opened", "_seal", "_sealed", "initiator", "transcript")

    def __init__(self, transcript: bytes, initiator: bool, seal: Sealer, unseal: Sealer) -> None:
        self.transcript = transcript
        self.initiator = initiator
        self._seal, self._open = seal, unseal
        self._sealed = self._opened = 0

    def seal(self, plaintext: bytes) -> bytes:
        """Return the next frame."""
        nonce = self._sealed.to_bytes(_NONCE, "big")
        self._sealed += 1
        return self._seal.encrypt(nonce, plaintext, None)

    def open(self, frame: bytes) -> bytes:
        """Return the plaintext of the peer's next frame; raise ``BAD_SEAL`` for any other."""
        if len(frame) < TAG:
            raise TapError(Code.BAD_SEAL)
        plaintext = unseal(self._open, self._opened.to_bytes(_NONCE, "big"), frame)
        self._opened += 1
        return plaintext


def transcript(scheme: Scheme, hello: Hello, welcome: Welcome, handover: Handover = NO_HANDOVER) -> bytes:
    """Return H over the scheme, all offers, both ephemeral keys, both roles, and any handover (SPEC §6-2, §6-17)."""
    choice = pack((welcome.version, welcome.ephemeral, welcome.want))
    return sha256(b"dualtap tap 1" + scheme.id + sha256(encode_hello(hello)) + choice + handover.said)


def ident(ephemeral: bytes) -> bytes:
    """Return the 16 bytes by which a handover names the responder's ephemeral public key (SPEC §6-18)."""
    return derive(ephemeral, b"", b"dualtap ident 1", _IDENT)


def code(transcript: bytes) -> str:
    """Return the six digits that two people compare, to know that their devices share a session (SPEC §19.1-5)."""
    return f"{int.from_bytes(derive(transcript, b'', b'dualtap code 1', 8), 'big') % 1_000_000:06}"


def establish(
    scheme: Scheme,
    ephemeral: Ephemeral,
    initiator: bool,
    hello: Hello,
    welcome: Welcome,
    handover: Handover = NO_HANDOVER,
) -> Channel:
    """Return the channel of a Hello and its Welcome; raise ``BAD_KEY`` for a key reflected, invalid, or not the one
    that the handover named.

    SPEC §6-2, §6-5, §6-17 and §6-18.
    """
    suite = scheme.suite
    if handover.ident and ident(welcome.ephemeral) != handover.ident:
        raise TapError(Code.BAD_KEY, "this is not the device that introduced itself")
    named = transcript(scheme, hello, welcome, handover)
    shared = ephemeral.exchange(welcome.ephemeral if initiator else hello.ephemeral)
    size = suite.seal_key_size
    keys = derive(shared, named, b"dualtap keys 1", 2 * size)
    first, second = suite.sealer(keys[:size]), suite.sealer(keys[size:])
    if initiator:
        return Channel(named, True, first, second)
    return Channel(named, False, second, first)


def check_hello(scheme: Scheme, hello: Hello, own: Want) -> None:
    """Raise ``WRONG_SCHEME``, ``WRONG_VERSION`` or ``WRONG_ROLE``; ``own`` is what this side, the responder, wants.

    SPEC §6-6, §6-7 and §14-15.
    """
    if hello.scheme != scheme.hint:
        raise TapError(Code.WRONG_SCHEME)
    if VERSION not in hello.versions:
        raise TapError(Code.WRONG_VERSION)
    _check_parts(own, hello.want)


def check_welcome(welcome: Welcome, own: Want) -> None:
    """Raise ``WRONG_VERSION``, ``WRONG_ROLE`` or ``MALFORMED``; ``own`` is what this side, the initiator, wants.

    SPEC §6-7 to §6-9, §14-15 and §14-16.
    """
    if welcome.version != VERSION:
        raise TapError(Code.WRONG_VERSION)
    _check_parts(own, welcome.want)
    speaks = Want.SYNC if own == Want.SYNC else Want.COLLECT
    if bool(welcome.sealed) != (speaks in welcome.want):
        raise TapError(Code.MALFORMED, "a Welcome carries the payee's or issuer's message, and only that")


def _check_parts(own: Want, peer: Want) -> None:
    """Raise ``WRONG_ROLE`` unless the peer plays the other part (SPEC §6-8); in a sync, both want that alone."""
    if own == Want.SYNC:
        if peer != Want.SYNC:
            raise TapError(Code.WRONG_ROLE)
    elif Want.OWN in own:
        if peer & ~Want.AUTHORITIES != Want.OWN:
            raise TapError(Code.WRONG_ROLE)
    elif (Want.PAY in peer, Want.COLLECT in peer) != (Want.COLLECT in own, Want.PAY in own):
        raise TapError(Code.WRONG_ROLE)
