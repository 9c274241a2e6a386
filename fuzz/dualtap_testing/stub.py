"""A suite without cryptography, for simulations: what a signature proves is kept, who can make one is not.

Whoever knows a public key can sign for it, and whoever sees a frame can read it. So it is in no table of suites: no
scheme, no evidence and no vector can name it, and it takes no key but its own kind, nor does any other suite take one
of these.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag

from dualtap.errors import Code, TapError
from dualtap.suite import SIGNATURE, TAG, Ephemeral, Sealer, Signer, Suite, Verify

NUMBER = 238
"""No suite of SPEC §3 has this number, and it is on no wire."""
_MARK = b"\xffSTUB\xff"
"""What every key begins with: no compressed point does."""
_SIZE = 33
"""Bytes of a key: one more than suite 2's."""


def _hash(name: bytes, data: bytes, size: int, key: bytes = b"") -> bytes:
    return hashlib.blake2b(data, digest_size=size, key=key, person=name).digest()


def _public(name: bytes, secret: bytes) -> bytes:
    return _MARK + _hash(name, secret, _SIZE - len(_MARK))


def _check(public: bytes) -> None:
    if len(public) != _SIZE or not public.startswith(_MARK):
        raise TapError(Code.BAD_KEY, "not a key of the stub: a real scheme's keys are not for simulations")


class _Signer:
    __slots__ = ("public",)

    def __init__(self, secret: bytes) -> None:
        self.public = _public(b"sign", secret)

    def sign(self, digest: bytes) -> bytes:
        return _hash(b"signature", digest, SIGNATURE, self.public)


def _verifier(public: bytes) -> Verify:
    _check(public)

    def verify(signature: bytes, digest: bytes) -> None:
        if signature != _hash(b"signature", digest, SIGNATURE, public):
            raise TapError(Code.BAD_SIGNATURE)

    return verify


class _Ephemeral:
    __slots__ = ("public",)

    def __init__(self, secret: bytes) -> None:
        self.public = _public(b"agree", secret)

    def exchange(self, peer: bytes) -> bytes:
        _check(peer)
        if peer == self.public:
            raise TapError(Code.BAD_KEY, "own key reflected")
        return _hash(b"shared", min(peer, self.public) + max(peer, self.public), 32)


_sealed: dict[tuple[bytes, bytes], bytes] = {}


def begin_session() -> None:
    """Forget which nonces were used: a tap that is played again has the same keys, and may say something else."""
    _sealed.clear()


class _Sealer:
    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _tag(self, nonce: bytes, data: bytes) -> bytes:
        return _hash(b"seal", nonce + data, TAG, self._key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        del associated_data
        tag = self._tag(nonce, data)
        if _sealed.setdefault((self._key, nonce), tag) != tag:
            raise AssertionError("two plaintexts are sealed under one key with one nonce")
        return data + tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        del associated_data
        plain, tag = data[:-TAG], data[-TAG:]
        if tag != self._tag(nonce, plain):
            raise InvalidTag
        return plain


def _signer(secret: bytes) -> Signer:
    return _Signer(secret)


def _ephemeral(secret: bytes) -> Ephemeral:
    return _Ephemeral(secret)


def _sealer(key: bytes) -> Sealer:
    return _Sealer(key)


STUB = Suite(NUMBER, "stub", _SIZE, 32, _signer, _ephemeral, _verifier, _sealer)
"""The suite. Its number and name are in no table of :mod:`dualtap.suite`."""
