"""A PIN in the chip: it counts before it compares, whatever cuts the power, and shows nothing of what it keeps."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from dualtap import limits
from dualtap.context import Charge
from dualtap.errors import Code, TapError
from dualtap.events import Consent
from dualtap.pin import PinCell
from dualtap.records import News
from dualtap.statements import Kind, Private, Scheme, TapeOpening, Verification
from dualtap.suite import ED25519, sha256
from dualtap_devices.flash import CrashFlash, Faults, MemoryFlash, PowerCut
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.pin import KeptPin, pin_key
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from tests.playbook import World
from tests.support.devices import survivals

SECRET = sha256(b"the secret of a keystore with a PIN")
SCHEME = Scheme.of(ED25519, ED25519.signer(sha256(b"root")).public)
RIGHT, WRONG, OTHER, CODE = b"4071", b"4072", b"998877", b"20071969"


def opened(flash: CrashFlash) -> EmulatedKeystore:
    return EmulatedKeystore(SCHEME, flash)


def chip(flash: CrashFlash | None = None) -> tuple[CrashFlash, EmulatedKeystore]:
    """A chip as it leaves personalisation, with a PIN."""
    flash = flash or CrashFlash(SIZE)
    keystore = EmulatedKeystore.create(SCHEME, flash, SECRET)
    keystore.pin.personalise(CODE)
    keystore.pin.set(RIGHT)
    return flash, keystore


def refused(code: Code, act: Callable[[], object]) -> str:
    with pytest.raises(TapError) as caught:
        act()
    assert caught.value.code is code
    return caught.value.detail


def sign(keystore: EmulatedKeystore, prev: int, ctr: int, said: Verification, kind: Kind = Kind.TRANSFER) -> bytes:
    half = Private(said).half()
    return keystore.sign_tape(kind, bytes(32), TapeOpening(bytes(32), prev, ctr, sha256(half), bytes(32)), half)


def test_tries_are_counted_and_told() -> None:
    """§22-11."""
    _, keystore = chip()
    pin = keystore.pin
    assert [refused(Code.PIN_WRONG, lambda: pin.verify(WRONG)) for _ in range(2)] == ["2 tries left", "1 try left"]
    pin.verify(RIGHT)
    assert pin.cell.tries == limits.PIN_TRIES
    for code in (Code.PIN_WRONG, Code.PIN_WRONG, Code.PIN_BLOCKED, Code.PIN_BLOCKED):
        refused(code, lambda: pin.verify(WRONG))
    refused(Code.PIN_BLOCKED, lambda: pin.verify(RIGHT))
    pin.unblock(CODE, OTHER)
    assert pin.cell == PinCell(pin.cell.pin, pin.cell.code), "all tries of both, and nobody is verified"
    refused(Code.PIN_WRONG, lambda: pin.verify(RIGHT))
    pin.verify(OTHER)


def test_what_is_no_pin_uses_no_try() -> None:
    """§22-10."""
    _, keystore = chip()
    for text in (b"", b"123", b"1" * 13, b"12a4", "١٢٣٤".encode()):
        refused(Code.BAD_INPUT, lambda text=text: keystore.pin.verify(text))  # type: ignore[misc]
        refused(Code.BAD_INPUT, lambda text=text: keystore.pin.change(RIGHT, text))  # type: ignore[misc]
    refused(Code.BAD_INPUT, lambda: keystore.pin.unblock(b"1234567", OTHER))
    assert keystore.pin.cell.tries == limits.PIN_TRIES
    assert keystore.pin.cell.unblocks == limits.UNBLOCK_TRIES


def test_a_claim_is_signed_once_for_each_pin() -> None:
    """§22-13, §22-14."""
    _, keystore = chip()
    refused(Code.UNVERIFIED, lambda: sign(keystore, 0, 1, Verification.PIN))
    keystore.pin.verify(RIGHT)
    sign(keystore, 0, 1, Verification.NONE, Kind.RECEIPT)
    signature = sign(keystore, 1, 2, Verification.PIN)
    assert sign(keystore, 1, 2, Verification.PIN) == signature, "the same id again"
    refused(Code.UNVERIFIED, lambda: sign(keystore, 2, 3, Verification.DEVICE))
    keystore.pin.verify(RIGHT)
    keystore.pin.forget()
    refused(Code.UNVERIFIED, lambda: sign(keystore, 2, 3, Verification.PIN))
    keystore.pin.verify(RIGHT)
    sign(keystore, 2, 3, Verification.NONE)
    refused(Code.UNVERIFIED, lambda: sign(keystore, 3, 4, Verification.PIN))


def test_that_the_pin_was_given_outlives_the_power_until_a_transfer_is_signed() -> None:
    """A transfer that is durable and says so must still be signed, and no other. §22-13."""
    flash, keystore = chip()
    keystore.pin.verify(RIGHT)
    flash = flash.crash()
    keystore = opened(flash)
    signature = sign(keystore, 0, 1, Verification.PIN)
    keystore = opened(flash.crash())
    assert sign(keystore, 0, 1, Verification.PIN) == signature
    refused(Code.UNVERIFIED, lambda: sign(keystore, 1, 2, Verification.PIN))


@pytest.mark.parametrize("filled", [0, 13])
def test_a_torn_signature_takes_the_pin_back_with_it(filled: int) -> None:
    """§13-5, §22-13: the head and what was given are one write."""
    seen: set[tuple[int, bool]] = set()
    for operation in itertools.count():
        flash, keystore = chip()
        for ctr in range(filled):
            sign(keystore, ctr, ctr + 1, Verification.NONE)
        keystore.pin.verify(RIGHT)
        flash.faults = Faults(cut=flash.operations + operation)
        try:
            sign(keystore, filled, filled + 1, Verification.PIN)
        except PowerCut:
            for keep in survivals(flash):
                again = opened(flash.crash(keep))
                seen.add((again.head.ctr, again.pin.cell.verified))
        else:
            break
    assert seen == {(filled, True), (filled + 1, False)}


@pytest.mark.parametrize("filled", [0, 11, 12])
def test_no_torn_write_gives_a_try_more(filled: int) -> None:
    """The power goes at every write, sync and byte of a comparison; from 0 to 15 entries fill the half. §22-11."""
    media, before = 0, 0
    for given in (WRONG, RIGHT):
        for operation in itertools.count():
            flash, keystore = chip()
            for ctr in range(filled):
                sign(keystore, ctr, ctr + 1, Verification.NONE)
            refused(Code.PIN_WRONG, lambda keystore=keystore: keystore.pin.verify(WRONG))  # type: ignore[misc]
            before, head = keystore.pin.cell.tries, keystore.head
            flash.faults = Faults(cut=flash.operations + operation)
            try:
                keystore.pin.verify(given)
            except PowerCut:
                pass
            except TapError:
                break
            else:
                break
            for keep in survivals(flash):
                media += 1
                again = opened(flash.crash(keep))
                assert again.head == head
                if given is WRONG:
                    assert again.pin.cell.tries in (before, before - 1)
                    assert not again.pin.cell.verified
                else:
                    counted = (again.pin.cell.tries, again.pin.cell.verified)
                    assert counted in ((before, False), (before - 1, False), (limits.PIN_TRIES, True))
    assert before == limits.PIN_TRIES - 1
    assert media > 300, media


@pytest.mark.parametrize("cut", range(4))
def test_a_thief_who_cuts_the_power_compares_no_more_pins(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut at the same operation of each comparison, and opened again: three wrong PINs are compared at most. §22-11."""
    flash, _ = chip()
    compared: list[int] = []

    def wrong(first: bytes, second: bytes) -> bool:
        del first, second
        compared.append(1)
        return False

    monkeypatch.setattr("hmac.compare_digest", wrong)
    for guess in range(9):
        flash = flash.crash()
        keystore = opened(flash)
        flash.faults = Faults(cut=flash.operations + cut)
        with pytest.raises((PowerCut, TapError)):
            keystore.pin.verify(b"%04d" % guess)
    assert len(compared) <= limits.PIN_TRIES
    assert compared or cut < 2, "the comparison was reached"


