"""One pcscd for all tests that need it, which run in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
