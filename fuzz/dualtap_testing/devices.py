"""Devices of a simulated world: production wallets on memory whose power fails at any write.

A device's store and keystores share one :class:`Power`. What it plans is a write, by number, and whether the write is
still made; then the device is dark until it is opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from dualtap.keystore import Head
from dualtap.limits import Profile
from dualtap.logcodec import encode_record
from dualtap.records import Record
from dualtap.statements import Kind, Scheme, TapeOpening
from dualtap_devices.flash import PowerCut
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from dualtap_testing.reading import Shelf

STORE, SMALL = 1 << 20, 24 * 1024
"""Bytes of flash, and of a card's, which may fill up between two syncs."""


class Power:
    """What keeps a device running. ``cut`` is the write at which it fails, from 0, and whether just after it."""

    def __init__(self) -> None:
        self.writes = 0
        self.cuts = 0
        self.cut: tuple[int, bool] | None = None
        self.dark = False

    def plan(self, cut: tuple[int, bool] | None) -> None:
        """Plan the next cut, or none; count anew."""
        self.writes, self.cut, self.dark = 0, cut, False

    def write(self, write: Callable[[], None], torn: Callable[[], None] | None = None) -> None:
        """Carry out one atomic write, unless the power fails before it; raise :class:`PowerCut` where it fails.

        What is not atomic is ``torn`` by it.
        """
        if self.dark:
            raise PowerCut
        number, self.writes = self.writes, self.writes + 1
        if self.cut == (number, False):
            if torn is not None:
                torn()
            self._fail()
        write()
        if self.cut == (number, True):
            self._fail()

    def _fail(self) -> None:
        self.dark = True
        self.cuts += 1
        raise PowerCut


class PoweredStore(MemoryStore):
    """A store in memory, atomic as a :class:`SlotStore` is, that needs power to be written."""

    def __init__(self, power: Power, records: Sequence[bytes] = (), size: int = STORE) -> None:
        super().__init__(size)
        self.power = power
        super().append(records)
        self.journal = list(records)
        """Every record that was ever durable; a compacted log follows what it replaced."""
        self.exchanged: tuple[bytes, ...] = ()
        """What the next compacted log takes in beside what it replaces."""

    @property
    def log(self) -> list[bytes]:
        """All records, not copied."""
        return self._records

    def power_up(self) -> None:
        """The power comes back: nothing is torn here."""

    def append(self, records: Sequence[bytes]) -> None:
        """Add records, or fail with the power."""

        def write() -> None:
            super(PoweredStore, self).append(records)
            self.journal += records

        self.power.write(write)

    def compact(self, records: Sequence[bytes]) -> None:
        """Replace all records, or fail with the power."""

        def write() -> None:
            super(PoweredStore, self).compact(records)
            self.journal += [*self.exchanged, *records]

        self.power.write(write)


class PoweredKeystore(MemoryKeystore):
    """A keystore whose one cell needs power to be written, and that shows the checkers all that it signs.

    ``lax`` is a broken chip: it signs whatever it is asked to, in whatever order. ``scrawls`` are the kinds of
    statements that it does not sign, and says that it did.
    """

    head: Head

    def __init__(self, scheme: Scheme, secret: bytes, power: Power) -> None:
        super().__init__(scheme, secret)
        self.secret = secret
        self.power = power
        self.lax = False
        self.scrawls: frozenset[Kind] = frozenset()
        self.signed: list[tuple[Kind, bytes, TapeOpening]] = []
        """Tape entries signed: kind, H(public) and place."""

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        """Sign a tape entry, or fail with the power before the signature is out."""
        before, found = self.head, b""
        if self.lax:
            self.head = Head(0, b"", before.successor)

        def write() -> None:
            nonlocal found
            found = super(PoweredKeystore, self).sign_tape(kind, public, opening, private)
            self.signed.append((kind, public, opening))

        try:
            self.power.write(write)
        finally:
            if not found:
                self.head = before
        return bytes(len(found)) if kind in self.scrawls else found

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape; a Successor is written first, and may fail with the power."""
        if kind is not Kind.SUCCESSOR:
            said = super().sign(kind, public)
            return bytes(len(said)) if kind in self.scrawls else said
        found = b""

        def write() -> None:
            nonlocal found
            found = super(PoweredKeystore, self).sign(kind, public)

        self.power.write(write)
        return found

    def power_up(self) -> None:
        """The power comes back: nothing is torn here."""

    def clone(self, power: Power) -> PoweredKeystore:
        """Return what a thief makes of it."""
        twin = PoweredKeystore(self._scheme, self.secret, power)
        twin.head = self.head
        twin.lax = True
        return twin


class JournalledWallet(Wallet):
    """A wallet; what its log takes in only as it is compacted stands in its store's journal too."""

    def exchange(self, *records: Record) -> None:
        """Change it in a compacted log."""
        store = cast("PoweredStore", self.store)
        store.exchanged = tuple([encode_record(item) for item in records])
        try:
            super().exchange(*records)
        finally:
            store.exchanged = ()


