"""The command ``simulate``."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.helps import AS_JSON, Examples


@click.command(
    "simulate",
    cls=Examples,
    examples=(
        "dualtap simulate --seed 7 --taps 2000",
        "dualtap simulate --seed 7 --suite p256 --faults loss,power --json",
        "dualtap simulate --runs 1-100 --taps 500 --jobs 2",
        "dualtap simulate --replay scenario-7-3.json",
    ),
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--runs", metavar="A-B", help="Many seeds, at once.")
@click.option("--jobs", type=click.IntRange(0), default=0, help="Processes for --runs.  [default: one a core]")
@click.option("--taps", type=click.IntRange(1), default=1_000, show_default=True, help="At least so many a seed.")
@click.option("--suite", type=click.Choice(["stub", "p256", "ed25519"]), default="stub", show_default=True)
@click.option("--faults", default="all", show_default=True, help="What may go wrong, by name; `none`; or `all`.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A saved scenario.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Where a failure is saved.  [default: here]",
)
@AS_JSON
def simulate(
    seed: int,
    runs: str | None,
    jobs: int,
    taps: int,
    suite: str,
    faults: str,
    replay: Path | None,
    save: Path,
    as_json: bool,
) -> None:
    """Live in a world where everything fails, then heal, and check the seven promises.

    Wallets, machines and ledger are those of production; time and failures come from the seed. A failure is made as
    short as it goes, and saved. Exit code 1 if a promise was broken.
    """
    from dualtap_apps import simulating
    from dualtap_testing.simulate import Options

    out = simulating.Output(as_json, save)
    if replay is not None:
        raise SystemExit(int(simulating.replay(out, replay)))
    chosen = simulating.faults_of(faults)
    if runs is not None:
        raise SystemExit(int(simulating.run_many(out, runs, taps, suite, chosen, jobs)))
    raise SystemExit(int(simulating.run(out, Options(seed, taps, suite, chosen))))
