"""The reference device: what ``dualtap conform`` drives, made of our own core (protocol/vectors/README.md).

It is a responder. It agrees to everything without a person, takes the date from its setup and not from a clock, keeps
its state between taps in memory, and has a test port.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.statements import Verification
from dualtap.states import Part
from dualtap_conform.port import answer_frame, is_question
from dualtap_conform.setup import Setup
from dualtap_devices.driver import Driver
from dualtap_transports.link import Link, Listener

AMOUNT = 1_250
"""Minor units that a payee asks for; each basket asks for one more, and each second one for the user's presence."""
CURRENCY = "CNY"


class Device:
    """A device under test. ``draw`` gives fresh bytes.

    It measures how near a payee is, by a watch that tells no date: ``within`` is what its link allows, in seconds.
    """

    within: float | None = None

    def __init__(self, setup: Setup, part: Part, draw: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.wallet = setup.wallet()
        self.part = part
        self.draw = draw
        self.baskets = 0
        self.basket = self.draw(16)

    def order(self) -> Order:
        """Return what this device is here for in the next tap: a paid basket is followed by a new one."""
        if self.part is Part.PAYER:
            return Pay()
        if self.wallet.book.accepted(self.basket, 0) is not None:
            self.basket = self.draw(16)
            self.baskets += 1
        verification = Verification.PRESENCE if self.baskets % 2 else Verification.NONE
        return Charge(AMOUNT + self.baskets, CURRENCY, self.basket, person=True, verification=verification)

    def driver(self) -> Driver:
        """Return what runs the next tap."""
        wallet = self.wallet
        ephemeral = wallet.book.scheme.suite.ephemeral(self.draw(32))
        began = time.monotonic() - 1.0
        return Driver(
            wallet, self.order(), False, ephemeral, self.draw(32), clock=lambda: time.monotonic() - began,
            within=self.within,
        )  # fmt: skip

    def attend(self, link: Link, timeout: float | None = None) -> None:
        """Serve one connection: questions to the test port, or one tap. Closes the link."""
        try:
            frame = link.receive(timeout)
            while is_question(frame):
                link.send(answer_frame(frame))
                frame = link.receive(timeout)
            self._tap(frame, link, timeout)
        except TapError:
            return  # the tester went away
        finally:
            link.close()

    def _tap(self, frame: bytes, link: Link, timeout: float | None) -> None:
        driver = self.driver()
        try:
            driver.begin()
            while True:
                for answer in driver.receive(frame):
                    link.send(answer)
                if driver.ended:
                    return
                frame = link.receive(timeout)
        except TapError as error:
            driver.stop(error.code if isinstance(error.code, Code) else Code.LINK_LOST)
            raise


def serve(device: Device, listener: Listener, timeout: float | None = None) -> None:
    """Serve one connection after another until the listener is closed; ``timeout`` is in seconds, for each frame."""
    with suppress(TapError):
        while True:
            device.attend(listener.accept(None), timeout)
