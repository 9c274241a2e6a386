"""A wallet in a folder: made once, opened by one process at a time, and cloned by copying it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dualtap.account import amount_of
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.records import Funded, News
from dualtap.statements import Transfer
from dualtap_devices.disk import Label, created, opened, read_label
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.flash import FileFlash
from dualtap_devices.keystore import SIZE
from dualtap_devices.models import MODELS
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet
from tests.playbook import World
from tests.support.devices import NOW


@pytest.fixture
def world() -> World:
    return World(seed="disk")


def label_of(world: World, model: str = "card") -> Label:
    return Label("Ana's", model, "CNY", "ed25519", world.root.public.hex(), "/a/scheme")


def join(world: World, wallet: Wallet, fund: int = 0) -> None:
    certificate = world.certificate(wallet.book.key, Carrier.CARD)
    wallet.write(News(certificate, world.authorities, world.header, world.policy))
    if fund:
        wallet.write(Funded(world.token(wallet.book.key, fund)))


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    with created(tmp_path / "purse", label_of(world)) as wallet:
        join(world, wallet, 500)
    return tmp_path / "purse"


def pay(world: World, payer: Wallet, amount: int = 100) -> Result:
    basket = world.draw(16)
    orders = ((payer, Pay()), (world.wallet(), Charge(amount, "CNY", basket)))
    sides = [
        Driver(wallet, order, order == Pay(), world.suite.ephemeral(world.draw()), world.draw(), clock=lambda: NOW)
        for wallet, order in orders
    ]
    exchange(*sides)
    return sides[0].result.result


def refusal(code: Code, folder: Path) -> str:
    with pytest.raises(TapError) as caught, opened(folder):
        pass
    assert caught.value.code is code, caught.value
    return caught.value.detail


def test_what_was_made_is_opened_with_its_key_and_its_value(world: World, folder: Path) -> None:
    with opened(folder) as wallet:
        key = wallet.book.key
        assert pay(world, wallet) is Result.PAID
    with opened(folder) as wallet:
        assert wallet.book.key == key
        assert sum(held.amount for held in wallet.book.holdings) == 400
        assert not wallet.quarantined
    assert read_label(folder) == label_of(world)
    assert read_label(folder).device is MODELS["card"]
    assert read_label(folder).anchor() == world.scheme


def test_two_wallets_have_two_keys(world: World, tmp_path: Path) -> None:
    with created(tmp_path / "one", label_of(world)) as one, created(tmp_path / "two", label_of(world)) as two:
        assert one.book.key != two.book.key


def test_the_files_of_a_wallet_are_its_owners_alone(folder: Path) -> None:
    assert (folder / "keystore.bin").stat().st_mode & 0o077 == 0


# Folders that are none


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "{}", '{"name": "x"}', "null", '"x"', "\udcff"],
)
def test_a_folder_whose_label_is_no_label_is_bad_input(folder: Path, text: str) -> None:
    (folder / "wallet.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refusal(Code.BAD_INPUT, folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "toaster"),
        ("model", ["card"]),
        ("suite", "rot13"),
        ("name", 7),
        ("currency", None),
        ("root", "not hex"),
        ("root", "00"),
        ("root", ""),
    ],
)
def test_a_label_that_says_nonsense_is_bad_input(folder: Path, field: str, value: object) -> None:
    fields = json.loads((folder / "wallet.json").read_text())
    (folder / "wallet.json").write_text(json.dumps(fields | {field: value}))
    refusal(Code.BAD_INPUT, folder)


def test_what_is_no_folder_is_bad_input(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "file", tmp_path / "file" / "below"):
        refusal(Code.BAD_INPUT, path)


def test_a_wallet_is_made_only_where_nothing_is(world: World, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    for path in (folder, tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TapError) as caught, created(path, label_of(world)):
            pass
        assert caught.value.code is Code.BAD_INPUT
    with opened(folder) as wallet:
        assert wallet.book.holdings


def test_a_wallet_half_made_is_none(world: World, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), created(tmp_path / "half", label_of(world)):
        raise KeyboardInterrupt
    refusal(Code.BAD_INPUT, tmp_path / "half")
    with created(tmp_path / "half", label_of(world)) as wallet:
        assert not wallet.book.joined, "its name is free again, for a new key"


def test_a_new_wallet_is_one_only_when_all_of_it_is_durable(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its value comes next: a label that a power cut empties would leave that in a folder which is no wallet."""
    folder, real, named = tmp_path / "purse", os.fsync, list[bool]()

    def confirm(file: int) -> None:
        named.append((folder / "wallet.json").exists())
        real(file)

    with created(folder, label_of(world)):
        monkeypatch.setattr(os, "fsync", confirm)
    assert named == [False, True], "the text, and then its name"
    assert sorted(one.name for one in folder.iterdir()) == ["keystore.bin", "store.bin", "wallet.json"]


