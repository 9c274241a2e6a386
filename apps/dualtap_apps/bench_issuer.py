"""``bench issuer``: what a ledger takes in a second beside the bare operations that it needs, on both stores.

The floor, for the same uploads and in the same run: msgpack decoded and encoded again, every signature verified once
(wallets' keys loaded, authorities' kept), and every fact inserted into one table, one transaction an upload.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from multiprocessing import get_context
from typing import Any, NamedTuple

from dualtap import codec
from dualtap.errors import TapError
from dualtap.logcodec import BYTES, ITEMS
from dualtap.suite import SUITES
from dualtap_apps.bench_preload import preload
from dualtap_apps.bench_workload import EPOCH, Load, Scheme
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit, note
from dualtap_apps.throwaway import server
from dualtap_issuer.store import Store

ROUNDS, UPLOADS, PAYMENTS = 5, 3, 100
"""Rounds in which floor and ledger are measured in turn; uploads of each process in one; payments in one upload."""
WALLET = 4
"""Payments in one wallet's sync."""
SYNCS = 150
OPTIONS = "-c shared_buffers=512MB -c max_wal_size=8GB -c wal_compression=on"
"""The server's settings that are not its defaults. Keys are random, so that after a checkpoint most pages go to its log
whole, once: compressed. Commits are synchronous."""

Places = Callable[[], str]
"""Gives the URL of an empty ledger."""


class Rate(NamedTuple):
    """Payments a second of the floor and of the ledger, and the median of their ratio by round."""

    floor: float
    ours: float
    ratio: float


class Measured(NamedTuple):
    """What is measured on one store; ``latency`` is of one wallet's sync, in seconds."""

    alone: Rate
    paired: Rate
    growth: float
    cost_small: float
    cost_large: float
    latency: list[float]
    size: float


