"""The commands of a tap: ``charge``, ``pay``, ``refund``."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import Examples
from dualtap_apps.linking import SIDE
from dualtap_apps.options import AS_JSON, FOLDER, TIMEOUT, Address
from dualtap_apps.pacing import PACE
from dualtap_apps.pin_cli import PIN_FILE, VERIFY
from dualtap_apps.terminal import confirm, typed
from dualtap_apps.traffic import LOG_LEVEL

ON = click.option(
    "--on",
    cls=Address,
    required=True,
    metavar="ADDRESS",
    help="Where the other device is: tcp:HOST:PORT, or the ble:TEXT that it shows.",
)


@click.command(
    cls=Examples,
    examples=(
        "dualtap charge shop 12.50 --on tcp:127.0.0.1:7000",
        "dualtap charge shop 12.50 --on tcp:127.0.0.1:7000 --basket table-5",
        "dualtap charge shop 12.50 --on pcsc:ACR1252   # read the card of a customer",
        "dualtap charge shop --cancel table-5",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("amount", required=False)
@click.option("--on", cls=Address, metavar="ADDRESS", help="Where to wait: tcp:HOST:PORT, ble:new; or a card's reader.")
@SIDE
@click.option("--basket", help="What is sold. Charged again after a torn tap, it is paid at most once.")
@click.option("--cancel", metavar="BASKET", help="Close the open requests of a basket instead.")
@VERIFY
@TIMEOUT
@PACE
@LOG_LEVEL
@AS_JSON
def charge(
    folder: Path,
    amount: str | None,
    on: str | None,
    side: str | None,
    basket: str | None,
    cancel: str | None,
    verify: str,
    timeout: float,
    pace: str | None,
    log_level: str,
    as_json: bool,
) -> None:
    """Collect AMOUNT in one tap: of whoever comes, or of the card that is read."""
    from dualtap_apps import taps

    if cancel is not None:
        if amount or on or basket:
            raise click.UsageError("--cancel takes no amount, --on or --basket")
        end(taps.cancel(folder, cancel, as_json))
    if amount is None or on is None:
        raise click.UsageError("charge needs an amount and --on, as in: charge shop 12.50 --on tcp:127.0.0.1:7000")
    end(taps.charge(folder, amount, on, basket, timeout, as_json, log_level, side, verify, pace))


@click.command(
    cls=Examples,
    examples=("dualtap pay anna --on tcp:127.0.0.1:7000", "dualtap pay anna --on tcp:127.0.0.1:7000 --yes"),
)
@click.argument("folder", type=FOLDER)
@ON
@SIDE
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@PIN_FILE
@TIMEOUT
@PACE
@LOG_LEVEL
@AS_JSON
def pay(
    folder: Path, on: str, side: str | None, yes: bool, pin_file: Path | None, timeout: float,
    pace: str | None, log_level: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Pay whoever charges at ADDRESS, or reads this card there."""
    from dualtap_apps import taps
    from dualtap_apps.pins import Prompt

    keypad = Prompt(pin_file, typed)
    end(taps.pay(folder, on, None if yes else confirm, timeout, as_json, log_level, side, keypad, pace))


@click.command(
    cls=Examples,
    examples=(
        "dualtap charge anna 12.50 --on tcp:127.0.0.1:7000     # the customer collects",
        "dualtap refund shop RECEIPT --on tcp:127.0.0.1:7000   # the shop pays back",
    ),
)
@click.argument("folder", type=FOLDER)
@click.argument("receipt")
@ON
@click.option("--amount", help="Refund only this much; the customer charges the same.")
@TIMEOUT
@LOG_LEVEL
@AS_JSON
def refund(
    folder: Path, receipt: str, on: str, amount: str | None, timeout: float, log_level: str, as_json: bool
) -> None:
    """Pay a RECEIPT back to the wallet that paid it.

    A till can refund its last 500 payments and more, a card its last 32: older ones go as its log is compacted.
    """
    from dualtap_apps import taps

    end(taps.refund(folder, receipt, on, amount, timeout, as_json, log_level))


COMMANDS = (charge, pay, refund)
