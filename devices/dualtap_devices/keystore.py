"""An emulated secure element's keystore: a secret, and the (counter, id) of what it signed last.

It guards nothing against whoever reads its file: it stands for a chip while one is prototyped.
"""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.keystore import Head, check_sign, check_tape
from dualtap.statements import Kind, Scheme, TapeOpening
from dualtap.suite import DIGEST, Signer
from dualtap_devices.flash import Flash
from dualtap_devices.slots import ALIGN, SlotStore

SIZE = 2 * 16 * ALIGN
"""Bytes of flash that a keystore takes: two halves of a log, moved to the other one in every 15 signatures."""
_COUNTER = 8


class EmulatedKeystore:
    """A keystore on :class:`~dualtap_devices.flash.Flash`. Never shows its secret.

    The secret and each (counter, id) are records of a :class:`~dualtap_devices.slots.SlotStore`. Two bare cells,
    written by turns, are not enough: after a failed sync the newer one may be in the page cache only, and to write
    the other one then puts the last that is durable at risk.
    """

    def __init__(self, scheme: Scheme, flash: Flash) -> None:
        """Open a keystore; raise ``STORE_FAILED`` if the flash holds none, or cannot confirm what it holds."""
        self._scheme = scheme
        self._log = SlotStore.open(flash)
        if not self._log.records:
            raise TapError(Code.STORE_FAILED, "no keystore here")
        secret, *cells = self._log.records
        self._signer: Signer = scheme.suite.signer(secret)
        self._head = Head(0, b"")
        if cells:
            self._head = _head(cells[-1])

    @classmethod
    def create(cls, scheme: Scheme, flash: Flash, secret: bytes) -> EmulatedKeystore:
        """Write a new 32-byte secret, drawn by the caller, and open it; raise ``STORE_FAILED`` if one is there."""
        log = SlotStore.open(flash)
        if log.records:
            raise TapError(Code.STORE_FAILED, "a keystore is here already")
        log.append((secret,))
        return cls(scheme, flash)

    @property
    def public(self) -> bytes:
        """The wallet's public key."""
        return self._signer.public

    @property
    def head(self) -> Head:
        """The last tape entry signed."""
        return self._head

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening) -> bytes:
        """Sign a tape entry in order; see :class:`dualtap.keystore.Keystore`."""
        head = check_tape(self._head, self._scheme.id, self.public, kind, public, opening)
        if head != self._head:
            self._write(head)
        return self._signer.sign(head.id)

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape; see :class:`dualtap.keystore.Keystore`."""
        head, named = check_sign(self._head, self._scheme.id, self.public, kind, public)
        if head != self._head:
            self._write(head)
        return self._signer.sign(named)

    def _write(self, head: Head) -> None:
        """Make the new head durable, before anything is signed; after a failure, nothing new until reopened."""
        cell = _cell(head)
        try:
            if self._log.cost((cell,)) > self._log.free:
                self._log.compact((self._log.records[0], cell))
            else:
                self._log.append((cell,))
        except TapError as error:
            raise TapError(Code.KEYSTORE_REFUSED, "its last write was not confirmed") from error
        self._head = head


def _cell(head: Head) -> bytes:
    """Return the bytes of a cell: counter and id; of a retired key, the id (zeros if there is none) and successor."""
    counter = head.ctr.to_bytes(_COUNTER, "big")
    return counter + (head.id or bytes(DIGEST)) + head.successor if head.successor else counter + head.id


def _head(cell: bytes) -> Head:
    """Return what a cell says."""
    end = _COUNTER + DIGEST
    named, successor = cell[_COUNTER:end], cell[end:]
    return Head(int.from_bytes(cell[:_COUNTER], "big"), b"" if named == bytes(DIGEST) else named, successor)


class MemoryKeystore:
    """A keystore without durability, for simulations and benchmarks."""

    def __init__(self, scheme: Scheme, secret: bytes) -> None:
        self._scheme = scheme
        self._signer: Signer = scheme.suite.signer(secret)
        self.head = Head(0, b"")

    @property
    def public(self) -> bytes:
        """The wallet's public key."""
        return self._signer.public

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening) -> bytes:
        """Sign a tape entry in order; see :class:`dualtap.keystore.Keystore`."""
        self.head = check_tape(self.head, self._scheme.id, self._signer.public, kind, public, opening)
        return self._signer.sign(self.head.id)

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape; see :class:`dualtap.keystore.Keystore`."""
        self.head, named = check_sign(self.head, self._scheme.id, self._signer.public, kind, public)
        return self._signer.sign(named)
