"""What authorities sign (SPEC §4.3): tokens, certificates, the date and the policy.

Everything here is a frozen value. An authority is named by a hint of its key, which finds it; the signature proves it.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple, TypeAlias

from dualtap.limits import AMOUNT
from dualtap.statements import Kind
from dualtap.suite import sha256


class Carrier(IntEnum):
    """The form of a wallet."""

    WATCH = 1
    CARD = 2
    POS = 3
    PHONE = 4
    SIM = 5
    SD = 6
    THING = 7


class Role(IntFlag):
    """What a wallet certificate allows."""

    PAY = 1
    COLLECT = 2


class Authority(IntEnum):
    """What a certificate of the root or of an institution makes its holder."""

    INSTITUTION = 1
    BANK = 2
    POLICY = 3


class Condition(NamedTuple):
    """A rule that binds the token's owner: a code and its parameter (SPEC §5.6)."""

    code: int
    value: bytes


def key_hint(key: bytes) -> bytes:
    """Return the four bytes that name an authority's key on the wire. They find it; the signature proves it."""
    return sha256(key)[:4]


class Token(NamedTuple):
    """Value that an institution issued to one wallet key: ``[0, amount)`` minor units.

    ``issuer`` is the hint of the institution's key, here and in every certificate.
    """

    serial: bytes
    amount: int
    currency: str
    owner: bytes
    spend_by: int
    claim_by: int
    hops: int
    conditions: tuple[Condition, ...]
    issuer: bytes
    signature: bytes

    def public(self) -> tuple[object, ...]:
        """Return the fields that are signed."""
        return self[:-2]


class AuthorityCertificate(NamedTuple):
    """The root's word for an institution or the policy key, or an institution's for a partner bank."""

    key: bytes
    authority: Authority
    number: int
    quota: int
    expires: int
    issuer: bytes
    signature: bytes

    def public(self) -> tuple[object, ...]:
        """Return the fields that are signed."""
        return self[:-2]

    @property
    def hint(self) -> bytes:
        """The four bytes by which certificates and tokens name this authority."""
        return key_hint(self.key)


class WalletCertificate(NamedTuple):
    """An institution's or bank's word for a wallet key. ``category`` is an ISO 18245 merchant code, or 0."""

    key: bytes
    carrier: Carrier
    tier: int
    role: Role
    category: int
    attestation: bytes
    expires: int
    ordinal: int
    issuer: bytes
    signature: bytes

    def public(self) -> tuple[object, ...]:
        """Return the fields that are signed."""
        return self[:-2]


class Header(NamedTuple):
    """The date: an epoch and the policy version in force, signed by the policy key."""

    epoch: int
    policy: int
    issuer: bytes
    signature: bytes

    def public(self) -> tuple[object, ...]:
        """Return the fields that are signed."""
        return self[:-2]


class Tier(NamedTuple):
    """Limits of one tier, in minor units and counts (SPEC §4.3); a sum of ``limits.AMOUNT`` is no limit.

    ``payment`` bounds one payment; ``payments``, ``receipts`` and ``received`` count between two syncs; ``day`` is the
    greatest sum paid in one epoch; ``balance`` the most that a wallet may hold when it collects; ``unverified`` the
    greatest sum paid since its user was last verified; ``untimed`` the greatest payment without a timed round.
    """

    number: int
    payment: int
    payments: int
    receipts: int
    received: int
    day: int = AMOUNT
    balance: int = AMOUNT
    unverified: int = AMOUNT
    untimed: int = AMOUNT


class Policy(NamedTuple):
    """Limits by tier, keys not to be accepted, and the hints of every institution and bank in force.

    Signed by the policy key; a higher version replaces it.
    """

    version: int
    tiers: tuple[Tier, ...]
    hotlist: tuple[bytes, ...]
    authorities: tuple[bytes, ...]
    issuer: bytes
    signature: bytes

    def public(self) -> tuple[object, ...]:
        """Return the fields that are signed."""
        return self[:-2]


Issued: TypeAlias = Token | AuthorityCertificate | WalletCertificate | Header | Policy

ISSUED: dict[type[Issued], Kind] = {
    Token: Kind.TOKEN,
    AuthorityCertificate: Kind.AUTHORITY,
    WalletCertificate: Kind.WALLET,
    Header: Kind.HEADER,
    Policy: Kind.POLICY,
}
