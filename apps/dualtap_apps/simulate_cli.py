"""The command ``simulate``."""

from __future__ import annotations

import click

from dualtap_apps.helps import AS_JSON, Examples


@click.command(
    "simulate",
    cls=Examples,
    examples=(
        "dualtap simulate --seed 7 --taps 2000",
        "dualtap simulate --seed 7 --suite p256 --faults loss,power --json",
    ),
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--taps", type=click.IntRange(1), default=1_000, show_default=True, help="At least so many.")
@click.option("--suite", type=click.Choice(["stub", "p256", "ed25519"]), default="stub", show_default=True)
@click.option("--faults", default="all", show_default=True, help="What may go wrong, by name; `none`; or `all`.")
@AS_JSON
def simulate(seed: int, taps: int, suite: str, faults: str, as_json: bool) -> None:
    """Live in a world where everything fails, then heal, and check the seven promises.

    Wallets, machines and ledger are those of production, time and failures come from the seed. Exit code 1 if a
    promise was broken.
    """
    from dualtap_apps.simulating import options_of, run

    raise SystemExit(int(run(as_json, options_of(seed, taps, suite, faults))))
