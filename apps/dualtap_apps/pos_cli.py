"""The commands of a till's shifts."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.options import AS_JSON, FOLDER


@click.group(
    cls=ExampleGroup,
    examples=("dualtap pos open shop", "dualtap pos report shop", "dualtap pos close shop", "dualtap sync shop"),
)
def pos() -> None:
    """A merchant's day: shifts, Z-totals, payouts, exports."""


@pos.command("open", examples=("dualtap pos open shop",))
@click.argument("folder", type=FOLDER)
@AS_JSON
def pos_open(folder: Path, as_json: bool) -> None:
    """Open a shift. Without it, one begins with the first payment."""
    from dualtap_apps.pos import begin

    end(begin(folder, as_json))


@pos.command("close", examples=("dualtap pos close shop", "dualtap pos close shop --json"))
@click.argument("folder", type=FOLDER)
@AS_JSON
def pos_close(folder: Path, as_json: bool) -> None:
    """Close the shift, and print its Z-total."""
    from dualtap_apps.pos import end as close

    end(close(folder, as_json))


@pos.command(
    "report",
    examples=("dualtap pos report shop", "dualtap pos report shop --shift 3 --csv", "dualtap pos report shop --json"),
)
@click.argument("folder", type=FOLDER)
@click.option("--shift", type=click.IntRange(1), metavar="NUMBER", help="Which shift.  [default: the last]")
@click.option("--csv", "as_csv", is_flag=True, help="Print every line as CSV; amounts in minor units.")
@click.option("--jsonl", "as_lines", is_flag=True, help="Print every line as JSON; amounts in minor units.")
@AS_JSON
def pos_report(folder: Path, shift: int | None, as_csv: bool, as_lines: bool, as_json: bool) -> None:
    """Print a shift's Z-total, and what became of its deposits by the last sync."""
    from dualtap_apps.pos import report

    if as_csv + as_lines + as_json > 1:
        raise click.UsageError("choose one of --json, --jsonl and --csv")
    end(report(folder, shift, as_json, as_csv, as_lines))
