"""The scheme's signers (SPEC §7): root, policy key, institutions and banks, each perhaps on a host of its own.

Nothing here draws randomness or reads a clock: secrets, serials and epochs are passed in. :class:`Signers` is what one
host holds, :class:`SchemeAuthority` one that holds everything.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dualtap import limits
from dualtap.conditions import check_issuable
from dualtap.errors import Code, TapError
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
    key_hint,
)
from dualtap.sealedsync import Proved
from dualtap.statements import OrderBody, OwnerOrder, Present, Scheme
from dualtap.suite import Suite
from dualtap.sync import SignedReply, reply_id
from dualtap.syncmessages import proof_id
from dualtap.trust import Trust, issue


class Secrets(NamedTuple):
    """The four secrets of 32 bytes from which the keys of a scheme of one institution and one bank follow."""

    root: bytes
    policy: bytes
    institution: bytes
    bank: bytes

    def __repr__(self) -> str:
        """Show nothing: these are secrets."""
        return "Secrets(…)"


class Ordinals(Protocol):
    """Where a bank's certificates are counted."""

    def ordinal(self, bank: bytes, key: bytes, quota: int) -> int | None:
        """Return a key's ordinal at a bank (its key): below ``quota``, durable, no other key's; ``None`` for none."""
        ...


def check_possession(scheme: Scheme, proof: Present, challenge: bytes) -> None:
    """Raise unless the key of ``proof``, a Present whose session is ``challenge``, signed it (SPEC §3-14, §3-15).

    Raises ``REPLAYED_REQUEST`` for another challenge, ``BAD_KEY`` or ``BAD_SIGNATURE``.
    """
    if proof.body.session != challenge:
        raise TapError(Code.REPLAYED_REQUEST, "a proof of possession for another challenge")
    Trust(scheme).verify_statement(proof)


class Root:
    """The scheme's root key. It certifies institutions and policy keys, and is needed for nothing else."""

    def __init__(self, suite: Suite, secret: bytes) -> None:
        self._signer = suite.signer(secret)
        self.scheme = Scheme.of(suite, self._signer.public)

    def certify(self, key: bytes, what: Authority, number: int, expires: int) -> AuthorityCertificate:
        """Return the certificate of an institution or a policy key, whose holder has proved to hold it.

        Raises ``BAD_KEY``, or ``BAD_INPUT`` for a bank, which an institution certifies.
        """
        if what is Authority.BANK:
            raise TapError(Code.BAD_INPUT, "an institution certifies its banks, the root does not")
        self.scheme.suite.verifier(key)
        return issue(self.scheme, self._signer, AuthorityCertificate(key, what, number, 0, expires, b"", b""))


class PolicyKey:
    """The scheme's policy key: it dates the scheme, and sets its limits."""

    def __init__(self, scheme: Scheme, secret: bytes, certificate: AuthorityCertificate) -> None:
        """Raise ``WRONG_CERTIFICATE`` for another key's certificate."""
        self.scheme, self.certificate = scheme, certificate
        self._signer = scheme.suite.signer(secret)
        _check_own(self._signer.public, certificate, Authority.POLICY)

    def header(self, epoch: int, policy: int) -> Header:
        """Return the date, and the version of the policy in force."""
        return issue(self.scheme, self._signer, Header(epoch, policy, b"", b""))

    def policy(
        self, version: int, tiers: tuple[Tier, ...], hotlist: tuple[bytes, ...], authorities: tuple[bytes, ...]
    ) -> Policy:
        """Return a policy; ``authorities`` are the hints of every institution and bank in force."""
        return issue(self.scheme, self._signer, Policy(version, tiers, hotlist, authorities, b"", b""))


class Institution:
    """An operating institution's key: it issues tokens, answers syncs, and certifies its banks."""

    def __init__(self, scheme: Scheme, secret: bytes, certificate: AuthorityCertificate) -> None:
        """Raise ``WRONG_CERTIFICATE`` for another key's certificate."""
        self.scheme, self.certificate = scheme, certificate
        self._signer = scheme.suite.signer(secret)
        _check_own(self._signer.public, certificate, Authority.INSTITUTION)

    @property
    def key(self) -> bytes:
        """The key to which what it issued is deposited."""
        return self.certificate.key

    def certify_bank(self, key: bytes, number: int, quota: int, expires: int) -> AuthorityCertificate:
        """Return the certificate of a bank that may certify ``quota`` wallets; it has proved to hold the key."""
        self.scheme.suite.verifier(key)
        blank = AuthorityCertificate(key, Authority.BANK, number, quota, expires, b"", b"")
        return issue(self.scheme, self._signer, blank)

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
        return issue(self.scheme, self._signer, token)

    def word_for(self, challenge: bytes, upload: bytes, reply: bytes) -> SignedReply:
        """Return a reply, signed for the upload that it answers."""
        named = reply_id(self.scheme, self.key, challenge, upload, reply)
        return SignedReply(reply, key_hint(self.key), self._signer.sign(named))

    def order(self, body: OrderBody) -> OwnerOrder:
        """Return an order of the institution about a wallet (SPEC §23-12), signed."""
        word = signed(self.scheme.id, self.key, body)
        return word.sealed(self._signer.sign(word.id))

    def proof_for(self, session: bytes, challenge: bytes) -> Proved:
        """Return the institution's word that it gives this challenge in the sync of this transcript (SPEC §14-16)."""
        named = proof_id(self.scheme, self.key, session, challenge)
        return Proved(challenge, self.certificate, self._signer.sign(named))


