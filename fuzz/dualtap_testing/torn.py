"""Stores and chips of a simulated life on flash that may be torn at any byte, as a device's own are.

Where the power fails at a write, that write is under way: it stops at any byte of any of its operations, of what was
not synced any part reaches the medium, and a sector may be garbage. When the power comes back the store recovers by
itself, and may lose its power again meanwhile. What is torn is drawn from a stream of each store's own.
"""

# The chip is opened from inside, to skip its counter:
# pyright: reportPrivateUsage=false

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress

from dualtap.errors import TapError
from dualtap.keystore import Head
from dualtap.statements import Kind, Scheme, TapeOpening
from dualtap_devices.flash import CrashFlash, Faults, Keep, PowerCut
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.slots import SlotStore
from dualtap_testing.devices import Power, PoweredKeystore, PoweredStore

TORN = 256 * 1024
"""Bytes of flash of a large device: it compacts its log several times in a life."""
APPENDING, MOVING = 2, 4
"""Operations on flash of a record that is appended, and of a log that moves to the other half."""
_AGAIN = 3
"""Times at most that the power fails once more while a store recovers."""


class Tears:
    """Draws how one flash is torn, and what outlives it."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a simulation's, to be repeated
        self.count = 0
        """How often a write was torn, or a recovery."""

    def tear(self, flash: CrashFlash, operations: int, size: int, act: Callable[[], object]) -> None:
        """Let the power fail in one of the next ``operations`` of an act that writes about ``size`` bytes."""
        cut = flash.operations + self._random.randrange(operations)
        flash.faults = Faults(cut, self._random.randrange(size + 1))
        self.count += 1
        with suppress(PowerCut, TapError):
            act()

    def keep(self, flash: CrashFlash) -> Keep:
        """Return what of the writes that were not synced is on the medium."""
        count, draw = len(flash.pieces), self._random
        if not count:
            return Keep()
        odds = draw.choice((0.0, 0.5, 1.0))
        whole = frozenset([index for index in range(count) if draw.random() < odds])
        torn = draw.randrange(count) if draw.random() < 0.5 else None
        byte = draw.randrange(len(flash.pieces[torn].data) + 1) if torn is not None else 0
        return Keep(whole, torn, byte, garbage=torn is not None and draw.random() < 0.3)

    def recovered(self, flash: CrashFlash, opened: Callable[[CrashFlash], None]) -> CrashFlash:
        """Return the flash from which ``opened`` has come back; the power may have failed again on the way."""
        for _ in range(_AGAIN):
            flash = flash.crash(self.keep(flash))
            if self._random.random() < 0.3:
                flash.faults = Faults(self._random.randrange(2 * MOVING), self._random.randrange(2048))
            try:
                opened(flash)
            except PowerCut:
                self.count += 1
                continue
            flash.faults = Faults()
            return flash
        flash = flash.crash(self.keep(flash))
        opened(flash)
        return flash


class TornStore(PoweredStore):
    """A :class:`~dualtap_devices.slots.SlotStore` on flash that is torn where the power fails."""

    def __init__(self, power: Power, size: int, seed: str) -> None:
        self._flash = CrashFlash(size)
        self._slots = SlotStore.open(self._flash)
        super().__init__(power, size=size)
        self.tears = Tears(seed)
        self._torn: tuple[list[bytes], list[bytes], list[bytes]] | None = None
        """What was being written when the power failed: all records before it and after it, and those that are new."""

    @property
    def log(self) -> list[bytes]:
        """All records."""
        return list(self._slots.records)

    @property
    def records(self) -> tuple[bytes, ...]:
        """All records, oldest first."""
        return self._slots.records

    @property
    def free(self) -> int:
        """Bytes left."""
        return self._slots.free

    def append(self, records: Sequence[bytes]) -> None:
        """Add records, or be torn on the way."""
        self._write(lambda: self._slots.append(records), APPENDING, [*self.records, *records], records)

    def compact(self, records: Sequence[bytes]) -> None:
        """Replace all records, or be torn on the way."""
        new = [*self.exchanged, *records]
        self._write(lambda: self._slots.compact(records), MOVING, list(records), new)

    def _write(self, act: Callable[[], None], operations: int, after: list[bytes], new: Sequence[bytes]) -> None:
        def write() -> None:
            act()
            self.journal += new

        def torn() -> None:
            self._torn = (self.log, after, list(new))
            self.tears.tear(self._flash, operations, self.cost(new), act)

        self.power.write(write, torn)

    def power_up(self) -> None:
        """Recover from what the flash holds; what was being written is there whole, or not at all."""

        def opened(flash: CrashFlash) -> None:
            self._slots = SlotStore.open(flash)

        self._flash = self.tears.recovered(self._flash, opened)
        if self._torn is not None:
            before, after, new = self._torn
            self.journal += new if self.log == after != before else []
        self._torn = None


class TornKeystore(PoweredKeystore):
    """An emulated secure element, whose one cell is on flash that is torn where the power fails."""

    def __init__(self, scheme: Scheme, secret: bytes, power: Power, seed: str) -> None:
        super().__init__(scheme, secret, power)
        self.tears = Tears(seed)
        self._flash = CrashFlash(SIZE)
        self._chip = EmulatedKeystore.create(scheme, self._flash, secret)

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        """Sign a tape entry, or be torn before the signature is out."""
        if self.lax:
            return super().sign_tape(kind, public, opening, private)
        found = b""
        self._skip()

        def write() -> None:
            nonlocal found
            found = self._chip.sign_tape(kind, public, opening, private)
            self.head = self._chip.head
            self.signed.append((kind, public, opening))

        self.power.write(write, lambda: self._tear(lambda: self._chip.sign_tape(kind, public, opening, private)))
        return found

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign what is off the tape; a Successor is written first, and may be torn."""
        if kind is not Kind.SUCCESSOR or self.lax:
            return super().sign(kind, public)
        found = b""
        self._skip()

        def write() -> None:
            nonlocal found
            found = self._chip.sign(kind, public)
            self.head = self._chip.head

        self.power.write(write, lambda: self._tear(lambda: self._chip.sign(kind, public)))
        return found

    def _tear(self, act: Callable[[], object]) -> None:
        self.tears.tear(self._flash, APPENDING, 200, act)

    def _skip(self) -> None:
        """Take over what the world did to the head: a chip's counter may skip. One that never signed has no cell."""
        if self.head != self._chip.head and (self.head.id or self.head.successor):
            self._chip._write(self.head, self._chip.pin.cell)

    def power_up(self) -> None:
        """Recover the cell from what the flash holds; a skip of the counter outlives it."""
        if self.lax:
            return
        skipped = self.head.ctr - self._chip.head.ctr

        def opened(flash: CrashFlash) -> None:
            self._chip = EmulatedKeystore(self._scheme, flash)

        self._flash = self.tears.recovered(self._flash, opened)
        head: Head = self._chip.head
        self.head = head._replace(ctr=head.ctr + skipped)
