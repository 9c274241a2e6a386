"""The options that several commands have, each written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dualtap import limits

F = TypeVar("F", bound=Callable[..., Any])
FOLDER = click.Path(path_type=Path)


class Address(click.Option):
    """An option whose help names the transports that are installed; they are looked up when help is asked for."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help, the transports at its end."""
        from dualtap_transports.survey import usable

        record = super().get_help_record(ctx)
        return record and (record[0], f"{record[1]} Installed here: {', '.join(usable())}.")


def waiting(said: str) -> Callable[[F], F]:
    """Return the option ``--timeout``, in seconds, with this help."""
    return click.option(
        "--timeout",
        type=click.FloatRange(0, 86_400, min_open=True),
        default=float(limits.SESSION_SECONDS),
        show_default=True,
        help=said,
    )


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON; amounts in minor units.")
TIMEOUT = waiting("Seconds to wait for the other device, and then for each of its frames.")
SUITE = click.option("--suite", type=click.Choice(["p256", "ed25519"]), default="p256", show_default=True)
CURRENCY = click.option("--currency", default="CNY", show_default=True, help="ISO 4217 code.")
DB = click.option(
    "--db", default="", metavar="URL", help="The ledger: sqlite:///PATH or postgresql://…  [default: FOLDER]"
)
ISSUER = click.option(
    "--issuer", default="", metavar="URL", help="The issuer's service.  [default: as the wallet was made]"
)
VIA = click.option(
    "--via", default="", metavar="DEVICE", help="Who carries it: a wallet's folder, or where `carry` waits."
)
