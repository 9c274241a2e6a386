"""``charge``, ``pay`` and ``refund``: one tap of a wallet in a folder, over any transport."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Report, Result
from dualtap.session import NO_HANDOVER, ident
from dualtap.states import Part
from dualtap.suite import Drbg, sha256
from dualtap_apps.exits import Exit, exit_of_report
from dualtap_apps.money import parse, show
from dualtap_apps.output import emit, note, report_fields, report_text, show_code, wallet_id
from dualtap_apps.traffic import told
from dualtap_devices.disk import opened, read_label
from dualtap_devices.driver import Driver, Person, always, run
from dualtap_devices.syncing import close
from dualtap_transports.handover import handover_of, introduce
from dualtap_transports.link import Link, open_scheme

Confirm: TypeAlias = Callable[[str], bool]
"""Puts a question to a person."""


_STILL_THERE = 0.1
"""Seconds for a link's end to be noticed before anything is signed: a busy machine may be late to tell."""


def basket_of(name: str | None) -> tuple[str, bytes]:
    """Return a basket's name and its 16 bytes: a new random one, or the one that a person named."""
    name = name or secrets.token_hex(16)
    if len(name) == 32 and all(digit in "0123456789abcdef" for digit in name):
        return name, bytes.fromhex(name)
    return name, sha256(b"basket " + name.encode("utf-8", "surrogateescape"))[:16]


def charge(
    folder: Path, amount: str, on: str, basket: str | None, timeout: float, as_json: bool, log_level: str = ""
) -> Exit:
    """Collect one payment: listen, one tap, end."""
    label = read_label(folder)
    minor = parse(amount, label.currency)
    name, identity = basket_of(basket)
    scheme, address = open_scheme(on)
    with opened(folder) as wallet:
        wallet.check()
        listener = scheme.listen(address)
        ephemeral = wallet.book.scheme.suite.ephemeral(secrets.token_bytes(32))
        handover = introduce(listener, ident(ephemeral.public))
        try:
            where = f"{on.partition(':')[0]}:{listener.address}"
            note(f"Ready: charging {show(minor, label.currency)}, basket {name}, on {where}")
            if handover != NO_HANDOVER:
                show_code(where)
            link = listener.accept(timeout)
        except TapError as error:
            raise TapError(error.code, f"nobody came to pay within {timeout:g} s; charge again") from error
        finally:
            listener.close()
        order = Charge(minor, label.currency, identity, person=True)
        driver = Driver.fresh(wallet, order, initiator=False, ephemeral=ephemeral, handover=handover)
        report = run(driver, told(link, wallet, log_level), timeout)
        paid = wallet.book.accepted(identity, 0)
        if report.code is Code.BASKET_PAID and paid is not None:
            note(f"Basket {name} was paid before, by receipt {paid.hex()}")
        return _tell(driver, report, as_json, basket=name)


def cancel(folder: Path, basket: str, as_json: bool) -> Exit:
    """Close every open request of a basket, so that another till may take it over."""
    name, identity = basket_of(basket)
    with opened(folder) as wallet:
        wallet.check()
        book, random = wallet.book, Drbg(secrets.token_bytes(32))
        if not any(key == identity for key, _ in book.parts):
            raise TapError(Code.BAD_INPUT, f"this wallet never charged a basket {name!r}")
        found = [asked for asked in book.open.values() if asked.basket == identity]
        for asked in found:
            close(wallet, asked.request, random)
        paid = [part for (key, part) in book.parts if key == identity and book.accepted(key, part)]
        if paid:
            raise TapError(Code.BASKET_PAID, "nothing is left to cancel; refund it instead")
        text = f"Cancelled basket {name}: {len(found)} open request{'s' * (len(found) != 1)} closed"
        emit(as_json, {"result": "cancelled", "basket": name, "closed": len(found)}, text)
    return Exit.OK


def pay(folder: Path, on: str, confirm: Confirm | None, timeout: float, as_json: bool, log_level: str = "") -> Exit:
    """Pay whoever charges at an address, after the person agreed; without ``confirm`` nobody is asked."""
    return _pay(folder, Pay(), on, confirm, timeout, as_json, log_level)


def refund(
    folder: Path, receipt: str, on: str, amount: str | None, timeout: float, as_json: bool, log_level: str = ""
) -> Exit:
    """Pay a received transfer back to the wallet that made it, which charges at an address."""
    label = read_label(folder)
    try:
        transfer = bytes.fromhex(receipt)
    except ValueError:
        transfer = b""
    if len(transfer) != 32:
        raise TapError(Code.BAD_INPUT, "a receipt is the 64 hex digits that `charge` printed")
    minor = None if amount is None else parse(amount, label.currency)
    return _pay(folder, Pay(transfer, minor), on, None, timeout, as_json, log_level)


def _pay(
    folder: Path, order: Pay, on: str, confirm: Confirm | None, timeout: float, as_json: bool, log_level: str
) -> Exit:
    scheme, address = open_scheme(on)
    with opened(folder) as wallet:
        wallet.check()
        if order.refund_of and order.refund_of not in wallet.book.taken:
            raise TapError(Code.NOT_A_REFUND, "this wallet never received that payment")
        try:
            link: Link = scheme.connect(address, timeout)
        except TapError as error:
            if error.code is Code.BAD_INPUT:
                raise
            raise TapError(error.code, f"nobody charges at {on}: start `dualtap charge` there first") from error
        handover = handover_of(link)
        link = told(link, wallet, log_level)
        person = always if confirm is None else asks(confirm, link)
        driver = Driver.fresh(wallet, order, initiator=True, person=person, handover=handover)
        report = run(driver, link, timeout)
        return _tell(driver, report, as_json)


def _tell(driver: Driver, report: Report, as_json: bool, **more: str) -> Exit:
    """Print how a tap ended, and what was healed on the way."""
    healed = driver.reports[:-1]
    fields = {**report_fields(report), **more, "healed": [report_fields(item) for item in healed]}
    lines = [report_text(item) for item in healed] + [report_text(report)]
    if report.result is Result.COLLECTED:
        lines.append(f"Receipt {report.transfer.hex()}")
    emit(as_json, fields, *lines)
    if report.code is not None:
        note(str(TapError(report.code, report.detail)))
    if report.result is Result.DONE and healed and driver.tap.part is Part.PAYER:
        return Exit.OK  # there was nothing left to pay, and what was in doubt is not any more
    return exit_of_report(report)


def asks(confirm: Confirm, link: Link) -> Person:
    """Return a person who is asked by ``confirm``. A yes after the payee has gone counts as a no: nothing is signed."""

    def person(ask: Ask) -> Consent | Decline:
        question = f"Pay {show(ask.amount, ask.currency)} to wallet {wallet_id(ask.payee.key)}?"
        if not confirm(question):
            return Decline()
        try:
            link.receive(_STILL_THERE)
        except TapError as error:
            if error.code is Code.TIMEOUT:
                return Consent()
        note("The other device has gone: nothing was paid.")
        return Decline()

    return person
