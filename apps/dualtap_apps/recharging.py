"""``wallet recharge``: a payment from a wallet to one that it owns, offline (SPEC §23)."""

from __future__ import annotations

import secrets
from pathlib import Path

from dualtap.call import Call, Charged, encode_call
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Report, Result
from dualtap.wire import Want
from dualtap_apps.exits import Exit
from dualtap_apps.linking import reach, saying
from dualtap_apps.money import parse
from dualtap_apps.output import note, wallet_id
from dualtap_apps.owners import Where, owned
from dualtap_apps.taps import tell
from dualtap_apps.traffic import told
from dualtap_devices.disk import opened, read_label
from dualtap_devices.driver import Driver, Person, exchange, run
from dualtap_devices.verifying import Keypad, verified
from dualtap_devices.wallet import Wallet
from dualtap_transports.nearness import round_trip_of


def recharge(folder: Path, amount: str, where: Where, keypad: Keypad, as_json: bool) -> Exit:
    """Pay an amount to an owned wallet: in a folder of this machine, or one that waits at an address."""
    label = read_label(folder)
    minor, basket = parse(amount, label.currency), secrets.token_bytes(16)
    with opened(folder) as wallet:
        wallet.check()
        named = owned(wallet, where.wallet) if where.wallet and where.folder is None else b""
        person = owner_of(wallet, keypad, named)
        if where.folder is not None:
            if where.folder.resolve() == folder.resolve():
                raise TapError(Code.SELF_PAYMENT, "a wallet cannot recharge itself")
            with opened(where.folder) as other:
                driver = Driver.fresh(wallet, Pay(), initiator=False, person=person, within=None)
                card = Driver.fresh(other, Charge(minor, label.currency, basket), initiator=True)
                exchange(card, driver)
            report = _why(driver.result, card.result)
        else:
            nobody = saying(f"no wallet waits at {where.on}: start `dualtap card FOLDER --on {where.on}` there")
            met = reach(where.on, where.timeout, nobody)
            link = told(met.link, wallet, where.log_level)
            link.send(encode_call(Call(Want.COLLECT, Charged(minor, label.currency, basket, 0))))
            driver = Driver.fresh(wallet, Pay(), initiator=False, person=person, within=round_trip_of(met.scheme))
            run(driver, link, where.timeout)
            report = driver.result
        return tell(driver, report, as_json)


def _why(payer: Report, card: Report) -> Report:
    """Return how a payment ended; where the card had reasons not to ask for it, which it tells nobody, with these."""
    unasked = payer.result is Result.DONE or (payer.result is Result.NOT_PAID and payer.code is Code.LINK_LOST)
    silent = unasked and card.code is not None
    return (
        payer._replace(result=card.result, code=card.code, detail=card.detail or "the card asks for nothing")
        if silent
        else payer
    )


def owner_of(wallet: Wallet, keypad: Keypad, named: bytes = b"") -> Person:
    """Return a person who pays what this wallet owns, and nobody else; of these the one ``named``, if any."""

    def person(ask: Ask) -> Consent | Decline:
        if ask.payee.key not in wallet.book.ties.owned:
            note(f"Wallet {wallet_id(ask.payee.key)} is not bound to this one: bind it first, or use `dualtap pay`")
            return Decline()
        if named not in (b"", ask.payee.key):
            note(f"Wallet {wallet_id(ask.payee.key)} waits there, and not {wallet_id(named)}")
            return Decline()
        given = verified(ask, wallet.keystore, keypad)
        return Decline() if given is None else Consent(given)

    return person
