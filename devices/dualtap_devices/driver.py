"""Carries out a tap's effects: store, keystore, person, link. Synchronous; :mod:`dualtap_devices.aio` is beside it."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from dualtap import limits
from dualtap.allowance import BY_CHIP
from dualtap.context import Order
from dualtap.errors import Code, TapError
from dualtap.events import (
    Ask,
    Consent,
    Decline,
    Effect,
    Event,
    Persist,
    Report,
    Send,
    Sign,
    Signature,
)
from dualtap.keystore import Keystore, sign_with
from dualtap.session import NO_HANDOVER, Handover
from dualtap.statements import Verification
from dualtap.suite import Drbg, Ephemeral
from dualtap.tap import Tap
from dualtap_devices.conversation import Conversation, hold
from dualtap_devices.wallet import Wallet
from dualtap_transports.link import Link

Person: TypeAlias = Callable[[Ask], Consent | Decline]
"""Asks a person whether to pay."""
Watch: TypeAlias = Callable[[Effect], None]
"""Sees each effect just before it is carried out."""


def always(ask: Ask) -> Consent:
    """Agree to everything, as a person who typed ``--yes``."""
    del ask
    return Consent()


def unseen(effect: Effect) -> None:
    """Watch nothing."""
    del effect


def steady() -> Callable[[], float]:
    """Return a clock that gives seconds since 1970 and never runs backwards, whatever sets this machine's time."""
    began = time.time() - time.monotonic()
    return lambda: began + time.monotonic()


def honest(answer: Consent | Decline, keystore: Keystore) -> Consent | Decline:
    """Return what a person said, without a claim that the keystore will not sign: it would leave a tail unsigned."""
    claims = isinstance(answer, Consent) and answer.verification >= BY_CHIP
    if claims and (keystore.pin is None or not keystore.pin.cell.verified):
        return Consent(Verification.PRESENCE)
    return answer


def forget(keystore: Keystore) -> None:
    """Take back that the user is verified, where the payment that it was for was not made (SPEC §22-14)."""
    if keystore.pin is not None:
        keystore.pin.forget()


class Driver(Conversation):
    """Runs one tap of one wallet. Frames go in and come out; everything else happens here."""

    def __init__(
        self,
        wallet: Wallet,
        order: Order,
        initiator: bool,
        ephemeral: Ephemeral,
        entropy: bytes,
        person: Person = always,
        watch: Watch = unseen,
        clock: Callable[[], float] | None = None,
        handover: Handover = NO_HANDOVER,
        within: float | None = None,
    ) -> None:
        """``ephemeral`` and ``entropy`` (32 bytes) are fresh; ``clock`` gives seconds since 1970.

        ``within`` is the longest round trip of this kind of link, in seconds, if it tells of distance (SPEC §24-3).
        """
        sound = [wallet, *[old for old in wallet.retired if not old.quarantined]]
        for one in sound:
            one.check()
            one.tidy()
        self.wallet = wallet
        self._wallets = {one.book.key: one for one in sound}
        retired = tuple([old.book for old in sound[1:]])
        self.tap = Tap(wallet.book, order, initiator, ephemeral, Drbg(entropy), handover, within, retired)
        self.reports: list[Report] = []
        self._person, self._watch, self._clock = person, watch, clock or steady()

    @classmethod
    def fresh(
        cls,
        wallet: Wallet,
        order: Order,
        initiator: bool,
        person: Person = always,
        ephemeral: Ephemeral | None = None,
        handover: Handover = NO_HANDOVER,
        within: float | None = None,
    ) -> Driver:
        """Return a driver with new entropy from the operating system.

        ``ephemeral`` is a key pair that a handover named; without one, a new one is made. ``within`` is as above.
        """
        ephemeral = ephemeral or wallet.book.scheme.suite.ephemeral(secrets.token_bytes(32))
        entropy = secrets.token_bytes(32)
        return cls(wallet, order, initiator, ephemeral, entropy, person, handover=handover, within=within)

    @property
    def ended(self) -> bool:
        """Whether the tap is over."""
        return self.tap.ended

    @property
    def result(self) -> Report:
        """The last report: how the tap ended."""
        if not self.reports:
            raise TapError(Code.BAD_INPUT, "the tap has not ended")
        return self.reports[-1]

    def patience(self, timeout: float | None) -> float | None:
        """Return how long to wait for the next frame, in seconds: once the payment is over, not long."""
        if not self.tap.telling:
            return timeout
        return limits.NEWS_SECONDS if timeout is None else min(timeout, limits.NEWS_SECONDS)

    def feed(self, event: Event) -> list[bytes]:
        """Take an event and carry out every effect that follows; return the frames to send.

        Raises what the store or the keystore raises: this wallet must then be opened again. But a store that takes no
        news ends the tap, and nothing else: the payment was reported before (SPEC §21-3).
        """
        events: deque[Event] = deque([event])
        frames: list[bytes] = []
        while events:
            telling, unsaved = self.tap.telling, self.wallet.book.unsaved
            for effect in self.tap.step(events.popleft(), self._clock()):
                self._watch(effect)
                match effect:
                    case Persist(records, key):
                        try:
                            self._wallets[key or self.wallet.book.key].persist(records)
                        except TapError:
                            if not telling:
                                raise
                            self.wallet.book.unsaved = unsaved  # it is still in memory alone
                            self.stop(Code.STORE_FAILED)
                            return frames
                    case Sign(statement):
                        events.append(Signature(sign_with(self._wallets[statement.key].keystore, statement)))
                    case Send(frame):
                        frames.append(frame)
                    case Ask():
                        events.append(honest(self._person(effect), self.wallet.keystore))
                    case Report():
                        self.reports.append(effect)
        if self.tap.ended:
            forget(self.wallet.keystore)
        return frames


def run(driver: Driver, link: Link, timeout: float | None = 30.0) -> Report:
    """Run a tap over a link and close it; return how it ended. ``timeout`` is in seconds, for each frame."""
    hold(driver, link, timeout)
    return driver.result


def exchange(initiator: Driver, responder: Driver) -> None:
    """Run both sides of a tap in this thread, frame by frame, until nothing more is said."""
    waiting: deque[tuple[Driver, bytes]] = deque()
    for frame in responder.begin():
        waiting.append((initiator, frame))
    for frame in initiator.begin():
        waiting.append((responder, frame))
    while waiting:
        receiver, frame = waiting.popleft()
        sender = initiator if receiver is responder else responder
        if not receiver.ended:
            waiting.extend((sender, answer) for answer in receiver.receive(frame))
    initiator.stop(Code.LINK_LOST)
    responder.stop(Code.LINK_LOST)