def bench_issuer(suite: str, as_json: bool, full: bool) -> Exit:
    """Measure both stores; print ratios, growth, latency and bytes."""
    scheme = Scheme(SUITES[suite])
    sizes = (100_000, 10_000_000) if full else (10_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        numbers = count()
        sqlite = measure(scheme, lambda: f"sqlite://{folder}/ledger{next(numbers)}.db", sizes)
    postgres, why = None, ""
    try:
        with server(OPTIONS) as url:
            postgres = measure(scheme, partial(_schema, url, count()), sizes)
    except (TapError, ImportError) as error:
        why = f"PostgreSQL was not measured: {error}"
        note(why)
    fields: dict[str, object] = {
        "suite": suite, "payments_per_upload": PAYMENTS, "stored": sizes,
        **_fields("sqlite", sqlite), **_fields("postgres", postgres),
        "growth": max(found.growth for found in (sqlite, postgres) if found),
        "sync_p50_ms": _quantile(sqlite, 50), "sync_p99_ms": _quantile(sqlite, 99),
        "bytes_per_transfer": round(sqlite.size), "note": why,
    }  # fmt: skip
    lines = [_text(name, found) for name, found in (("SQLite", sqlite), ("PostgreSQL", postgres)) if found]
    emit(as_json, fields, *lines, "goals: ratio 0.75 with 2 processes, growth 1.3")
    return Exit.OK


def _schema(url: str, numbers: count[int]) -> str:
    import psycopg

    name = f"ledger{next(numbers)}"
    with psycopg.connect(url, autocommit=True) as database:
        database.execute(f"CREATE SCHEMA {name}".encode())
    return f"{url}&options=-csearch_path%3D{name}"


def _fields(name: str, found: Measured | None) -> dict[str, object]:
    if found is None:
        return {f"ratio_{name}": None}
    return {
        f"ratio_{name}": round(found.paired.ratio, 3),
        f"ratio_{name}_1_process": round(found.alone.ratio, 3),
        f"transfers_per_s_{name}": {"1": round(found.alone.ours), "2": round(found.paired.ours)},
        f"floor_per_s_{name}": {"1": round(found.alone.floor), "2": round(found.paired.floor)},
        f"growth_{name}": round(found.growth, 3),
        f"store_us_per_transfer_{name}": [round(found.cost_small * 1e6), round(found.cost_large * 1e6)],
        f"sync_p50_ms_{name}": _quantile(found, 50),
        f"sync_p99_ms_{name}": _quantile(found, 99),
        f"bytes_per_transfer_{name}": round(found.size),
    }


def _quantile(found: Measured, percent: int) -> float:
    return round(statistics.quantiles(found.latency, n=100)[percent - 1] * 1000, 1)


def _text(name: str, found: Measured) -> str:
    rates = ", ".join(
        f"{processes}: {rate.ours:.0f}/s over {rate.floor:.0f}/s = {rate.ratio:.2f}"
        for processes, rate in (("1 process", found.alone), ("2", found.paired))
    )
    return (
        f"{name}: {rates}; growth {found.growth:.2f}; a wallet's sync {_quantile(found, 50)} ms, "
        f"p99 {_quantile(found, 99)} ms; {found.size:.0f} B a payment"
    )


def measure(scheme: Scheme, places: Places, sizes: tuple[int, int]) -> Measured:
    """Measure one kind of store."""
    alone, size = _rate(scheme, places(), 1)
    paired, _ = _rate(scheme, places(), 2)
    small, large = places(), places()
    preload(small, sizes[0])
    preload(large, sizes[1])
    cost = _costs(scheme, small, large)
    return Measured(alone, paired, cost[1] / cost[0], *cost, _latency(scheme, large), size)


# Throughput


def _rate(scheme: Scheme, where: str, processes: int) -> tuple[Rate, float]:
    """Return the rates of so many processes on one ledger, and the bytes that a payment takes in it."""
    dealt = [[scheme.load(PAYMENTS) for _ in range(ROUNDS * UPLOADS)] for _ in range(processes)]
    with closing(Store.open(where)) as store:
        kind = "bytea" if where.startswith("postgresql") else "BLOB"
        store.ask(f"CREATE TABLE floor (digest {kind} PRIMARY KEY, body {kind})")
        before = store.size()
    # Both are timed by the slowest process, from one barrier to the next.
    times = _together(processes, lambda at, barrier: _rounds(scheme, where, dealt[at], barrier))
    payments = processes * UPLOADS * PAYMENTS
    floors = [max(one) for one in zip(*[floor for floor, _ in times], strict=True)]
    ours = [max(one) for one in zip(*[taken for _, taken in times], strict=True)]
    ratio = statistics.median(floor / taken for floor, taken in zip(floors, ours, strict=True))
    with closing(Store.open(where)) as store:
        store.ask("DROP TABLE floor")
        size = (store.size() - before) / (payments * ROUNDS)
    return Rate(payments / statistics.median(floors), payments / statistics.median(ours), ratio), size


def _rounds(scheme: Scheme, where: str, loads: list[Load], barrier: Callable[[], object]) -> tuple[list[float], ...]:
    ledger = scheme.ledger(where)
    floors: list[float] = []
    ours: list[float] = []
    verifiers: dict[bytes, Callable[[bytes, bytes], None]] = {}
    for first in range(0, len(loads), UPLOADS):
        part = loads[first : first + UPLOADS]
        requests = [scheme.request(ledger, load) for load in part]
        barrier()
        began = time.perf_counter()
        for load in part:
            _floor(scheme, ledger.store, load, verifiers)
        floors.append(time.perf_counter() - began)
        barrier()
        began = time.perf_counter()
        for request in requests:
            ledger.sync(request, EPOCH)
        ours.append(time.perf_counter() - began)
    assert ledger.refused == 0
    ledger.store.close()
    return floors, ours


def _floor(scheme: Scheme, store: Store, load: Load, verifiers: dict[bytes, Callable[[bytes, bytes], None]]) -> None:
    codec.unpack(load.upload, BYTES, ITEMS)
    for check in load.checks:
        verify = verifiers.get(check.key) or scheme.suite.verifier(check.key)
        if check.authority:
            verifiers[check.key] = verify
        verify(check.signature, check.digest)
    with store.transaction():
        store.insert("floor", ("digest", "body"), sorted((fact.digest, fact.body) for fact in load.facts))


def _together(processes: int, act: Callable[[int, Callable[[], object]], Any]) -> list[Any]:
    """Run an action in so many processes, and return what each returns."""
    context = get_context("fork")
    barrier, answers = context.Barrier(processes), context.SimpleQueue()

    def run(at: int) -> None:
        answers.put(act(at, barrier.wait))

    children = [context.Process(target=run, args=(at,)) for at in range(processes)]
    for child in children:
        child.start()
    found = [answers.get() for _ in children]
    for child in children:
        child.join()
    return found


# The store's own cost


def _costs(scheme: Scheme, small: str, large: str) -> tuple[float, float]:
    """Return the seconds that a payment spends in a small and in a large store, measured in turn."""
    ledgers = [scheme.ledger(where) for where in (small, large)]
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(9):
        for ledger, found in zip(ledgers, spent, strict=True):
            load = scheme.load(PAYMENTS)
            request = scheme.request(ledger, load)
            with _stopwatch(ledger.store) as total:
                ledger.sync(request, EPOCH)
            found.append(total[0] / PAYMENTS)
    for ledger in ledgers:
        ledger.store.close()
    return statistics.median(spent[0][1:]), statistics.median(spent[1][1:])


@contextmanager
def _stopwatch(store: Store) -> Generator[list[float]]:
    """Sum up the seconds spent in a store: in its queries, and in beginning and ending transactions."""
    total, depth = [0.0], [0]

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: object, **named: object) -> object:
            began = time.perf_counter()
            depth[0] += 1
            try:
                return call(*arguments, **named)
            finally:
                depth[0] -= 1
                total[0] += 0.0 if depth[0] else time.perf_counter() - began

        return run

    real = store.transaction

    @contextmanager
    def transaction(*, alone: bool = False) -> Generator[None]:
        inside = real(alone=alone)
        timed(inside.__enter__)()
        yield
        timed(inside.__exit__)(None, None, None)

    patches: dict[str, object] = {name: timed(getattr(store, name)) for name in ("ask", "insert", "publish", "finish")}
    vars(store).update(patches, transaction=transaction)
    try:
        yield total
    finally:
        for name in (*patches, "transaction"):
            vars(store).pop(name)


# One wallet's sync


def _latency(scheme: Scheme, where: str) -> list[float]:
    """Return the seconds of wallets' syncs, while another process syncs at the same time."""
    dealt = [[scheme.load(WALLET) for _ in range(SYNCS)] for _ in range(2)]

    def run(at: int, barrier: Callable[[], object]) -> list[float]:
        ledger = scheme.ledger(where)
        found: list[float] = []
        barrier()
        for load in dealt[at]:
            request = scheme.request(ledger, load)
            began = time.perf_counter()
            ledger.sync(request, EPOCH)
            found.append(time.perf_counter() - began)
        ledger.store.close()
        return found

    return [second for part in _together(2, run) for second in part]
