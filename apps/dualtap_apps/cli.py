"""The command line: its root, the commands that stand alone, and how a run ends.

The others' options and help are in the ``*_cli`` modules, what all commands do in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dualtap.errors import TapError
from dualtap_apps.bench_cli import bench
from dualtap_apps.conform_cli import conform
from dualtap_apps.exits import Exit, end, exit_of
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.links_cli import bridge, card, carry
from dualtap_apps.options import AS_JSON, FOLDER, ISSUER, TIMEOUT, VIA, Address
from dualtap_apps.output import emit, note
from dualtap_apps.pos_cli import pos
from dualtap_apps.scheme_cli import scheme
from dualtap_apps.serve import issuer
from dualtap_apps.simulate_cli import simulate
from dualtap_apps.taps_cli import COMMANDS as TAPS
from dualtap_apps.traffic import LOG_LEVEL
from dualtap_apps.wallet_cli import wallet


@click.group(
    cls=ExampleGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples=(
        "dualtap demo",
        "dualtap scheme new town",
        "dualtap wallet new anna --scheme town --carrier watch --name Anna",
        "dualtap wallet fund anna 100.00",
        "dualtap charge shop 12.50 --on tcp:127.0.0.1:7000",
        "dualtap pay anna --on tcp:127.0.0.1:7000",
    ),
)
@click.version_option(package_name="dualtap")
def cli() -> None:
    """Dual-offline payments: two devices, neither online, move value in one tap.

    Exit codes: 0 ok, 1 error, 2 usage, 3 declined, 4 double spend found, 5 peer or link lost, 6 issuer unreachable.
    """


@cli.command(examples=("dualtap demo", "dualtap demo --json | tail -1"))
@AS_JSON
def demo(as_json: bool) -> None:
    """Money moves offline, a torn tap heals, a clone spends twice, and the sync names it."""
    from dualtap_apps.demo import run_demo

    end(run_demo(as_json))


@cli.command(
    examples=(
        "dualtap sync shop",
        "dualtap sync shop --issuer https://issuer.example",
        "dualtap sync card --via phone",
        "dualtap sync card --via tcp:127.0.0.1:7000",
        "dualtap sync card --on vpcd:127.0.0.1:35963   # wait for a phone or till that reads this card: `carry`",
    )
)
@click.argument("folder", type=FOLDER)
@ISSUER
@VIA
@click.option("--renew/--no-renew", default=True, help="Replace restored and far-travelled value.  [default: renew]")
@click.option(
    "--on", cls=Address, metavar="ADDRESS", help="Wait there for a device that reads this one and carries it."
)
@TIMEOUT
@LOG_LEVEL
@AS_JSON
def sync(
    folder: Path,
    issuer: str,
    via: str,
    renew: bool,
    on: str | None,
    timeout: float,
    log_level: str,
    as_json: bool,
) -> None:
    """Tell the issuer everything, and take its news. A till deposits what it holds."""
    if on is not None:
        from dualtap_apps.cards import card_once

        if issuer or via:
            raise click.UsageError("--on takes no --issuer or --via: the device that reads this one knows the issuer")
        end(card_once(folder, on, ("sync",), None, timeout, as_json, log_level))
    from dualtap_apps.rotating import Ways, sync_wallet

    end(sync_wallet(folder, as_json, Ways(issuer, via, timeout, log_level), renew=renew))


@cli.group(cls=ExampleGroup, examples=("dualtap evidence verify FILE --root p256:02ab…",))
def evidence() -> None:
    """Proof of a double spend."""


@evidence.command("verify", examples=("dualtap evidence verify town/evidence/1f….evidence --root p256:02ab…",))
@click.argument("file", type=FOLDER)
@click.option("--root", required=True, metavar="KEY", help="The scheme's root key, as `scheme new` printed it.")
@AS_JSON
def evidence_verify(file: Path, root: str, as_json: bool) -> None:
    """Check FILE with nothing but the root KEY, and say whom it names."""
    from dualtap_apps.audits import verify

    end(verify(file, root, as_json))


@cli.command(examples=("dualtap radios", "dualtap radios --json"))
@AS_JSON
def radios(as_json: bool) -> None:
    """What this machine has to reach other devices by; what is missing, with the remedy."""
    from dualtap_apps.radios import radios as show

    end(show(as_json))


for command in (*TAPS, bench, bridge, card, carry, conform, issuer, pos, scheme, simulate, wallet):
    cli.add_command(command)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. No traceback ever reaches a person."""
    try:
        cli.main(list(arguments), prog_name="dualtap", standalone_mode=False)
    except TapError as error:
        note(f"dualtap: {error}")
        if "--json" in arguments:
            emit(True, {"error": getattr(error.code, "name", str(error.code)), "detail": error.detail})
        return exit_of(error.code) or Exit.ERROR
    except click.ClickException as error:
        error.show()
        if "--json" in arguments:
            emit(True, {"error": "BAD_INPUT", "detail": error.format_message()})
        return Exit.USAGE
    except click.Abort:
        note("dualtap: stopped")
        if "--json" in arguments:
            emit(True, {"error": "STOPPED", "detail": "stopped by hand"})
        return Exit.DECLINED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else Exit.ERROR
    except OSError as error:
        said = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        note(f"dualtap: {said}")
        if "--json" in arguments:
            emit(True, {"error": "OS_ERROR", "detail": said})
        return Exit.ERROR
    return Exit.OK
