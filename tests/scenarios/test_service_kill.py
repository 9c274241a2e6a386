"""The service is killed with SIGKILL again and again while wallets sync: nothing is lost or counts twice.

``DUALTAP_KILLS`` says how often; 6 times unless it is set, 50 in CI.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Semaphore, Thread
from typing import cast

import pytest

from dualtap import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap_apps.schemes import Office, today
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.remote import HttpCarrier, sync_sealed
from dualtap_devices.wallet import Wallet
from tests.support.served import Service, Town

KILLS = int(os.environ.get("DUALTAP_KILLS", "6"))
WORKERS = 3
FUND = 1_000_000


class Load:
    """Payers who pay, and tills that deposit what they got, each pair in a thread, until told to stop."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.pairs = list(zip(town.wallets(*[FUND] * WORKERS), town.wallets(*[0] * WORKERS), strict=True))
        self.address, self.up, self.stopping = "", Event(), Event()
        self.frames = Semaphore(0)
        self.lock = Lock()
        self.paid = self.acknowledged = self.syncs = self.torn = 0
        self.failed: list[BaseException] = []
        self.threads = [Thread(target=self.work, args=pair) for pair in self.pairs]

    def work(self, payer: Wallet, till: Wallet) -> None:
        try:
            self.sync(payer, False)
            while not self.stopping.is_set():
                basket = self.draw()[:16]
                sides = Driver.fresh(payer, Pay(), True), Driver.fresh(till, Charge(3, "CNY", basket), False)
                exchange(*sides)
                assert sides[0].result.result.value == "paid"
                with self.lock:
                    self.paid += 3
                self.sync(till, True)
                assert not till.book.pending, "what was deposited is confirmed by this very sync"
                assert till.book.available(today()) == 0
                with self.lock:
                    self.acknowledged += 3
                self.sync(payer, False)
        except BaseException as error:
            self.failed.append(error)

    def draw(self) -> bytes:
        with self.lock:
            return self.town.draw()

    def sync(self, wallet: Wallet, deposit: bool) -> None:
        """Sync, as often as it takes."""
        while True:
            assert self.up.wait(60)
            try:
                with HttpCarrier(self.address) as http:
                    sync_sealed(wallet, Announced(self, http), self.draw(), deposit)
            except TapError as error:
                if error.code is not Code.ISSUER_UNREACHABLE:
                    raise
                with self.lock:
                    self.torn += 1
            else:
                with self.lock:
                    self.syncs += 1
                return


class Announced:
    """Says that a frame is about to go, so that the service may be killed under it."""

    def __init__(self, load: Load, http: HttpCarrier) -> None:
        self.load, self.http = load, http

    def exchange(self, frame: bytes) -> bytes:
        self.load.frames.release()
        return self.http.exchange(frame)


@contextmanager
def running(load: Load) -> Generator[Load]:
    for thread in load.threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in load.threads:
            thread.join(60)
    assert load.failed == []
    assert not any(thread.is_alive() for thread in load.threads)


def settled(service: Service) -> int:
    return cast("int", service.call("GET", "/admin/audit").json["settled"])


@pytest.mark.timeout(1_800)
def test_nothing_acknowledged_is_lost_and_nothing_counts_twice(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    town = Town(tmp_path / "town", seed="kills")
    load = Load(town)
    service = Service(town.folder)
    try:
        load.address = service.devices
        load.up.set()
        with running(load):
            for kill in range(KILLS):
                for _ in range(1 + town.suite.number + load.draw()[0] % 23):
                    assert load.frames.acquire(timeout=60), load.failed
                load.up.clear()
                with load.lock:
                    acknowledged = load.acknowledged
                service.kill()
                service = Service(town.folder)
                if kill % 10 == 0:
                    assert settled(service) >= acknowledged
                load.address = service.devices
                load.up.set()
        assert load.torn >= KILLS // 2, "the kills met nobody"
        assert load.acknowledged == load.paid > KILLS
        assert service.stop() == 0
    except BaseException:
        service.kill()
        raise
    for name in ("syncs", "torn", "paid"):
        record_property(name, cast("int", getattr(load, name)))
    with Office.open(town.folder) as office:
        audit = office.ledger.audit()
    assert (audit.issued, audit.settled, audit.overspend) == (WORKERS * FUND, load.paid, 0)
    assert not audit.conflicts
    held = sum(payer.book.available(today()) for payer, _ in load.pairs)
    assert held == WORKERS * FUND - load.paid
