"""Whom to believe (SPEC §7): the scheme's root, its authorities, the date, and the policy in force.

Root → institution → partner bank → wallet. The root's policy key dates the scheme and sets its limits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar, cast

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.forms import public_digest
from dualtap.issued import (
    ISSUED,
    Authority,
    AuthorityCertificate,
    Header,
    Issued,
    Policy,
    Tier,
    Token,
    WalletCertificate,
    key_hint,
)
from dualtap.statements import Body, Scheme, Signed, statement_id
from dualtap.suite import Signer, Verify

I = TypeVar("I", bound=Issued)


def issued_id(scheme: Scheme, issued: Issued, issuer: bytes) -> bytes:
    """Return what ``issuer`` (a whole public key) signs to issue this."""
    return statement_id(scheme.id, ISSUED[type(issued)], issuer, public_digest(issued.public()))


class Trust:
    """What one device believes of its scheme. It only ever learns what a chain to the root proves."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.header: Header | None = None
        self.policy: Policy | None = None
        self.blocked: frozenset[bytes] = frozenset()
        """Keys that evidence names which this device holds: refused as those on the hotlist are (SPEC §21-8)."""
        self._root_hint = key_hint(scheme.root)
        self._authorities: dict[bytes, AuthorityCertificate] = {}
        self._verifiers: dict[bytes, Verify] = {}

    def copy(self) -> Trust:
        """Return one that believes the same, and may learn more without this one."""
        copy = Trust(self.scheme)
        copy.header, copy.policy, copy.blocked = self.header, self.policy, self.blocked
        copy._authorities, copy._verifiers = dict(self._authorities), self._verifiers
        return copy

    @property
    def epoch(self) -> int:
        """The greatest epoch proved so far, in days; 0 before the first."""
        return self.header.epoch if self.header else 0

    @property
    def authorities(self) -> tuple[AuthorityCertificate, ...]:
        """Every authority known, issuers before those whom they certify."""
        return tuple(self._authorities.values())

    @property
    def lacks_authorities(self) -> bool:
        """Whether the policy in force names an authority whose certificate is not here (SPEC §7-3)."""
        return self.policy is not None and not self._authorities.keys() >= set(self.policy.authorities)

    def asks(self, own: bytes, epoch: int) -> bool:
        """Whether to ask a peer for authorities (SPEC §7-3); ``own`` is the hint of who certified this wallet.

        One is missing, or has ended at ``epoch``: above this wallet, or of those who date it (SPEC §7-25).
        """
        if self.lacks_authorities:
            return True
        known = [self._authorities.get(hint) for hint in (own, self.header.issuer if self.header else own)]
        above = [self._authorities.get(one.issuer) for one in known if one is not None]
        return any(one is not None and epoch > one.expires for one in (*known, *above))

    def verify(self, key: bytes, signature: bytes, digest: bytes) -> None:
        """Verify by an authority's key, which stays loaded; raise ``BAD_SIGNATURE`` or ``BAD_KEY``."""
        verify = self._verifiers.get(key)
        if verify is None:
            verify = self._verifiers[key] = self.scheme.suite.verifier(key)
        verify(signature, digest)

    def verify_statement(self, statement: Signed[Body]) -> None:
        """Verify a wallet's signature; raise ``BAD_SIGNATURE`` or ``BAD_KEY``. Nothing is kept."""
        self.scheme.suite.verifier(statement.key)(statement.signature, statement.id)

    def issuer_key(self, hint: bytes) -> bytes:
        """Return the whole key that a hint names; raise ``UNKNOWN_ISSUER`` (SPEC §7-2)."""
        if hint == self._root_hint:
            return self.scheme.root
        authority = self._authorities.get(hint)
        if authority is None:
            raise TapError(Code.UNKNOWN_ISSUER)
        return authority.key

    def authority(self, hint: bytes, allowed: frozenset[Authority], epoch: int) -> AuthorityCertificate:
        """Return a valid authority; raise ``UNKNOWN_ISSUER``, ``WRONG_CERTIFICATE`` or ``CERTIFICATE_EXPIRED``."""
        found = self._authorities.get(hint)
        if found is None:
            raise TapError(Code.UNKNOWN_ISSUER)
        if found.authority not in allowed:
            raise TapError(Code.WRONG_CERTIFICATE, "the issuer may not issue this")
        if epoch > found.expires:
            raise TapError(Code.CERTIFICATE_EXPIRED, "an authority's")
        if found.authority is Authority.BANK:
            self.authority(found.issuer, _INSTITUTION, epoch)
        return found

    def knows(self, certificates: Collection[AuthorityCertificate]) -> bool:
        """Return whether :meth:`learn` would find nothing new in these, whatever else it says of them."""
        known = [self._authorities.get(certificate.hint) for certificate in certificates]
        return all(
            old is not None and old.key == new.key and _stands(old, new)
            for old, new in zip(known, certificates, strict=True)
        )

    def learn(self, certificates: Iterable[AuthorityCertificate]) -> tuple[AuthorityCertificate, ...]:
        """Keep the authorities that a chain to the root proves, and return those that are new (SPEC §7-5 to §7-8).

        Raises ``UNKNOWN_ISSUER``, ``WRONG_CERTIFICATE`` or ``BAD_SIGNATURE``, and then keeps none; expiry is judged
        where they are used.
        """
        new: dict[bytes, AuthorityCertificate] = {}
        for certificate in certificates:
            known = new.get(certificate.hint) or self._authorities.get(certificate.hint)
            if known is not None and known.key == certificate.key and _stands(known, certificate):
                continue  # however genuine, it replaces none
            if certificate.authority is Authority.BANK:
                issuer = new.get(certificate.issuer) or self._authorities.get(certificate.issuer)
                if issuer is None:
                    raise TapError(Code.UNKNOWN_ISSUER)
                if issuer.authority is not Authority.INSTITUTION:
                    raise TapError(Code.WRONG_CERTIFICATE, "only an institution certifies banks")
                key = issuer.key
            else:
                if certificate.issuer != self._root_hint:
                    raise TapError(Code.WRONG_CERTIFICATE, "only the root certifies institutions")
                key = self.scheme.root
            self.verify(key, certificate.signature, issued_id(self.scheme, certificate, key))
            if known is not None and known.key != certificate.key:
                raise TapError(Code.WRONG_CERTIFICATE, "two authorities share a hint")
            new[certificate.hint] = certificate
        for hint, certificate in new.items():
            if certificate.authority is Authority.BANK:
                self._authorities.pop(hint, None)  # its issuer may be another than before, and must stand before it
            self._authorities[hint] = certificate
        return tuple(new.values())

    def chain(
        self,
        certificate: WalletCertificate,
        tokens: Iterable[Token] = (),
        hands: Iterable[WalletCertificate] = (),
        header: Header | None = None,
    ) -> tuple[AuthorityCertificate, ...]:
        """Return the authorities behind a wallet, its tokens and earlier hands, issuers first, to be sent to a peer.

        With a date, also of whom it is (SPEC §7-26). SPEC §7-4.
        """
        hints: dict[bytes, None] = {}
        issuers = [certificate.issuer, *(token.issuer for token in tokens), *(hand.issuer for hand in hands)]
        if header is not None:
            issuers.append(header.issuer)
        for hint in dict.fromkeys(issuers):
            found = self._authorities.get(hint)
            if found is not None and found.authority is Authority.BANK:
                hints[found.issuer] = None
            hints[hint] = None
        order = [hint for hint in self._authorities if hint in hints]
        return tuple(self._authorities[hint] for hint in order)

    def check_wallet(self, certificate: WalletCertificate, epoch: int) -> None:
        """Raise unless the certificate is genuine, valid at ``epoch`` and not on the hotlist."""
        self.check_genuine(certificate)
        self.check_valid(certificate, epoch)

    def check_genuine(self, certificate: WalletCertificate) -> bytes:
        """Return the digest of this certificate; raise unless an authority issued it.

        It is enough to heal, which expiry never blocks (SPEC §7-17).
        """
        issuer = self.authority(certificate.issuer, _CERTIFIERS, 0)
        digest = issued_id(self.scheme, certificate, issuer.key)
        self.verify(issuer.key, certificate.signature, digest)
        return digest

    def check_valid(self, certificate: WalletCertificate, epoch: int) -> None:
        """Raise if a genuine certificate, or its issuer's, has expired, or its key is on the hotlist (SPEC §7-14).

        Raises ``WRONG_CERTIFICATE`` for an institution's own key: what it was given may be deposited (SPEC §7-28).
        """
        if any(one.key == certificate.key and one.authority in _INSTITUTION for one in self._authorities.values()):
            raise TapError(Code.WRONG_CERTIFICATE, "an institution's key is no wallet's")
        self.authority(certificate.issuer, _CERTIFIERS, epoch)
        if epoch > certificate.expires:
            raise TapError(Code.CERTIFICATE_EXPIRED, "a wallet's")
        self.check_hotlist(certificate.key)

    def check_hotlist(self, key: bytes) -> None:
        """Raise ``HOTLISTED`` if the policy in force, or evidence held here, names this key (SPEC §7-20, §21-8)."""
        if key in self.blocked or (self.policy is not None and key in self.policy.hotlist):
            raise TapError(Code.HOTLISTED)

    def token_id(self, token: Token) -> bytes:
        """Return a token's id; raise ``UNKNOWN_ISSUER``."""
        return issued_id(self.scheme, token, self.issuer_key(token.issuer))

    def check_token(self, token: Token, token_id: bytes) -> None:
        """Raise unless an institution issued this token (SPEC §7-1)."""
        found = self._authorities.get(token.issuer)
        if found is None:
            raise TapError(Code.UNKNOWN_ISSUER)
        if found.authority is not Authority.INSTITUTION:
            raise TapError(Code.WRONG_CERTIFICATE, "only an institution issues tokens")
        self.verify(found.key, token.signature, token_id)

    def adopt(self, header: Header, *, any_step: bool = False) -> bool:
        """Move the date forward; return whether it moved. Raise ``EPOCH_AHEAD`` for too long a step offline.

        SPEC §7-9 to §7-11.
        """
        if header.epoch < self.epoch or header == self.header:
            return False
        if not any_step and header.epoch > self.epoch + limits.EPOCH_STEP:
            raise TapError(Code.EPOCH_AHEAD)
        self._verify_by_policy_key(header, header.epoch)
        moved = self.header is None or header.epoch > self.epoch
        self.header = header
        return moved

    def set_policy(self, policy: Policy) -> bool:
        """Replace the policy by a newer one; return whether it was newer (SPEC §7-19)."""
        if self.policy is not None and policy.version <= self.policy.version:
            return False
        self._verify_by_policy_key(policy, self.epoch)
        self.policy = policy
        return True

    def _verify_by_policy_key(self, issued: Header | Policy, epoch: int) -> None:
        key = self.authority(issued.issuer, _POLICY, epoch).key
        self.verify(key, issued.signature, issued_id(self.scheme, issued, key))

    def tier(self, number: int) -> Tier:
        """Return the limits of a tier; raise ``OVER_LIMIT`` for one that the policy does not know (SPEC §7-21)."""
        for tier in self.policy.tiers if self.policy else ():
            if tier.number == number:
                return tier
        raise TapError(Code.OVER_LIMIT, "no limits are known for this tier")


_INSTITUTION = frozenset({Authority.INSTITUTION})
_CERTIFIERS = frozenset({Authority.INSTITUTION, Authority.BANK})
_POLICY = frozenset({Authority.POLICY})


def _stands(known: AuthorityCertificate, other: AuthorityCertificate) -> bool:
    """Return whether a known certificate is kept, and another of its key replaces it not (SPEC §7-8)."""
    if (known.authority is Authority.BANK) is not (other.authority is Authority.BANK):
        return other.authority is Authority.BANK  # an institution has no say on a key that the root certified
    return known.expires >= other.expires


def issue(scheme: Scheme, signer: Signer, issued: I) -> I:
    """Return ``issued`` with the hint and signature of ``signer``: how every authority signs."""
    hinted = issued._replace(issuer=key_hint(signer.public), signature=b"")
    return cast("I", hinted._replace(signature=signer.sign(issued_id(scheme, hinted, signer.public))))
