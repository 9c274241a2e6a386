"""Runs an owner's session (SPEC §23) of one wallet: store, keystore, person and link."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from dualtap.call import check_call, decode_call
from dualtap.errors import Code, TapError
from dualtap.events import Consent, Decline, Event, Persist, Send, Sign, Signature
from dualtap.keystore import sign_with
from dualtap.ownerend import OwnerEnd
from dualtap.owning import AskOwner, End, Told, Wish
from dualtap.session import NO_HANDOVER, Handover
from dualtap.statements import Verification
from dualtap.suite import Ephemeral
from dualtap.walletend import WalletEnd
from dualtap.wire import Want
from dualtap_devices.conversation import Conversation, hold
from dualtap_devices.verifying import Keypad, verified_as
from dualtap_devices.wallet import Wallet
from dualtap_transports.link import Link

Press: TypeAlias = Callable[[AskOwner], Consent | Decline]
"""Asks the person who has the wallet: a press, or a PIN."""


def declined(ask: AskOwner) -> Decline:
    """Agree to nothing, as a card that lies about: whoever reads it could else bind it."""
    del ask
    return Decline()


def pressed(ask: AskOwner) -> Consent:
    """Agree to everything, as a person who presses the card's button."""
    del ask
    return Consent()


def least(wallet: Wallet) -> Verification:
    """Return how a wallet's person is verified before it binds or shows itself: by its PIN, if it has one (§23-5)."""
    pin = wallet.keystore.pin
    return Verification.PIN if pin is not None and pin.cell.pin else Verification.PRESENCE


def typed(wallet: Wallet, keypad: Keypad | None, press: Press = pressed) -> Press:
    """Return a press that asks for the wallet's PIN as well, if it has one; without a ``keypad`` it then agrees to
    nothing."""

    def both(ask: AskOwner) -> Consent | Decline:
        given, needed = press(ask), least(wallet)
        if isinstance(given, Decline) or needed < Verification.PIN:
            return given
        found = verified_as(needed, wallet.keystore, keypad) if keypad is not None else None
        if found is not None and wallet.keystore.pin is not None:
            wallet.keystore.pin.forget()  # it was given to bind: nothing may be paid by it
        return Decline() if found is None else Consent(found)

    return both


class Session(Conversation):
    """One end of an owner's session. Frames go in and come out; everything else happens here."""

    def __init__(
        self, wallet: Wallet, end: End, press: Press = pressed, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives seconds since 1970. Raises ``QUARANTINED``."""
        wallet.check()
        wallet.tidy()
        self.wallet, self.end = wallet, end
        self.told: Told | None = None
        self._press, self._clock = press, clock

    @classmethod
    def of(
        cls, wallet: Wallet, wish: Wish | None, ephemeral: Ephemeral, clock: Callable[[], float] = time.time
    ) -> Session:
        """Return the end of an owner with this wish, or of a wallet without one; ``ephemeral`` is for this session."""
        book = wallet.book
        end = OwnerEnd(book, wish, ephemeral) if wish is not None else WalletEnd(book, ephemeral, least(wallet))
        return cls(wallet, end, clock=clock)

    @property
    def ended(self) -> bool:
        """Whether the session is over."""
        return self.end.ended

    def feed(self, event: Event) -> list[bytes]:
        """Take an event and carry out every effect that follows; return the frames to send.

        Raises what the store or the keystore raises: this wallet must then be opened again.
        """
        events: deque[Event] = deque([event])
        frames: list[bytes] = []
        while events:
            for effect in self.end.step(events.popleft(), self._clock()):
                match effect:
                    case Persist(records):
                        self.wallet.persist(records)
                    case Sign(statement):
                        events.append(Signature(sign_with(self.wallet.keystore, statement)))
                    case Send(frame):
                        frames.append(frame)
                    case AskOwner():
                        events.append(self._press(effect))
                    case Told():
                        self.told = effect
        return frames

    def result(self) -> Told:
        """Return what the session told; raise the error with which it ended."""
        if self.told is None:
            raise TapError(Code.BAD_INPUT, "the session has not ended")
        if self.told.code is not None:
            raise TapError(self.told.code, self.told.detail)
        return self.told


def fresh(wallet: Wallet) -> Ephemeral:
    """Return a new ephemeral key, for one session."""
    return wallet.book.scheme.suite.ephemeral(secrets.token_bytes(32))


def called(link: Link, timeout: float | None = 30.0) -> Handover:
    """Wait for the Call that asks an owner to begin (SPEC §25-2); return what introduced the wallet, if it was.

    Raises as the link does, and ``WRONG_ROLE`` or as a decoder for any other frame.
    """
    call = decode_call(link.receive(timeout))
    check_call(call, Want.OWN)
    return NO_HANDOVER if call.introduction is None else Handover(*call.introduction)


def run(session: Session, link: Link, timeout: float | None = 30.0) -> Told:
    """Run a session over a link and close it; return what it told, or raise the error with which it ended.

    ``timeout`` is in seconds, for each frame.
    """
    hold(session, link, timeout)
    return session.result()


def exchange(owner: Session, wallet: Session, cut: int | None = None) -> None:
    """Run both ends in this thread, frame by frame; after ``cut`` frames the link is lost."""
    waiting: deque[tuple[Session, bytes]] = deque()
    wallet.begin()
    waiting.extend((wallet, frame) for frame in owner.begin())
    while waiting and cut != 0:
        receiver, frame = waiting.popleft()
        cut = None if cut is None else cut - 1
        sender = owner if receiver is wallet else wallet
        if not receiver.ended:
            waiting.extend((sender, answer) for answer in receiver.receive(frame))
    owner.stop(Code.LINK_LOST)
    wallet.stop(Code.LINK_LOST)
