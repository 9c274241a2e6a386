"""The commands of ``dualtap wallet``; those of its PIN and of its owner are in ``pin_cli`` and ``owning_cli``."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.options import AS_JSON, FOLDER, ISSUER, TIMEOUT, VIA
from dualtap_apps.owning_cli import COMMANDS
from dualtap_apps.pin_cli import pin
from dualtap_apps.traffic import LOG_LEVEL


@click.group(cls=ExampleGroup, examples=("dualtap wallet new anna --scheme town --carrier watch --name Anna",))
def wallet() -> None:
    """A wallet in a folder."""


@wallet.command(
    "new",
    examples=(
        "dualtap wallet new shop --scheme town --carrier pos --name 'Corner shop' --category 5411",
        "dualtap wallet new card --scheme town --carrier card --name Card --bank harbour --maker chipworks",
    ),
)
@click.argument("folder", type=FOLDER)
@click.option("--scheme", "scheme_folder", type=FOLDER, required=True, help="The scheme's folder.")
@click.option("--carrier", type=click.Choice(["watch", "card", "pos", "phone"]), required=True)
@click.option("--name", required=True, help="What people call it.")
@click.option("--issuer", default="", metavar="URL", help="Where it will sync.  [default: the scheme's folder]")
@click.option("--bank", default="", metavar="NAME", help="Who certifies it.  [default: the scheme's first bank]")
@click.option("--category", default="", metavar="CODE", help="A merchant's code of ISO 18245, such as 5411.")
@click.option("--tier", default="", help="wallet, till, anonymous, child, or a number.  [default: as its carrier]")
@click.option("--maker", default="", metavar="NAME", help="Who made its chip, and attests it.")
@AS_JSON
def wallet_new(
    folder: Path, scheme_folder: Path, carrier: str, name: str, issuer: str, as_json: bool, **options: str
) -> None:
    """Make a wallet in a new FOLDER and have it certified."""
    from dualtap_apps.wallets import Options, new

    end(new(folder, scheme_folder, carrier, name, as_json, issuer, Options(**options)))


@wallet.command(
    "fund",
    examples=(
        "dualtap wallet fund anna 100.00",
        "dualtap wallet fund anna 50.00 --conditions 'category=5411,5812; cap=20.00'",
        "dualtap wallet fund anna 50.00 --conditions 'payee=shop; window=2026-12-01..2026-12-31'",
        "dualtap wallet fund anna 50.00 --conditions 'merchant; count=3'",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("amount")
@click.option(
    "--conditions",
    multiple=True,
    metavar="TEXT",
    help="What it is for: payee=KEY, category=CODE, merchant, cap=AMOUNT, window=DAY..DAY, preimage=HEX, "
    "signed=KEY, count=NUMBER.",
)
@AS_JSON
def wallet_fund(folder: Path, amount: str, conditions: tuple[str, ...], as_json: bool) -> None:
    """Have the wallet's institution issue AMOUNT to it, and sync it. Several conditions must all be met."""
    from dualtap_apps.wallets import fund

    end(fund(folder, amount, as_json, conditions))


@wallet.command("show", examples=("dualtap wallet show anna", "dualtap wallet show anna --json"))
@click.argument("folder", type=FOLDER)
@AS_JSON
def wallet_show(folder: Path, as_json: bool) -> None:
    """Show what a wallet holds."""
    from dualtap_apps.wallets import show

    end(show(folder, as_json))


@wallet.command("history", examples=("dualtap wallet history anna",))
@click.argument("folder", type=FOLDER)
@AS_JSON
def wallet_history(folder: Path, as_json: bool) -> None:
    """Show what happened to a wallet, oldest first."""
    from dualtap_apps.wallets import history

    end(history(folder, as_json))


@wallet.command("rotate", examples=("dualtap wallet rotate anna", "dualtap wallet rotate card --via phone"))
@click.argument("folder", type=FOLDER)
@ISSUER
@VIA
@TIMEOUT
@LOG_LEVEL
@AS_JSON
def wallet_rotate(folder: Path, issuer: str, via: str, timeout: float, log_level: str, as_json: bool) -> None:
    """Give a wallet a fresh key, certified by the issuer, and move to it what the old one holds."""
    from dualtap_apps.rotating import Ways, rotate_wallet

    end(rotate_wallet(folder, as_json, Ways(issuer, via, timeout, log_level)))


for part in (pin, *COMMANDS):
    wallet.add_command(part)
