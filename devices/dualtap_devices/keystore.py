"""An emulated secure element's keystore: a secret, the (counter, id) of what it signed last, and a PIN.

It guards nothing against whoever reads its file: it stands for a chip while one is prototyped.
"""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.keystore import Head, check_sign, check_tape
from dualtap.pin import PinCell
from dualtap.statements import Kind, Scheme, TapeOpening
from dualtap.suite import DIGEST, Signer
from dualtap_devices.flash import Flash
from dualtap_devices.pin import KeptPin, decode_cell, encode_cell, pin_key
from dualtap_devices.slots import ALIGN, SlotStore

SIZE = 2 * 16 * ALIGN
"""Bytes of flash that a keystore takes: two halves of a log, moved to the other one in every 15 signatures."""
_COUNTER = 8
_SECRET = 32
_CELLS = (_COUNTER + DIGEST, _COUNTER + 2 * DIGEST)


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
        if len(secret) != _SECRET:
            raise TapError(Code.STORE_FAILED, "a record that no keystore wrote")
        self._signer: Signer = scheme.suite.signer(secret)
        self._head, kept = Head(0, b""), (PinCell(), pin_key(secret))
        for cell in cells:
            found = decode_cell(cell)
            if found is not None:
                kept = found
            else:
                self._head = _head(cell)
        self._pin = KeptPin(kept[1], kept[0], self._write_pin)

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

    @property
    def pin(self) -> KeptPin:
        """The PIN; none is set at first."""
        return self._pin

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        """Sign a tape entry in order; see :class:`dualtap.keystore.Keystore`."""
        before, pin = self._head, self._pin
        head = check_tape(before, self._scheme.id, self.public, kind, public, opening, private, pin.cell)
        if head != before:
            self._write(head, pin.without_claim() if kind is Kind.TRANSFER else pin.cell)
        return self._signer.sign(head.id)

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape; see :class:`dualtap.keystore.Keystore`."""
        head, named = check_sign(self._head, self._scheme.id, self.public, kind, public)
        if head != self._head:
            self._write(head, self._pin.cell)
        return self._signer.sign(named)

    def _write(self, head: Head, cell: PinCell) -> None:
        """Make both durable at once, before anything is signed; after a failure, nothing new until reopened."""
        new = [_cell(head)] if head != self._head else []
        if cell != self._pin.cell:
            new.append(encode_cell(cell, self._pin.key))
        try:
            if self._log.cost(new) > self._log.free:
                whole = [self._log.records[0], encode_cell(cell, self._pin.key)]
                self._log.compact([*whole, _cell(head)] if head != Head(0, b"") else whole)
            else:
                self._log.append(new)
        except TapError as error:
            raise TapError(Code.KEYSTORE_REFUSED, "its last write was not confirmed") from error
        self._head = head
        self._pin.kept(cell)

    def _write_pin(self, cell: PinCell) -> None:
        self._write(self._head, cell)


def _cell(head: Head) -> bytes:
    """Return the bytes of a cell: counter and id (zeros if there is none); of a retired key, its successor."""
    return head.ctr.to_bytes(_COUNTER, "big") + (head.id or bytes(DIGEST)) + head.successor


def _head(cell: bytes) -> Head:
    """Return what a cell says; raise ``STORE_FAILED`` for what is none."""
    if len(cell) not in _CELLS:
        raise TapError(Code.STORE_FAILED, "a record that no keystore wrote")
    end = _COUNTER + DIGEST
    named, successor = cell[_COUNTER:end], cell[end:]
    return Head(int.from_bytes(cell[:_COUNTER], "big"), b"" if named == bytes(DIGEST) else named, successor)


class MemoryKeystore:
    """A keystore without durability, for simulations and benchmarks."""

    def __init__(self, scheme: Scheme, secret: bytes) -> None:
        self._scheme = scheme
        self._signer: Signer = scheme.suite.signer(secret)
        self.head = Head(0, b"")
        self.pin = KeptPin(pin_key(secret), PinCell(), lambda cell: None)
        """The PIN; none is set at first."""

    @property
    def public(self) -> bytes:
        """The wallet's public key."""
        return self._signer.public

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        """Sign a tape entry in order; see :class:`dualtap.keystore.Keystore`."""
        before, own, pin = self.head, self._signer.public, self.pin
        self.head = check_tape(before, self._scheme.id, own, kind, public, opening, private, pin.cell)
        if kind is Kind.TRANSFER and self.head != before:
            pin.kept(pin.without_claim())
        return self._signer.sign(self.head.id)

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape; see :class:`dualtap.keystore.Keystore`."""
        self.head, named = check_sign(self.head, self._scheme.id, self._signer.public, kind, public)
        return self._signer.sign(named)
