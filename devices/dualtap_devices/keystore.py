"""An emulated secure element's keystore: a secret, and an atomic (counter, id) cell in two slots.

It guards nothing against whoever reads its file: it stands for a chip while one is prototyped.
"""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.keystore import Head, check_off_tape, check_tape
from dualtap.statements import Kind, Scheme, TapeOpening
from dualtap.suite import Signer, sha256
from dualtap_devices.flash import Flash

SECTOR = 512
"""Bytes that a torn write may damage: the secret and both slots lie in sectors of their own."""
SIZE = 3 * SECTOR
"""Bytes of flash that a keystore takes."""
_CELL = 8 + 8 + 32


class EmulatedKeystore:
    """A keystore on :class:`~dualtap_devices.flash.Flash`. Never shows its secret."""

    def __init__(self, scheme: Scheme, flash: Flash) -> None:
        """Open a keystore; raise ``STORE_FAILED`` if the flash holds none, or cannot confirm what it holds."""
        self._scheme = scheme
        self._flash = flash
        secret = flash.read(0, 32)
        if flash.read(32, 32) != sha256(secret):
            raise TapError(Code.STORE_FAILED, "no keystore here")
        self._signer: Signer = scheme.suite.signer(secret)
        cells = [cell for cell in (self._cell(0), self._cell(1)) if cell is not None]
        self._sequence, self._head = max(cells, default=(0, Head(0, b"")))
        self._failed = False
        if cells:
            # What is read may be only in a cache, after a sync that failed: write it again, and confirm.
            self._write(self._head)

    @classmethod
    def create(cls, scheme: Scheme, flash: Flash, secret: bytes) -> EmulatedKeystore:
        """Write a new 32-byte secret, drawn by the caller, and open it."""
        flash.write(0, secret + sha256(secret))
        flash.sync()
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
        if self._failed:
            raise TapError(Code.KEYSTORE_REFUSED, "its last write was not confirmed")
        head = check_tape(self._head, self._scheme.id, self.public, kind, public, opening)
        if head != self._head:
            self._write(head)
        return self._signer.sign(head.id)

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape; see :class:`dualtap.keystore.Keystore`."""
        return self._signer.sign(check_off_tape(self._scheme.id, self.public, kind, public))

    def _cell(self, slot: int) -> tuple[int, Head] | None:
        raw = self._flash.read((1 + slot) * SECTOR, _CELL + 32)
        cell, digest = raw[:_CELL], raw[_CELL:]
        if sha256(cell) != digest:
            return None
        return int.from_bytes(cell[:8], "big"), Head(int.from_bytes(cell[8:16], "big"), cell[16:])

    def _write(self, head: Head) -> None:
        """Write the older slot and confirm it, before anything is signed."""
        sequence = self._sequence + 1
        cell = sequence.to_bytes(8, "big") + head.ctr.to_bytes(8, "big") + head.id
        try:
            self._flash.write((1 + sequence % 2) * SECTOR, cell + sha256(cell))
            self._flash.sync()
        except OSError as error:
            self._failed = True
            raise TapError(Code.KEYSTORE_REFUSED, "its write was not confirmed") from error
        self._sequence, self._head = sequence, head


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
        return self._signer.sign(check_off_tape(self._scheme.id, self._signer.public, kind, public))
