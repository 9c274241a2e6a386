"""The scheme's signers (SPEC §7): root, policy key, institution and bank, as one object.

Nothing here draws randomness or reads a clock: secrets, serials and epochs are passed in.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dualtap import limits
from dualtap.conditions import check_issuable
from dualtap.errors import Code, TapError
from dualtap.sealedsync import Proved, proof_id
from dualtap.statements import (
    Authority,
    AuthorityCertificate,
    Carrier,
    Condition,
    Header,
    Policy,
    Present,
    Role,
    Scheme,
    Tier,
    Token,
    WalletCertificate,
    key_hint,
)
from dualtap.suite import Suite
from dualtap.sync import SignedReply, reply_id
from dualtap.trust import Trust, issue


class Secrets(NamedTuple):
    """The four secrets of 32 bytes from which the scheme's keys follow."""

    root: bytes
    policy: bytes
    institution: bytes
    bank: bytes

    def __repr__(self) -> str:
        """Show nothing: these are secrets."""
        return "Secrets(…)"


class Ordinals(Protocol):
    """Where certificates are counted."""

    def ordinal(self, key: bytes, quota: int) -> int | None:
        """Return a key's ordinal below ``quota``, durable and never another key's; ``None`` if none is left."""
        ...


class SchemeAuthority:
    """Signs for a scheme: certificates within the bank's quota, tokens, dates and policies."""

    def __init__(self, suite: Suite, secrets: Secrets, ordinals: Ordinals, expires: int, quota: int) -> None:
        """``expires`` is the last epoch of the authorities' own certificates; ``quota`` is the bank's."""
        self._root = suite.signer(secrets.root)
        self._policy = suite.signer(secrets.policy)
        self._institution = suite.signer(secrets.institution)
        self._bank = suite.signer(secrets.bank)
        self._ordinals = ordinals
        self._quota = quota
        self.scheme = Scheme.of(suite, self._root.public)
        self.authorities = (
            self._authority(self._policy.public, Authority.POLICY, 0, expires),
            self._authority(self._institution.public, Authority.INSTITUTION, 1, expires),
            issue(
                self.scheme,
                self._institution,
                AuthorityCertificate(self._bank.public, Authority.BANK, 1, quota, expires, b"", b""),
            ),
        )

    def _authority(self, key: bytes, what: Authority, number: int, expires: int) -> AuthorityCertificate:
        return issue(self.scheme, self._root, AuthorityCertificate(key, what, number, 0, expires, b"", b""))

    @property
    def institution(self) -> bytes:
        """The key to which deposits are made."""
        return self._institution.public

    def trust(self) -> Trust:
        """Return what follows from the root alone: no date, no policy, so that nothing here is too old or hotlisted."""
        trust = Trust(self.scheme)
        trust.learn(self.authorities)
        return trust

    def certify(
        self,
        proof: Present,
        challenge: bytes,
        carrier: Carrier,
        tier: int,
        role: Role,
        expires: int,
        category: int = 0,
        attestation: bytes = b"",
    ) -> WalletCertificate:
        """Return the certificate of the key that signed ``proof``, a Present whose session is ``challenge``.

        A key keeps its ordinal when it is certified again. Raises ``BAD_KEY``, ``BAD_SIGNATURE``,
        ``REPLAYED_REQUEST`` for another challenge, or ``OVER_LIMIT`` when the bank's quota is used up.

        SPEC §3-15.
        """
        if proof.body.session != challenge:
            raise TapError(Code.REPLAYED_REQUEST, "a proof of possession for another challenge")
        self.trust().verify_statement(proof)
        ordinal = self._ordinals.ordinal(proof.key, self._quota)
        if ordinal is None:
            raise TapError(Code.OVER_LIMIT, "the bank's quota of certificates is used up")
        certificate = WalletCertificate(
            proof.key, carrier, tier, role, category, attestation, expires, ordinal, b"", b""
        )  # fmt: skip
        return issue(self.scheme, self._bank, certificate)

    def token(
        self,
        serial: bytes,
        amount: int,
        currency: str,
        owner: bytes,
        epoch: int,
        spend_by: int,
        claim_by: int,
        hops: int = limits.HOPS,
        conditions: tuple[Condition, ...] = (),
    ) -> Token:
        """Return a token of ``amount`` minor units, issued at ``epoch`` (SPEC §4.3-2).

        Raises ``UNKNOWN_CONDITION`` for a condition that no device can decide, saying why, ``ZERO_AMOUNT``, or
        ``BAD_INPUT`` for a condition that nothing meets, dates out of order, or a life longer than an outcome is kept.
        """
        check_issuable(self.scheme.suite, conditions)
        if not amount:
            raise TapError(Code.ZERO_AMOUNT)
        if not 0 < amount <= limits.AMOUNT or not epoch <= spend_by <= claim_by <= epoch + limits.MAX_LIFE:
            raise TapError(Code.BAD_INPUT, "an amount or a date that no device would accept")
        token = Token(serial, amount, currency, owner, spend_by, claim_by, hops, conditions, b"", b"")
        return issue(self.scheme, self._institution, token)

    def word_for(self, challenge: bytes, upload: bytes, reply: bytes) -> SignedReply:
        """Return a reply, signed for the upload that it answers."""
        key = self._institution.public
        named = reply_id(self.scheme, key, challenge, upload, reply)
        return SignedReply(reply, key_hint(key), self._institution.sign(named))

    def proof_for(self, session: bytes, challenge: bytes) -> Proved:
        """Return the institution's word that it gives this challenge in the sync of this transcript (SPEC §14-16)."""
        certificate = self.authorities[1]
        named = proof_id(self.scheme, certificate.key, session, challenge)
        return Proved(challenge, certificate, self._institution.sign(named))

    def header(self, epoch: int, policy: int) -> Header:
        """Return the date, and the version of the policy in force."""
        return issue(self.scheme, self._policy, Header(epoch, policy, b"", b""))

    def policy(self, version: int, tiers: tuple[Tier, ...], hotlist: tuple[bytes, ...]) -> Policy:
        """Return a policy, which names every institution and bank of this scheme."""
        hints = tuple(found.hint for found in self.authorities if found.authority is not Authority.POLICY)
        return issue(self.scheme, self._policy, Policy(version, tiers, hotlist, hints, b"", b""))
