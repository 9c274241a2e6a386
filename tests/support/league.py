"""A scheme of several institutions over one database: each has its own key, ledger and bank; one the policy key."""

from __future__ import annotations

from pathlib import Path

from dualtap import limits
from dualtap.forms import signed
from dualtap.issued import Authority, Carrier, Role, WalletCertificate
from dualtap.keystore import sign_with
from dualtap.statements import PresentBody
from dualtap.suite import SUITES, sha256
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import SyncReport, sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import Bank, Institution, PolicyKey, Root, Signers
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS, Mint


class Member:
    """One institution: its host has no root key. It is an issuer, as a wallet reaches it."""

    def __init__(self, league: League, ledger: Ledger) -> None:
        self.league, self.ledger = league, ledger

    @property
    def key(self) -> bytes:
        return self.ledger.authority.institution

    def challenge(self) -> bytes:
        return self.ledger.challenge(self.league.draw())

    def sync(self, signed_upload: bytes) -> bytes:
        return self.ledger.sync(signed_upload, self.league.epoch)


class League(Mint):
    """Institutions by number. What is inherited is of the first, which founded the scheme."""

    def __init__(
        self,
        count: int = 2,
        seed: str = "league",
        quota: int = 100,
        path: Path | str = "",
        dated: bool = True,
        terms: Terms = TERMS,
    ) -> None:
        self.suite = SUITES["ed25519"]
        self._seed, self._drawn = sha256(seed.encode()), 0
        self.epoch, self.quota, self.path, self.terms = EPOCH, quota, path, terms
        self.root = Root(self.suite, self.draw())
        self.scheme = self.root.scheme
        self.secrets, self.wallets = {}, []
        self.keys: dict[bytes, bytes] = {}
        self.store = Store.open(path or ":memory:")
        secret = self.draw()
        key = self.suite.signer(secret).public
        self.policy_key = PolicyKey(self.scheme, secret, self.root.certify(key, Authority.POLICY, 0, EPOCH + 900))
        self.members: list[Member] = []
        for number in range(1, count + 1):
            self.join(number, with_policy_key=number == 1)
        self.ledger = self.members[0].ledger
        if dated:
            self.ledger.date(EPOCH)

    def join(self, number: int, with_policy_key: bool = False) -> Member:
        """Let an institution with one bank join, at this league's epoch."""
        signers = self.signers(number, with_policy_key)
        store = Store.open(self.path) if self.path else self.store
        member = Member(self, Ledger(store, signers, self.terms, self.epoch))
        self.members.append(member)
        return member

    def signers(self, number: int, with_policy_key: bool = False) -> Signers:
        secret, other = self.draw(), self.draw()
        self.keys |= {self.suite.signer(one).public: one for one in (secret, other)}
        key, bank = self.suite.signer(secret).public, self.suite.signer(other).public
        certificate = self.root.certify(key, Authority.INSTITUTION, number, EPOCH + 900)
        office = Institution(self.scheme, secret, certificate)
        partner = Bank(self.scheme, other, office.certify_bank(bank, number, self.quota, EPOCH + 900), self.store)
        return Signers(self.scheme, office, self.policy_key if with_policy_key else None, (partner,))

    def customer(self, member: Member, fund: int = 0, carrier: Carrier = Carrier.PHONE, category: int = 0) -> Wallet:
        """Return a wallet that the member's bank certified, with a token of the member's."""
        wallet = self.newcomer()
        wallet.write(member.ledger.news(self.epoch, self.certified(member, wallet, carrier, category)))
        if fund:
            member.ledger.issue(wallet.book.key, fund, self.epoch, self.draw(8))
            self.sync_at(member, wallet)
        return wallet

    def newcomer(self) -> Wallet:
        """Return a wallet that nobody has certified."""
        secret = self.draw()
        keystore = MemoryKeystore(self.scheme, secret)
        wallet = Wallet(self.scheme, limits.FULL, keystore, MemoryStore.open(1 << 23))
        self.secrets[keystore.public] = secret
        self.wallets.append(wallet)
        return wallet

    def certified(self, member: Member, wallet: Wallet, carrier: Carrier, category: int) -> WalletCertificate:
        body = PresentBody(member.challenge(), initiator=False, epoch=self.epoch)
        blank = signed(self.scheme.id, wallet.book.key, body)
        proof = blank.sealed(sign_with(wallet.keystore, blank))
        return member.ledger.certify(proof, carrier, 1, Role.PAY | Role.COLLECT, self.epoch + 300, category)

    def sync_at(self, member: Member, wallet: Wallet, deposit: bool = False) -> SyncReport:
        return sync(wallet, member, self.draw(), deposit)
