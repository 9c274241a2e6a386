"""A damaged store gives back a log that there once was, whole, or says that it is damaged; and it stays so.

The first byte chooses: damage to a store with a past; a file that somebody wrote; a wallet's log that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Iterable

from dualtap.errors import Code, TapError
from dualtap.logcodec import encode_record
from dualtap_devices import slots
from dualtap_devices.flash import SECTOR, MemoryFlash
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet
from targets._lenient import lenient
from targets._pair import PASTS, STAGE
from targets._reshape import reshaped, tree_of
from targets._said import Said

SHARE = 28
LENGTH = 600
COST = 10
SIZE = 24 * SECTOR
PASSED = (Code.STORE_FAILED, Code.STORE_FULL)


def one(data: bytes) -> None:
    """Open a store or a wallet."""
    said = Said(data)
    said.pick((_damaged, _damaged, _written, _log))(said)


def _open(flash: MemoryFlash) -> tuple[bytes, ...] | None:
    """Return the records of a store, or nothing if it says that it is damaged."""
    try:
        return SlotStore.open(flash).records
    except TapError as error:
        assert error.code in PASSED, error
        return None


class _Medium(MemoryFlash):
    """A flash that keeps what each write put where, and what it held after each."""

    def __init__(self) -> None:
        super().__init__(SIZE)
        self.writes: list[tuple[int, bytes]] = []
        self.images = [bytes(SIZE)]

    def write(self, offset: int, data: bytes) -> None:
        super().write(offset, data)
        self.writes.append((offset, data))
        self.images.append(self.read(0, SIZE))


def _damaged(said: Said) -> None:
    """Write a log, then damage it anywhere."""
    flash = _Medium()
    store = SlotStore.open(flash)
    # The log after so many writes; between the two writes of a move it is the one before.
    states: list[tuple[int, tuple[bytes, ...]]] = [(0, ())]
    for number in range(said.below(12)):
        record = bytes([number]) * said.pick((1, 40, 300, 600, 1200))
        try:
            match said.below(6):
                case 4:
                    store = SlotStore.open(flash)
                case 5:
                    store.compact((record,))
                case _:
                    store.append((record, b"x"))
        except TapError as error:
            assert error.code is Code.STORE_FULL, error
        states.append((len(flash.writes), store.records))
    clean, past, writes = flash.read(0, SIZE), flash.images, flash.writes.copy()
    while said:
        _damage(flash, past, said)
    now = flash.read(0, SIZE)
    found = _open(flash)
    assert found is None or any(found == records for _, records in states), "a log that there never was"
    again = _open(flash)
    hit = {at // (SIZE // 2) for at in range(0, SIZE, SECTOR) if now[at : at + SECTOR] != clean[at : at + SECTOR]}
    assert hit or found == states[-1][1], "undamaged, and not the last log"
    if found is None or len(hit) == 2:
        return  # of two damaged halves, both may be as they once were: this is the keystore's to see (SPEC §12-6)
    assert again == found, "opened twice, and read otherwise"
    # What stands undamaged proves what was acknowledged before it (SPEC §12-4).
    whole = [
        number
        for number, (offset, data) in enumerate(writes, 1)
        if clean[offset : offset + len(data)] == now[offset : offset + len(data)] == data
    ]
    least = max(count for count, _ in states if count < max(whole, default=1))
    assert any(found == records for count, records in states if count >= least), "what was acknowledged is gone"


def _damage(flash: MemoryFlash, past: list[bytes], said: Said) -> None:
    at = said.below(SIZE // SECTOR) * SECTOR
    match said.below(6):
        case 0:
            flash.write(at + said.number(2) % SECTOR, bytes([said.byte()]))
        case 1:
            flash.write(at, bytes(SECTOR))
        case 2:
            old = flash.read(at, SECTOR)
            inside = said.number(2) % SECTOR
            flash.write(at, old[:inside] + bytes([old[inside] ^ (1 << said.below(8))]) + old[inside + 1 :])
        case 3:
            found = said.blob()
            flash.write(at, found)
        case 4:
            # A write that never reached the medium: this sector, and so many after it, are as they once were.
            image, end = said.pick(past), min(SIZE, at + (1 + said.below(4)) * SECTOR)
            flash.write(at, image[at:end])
        case _:
            image, half = said.pick(past), said.below(2) * (SIZE // 2)
            flash.write(half, image[half : half + SIZE // 2])


def _written(said: Said) -> None:
    """Write entries with the right digests, of any numbers and any payload: what the file's owner can do."""
    flash, half = MemoryFlash(SIZE), SIZE // 2
    payloads: list[bytes] = []
    while said:
        at = said.below(2) * half + said.below(6) * SECTOR
        what, generation = said.below(4), said.below(4)
        match what:
            case 0:
                sector = slots._mark(generation)  # pyright: ignore[reportPrivateUsage]
            case 1 | 2:
                sequence, payload = said.below(4), _payload(said)
                payloads.append(payload)
                sector = entry(generation, sequence, payload)
            case _:
                sequence, records = said.below(4), [said.blob() for _ in range(said.below(3))]
                payloads.append(_framed(records))
                sector = slots._entry(generation, sequence, records)  # pyright: ignore[reportPrivateUsage]
        if at + len(sector) <= SIZE:
            flash.write(at, sector)
    found = _open(flash)
    if found is not None:
        assert _is_made_of(_framed(found), set(payloads)), "a record that is in no entry"
        _open(flash)


