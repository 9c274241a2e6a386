from __future__ import annotations

import errno
import hashlib
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec

import pytest

from dualtap.errors import Code, TapError
from dualtap_devices.flash import CrashFlash, Faults, FileFlash, Flash, Keep, MemoryFlash, PowerCut
from dualtap_devices.slots import ALIGN, MemoryStore, SlotStore, Store

SIZE = 2 * 8 * ALIGN
HALF = SIZE // 2


P = ParamSpec("P")


def failure(code: Code, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> str:
    with pytest.raises(TapError) as caught:
        action(*args, **kwargs)
    assert caught.value.code is code
    return caught.value.detail


def on_medium(image: bytes) -> CrashFlash:
    return CrashFlash(len(image), image=image)


def whole(flash: Flash) -> bytes:
    return flash.read(0, flash.size)


def flipped(image: bytes, at: int) -> bytes:
    return image[:at] + bytes((image[at] ^ 1,)) + image[at + 1 :]


def filled(*batches: bytes) -> bytes:
    """The medium after one append for each, in half 0 of a flash just formatted."""
    flash = MemoryFlash(SIZE)
    store = SlotStore.open(flash)
    for batch in batches:
        store.append((batch,))
    return whole(flash)


class TestStore:
    @pytest.mark.parametrize("make", [lambda: SlotStore.open(MemoryFlash(SIZE)), lambda: MemoryStore.open(SIZE)])
    def test_both_stores_count_and_refuse_alike(self, make: Callable[[], Store]) -> None:
        store = make()
        assert not store.records
        assert store.free == HALF - ALIGN
        assert store.cost(()) == 0
        assert store.cost((b"",)) == ALIGN
        store.append(())
        assert store.free == HALF - ALIGN
        cost = store.cost((b"a" * 600, b"b"))
        assert cost == 2 * ALIGN
        store.append((b"a" * 600, b"b"))
        assert store.free == HALF - ALIGN - cost
        failure(Code.STORE_FULL, store.append, (b"c" * store.free,))
        failure(Code.STORE_FULL, store.compact, (b"c" * HALF,))
        assert list(store.records) == [b"a" * 600, b"b"]
        store.compact((b"b", b"", b"d"))
        assert list(store.records) == [b"b", b"", b"d"]
        assert store.free == HALF - ALIGN
        store.compact(())
        assert not store.records

    def test_a_half_can_be_filled_to_its_last_sector(self) -> None:
        flash = MemoryFlash(SIZE)
        store = SlotStore.open(flash)
        while store.free:
            store.append((b"x",))
        failure(Code.STORE_FULL, store.append, (b"",))
        assert SlotStore.open(flash).records == (b"x",) * 7

    def test_room_never_shrinks_by_reopening_or_a_failed_sync(self) -> None:
        flash = CrashFlash(SIZE, Faults(failing=frozenset((5,))))
        store = SlotStore.open(flash)
        for _ in range(3):
            store.append((b"x" * 300,))
        free = store.free
        store.append((b"y",))
        assert flash.syncs == 8
        assert store.free >= free - store.cost((b"y",))
        free = store.free
        assert SlotStore.open(flash).free >= free

    def test_an_append_costs_one_write_of_the_new_bytes_and_one_sync(self) -> None:
        flash = CrashFlash(1 << 20)
        store = SlotStore.open(flash)
        store.append((b"x" * 100_000,))
        before = (flash.operations, flash.syncs)
        store.append((b"y",))
        assert (flash.operations, flash.syncs) == (before[0] + 2, before[1] + 1)
        assert store.cost((b"y",)) == ALIGN

    @pytest.mark.parametrize("size", [0, ALIGN, 4 * ALIGN - 1])
    def test_too_small(self, size: int) -> None:
        failure(Code.STORE_FAILED, SlotStore.open, MemoryFlash(size))
        failure(Code.STORE_FAILED, MemoryStore.open, size)

    def test_any_exception_ends_the_use_of_a_store(self) -> None:
        for cut in (4, 5):
            flash = CrashFlash(SIZE, Faults(cut))
            for use in (SlotStore.append, SlotStore.compact):
                store = SlotStore.open(flash if use is SlotStore.append else CrashFlash(SIZE, Faults(cut)))
                with pytest.raises(PowerCut):
                    use(store, (b"x",))
                for after in (store.append, store.compact):
                    assert "opened again" in failure(Code.STORE_FAILED, after, (b"x",))

    def test_a_failed_compaction_refuses_further_appends(self) -> None:
        # The other half may now be newer: an append to this one would be lost.
        flash = CrashFlash(SIZE, Faults(failing=frozenset((3,))))
        store = SlotStore.open(flash)
        store.append((b"a",))
        failure(Code.STORE_FAILED, store.compact, (b"b",))
        failure(Code.STORE_FAILED, store.append, (b"c",))
        assert SlotStore.open(flash).records in ((b"a",), (b"b",))
        assert SlotStore.open(flash.crash()).records in ((b"a",), (b"b",))

    def test_a_device_that_cannot_be_read(self) -> None:
        class Unreadable(MemoryFlash):
            def read(self, offset: int, length: int) -> bytes:
                raise OSError(errno.EIO, "unreadable")

        failure(Code.STORE_FAILED, SlotStore.open, Unreadable(SIZE))

    def test_a_failed_write_fails_over(self) -> None:
        class Failing(MemoryFlash):
            broken = False

            def write(self, offset: int, data: bytes) -> None:
                if self.broken and offset < HALF:
                    self.broken = False
                    raise OSError(errno.EIO, "bad sector")
                super().write(offset, data)

        flash = Failing(SIZE)
        store = SlotStore.open(flash)
        flash.broken = True
        store.append((b"x",))
        assert SlotStore.open(flash).records == (b"x",)


class TestDamage:
    def test_every_byte_of_an_acknowledged_entry_but_the_last(self) -> None:
        image = filled(b"first", b"second", b"third")
        used = 1 + 52 + 4 + len(b"first")
        for at in range(ALIGN, ALIGN + used):
            detail = failure(Code.STORE_FAILED, SlotStore.open, on_medium(flipped(image, at)))
            assert "damaged" in detail

    def test_a_lost_sector_between(self) -> None:
        image = filled(b"first", b"second", b"third")
        image = image[: 2 * ALIGN] + bytes(ALIGN) + image[3 * ALIGN :]
        failure(Code.STORE_FAILED, SlotStore.open, on_medium(image))

    def test_every_byte_of_what_was_moved(self) -> None:
        flash = on_medium(filled(b"first"))
        SlotStore.open(flash)
        for at in range(HALF, HALF + 1 + 52 + 4 + len(b"first")):
            damaged = on_medium(flipped(flash.medium, at))
            assert "neither" in failure(Code.STORE_FAILED, SlotStore.open, damaged)

    def test_the_very_last_entry_looks_torn(self) -> None:
        image = filled(b"first", b"second")
        store = SlotStore.open(on_medium(flipped(image, 2 * ALIGN + 60)))
        assert store.records == (b"first",)

    def test_an_old_half_in_place_of_the_live_one(self) -> None:
        flash = on_medium(filled(b"first"))
        before = SlotStore.open(flash)
        old = flash.medium[HALF:]
        before.compact((b"spent",))
        SlotStore.open(flash)
        assert SlotStore.open(on_medium(flash.medium)).records == (b"spent",)
        replaced = flash.medium[:HALF] + old
        assert "older" in failure(Code.STORE_FAILED, SlotStore.open, on_medium(replaced))

    def test_two_halves_of_one_generation(self) -> None:
        image = filled(b"first")
        twice = image[:HALF] * 2
        assert "one generation" in failure(Code.STORE_FAILED, SlotStore.open, on_medium(twice))

    def test_a_mark_that_the_device_dropped_after_syncing_it(self) -> None:
        flash = on_medium(filled(b"first"))
        old = flash.medium[:HALF]
        store = SlotStore.open(flash)
        store.append((b"second",))
        image = old + flash.medium[HALF:]
        for cut in range(6):
            lying = CrashFlash(SIZE, Faults(cut), image)
            with pytest.raises(PowerCut):
                SlotStore.open(lying)
            assert SlotStore.open(lying.crash()).records == (b"first", b"second")

    def test_an_entry_in_the_place_of_another(self) -> None:
        image = filled(b"first", b"second", b"third")
        image = image[: 2 * ALIGN] + image[ALIGN : 2 * ALIGN] + image[3 * ALIGN :]
        failure(Code.STORE_FAILED, SlotStore.open, on_medium(image))

    def test_the_tag_of_every_sector(self) -> None:
        flash = on_medium(filled(b"x" * 1200))
        SlotStore.open(flash)
        for at in (0, ALIGN, 2 * ALIGN):
            failure(Code.STORE_FAILED, SlotStore.open, on_medium(flipped(flash.medium, HALF + at)))

    def test_a_payload_cannot_pose_as_an_entry(self) -> None:
        # The forger knows all that an entry says, and tries every place where a sector could begin. His
        # payload is torn, so that its own first sector does not cover the rest.
        later = filled(b"first", b"second", b"third")[3 * ALIGN : 4 * ALIGN]
        for lead, body in itertools.product(range(ALIGN - 70, ALIGN), (later, later[1:])):
            flash = CrashFlash(SIZE, Faults(cut=7))
            store = SlotStore.open(flash)
            store.append((b"first",))
            with pytest.raises(PowerCut):
                store.append((bytes(lead) + body,))
            kept = frozenset(range(1, len(flash.pieces)))
            assert SlotStore.open(flash.crash(Keep(kept))).records == (b"first",)

    def test_a_store_that_was_never_used_outlives_every_tear_of_its_opening(self) -> None:
        for cut, garbage in itertools.product(range(7), (False, True)):
            flash = on_medium(filled())
            flash.faults = Faults(cut, ALIGN // 2)
            with suppress(PowerCut):
                SlotStore.open(flash)
            torn = Keep(torn=0, byte=ALIGN // 2, garbage=garbage) if flash.pieces else Keep()
            assert SlotStore.open(flash.crash(torn)).records == ()

    def test_garbage_is_not_a_blank_flash(self) -> None:
        for at in (0, ALIGN, HALF, SIZE - 1):
            image = bytearray(SIZE)
            image[at] = 0xFF
            failure(Code.STORE_FAILED, SlotStore.open, on_medium(bytes(image)))


class TestCrashFlash:
    def test_reads_see_what_a_crash_loses(self) -> None:
        flash = CrashFlash(2 * ALIGN)
        flash.write(0, b"durable")
        flash.sync()
        flash.write(0, b"D")
        assert flash.read(0, 7) == b"Durable"
        assert flash.crash().read(0, 7) == b"durable"

    def test_writes_persist_by_sector_in_any_order(self) -> None:
        flash = CrashFlash(2 * ALIGN)
        flash.write(ALIGN - 2, b"abcd")
        assert [(piece.offset, piece.data) for piece in flash.pieces] == [(ALIGN - 2, b"ab"), (ALIGN, b"cd")]
        assert flash.crash(Keep(frozenset((1,)))).read(ALIGN - 2, 4) == b"\0\0cd"
        assert flash.crash(Keep(torn=0, byte=1)).read(ALIGN - 2, 4) == b"a\0\0\0"
        garbage = flash.crash(Keep(torn=0, byte=1, garbage=True))
        assert garbage.read(ALIGN - 3, 5) == b"\xa5\xc4\xa5\0\0"
        assert garbage.read(0, 1) == b"\xa5"

    def test_a_failed_sync_leaves_what_later_syncs_skip(self) -> None:
        flash = CrashFlash(ALIGN, Faults(failing=frozenset((0,))))
        flash.write(0, b"abcdef")
        with pytest.raises(OSError, match="planned"):
            flash.sync()
        flash.sync()
        assert flash.cache[:6] == b"abcdef"
        assert flash.medium[:6] == bytes(6)
        # Some of it may yet be there, but not where something newer is durable.
        flash.write(2, b"XY")
        flash.sync()
        assert flash.crash().read(0, 6) == b"\0\0XY\0\0"
        assert flash.crash(Keep(frozenset((0, 1)))).read(0, 6) == b"abXYef"

    def test_a_cut_ends_everything(self) -> None:
        flash = CrashFlash(ALIGN, Faults(cut=1, byte=2))
        flash.write(0, b"a")
        with pytest.raises(PowerCut):
            flash.write(1, b"bcd")
        for action in (flash.sync, lambda: flash.read(0, 1), lambda: flash.write(0, b"x")):
            with pytest.raises(PowerCut):
                action()
        assert flash.crash(Keep(frozenset((0, 1)))).read(0, 4) == b"abc\0"

    @pytest.mark.parametrize("make", [MemoryFlash, CrashFlash])
    def test_outside_the_device(self, make: Callable[[int], Flash]) -> None:
        flash = make(ALIGN)
        for action in (
            lambda: flash.read(-1, 1),
            lambda: flash.read(0, -1),
            lambda: flash.read(ALIGN, 1),
            lambda: flash.write(ALIGN - 1, b"ab"),
        ):
            with pytest.raises(ValueError, match="outside"):
                action()


class TestFileFlash:
    def test_a_store_in_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "wallet"
        flash = FileFlash(path, SIZE)
        assert path.stat().st_size == SIZE
        assert path.stat().st_mode & 0o077 == 0
        assert os.listdir(tmp_path) == ["wallet"]
        SlotStore.open(flash).append((b"one", b"two"))
        flash.close()
        flash.close()
        flash = FileFlash(path, SIZE)
        assert SlotStore.open(flash).records == (b"one", b"two")
        flash.close()

    def test_a_file_that_takes_and_gives_a_few_bytes_at_a_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write, read = os.pwrite, os.pread

        def some(fd: int, data: bytes, at: int) -> int:
            return write(fd, data[:100], at)

        def few(fd: int, length: int, at: int) -> bytes:
            return read(fd, min(length, 70), at)

        monkeypatch.setattr(os, "pwrite", some)
        monkeypatch.setattr(os, "pread", few)
        flash = FileFlash(tmp_path / "wallet", SIZE)
        flash.write(ALIGN, bytes(range(250)))
        assert flash.read(ALIGN, 251) == bytes(range(250)) + b"\0"
        flash.close()

    def test_one_user_at_a_time(self, tmp_path: Path) -> None:
        flash = FileFlash(tmp_path / "wallet", SIZE)
        assert "wallet" in failure(Code.IN_USE, lambda: FileFlash(tmp_path / "wallet", SIZE))
        flash.close()
        FileFlash(tmp_path / "wallet", SIZE).close()

    @pytest.mark.parametrize("size", [0, SIZE - 1, SIZE + 1])
    def test_another_size(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "wallet"
        path.write_bytes(bytes(size))
        assert "expected" in failure(Code.STORE_FAILED, FileFlash, path, SIZE)
        assert path.read_bytes() == bytes(size)

    def test_a_draft_of_a_creation_cut_short_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "wallet.new").write_bytes(b"torn")
        FileFlash(tmp_path / "wallet", SIZE).close()
        assert os.listdir(tmp_path) == ["wallet"]
        assert (tmp_path / "wallet").read_bytes() == bytes(SIZE)

    def test_no_folder(self, tmp_path: Path) -> None:
        failure(Code.STORE_FAILED, FileFlash, tmp_path / "no" / "wallet", SIZE)

    def test_a_file_that_shrank(self, tmp_path: Path) -> None:
        flash = FileFlash(tmp_path / "wallet", SIZE)
        os.truncate(tmp_path / "wallet", ALIGN)
        with pytest.raises(OSError, match="shorter"):
            flash.read(0, SIZE)
        flash.close()

    def test_the_order_of_creation(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # The name appears only when every byte is durable, and is itself made durable.
        synced: list[bool] = []
        fsync = os.fsync

        def watch(fd: int) -> None:
            synced.append((tmp_path / "wallet").exists())
            fsync(fd)

        monkeypatch.setattr(os, "fsync", watch)
        FileFlash(tmp_path / "wallet", SIZE).close()
        assert synced == [False, True]


@pytest.mark.parametrize("payload", [b"\0", b"\0\0\0\2a", b"\0\0\0\0\1", b"\xff\xff\xff\xffabcd"])
def test_an_entry_with_a_good_digest_and_no_records_in_it_is_refused(payload: bytes) -> None:
    """Found by fuzz/targets/store.py: whoever owns the file can compute a digest."""
    numbers = (1).to_bytes(8, "big") + bytes(8) + len(payload).to_bytes(4, "big")
    digest = hashlib.sha256(b"dualtap entry 1" + numbers + payload).digest()
    image = (b"E" + numbers + digest + payload).ljust(SIZE, b"\0")
    failure(Code.STORE_FAILED, SlotStore.open, on_medium(image))
