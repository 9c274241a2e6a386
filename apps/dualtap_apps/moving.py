"""``wallet move``: what an old wallet holds goes to a new one, by taps where both are here, the rest by an order."""

from __future__ import annotations

import secrets
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Result
from dualtap.ownerend import errand_of
from dualtap.statements import Errand
from dualtap_apps.exits import Exit
from dualtap_apps.money import show as money
from dualtap_apps.output import emit, is_name, wallet_id
from dualtap_apps.owners import keep, key_of, owned, theirs
from dualtap_apps.schemes import today
from dualtap_devices.disk import opened, read_label
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.verifying import Keypad, verified
from dualtap_devices.wallet import Wallet

_LESS_MAY_DO = {Code.OVER_LIMIT, Code.INSUFFICIENT, Code.TOO_LARGE}


class Moved(NamedTuple):
    """What taps moved, in minor units; what is left, in doubt or not, and why."""

    paid: int = 0
    left: int | None = None
    why: str = ""


def move(folder: Path, name: str, to: str, keypad: Keypad, as_json: bool) -> Exit:
    """Move what an owned wallet holds to another: at once where both are folders here, else by an order.

    The order is told by the next sync; it stands for all that could not be tapped.
    """
    currency = read_label(folder).currency
    here = bool(name) and (Path(name) / "wallet.json").is_file() and not is_name(to)
    with opened(folder) as wallet:
        key = theirs(name, folder, wallet)
        target = owned(wallet, to) if is_name(to) else key_of(Path(to), folder, wallet)
        if target == key:
            raise TapError(Code.BAD_INPUT, "it would be moved to itself")
        moved = _tapped(Path(name), Path(to), folder, wallet, currency, keypad) if here else Moved()
        ordered = moved.left != 0
        if ordered:
            keep(wallet, errand_of(wallet.book, key, Errand.MOVE, to=target))
    old, new = wallet_id(key), wallet_id(target)
    lines = [f"Moved {money(moved.paid, currency)} to wallet {new} by tap"] if here else []
    if moved.left:
        lines.append(f"{money(moved.left, currency)} could not be tapped: {moved.why}")
    if ordered:
        lines.append(
            f"What wallet {old} holds is to be wallet {new}'s: tell the issuer now, by `dualtap sync {folder}`"
        )
        quicker = "" if here else "; what can still be tapped is quicker paid over by a tap"
        lines.append(f"It is paid when the last day to claim it is past{quicker}")
    else:
        gone, owner = shlex.quote(name), shlex.quote(str(folder))
        lines.append(f"Nothing is left in it: `dualtap sync {gone}`, then `dualtap wallet unbind {owner} {gone}`")
    fields = {"result": "moved", "wallet": old, "to": new, "tapped": moved.paid, "left": moved.left, "ordered": ordered}
    emit(as_json, fields, *lines)
    return Exit.OK


def _tapped(name: Path, to: Path, folder: Path, wallet: Wallet, currency: str, keypad: Keypad) -> Moved:
    """Open both wallets and let the old one pay the new one; ``wallet`` is the owner's, of ``folder``, open already."""
    with ExitStack() as stack:
        old = stack.enter_context(opened(name))
        new = wallet if to.resolve() == folder.resolve() else stack.enter_context(opened(to))
        try:
            paid, why = pay_over(old, new, currency, keypad)
        except TapError as error:  # such as one in quarantine: it pays nothing
            paid, why = 0, str(error)
        left = sum(held.amount for held in old.book.holdings) + old.book.in_doubt()
        return Moved(paid, left, why)


def pay_over(old: Wallet, new: Wallet, currency: str, keypad: Keypad) -> tuple[int, str]:
    """Let one wallet pay another all that it can, by ordinary taps; return the minor units, and why it was not more.

    Where an amount is too much for a limit of either, half of it is tried. Its owner moves it: no one is asked, but
    for the PIN where one is needed. Raises ``QUARANTINED``.
    """

    def person(ask: Ask) -> Consent | Decline:
        given = verified(ask, old.keystore, keypad)
        return Decline() if given is None else Consent(given)

    paid, why, basket = 0, "", secrets.token_bytes(16)
    most = min(old.book.tier.payment, old.book.ties.restraint().payment)
    while amount := min(most, old.book.available(max(today(), old.book.trust.epoch))):
        charge = Charge(amount, currency, basket, person=True)
        payer = Driver.fresh(old, Pay(), initiator=False, person=person)
        payee = Driver.fresh(new, charge, initiator=True)
        exchange(payee, payer)
        if payer.result.result is Result.PAID:
            paid, why, basket = paid + amount, "", secrets.token_bytes(16)
            continue
        # A payee that asks for nothing, or does not greet, tells its reason here only.
        found = payee.result if payer.result.code in (Code.LINK_LOST, Code.BASKET_PAID) else payer.result
        why = str(TapError(found.code or Code.LINK_LOST, found.detail))
        if found.code not in _LESS_MAY_DO:
            break
        most = amount // 2
    return paid, why or "it cannot be paid offline, or is in doubt"
