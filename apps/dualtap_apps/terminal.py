"""What is asked of the person at the terminal."""

from __future__ import annotations

import getpass
import warnings

import click

from dualtap.errors import Code, TapError


def confirm(question: str) -> bool:
    """Ask for a yes or no; who interrupts says no."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        return False


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
