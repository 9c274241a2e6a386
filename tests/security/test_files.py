"""Files that somebody else wrote, at the command line: a reason, and no traceback, however deep or long they are."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap.evidence import BYTES
from dualtap_apps import audits
from dualtap_apps.keyring import Keyring
from dualtap_apps.schemes import read_scheme
from dualtap_devices.disk import read_label
from dualtap_devices.shifts import Shifts
from dualtap_issuer.sqlite import SqliteStore
from dualtap_testing.simulate import Scenario

DEEP = b"[" * 200_000
LONG = b'{"name": "' + b"x" * (1 << 20) + b'"}'


@pytest.mark.parametrize("body", [DEEP, LONG, b"", b"\xff"], ids=["deep", "long", "empty", "no text"])
def test_a_file_of_json_is_refused_with_a_reason(tmp_path: Path, body: bytes) -> None:
    for name in ("wallet.json", "scheme.json", "root.json", "scenario.json"):
        (tmp_path / name).write_bytes(body)
    readers = (
        lambda: read_label(tmp_path),
        lambda: read_scheme(tmp_path),
        lambda: Keyring(tmp_path).read("root"),
        lambda: Scenario.load(tmp_path / "scenario.json"),
    )
    for read in readers:
        with pytest.raises(TapError) as caught:
            read()
        assert caught.value.code is Code.BAD_INPUT


def test_a_pipe_in_a_wallets_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "wallet.json")
    with pytest.raises(TapError) as caught:
        read_label(tmp_path)
    assert caught.value.code is Code.BAD_INPUT


@pytest.mark.parametrize("create", [False, True])
def test_a_pipe_in_a_ledgers_place_is_not_waited_for(tmp_path: Path, create: bool) -> None:
    os.mkfifo(tmp_path / "ledger.sqlite")
    with pytest.raises(TapError, match="no file") as caught:
        SqliteStore(tmp_path / "ledger.sqlite", create=create)
    assert caught.value.code is Code.LEDGER_CORRUPT


def test_a_deep_line_of_a_shift_is_a_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "shifts.log").write_bytes(b"%08x %s\n" % (zlib.crc32(DEEP), DEEP) * 2)
    with pytest.raises(TapError) as caught:
        Shifts(tmp_path)
    assert caught.value.code is Code.STORE_FAILED


def test_no_more_of_a_file_is_read_than_evidence_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "evidence", list[int]()
    with path.open("wb") as file:
        file.truncate(1 << 33)

    def no_key(_: str) -> bytes:
        return b""

    def verify(data: bytes, _: bytes) -> None:
        seen.append(len(data))
        raise TapError(Code.TOO_LARGE)

    monkeypatch.setattr(audits, "verify_evidence", verify)
    monkeypatch.setattr(audits, "root_key", no_key)
    with pytest.raises(TapError) as caught:
        audits.verify(path, "", as_json=False)
    assert (caught.value.code, seen) == (Code.NOT_EVIDENCE, [BYTES + 1])
