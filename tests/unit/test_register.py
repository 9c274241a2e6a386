"""A bank's own register of ordinals (SPEC §4.3-5, §4.3-6)."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap_issuer.register import Register

BANK = b"b" * 33
A, B, C, D = (bytes([number]) * 33 for number in range(1, 5))


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register.create(tmp_path / "ordinals")


def test_each_key_has_one_ordinal_below_the_quota(register: Register, tmp_path: Path) -> None:
    """§4.3-5, §4.3-6."""
    assert [register.ordinal(BANK, key, 3) for key in (A, B, A, C, D, B)] == [0, 1, 0, 2, None, 1]
    again = Register(tmp_path / "ordinals")
    assert [again.ordinal(BANK, key, 4) for key in (C, D)] == [2, 3]
    assert again.count(33) == 4


def test_a_line_that_was_cut_was_never_signed_for(register: Register, tmp_path: Path) -> None:
    """§4.3-6: at whatever byte."""
    path = tmp_path / "ordinals"
    register.ordinal(BANK, A, 9)
    register.ordinal(BANK, B, 9)
    whole = path.read_bytes()
    for cut in range(len(whole) // 2 + 1, len(whole)):
        path.write_bytes(whole[:cut])
        assert register.ordinal(BANK, C, 9) == 1
        assert register.ordinal(BANK, A, 9) == 0
    assert path.read_bytes()[: len(whole) // 2] == whole[: len(whole) // 2]


def test_no_ordinal_is_told_that_a_power_cut_could_take_back(
    register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§4.3-6: a line that was not confirmed reads back all the same; asked again, it is written again."""
    written: list[str] = []
    real = os.pwrite

    def confirmed(file: int) -> None:
        written.append("confirmed")

    def failing(file: int) -> None:
        raise OSError(5, "Input/output error")

    def write(file: int, data: bytes, place: int) -> int:
        written.append("written")
        return real(file, data, place)

    monkeypatch.setattr(os, "pwrite", write)
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(TapError, match="Input/output") as caught:
        register.ordinal(BANK, A, 9)
    assert caught.value.code is Code.STORE_FAILED
    monkeypatch.setattr(os, "fsync", confirmed)
    assert Register(tmp_path / "ordinals").ordinal(BANK, A, 9) == 0
    assert written == ["written", "written", "confirmed"]


def test_rivals_get_different_ordinals(register: Register, tmp_path: Path) -> None:
    keys = [bytes([number]) * 33 for number in range(40)]

    def take(key: bytes) -> int | None:
        return Register(tmp_path / "ordinals").ordinal(BANK, key, 99)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(take, keys))
    assert sorted(number for number in found if number is not None) == list(range(40))


@pytest.mark.parametrize("text", ["x" * 78 + "\n", "0000000001 " + "01" * 33 + "\n", "0000000000 " + "zz" * 33 + "\n"])
def test_what_no_register_wrote_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "ordinals").write_text(text[:78])
    with pytest.raises(TapError, match="line 1") as caught:
        Register(tmp_path / "ordinals").ordinal(BANK, A, 9)
    assert caught.value.code is Code.STORE_FAILED


def test_a_register_is_neither_lost_nor_begun_again_unnoticed(register: Register, tmp_path: Path) -> None:
    with pytest.raises(TapError, match="counts already"):
        Register.create(tmp_path / "ordinals")
    (tmp_path / "ordinals").unlink()
    with pytest.raises(TapError, match="do not begin a new one"):
        register.ordinal(BANK, A, 9)
