"""Asking a person for the PIN, as long as there are tries: for every device that has a way to enter one."""

from __future__ import annotations

from typing import Protocol

from dualtap.errors import Code, TapError
from dualtap.events import Ask
from dualtap.keystore import Keystore
from dualtap.statements import Verification
from dualtap_devices.cues import PROMPTS, Cue, Moment


class Keypad(Protocol):
    """How a person enters a PIN: keys, a screen, or a file. It shows no digit, and keeps none."""

    def enter(self, cue: Cue, tries: int) -> bytes | None:
        """Return what was entered after this cue, or ``None`` if the person gave up. ``tries`` are left."""
        ...

    def tell(self, cue: Cue, tries: int) -> None:
        """Tell the person something that needs no answer."""
        ...


def verified(ask: Ask, keystore: Keystore, keypad: Keypad) -> Verification | None:
    """Return how the user is verified for a payment, or ``None`` if nothing should be paid.

    Only a PIN is ever asked for, and only where the payment needs one; without a PIN in the keystore it is
    ``PRESENCE``, and the tap says that this is too little.
    """
    return verified_as(ask.verification, keystore, keypad)


def verified_as(least: Verification, keystore: Keystore, keypad: Keypad) -> Verification | None:
    """Return how the user is verified where this is needed, as :func:`verified` does."""
    pin = keystore.pin
    if least < Verification.PIN or pin is None or not pin.cell.pin:
        return Verification.PRESENCE
    moment = Moment.ENTER_PIN
    while not pin.cell.blocked:
        entered = keypad.enter(PROMPTS[moment], pin.cell.tries)
        if entered is None:
            return None
        try:
            pin.verify(entered)
        except TapError as error:
            if error.code not in (Code.PIN_WRONG, Code.PIN_BLOCKED, Code.BAD_INPUT):
                raise
            moment = Moment.NO_PIN if error.code is Code.BAD_INPUT else Moment.PIN_WRONG
        else:
            return max(Verification.PIN, least)
    keypad.tell(PROMPTS[Moment.PIN_BLOCKED], 0)
    return None
