"""The commands of devices that carry for others or wait to be read: ``bridge``, ``card``, ``carry``."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import Examples
from dualtap_apps.linking import SIDE
from dualtap_apps.options import AS_JSON, CURRENCY, FOLDER, ISSUER, Address, waiting
from dualtap_apps.pin_cli import PIN_FILE
from dualtap_apps.terminal import confirm, typed
from dualtap_apps.traffic import LOG_LEVEL

_TIMEOUT = waiting("Seconds to wait for each device, and then for each frame.")


@click.command(
    "bridge",
    cls=Examples,
    examples=(
        "dualtap bridge --on pcsc:ACR1252 --on pcsc:uTrust 12.50   # the first card pays the second",
        "dualtap bridge --on pcsc:ACR1252 --on tcp:127.0.0.1:7000  # the card pays what the till there charges",
        "dualtap bridge --at tcp:0.0.0.0:7000 --on pcsc:ACR1252    # a phone elsewhere talks to the card",
    ),
)
@click.argument("amount", required=False)
@click.option("--on", "places", cls=Address, multiple=True, metavar="ADDRESS", help="Where a device waits.")
@click.option("--at", metavar="ADDRESS", help="Where to wait for the device that begins, in place of the first --on.")
@click.option("--own", is_flag=True, help="The first is an owner that waits, the second its wallet.")
@CURRENCY
@click.option("--basket", help="What is sold. Bridged again after a torn tap, it is paid at most once.")
@_TIMEOUT
@LOG_LEVEL
@AS_JSON
def bridge(
    amount: str | None, places: tuple[str, ...], at: str | None, own: bool, currency: str, basket: str | None,
    timeout: float, log_level: str, as_json: bool,
) -> None:  # fmt: skip
    """Let two devices that only wait tap each other: hand on their sealed frames, and learn nothing else.

    With AMOUNT the second is asked to collect it from the first; without, the first is asked to pay what the second
    charges.
    """
    from dualtap_apps.bridging import bridge_once

    end(bridge_once(places, at, amount, currency, basket, timeout, as_json, log_level, own))


@click.command(
    "card",
    cls=Examples,
    examples=(
        "dualtap card anna --on vpcd:127.0.0.1:35963",
        "dualtap card shop --on nfc:tty:USB0:pn532 --only collect",
    ),
)
@click.argument("folder", type=FOLDER)
@click.option("--on", cls=Address, required=True, metavar="ADDRESS", help="Where to wait.")
@click.option(
    "--only",
    type=click.Choice(["pay", "collect", "sync", "own"]),
    multiple=True,
    help="Do only this; may be given more than once.",
)
@click.option("--yes", is_flag=True, help="Agree without being asked. A card without a screen always does.")
@PIN_FILE
@_TIMEOUT
@LOG_LEVEL
@AS_JSON
def card(
    folder: Path, on: str, only: tuple[str, ...], yes: bool, pin_file: Path | None, timeout: float, log_level: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Be a card, once: pay whoever charges, serve its owner, or collect, pay or sync as a reader asks."""
    from dualtap_apps.cards import card_once
    from dualtap_apps.pins import Prompt

    end(card_once(folder, on, only, None if yes else confirm, timeout, as_json, log_level, Prompt(pin_file, typed)))


@click.command(
    "carry",
    cls=Examples,
    examples=(
        "dualtap carry phone --on tcp:127.0.0.1:7000   # wait for `dualtap sync CARD --via tcp:127.0.0.1:7000`",
        "dualtap carry phone --on pcsc:ACR1252         # read a card that waits: `dualtap sync CARD --on ADDRESS`",
    ),
)
@click.argument("folder", type=FOLDER)
@click.option("--on", cls=Address, required=True, metavar="ADDRESS", help="Where the other device is, or comes to.")
@SIDE
@ISSUER
@_TIMEOUT
@AS_JSON
def carry(folder: Path, on: str, side: str | None, issuer: str, timeout: float, as_json: bool) -> None:
    """Carry one sync of a device without a network, sealed, from ADDRESS to this wallet's issuer."""
    from dualtap_apps.carrying import carry_one

    end(carry_one(folder, on, issuer, timeout, as_json, side))
