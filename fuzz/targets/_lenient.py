"""A suite that believes every signature: what lies behind a signature check is reached without a key.

What a thief can sign with keys of his own, a fuzzer cannot; under this suite it can. Nothing is secret in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from cryptography.exceptions import InvalidTag

from dualtap.suite import ED25519, SUITES, TAG, Suite, Verify


@cache
def _public(secret: bytes) -> bytes:
    """Return a key's public half, which is half of what opening a ledger costs."""
    return ED25519.signer(secret).public


class _Signer:
    def __init__(self, secret: bytes) -> None:
        self.public = _public(secret)

    def sign(self, digest: bytes) -> bytes:
        return hashlib.sha512(self.public + digest).digest()


class _Ephemeral:
    """Two public halves, hashed in order: fast, and no secret at all."""

    def __init__(self, secret: bytes) -> None:
        self.public = hashlib.sha256(secret).digest()

    def exchange(self, peer: bytes) -> bytes:
        return hashlib.sha256(b"".join(sorted((self.public, peer)))).digest()


class _Sealer:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def _tag(self, nonce: bytes, data: bytes) -> bytes:
        return hashlib.blake2b(nonce + data, digest_size=TAG, key=self._key).digest()

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        del associated_data
        return data + self._tag(nonce, data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        del associated_data
        plain, tag = data[:-TAG], data[-TAG:]
        if tag != self._tag(nonce, plain):
            raise InvalidTag
        return plain


def _believe(public: bytes) -> Verify:
    if len(public) != ED25519.public_size:
        ED25519.verifier(public)  # raises as it should

    def verify(signature: bytes, digest: bytes) -> None:
        del signature, digest

    return verify


LENIENT = Suite(
    ED25519.number, ED25519.name, ED25519.public_size, ED25519.seal_key_size, _Signer, _Ephemeral, _believe, _Sealer
)


@contextmanager
def lenient() -> Generator[None]:
    """Let suite 2 be the one that believes everything."""
    SUITES[ED25519.name] = LENIENT
    try:
        yield
    finally:
        SUITES[ED25519.name] = ED25519
