"""The commands of ``wallet pin``, and the options by which a payment is given its PIN."""

from __future__ import annotations

import getpass
import warnings
from pathlib import Path

import click

from dualtap.errors import Code, TapError
from dualtap_apps.exits import Exit
from dualtap_apps.helps import AS_JSON, FOLDER, ExampleGroup

VERIFICATIONS = ("none", "presence", "pin", "device")
PIN_FILE = click.option(
    "--pin-file", type=FOLDER, metavar="FILE", help="Where the PIN is, if one is needed.  [default: it is asked for]"
)
VERIFY = click.option(
    "--verify", type=click.Choice(VERIFICATIONS), default="none", help="The least verification of the payer's user."
)
_NEW = click.option("--new-pin-file", "new", type=FOLDER, metavar="FILE", help="The new PIN.  [default: asked for]")


def typed(question: str, new: bool) -> str:
    """Ask at the terminal, without echo; raise ``DECLINED`` if nothing is entered, ``BAD_INPUT`` without a terminal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be seen
            return str(click.prompt(question, hide_input=True, confirmation_prompt=new, err=True))
    except getpass.GetPassWarning:
        raise TapError(Code.BAD_INPUT, "no terminal here on which to type a PIN unseen: give it by a file") from None
    except click.Abort:
        raise TapError(Code.DECLINED, "nothing was entered") from None


def _end(code: Exit) -> None:
    raise SystemExit(int(code))


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

    _end(set_pin(folder, path, code, typed, as_json))


@pin.command("change", examples=("dualtap wallet pin change anna",))
@click.argument("folder", type=FOLDER)
@click.option("--pin-file", "path", type=FOLDER, metavar="FILE", help="The old PIN.  [default: asked for]")
@_NEW
@AS_JSON
def change(folder: Path, path: Path | None, new: Path | None, as_json: bool) -> None:
    """Set another PIN for the old one."""
    from dualtap_apps.pins import change_pin

    _end(change_pin(folder, path, new, typed, as_json))


@pin.command("unblock", examples=("dualtap wallet pin unblock anna",))
@click.argument("folder", type=FOLDER)
@click.option("--code-file", "code", type=FOLDER, metavar="FILE", help="The unblocking code.  [default: asked for]")
@_NEW
@AS_JSON
def unblock(folder: Path, code: Path | None, new: Path | None, as_json: bool) -> None:
    """Set another PIN for the issuer's unblocking code."""
    from dualtap_apps.pins import unblock_pin

    _end(unblock_pin(folder, code, new, typed, as_json))