class Bank:
    """A partner bank's key, and where it counts its certificates: it certifies wallets within its quota."""

    def __init__(self, scheme: Scheme, secret: bytes, certificate: AuthorityCertificate, ordinals: Ordinals) -> None:
        """Raise ``WRONG_CERTIFICATE`` for another key's certificate."""
        self.scheme, self.certificate = scheme, certificate
        self._signer, self._ordinals = scheme.suite.signer(secret), ordinals
        _check_own(self._signer.public, certificate, Authority.BANK)

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
        ``REPLAYED_REQUEST`` for another challenge, or ``QUOTA_USED``.

        SPEC §3-15, §4.3-5, §4.3-6.
        """
        check_possession(self.scheme, proof, challenge)
        ordinal = self._ordinal(proof.key)
        certificate = WalletCertificate(
            proof.key, carrier, tier, role, category, attestation, expires, ordinal, b"", b""
        )  # fmt: skip
        return issue(self.scheme, self._signer, certificate)

    def succeed(self, old: WalletCertificate, key: bytes) -> WalletCertificate:
        """Return the certificate of a wallet's next key: it says what the old one said, of another key.

        The caller has seen that both keys agree. Raises ``QUOTA_USED``. Not to be
        called inside a transaction. SPEC §20-6.
        """
        return issue(
            self.scheme, self._signer, old._replace(key=key, ordinal=self._ordinal(key), issuer=b"", signature=b"")
        )

    def _ordinal(self, key: bytes) -> int:
        quota = self.certificate.quota
        ordinal = self._ordinals.ordinal(self.certificate.key, key, quota)
        if ordinal is None:
            raise TapError(Code.QUOTA_USED, f"{quota}")
        return ordinal


class Signers:
    """The keys that one host holds: an institution's, and perhaps the policy key and banks'. Never the root's."""

    def __init__(
        self,
        scheme: Scheme,
        institution: Institution,
        policy_key: PolicyKey | None = None,
        banks: tuple[Bank, ...] = (),
    ) -> None:
        self.scheme, self.office, self.policy_key, self.banks = scheme, institution, policy_key, banks

    @property
    def authorities(self) -> tuple[AuthorityCertificate, ...]:
        """The certificates of these keys, issuers first."""
        own = (*((self.policy_key,) if self.policy_key else ()), self.office, *self.banks)
        return tuple(one.certificate for one in own)

    @property
    def institution(self) -> bytes:
        """The key to which deposits of this institution's value are made."""
        return self.office.key

    @property
    def bank(self) -> Bank:
        """The bank that certifies where none is named; raise ``BAD_INPUT`` where no bank's key is held here."""
        if not self.banks:
            raise TapError(Code.BAD_INPUT, "no bank's key is held here: certify where one is")
        return self.banks[0]

    @property
    def dating(self) -> PolicyKey:
        """The policy key; raise ``BAD_INPUT`` where it is not held."""
        if self.policy_key is None:
            raise TapError(Code.BAD_INPUT, "the policy key is not held here: sign dates and policies where it is")
        return self.policy_key


class SchemeAuthority(Signers):
    """A scheme of one institution and one bank whose keys, also the root's, are in one place: for trials and tests."""

    def __init__(self, suite: Suite, secrets: Secrets, ordinals: Ordinals, expires: int, quota: int) -> None:
        """``expires`` is the last epoch of the authorities' own certificates; ``quota`` is the bank's."""
        self.root = Root(suite, secrets.root)
        scheme = self.root.scheme
        policy, institution, bank = (
            suite.signer(secret).public for secret in (secrets.policy, secrets.institution, secrets.bank)
        )
        dated = PolicyKey(scheme, secrets.policy, self.root.certify(policy, Authority.POLICY, 0, expires))
        certificate = self.root.certify(institution, Authority.INSTITUTION, 1, expires)
        office = Institution(scheme, secrets.institution, certificate)
        partner = Bank(scheme, secrets.bank, office.certify_bank(bank, 1, quota, expires), ordinals)
        super().__init__(scheme, office, dated, (partner,))
        self.certify = partner.certify
        self.token, self.word_for, self.proof_for = office.token, office.word_for, office.proof_for

    def trust(self) -> Trust:
        """Return what follows from the root alone: no date, no policy, so that nothing here is too old or hotlisted."""
        trust = Trust(self.scheme)
        trust.learn(self.authorities)
        return trust


def _check_own(key: bytes, certificate: AuthorityCertificate, what: Authority) -> None:
    if certificate.key != key or certificate.authority is not what:
        raise TapError(Code.WRONG_CERTIFICATE, f"another key's certificate, where a {what.name.lower()}'s is needed")
