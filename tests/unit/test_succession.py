"""A wallet's folder passes from one key to the next, whatever is cut (SPEC §20-7, §20-8, §20-10)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.suite import Drbg
from dualtap.sync import Reply
from dualtap_devices import succession
from dualtap_devices.disk import Label, created, forget, opened, rotating
from dualtap_devices.rotation import rotate, sync_device
from dualtap_devices.syncing import Prepared, tell
from dualtap_devices.wallet import Wallet
from tests.mint import EPOCH, Mint


class House:
    """A ledger, and a wallet in a folder, with 50.00 in it."""

    def __init__(self, folder: Path) -> None:
        self.mint, self.folder = Mint(), folder / "purse"
        scheme = self.mint.scheme
        label = Label("Anna", "card", "CNY", scheme.suite.name, scheme.root.hex(), "nowhere")
        with created(self.folder, label) as wallet:
            self.mint.secrets[wallet.book.key] = b""
            present = self.mint.certify(wallet)
            wallet.write(self.mint.ledger.news(EPOCH, present))
            self.mint.ledger.issue(wallet.book.key, 5000, EPOCH, self.mint.draw(8))
            self.mint.settle_in(wallet)
            self.first = wallet.book.key

    def reach(self, wallet: Wallet, prepared: Prepared) -> Reply:
        return tell(wallet, prepared, self.mint)

    def rotate(self) -> bytes:
        with rotating(self.folder) as (wallet, heir):
            rotate(wallet, heir, self.reach, self.mint.draw())
            return heir.book.key


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_folder_has_one_present_key_and_its_former_ones(house: House) -> None:
    """§20-7."""
    second = house.rotate()
    third = house.rotate()
    with opened(house.folder) as wallet:
        assert wallet.book.key == third
        assert [old.book.key for old in wallet.retired] == [house.first, second]
        assert wallet.book.available(EPOCH) == 5000
    assert sorted(path.name for path in house.folder.iterdir()) == [
        "keystore.bin", "retired", "store.bin", "wallet.json",
    ]  # fmt: skip


def parts(folder: Path, said: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in succession.PARTS:
        (folder / part).write_text(said)


@pytest.mark.parametrize("kept", [(2,), (1, 2), (9, 10), (1, 2, 10)])
def test_a_former_key_takes_no_other_former_keys_place(tmp_path: Path, kept: tuple[int, ...]) -> None:
    """§20-8: also where older ones are gone already, and beyond the ninth."""
    parts(tmp_path, "present")
    parts(tmp_path / succession.NEXT, "heir")
    for number in kept:
        parts(tmp_path / succession.RETIRED / str(number), f"key {number}")
    succession.promote(tmp_path)
    found = [(one / "store.bin").read_text() for one in succession.retired(tmp_path)]
    assert found == [*[f"key {number}" for number in kept], "present"]
    assert (tmp_path / "keystore.bin").read_text() == "heir"


class Dark(BaseException):
    """The power is gone."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_the_power_fails_at_any_rename(house: House, monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    """§20-8. Whatever was renamed, the folder opens, with all the keys and all the value."""
    real, place = Path.rename, 1
    while True:
        one, done = House(house.folder.with_name(f"house {place}")), 0

        def rename(self: Path, target: Path, folder: Path = one.folder, place: int = place) -> Path:
            nonlocal done
            ours = folder in self.parents and self.suffix != ".new"
            done += ours
            if ours and done == place and not after:
                raise Dark
            found = real(self, target)
            if ours and done == place:
                raise Dark
            return found

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", rename)
            try:
                one.rotate()
                cut = False
            except Dark:
                cut = True
        with opened(one.folder) as wallet:
            assert [old.book.key for old in wallet.retired] == [one.first]
            sync_device(wallet, one.reach, Drbg(one.mint.draw()), deposit=False)
            assert wallet.book.available(EPOCH) == 5000
        if not cut:
            break
        place += 1
    assert place == 6, "next, and two files each way"


def test_a_rotation_that_could_not_reach_the_issuer_goes_on(house: House) -> None:
    """§20-8. The heir is kept, and is the same."""

    def silent(wallet: Wallet, prepared: Prepared) -> Reply:
        if prepared.heir is None:
            return house.reach(wallet, prepared)
        raise TapError(Code.ISSUER_UNREACHABLE)

    with rotating(house.folder) as (wallet, heir):
        first = heir.book.key
        with pytest.raises(TapError, match="ISSUER_UNREACHABLE"):
            rotate(wallet, heir, silent, house.mint.draw())
    with opened(house.folder) as wallet:
        assert wallet.book.key == house.first
        assert wallet.book.successor is not None
    assert house.rotate() == first
    with opened(house.folder) as wallet:
        assert (wallet.book.key, wallet.book.available(EPOCH)) == (first, 5000)


def test_a_former_key_goes_when_nothing_can_need_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """§20-10."""
    till = house.mint.wallet()
    with opened(house.folder) as wallet:
        house.mint.pay(till, wallet, 1)
        house.mint.pay(wallet, till, 100)
    house.rotate()
    with opened(house.folder) as wallet:
        assert [old.book.questions for old in wallet.retired] != [{}]
        assert forget(house.folder, wallet) == 0
        monkeypatch.setattr(limits, "MAX_LIFE", 100)
        house.mint.epoch += 101
        sync_device(wallet, house.reach, Drbg(house.mint.draw()), deposit=False)
        assert forget(house.folder, wallet) == 1
    with opened(house.folder) as wallet:
        assert wallet.retired == ()
    assert os.listdir(house.folder / succession.RETIRED) == []