def test_it_is_counted_down_before_it_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """§22-11, §22-12: by a comparison whose time tells nothing."""
    flash, keystore = chip()
    seen: list[int] = []

    def compare(first: bytes, second: bytes) -> bool:
        seen.append(opened(flash.crash()).pin.cell.tries)
        return bytes(first) == bytes(second)

    monkeypatch.setattr("hmac.compare_digest", compare)
    refused(Code.PIN_WRONG, lambda: keystore.pin.verify(WRONG))
    keystore.pin.verify(RIGHT)
    assert seen == [2, 1]
    refused(Code.PIN_WRONG, lambda: keystore.pin.unblock(b"99999999", OTHER))
    assert len(seen) == 3


def test_a_write_that_is_not_confirmed_compares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """§22-11."""
    flash, keystore = chip()
    flash.faults = Faults(failing=frozenset(range(flash.syncs, flash.syncs + 9)))

    def never(first: bytes, second: bytes) -> bool:
        raise AssertionError(f"compared {len(first)} and {len(second)} bytes")

    monkeypatch.setattr("hmac.compare_digest", never)
    refused(Code.KEYSTORE_REFUSED, lambda: keystore.pin.verify(RIGHT))


@pytest.mark.parametrize("filled", range(16))
def test_tries_outlive_the_power_wherever_the_log_moves(filled: int) -> None:
    """§22-11: from 0 to 15 entries fill the half; a count that the move forgot would be a free guess."""
    flash, keystore = chip()
    for ctr in range(filled):
        sign(keystore, ctr, ctr + 1, Verification.NONE)
    for left in (2, 1, 0):
        refused(Code.PIN_WRONG if left else Code.PIN_BLOCKED, lambda: keystore.pin.verify(WRONG))
        assert opened(flash.crash()).pin.cell.tries == left


def test_a_wrong_pin_takes_back_that_the_user_is_verified() -> None:
    """§22-11: whoever guesses is not whoever was here before."""
    _, keystore = chip()
    keystore.pin.verify(RIGHT)
    refused(Code.PIN_WRONG, lambda: keystore.pin.verify(WRONG))
    assert not keystore.pin.cell.verified


