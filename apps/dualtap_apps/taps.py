"""``charge``, ``pay`` and ``refund``: one tap of a wallet in a folder, over any transport."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Report, Result
from dualtap.payee import barred
from dualtap.session import check_hello, code
from dualtap.statements import Verification
from dualtap.states import Part
from dualtap.suite import Drbg, sha256
from dualtap.wire import Want, decode_hello
from dualtap_apps.exits import Exit, exit_of_report
from dualtap_apps.hosting import host, in_vain
from dualtap_apps.linking import Met, must_compare, opened_door, reach, saying, waits
from dualtap_apps.money import parse, show
from dualtap_apps.output import emit, note, report_fields, report_text, wallet_id
from dualtap_apps.pacing import paced, within_of
from dualtap_apps.paying_once import PayingOnce
from dualtap_apps.traffic import told
from dualtap_devices.disk import opened, read_label
from dualtap_devices.driver import Driver, Person, run
from dualtap_devices.passive import Waiting, attend, check_first
from dualtap_devices.syncing import close
from dualtap_devices.verifying import Keypad, verified
from dualtap_transports.link import Link
from dualtap_transports.nearness import round_trip_of

Confirm: TypeAlias = Callable[[str], bool]
"""Puts a question to a person."""
Verify: TypeAlias = Callable[[Ask], "Verification | None"]
"""Verifies the user as a payment needs it; ``None`` if nothing should be paid."""


_STILL_THERE = 0.1
"""Seconds for a link's end to be noticed before anything is signed: a busy machine may be late to tell."""


def basket_of(name: str | None) -> tuple[str, bytes]:
    """Return a basket's name and its 16 bytes: a new random one, or the one that a person named."""
    name = name or secrets.token_hex(16)
    if len(name) == 32 and all(digit in "0123456789abcdef" for digit in name):
        return name, bytes.fromhex(name)
    return name, sha256(b"basket " + name.encode("utf-8", "surrogateescape"))[:16]


def charge(
    folder: Path, amount: str, on: str, basket: str | None, timeout: float, as_json: bool, log_level: str = "",
    side: str | None = None, verify: str = "none", pace: str | None = None,
) -> Exit:  # fmt: skip
    """Collect one payment in one tap: of who comes, or of the card that is read."""
    label = read_label(folder)
    minor = parse(amount, label.currency)
    name, identity = basket_of(basket)
    said = f"charging {show(minor, label.currency)}, basket {name}"
    with opened(folder) as wallet:
        wallet.check()
        order = Charge(minor, label.currency, identity, person=True, verification=Verification[verify.upper()])
        scheme, taps = wallet.book.scheme, list[Driver]()
        wallet.tidy()
        why = None if wallet.book.open else barred(wallet.book, order)
        if why is not None:
            note(f"Nothing can be charged now, only an earlier payment be healed: {why}")

        def serve(met: Met) -> TapError | None:
            driver = Driver.fresh(wallet, order, met.initiator, ephemeral=met.ephemeral, handover=met.handover)
            taps.append(driver)
            link = told(paced(met.link, pace), wallet, log_level)
            run(driver, Coded(link, driver) if met.compare else link, timeout)
            return None if driver.tap.joined else in_vain(driver)

        if waits(on, side, otherwise=True):
            nobody = saying(f"nobody came to pay within {timeout:g} s; charge again")
            door = opened_door(on, scheme.suite, said, nobody)
            host(door, timeout, nobody, lambda first: check_hello(scheme, decode_hello(first), Want.COLLECT), serve)
        else:
            note(f"Ready: {said}, reading {on}")
            serve(reach(on, timeout, saying(f"no card to charge at {on} within {timeout:g} s; charge again")))
        driver, report = taps[-1], taps[-1].result
        paid = wallet.book.accepted(identity, 0)
        if report.code is Code.BASKET_PAID and paid is not None:
            note(f"Basket {name} was paid before, by receipt {paid.hex()}")
        return tell(driver, report, as_json, basket=name)


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


def pay(
    folder: Path, on: str, confirm: Confirm | None, timeout: float, as_json: bool, log_level: str = "",
    side: str | None = None, keypad: Keypad | None = None, pace: str | None = None,
) -> Exit:  # fmt: skip
    """Pay whoever charges at an address, after the person agreed; without ``confirm`` nobody is asked.

    ``keypad`` is where the PIN comes from, where the payment needs one.
    """
    return _pay(folder, Pay(), on, confirm, timeout, as_json, log_level, side, keypad, pace)


def refund(
    folder: Path, receipt: str, on: str, amount: str | None, timeout: float, as_json: bool, log_level: str = "",
    side: str | None = None,
) -> Exit:  # fmt: skip
    """Pay a received transfer back to the wallet that made it, which charges at an address."""
    label = read_label(folder)
    try:
        transfer = bytes.fromhex(receipt)
    except ValueError:
        transfer = b""
    if len(transfer) != 32:
        raise TapError(Code.BAD_INPUT, "a receipt is the 64 hex digits that `charge` printed")
    minor = None if amount is None else parse(amount, label.currency)
    return _pay(folder, Pay(transfer, minor), on, None, timeout, as_json, log_level, side)


