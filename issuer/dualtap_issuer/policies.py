"""The scheme's policy and dates as a ledger keeps them: signed where the policy key is, read everywhere else."""

from __future__ import annotations

from dualtap import codec, forms
from dualtap.errors import Code, TapError
from dualtap.forms import plain
from dualtap.issued import Header, Policy, Tier
from dualtap.logcodec import BYTES, ITEMS
from dualtap_issuer.authority import Signers
from dualtap_issuer.roll import Roll
from dualtap_issuer.store import Store

TIERS = 64
"""Tiers of a policy (SPEC §4.3)."""


class Policies:
    """The policy in force, and the dates. Every change of the policy is a new version, and none is forgotten."""

    def __init__(self, store: Store, signers: Signers, roll: Roll) -> None:
        self._store, self._signers, self._roll = store, signers, roll

    def current(self) -> Policy:
        """Return the policy in force; raise ``LEDGER_CORRUPT`` where there is none."""
        body = self._store.policy()
        if body is None:
            raise TapError(
                Code.LEDGER_CORRUPT, "there is no policy: the ledger must first be opened where the policy key is"
            )
        return forms.issued_check(Policy)(codec.unpack(body, BYTES, ITEMS))

    def found(self, tiers: tuple[Tier, ...]) -> None:
        """Sign the first policy, inside a transaction, if there is none and the policy key is held here."""
        self._store.lock("policy")
        if self._store.policy() is None and self._signers.policy_key is not None:
            self._put(1, tiers, ())

    def revise(self, hotlist: tuple[bytes, ...], tiers: tuple[Tier, ...] | None = None) -> bool:
        """Put a new version in force, inside a transaction that holds the lock ``policy``, if it says anything new.

        ``tiers`` stay as they are where none are given; the authorities are those of the ledger. Without the policy key
        nothing changes: whoever holds it sees to it when it signs the next date. Returns whether there is a new one.
        """
        if self._signers.policy_key is None:
            return False
        policy = self.current()
        tiers = policy.tiers if tiers is None else tiers
        if (tiers, hotlist, self._roll.hints) == (policy.tiers, policy.hotlist, policy.authorities):
            return False
        self._put(policy.version + 1, tiers, hotlist)
        return True

    def _put(self, version: int, tiers: tuple[Tier, ...], hotlist: tuple[bytes, ...]) -> None:
        policy = self._signers.dating.policy(version, tiers, hotlist, self._roll.hints)
        self._store.put_policy(version, codec.pack(plain(policy)))

    def header(self, epoch: int, policy: Policy) -> Header | None:
        """Return the date for news: signed now if the policy key is here, else the last that was kept, or ``None``.

        Of a policy key that nobody has renewed in time it is the last that devices take: they would refuse all of a
        reply with a later one (SPEC §7-27).
        """
        if self._signers.policy_key is not None:
            return self._signers.policy_key.header(min(epoch, self.last()), policy.version)
        return self.kept(epoch)

    def last(self) -> int:
        """The last date that the policy key may sign, by its latest certificate."""
        hint = self._signers.dating.certificate.hint
        return max(one.expires for one in self._roll.authorities if one.hint == hint)

    def kept(self, epoch: int) -> Header | None:
        """Return the last date up to an epoch that was signed for everybody, or ``None``."""
        body = self._store.header(epoch)
        return None if body is None else forms.issued_check(Header)(codec.unpack(body, BYTES, ITEMS))

    def date(self, epoch: int) -> Header:
        """Sign the date for everybody, inside a transaction, and keep it.

        It is the last that devices take, where the policy key's certificate has ended (SPEC §7-27). Raises
        ``BAD_INPUT`` without the policy key.
        """
        header = self._signers.dating.header(min(epoch, self.last()), self.current().version)
        self._store.put_header(header.epoch, codec.pack(plain(header)))
        return header


def check_tiers(tiers: tuple[Tier, ...]) -> None:
    """Raise ``BAD_INPUT`` unless a policy may set these: 1 to 64 tiers that a certificate can name, each once."""
    numbers = [tier.number for tier in tiers]
    if not 1 <= len(tiers) <= TIERS or numbers != sorted(set(numbers)) or not 0 <= numbers[-1] <= 255:
        raise TapError(Code.BAD_INPUT, f"a policy has 1 to {TIERS} tiers, numbered from 0 to 255, each once, in order")
    blank = Policy(1, tiers, (), (), bytes(4), bytes(64))
    try:
        forms.issued_check(Policy)(codec.unpack(codec.pack(plain(blank)), BYTES, ITEMS))
    except (TapError, OverflowError, ValueError) as error:
        raise TapError(Code.BAD_INPUT, "a limit of a tier is negative or too large for a policy") from error