@pytest.mark.parametrize("new", [b"", b"123", b"1234567890123", b"12a4"])
def test_what_is_no_pin_does_not_replace_one(new: bytes) -> None:
    """§22-11: and uses no try."""
    _, keystore = chip()
    before = keystore.pin.cell
    refused(Code.BAD_INPUT, lambda: keystore.pin.change(RIGHT, new))
    assert keystore.pin.cell == before


def test_a_key_that_could_not_take_a_pin_over_keeps_its_own() -> None:
    """§22-16: its digests are of its own key still."""
    _, before = chip()
    written: list[PinCell] = []

    def write(cell: PinCell) -> None:
        if len(written) == 1:
            written.append(cell)
            raise TapError(Code.KEYSTORE_REFUSED)
        written.append(cell)

    own = KeptPin(pin_key(sha256(b"another chip")), PinCell(), write)
    own.set(OTHER)
    refused(Code.KEYSTORE_REFUSED, lambda: own.inherit(before.pin))
    own.verify(OTHER)


def test_an_heir_has_the_pin_of_the_key_before_whole_or_not_at_all() -> None:
    """§22-16: cut at every operation and byte."""
    _, before = chip()
    refused(Code.PIN_WRONG, lambda: before.pin.verify(WRONG))
    seen: set[PinCell] = set()
    for operation in itertools.count():
        flash = CrashFlash(SIZE)
        heir = EmulatedKeystore.create(SCHEME, flash, sha256(b"the heir's secret"))
        flash.faults = Faults(cut=flash.operations + operation)
        try:
            heir.pin.inherit(before.pin)
            flash.faults = Faults()
        except PowerCut:
            for keep in survivals(flash):
                again = opened(flash.crash(keep)).pin
                seen.add(again.cell)
                if again.cell.pin and len(seen) == 2 and keep.torn is None:
                    again.verify(RIGHT)
        else:
            heir.pin.verify(RIGHT)
            break
    assert seen == {PinCell(), before.pin.cell}


def test_nothing_that_is_kept_or_told_shows_a_pin() -> None:
    """§22-12, §17-5."""
    flash, keystore = chip()
    pin = keystore.pin
    texts = [repr(pin), repr(pin.cell), str(pin.cell), repr(keystore)]
    acts: tuple[Callable[[], None], ...] = (
        lambda: pin.verify(b"31415926"),
        lambda: pin.set(b"31415926"),
        lambda: pin.unblock(b"3141592653", b"31415926"),
        lambda: pin.verify(b"31415926x"),
    )
    for act in acts:
        with pytest.raises(TapError) as caught:
            act()
        texts += [str(caught.value), repr(caught.value)]
    for text in texts:
        for digits in ("31415926", RIGHT.decode(), CODE.decode(), pin.cell.pin.hex(), repr(pin.cell.pin)[2:-1]):
            assert digits not in text
    medium = bytes(flash.crash().medium)
    for hidden in (RIGHT, CODE, sha256(RIGHT), sha256(CODE)):
        assert hidden not in medium
    other = EmulatedKeystore.create(SCHEME, MemoryFlash(SIZE), sha256(b"another chip"))
    other.pin.set(RIGHT)
    assert other.pin.cell.pin != pin.cell.pin, "no two chips keep the same of one PIN"


def test_a_transfer_that_claims_a_pin_is_signed_after_any_cut() -> None:
    """§12-7, §22-13: durable and not signed yet, it is signed when the wallet opens again, and no other is."""
    ends: set[bool] = set()
    for operation in itertools.count():
        world, flash = World(), CrashFlash(SIZE)
        keystore = EmulatedKeystore.create(world.scheme, flash, SECRET)
        keystore.pin.set(RIGHT)
        store = MemoryStore.open(1 << 22)
        wallet = Wallet(world.scheme, limits.FULL, keystore, store)
        wallet.write(News(world.certificate(keystore.public), world.authorities, world.header, world.policy))
        world.fund(wallet, 100)
        keystore.pin.verify(RIGHT)
        flash.faults = Faults(cut=flash.operations + operation)
        charge = Charge(10, "CNY", bytes(16), verification=Verification.PIN)
        meeting = world.meet(wallet, world.wallet(), charge=charge, person=lambda _: Consent(Verification.PIN))
        try:
            meeting.run()
        except PowerCut:
            for keep in survivals(flash):
                if keep.torn is not None:
                    continue
                again = opened_in(world, flash.crash(keep), store)
                assert again.book.pending, "it was durable"
                assert again.book.tape[-1].signature
                ends.add(again.keystore.head.id == again.book.tape[-1].id)
                assert again.keystore.pin is not None
                assert not again.keystore.pin.cell.verified, "one claim for one PIN"
        else:
            break
    assert ends == {True}


def opened_in(world: World, flash: CrashFlash, store: MemoryStore) -> Wallet:
    copy = MemoryStore.open(1 << 22)
    copy.append(store.records)
    return Wallet(world.scheme, limits.FULL, EmulatedKeystore(world.scheme, flash), copy)