def _pay(
    folder: Path, order: Pay, on: str, confirm: Confirm | None, timeout: float, as_json: bool, log_level: str,
    side: str | None, keypad: Keypad | None = None, pace: str | None = None,
) -> Exit:  # fmt: skip
    with opened(folder) as wallet:
        wallet.check()
        if order.refund_of and order.refund_of not in wallet.book.taken:
            raise TapError(Code.NOT_A_REFUND, "this wallet has not received that payment, or no longer keeps it")
        listens = waits(on, side, otherwise=False)
        if confirm is None and must_compare(on, listens):
            raise TapError(Code.BAD_INPUT, f"at {on} only a person can compare the code: name the text that is shown")
        once = PayingOnce(wallet)
        taps = once.taps

        def serve(met: Met) -> TapError | None:
            link = told(paced(met.link, pace), wallet, log_level)
            codes = (lambda: taps[-1].tap.transcript) if met.compare else None
            verify: Verify = present if keypad is None else partial(verified, keystore=wallet.keystore, keypad=keypad)
            person = once.only(agrees(verify) if confirm is None else asks(confirm, link, codes, verify))
            within, handover = within_of(pace) or round_trip_of(met.scheme), met.handover
            if met.initiator:
                taps.append(Driver.fresh(wallet, order, True, person, handover=handover, within=within))
                run(taps[-1], link, timeout)
                return None
            waiting = Waiting(Want.PAY, order, person, met.ephemeral, handover, within=within, begun=taps.append)
            attend(wallet, link, waiting, timeout)
            return once.in_vain()

        if listens:
            nobody = saying(f"nobody came to charge within {timeout:g} s; pay again")
            door = opened_door(on, wallet.book.scheme.suite, "paying whoever reads this card", nobody)
            try:
                host(door, timeout, nobody, partial(check_first, allowed=Want.PAY), serve)
            except TapError as error:
                if error.code is not Code.TIMEOUT or not taps:
                    raise
        else:
            serve(reach(on, timeout, saying(f"nobody charges at {on}: start `dualtap charge` there first")))
        return tell(taps[-1], taps[-1].result, as_json)


_UNMET = "it hung up before it greeted: it may be of another scheme, or want the same as you; its screen says why"
"""To a person whose peer told nothing, as it must (SPEC §6-10)."""


def tell(driver: Driver, report: Report, as_json: bool, **more: str) -> Exit:
    """Print how a tap ended, and what was healed on the way."""
    healed = driver.reports[:-1]
    fields = {**report_fields(report), **more, "healed": [report_fields(item) for item in healed]}
    lines = [report_text(item) for item in healed] + [report_text(report)]
    if report.result is Result.COLLECTED:
        lines.append(f"Receipt {report.transfer.hex()}")
    emit(as_json, fields, *lines)
    if report.code is not None:
        unmet = report.code is Code.LINK_LOST and not driver.tap.joined
        note(str(TapError(report.code, _UNMET if unmet else report.detail)))
    if report.result is Result.DONE and healed and driver.tap.part is Part.PAYER:
        return Exit.OK  # there was nothing left to pay, and what was in doubt is not any more
    return exit_of_report(report)


def present(ask: Ask) -> Verification | None:
    """Say that somebody was there, whatever is needed."""
    del ask
    return Verification.PRESENCE


def agrees(verify: Verify) -> Person:
    """Return a person who agrees to everything, and gives the PIN where one is needed."""

    def person(ask: Ask) -> Consent | Decline:
        given = verify(ask)
        return Decline() if given is None else Consent(given)

    return person


def asks(
    confirm: Confirm, link: Link, transcript: Callable[[], bytes] | None = None, verify: Verify = present
) -> Person:
    """Return a person who is asked by ``confirm``. A yes after the payee has gone counts as a no: nothing is signed.

    With ``transcript`` the person is told the session's code, to be compared with the other screen's; ``verify`` asks
    for the PIN.
    """

    def person(ask: Ask) -> Consent | Decline:
        question = f"Pay {show(ask.amount, ask.currency)} to wallet {wallet_id(ask.payee.key)}"
        if transcript is not None:
            question += f", whose screen shows code {spaced(transcript())}"
        if not confirm(f"{question}?"):
            return Decline()
        given = verify(ask)
        if given is None:
            return Decline()
        try:
            link.receive(_STILL_THERE)
        except TapError as error:
            if error.code is Code.TIMEOUT:
                return Consent(given)
        note("The other device has gone: nothing was paid.")
        return Decline()

    return person


def spaced(transcript: bytes) -> str:
    """Return a session's code as people read it out."""
    digits = code(transcript)
    return f"{digits[:3]} {digits[3:]}"


class Coded:
    """``link``, which it owns; the code of the session is shown before the first frame that this side seals."""

    def __init__(self, link: Link, driver: Driver) -> None:
        self._link, self._driver, self._shown = link, driver, False
        self.receive, self.close = link.receive, link.close

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        """Show the code once there is one, and send a frame."""
        if self._driver.tap.transcript and not self._shown:
            self._shown = True
            shown = spaced(self._driver.tap.transcript)
            note(f"Code {shown}: where the payer's screen shows a code, it must be this one")
        self._link.send(frame)
