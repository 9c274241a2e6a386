"""One pcscd for all tests of a worker; those that need it run in one worker."""

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
