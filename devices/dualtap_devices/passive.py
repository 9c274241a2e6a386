"""A device that waits for whoever opens a link to it: it pays, or begins what it is called for (SPEC §25)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from dualtap import limits, wire
from dualtap.book import Book
from dualtap.call import Call, Charged, check_call, decode_call, is_call
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.owning import Told
from dualtap.session import NO_HANDOVER, Handover
from dualtap.suite import Ephemeral
from dualtap.walletend import WalletEnd
from dualtap.wire import Want
from dualtap_devices.driver import Driver, Person, always, run
from dualtap_devices.owning import Press, Session, declined, fresh, least
from dualtap_devices.owning import run as serve
from dualtap_devices.remote import LinkCarrier, sync_sealed
from dualtap_devices.syncing import SyncReport
from dualtap_devices.wallet import Wallet
from dualtap_transports.link import Link

ANY = Want.COLLECT | Want.PAY | Want.SYNC
"""All that a device may be called for."""
Done: TypeAlias = Driver | SyncReport | Told
"""What a link came to: a tap, a sync, or an owner's session."""
_ANY_REQUEST = Pay()


def unheard(driver: Driver) -> None:
    """Tell nobody."""
    del driver


class Again:
    """``link``, which it owns, with a frame that was received already given once more."""

    def __init__(self, link: Link, frame: bytes) -> None:
        self._link = link
        self._frame: bytes | None = frame
        self.send, self.close = link.send, link.close

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes, of the link beneath."""
        return self._link.max_frame

    def receive(self, timeout: float | None) -> bytes:
        """Return the frame given back, then those of the link beneath."""
        frame, self._frame = self._frame, None
        return self._link.receive(timeout) if frame is None else frame


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a device waits: what it does when called, what it pays, who is asked, and how it was introduced.

    ``ephemeral`` is the key that its own handover named. ``deposits`` is whether a sync deposits what it holds.
    ``clock`` gives seconds since 1970, and ``within`` is the longest round trip of the link's kind (SPEC §24-3).
    ``begun`` is given the tap before its first event. ``press`` asks whether the wallet may be bound, or show itself to
    who does not own it: by default it may not.
    """

    allowed: Want = ANY | Want.OWN
    pay: Pay = _ANY_REQUEST
    person: Person = always
    ephemeral: Ephemeral | None = None
    handover: Handover = NO_HANDOVER
    deposits: bool = False
    clock: Callable[[], float] | None = None
    within: float | None = None
    begun: Callable[[Driver], None] = unheard
    press: Press = declined


def attend(wallet: Wallet, link: Link, waiting: Waiting, timeout: float | None = 30.0) -> Done:
    """Serve one link, then close it; return the tap that ended, what a sync did, or what an owner's session told.

    ``timeout`` is in seconds, for each frame. Raises as the link does before the session, what a sync or an owner's
    session raises, and
    ``WRONG_ROLE`` for whoever wants what this device does not do: that one is told nothing (SPEC §6-10).
    """
    try:
        frame = link.receive(timeout)
        check_first(frame, waiting.allowed)
        if not is_call(frame):
            return _answer(wallet, Again(link, frame), wire.decode_hello(frame).want, waiting, timeout)
        call = decode_call(frame)
        if call.want == Want.SYNC:
            return sync_sealed(wallet, LinkCarrier(link, timeout), secrets.token_bytes(32), waiting.deposits)
        driver = _called(wallet, call, waiting)
        run(driver, link, timeout)
        return driver
    finally:
        link.close()


def check_first(frame: bytes, allowed: Want) -> None:
    """Raise ``WRONG_ROLE``, or as a decoder, for a first frame that asks for nothing which a device does."""
    if is_call(frame):
        check_call(decode_call(frame), allowed & ANY)
        return
    want = wire.decode_hello(frame).want
    if not (want & allowed & Want.OWN or (want & Want.COLLECT and allowed & Want.PAY)):
        raise TapError(Code.WRONG_ROLE, "the other device wants what this one does not do by itself")


def told_by(call: Call) -> Handover:
    """Return the handover of a called session: what introduced its responder, as the caller tells (SPEC §25-5)."""
    return NO_HANDOVER if call.introduction is None else Handover(*call.introduction)


def check_room(book: Book, charge: Charged) -> None:
    """Raise ``BASKET_WAITS`` if strangers' Calls have left as many requests open as may be (SPEC §25-4)."""
    again = any(book.questions[key].outcome is None for key in book.parts.get((charge.basket, charge.part), ()))
    if not again and len(book.open) >= limits.CALLED:
        raise TapError(Code.BASKET_WAITS, f"{len(book.open)} requests are open: sync, or charge without being called")


def _called(wallet: Wallet, call: Call, waiting: Waiting) -> Driver:
    """Return the tap for which this device was called."""
    order: Order = waiting.pay
    if call.charge is not None:
        check_room(wallet.book, call.charge)
        order = Charge(*call.charge)
    return _driver(wallet, order, True, waiting, None, told_by(call))


def _answer(wallet: Wallet, link: Link, want: Want, waiting: Waiting, timeout: float | None) -> Done:
    """Pay whoever collects, and serve an owner."""
    if want & Want.OWN and waiting.allowed & Want.OWN:
        end = WalletEnd(wallet.book, waiting.ephemeral or fresh(wallet), least(wallet), waiting.handover)
        return serve(Session(wallet, end, waiting.press, waiting.clock or time.time), link, timeout)
    driver = _driver(wallet, waiting.pay, False, waiting, waiting.ephemeral, waiting.handover)
    run(driver, link, timeout)
    return driver


def _driver(
    wallet: Wallet, order: Order, initiator: bool, waiting: Waiting, ephemeral: Ephemeral | None, handover: Handover
) -> Driver:
    fresh = ephemeral or wallet.book.scheme.suite.ephemeral(secrets.token_bytes(32))
    entropy = secrets.token_bytes(32)
    driver = Driver(
        wallet, order, initiator, fresh, entropy, waiting.person, clock=waiting.clock, handover=handover,
        within=waiting.within,
    )  # fmt: skip
    waiting.begun(driver)
    return driver
