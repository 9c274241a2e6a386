"""``issuer serve``: a scheme's ledger behind a network, for devices and, apart from them, for the institution."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dualtap.errors import Code, TapError
from dualtap_apps.exits import Exit, end
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.options import AS_JSON, DB, FOLDER
from dualtap_apps.output import emit

if TYPE_CHECKING:
    from dualtap_issuer.ledger import Ledger


@click.group(cls=ExampleGroup, examples=("dualtap issuer serve town --listen 127.0.0.1:8080",))
def issuer() -> None:
    """The issuer of a scheme."""


@issuer.command(
    "serve",
    examples=(
        "dualtap issuer serve town",
        "dualtap issuer serve town --listen 127.0.0.1:8080 --admin 127.0.0.1:8081",
        "dualtap issuer serve town --db postgresql://127.0.0.1/town --institution north",
    ),
)
@click.argument("folder", type=FOLDER)
@DB
@click.option("--institution", default="", metavar="NAME", help="Whose service it is.  [default: the first]")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="For devices.")
@click.option("--admin", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="For the institution.")
@click.option(
    "--admin-token",
    type=FOLDER,
    metavar="FILE",
    help="Its token, made if missing  [default: FOLDER/admin[-NAME].token]",
)
@click.option(
    "--admin-log", type=FOLDER, metavar="FILE", help="The log of its calls.  [default: FOLDER/admin[-NAME].log]"
)
@AS_JSON
def serve_command(
    folder: Path,
    db: str,
    institution: str,
    listen: str,
    admin: str,
    admin_token: Path | None,
    admin_log: Path | None,
    as_json: bool,
) -> None:
    """Serve the scheme in FOLDER until SIGTERM: devices sync here, sealed. Logs are JSON lines on stderr."""
    name = f"admin-{institution}" if institution else "admin"
    token, log = admin_token or folder / f"{name}.token", admin_log or folder / f"{name}.log"
    end(serve(folder, db, (listen, admin), (token, log), as_json, institution))


def serve(
    folder: Path, db: str, addresses: tuple[str, str], files: tuple[Path, Path], as_json: bool, institution: str = ""
) -> Exit:
    """Serve until told to stop; raise ``BAD_INPUT`` where the extra is not installed."""
    from dualtap_apps.schemes import Office, read_scheme

    read_scheme(folder)
    try:
        from dualtap_issuer.service import logs, run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"starlette", "uvicorn", "anyio"}:
            raise
        raise TapError(Code.BAD_INPUT, f"the service needs {error.name}: pip install 'dualtap[issuer]'") from error
    plan = run.Plan(*addresses, *files)

    @contextmanager
    def opened() -> Generator[Ledger]:
        with Office.open(folder, db, institution) as office:
            yield office.ledger

    def ready(devices: str, management: str) -> None:
        emit(
            as_json,
            {"devices": devices, "admin": management, "token": str(plan.token)},
            f"Devices sync at {devices}",
            f"Administration and metrics at {management}, token in {plan.token}",
            f"Next: dualtap sync WALLET --issuer {devices}",
        )

    run.serve(opened, plan, ready, logs.to_stderr)
    return Exit.OK
