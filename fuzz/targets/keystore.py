"""A keystore on a damaged or written file opens or refuses, and signs no two entries for one place of its tape."""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.keystore import Head
from dualtap.statements import Kind, Opening, Private, Scheme, TapeOpening, Verification
from dualtap.suite import DIGEST, sha256
from dualtap_devices.flash import SECTOR, MemoryFlash
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.slots import SlotStore
from targets._lenient import LENIENT
from targets._said import Said

SHARE = 12
LENGTH = 500
COST = 15
SCHEME = Scheme.of(LENIENT, bytes(31) + b"\x05")
SECRET = sha256(b"a keystore of the fuzzer's")
REFUSALS = {
    Code.KEYSTORE_REFUSED, Code.RETIRED, Code.UNVERIFIED, Code.PIN_WRONG, Code.PIN_BLOCKED, Code.BAD_INPUT,
}  # fmt: skip


def one(data: bytes) -> None:
    """Sign, cut the power, damage the file, open it, and sign again."""
    said = Said(data)
    flash = MemoryFlash(SIZE)
    honest = said.byte() % 2
    keystore = EmulatedKeystore.create(SCHEME, flash, SECRET) if honest else _written(flash, said)
    if keystore is None:
        return
    places: dict[tuple[int, int], bytes] = {}
    while said:
        if said.byte() % 8 == 7:
            if not honest:
                flash.write(said.below(SIZE // SECTOR) * SECTOR, said.blob())
            head, cell = keystore.head, keystore.pin.cell
            try:
                keystore = EmulatedKeystore(SCHEME, flash)
            except TapError as error:
                assert not honest, "undamaged, and refused"
                assert error.code is Code.STORE_FAILED, error
                return
            _is_cell(keystore.head)
            assert not honest or (keystore.head, keystore.pin.cell) == (head, cell), "it forgot what it signed"
            places = places if honest else {}
            continue
        _use(keystore, said, places)


def _written(flash: MemoryFlash, said: Said) -> EmulatedKeystore | None:
    """Open a keystore whose records somebody wrote."""
    log = SlotStore.open(flash)
    cells = [said.pick((said.take(8 + 32), said.full(99), said.full(72), said.blob())) for _ in range(said.below(4))]
    try:
        log.append([said.pick((SECRET, said.blob())), *cells])
        keystore = EmulatedKeystore(SCHEME, flash)
    except TapError as error:
        assert error.code in {Code.STORE_FAILED, Code.STORE_FULL}, error
        return None
    _is_cell(keystore.head)
    return keystore


def _is_cell(head: Head) -> None:
    """Whatever is read, a cell is a counter and an id, and the id of a Successor once there is one (SPEC §13)."""
    assert 0 <= head.ctr < 2**64, "no counter"
    assert len(head.id) in (0, DIGEST), "no id"
    assert len(head.successor) in (0, DIGEST), "no id of a Successor"


def _use(keystore: EmulatedKeystore, said: Said, places: dict[tuple[int, int], bytes]) -> None:
    """Have anything signed, and keep what was."""
    before = keystore.head
    try:
        match said.below(8):
            case 0 | 1 | 2 | 3:
                kind = said.pick((Kind.TRANSFER, Kind.RECEIPT, Kind.CLOSE, Kind.PRESENT))
                private = Private(Verification(said.below(3)), said.pick((b"", bytes(32))))
                prev = max(0, before.ctr + said.byte() - 128) if said.below(2) else before.ctr
                place = Opening(said.full(16), prev, prev + said.below(4), private, said.pick((b"", bytes([1]) * 32)))
                tape = (
                    place.tape() if said.below(8) else TapeOpening(said.take(32), prev, prev + 1, bytes(32), bytes(32))
                )
                public = said.pick((bytes(32), said.full(32), said.take(31)))
                keystore.sign_tape(kind, public, tape, private.half())
                _in_order(before, tape.prev, tape.ctr, keystore.head)
                _disjoint(places, tape.prev, tape.ctr, keystore.head.id)
                assert kind is not Kind.TRANSFER or not keystore.pin.cell.verified or keystore.head == before
            case 4:
                keystore.sign(said.pick(tuple(Kind)), said.pick((bytes(32), said.full(32), said.take(3))))
                assert keystore.head[:2] == before[:2], "the tape moved"
            case 5:
                keystore.pin.verify(said.pick((b"1234", b"4321", said.blob())))
            case 6:
                keystore.pin.set(said.pick((b"1234", said.blob())))
            case _:
                keystore.pin.change(said.pick((b"1234", b"4321")), said.pick((b"1234", b"4321", said.blob())))
    except TapError as error:
        assert error.code in REFUSALS, error


def _in_order(before: Head, prev: int, ctr: int, after: Head) -> None:
    """What was signed is the cell's own entry again, or one behind it, which the cell holds now (SPEC §13-3, -4)."""
    if after.id == before.id:
        assert after == before, "the same entry again, and the cell is another"
        return
    assert before.ctr <= prev < ctr, "an interval that is empty, or that the cell is past"
    assert after.ctr == ctr, "the cell is not at the entry that was signed"


def _disjoint(places: dict[tuple[int, int], bytes], prev: int, ctr: int, named: bytes) -> None:
    for (start, end), other in places.items():
        assert other == named or end <= prev or ctr <= start, "two entries at one place"
    places[prev, ctr] = named
