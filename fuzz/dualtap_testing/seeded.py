"""A scheme of which everything follows from a seed: keys, serials, entropy, dates. So a failure can be played again.

Unlike :class:`~dualtap_testing.toyscheme.ToyScheme` it has an issuer, so that wallets sync, and a calendar that the
story moves. Its secrets are worth nothing, and are shown to nobody all the same.
"""

from __future__ import annotations

from typing import NamedTuple

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Report
from dualtap.issued import Carrier, Condition, Role, Tier, Token, WalletCertificate
from dualtap.limits import Profile
from dualtap.records import Funded, News
from dualtap.suite import SUITES, sha256
from dualtap.trust import issue
from dualtap_devices.driver import Driver, Person, Watch, always, exchange, unseen
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import SyncReport, sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.store import Store
from dualtap_testing.trace import Trace, TracedDriver

EPOCH = 20_000
"""The date on which every scheme here begins: a day in 2024."""
CURRENCY = "CNY"
STORE = 1 << 22
_LIFE = 300
_TIERS = (Tier(1, limits.AMOUNT, 2**31, 2**31, limits.AMOUNT),)


class Reports(NamedTuple):
    """How a tap ended, for each side."""

    payer: Report
    payee: Report


class SeededScheme:
    """A scheme, its authorities and its ledger. It is an :class:`~dualtap_devices.syncing.Issuer`."""

    def __init__(self, seed: int | str = 0, suite: str = "ed25519", tiers: tuple[Tier, ...] = _TIERS) -> None:
        """``suite`` is ``ed25519`` or ``p256``; ``tiers`` are the limits, by default none."""
        if suite not in SUITES:
            raise TapError(Code.BAD_INPUT, f"no suite {suite!r}: {', '.join(SUITES)}")
        self.seed, self.suite = seed, SUITES[suite]
        self._entropy, self._drawn, self._ordinals = sha256(f"dualtap {suite} {seed}".encode()), 0, 0
        self.epoch = EPOCH
        self.trace: Trace | None = None
        """Where what crosses in its taps is kept, if anywhere; to be set before the first of them."""
        secrets = Secrets(self.draw(), self.draw(), self.draw(), self.draw())
        self._bank = self.suite.signer(secrets.bank)
        store = Store.open()
        self.authority = SchemeAuthority(self.suite, secrets, store, EPOCH + 10 * _LIFE, 1 << 20)
        self.scheme = self.authority.scheme
        self.ledger = Ledger(store, self.authority, Terms(CURRENCY, _LIFE, _LIFE, limits.HOPS, tiers))

    def __repr__(self) -> str:
        """Show what makes it anew."""
        return f"SeededScheme({self.seed!r}, {self.suite.name!r})"

    def draw(self, size: int = 32) -> bytes:
        """Return the next ``size`` bytes (at most 32): new each time, the same in every run."""
        self._drawn += 1
        return sha256(self._entropy + self._drawn.to_bytes(8, "big"))[:size]

    def clock(self) -> float:
        """Return the time, in seconds since 1970: midnight of the scheme's date."""
        return float(self.epoch * limits.EPOCH_SECONDS)

    # What authorities sign

    def certificate(
        self,
        key: bytes,
        carrier: Carrier = Carrier.PHONE,
        *,
        role: Role = Role.PAY | Role.COLLECT,
        category: int = 0,
        expires: int | None = None,
    ) -> WalletCertificate:
        """Return the bank's word for a wallet key, without asking for a proof that somebody holds it."""
        last, bank = self.epoch + _LIFE if expires is None else expires, self.authority.bank.certificate
        ordinal = self.ledger.store.ordinal(bank.key, key, bank.quota)
        if ordinal is None:
            raise TapError(Code.QUOTA_USED)
        blank = WalletCertificate(key, carrier, 1, role, category, b"", last, ordinal, b"", b"")
        return issue(self.scheme, self._bank, blank)

    def news(self, key: bytes, carrier: Carrier = Carrier.PHONE) -> News:
        """Return all that a new wallet with this key has to know: its certificate, authorities, date and policy."""
        return self.ledger.news(self.epoch, self.certificate(key, carrier))

    def token(
        self, owner: bytes, amount: int, conditions: tuple[Condition, ...] = (), hops: int = limits.HOPS
    ) -> Token:
        """Return a new token of ``amount`` minor units for this key."""
        spend_by = self.epoch + _LIFE
        office = self.authority.office
        return office.token(
            self.draw(8), amount, CURRENCY, owner, self.epoch, spend_by, spend_by + _LIFE, hops, conditions
        )

    # Wallets

    def wallet(self, balance: int = 0, carrier: Carrier = Carrier.PHONE, profile: Profile = limits.FULL) -> Wallet:
        """Return a new wallet in memory that has joined, with ``balance`` minor units."""
        wallet = Wallet(self.scheme, profile, MemoryKeystore(self.scheme, self.draw()), MemoryStore.open(STORE))
        wallet.write(self.news(wallet.book.key, carrier))
        if balance:
            self.fund(wallet, balance)
        return wallet

    def fund(self, wallet: Wallet, amount: int) -> Token:
        """Give a wallet a token."""
        token = self.token(wallet.book.key, amount)
        wallet.write(Funded(token))
        return token

    # Taps

    def charge(self, amount: int, basket: bytes = b"") -> Charge:
        """Return an order to collect ``amount`` minor units, for a new basket unless one is given."""
        return Charge(amount, CURRENCY, basket or self.draw(16), person=True)

    def driver(
        self, wallet: Wallet, order: Order, initiator: bool, *, person: Person = always, watch: Watch = unseen
    ) -> Driver:
        """Return a driver whose ephemeral key, entropy and clock are the scheme's."""
        ephemeral, entropy = self.suite.ephemeral(self.draw()), self.draw()
        if self.trace is None:
            return Driver(wallet, order, initiator, ephemeral, entropy, person, watch, self.clock)
        return TracedDriver(self.trace, wallet, order, initiator, ephemeral, entropy, person, watch, self.clock)

    def pay(self, payer: Wallet, payee: Wallet, amount: int, *, payer_starts: bool = True) -> Reports:
        """Run a tap with nothing in its way."""
        pays = self.driver(payer, Pay(), payer_starts)
        collects = self.driver(payee, self.charge(amount), not payer_starts)
        exchange(*((pays, collects) if payer_starts else (collects, pays)))
        return Reports(pays.result, collects.result)

    # The issuer, as a device reaches it

    def challenge(self) -> bytes:
        """Return 32 fresh bytes, good for one sync."""
        return self.ledger.challenge(self.draw())

    def sync(self, signed_upload: bytes) -> bytes:
        """Take an upload and return the reply."""
        return self.ledger.sync(signed_upload, self.epoch)

    def sync_wallet(self, wallet: Wallet, *, deposit: bool = False) -> SyncReport:
        """Sync a wallet of ours."""
        return sync(wallet, self, self.draw(), deposit)
