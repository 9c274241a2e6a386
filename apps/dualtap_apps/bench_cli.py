"""The commands of ``dualtap bench``."""

from __future__ import annotations

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.options import AS_JSON, SUITE


@click.group(cls=ExampleGroup, examples=("dualtap bench tap", "dualtap bench import --json"))
def bench() -> None:
    """Measure."""


@bench.command("tap", examples=("dualtap bench tap", "dualtap bench tap --suite ed25519 --json"))
@SUITE
@click.option("--taps", type=click.IntRange(20, 100_000), default=400, show_default=True)
@AS_JSON
def bench_tap(suite: str, taps: int, as_json: bool) -> None:
    """Taps per second over the bare cryptography of a tap, in one run; and bytes by message."""
    from dualtap_apps.bench import bench_tap as measure

    end(measure(suite, taps, as_json))


@bench.command("import", examples=("dualtap bench import",))
@AS_JSON
def bench_import(as_json: bool) -> None:
    """Time and memory of `import dualtap` beside cryptography and msgpack alone."""
    from dualtap_apps.bench import bench_import as measure

    end(measure(as_json))


@bench.command("issuer", examples=("dualtap bench issuer", "dualtap bench issuer --suite ed25519 --json"))
@SUITE
@click.option("--full", is_flag=True, help="10^7 payments stored over 10^5, not 10^6 over 10^4: takes long.")
@AS_JSON
def bench_issuer(suite: str, full: bool, as_json: bool) -> None:
    """Payments per second of a ledger over the bare operations, on SQLite and PostgreSQL; growth; a sync's time."""
    from dualtap_apps.bench_issuer import bench_issuer as measure

    end(measure(suite, as_json, full))


@bench.command("service", examples=("dualtap bench service --json",))
@SUITE
@click.option("--syncs", type=click.IntRange(20, 100_000), default=200, show_default=True)
@AS_JSON
def bench_service(suite: str, syncs: int, as_json: bool) -> None:
    """Time of a sync over HTTP on this machine, alone and beside others."""
    from dualtap_apps.bench_service import bench_service as measure

    end(measure(suite, syncs, as_json))


@bench.command("radio", examples=("dualtap bench radio", "dualtap bench radio --json"))
@AS_JSON
def bench_radio(as_json: bool) -> None:
    """A real tap in the time that models of NFC, Bluetooth LE and cards give it; wall time on stacks without radio."""
    from dualtap_apps.bench_radio import bench_radio as measure

    end(measure(as_json))
