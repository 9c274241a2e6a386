"""The ``conform`` commands, their options and their help. What they do is in :mod:`dualtap_apps.conform`."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.options import AS_JSON, FOLDER, SUITE

PART = click.option("--part", type=click.Choice(["payer", "payee"]), default="payer", show_default=True)
SAID = click.option("--part", type=click.Choice(["payer", "payee"]), help="Where SETUP does not say it, as a vector's.")
ON = click.option("--on", required=True, metavar="ADDRESS", help="Where the device listens: tcp:HOST:PORT.")
TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(0, 600, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds to wait for each answer of the device.",
)


@click.group(
    cls=ExampleGroup,
    examples=(
        "dualtap conform setup payer.json --part payer              # make your device ready by this",
        "dualtap conform run payer.json --on tcp:127.0.0.1:7000     # then test it",
        "dualtap conform device payer.json --on tcp:127.0.0.1:7000  # or look at ours",
    ),
)
def conform() -> None:
    """Test any device against the specification: a verdict per clause."""


@conform.command(
    "setup",
    examples=(
        "dualtap conform setup payer.json",
        "dualtap conform setup till.json --part payee --suite ed25519 --profile card",
    ),
)
@click.argument("file", type=FOLDER)
@PART
@SUITE
@click.option("--profile", type=click.Choice(["card", "full"]), default="full", show_default=True)
@AS_JSON
def conform_setup(file: Path, part: str, suite: str, profile: str, as_json: bool) -> None:
    """Write FILE: a wallet of a published scheme, for the device that is to be tested."""
    from dualtap_apps.conform import setup

    end(setup(file, part, suite, profile, as_json))


@conform.command("device", examples=("dualtap conform device payer.json --on tcp:127.0.0.1:7000",))
@click.argument("setup", type=FOLDER)
@ON
@SAID
def conform_device(setup: Path, on: str, part: str | None) -> None:
    """Be the reference device of SETUP, to see what a tester sees, until stdin ends.

    In the background of a script, give it a stdin that stays open.
    """
    from dualtap_apps.conform import device

    end(device(setup, on, part or ""))


@conform.command(
    "run",
    examples=(
        "dualtap conform run payer.json --on tcp:127.0.0.1:7000",
        "dualtap conform run payer.json --on tcp:127.0.0.1:7000 --only 11.4-7",
        "dualtap conform run till.json --on tcp:127.0.0.1:7000 --report report.json --key tester.key",
    ),
)
@click.argument("setup", type=FOLDER)
@ON
@SAID
@click.option("--only", default="", metavar="CLAUSE", help="Only the checks that decide this clause, as 11.4-7.")
@click.option("--vectors", is_flag=True, help="Ask the vectors too: the device has a test port.")
@click.option("--report", type=FOLDER, help="Write a JSON report here.")
@click.option("--key", type=FOLDER, help="Sign the report by this key.")
@TIMEOUT
@AS_JSON
def conform_run(
    setup: Path,
    on: str,
    part: str | None,
    only: str,
    vectors: bool,
    report: Path | None,
    key: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Drive the device through live taps; exit code 1 if a clause fails or the device never greets.

    The device was made ready by SETUP, anew for each run: it accepts one connection after another, a tap each.
    """
    from dualtap_apps.conform import Reporting, run

    reporting = Reporting(report, key, as_json)
    end(run(setup, on, part or "", only=only, vectors=vectors, timeout=timeout, reporting=reporting))


@conform.command("vectors", examples=("dualtap conform vectors --on tcp:127.0.0.1:7000",))
@ON
@click.option("--file", "files", multiple=True, metavar="NAME", help="Only this file of vectors, as codec.")
@TIMEOUT
@AS_JSON
def conform_vectors(on: str, files: tuple[str, ...], timeout: float, as_json: bool) -> None:
    """Ask the device's test port every vector; exit code 1 if an answer is wrong."""
    from dualtap_apps.conform import vectors

    end(vectors(on, files, timeout, as_json))


@conform.command("clauses", examples=("dualtap conform clauses", "dualtap conform clauses --part payee"))
@PART
@AS_JSON
def conform_clauses(part: str, as_json: bool) -> None:
    """List the clauses that bind a device, and how each is tested."""
    from dualtap_apps.conform import clauses

    end(clauses(part, as_json))


@conform.command("key", examples=("dualtap conform key tester.key",))
@click.argument("file", type=FOLDER)
@AS_JSON
def conform_key(file: Path, as_json: bool) -> None:
    """Write a new key to FILE, for signing reports, and print its public half."""
    from dualtap_apps.conform import make_key

    end(make_key(file, as_json))


@conform.command("check", examples=("dualtap conform check report.json --key 3b6a27bc…",))
@click.argument("report", type=FOLDER)
@click.option("--key", required=True, metavar="PUBLIC", help="The tester's public key, as `conform key` printed it.")
@AS_JSON
def conform_check(report: Path, key: str, as_json: bool) -> None:
    """Check a report's signature, and say what it says; exit code as that of its run."""
    from dualtap_apps.conform import check

    end(check(report, key, as_json))