# Storage that is not what it was


@pytest.mark.parametrize("part", ["keystore.bin", "store.bin"])
def test_a_part_that_is_missing_is_not_made_anew(folder: Path, part: str) -> None:
    (folder / part).unlink()
    assert part in refusal(Code.STORE_FAILED, folder)
    assert not (folder / part).exists()


def lowest() -> int:
    """Return the number that the next file gets: it grows where one was left open."""
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    return number


def test_who_finds_a_wallet_in_use_keeps_no_file_of_it_open(folder: Path) -> None:
    with opened(folder):
        before = lowest()
        refusal(Code.IN_USE, folder)
        assert lowest() == before


@pytest.mark.parametrize("part", ["keystore.bin", "store.bin"])
def test_a_part_of_another_size_is_refused(folder: Path, part: str) -> None:
    with (folder / part).open("ab") as file:
        file.write(b"x")
    refusal(Code.STORE_FAILED, folder)


@pytest.mark.parametrize("part", ["keystore.bin", "store.bin"])
def test_a_part_that_is_damaged_is_refused(folder: Path, part: str) -> None:
    whole = (folder / part).read_bytes()
    (folder / part).write_bytes(bytes(byte ^ 0xFF for byte in whole))
    refusal(Code.STORE_FAILED, folder)
    (folder / part).write_bytes(bytes(len(whole)))
    with pytest.raises(TapError), opened(folder) as wallet:
        wallet.book.certificate.key.hex()


def test_an_older_store_is_quarantined(world: World, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "store.bin", tmp_path / "older")
    with opened(folder) as wallet:
        pay(world, wallet)
        pay(world, wallet)
    shutil.copy(tmp_path / "older", folder / "store.bin")
    with opened(folder) as wallet:
        assert wallet.quarantined
        with pytest.raises(TapError) as caught:
            pay(world, wallet)
    assert caught.value.code is Code.QUARANTINED


def test_a_wallet_is_open_once(world: World, folder: Path, tmp_path: Path) -> None:
    with opened(folder):
        assert "keystore.bin" in refusal(Code.IN_USE, folder)
    with opened(folder):
        pass
    with created(tmp_path / "new", label_of(world)) as wallet:
        join(world, wallet)
        refusal(Code.BAD_INPUT, tmp_path / "new")


def test_a_failure_while_open_lets_go_of_the_wallet(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(folder):
        raise KeyboardInterrupt
    with opened(folder):
        pass


def test_a_copy_is_a_clone_that_pays_the_same_value_again(world: World, folder: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(folder, clone)
    statements: list[Transfer] = []
    for path in (folder, clone):
        with opened(path) as wallet:
            assert not wallet.quarantined
            assert pay(world, wallet, 500) is Result.PAID
            statements += wallet.book.graph.transfers.values()
    one, two = (statement.shown() for statement in statements)
    assert [amount_of(statement) for statement in statements] == [500, 500]
    assert statements[0].key == statements[1].key
    assert max(one.prev, two.prev) < min(one.ctr, two.ctr), "their intervals overlap, which proves the clone"


def test_the_secret_is_in_one_file_only(folder: Path) -> None:
    with opened(folder) as wallet:
        shown = repr(wallet) + repr(wallet.keystore) + repr(wallet.store)
    label = (folder / "wallet.json").read_text()
    flash = FileFlash(folder / "keystore.bin", SIZE)
    secret = SlotStore.open(flash).records[0]
    flash.close()
    assert len(secret) == 32
    assert secret in (folder / "keystore.bin").read_bytes()
    assert secret not in (folder / "store.bin").read_bytes()
    assert secret.hex() not in label + shown
    assert repr(secret)[2:-1] not in shown
