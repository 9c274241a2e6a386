"""A scheme whose private keys are published: the cast of every vector, and of every tap that tests a device.

Each key follows from its holder's name alone, so that a new case changes no other. Nothing signed here is worth
anything: whoever reads this file can sign as the root.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TypeVar

from dualtap import limits
from dualtap.forms import signed
from dualtap.issued import (
    Authority,
    AuthorityCertificate,
    Carrier,
    Condition,
    Header,
    Policy,
    Role,
    Tier,
    Token,
    WalletCertificate,
)
from dualtap.statements import Body, Opening, Scheme, Signed, Span, Transfer, TransferBody
from dualtap.suite import P256, Ephemeral, Signer, Suite, sha256
from dualtap.trust import issue

TODAY = 20_000
"""The date of every vector: 2024-10-04."""
CURRENCY = "CNY"
TIER = Tier(1, 1_000_000, 1_000, 1_000, 1_000_000_000)
POS_CATEGORY = 5411
"""ISO 18245: grocery stores."""
_TWINS = {"p256": ("twin 26560", "twin 34710"), "ed25519": ("twin 47143", "twin 63861")}
"""Names whose keys have one hint: searched for."""
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = TypeVar("B", bound=Body)


def private_of(suite: Suite, secret: bytes) -> bytes:
    """Return the private key, as any library takes it, that ``suite.signer(secret)`` uses.

    Suite 1: the scalar, 32 bytes big-endian. Suite 2: the 32 bytes of RFC 8032 or RFC 7748.
    """
    if suite is P256:
        return (int.from_bytes(secret, "big") % (_ORDER - 1) + 1).to_bytes(32, "big")
    return secret


def secret_of(suite: Suite, private: bytes) -> bytes:
    """Return a secret for which ``suite.signer`` uses this private key."""
    if suite is P256:
        return (int.from_bytes(private, "big") - 1).to_bytes(32, "big")
    return private


class Stage:
    """The scheme of one suite: a root, its policy key, an institution, a bank, and whoever is named."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.scheme = Scheme.of(suite, self.key("root"))

    def draw(self, name: str, size: int = 32) -> bytes:
        """Return the bytes that a name stands for, at most 32."""
        return sha256(b"dualtap vectors 1" + bytes([self.suite.number]) + name.encode())[:size]

    def private(self, name: str) -> bytes:
        """Return the private key of a name."""
        return private_of(self.suite, self.draw(f"key {name}"))

    def signer(self, name: str) -> Signer:
        """Return what signs as a name."""
        return self.suite.signer(self.draw(f"key {name}"))

    def key(self, name: str) -> bytes:
        """Return the public key of a name."""
        return self.signer(name).public

    def ephemeral(self, name: str) -> Ephemeral:
        """Return a key pair for one tap."""
        return self.suite.ephemeral(self.draw(f"ephemeral {name}"))

    def ephemeral_private(self, name: str) -> bytes:
        """Return the private key of :meth:`ephemeral`."""
        return private_of(self.suite, self.draw(f"ephemeral {name}"))

    # What authorities sign

    def authority(
        self,
        name: str,
        authority: Authority,
        issuer: str = "root",
        number: int = 1,
        quota: int = 0,
        expires: int = TODAY + 900,
    ) -> AuthorityCertificate:
        """Return the certificate of an institution, a bank or a policy key."""
        blank = AuthorityCertificate(self.key(name), authority, number, quota, expires, b"", b"")
        return issue(self.scheme, self.signer(issuer), blank)

    @cached_property
    def authorities(self) -> tuple[AuthorityCertificate, ...]:
        """The policy key, the institution and its bank, issuers first."""
        return (
            self.authority("policy", Authority.POLICY, number=0),
            self.authority("institution", Authority.INSTITUTION),
            self.authority("bank", Authority.BANK, "institution", quota=1000),
        )

    @property
    def twins(self) -> tuple[AuthorityCertificate, AuthorityCertificate]:
        """Two institutions of the root whose keys have one hint."""
        first, second = _TWINS[self.suite.name]
        return self.authority(first, Authority.INSTITUTION), self.authority(second, Authority.INSTITUTION)

    def header(self, epoch: int = TODAY, policy: int = 1, issuer: str = "policy") -> Header:
        """Return the date."""
        return issue(self.scheme, self.signer(issuer), Header(epoch, policy, b"", b""))

    def policy(
        self,
        version: int = 1,
        tiers: tuple[Tier, ...] = (TIER,),
        hotlist: Iterable[bytes] = (),
        authorities: Iterable[AuthorityCertificate] | None = None,
    ) -> Policy:
        """Return the policy: limits, hotlist, and the institutions and banks in force."""
        named = self.authorities[1:] if authorities is None else authorities
        hints = tuple(found.hint for found in named)
        blank = Policy(version, tiers, tuple(hotlist), hints, b"", b"")
        return issue(self.scheme, self.signer("policy"), blank)

    def certificate(
        self,
        name: str,
        *,
        carrier: Carrier = Carrier.CARD,
        tier: int = 1,
        role: Role = Role.PAY | Role.COLLECT,
        category: int = 0,
        expires: int = TODAY + 300,
        issuer: str = "bank",
    ) -> WalletCertificate:
        """Return a wallet's certificate. Its ordinal follows from its name."""
        ordinal = int.from_bytes(self.draw(f"ordinal {name}", 2), "big") % 1000
        blank = WalletCertificate(self.key(name), carrier, tier, role, category, b"", expires, ordinal, b"", b"")
        return issue(self.scheme, self.signer(issuer), blank)

    def token(
        self,
        owner: str,
        amount: int = 10_000,
        serial: str = "",
        *,
        currency: str = CURRENCY,
        spend_by: int = TODAY + 200,
        hops: int = limits.HOPS,
        conditions: tuple[Condition, ...] = (),
        issuer: str = "institution",
    ) -> Token:
        """Return a token. Its serial follows from its owner and ``serial``."""
        number = self.draw(f"serial {owner} {serial}", 8)
        claim_by = spend_by + 400
        blank = Token(number, amount, currency, self.key(owner), spend_by, claim_by, hops, conditions, b"", b"")
        return issue(self.scheme, self.signer(issuer), blank)

    # What wallets sign

    def opening(self, name: str, prev: int, ctr: int, request: bytes = b"") -> Opening:
        """Return a place on a tape; its seed follows from ``name``."""
        return Opening(self.draw(f"seed {name}", 16), prev, ctr, request=request)

    def sign(self, name: str, body: B, opening: Opening | bytes = b"") -> Signed[B]:
        """Return any statement, signed as a name: what broken hardware can do."""
        signer = self.signer(name)
        blank = signed(self.scheme.id, signer.public, body, opening)
        return blank.sealed(signer.sign(blank.id))

    def transfer(
        self,
        payer: str,
        payee: str,
        spans: tuple[Span, ...],
        opening: Opening,
        *,
        epoch: int = TODAY,
        witness: tuple[bytes, ...] = (),
    ) -> Transfer:
        """Return a transfer, signed by its payer."""
        return self.sign(payer, TransferBody(self.key(payee), spans, epoch, witness), opening)
