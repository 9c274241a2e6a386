"""``wallet pin set|change|unblock``, and the PIN of a payment: typed without echo, or from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from dualtap.errors import Code, TapError
from dualtap.pin import Pin, check_digits
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit, note
from dualtap_devices.cues import Cue
from dualtap_devices.disk import opened
from dualtap_devices.wallet import Wallet

Typed: TypeAlias = Callable[[str, bool], str]
"""Asks for a secret without echo; twice, if it is a new one. Raises ``DECLINED`` if nothing is entered."""
_LONGEST = 64


def read(path: Path) -> bytes:
    """Return the secret in a file, without the end of its line; raise ``BAD_INPUT`` if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST).rstrip(b"\r\n")
    except OSError as error:
        raise TapError(Code.BAD_INPUT, f"{path}: {error.strerror}") from error


def secret(path: Path | None, question: str, typed: Typed, *, new: bool = False, code: bool = False) -> bytes:
    """Return a PIN or an unblocking code from a file, or as it is typed; raise ``BAD_INPUT`` for what is none."""
    found = read(path) if path is not None else typed(question, new).encode("utf-8", "replace")
    check_digits(found, code=code)
    return found


class Prompt:
    """A keypad that asks at the terminal, or answers once from a file."""

    def __init__(self, path: Path | None, typed: Typed) -> None:
        self._path, self._typed = path, typed
        self._given = False

    def enter(self, cue: Cue, tries: int) -> bytes | None:
        """Return what is typed, or ``None`` if nothing is; a file answers the first time only."""
        said = text(cue, tries)
        if self._path is not None:
            if self._given:
                note(said)
                return None
            self._given = True
            return read(self._path)
        try:
            return self._typed(said, False).encode("utf-8", "replace")
        except TapError as error:
            if error.code is Code.BAD_INPUT:
                note(str(error))
            return None

    def tell(self, cue: Cue, tries: int) -> None:
        """Say it on standard error."""
        note(text(cue, tries))


def text(cue: Cue, tries: int) -> str:
    """Return what a cue says in English."""
    return cue.english.format(tries="1 try" if tries == 1 else f"{tries} tries")


def _pin(wallet: Wallet) -> Pin:
    if wallet.keystore.pin is None:
        raise TapError(Code.KEYSTORE_REFUSED, "this keystore keeps no PIN")
    return wallet.keystore.pin


def _told(as_json: bool, pin: Pin, said: str) -> Exit:
    pin.forget()
    emit(as_json, {"pin": "set", "tries": pin.cell.tries, "code": bool(pin.cell.code)}, said)
    return Exit.OK


def set_pin(folder: Path, path: Path | None, code: Path | None, typed: Typed, as_json: bool) -> Exit:
    """Set a wallet's first PIN; ``code`` is the file of the unblocking code, which the issuer keeps too."""
    with opened(folder) as wallet:
        pin = _pin(wallet)
        if pin.cell.pin:
            raise TapError(Code.KEYSTORE_REFUSED, "a PIN is set; change it with `dualtap wallet pin change`")
        kept = secret(code, "", typed, code=True) if code is not None else b""
        new = secret(path, "New PIN", typed, new=True)
        if kept:
            pin.personalise(kept)
        pin.set(new)
        return _told(as_json, pin, "The PIN is set" + ("" if kept else "; without a code it cannot be unblocked"))


def change_pin(folder: Path, path: Path | None, new_path: Path | None, typed: Typed, as_json: bool) -> Exit:
    """Set another PIN for the old one."""
    with opened(folder) as wallet:
        pin = _pin(wallet)
        old = secret(path, "Old PIN", typed)
        pin.change(old, secret(new_path, "New PIN", typed, new=True))
        return _told(as_json, pin, "The PIN is changed")


def unblock_pin(folder: Path, code: Path | None, new_path: Path | None, typed: Typed, as_json: bool) -> Exit:
    """Set another PIN for the unblocking code."""
    with opened(folder) as wallet:
        pin = _pin(wallet)
        given = secret(code, "Unblocking code", typed, code=True)
        pin.unblock(given, secret(new_path, "New PIN", typed, new=True))
        return _told(as_json, pin, "The PIN is set anew")


def state(wallet: Wallet) -> str:
    """Return what `wallet show` says of a PIN."""
    pin = wallet.keystore.pin
    if pin is None or not pin.cell.pin:
        return "none"
    return "blocked" if pin.cell.blocked else "set" if pin.cell.tries > 1 else "set, 1 try left"
