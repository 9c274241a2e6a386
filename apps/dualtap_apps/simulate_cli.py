"""The command ``simulate``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import Examples
from dualtap_apps.options import AS_JSON


def _check(ways: Mapping[str, bool], parts: Mapping[str, tuple[str, bool]]) -> None:
    """Raise ``UsageError`` for two ways to simulate at once, or for a part of one that was not chosen."""
    chosen = [name for name, given in ways.items() if given]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} exclude each other: choose one")
    for name, (whole, given) in parts.items():
        if given and whole not in chosen:
            raise click.UsageError(f"{name} is for: {whole}")


@click.command(
    "simulate",
    cls=Examples,
    examples=(
        "dualtap simulate --seed 7 --taps 2000",
        "dualtap simulate --seed 7 --suite p256 --faults loss,power --json",
        "dualtap simulate --runs 1-100 --taps 500 --jobs 2",
        "dualtap simulate --replay scenario-7-3.json",
        "dualtap simulate --exhaustive",
    ),
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--runs", metavar="A-B", help="Many seeds, at once; each that fails is named.")
@click.option("--twice", is_flag=True, help="With --runs: each seed again, in another process; digests must agree.")
@click.option("--jobs", type=click.IntRange(0), default=0, help="Processes at once.  [default: one a core]")
@click.option("--taps", type=click.IntRange(1), default=1_000, show_default=True, help="At least so many a seed.")
@click.option("--suite", type=click.Choice(["stub", "p256", "ed25519"]), default="stub", show_default=True)
@click.option("--faults", default="all", show_default=True, help="What may go wrong, by name; `none`; or `all`.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A saved scenario.")
@click.option("--exhaustive", is_flag=True, help="In place of seeds: every fault of every flow, and every pair.")
@click.option("--stride", type=click.IntRange(1), default=1, show_default=True, help="Of second torn bytes, which.")
@click.option("--singles", is_flag=True, help="With --exhaustive: no pairs.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="New seeds for so long.")
@click.option(
    "--tally",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What --minutes adds to.  [default: tally.json]",
)
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
    twice: bool,
    jobs: int,
    taps: int,
    suite: str,
    faults: str,
    replay: Path | None,
    exhaustive: bool,
    stride: int,
    singles: bool,
    minutes: float | None,
    tally: Path | None,
    save: Path,
    as_json: bool,
) -> None:
    """Live in a world where everything fails, then heal, and check the seven promises.

    Wallets, machines and ledger are those of production; time and failures come from the seed. A failure is made as
    short as it goes, and saved. Exit code 1 if a promise was broken.
    """
    _check(
        {"--runs": runs is not None, "--replay": replay is not None, "--exhaustive": exhaustive,
         "--minutes": minutes is not None},
        {"--twice": ("--runs", twice), "--singles": ("--exhaustive", singles),
         "--stride": ("--exhaustive", stride > 1), "--tally": ("--minutes", tally is not None)},
    )  # fmt: skip
    from dualtap_apps import simulating
    from dualtap_testing.many import steady
    from dualtap_testing.simulate import Options

    steady()
    out = simulating.Output(as_json, save)
    if replay is not None:
        end(simulating.replay(out, replay))
    if exhaustive:
        end(simulating.exhaust(out, suite, stride, singles, jobs))
    options = Options(seed, taps, suite, simulating.faults_of(faults))
    if minutes is not None:
        end(simulating.soak_for(out, minutes, tally or Path("tally.json"), options, jobs))
    if runs is not None:
        end(simulating.run_many(out, runs, options, jobs, twice))
    end(simulating.run(out, options))
