"""The institutions of a simulated scheme: in some worlds two, over one ledger, with a bank each (SPEC §16-20).

Wallets are the customers of either; both issue, and any takes whose sync it is.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dualtap.issued import Authority, AuthorityCertificate, key_hint
from dualtap_issuer.authority import Bank, Institution, SchemeAuthority, Signers
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.rules import Lot
from dualtap_issuer.settling import all_shares
from dualtap_testing.dues import Cut, Paid

if TYPE_CHECKING:
    from dualtap_testing.devices import Device
    from dualtap_testing.world import World

SHARE = 1 / 3
"""Of so many worlds, those that have two institutions."""
QUOTA = 1_000


class Guild:
    """The institutions of one world; the first holds the root's and the policy key too."""

    def __init__(self, seed: str, founder: Ledger, authority: SchemeAuthority, epoch: int, last: int) -> None:
        """It begins at ``epoch``; ``last`` is the last day of its first certificates."""
        draw = random.Random(f"{seed}/guild")  # noqa: S311 - a simulation's, to be repeated
        self._root, self.ledgers, self._homes = authority.root, [founder], draw
        if draw.random() < SHARE:
            self.ledgers.append(self._second(founder, draw, last))
            founder.date(epoch)

    def _second(self, founder: Ledger, draw: random.Random, last: int) -> Ledger:
        suite, scheme = founder.scheme.suite, founder.scheme
        secret, other = draw.randbytes(32), draw.randbytes(32)
        certificate = self._root.certify(suite.signer(secret).public, Authority.INSTITUTION, 2, last)
        office = Institution(scheme, secret, certificate)
        partner = office.certify_bank(suite.signer(other).public, 2, QUOTA, last)
        bank = Bank(scheme, other, partner, founder.store)
        return Ledger(founder.store, Signers(scheme, office, None, (bank,)), founder.terms)

    @property
    def offices(self) -> list[bytes]:
        """The institutions' keys."""
        return [one.authority.institution for one in self.ledgers]

    @property
    def banks(self) -> list[bytes]:
        """The banks' keys."""
        return [one.authority.bank.certificate.key for one in self.ledgers]

    @property
    def hints(self) -> dict[bytes, bytes]:
        """The institutions' keys, by the hint of themselves and of their banks."""
        return {
            key_hint(key): one.authority.institution
            for one in self.ledgers
            for key in (one.authority.institution, one.authority.bank.certificate.key)
        }

    def certified(self, what: Authority, last: int) -> list[AuthorityCertificate]:
        """Return fresh certificates of every authority of a kind, up to a last day."""
        if what is Authority.POLICY:
            return [self._root.certify(self.ledgers[0].authority.dating.certificate.key, what, 0, last)]
        found: list[AuthorityCertificate] = []
        for signers in (one.authority for one in self.ledgers):
            bank, office = signers.bank.certificate, signers.office.certificate
            if what is Authority.BANK:
                found.append(signers.office.certify_bank(bank.key, bank.number, bank.quota, last))
            else:
                found.append(self._root.certify(office.key, what, office.number, last))
        return found

    # Who does what

    def home(self) -> Ledger:
        """Return the institution of whose bank a new device's certificate is."""
        return self._homes.choice(self.ledgers)

    def any(self, draw: random.Random) -> Ledger:
        """Return an institution: to issue a token, or to take a sync."""
        return draw.choice(self.ledgers) if len(self.ledgers) > 1 else self.ledgers[0]

    def desk(self, device: Device | None, draw: random.Random) -> Ledger:
        """Return where a device syncs: anywhere, but at home while it changes its key (SPEC §20-6)."""
        if device is not None and device.is_moving:
            issuer = device.wallet.book.certificate.issuer
            return next(one for one in self.ledgers if one.authority.bank.certificate.hint == issuer)
        return self.any(draw)

    def date(self, world: World) -> None:
        """Sign the date, and the policy, for who does not hold the policy key."""
        if len(self.ledgers) > 1:
            self.ledgers[0].date(world.reign.dated)

    def settle(self, world: World) -> None:
        """Let every institution settle, and date the new day."""
        for one in self.ledgers:
            one.settle(world.epoch)
        self.date(world)

    @property
    def refused(self) -> int:
        """The statements that any left out."""
        return sum(one.refused for one in self.ledgers)

    # The end

    def audit(self, world: World, days: int) -> None:
        """Audit the ledger; where there are two institutions, once every token is settled, and their books too."""
        if len(self.ledgers) == 1:
            self.ledgers[0].audit()
            return
        world.let_pass(days)
        store, found = self.ledgers[0].store, self.ledgers[1].net()
        paid = [
            Paid(named, leaf.holder, leaf.transfer if leaf.lot is Lot.DEPOSITED else b"", leaf.amount)
            for named, leaves in store.settled().items()
            for leaf in leaves
        ]
        cuts = [Cut(one.token, one.holder, one.backed, one.guaranteed) for one in all_shares(store)]
        claims = {(one.creditor, one.debtor): (one.sum.at_risk, one.sum.final) for one in found.claims}
        positions = {one.institution: (one.sum.at_risk, one.sum.final) for one in found.positions}
        world.dues.check(paid, cuts, claims, positions)
