"""Sees every secret that a suite, a generator or a chip's PIN handles, and every nonce that is used with a key.

The suites are watched at their own boundary, so that whatever runs in this process is: command line, taps, syncs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple
from unittest.mock import patch

from dualtap.suite import SUITES, Drbg, Ephemeral, Sealer, Signer, Suite
from dualtap_devices import keystore, pin

LEAST = 4
"""Bytes of the shortest secret that is looked for: a shorter one would be found by chance."""


class Sealed(NamedTuple):
    """One use of a sealing key."""

    key: bytes
    nonce: bytes


class Watch:
    """What crossed the boundary."""

    def __init__(self) -> None:
        self.secrets: dict[bytes, str] = {}
        """Each secret, and what it is."""
        self.ephemerals: list[bytes] = []
        """The public half of each ephemeral key pair, as often as it was made."""
        self.agreed: list[bytes] = []
        """What two ephemeral keys agreed on, as each side computed it."""
        self.sealed: list[Sealed] = []
        self.nonces: dict[tuple[bytes, bytes], set[bytes]] = {}
        """Signing key and the first half of a signature, which shows its nonce: the digests signed with it."""

    def secret(self, what: str, value: bytes) -> bytes:
        """Remember a secret."""
        if len(value) >= LEAST:
            self.secrets.setdefault(value, what)
        return value

    def repeated(self) -> list[str]:
        """Return what was used twice and must not be."""
        found: list[str] = []
        if len(set(self.sealed)) != len(self.sealed):
            found.append("a nonce under one sealing key")
        if len(set(self.ephemerals)) != len(self.ephemerals):
            found.append("an ephemeral key pair")
        if any(self.agreed.count(secret) > 2 for secret in set(self.agreed)):
            found.append("a session's secret")
        if any(len(digests) > 1 for digests in self.nonces.values()):
            found.append("a signature's nonce")
        return found


class _Signer:
    def __init__(self, watch: Watch, inner: Signer) -> None:
        self._watch, self._inner = watch, inner
        self.public = inner.public

    def sign(self, digest: bytes) -> bytes:
        signature = self._inner.sign(digest)
        self._watch.nonces.setdefault((self.public, signature[:32]), set()).add(digest)
        return signature


class _Ephemeral:
    def __init__(self, watch: Watch, inner: Ephemeral) -> None:
        self._watch, self._inner = watch, inner
        self.public = inner.public

    def exchange(self, peer: bytes) -> bytes:
        shared = self._inner.exchange(peer)
        self._watch.agreed.append(shared)
        return self._watch.secret("what two ephemeral keys agreed on", shared)


class _Sealer:
    def __init__(self, watch: Watch, key: bytes, inner: Sealer) -> None:
        self._watch, self._key, self._inner = watch, key, inner

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        self._watch.sealed.append(Sealed(self._key, nonce))
        return self._inner.encrypt(nonce, data, associated_data)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        return self._inner.decrypt(nonce, data, associated_data)


class Makers(NamedTuple):
    """The four constructors of a suite."""

    signer: Callable[[bytes], Signer]
    ephemeral: Callable[[bytes], Ephemeral]
    sealer: Callable[[bytes], Sealer]


def makers(suite: Suite, watch: Watch) -> Makers:
    """Return what makes a suite's keys, watched."""
    inner = Makers(suite.signer, suite.ephemeral, suite.sealer)

    def signer(secret: bytes) -> Signer:
        return _Signer(watch, inner.signer(watch.secret("a signing key", secret)))

    def ephemeral(secret: bytes) -> Ephemeral:
        made = _Ephemeral(watch, inner.ephemeral(watch.secret("an ephemeral key", secret)))
        watch.ephemerals.append(made.public)
        return made

    def sealer(key: bytes) -> Sealer:
        return _Sealer(watch, key, inner.sealer(watch.secret("a sealing key", key)))

    return Makers(signer, ephemeral, sealer)


@contextmanager
def watched() -> Generator[Watch]:
    """Watch both suites, every generator and every PIN of this process."""
    watch = Watch()
    begin, digest, key = Drbg.__init__, pin.pin_digest, pin.pin_key

    def began(self: Drbg, seed: bytes) -> None:
        begin(self, watch.secret("a generator's seed", seed))

    def digested(chip: bytes, what: bytes, digits: bytes) -> bytes:
        return watch.secret("what a chip keeps of a PIN", digest(chip, what, watch.secret("a PIN", digits)))

    def keyed(secret: bytes) -> bytes:
        return watch.secret("the key of a chip's PIN", key(secret))

    with ExitStack() as stack:
        stack.enter_context(patch.object(Drbg, "__init__", began))
        stack.enter_context(patch.object(pin, "pin_digest", digested))
        stack.enter_context(patch.object(keystore, "pin_key", keyed))
        for suite in SUITES.values():
            before = Makers(suite.signer, suite.ephemeral, suite.sealer)
            _put(suite, makers(suite, watch))
            stack.callback(_put, suite, before)
        yield watch


def _put(suite: Suite, made: Makers) -> None:
    for name, maker in made._asdict().items():
        object.__setattr__(suite, name, maker)  # a suite is frozen for everybody else


# Looking for secrets


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield the ways in which a secret may be written: raw, hex, base64 at any offset, a number, a Python literal."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield repr(secret)[2:-1].encode()
    for filler in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(bytes(filler) + secret)
            yield whole[-(-8 * filler // 6) : 4 * ((filler + len(secret)) // 3)]
    if len(secret) >= 16:
        yield str(int.from_bytes(secret, "big")).encode()
        yield str(int.from_bytes(secret, "little")).encode()


def leaks(secrets: dict[bytes, str], places: Iterable[tuple[str, bytes]]) -> set[str]:
    """Return where a secret stands: what it is and the name of the place."""
    sought = [(form, what) for secret, what in secrets.items() for form in set(forms(secret))]
    found: set[str] = set()
    for name, data in places:
        dense = data.replace(bytes(256), b"")  # flash that was never written
        found |= {f"{what} in {name}" for form, what in sought if form in dense}
    return found
