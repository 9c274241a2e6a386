"""A damaged store gives back a log that there once was, whole, or says that it is damaged; and it stays so.

The first byte chooses: damage to a store with a past; a file that somebody wrote; a wallet's log that somebody wrote.
"""

from __future__ import annotations

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


def _damaged(said: Said) -> None:
    """Write a log, then damage it anywhere."""
    flash = MemoryFlash(SIZE)
    store = SlotStore.open(flash)
    states: list[tuple[bytes, ...]] = [()]
    for number in range(said.below(12)):
        record = bytes([number]) * said.pick((1, 40, 300, 600, 1200))
        try:
            store.compact((record,)) if said.below(6) == 5 else store.append((record, b"x"))
        except TapError as error:
            assert error.code is Code.STORE_FULL, error
        states.append(store.records)
    last = states[-1]
    clean = flash.read(0, SIZE)
    while said:
        _damage(flash, said)
    changed = [at for at in range(0, SIZE, SECTOR) if flash.read(at, SECTOR) != clean[at : at + SECTOR]]
    found = _open(flash)
    assert found is None or found in states, "a log that there never was"
    assert changed or found == last, "undamaged, and not the last log"
    assert found is None or _open(flash) == found, "opened twice, and read otherwise"


def _damage(flash: MemoryFlash, said: Said) -> None:
    at = said.below(SIZE // SECTOR) * SECTOR
    match said.below(4):
        case 0:
            flash.write(at + said.number(2) % SECTOR, bytes([said.byte()]))
        case 1:
            flash.write(at, bytes(SECTOR))
        case 2:
            old = flash.read(at, SECTOR)
            inside = said.number(2) % SECTOR
            flash.write(at, old[:inside] + bytes([old[inside] ^ (1 << said.below(8))]) + old[inside + 1 :])
        case _:
            found = said.blob()
            flash.write(at, found)


def _written(said: Said) -> None:
    """Write entries with the right digests, of any numbers and any payload: what the file's owner can do."""
    flash, half = MemoryFlash(SIZE), SIZE // 2
    while said:
        at = said.below(2) * half + said.below(6) * SECTOR
        match said.below(4):
            case 0:
                sector = slots._mark(said.below(4))  # pyright: ignore[reportPrivateUsage]
            case 1:
                sector = entry(said.below(4), said.below(4), said.blob())
            case _:
                records = [said.blob() for _ in range(said.below(3))]
                sector = slots._entry(said.below(4), said.below(4), records)  # pyright: ignore[reportPrivateUsage]
        if at + len(sector) <= SIZE:
            flash.write(at, sector)
    if _open(flash) is not None:
        _open(flash)


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
