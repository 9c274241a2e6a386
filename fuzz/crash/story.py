"""What happens to the ledger before its power is cut: wallets join, are funded, pay, tear, cheat, sync and are settled.

Every step ends with an acknowledgement: what was acknowledged must be there after any power cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.events import Effect, Send
from dualtap.forms import signed
from dualtap.issued import Carrier, Role, Tier
from dualtap.statements import Kind, PresentBody, Scheme
from dualtap.suite import ED25519, sha256
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.sqlite import SqliteStore

TODAY = 20_000
SPEND, GRACE = 100, 200
FILE = "ledger.db"
TERMS = Terms("CNY", SPEND, GRACE, 4, (Tier(1, 1_000_000, 1000, 1000, 10**9),))
SECRETS = Secrets(*[bytes([number]) * 32 for number in range(1, 5)])
SCHEME = Scheme.of(ED25519, ED25519.signer(SECRETS.root).public)
T = TypeVar("T")
Upload = tuple[bytes, int]
"""A SignedUpload that the ledger took, and its stamp."""


class _Cut(Exception):
    """The link is lost."""


def open_ledger(path: Path, *, create: bool) -> Ledger:
    """Open a ledger as production does."""
    store = SqliteStore(path, create)
    try:
        return Ledger(store, SchemeAuthority(ED25519, SECRETS, store, TODAY + 900, 1000), TERMS)
    except BaseException:
        store.close()
        raise


class Story:
    """A ledger and its wallets. ``begin`` is called before each change of the ledger, ``done`` after it."""

    def __init__(self, folder: Path, begin: Callable[[], None], done: Callable[[Story], None]) -> None:
        self._path, self._begin, self._done = folder / FILE, begin, done
        self._drawn = 0
        self.uploads: list[Upload] = []
        self.epoch = TODAY
        begin()
        self.ledger = open_ledger(self._path, create=True)
        done(self)

    def _change(self, change: Callable[[], T]) -> T:
        self._begin()
        found = change()
        self._done(self)
        return found

    def draw(self, size: int = 32) -> bytes:
        """Return bytes, the same in every run."""
        self._drawn += 1
        return sha256(b"crash" + self._drawn.to_bytes(4, "big"))[:size]

    def reopen(self) -> None:
        """Close the ledger, which empties its log into the file, and open it again."""
        self._begin()
        self.ledger.store.close()
        self.ledger = open_ledger(self._path, create=False)
        self._done(self)

    def join(self) -> Wallet:
        """Return a new wallet, certified and funded."""
        keystore = MemoryKeystore(SCHEME, self.draw())
        wallet = Wallet(SCHEME, limits.FULL, keystore, MemoryStore.open(1 << 22))
        challenge = self.challenge()
        present = signed(SCHEME.id, keystore.public, PresentBody(challenge, True, TODAY))
        proof = present.sealed(keystore.sign(Kind.PRESENT, present.public))
        last, role = TODAY + 800, Role.PAY | Role.COLLECT
        certificate = self._change(lambda: self.ledger.certify(proof, Carrier.PHONE, 1, role, last))
        wallet.write(self._change(lambda: self.ledger.news(TODAY, certificate)))
        self.fund(wallet, 1000)
        return wallet

    def fund(self, wallet: Wallet, amount: int) -> None:
        """Issue a token and have the wallet fetch it."""
        serial = self.draw(8)
        self._change(lambda: self.ledger.issue(wallet.book.key, amount, self.epoch, serial))
        self.sync(wallet)

    def sync(self, wallet: Wallet, *, deposit: bool = False) -> None:
        """Sync a wallet."""
        sync(wallet, _Office(self), self.draw(), deposit=deposit)

    def challenge(self) -> bytes:
        """Return a challenge."""
        entropy = self.draw()
        return self._change(lambda: self.ledger.challenge(entropy))

    def take(self, upload: bytes) -> bytes:
        """Have the ledger take an upload."""
        self.uploads.append((upload, self.epoch))
        return self._change(lambda: self.ledger.sync(upload, self.epoch))

    def settle(self, epoch: int) -> None:
        """Settle what is due."""
        self._change(lambda: self.ledger.settle(epoch))

    def pay(self, payer: Wallet, payee: Wallet, amount: int, lost: int = 0) -> None:
        """Pay; with ``lost``, the link ends before that frame."""
        said = 0

        def watch(effect: Effect) -> None:
            nonlocal said
            said += isinstance(effect, Send)
            if lost and said == lost:
                raise _Cut

        def driver(wallet: Wallet, order: Charge | Pay, initiator: bool) -> Driver:
            ephemeral, now = ED25519.ephemeral(self.draw()), float(self.epoch * limits.EPOCH_SECONDS)
            return Driver(wallet, order, initiator, ephemeral, self.draw(), watch=watch, clock=lambda: now)

        charge = Charge(amount, "CNY", self.draw(16), person=True)
        try:
            exchange(driver(payer, Pay(), True), driver(payee, charge, False))
        except _Cut:
            return


class _Office:
    """The issuer, as a wallet reaches it."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def challenge(self) -> bytes:
        return self._story.challenge()

    def sync(self, signed_upload: bytes) -> bytes:
        return self._story.take(signed_upload)


def cloned(wallet: Wallet) -> Wallet:
    """Return what a thief of the secret makes: the same key and store in another device."""
    keystore = MemoryKeystore.__new__(MemoryKeystore)
    keystore.__dict__.update(wallet.keystore.__dict__)
    store = MemoryStore.open(1 << 22)
    store.append(wallet.store.records)
    return Wallet(SCHEME, limits.FULL, keystore, store)


def tell(story: Story) -> Iterator[str]:
    """Play the story; yield the name of each chapter."""
    anna, ben, carla = (story.join() for _ in range(3))
    yield "joined"
    story.pay(anna, ben, 120)
    story.pay(ben, carla, 50)
    story.sync(ben)
    story.sync(carla, deposit=True)
    yield "paid"
    story.reopen()
    story.pay(anna, carla, 30, lost=4)
    story.sync(anna)
    story.sync(carla)
    yield "torn"
    twin = cloned(anna)
    story.pay(anna, ben, 40)
    story.pay(twin, carla, 60)
    story.sync(ben, deposit=True)
    story.sync(carla)
    story.sync(anna)
    yield "cheated"
    story.fund(ben, 70)
    story.pay(ben, carla, 20)
    story.sync(carla, deposit=True)
    story.sync(ben)
    story.reopen()
    story.settle(TODAY + SPEND + GRACE + 1)
    yield "settled"
