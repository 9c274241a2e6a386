"""``bench service``: how long a sync over HTTP takes here, alone and beside others, and what the service loads.

The service is a process of its own; the tills, which each deposit one payment with every sync, share this one.
"""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from dualtap import Charge, Pay, limits
from dualtap.errors import Code, TapError
from dualtap.issued import Carrier
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit
from dualtap_apps.schemes import Office, create
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.remote import HttpCarrier, sync_sealed
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet

TILLS = 4
FUND = 1_000_000


def bench_service(suite: str, syncs: int, as_json: bool) -> Exit:
    """Print p50 and p99 (ms) of a till's sync over HTTP on loopback, with one and with four tills at once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "town"
        create(folder, "CNY", suite)
        pairs = _pairs(folder)
        command = [sys.executable, "-m", "dualtap_apps", "issuer", "serve", str(folder), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603 - this program
            try:
                said = process.stdout.readline() if process.stdout is not None else ""
                if not said:
                    raise TapError(Code.ISSUER_UNREACHABLE, "the service did not start; try `dualtap issuer serve`")
                address = cast("dict[str, str]", json.loads(said))["devices"]
                alone = _measure(address, pairs[:1], syncs)
                loaded = _measure(address, pairs, syncs)
            finally:
                process.terminate()
    fields: dict[str, object] = {
        "suite": suite, "syncs": syncs, "tills_under_load": TILLS,
        "sync_p50_ms": alone[0], "sync_p99_ms": alone[1], "loaded_p50_ms": loaded[0], "loaded_p99_ms": loaded[1],
        "loaded_syncs_per_s": loaded[2], "service_import_ms": _import_ms(),
    }  # fmt: skip
    emit(
        as_json,
        fields,
        f"a sync with one deposit: p50 {alone[0]} ms, p99 {alone[1]} ms",
        f"beside {TILLS - 1} others: p50 {loaded[0]} ms, p99 {loaded[1]} ms, {loaded[2]} syncs a second",
        f"importing the service: {fields['service_import_ms']} ms",
    )
    return Exit.OK


def _pairs(folder: Path) -> list[tuple[Wallet, Wallet]]:
    """Return payers with money, and a till for each."""
    pairs: list[tuple[Wallet, Wallet]] = []
    with Office.open(folder) as office:
        for _ in range(TILLS):
            one, other = (
                Wallet(
                    office.ledger.scheme, limits.FULL,
                    MemoryKeystore(office.ledger.scheme, secrets.token_bytes(32)), MemoryStore.open(1 << 22),
                )
                for _ in range(2)
            )  # fmt: skip
            office.enrol(one, Carrier.POS)  # a tier that pays often between two syncs
            office.enrol(other, Carrier.POS)
            office.issue(one.book.key, FUND)
            pairs.append((one, other))
    return pairs


def _measure(address: str, pairs: list[tuple[Wallet, Wallet]], syncs: int) -> tuple[float, float, float]:
    """Return p50 and p99 in ms, and syncs a second while all tills sync as fast as they can."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(pairs)) as pool:
        each = syncs // len(pairs)
        tasks = [pool.submit(_till, address, payer, till, each) for payer, till in pairs]
        times = [item for task in tasks for item in task.result()]
    seconds = time.perf_counter() - began
    cuts = statistics.quantiles(times, n=100)
    return round(statistics.median(times) * 1000, 1), round(cuts[98] * 1000, 1), round(len(times) / seconds, 1)


def _till(address: str, payer: Wallet, till: Wallet, syncs: int) -> list[float]:
    _sync(address, payer, False)
    times: list[float] = []
    for _ in range(syncs):
        sides = (
            Driver.fresh(payer, Pay(), True),
            Driver.fresh(till, Charge(1, "CNY", secrets.token_bytes(16)), False),
        )
        exchange(*sides)
        times.append(_sync(address, till, True))
    return times


def _sync(address: str, wallet: Wallet, deposit: bool) -> float:
    """Sync on a new connection; return the seconds from before it to the durable end."""
    began = time.perf_counter()
    with HttpCarrier(address) as carrier:
        sync_sealed(wallet, carrier, secrets.token_bytes(32), deposit)
    return time.perf_counter() - began


def _import_ms() -> float:
    """Return the median time of importing what the service needs besides the ledger, in fresh interpreters."""
    script = (
        "import dualtap_issuer.ledger, time; t = time.perf_counter(); import dualtap_issuer.service.run\n"
        "print((time.perf_counter() - t) * 1000)"
    )
    runs = [
        float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)  # noqa: S603 - our own interpreter
        for _ in range(5)
    ]
    return round(statistics.median(runs), 1)
