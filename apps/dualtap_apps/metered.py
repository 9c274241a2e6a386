"""Suites that are watched: what a tap asks of its cryptography, counted; and what it seals and opens, seen.

The tap is the real one: each call is passed on to the real suite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dualtap import suite as suites
from dualtap.keystore import Head, Keystore
from dualtap.pin import Pin
from dualtap.statements import Kind, TapeOpening
from dualtap.suite import DIGEST, Ephemeral, Sealer, Suite, Verify
from dualtap_transports.timing.cards import SHA_BLOCK, Work, ccm_blocks, sha_blocks

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

Seen = Callable[[bytes, bytes], None]
"""Is told a frame and what it holds: ``seen(sealed, plaintext)``."""


class Meter:
    """Counts the operations of one side. Only what happens inside :meth:`running` is hashing of this side."""

    def __init__(self) -> None:
        self.work = Work()

    def add(self, work: Work) -> None:
        """Count operations."""
        self.work += work

    def taken(self) -> Work:
        """Return what was counted since the last call, and begin anew."""
        work, self.work = self.work, Work()
        return work

    def suite(self, suite: Suite) -> Suite:
        """Return a suite that does what ``suite`` does, counted here."""

        def ephemeral(secret: bytes) -> Ephemeral:
            self.add(Work(keygen=1))
            return _Ephemeral(suite.ephemeral(secret), self)

        def verifier(public: bytes) -> Verify:
            self.add(Work(keys_decoded=1))
            verify = suite.verifier(public)

            def counted(signature: bytes, digest: bytes) -> None:
                self.add(Work(verify=1))
                verify(signature, digest)

            return counted

        def sealed(frame: bytes, plain: bytes) -> None:
            del frame
            self.add(Work(aes_blocks=ccm_blocks(len(plain))))

        def sealer(key: bytes) -> Sealer:
            self.add(Work(aes_keys=1))
            return _Sealer(suite.sealer(key), sealed)

        return replace(suite, ephemeral=ephemeral, verifier=verifier, sealer=sealer)

    @contextmanager
    def running(self) -> Generator[None]:
        """Count what is hashed, and derived by HKDF, until the end of the ``with``."""
        hashed = suites._sha256  # pyright: ignore[reportPrivateUsage] - every hash of the core goes through it

        def sha256(data: bytes) -> object:
            self.add(Work(sha_blocks=sha_blocks(len(data))))
            return hashed(data)

        def hkdf(algorithm: HashAlgorithm, length: int, salt: bytes, info: bytes) -> _Hkdf:
            return _Hkdf(HKDF(algorithm, length, salt, info), length, info, self)

        with patch.object(suites, "_sha256", sha256), patch.object(suites, "HKDF", hkdf):
            yield


def seen_by(suite: Suite, seen: Seen) -> Suite:
    """Return a suite that tells ``seen`` what it sealed or opened; what cannot be opened is not told."""

    def sealer(key: bytes) -> Sealer:
        return _Sealer(suite.sealer(key), seen)

    return replace(suite, sealer=sealer)


class MeteredKeystore:
    """A keystore whose signatures are counted; what it hashes is counted as its wallet's."""

    def __init__(self, keystore: Keystore, meter: Meter) -> None:
        self._keystore, self._meter = keystore, meter

    @property
    def public(self) -> bytes:
        """See :class:`dualtap.keystore.Keystore`, as the rest."""
        return self._keystore.public

    @property
    def head(self) -> Head:
        """The last tape entry signed."""
        return self._keystore.head

    @property
    def pin(self) -> Pin | None:
        """Its PIN."""
        return self._keystore.pin

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        """Sign a tape entry."""
        self._meter.add(Work(sign=1))
        return self._keystore.sign_tape(kind, public, opening, private)

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape."""
        self._meter.add(Work(sign=1))
        return self._keystore.sign(kind, public)


class _Ephemeral:
    def __init__(self, ephemeral: Ephemeral, meter: Meter) -> None:
        self._ephemeral, self._meter = ephemeral, meter

    @property
    def public(self) -> bytes:
        return self._ephemeral.public

    def exchange(self, peer: bytes) -> bytes:
        self._meter.add(Work(ecdh=1, keys_decoded=1))
        return self._ephemeral.exchange(peer)


class _Sealer:
    def __init__(self, sealer: Sealer, seen: Seen) -> None:
        self._sealer, self._seen = sealer, seen

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        sealed = self._sealer.encrypt(nonce, data, associated_data)
        self._seen(sealed, data)
        return sealed

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        plain = self._sealer.decrypt(nonce, data, associated_data)
        self._seen(data, plain)
        return plain


class _Hkdf:
    """HKDF-SHA-256 counted as RFC 5869 has it: one HMAC to extract, and one for each 32 bytes expanded."""

    def __init__(self, hkdf: HKDF, length: int, info: bytes, meter: Meter) -> None:
        self._hkdf, self._meter = hkdf, meter
        self._length, self._info = length, info

    def derive(self, secret: bytes) -> bytes:
        blocks = _hmac_blocks(len(secret))
        for step in range(math.ceil(self._length / DIGEST)):
            blocks += _hmac_blocks((DIGEST if step else 0) + len(self._info) + 1)
        self._meter.add(Work(sha_blocks=blocks))
        return self._hkdf.derive(secret)


def _hmac_blocks(size: int) -> int:
    return sha_blocks(SHA_BLOCK + size) + sha_blocks(SHA_BLOCK + DIGEST)
