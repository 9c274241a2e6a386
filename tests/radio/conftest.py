"""One pcscd for all tests that need it, which run in one process; an air, and a town whose wallets are on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.air import blowing
from tests.support.commands import move_in
from tests.support.pcscd import Pcscd, running


@pytest.fixture(scope="session")
def daemon() -> Iterator[Pcscd]:
    with running() as pcscd:
        yield pcscd


@pytest.fixture
def pcscd(daemon: Pcscd) -> Pcscd:
    """The daemon, with both readers empty."""
    daemon.settle()
    return daemon


@pytest.fixture(scope="module")
def air() -> Iterator[str]:
    """What stands for a controller in an air between processes, after an address."""
    with blowing() as controller:
        yield controller


@pytest.fixture
def people() -> tuple[tuple[str, str], ...]:
    """Who is in the town, and on what carrier; anna has money."""
    return (("till", "pos"), ("anna", "phone"))


@pytest.fixture
def town(tmp_path: Path, people: tuple[tuple[str, str], ...]) -> Path:
    """A scheme, and a wallet for each of the people."""
    return move_in(tmp_path, people)
