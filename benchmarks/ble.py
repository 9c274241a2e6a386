"""What a tap over Bluetooth LE takes: unmodified bleak and Bumble's hosts, over virtual controllers without delays.

Run as ``python -m benchmarks.ble [TAPS]`` where processes can be forked; prints one JSON object for each stack. These
are the costs of the software: a real radio adds its connection intervals.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from dualtap.context import Charge, Order, Pay
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.session import NO_HANDOVER, Handover, ident
from dualtap.suite import P256
from dualtap_devices import aio
from dualtap_devices.driver import Driver, run
from dualtap_devices.wallet import Wallet
from dualtap_testing.toyscheme import ToyScheme
from dualtap_transports import ble
from dualtap_transports.ble_link import GattLink
from dualtap_transports.handover import handover_of, introduce
from tests.radio.test_ble_processes import blowing
from tests.support.virtual import Air, join

PATIENCE = 20.0


def wallets() -> tuple[Wallet, Wallet]:
    """Return a payer and a payee."""
    toy = ToyScheme(P256)
    return toy.memory_wallet(Carrier.WATCH, 100_000), toy.memory_wallet(Carrier.POS)


def driver(wallet: Wallet, order: Order, handover: Handover = NO_HANDOVER, secret: bytes = b"") -> Driver:
    """Return one side of a tap."""
    ephemeral = P256.ephemeral(secret) if secret else None
    return Driver.fresh(wallet, order, isinstance(order, Pay), ephemeral=ephemeral, handover=handover)


class Counted:
    """The values that arrive at one end."""

    def __init__(self, link: GattLink) -> None:
        self.values = self.size = 0
        self._arrived: Callable[[bytes], None] = link.arrived
        link.arrived = self  # type: ignore[method-assign]

    def __call__(self, value: bytes) -> None:
        """Count a value, and hand it on."""
        self.values += 1
        self.size += len(value)
        self._arrived(value)


async def in_process(taps: int) -> dict[str, object]:
    """Tap in one process and one event loop."""
    payer, payee = wallets()
    joins, times = list[float](), list[float]()
    up = down = None
    for i in range(taps):
        began = time.perf_counter()
        pair = await join(Air())
        joined = time.perf_counter()
        up, down = Counted(pair.peripheral), Counted(pair.central)
        pays, collects = driver(payer, Pay()), driver(payee, Charge(5, "CNY", i.to_bytes(16)))
        await asyncio.gather(aio.run(pays, pair.central, PATIENCE), aio.run(collects, pair.peripheral, PATIENCE))
        times.append(time.perf_counter() - joined)
        joins.append(joined - began)
        assert pays.result.result is Result.PAID
        await pair.close()
    assert up is not None
    assert down is not None
    return {
        "stack": "one process",
        "connect_ms": milliseconds(joins),
        "tap_ms": milliseconds(times),
        "values": [up.values, down.values],
        "bytes": [up.size, down.size],
    }


def collect(payee: Wallet, air: str, taps: int, told: Connection) -> None:
    """Be the till, in a process of its own."""
    for i in range(taps):
        listener = ble.SCHEME.listen(ble.NEW + air)
        secret = i.to_bytes(32)
        handover = introduce(listener, ident(P256.ephemeral(secret).public))
        told.send(listener.address)
        link = listener.accept(PATIENCE)
        listener.close()
        run(driver(payee, Charge(5, "CNY", i.to_bytes(16)), handover, secret), link, PATIENCE)


def across_processes(taps: int) -> dict[str, object]:
    """Tap between two processes, whose controllers are in a third, over TCP."""
    payer, payee = wallets()
    joins, times = list[float](), list[float]()
    near, far = multiprocessing.Pipe()
    with blowing() as air:
        till = multiprocessing.get_context("fork").Process(target=collect, args=(payee, air, taps + 1, far))
        till.start()
        for _ in range(taps + 1):
            address = near.recv()
            began = time.perf_counter()
            link = ble.SCHEME.connect(address + air, PATIENCE)
            joined = time.perf_counter()
            assert run(driver(payer, Pay(), handover_of(link)), link, PATIENCE).result is Result.PAID
            times.append(time.perf_counter() - joined)
            joins.append(joined - began)
        till.join()
    # The first tap loads modules.
    return {
        "stack": "three processes over TCP",
        "connect_ms": milliseconds(joins[1:]),
        "tap_ms": milliseconds(times[1:]),
    }


def milliseconds(seconds: list[float]) -> float:
    """Return the median, in milliseconds."""
    return round(1000 * statistics.median(seconds), 1)


def main() -> None:
    """Measure both stacks."""
    taps = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    across = across_processes(taps)
    for figures in (asyncio.run(in_process(taps)), across):
        sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
