"""The log of administrative calls: durable before the call, unbroken after every failure, and one process's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap_issuer.service.journal import Journal, verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "admin.log"


def test_a_line_that_could_not_be_confirmed_is_not_taken_for_a_changed_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(path)
    journal.write(call="one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(TapError, match="No space") as caught:
            journal.write(call="two")
    assert caught.value.code is Code.STORE_FAILED
    assert journal.write(call="two, again") == 2
    journal.close()
    again = Journal(path)
    assert (again.count, again.last) == (journal.count, journal.last)
    again.close()


def test_each_line_is_durable_before_its_call_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, durable = Journal(path), list[bytes]()

    def confirm(_: int) -> None:
        durable.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", confirm)
    journal.write(call="one")
    journal.write(call="two")
    journal.close()
    assert [verify(data)[0] for data in durable] == [1, 2]


def test_a_line_that_a_cut_left_is_cut_off_and_the_log_goes_on(path: Path) -> None:
    journal = Journal(path)
    journal.write(call="one")
    journal.write(call="two")
    journal.close()
    whole = path.read_bytes()
    for cut in (1, whole.index(b"\n") + 1, whole.index(b"\n") + 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        again = Journal(path)
        number = again.write(call="next")
        again.close()
        assert verify(path.read_bytes()) == (number, again.last)


def test_a_log_that_was_changed_is_refused_and_let_go_of(path: Path) -> None:
    journal = Journal(path)
    journal.write(call="one")
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"one", b"two") + whole)
    with pytest.raises(TapError, match="line 2") as caught:
        Journal(path)
    assert caught.value.code is Code.STORE_FAILED
    path.write_bytes(whole)
    Journal(path).close()
