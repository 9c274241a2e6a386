"""Two services over one PostgreSQL give the same ledger, and a service whose connection is cut finds its way back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import cast

import psycopg
import pytest

from dualtap import Charge, Pay, limits
from dualtap.errors import Code, TapError
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.remote import HttpCarrier, sync_sealed
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from tests.support.postgres import Postgres
from tests.support.served import Town, serving


@pytest.fixture
def town(tmp_path: Path, postgres: Postgres) -> Town:
    return Town(tmp_path / "town", db=postgres.place())


def tap(payer: Wallet, payee: Wallet, amount: int, basket: bytes) -> None:
    sides = Driver.fresh(payer, Pay(), True), Driver.fresh(payee, Charge(amount, "CNY", basket), False)
    exchange(*sides)
    assert sides[0].result.result.value == "paid"


def sync_at(address: str, wallet: Wallet, entropy: bytes, deposit: bool = True) -> None:
    with HttpCarrier(address) as carrier:
        sync_sealed(wallet, carrier, entropy, deposit)


def test_two_services_over_one_database_give_the_same_ledger(town: Town) -> None:
    payers, tills = town.wallets(*[1_000] * 4), town.wallets(*[0] * 8)
    with (
        serving(town.folder, "--db", town.db) as one,
        serving(town.folder, "--db", town.db, "--admin-log", str(town.folder / "other.log")) as other,
        ThreadPoolExecutor(8) as pool,
    ):
        for payer in payers:
            sync_at(one.devices, payer, town.draw(), False)
        for number, payer in enumerate(payers):
            clone = payer
            if number == 0:
                store = MemoryStore.open(1 << 23)
                store.append(payer.store.records)
                clone = Wallet(payer.book.scheme, limits.FULL, copy(payer.keystore), store)
            tap(payer, tills[2 * number], 500 if number else 1_000, town.draw()[:16])
            tap(clone, tills[2 * number + 1], 500 if number else 1_000, town.draw()[:16])
        where = [one.devices, other.devices] * 4
        syncs = [pool.submit(sync_at, at, till, town.draw()) for at, till in zip(where, tills, strict=True)]
        for sync in syncs:
            sync.result()
        found = [service.call("GET", "/admin/audit").json for service in (one, other)]
    assert found[0] == found[1]
    assert (found[0]["settled"], found[0]["overspend"], found[0]["issued"]) == (5_000, 1_000, 4_000)
    conflicts = cast("list[object]", found[0]["conflicts"])
    assert len(conflicts) == 2, "a fork and a fork of the tape, each once"


def test_a_service_whose_connection_is_cut_opens_another(town: Town, postgres: Postgres) -> None:
    (wallet,) = town.wallets(700)
    with serving(town.folder, "--db", town.db) as service:
        with psycopg.connect(postgres.url, autocommit=True) as database:
            database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            )
        with pytest.raises(TapError) as caught:
            sync_at(service.devices, wallet, town.draw(), False)
        assert caught.value.code is Code.ISSUER_UNREACHABLE
        sync_at(service.devices, wallet, town.draw(), False)
        assert service.call("GET", "/ready").status == 200
    assert wallet.book.available(20_000) == 700
