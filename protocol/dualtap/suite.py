"""The two suites of algorithms (SPEC §3): a scheme has exactly one, and each has one acceptance rule.

Nothing here draws randomness for a caller: secrets come from bytes passed in. ECDSA signs with RFC 6979 nonces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dualtap.errors import Code, TapError

SIGNATURE = 64
"""Bytes of every signature: r and s, or Ed25519's R and S."""
DIGEST = 32
"""Bytes of every digest: SHA-256, never truncated."""
TAG = 16
"""Bytes that sealing adds."""

Verify = Callable[[bytes, bytes], None]
"""``verify(signature, digest)``: returns nothing, or raises ``TapError(BAD_SIGNATURE)``."""


_sha256 = hashlib.sha256


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of ``data``."""
    return _sha256(data).digest()


class Signer(Protocol):
    """A private signing key. It never shows its secret."""

    @property
    def public(self) -> bytes:
        """The public key, in the suite's one encoding."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """Return a 64-byte signature over a 32-byte digest."""
        ...


class Ephemeral(Protocol):
    """A key pair for one session."""

    @property
    def public(self) -> bytes:
        """The public key, in the suite's one encoding."""
        ...

    def exchange(self, peer: bytes) -> bytes:
        """Return the 32-byte shared secret; raise ``BAD_KEY`` for an invalid, own or small-order key."""
        ...


class Sealer(Protocol):
    """Authenticated encryption under one key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the plaintext, or raise ``InvalidTag``."""
        ...


@dataclass(frozen=True, slots=True)
class Suite:
    """A set of algorithms: number on the wire, name, public-key size and sealing-key size in bytes."""

    number: int
    name: str
    public_size: int
    seal_key_size: int
    signer: Callable[[bytes], Signer]
    ephemeral: Callable[[bytes], Ephemeral]
    verifier: Callable[[bytes], Verify]
    sealer: Callable[[bytes], Sealer]

    def __repr__(self) -> str:
        """Return the suite's name."""
        return f"<suite {self.name}>"


def derive(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """Return ``length`` bytes of HKDF-SHA-256 (RFC 5869)."""
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def unseal(sealer: Sealer, nonce: bytes, data: bytes) -> bytes:
    """Return the plaintext of ``data``, or raise ``BAD_SEAL``."""
    try:
        return sealer.decrypt(nonce, data, None)
    except (InvalidTag, ValueError):
        raise TapError(Code.BAD_SEAL) from None


_CURVE = ec.SECP256R1()
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_HALF = _ORDER // 2
_ECDSA = ec.ECDSA(Prehashed(hashes.SHA256()))
_RFC6979 = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)
_ECDH = ec.ECDH()


def _scalar(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big") % (_ORDER - 1) + 1, _CURVE)


def _compressed(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def _p256_point(public: bytes) -> ec.EllipticCurvePublicKey:
    if len(public) != 33:
        raise TapError(Code.BAD_KEY, "a P-256 key is a 33-byte compressed point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public)
    except ValueError:
        raise TapError(Code.BAD_KEY, "not a point of P-256") from None


class _P256Signer:
    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = _scalar(secret)
        self.public = _compressed(self._key)

    def sign(self, digest: bytes) -> bytes:
        r, s = decode_dss_signature(self._key.sign(digest, _RFC6979))
        # Of the two signatures (r, s) and (r, n - s), which anybody can turn into each other, only the low s counts.
        return r.to_bytes(32, "big") + min(s, _ORDER - s).to_bytes(32, "big")


def _p256_verifier(public: bytes) -> Verify:
    key = _p256_point(public)

    def verify(signature: bytes, digest: bytes) -> None:
        s = int.from_bytes(signature[32:], "big")
        if len(signature) != SIGNATURE or s > _HALF:
            raise TapError(Code.BAD_SIGNATURE)
        try:
            key.verify(encode_dss_signature(int.from_bytes(signature[:32], "big"), s), digest, _ECDSA)
        except InvalidSignature:
            raise TapError(Code.BAD_SIGNATURE) from None

    return verify


class _P256Ephemeral:
    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = _scalar(secret)
        self.public = _compressed(self._key)

    def exchange(self, peer: bytes) -> bytes:
        if peer == self.public:
            raise TapError(Code.BAD_KEY, "own key reflected")
        shared = self._key.exchange(_ECDH, _p256_point(peer))
        if not any(shared):
            raise TapError(Code.BAD_KEY, "a key that leads to a secret of zeros")
        return shared


def _aes_ccm(key: bytes) -> Sealer:
    return AESCCM(key, tag_length=TAG)


_FIELD = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
_Y = (1 << 255) - 1


class _Ed25519Signer:
    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, digest: bytes) -> bytes:
        return self._key.sign(digest)


def _ed25519_verifier(public: bytes) -> Verify:
    if len(public) != 32:
        raise TapError(Code.BAD_KEY, "an Ed25519 key has 32 bytes")
    y = int.from_bytes(public, "little") & _Y
    if y >= _FIELD or y in _SMALL:
        raise TapError(Code.BAD_KEY, "a non-canonical or small-order Ed25519 key")
    key = ed25519.Ed25519PublicKey.from_public_bytes(public)

    def verify(signature: bytes, digest: bytes) -> None:
        try:
            key.verify(signature, digest)
        except InvalidSignature:
            raise TapError(Code.BAD_SIGNATURE) from None

    return verify


class _X25519Ephemeral:
    __slots__ = ("_key", "public")

    def __init__(self, secret: bytes) -> None:
        self._key = x25519.X25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    def exchange(self, peer: bytes) -> bytes:
        if peer == self.public:
            raise TapError(Code.BAD_KEY, "own key reflected")
        if len(peer) != 32 or int.from_bytes(peer, "little") >= _FIELD:
            raise TapError(Code.BAD_KEY, "not a canonical X25519 key")
        try:
            return self._key.exchange(x25519.X25519PublicKey.from_public_bytes(peer))
        except ValueError:
            raise TapError(Code.BAD_KEY, "a small-order X25519 key") from None


P256 = Suite(1, "p256", 33, 16, _P256Signer, _P256Ephemeral, _p256_verifier, _aes_ccm)
ED25519 = Suite(2, "ed25519", 32, 32, _Ed25519Signer, _X25519Ephemeral, _ed25519_verifier, ChaCha20Poly1305)
SUITES: dict[str, Suite] = {suite.name: suite for suite in (P256, ED25519)}


class Drbg:
    """Deterministic bytes from a seed of entropy passed in: SHA-256 of seed and a counter."""

    __slots__ = ("_count", "_seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) < DIGEST:
            raise TapError(Code.BAD_INPUT, "a seed has at least 32 bytes of entropy")
        self._seed = seed
        self._count = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, at most 32."""
        self._count += 1
        return sha256(self._seed + self._count.to_bytes(8, "big"))[:size]

    def below(self, bound: int) -> int:
        """Return an integer in ``[0, bound)``, with a bias below 2**-64 for bounds up to 2**64."""
        return int.from_bytes(self.take(16), "big") % bound
