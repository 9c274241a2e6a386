"""Who may sign in a scheme, and since when a ledger knows it: a function of the ledger's facts, as everything else.

What only an authority's certificate can judge (a witness, SPEC §5.6-7; whether a payee is an institution) is judged
when that certificate has come, and counts from then on. Before, it waits: it is not "no statement" for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dualtap.errors import Code, TapError
from dualtap.issued import Authority, AuthorityCertificate, WalletCertificate
from dualtap.statements import Scheme
from dualtap.suite import sha256
from dualtap.trust import Trust, issued_id
from dualtap_issuer.facts import Facts

if TYPE_CHECKING:
    from dualtap_issuer.store import Store

MOST = 64
"""Institutions and banks of a scheme: as many as a policy can name (SPEC §4.3)."""


class Roll(Trust):
    """What a ledger believes of its scheme's authorities, and the epoch since which it knows each."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__(scheme)
        self._since: dict[bytes, int] = {}
        self._read = 0

    @classmethod
    def of(cls, scheme: Scheme, certificates: Mapping[bytes, AuthorityCertificate], seen: Mapping[bytes, int]) -> Roll:
        """Return the roll of these certificates, by digest, with their stamps; raise ``LEDGER_CORRUPT``."""
        roll = cls(scheme)
        roll.take(certificates, seen)
        return roll

    def take(self, certificates: Mapping[bytes, AuthorityCertificate], seen: Mapping[bytes, int]) -> None:
        """Learn these certificates, in an order that follows from themselves; ``seen`` has their stamps."""
        order = sorted(certificates, key=lambda digest: (certificates[digest].authority is Authority.BANK, digest))
        for digest in order:
            certificate = certificates[digest]
            try:
                self.learn((certificate,))
            except TapError as error:
                raise TapError(Code.LEDGER_CORRUPT, f"authority {digest.hex()}") from error
            above = self._since.get(certificate.issuer, 0) if certificate.authority is Authority.BANK else 0
            epoch = max(seen[digest], above)
            self._since[certificate.hint] = min(epoch, self._since.get(certificate.hint, epoch))

    def refresh(self, store: Store) -> bool:
        """Learn what other processes have added to a store; return whether there was anything new."""
        digests = store.authorities()
        if len(digests) == self._read:
            return False
        facts = Facts(self.scheme)
        for fact, epoch in store.find(digests):
            facts.put(fact, epoch)
        self._since.clear()
        self.take(facts.authorities, facts.seen)
        self._read = len(digests)
        return True

    def since(self, hint: bytes) -> int:
        """Return the epoch since which an authority is known; 0 for one that is known from elsewhere."""
        return self._since.get(hint, 0)

    @property
    def institutions(self) -> frozenset[bytes]:
        """The keys to which deposits are made."""
        return frozenset(one.key for one in self.authorities if one.authority is Authority.INSTITUTION)

    @property
    def hints(self) -> tuple[bytes, ...]:
        """The hints that a policy names: every institution and bank, in order."""
        return tuple(sorted(one.hint for one in self.authorities if one.authority is not Authority.POLICY))


class Watched(Trust):
    """The trust of somebody else, which notes whose certificates were asked for, and which was missing."""

    def __init__(self, trust: Trust) -> None:
        super().__init__(trust.scheme)
        self._trust = trust
        self.asked: set[bytes] = set()
        self.last = b""

    def issuer_key(self, hint: bytes) -> bytes:
        """Return what the other returns."""
        return self._trust.issuer_key(hint)

    def check_genuine(self, certificate: WalletCertificate) -> bytes:
        """Return what the other returns, and raise what it raises."""
        self.last = certificate.issuer
        self.asked.add(certificate.issuer)
        return self._trust.check_genuine(certificate)


def admitted(trust: Trust, certificates: Iterable[AuthorityCertificate]) -> dict[bytes, AuthorityCertificate]:
    """Return those of these certificates (issuers first) that are new, by digest; ``trust`` does not learn them.

    Raises ``UNKNOWN_ISSUER``, ``WRONG_CERTIFICATE`` or ``BAD_SIGNATURE`` unless a chain to the root proves each, and
    ``BAD_INPUT`` for one that would replace nothing (SPEC §7-8), for another kind of authority of a known key, or for
    more than a policy can name.
    """
    trial = trust.copy()
    fresh: dict[bytes, AuthorityCertificate] = {}
    for certificate in certificates:
        known = {one.key: one for one in trial.authorities}.get(certificate.key)
        if known == certificate:
            continue
        if known is not None and known.authority is not certificate.authority:
            raise TapError(Code.BAD_INPUT, f"this key is a {known.authority.name.lower()}'s; make a new one")
        if known is not None and known.expires >= certificate.expires:
            raise TapError(Code.BAD_INPUT, "a certificate of this key that expires no earlier is known: date it later")
        for new in trial.learn((certificate,)):
            fresh[issued_id(trial.scheme, new, trial.issuer_key(new.issuer))] = new
    if sum(one.authority is not Authority.POLICY for one in trial.authorities) > MOST:
        raise TapError(Code.BAD_INPUT, f"a policy names at most {MOST} institutions and banks")
    return fresh


def since_all(trust: Trust, hints: Iterable[bytes]) -> int:
    """Return the epoch since which all of these authorities are known."""
    return max((trust.since(hint) for hint in hints), default=0) if isinstance(trust, Roll) else 0


def charter(hint: bytes) -> bytes:
    """Return that for which a transfer waits until an authority with this hint is known."""
    return sha256(b"dualtap charter" + hint)
