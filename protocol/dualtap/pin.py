"""A PIN in the chip (SPEC §22): what a keystore keeps of it, what it may be asked, and the rules by which it counts.

The chip compares; the host only hands over what the person typed, and forgets it. No memory-hard function stands
between the PIN and what is kept of it, as one would in a server: a card has a few KiB of memory, and ten thousand PINs
are few whatever each costs. What guards the PIN is that the chip cannot be read, and that it counts.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dualtap import limits
from dualtap.allowance import BY_CHIP
from dualtap.errors import Code, TapError
from dualtap.statements import Kind


class Pin(Protocol):
    """What a keystore with a PIN is asked besides signing. A PIN has 4 to 12 digits, the unblocking code 8 to 16.

    Every change is durable on return. Raises ``BAD_INPUT`` for what is no PIN, and uses no try for it;
    ``KEYSTORE_REFUSED`` where a write is not confirmed, or for a call that is not allowed now.
    """

    @property
    def cell(self) -> PinCell:
        """What is kept: how many tries are left, and whether the user is verified."""
        ...

    def personalise(self, code: bytes) -> None:
        """Keep the unblocking code, which the issuer knows: once, and before there is a PIN."""
        ...

    def set(self, pin: bytes) -> None:
        """Set the first PIN."""
        ...

    def verify(self, pin: bytes) -> None:
        """Compare; raise ``PIN_WRONG``, with the tries left, or ``PIN_BLOCKED``."""
        ...

    def change(self, old: bytes, new: bytes) -> None:
        """Set another PIN, for the old one; raise as :meth:`verify`. The user is verified then as well."""
        ...

    def unblock(self, code: bytes, new: bytes) -> None:
        """Set another PIN for the unblocking code; raise ``PIN_WRONG``, or ``PIN_BLOCKED`` if codes are used up."""
        ...

    def forget(self) -> None:
        """Take the user for not verified: the payment that the PIN was for is not made."""
        ...


class PinCell(NamedTuple):
    """What a chip keeps: digests of PIN and unblocking code (empty: none), tries left, whether the user is verified.

    ``verified`` outlives a loss of power: a transfer that is durable and says so must still be signed (SPEC §12-7).
    """

    pin: bytes = b""
    code: bytes = b""
    tries: int = limits.PIN_TRIES
    unblocks: int = limits.UNBLOCK_TRIES
    verified: bool = False

    def __repr__(self) -> str:
        return f"PinCell(set={bool(self.pin)}, tries={self.tries}, verified={self.verified})"

    @property
    def blocked(self) -> bool:
        """Whether the PIN is taken no more."""
        return not self.tries


def check_digits(pin: bytes, *, code: bool = False) -> None:
    """Raise ``BAD_INPUT`` unless these are the digits (ASCII) of a PIN, or of an unblocking code."""
    what, least, most = "a PIN", limits.PIN_LEAST, limits.PIN_MOST
    if code:
        what, least, most = "an unblocking code", limits.UNBLOCK_LEAST, limits.UNBLOCK_MOST
    if not least <= len(pin) <= most or not pin.isdigit():
        raise TapError(Code.BAD_INPUT, f"{what} has {least} to {most} digits")


def check_claim(kind: Kind, private: bytes, cell: PinCell | None) -> None:
    """Raise ``UNVERIFIED`` for a transfer that claims more than this keystore has seen of its user (SPEC §22-13)."""
    if kind is Kind.TRANSFER and private[0] >= BY_CHIP and not (cell is not None and cell.verified):
        raise TapError(Code.UNVERIFIED, "this keystore has not verified its user")
