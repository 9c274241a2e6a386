"""A keystore signs a tape in order, remembers what it signed last, and says nothing of its secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualtap.errors import Code, TapError
from dualtap.keystore import Head, Keystore
from dualtap.statements import OFF_TAPE, ON_TAPE, Kind, Private, Scheme, TapeOpening, statement_id
from dualtap.suite import ED25519, SUITES, sha256
from dualtap_devices.flash import CrashFlash, Faults, MemoryFlash, PowerCut
from dualtap_devices.keystore import SIZE, EmulatedKeystore, MemoryKeystore
from dualtap_devices.slots import SlotStore
from tests.support.devices import survivals

SECRET = sha256(b"the secret of a keystore")
SCHEME = Scheme.of(ED25519, ED25519.signer(sha256(b"root")).public)
PUBLIC = sha256(b"the public half of a statement")
NOTHING = Private().half()
MAKERS: dict[str, Callable[[Scheme], Keystore]] = {
    "emulated": lambda scheme: EmulatedKeystore.create(scheme, MemoryFlash(SIZE), SECRET),
    "memory": lambda scheme: MemoryKeystore(scheme, SECRET),
}


@pytest.fixture(params=MAKERS)
def keystore(request: pytest.FixtureRequest) -> Keystore:
    return MAKERS[request.param](SCHEME)


def place(prev: int, ctr: int, name: bytes = b"") -> TapeOpening:
    return TapeOpening(sha256(b"salt" + name), prev, ctr, sha256(NOTHING), bytes(32))


def entry_id(keystore: Keystore, kind: Kind, opening: TapeOpening) -> bytes:
    return statement_id(SCHEME.id, kind, keystore.public, PUBLIC, opening.commitment())


def refused(act: Callable[[], object]) -> None:
    with pytest.raises(TapError) as caught:
        act()
    assert caught.value.code is Code.KEYSTORE_REFUSED


def sign(keystore: Keystore, prev: int, ctr: int) -> bytes:
    return keystore.sign_tape(Kind.RECEIPT, PUBLIC, place(prev, ctr), NOTHING)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("kind", sorted(ON_TAPE))
def test_it_signs_the_id_that_it_computes(suite: str, maker: str, kind: Kind) -> None:
    """§13-1."""
    scheme = Scheme.of(SUITES[suite], SUITES[suite].signer(sha256(b"root")).public)
    keystore = MAKERS[maker](scheme)
    signature = keystore.sign_tape(kind, PUBLIC, place(0, 3), NOTHING)
    signed = statement_id(scheme.id, kind, keystore.public, PUBLIC, place(0, 3).commitment())
    scheme.suite.verifier(keystore.public)(signature, signed)
    assert keystore.head == Head(3, signed)


def test_a_new_keystore_has_signed_nothing(keystore: Keystore) -> None:
    assert keystore.head == Head(0, b"")
    assert keystore.public == ED25519.signer(SECRET).public


def test_entries_follow_each_other_and_may_leave_gaps(keystore: Keystore) -> None:
    for prev, ctr in ((0, 1), (1, 5), (9, 10), (10, 11)):
        sign(keystore, prev, ctr)
        assert keystore.head.ctr == ctr


@pytest.mark.parametrize(("prev", "ctr"), [(4, 9), (0, 6), (0, 1), (4, 5), (5, 5), (6, 6), (7, 6)])
def test_an_interval_that_is_taken_or_empty_is_refused(keystore: Keystore, prev: int, ctr: int) -> None:
    """§4.1-5, §13-4."""
    sign(keystore, 0, 5)
    before = keystore.head
    refused(lambda: keystore.sign_tape(Kind.RECEIPT, PUBLIC, place(prev, ctr, b"another"), NOTHING))
    assert keystore.head == before


def test_the_last_entry_is_signed_again_and_no_other(keystore: Keystore) -> None:
    """§13-3, §13-8."""
    first = sign(keystore, 0, 5)
    assert sign(keystore, 0, 5) == first
    sign(keystore, 5, 6)
    refused(lambda: sign(keystore, 0, 5))


def test_a_kind_is_signed_by_its_own_call_only(keystore: Keystore) -> None:
    """§13-2, §13-6."""
    for kind in Kind:
        if kind not in ON_TAPE:
            refused(lambda kind=kind: keystore.sign_tape(kind, PUBLIC, place(0, 1), NOTHING))  # type: ignore[misc]
        if kind not in OFF_TAPE:
            refused(lambda kind=kind: keystore.sign(kind, PUBLIC))  # type: ignore[misc]
    assert keystore.head == Head(0, b"")


@pytest.mark.parametrize("kind", sorted(OFF_TAPE))
def test_what_is_off_the_tape_takes_no_place_on_it(keystore: Keystore, kind: Kind) -> None:
    """§13-6."""
    signed = statement_id(SCHEME.id, kind, keystore.public, PUBLIC)
    ED25519.verifier(keystore.public)(keystore.sign(kind, PUBLIC), signed)
    assert keystore.head == Head(0, b"", signed if kind is Kind.SUCCESSOR else b"")


# On flash


def created(flash: CrashFlash | None = None) -> tuple[CrashFlash, EmulatedKeystore]:
    flash = flash or CrashFlash(SIZE)
    return flash, EmulatedKeystore.create(SCHEME, flash, SECRET)


def test_it_remembers_through_many_signatures_and_power_cuts() -> None:
    flash, keystore = created()
    for ctr in range(1, 60):
        sign(keystore, ctr - 1, ctr)
        if ctr % 37 == 0:
            flash = flash.crash()
            keystore = EmulatedKeystore(SCHEME, flash)
        assert EmulatedKeystore(SCHEME, flash.crash()).head == keystore.head
        assert keystore.head.ctr == ctr


def test_a_counter_that_skipped_before_anything_was_signed_is_read_back() -> None:
    # As a chip's may; nothing here skips of itself, so that the cell is written from inside.
    flash, keystore = created()
    keystore._write(Head(3, b""), keystore.pin.cell)  # pyright: ignore[reportPrivateUsage]
    assert EmulatedKeystore(SCHEME, flash.crash()).head == Head(3, b"")


def test_to_sign_the_last_entry_again_writes_nothing() -> None:
    """§13-3, §13-6."""
    flash, keystore = created()
    sign(keystore, 0, 1)
    before = flash.operations
    sign(keystore, 0, 1)
    keystore.sign(Kind.PRESENT, PUBLIC)
    assert flash.operations == before


def test_one_failed_sync_is_made_good() -> None:
    flash, keystore = created()
    flash.faults = Faults(failing=frozenset({flash.syncs}))
    sign(keystore, 0, 1)
    assert EmulatedKeystore(SCHEME, flash.crash()).head == keystore.head
    assert keystore.head.ctr == 1


def test_a_write_that_is_not_confirmed_is_not_signed_and_nothing_new_until_reopened() -> None:
    """§13-5."""
    flash, keystore = created()
    sign(keystore, 0, 1)
    before = keystore.head
    flash.faults = Faults(failing=frozenset(range(flash.syncs, flash.syncs + 2)))
    refused(lambda: sign(keystore, 1, 2))
    assert keystore.head == before
    refused(lambda: sign(keystore, 1, 2))
    refused(lambda: sign(keystore, 2, 3))
    again = EmulatedKeystore(SCHEME, flash)
    assert again.head.ctr in (1, 2)
    sign(again, 1, 2)
    assert again.head.ctr == 2


def test_a_keystore_that_cannot_confirm_what_it_holds_does_not_open() -> None:
    flash, _ = created()
    flash.faults = Faults(failing=frozenset(range(flash.syncs, flash.syncs + 9)))
    with pytest.raises(TapError) as caught:
        EmulatedKeystore(SCHEME, flash)
    assert caught.value.code is Code.STORE_FAILED


@pytest.mark.parametrize("signed", [0, 1, 14, 15, 16])
def test_a_write_torn_at_any_byte_leaves_the_old_head_or_the_new(signed: int) -> None:
    """Fifteen signatures fill a half, so that the last of these cases moves to the other one. §10.1-3, §13-5."""
    media = 0
    for operation in range(9):
        flash, keystore = created()
        for ctr in range(1, signed + 1):
            sign(keystore, ctr - 1, ctr)
        before = keystore.head
        flash.faults = Faults(cut=flash.operations + operation)
        try:
            sign(keystore, signed, signed + 1)
        except PowerCut:
            pass
        else:
            break
        for keep in survivals(flash):
            media += 1
            again = EmulatedKeystore(SCHEME, flash.crash(keep))
            assert again.head == before or again.head.ctr == signed + 1
            assert again.public == keystore.public
            if keep.torn is None:
                sign(again, signed, signed + 1)
    else:
        raise AssertionError("it writes without end")
    assert media > 500


def test_creation_torn_at_any_byte_leaves_no_keystore_or_this_one() -> None:
    seen: set[object] = set()
    for operation in range(99):
        flash = CrashFlash(SIZE, Faults(cut=operation))
        try:
            created(flash)
        except PowerCut:
            pass
        else:
            break
        for keep in survivals(flash):
            found: object
            try:
                found = EmulatedKeystore(SCHEME, flash.crash(keep)).public
            except TapError as error:
                found = error.code
            assert found in (Code.STORE_FAILED, ED25519.signer(SECRET).public)
            seen.add(found)
    assert len(seen) == 2


def test_blank_or_damaged_flash_holds_no_keystore() -> None:
    flash, _ = created()
    for image in (bytes(SIZE), bytes(byte ^ 0x55 for byte in flash.medium), flash.medium[:512].ljust(SIZE, b"x")):
        with pytest.raises(TapError) as caught:
            EmulatedKeystore(SCHEME, CrashFlash(SIZE, image=image))
        assert caught.value.code is Code.STORE_FAILED


@pytest.mark.parametrize("records", [(b"short",), (SECRET, b""), (SECRET, bytes(41)), (SECRET, bytes(39))])
def test_a_file_that_no_keystore_wrote_holds_none(records: tuple[bytes, ...]) -> None:
    """Found by fuzz/targets/keystore.py."""
    flash = MemoryFlash(SIZE)
    SlotStore.open(flash).append(records)
    with pytest.raises(TapError) as caught:
        EmulatedKeystore(SCHEME, flash)
    assert caught.value.code is Code.STORE_FAILED


def test_a_key_is_never_replaced() -> None:
    """§13-8."""
    flash, keystore = created()
    with pytest.raises(TapError) as caught:
        EmulatedKeystore.create(SCHEME, flash, sha256(b"another"))
    assert caught.value.code is Code.STORE_FAILED
    assert EmulatedKeystore(SCHEME, flash.crash()).public == keystore.public


def test_the_secret_is_in_no_text(keystore: Keystore) -> None:
    """§13-8, §17-5."""
    texts = [repr(keystore), str(keystore), repr(keystore.head)]
    acts: tuple[Callable[[], bytes], ...] = (lambda: sign(keystore, 3, 3), lambda: keystore.sign(Kind.CLOSE, PUBLIC))
    for act in acts:
        with pytest.raises(TapError) as caught:
            act()
        texts += [str(caught.value), repr(caught.value)]
    flash, _ = created()
    with pytest.raises(TapError) as caught:
        EmulatedKeystore(SCHEME, CrashFlash(SIZE, image=flash.medium[:700].ljust(SIZE, b"\1")))
    texts += [str(caught.value), repr(caught.value), repr(flash)]
    for text in texts:
        for shown in (SECRET.hex(), repr(SECRET), repr(SECRET)[2:-1], str(list(SECRET))[1:-1]):
            assert shown not in text
