"""Two devices on storage that fails as planned, and what must be true of them whatever happened.

A :class:`Trial` plays a story on one device while its power is cut or a sync fails, opens it again as often as it
takes, lets the two devices tap once more, and checks every promise that two devices alone can keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from typing import NamedTuple, TypeAlias

from dualtap import limits
from dualtap.book import Book
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Report
from dualtap.keystore import Head, Keystore
from dualtap.limits import Profile
from dualtap.pin import Pin
from dualtap.records import Funded, News
from dualtap.statements import Kind, ReceiptBody, Scheme, TapeOpening, statement_id
from dualtap.suite import Drbg, Ephemeral, Signer, Suite, Verify
from dualtap_devices.driver import Driver, Watch, unseen
from dualtap_devices.flash import CrashFlash, Faults, Keep, PowerCut
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, World, remembered

PROFILE = Profile(message=4096, hops=7, spans=4, log=24 * 1024)
"""A small device: less flash to copy and to search."""
NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"the first basket"
OTHER = b"another basket.."
REFUND = b"the payee pays.."
OTHER_BACK = b"it pays again..."
PRICES = {BASKET: 100, OTHER: 30}
BACK = {REFUND: 5, OTHER_BACK: 7}
FUNDS = (1000, 500)
REPORTED = (Code.STORE_FAILED, Code.KEYSTORE_REFUSED)
"""What a device may say when its flash fails: open it again."""


# The same cryptography, each result computed once: a story is played thousands of times with the same bytes.


class _Signer:
    def __init__(self, signer: Signer) -> None:
        self.public = signer.public
        self.sign = cache(signer.sign)


class _Ephemeral:
    def __init__(self, ephemeral: Ephemeral) -> None:
        self.public = ephemeral.public
        self.exchange = cache(ephemeral.exchange)


def remembering(suite: Suite) -> Suite:
    """Return the suite with every result kept."""

    def signer(secret: bytes) -> Signer:
        return _Signer(suite.signer(secret))

    def ephemeral(secret: bytes) -> Ephemeral:
        return _Ephemeral(suite.ephemeral(secret))

    def verifier(public: bytes) -> Verify:
        return cache(suite.verifier(public))

    return replace(suite, signer=cache(signer), ephemeral=cache(ephemeral), verifier=cache(verifier))


class Signature(NamedTuple):
    """What a keystore let out: the id that it signed, and the interval of the tape that the id takes."""

    key: bytes
    id: bytes
    prev: int
    ctr: int


class Recorded:
    """A keystore, and a list of all that it ever signed: also what never left the device."""

    def __init__(self, scheme: Scheme, inner: Keystore, signed: set[Signature]) -> None:
        self._scheme, self._inner, self._signed = scheme, inner, signed
        self.after_signing: Callable[[], None] = lambda: None

    @property
    def public(self) -> bytes:
        return self._inner.public

    @property
    def head(self) -> Head:
        return self._inner.head

    @property
    def pin(self) -> Pin | None:
        return self._inner.pin

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        signature = self._inner.sign_tape(kind, public, opening, private)
        entry = statement_id(self._scheme.id, kind, self.public, public, opening.commitment())
        self._signed.add(Signature(self.public, entry, opening.prev, opening.ctr))
        self.after_signing()
        return signature

    def sign(self, kind: Kind, public: bytes) -> bytes:
        return self._inner.sign(kind, public)


OpenStore: TypeAlias = Callable[[CrashFlash], SlotStore]
OpenKeystore: TypeAlias = Callable[[Scheme, CrashFlash], Keystore]
OpenWallet: TypeAlias = Callable[[Scheme, Profile, Recorded, SlotStore], Wallet]


class Make(NamedTuple):
    """How a device is made; a control puts something broken here."""

    store: OpenStore = SlotStore.open
    keystore: OpenKeystore = EmulatedKeystore
    wallet: OpenWallet = Wallet


class Images(NamedTuple):
    """The flash of a device, without power."""

    store: bytes
    keys: bytes


class Device:
    """A wallet on two pieces of flash that lose their power together."""

    def __init__(self, scheme: Scheme, images: Images, make: Make | None = None) -> None:
        self.scheme = scheme
        self.make = make or Make()
        self.signed: set[Signature] = set()
        self.store = CrashFlash(len(images.store), image=images.store)
        self.keys = CrashFlash(len(images.keys), image=images.keys)
        self._wallet: Wallet | None = None

    @property
    def wallet(self) -> Wallet:
        """The wallet, opened now if it is not."""
        if self._wallet is None:
            keystore = Recorded(self.scheme, self.make.keystore(self.scheme, self.keys), self.signed)
            self._wallet = self.make.wallet(self.scheme, PROFILE, keystore, self.make.store(self.store))
        return self._wallet

    def restart(self) -> None:
        """The process ends; the page cache survives it."""
        self._wallet = None

    def crash(self, store: Keep | None = None, keys: Keep | None = None) -> None:
        """The power goes and comes back; by default all that was not synced is lost."""
        self._wallet = None
        self.store, self.keys = self.store.crash(store), self.keys.crash(keys)

    @property
    def images(self) -> Images:
        return Images(self.store.medium, self.keys.medium)


class Pair(NamedTuple):
    """Two devices by the part that they play in the story."""

    payer: Device
    payee: Device


class Session:
    """What two devices do together. Whatever is random is the same in every session of this name."""

    def __init__(self, pair: Pair, name: str = "story") -> None:
        self.pair = pair
        self.random = Drbg(name.encode().ljust(32))
        self.reports: list[Report] = []

    def tap(
        self,
        basket: bytes = BASKET,
        amount: int = 100,
        *,
        back: bool = False,
        payer_starts: bool = True,
        frames: int = 1000,
        watch: Watch = unseen,
    ) -> Report:
        """Tap: the payer pays, or with ``back`` the payee does; the link is lost after so many frames."""
        payer, payee = (self.pair.payee, self.pair.payer) if back else self.pair
        suite = payer.scheme.suite
        sides = [
            Driver(
                wallet,
                order,
                starts,
                suite.ephemeral(self.random.take(32)),
                self.random.take(32),
                watch=watch,
                clock=lambda: NOW,
            )
            for wallet, order, starts in (
                (payer.wallet, Pay(), payer_starts),
                (payee.wallet, Charge(amount, "CNY", basket), not payer_starts),
            )
        ]
        try:
            self._exchange(sides if payer_starts else sides[::-1], frames)
        finally:
            for side in sides:
                if not side.ended:
                    side.stop(Code.LINK_LOST)
        self.reports = sides[0].reports
        return sides[0].result

    @staticmethod
    def _exchange(sides: list[Driver], frames: int) -> None:
        sides[1].begin()
        waiting = [(1, frame) for frame in sides[0].begin()]
        while waiting and frames:
            frames -= 1
            receiver, frame = waiting.pop(0)
            if not sides[receiver].ended:
                waiting += [(1 - receiver, answer) for answer in sides[receiver].receive(frame)]


class Bench:
    """A world, and two devices as they are when a story begins."""

    def __init__(self) -> None:
        self.world = World("ed25519", seed="bench")
        scheme = self.world.scheme
        self.scheme = Scheme(remembering(scheme.suite), scheme.root, scheme.id)
        self.issued = 0
        self.blank = (self._device(FUNDS[0]), self._device(FUNDS[1]))

    def _device(self, fund: int) -> Images:
        world, keys = self.world, CrashFlash(SIZE)
        keystore = EmulatedKeystore.create(self.scheme, keys, world.draw())
        store = CrashFlash(2 * PROFILE.log)
        wallet = Wallet(self.scheme, PROFILE, keystore, SlotStore.open(store))
        certificate = world.certificate(keystore.public)
        wallet.write(News(certificate, world.authorities, world.header, world.policy))
        wallet.write(Funded(world.token(keystore.public, fund)))
        self.issued += fund
        return Images(store.medium, keys.medium)

    def pair(
        self, images: tuple[Images, Images] | None = None, payer: Make | None = None, payee: Make | None = None
    ) -> Pair:
        """Return two devices with these images, or new ones."""
        first, second = images or self.blank
        return Pair(Device(self.scheme, first, payer), Device(self.scheme, second, payee))

    def after(self, *taps: int) -> tuple[Images, Images]:
        """Return the devices after taps for the first basket, each torn after so many frames, and a power cut."""
        pair = self.pair()
        session = Session(pair, "before")
        for frames in taps:
            session.tap(frames=frames)
        return pair.payer.images, pair.payee.images


# What must be true


def check_value(bench: Bench, pair: Pair) -> None:
    """Nothing is made and nothing lost between the two."""
    check_books(bench.issued, pair.payer.wallet.book, pair.payee.wallet.book)


def check_books(issued: int, payer: Book, payee: Book) -> None:
    """Nothing is made and nothing lost: each unit is with the payee if it has a Receipt, else with the payer."""
    units: list[tuple[bytes, int, int]] = []
    for own, other in ((payer, payee), (payee, payer)):
        units += [(held.token, held.start, held.end) for held in own.holdings]
        for sent in own.pending.values():
            if sent.transfer.id not in other.taken:
                units += [(own.graph.origin(p).token, start, end) for p, start, end in sent.transfer.body.spans]
    for (token, start, end), (another, begin, stop) in combinations(units, 2):
        assert token != another or end <= begin or stop <= start, "a unit is in two places"
    assert sum(end - start for _, start, end in units) == issued, "value was lost or made"


def check_tape(pair: Pair) -> None:
    """No key ever signed two statements whose intervals overlap."""
    for device in pair:
        for one, two in combinations(device.signed, 2):
            assert one.ctr <= two.prev or two.ctr <= one.prev, "two signatures at one place of a tape: it looks cloned"


def payments(device: Device, basket: bytes) -> int:
    """Return how many payments this device accepted for a basket."""
    return payments_for(device.wallet.book, basket)


def payments_for(book: Book, basket: bytes) -> int:
    """Return how many payments a wallet accepted for a basket."""
    outcomes = [book.questions[request].outcome for request in book.parts.get((basket, 0), [])]
    return sum(outcome is not None and isinstance(outcome.body, ReceiptBody) for outcome in outcomes)


def check_settled(pair: Pair) -> None:
    """Nothing is in doubt, no basket is paid twice, and both devices remember all of it without power."""
    for device in pair:
        assert not device.wallet.quarantined
        assert not device.wallet.book.pending, "in doubt after a clean tap"
        for basket in (*PRICES, *BACK):
            assert payments(device, basket) <= 1, "a basket was paid twice"
        before = remembered(device.wallet.book)
        device.crash()
        assert remembered(device.wallet.book) == before, "what was said was not durable"


def gained(pair: Pair) -> int:
    """Return the minor units that the payee has won since the beginning."""
    return sum(held.amount for held in pair.payee.wallet.book.holdings) - FUNDS[1]


def owed(pair: Pair) -> int:
    """Return what the payee must have won: the price of each basket that was paid."""
    won = sum(price for basket, price in PRICES.items() if payments(pair.payee, basket))
    return won - sum(price for basket, price in BACK.items() if payments(pair.payer, basket))


HEALS = ("again", "other", "back")
"""How the clean tap goes: the same basket again, another one, or the payee pays the payer."""


def heal(bench: Bench, session: Session, how: str) -> None:
    """Tap once more, cleanly, and check that all is well."""
    pair = session.pair
    back = how == "back"
    basket = {"again": BASKET, "other": OTHER, "back": OTHER_BACK}[how]
    session.tap(basket, (BACK if back else PRICES)[basket], back=back)
    check_value(bench, pair)
    check_tape(pair)
    assert payments(pair.payer if back else pair.payee, basket) == 1
    assert gained(pair) == owed(pair)
    check_settled(pair)


Story: TypeAlias = Callable[[Session], None]


@dataclass(frozen=True)
class Scene:
    """A story, the devices with which it begins, and the one to which it happens: 0 is the payer."""

    name: str
    images: tuple[Images, Images]
    subject: int
    story: Story
    heals: tuple[str, ...] = HEALS

    def __str__(self) -> str:
        return self.name


class Trial:
    """One scene, played to the end with faults in it."""

    def __init__(self, bench: Bench, scene: Scene, make: Make | None = None) -> None:
        self.bench, self.scene = bench, scene
        self.pair = bench.pair(scene.images, *((None, make) if scene.subject else (make, None)))
        self.subject = self.pair[scene.subject]
        self.other = self.pair[1 - scene.subject]
        self.session = Session(self.pair)
        self.told = False

    def tell(self) -> None:
        """Play the story once, if the device opens."""
        wallet = self.subject.wallet
        assert not wallet.quarantined, "an honest device was quarantined"
        _ = self.other.wallet
        if not self.told:
            self.told = True
            self.scene.story(self.session)

    def until_cut(self) -> bool:
        """Play until the power is cut; return whether it was. A device that reports a failure is started again."""
        failed: TapError | None = None
        for _ in range(8):
            try:
                self.tell()
            except PowerCut:
                return True
            except TapError as error:
                if error.code not in REPORTED:
                    raise
                failed = error
                self.subject.restart()
            else:
                return False
        raise AssertionError("the device never opens again") from failed

    def finish(self, how: str, store: Keep | None = None, keys: Keep | None = None) -> None:
        """Let the power come back, and end well."""
        self.subject.crash(store, keys)
        assert not self.until_cut()
        check_value(self.bench, self.pair)
        heal(self.bench, self.session, how)


def survivals(flash: CrashFlash) -> Iterator[Keep]:
    """Yield what may outlive a cut: some of the unsynced pieces, and one of them torn at every byte.

    Of up to three pieces any may be some; of more, the first ones, or all but one.
    """
    pieces = frozenset(range(len(flash.pieces)))
    sizes = range(len(pieces) + 1)
    if len(pieces) <= 3:
        subsets = [frozenset(some) for size in sizes for some in combinations(pieces, size)]
    else:
        subsets = [frozenset(range(size)) for size in sizes] + [pieces - {one} for one in pieces]
    for whole in subsets:
        yield Keep(whole)
        for torn in pieces - whole:
            for byte in range(len(flash.pieces[torn].data)):
                yield Keep(whole, torn, byte)
                if byte % 64 == 1:
                    yield Keep(whole, torn, byte, garbage=True)


def coarse(flash: CrashFlash) -> Iterator[Keep]:
    """Yield fewer: none or all of the unsynced pieces, each of them alone, lost, torn or destroyed."""
    pieces = frozenset(range(len(flash.pieces)))
    yield Keep()
    yield Keep(pieces)
    for one in pieces:
        yield Keep(frozenset({one}))
        yield Keep(pieces - {one})
        for byte in (1, 40, 60, 70, 300):
            yield Keep(frozenset(), one, byte)
            yield Keep(pieces - {one}, one, byte)
        yield Keep(frozenset(), one, 0, garbage=True)
        yield Keep(pieces - {one}, one, 60, garbage=True)


def faults_of(where: str, faults: Faults, device: Device) -> None:
    """Plan faults for one of a device's two pieces of flash."""
    flash = device.store if where == "store" else device.keys
    flash.faults = faults
