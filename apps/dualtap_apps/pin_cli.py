"""The commands of ``wallet pin``, and the options by which a payment is given its PIN."""

from __future__ import annotations

from pathlib import Path

import click

from dualtap_apps.exits import end
from dualtap_apps.helps import ExampleGroup
from dualtap_apps.options import AS_JSON, FOLDER
from dualtap_apps.terminal import typed

VERIFICATIONS = ("none", "presence", "pin", "device")
PIN_FILE = click.option(
    "--pin-file", type=FOLDER, metavar="FILE", help="Where the PIN is, if one is needed.  [default: it is asked for]"
)
VERIFY = click.option(
    "--verify", type=click.Choice(VERIFICATIONS), default="none", help="The least verification of the payer's user."
)
_NEW = click.option("--new-pin-file", "new", type=FOLDER, metavar="FILE", help="The new PIN.  [default: asked for]")


@click.group(
    "pin",
    cls=ExampleGroup,
    examples=("dualtap wallet pin set anna", "dualtap wallet pin change anna", "dualtap wallet pin unblock anna"),
)
def pin() -> None:
    """The PIN in a wallet's chip: 4 to 12 digits, three tries. It is typed, or read from a file."""


@pin.command("set", examples=("dualtap wallet pin set anna", "dualtap wallet pin set anna --code-file code.txt"))
@click.argument("folder", type=FOLDER)
@click.option("--pin-file", "path", type=FOLDER, metavar="FILE", help="The PIN.  [default: asked for]")
@click.option("--code-file", "code", type=FOLDER, metavar="FILE", help="The issuer's unblocking code, 8 to 16 digits.")
@AS_JSON
def set_(folder: Path, path: Path | None, code: Path | None, as_json: bool) -> None:
    """Set the first PIN of FOLDER."""
    from dualtap_apps.pins import set_pin

    end(set_pin(folder, path, code, typed, as_json))


@pin.command("change", examples=("dualtap wallet pin change anna",))
@click.argument("folder", type=FOLDER)
@click.option("--pin-file", "path", type=FOLDER, metavar="FILE", help="The old PIN.  [default: asked for]")
@_NEW
@AS_JSON
def change(folder: Path, path: Path | None, new: Path | None, as_json: bool) -> None:
    """Set another PIN for the old one."""
    from dualtap_apps.pins import change_pin

    end(change_pin(folder, path, new, typed, as_json))


@pin.command("unblock", examples=("dualtap wallet pin unblock anna",))
@click.argument("folder", type=FOLDER)
@click.option("--code-file", "code", type=FOLDER, metavar="FILE", help="The unblocking code.  [default: asked for]")
@_NEW
@AS_JSON
def unblock(folder: Path, code: Path | None, new: Path | None, as_json: bool) -> None:
    """Set another PIN for the issuer's unblocking code."""
    from dualtap_apps.pins import unblock_pin

    end(unblock_pin(folder, code, new, typed, as_json))
