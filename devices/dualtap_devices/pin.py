"""The PIN of an emulated chip (SPEC §22): counted down durably before it is compared, whatever cuts the power."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.pin import PinCell, check_digits

_CELL = 3 + 3 * 32
_NONE = bytes(32)
_PIN, _CODE = b"pin", b"code"


class KeptPin:
    """A :class:`~dualtap.pin.Pin`. ``key`` is the chip's own secret, and ``write`` makes a cell durable, or raises."""

    def __init__(self, key: bytes, cell: PinCell, write: Callable[[PinCell], None]) -> None:
        self.key = key
        """Keys the digests; durable with each cell, for the PIN outlives the signing key (SPEC §22-16)."""
        self._cell = cell
        self._write = write

    @property
    def cell(self) -> PinCell:
        """What is kept."""
        return self._cell

    def personalise(self, code: bytes) -> None:
        """Keep the unblocking code."""
        check_digits(code, code=True)
        if self._cell.code or self._cell.pin:
            raise TapError(Code.KEYSTORE_REFUSED, "this chip is personalised, or has a PIN")
        self._keep(self._cell._replace(code=pin_digest(self.key, _CODE, code)))

    def set(self, pin: bytes) -> None:
        """Set the first PIN."""
        check_digits(pin)
        if self._cell.pin:
            raise TapError(Code.KEYSTORE_REFUSED, "a PIN is set; change it")
        self._keep(self._cell._replace(pin=pin_digest(self.key, _PIN, pin)))

    def verify(self, pin: bytes) -> None:
        """Compare the PIN, and remember that it was right."""
        self._compare(pin, pin_digest(self.key, _PIN, pin))

    def change(self, old: bytes, new: bytes) -> None:
        """Set another PIN in the place of the old one."""
        check_digits(new)
        self._compare(old, pin_digest(self.key, _PIN, old), new)

    def _compare(self, pin: bytes, digest: bytes, new: bytes = b"") -> None:
        check_digits(pin)
        if not self._cell.pin:
            raise TapError(Code.KEYSTORE_REFUSED, "no PIN is set")
        if self._cell.blocked:
            raise TapError(Code.PIN_BLOCKED)
        left = self._cell.tries - 1
        self._keep(self._cell._replace(tries=left, verified=False))
        if not hmac.compare_digest(digest, self._cell.pin):
            if not left:
                raise TapError(Code.PIN_BLOCKED, "that was the last try")
            raise TapError(Code.PIN_WRONG, f"{left} {'try' if left == 1 else 'tries'} left")
        kept = pin_digest(self.key, _PIN, new) if new else self._cell.pin
        self._keep(self._cell._replace(pin=kept, tries=limits.PIN_TRIES, verified=True))

    def unblock(self, code: bytes, new: bytes) -> None:
        """Set another PIN for the unblocking code. The user is not verified by it: whoever reads a letter can."""
        check_digits(code, code=True)
        check_digits(new)
        cell = self._cell
        if not cell.code:
            raise TapError(Code.PIN_BLOCKED, "this chip was given no unblocking code: move to a new wallet")
        if not cell.unblocks:
            raise TapError(Code.PIN_BLOCKED, "the unblocking codes are used up: move to a new wallet")
        self._keep(cell._replace(unblocks=cell.unblocks - 1, verified=False))
        if not hmac.compare_digest(pin_digest(self.key, _CODE, code), cell.code):
            raise TapError(Code.PIN_WRONG, f"the unblocking code; {self._cell.unblocks} left")
        digest = pin_digest(self.key, _PIN, new)
        self._keep(PinCell(digest, cell.code, limits.PIN_TRIES, limits.UNBLOCK_TRIES, verified=False))

    def forget(self) -> None:
        """Take the user for not verified."""
        if self._cell.verified:
            self._keep(self.without_claim())

    def inherit(self, other: KeptPin) -> None:
        """Take over the PIN of the key before: its tries as they are, and nobody verified."""
        before, self.key = self.key, other.key
        try:
            self._keep(other.without_claim())
        except TapError:
            self.key = before
            raise

    def without_claim(self) -> PinCell:
        """Return the cell as it is once a transfer was signed."""
        return self._cell._replace(verified=False)

    def kept(self, cell: PinCell) -> None:
        """Take a cell that is durable already: the keystore wrote it with its own."""
        self._cell = cell

    def _keep(self, cell: PinCell) -> None:
        self._write(cell)
        self._cell = cell


def pin_key(secret: bytes) -> bytes:
    """Return what keys a chip's digests: of its own secret, so that no two chips keep the same of one PIN."""
    return hashlib.sha256(b"dualtap pin 1" + secret).digest()


def pin_digest(key: bytes, what: bytes, pin: bytes) -> bytes:
    """Return what is kept of a PIN or code."""
    return hmac.new(key, what + pin, hashlib.sha256).digest()


def encode_cell(cell: PinCell, key: bytes) -> bytes:
    """Return the bytes of a cell and its key, always as many."""
    counts = bytes([cell.tries, cell.unblocks, cell.verified])
    return counts + (cell.pin or _NONE) + (cell.code or _NONE) + key


def decode_cell(data: bytes) -> tuple[PinCell, bytes] | None:
    """Return the cell in these bytes and its key, or ``None`` if they are none."""
    if len(data) != _CELL:
        return None
    pin, code, key = data[3:35], data[35:67], data[67:]
    tries, unblocks, verified = data[:3]
    return PinCell(b"" if pin == _NONE else pin, b"" if code == _NONE else code, tries, unblocks, bool(verified)), key
