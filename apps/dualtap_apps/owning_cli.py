"""The commands of a wallet that owns others: ``wallet bind|look|limit|freeze|unbind|recharge|lost|move``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import Examples
from dualtap_apps.linking import SIDE
from dualtap_apps.options import AS_JSON, FOLDER, TIMEOUT, Address
from dualtap_apps.pin_cli import PIN_FILE
from dualtap_apps.terminal import typed
from dualtap_apps.traffic import LOG_LEVEL

if TYPE_CHECKING:
    from dualtap_apps.owners import Where

_WALLET = click.argument("wallet", default="")


def _meeting(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options by which an owner meets a WALLET; the command is given all of it as ``where``."""

    @wraps(command)
    def called(wallet: str, on: str, side: str | None, timeout: float, log_level: str, **given: Any) -> None:
        from dualtap_apps.owners import Where
        from dualtap_apps.pins import Prompt

        command(where=Where(wallet, on, side, timeout, log_level, Prompt(None, typed)), **given)

    for option in (
        LOG_LEVEL, TIMEOUT, SIDE,
        click.option("--on", cls=Address, default="", metavar="ADDRESS", help="Where the wallet waits (`card`)."),
    ):  # fmt: skip
        called = option(called)
    return called


def _met(where: Where) -> Where:
    """Return where owner and wallet meet; raise ``UsageError`` if they do not."""
    if not where.meets:
        raise click.UsageError("owner and wallet must meet: name the wallet's folder, or --on and where it waits")
    return where


@click.command(
    "bind",
    cls=Examples,
    examples=(
        "dualtap wallet bind phone card                      # both on this machine",
        "dualtap wallet bind phone --on pcsc:ACR1252         # where `dualtap card card --on … --only own` waits",
    ),
)
@click.argument("folder", type=FOLDER)
@_WALLET
@PIN_FILE
@_meeting
@AS_JSON
def bind(folder: Path, where: Where, pin_file: Path | None, as_json: bool) -> None:
    """Bind WALLET to FOLDER, which then sees what it holds, limits it, turns it off, and is paid if it is lost.

    A WALLET with a PIN asks for it.
    """
    from dualtap_apps.owners import bind as act
    from dualtap_apps.pins import Prompt

    end(act(folder, replace(_met(where), keypad=Prompt(pin_file, typed)), as_json))


@click.command("unbind", cls=Examples, examples=("dualtap wallet unbind phone card",))
@click.argument("folder", type=FOLDER)
@_WALLET
@_meeting
@AS_JSON
def unbind(folder: Path, where: Where, as_json: bool) -> None:
    """Give up WALLET: it obeys nobody, and may be bound anew."""
    from dualtap_apps.owners import unbind as act

    end(act(folder, _met(where), as_json))


@click.command(
    "look",
    cls=Examples,
    examples=(
        "dualtap wallet look phone                           # which wallets it owns",
        "dualtap wallet look phone card",
        "dualtap wallet look phone --on tcp:127.0.0.1:7000   # the card, or a bridge to it",
    ),
)
@click.argument("folder", type=FOLDER)
@_WALLET
@click.option("--lines", type=click.IntRange(0, 64), default=10, show_default=True, help="Lines of its history.")
@_meeting
@AS_JSON
def look(folder: Path, where: Where, lines: int, as_json: bool) -> None:
    """Show what WALLET holds, as it says itself; without WALLET, what FOLDER owns."""
    from dualtap_apps.owners import look as act

    end(act(folder, _met(where) if where.wallet else where, lines, as_json))


@click.command(
    "limit",
    cls=Examples,
    examples=(
        "dualtap wallet limit parent child --payment 20.00 --day 50.00",
        "dualtap wallet limit phone 0f1e2d3c4b5a6978 --day none   # told by the next syncs of both",
    ),
)
@click.argument("folder", type=FOLDER)
@_WALLET
@click.option("--payment", default="", metavar="AMOUNT", help="The most that it pays at once, or none.")
@click.option("--day", default="", metavar="AMOUNT", help="The most that it pays in a day, or none.")
@_meeting
@AS_JSON
def limit(folder: Path, where: Where, payment: str, day: str, as_json: bool) -> None:
    """Limit what WALLET pays, below its tier's limits: a child's card, a thing. By its 16 digits, when it is away."""
    from dualtap_apps.owners import restrain

    end(restrain(folder, where, as_json, payment=payment, day=day))


@click.command(
    "freeze", cls=Examples, examples=("dualtap wallet freeze phone card", "dualtap wallet freeze phone card --off")
)
@click.argument("folder", type=FOLDER)
@_WALLET
@click.option("--off", is_flag=True, help="Let it pay again.")
@_meeting
@AS_JSON
def freeze(folder: Path, where: Where, off: bool, as_json: bool) -> None:
    """Turn WALLET off: it pays nothing, and still heals, syncs and receives. By its 16 digits, when it is away."""
    from dualtap_apps.owners import restrain

    end(restrain(folder, where, as_json, frozen=not off))


@click.command(
    "recharge",
    cls=Examples,
    examples=(
        "dualtap wallet recharge phone 20.00 card",
        "dualtap wallet recharge phone 20.00 --on pcsc:ACR1252   # where `dualtap card card --on …` waits",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("amount")
@_WALLET
@PIN_FILE
@_meeting
@AS_JSON
def recharge(folder: Path, amount: str, where: Where, pin_file: Path | None, as_json: bool) -> None:
    """Pay AMOUNT to WALLET, which FOLDER owns, offline. It pays nobody else."""
    from dualtap_apps.pins import Prompt
    from dualtap_apps.recharging import recharge as act

    end(act(folder, amount, _met(where), Prompt(pin_file, typed), as_json))


@click.command("lost", cls=Examples, examples=("dualtap wallet lost phone && dualtap sync phone",))
@click.argument("folder", type=FOLDER)
@_WALLET
@AS_JSON
def lost(folder: Path, wallet: str, as_json: bool) -> None:
    """Report WALLET (its 16 digits; else the only one that is owned) lost, at the next sync of FOLDER."""
    from dualtap_apps.owners import lost as act

    end(act(folder, wallet, as_json))


@click.command(
    "move",
    cls=Examples,
    examples=(
        "dualtap wallet move phone card --to newcard                            # both are here: at once, by taps",
        "dualtap wallet move phone 0f1e2d3c4b5a6978 --to newcard && dualtap sync phone   # broken: by the issuer",
    ),
)
@click.argument("folder", type=FOLDER)
@_WALLET
@click.option("--to", required=True, metavar="WALLET", help="A wallet's folder, or the name of one that is owned.")
@PIN_FILE
@AS_JSON
def move(folder: Path, wallet: str, to: str, pin_file: Path | None, as_json: bool) -> None:
    """Move what WALLET holds to another: at once, by taps, where both are folders here, and the rest by the issuer.

    The issuer is told at the next sync of FOLDER, and pays when the last day to claim it is past. So it is for a
    WALLET that is broken or away (its 16 digits).
    """
    from dualtap_apps.moving import move as act
    from dualtap_apps.pins import Prompt

    end(act(folder, wallet, to, Prompt(pin_file, typed), as_json))


COMMANDS = (bind, unbind, look, limit, freeze, recharge, lost, move)
