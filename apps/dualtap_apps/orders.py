"""``scheme order`` and ``scheme redeem``: what an institution orders of one wallet, and pays an anonymous one."""

from __future__ import annotations

from pathlib import Path

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.keystore import sign_with
from dualtap.statements import Errand, PresentBody
from dualtap.ties import Restraint
from dualtap_apps.exits import Exit
from dualtap_apps.money import parse
from dualtap_apps.money import show as money
from dualtap_apps.output import emit, is_name, wallet_id
from dualtap_apps.purposes import key_of
from dualtap_apps.schemes import Office, today
from dualtap_devices.disk import opened
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.ordering import give, known_of
from dualtap_issuer.payouts import redeem as pay_out

ORDERS = {
    "freeze": Errand.RESTRAIN, "free": Errand.RESTRAIN, "limit": Errand.RESTRAIN, "lost": Errand.LOST,
    "unbind": Errand.UNBIND, "move": Errand.MOVE,
}  # fmt: skip
"""What is ordered, by the words that people use."""


def order(
    folder: Path,
    wallet: str,
    what: str,
    payment: str | None,
    day: str | None,
    to: str,
    binding: int,
    db: str,
    as_json: bool,
) -> Exit:
    """Order something of a wallet, and show what holds for it then; ``show`` orders nothing."""
    if (payment or day) and what != "limit":
        raise TapError(Code.BAD_INPUT, "--payment and --day are for: limit")
    if what == "limit" and not (payment or day):
        raise TapError(Code.BAD_INPUT, "say how much: --payment 50.00, --day 100.00, or both")
    if bool(to) != (what == "move"):
        raise TapError(Code.BAD_INPUT, "--to is for: move, which needs it")
    if binding and what != "unbind":
        raise TapError(Code.BAD_INPUT, "--binding is for: unbind")
    with Office.open(folder, db) as office:
        ledger, currency = office.ledger, office.ledger.terms.currency
        key, heir = _named(ledger, wallet), _named(ledger, to) if to else b""
        most = [parse(text, currency) if text else limits.AMOUNT for text in (payment, day)]
        if what != "show":
            give(ledger, key, ORDERS[what], today(), Restraint(what == "freeze", *most), heir, binding)
        return _show(ledger, key, currency, as_json)


def _named(ledger: Ledger, text: str) -> bytes:
    """Return a wallet's key by its folder, its public key, or its name of 16 digits, if this ledger knows it.

    Raises ``BAD_INPUT``, or ``BAD_KEY`` for a key that is none. Names are looked up one by one: people ask, seldom.
    """
    if is_name(text):
        found = next((key for key in ledger.store.certified() if wallet_id(key) == text), None)
        if found is None:
            raise TapError(
                Code.BAD_INPUT, f"this ledger knows no wallet {text}; until it has synced, give its public key"
            )
        return found
    try:
        return key_of(text, ledger.scheme.suite)
    except TapError as error:
        if error.code is not Code.BAD_INPUT:
            raise
        ways = "its folder, its public key (`dualtap wallet show`), or its name of 16 digits"
        raise TapError(Code.BAD_INPUT, f"{text!r} is no wallet: give {ways}") from error


def _show(ledger: Ledger, key: bytes, currency: str, as_json: bool) -> Exit:
    people = known_of(ledger, key)
    tie, restraint = people.tie(key), people.restraint(key)
    heir = people.heir(key, ledger.authority.office.key)
    fields = {
        "wallet": wallet_id(key), "owner": wallet_id(tie.owner) if tie else "", "lost": people.is_lost(key),
        "frozen": restraint.frozen, "payment": restraint.payment, "day": restraint.day,
        "heir": wallet_id(heir) if heir else "",
    }  # fmt: skip
    lines = [
        f"wallet {fields['wallet']}",
        f"  owned by {fields['owner']}" if tie else "  owned by nobody that is known",
    ]
    state = "lost" if fields["lost"] else "frozen" if restraint.frozen else "free"
    sums = [
        f"{name} {money(most, currency)}"
        for name, most in (("payment", restraint.payment), ("day", restraint.day))
        if most < limits.AMOUNT
    ]
    lines.append("  " + ", ".join([state, *sums]))
    if heir:
        lines.append(f"  what it is credited at the end of its tokens goes to {fields['heir']}")
    emit(as_json, fields, *lines)
    return Exit.OK


def redeem(folder: Path, wallet: Path, db: str, as_json: bool) -> Exit:
    """Have an anonymous wallet presented, and pay out to it what expired on it."""
    with Office.open(folder, db) as office, opened(wallet) as card:
        book = card.book
        body = PresentBody(office.challenge(), initiator=True, epoch=today())
        blank = signed(book.scheme.id, book.key, body)
        amount = pay_out(office.ledger, blank.sealed(sign_with(card.keystore, blank)), today())
        currency = office.ledger.terms.currency
    emit(
        as_json,
        {"redeemed": amount},
        f"redeemed {money(amount, currency)}: it comes with the wallet's next sync" if amount
        else "nothing on this wallet has expired",
    )  # fmt: skip
    return Exit.OK