def _payload(said: Said) -> bytes:
    """Return records, of which the last may be cut off, or said to be longer or shorter than it is."""
    whole = _framed([said.take(said.below(8)) for _ in range(said.below(3))])
    last = said.take(said.below(8))
    return (
        whole + (len(last) + said.below(8) - 3).to_bytes(4, "big", signed=True) + last
        if said.below(4)
        else whole + last
    )


def _framed(records: Iterable[bytes]) -> bytes:
    return b"".join(len(record).to_bytes(4, "big") + record for record in records)


def _is_made_of(log: bytes, payloads: set[bytes]) -> bool:
    """Return whether a log is some of these payloads, one after another: no entry is read in part."""
    starts = [True] + [False] * len(log)
    for at in range(len(log)):
        if starts[at]:
            for payload in payloads:
                if log.startswith(payload, at):
                    starts[at + len(payload)] = True
    return starts[-1]


def entry(generation: int, sequence: int, payload: bytes) -> bytes:
    """Return an entry whose payload is anything, not only records."""
    digest = slots._digest(generation, sequence, payload)  # pyright: ignore[reportPrivateUsage]
    header = slots._HEADER.pack(generation, sequence, len(payload), digest)  # pyright: ignore[reportPrivateUsage]
    stream = (header + payload).ljust(SECTOR - 1, b"\0")
    return b"E" + b"+".join(stream[at : at + SECTOR - 1] for at in range(0, len(stream), SECTOR - 1)).ljust(
        SECTOR, b"\0"
    )


def _log(said: Said) -> None:
    """Open a wallet on a log of which records are altered, left out, doubled and moved."""
    with lenient():
        past = said.pick(said.pick(PASTS))
        records = list(past.records)
        while said:
            at, what = said.below(len(records)), said.below(5)
            match what:
                case 0 if len(records) > 1:
                    del records[at]
                case 1:
                    records.insert(said.below(len(records)), records[at])
                case 2:
                    records[at] = said.blob()
                case _:
                    genuine = tree_of(past.records[at % len(past.records)])
                    records[at] = reshaped(genuine, Said(said.take(1 + said.below(16))))
        keystore = MemoryKeystore(STAGE.scheme, STAGE.draw(f"key {past.name}"))
        keystore.head = past.head
        store = slots.MemoryStore.open(1 << 22)
        store.append(records)
        try:
            wallet = Wallet(STAGE.scheme, past.profile, keystore, store)
        except TapError as error:
            assert error.code in {Code.STORE_FAILED, Code.KEYSTORE_REFUSED, Code.RETIRED, Code.UNVERIFIED}, error
            return
        compacted = [encode_record(item) for item in wallet.book.compacted()]
        assert compacted
