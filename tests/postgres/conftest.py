"""One server for all tests of a process; each test has a ledger of its own in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dualtap_issuer.store import Store
from tests.support.postgres import Postgres, running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture
def moved(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever opens a ledger, in memory or in a file, opens one on the server; it is closed after the test."""
    real, stores = Store.open, list[Store]()

    def opened(where: str | Path = ":memory:", *, create: bool = True) -> Store:
        stores.append(real(postgres.place(str(where)), create=create))
        return stores[-1]

    monkeypatch.setattr(Store, "open", staticmethod(opened))
    yield
    for store in stores:
        store.close()
