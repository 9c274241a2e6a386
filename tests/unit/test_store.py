"""Opening a ledger's store where there is none, or no way to it; and what a process left undone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap_issuer.store import Store


def refused(where: str | Path) -> TapError:
    with pytest.raises(TapError) as caught:
        Store.open(where)
    assert "\n" not in str(caught.value)
    return caught.value


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("this is no database, but a text that is longer than a hundred bytes. " * 20)
    for where in (path, f"sqlite://{path}", tmp_path):
        assert refused(where).code is Code.LEDGER_CORRUPT


def test_without_its_driver_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "dualtap_issuer.postgres", raising=False)
    found = refused("postgresql:///ledger")
    assert found.code is Code.BAD_INPUT
    assert "pip install 'dualtap[postgres]'" in found.detail


def test_a_server_that_does_not_answer_is_unreachable_and_no_password_is_told(tmp_path: Path) -> None:
    found = refused(f"postgresql://clerk:hunter2@/ledger?host={tmp_path}")
    assert found.code is Code.ISSUER_UNREACHABLE
    assert "hunter2" not in str(found)


def test_a_path_and_its_url_are_one_ledger(tmp_path: Path) -> None:
    first = Store.open(tmp_path / "ledger.db")
    with first.transaction():
        first.put_challenge(bytes(32))
    first.close()
    again = Store.open(f"sqlite://{tmp_path}/ledger.db", create=False)
    assert again.is_open(bytes(32))
    again.close()