class Chest:
    """One key of a device: its keystore, its store, and what the checkers read there."""

    def __init__(self, keystore: PoweredKeystore, store: PoweredStore, shelf: Shelf) -> None:
        self.keystore, self.store, self.shelf = keystore, store, shelf

    @property
    def key(self) -> bytes:
        """Its public key."""
        return self.keystore.public


class Device:
    """A wallet and those of its former keys, which can lose its power at any time and be opened again."""

    def __init__(self, name: str, scheme: Scheme, profile: Profile, chest: Chest, power: Power) -> None:
        self.name, self.scheme, self.profile, self.power = name, scheme, profile, power
        self.chests = [chest]
        """Oldest key first; the last is the present one."""
        self.heir: Chest | None = None
        self.ahead: float | None = 0.0
        """Seconds that its clock is ahead of the world's; ``None`` for a device without a clock."""
        self.touched = True
        self.wallet = self._open()

    @property
    def key(self) -> bytes:
        """The present key."""
        return self.chests[-1].key

    @property
    def keys(self) -> list[bytes]:
        """Every key that this device had, oldest first."""
        return [chest.key for chest in self.chests]

    def _open(self) -> Wallet:
        wallets: list[Wallet] = [
            JournalledWallet(self.scheme, self.profile, chest.keystore, chest.store) for chest in self.chests
        ]
        wallets[-1].retired = tuple(wallets[:-1])
        self.touched = True
        return wallets[-1]

    def reopen(self) -> None:
        """Come back: only what was durable is left. The power may fail again as it is opened."""
        while True:
            self.power.dark = False
            for chest in [*self.chests, *([self.heir] if self.heir else [])]:
                chest.keystore.power_up()
                chest.store.power_up()
            try:
                self.wallet = self._open()
            except PowerCut:
                continue
            return

    @property
    def doubts(self) -> set[bytes]:
        """The transfers that are in doubt with any of its keys, as its stores were read last."""
        return {named for chest in self.chests for named in chest.shelf.pending}

    def tidy(self) -> None:
        """Compact the log now: a device may do so at any time."""
        if not self.wallet.quarantined:
            self.wallet.compact()
            self.touched = True

    @property
    def is_moving(self) -> bool:
        """Whether a change of its key was begun, and is not finished."""
        return self.heir is not None

    def promote(self) -> None:
        """Make the heir, which has joined the scheme, this device's present key."""
        assert self.heir is not None
        self.chests.append(self.heir)
        self.heir = None
        self.reopen()

    def clock(self, now: float) -> float:
        """Return what this device's clock shows, in seconds since 1970; 0 without one."""
        return 0.0 if self.ahead is None else max(0.0, now + self.ahead)


def taken_of(device: Device) -> Iterable[tuple[bytes, bytes, int]]:
    """Yield what a device could refund: the transfer, its payer and how much is left of it."""
    for taken in sorted(device.wallet.book.taken.values(), key=lambda one: -one.refunded):
        if taken.amount > taken.refunded:
            yield taken.transfer, taken.payer, taken.amount - taken.refunded
