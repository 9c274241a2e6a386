"""A ledger and the wallets of its scheme, for stories: they join, are funded, tap, tear, sync, and some cheat."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TypeVar, cast

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.forms import signed
from dualtap.issued import Carrier, Role, Tier, WalletCertificate
from dualtap.keystore import sign_with
from dualtap.statements import Body, Opening, PresentBody, Signed
from dualtap.suite import SUITES, Signer, sha256
from dualtap.sync import (
    SignedUpload,
    Upload,
    encode_signed_upload,
    encode_upload,
    sync_statement,
    upload_of,
)
from dualtap_devices.driver import Driver
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import SyncReport, sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.audit import Account, account, take_store
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.rules import World
from dualtap_issuer.store import Store

EPOCH = 20_000
TERMS = Terms("CNY", 10, 5, 7, (Tier(1, 1_000_000, 1_000, 1_000, 10**9),))
B = TypeVar("B", bound=Body)


class Mint:
    """A scheme, its ledger, and every wallet made in it. All that is random follows from ``seed``."""

    def __init__(
        self, suite: str = "ed25519", seed: str = "mint", quota: int = 100, path: Path | str | None = None
    ) -> None:
        self.suite = SUITES[suite]
        self._seed, self._drawn = sha256(seed.encode()), 0
        self.epoch = EPOCH
        self.store = Store.open(path or ":memory:")
        secrets = Secrets(self.draw(), self.draw(), self.draw(), self.draw())
        self.authority = SchemeAuthority(self.suite, secrets, self.store, EPOCH + 900, quota)
        self.scheme = self.authority.scheme
        self.ledger = Ledger(self.store, self.authority, TERMS)
        self.secrets: dict[bytes, bytes] = {}
        self.wallets: list[Wallet] = []

    def draw(self, size: int = 32) -> bytes:
        self._drawn += 1
        return sha256(self._seed + self._drawn.to_bytes(4, "big"))[:size]

    # The issuer, as a wallet reaches it

    def challenge(self) -> bytes:
        return self.ledger.challenge(self.draw())

    def sync(self, signed_upload: bytes) -> bytes:
        return self.ledger.sync(signed_upload, self.epoch)

    # Wallets

    def wallet(self, fund: int = 0, tier: int = 1) -> Wallet:
        secret = self.draw()
        keystore = MemoryKeystore(self.scheme, secret)
        wallet = Wallet(self.scheme, limits.FULL, keystore, MemoryStore.open(1 << 23))
        self.secrets[keystore.public] = secret
        self.wallets.append(wallet)
        wallet.write(self.ledger.news(self.epoch, self.certify(wallet, tier)))
        if fund:
            self.fund(wallet, fund)
        return wallet

    def certify(self, wallet: Wallet, tier: int = 1) -> WalletCertificate:
        body = PresentBody(self.challenge(), initiator=False, epoch=self.epoch)
        blank = signed(self.scheme.id, wallet.book.key, body)
        proof = blank.sealed(sign_with(wallet.keystore, blank))
        return self.ledger.certify(proof, Carrier.PHONE, tier, Role.PAY | Role.COLLECT, self.epoch + 300)

    def fund(self, wallet: Wallet, amount: int) -> None:
        self.ledger.issue(wallet.book.key, amount, self.epoch, self.draw(8))
        self.settle_in(wallet)

    def settle_in(self, wallet: Wallet, deposit: bool = False) -> SyncReport:
        """Sync a wallet."""
        return sync(wallet, self, self.draw(), deposit)

    def clone(self, wallet: Wallet) -> Wallet:
        """Return a copy of a wallet, chip and all."""
        original = cast("MemoryKeystore", wallet.keystore)
        keystore = MemoryKeystore(self.scheme, self.secrets[wallet.book.key])
        keystore.head = original.head
        store = MemoryStore.open(1 << 23)
        store.append(wallet.store.records)
        copy = Wallet(self.scheme, limits.FULL, keystore, store)
        self.wallets.append(copy)
        return copy

    def pay(self, payer: Wallet, payee: Wallet, amount: int, cut: int = 100) -> str:
        """Tap once; after ``cut`` frames the link is torn. Return how it ended for the payer."""
        return self._tap(*self._drivers(payer, payee, amount), cut)

    def pay_back(self, payer: Wallet, payee: Wallet, receipt: bytes, amount: int, cut: int = 100) -> str:
        """Let a payee of the past refund a payment, as :meth:`pay`."""
        return self._tap(*self._drivers(payer, payee, amount, Pay(receipt, amount)), cut)

    def _tap(self, one: Driver, other: Driver, cut: int) -> str:
        waiting: deque[tuple[Driver, bytes]] = deque((other, frame) for frame in one.begin())
        waiting.extend((one, frame) for frame in other.begin())
        frames = 0
        while waiting and frames < cut:
            receiver, frame = waiting.popleft()
            frames += 1
            sender = one if receiver is other else other
            if not receiver.ended:
                waiting.extend((sender, answer) for answer in receiver.receive(frame))
        one.stop(Code.LINK_LOST)
        other.stop(Code.LINK_LOST)
        return one.result.result.value

    def _drivers(self, payer: Wallet, payee: Wallet, amount: int, order: Pay | None = None) -> tuple[Driver, Driver]:
        def clock() -> float:
            return float(self.epoch * limits.EPOCH_SECONDS)

        def ready(wallet: Wallet, order: Charge | Pay, initiator: bool) -> Driver:
            ephemeral = self.suite.ephemeral(self.draw())
            return Driver(wallet, order, initiator, ephemeral, self.draw(), clock=clock)

        return ready(payer, order or Pay(), True), ready(payee, Charge(amount, "CNY", self.draw(16)), False)

    # Cheating

    def signer(self, wallet: Wallet) -> Signer:
        return self.suite.signer(self.secrets[wallet.book.key])

    def sign(self, wallet: Wallet, body: B, opening: Opening | bytes = b"") -> Signed[B]:
        """Sign anything with a wallet's key: what broken hardware does."""
        signer = self.signer(wallet)
        blank = signed(self.scheme.id, signer.public, body, opening)
        return blank.sealed(signer.sign(blank.id))

    def opening(self, prev: int, ctr: int, request: bytes = b"") -> Opening:
        return Opening(self.draw(16), prev, ctr, request=request)

    def signed_upload(self, wallet: Wallet, upload: Upload | None = None, challenge: bytes | None = None) -> bytes:
        data = encode_upload(upload or upload_of(wallet.book))
        given = challenge or self.challenge()
        statement = sync_statement(self.scheme, wallet.book.key, data, given, self.epoch)
        signature = self.signer(wallet).sign(statement.id)
        return encode_signed_upload(SignedUpload(data, given, self.epoch, signature))

    # Counting

    def account(self) -> Account:
        """Count every unit by the ledger and every store."""
        facts = self.ledger.facts()
        for wallet in self.wallets:
            take_store(facts, self.ledger.trust, wallet.book, self.epoch)
        stores = World(facts, self.ledger.institutions, self.ledger.trust)
        known = self.store.marks()
        return account(self.ledger.world(), known, self.store.settled(), stores, TERMS.currency)

    def named(self) -> set[tuple[bytes, str]]:
        return {(found.key, found.fraud.name) for found in self.ledger.conflicts()}
