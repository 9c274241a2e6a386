"""Bluetooth links to devices that NFC introduces: ``nfc+ble:DEVICE``, ``pcsc+ble:READER``, ``vpcd+ble:HOST:PORT``.

Who waits is a tag that holds the handover (:mod:`.tag`) and a peripheral; who connects reads the tag, then connects to
it. ``@CONTROLLER`` at the end is Bluetooth's, as in ``ble:new@usb:0``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dualtap.errors import Code, TapError
from dualtap.session import Handover

from . import ble, nfc, pcsc, vpcd
from .card_link import CardEnd
from .handover import (
    COLLISION,
    HandedOver,
    Offer,
    agreed,
    check_request,
    decode_select,
    encode_request,
    encode_select,
    from_text,
    introduce,
    to_text,
)
from .link import Listener, Scheme
from .nearness import BLE_SECONDS
from .reader_link import Slot
from .tag import Tag, read_message

T = TypeVar("T")
_UPDATE = 0xD6
"""The command that writes to a tag."""


class Reads(Protocol):
    """A transport that reads cards."""

    def held(self, address: str, timeout: float | None, take: Callable[[Slot], T]) -> T:
        """Wait for a card, and return what ``take`` makes of it, which owns the slot.

        Tries the next card, or the same again, where ``take`` raises ``LINK_LOST``, until the time is over.
        """
        ...


class Presents(Protocol):
    """A transport by which a device is a card."""

    def present(self, address: str, end: CardEnd) -> Listener:
        """Be the card that ``end`` is, until the listener is closed."""
        ...


class TagEnd(CardEnd):
    """A card that is a tag; it opens no link of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock=clock)
        self._tag: Tag | None = None

    @property
    def request(self) -> bytes:
        """The handover request that the last reader wrote; empty: it only read."""
        with self.changed:
            return b"" if self._tag is None else self._tag.request

    def show(self, message: bytes) -> None:
        """Hold this message from now on."""
        with self.changed:
            self._tag = Tag(message, check_request)

    def respond(self, apdu: bytes, wait: float | None = None) -> bytes | None:
        """Take a command; return its answer. There is no dualtap application on this card: only the tag."""
        del wait
        with self.changed:
            answer = None if self._tag is None else self._tag.command(apdu)
            return b"\x6a\x82" if answer is None else answer

    def reset(self, reason: str) -> None:
        """The reader left."""
        with self.changed:
            if self._tag is not None:
                self._tag.reset()
        super().reset(reason)


class HandoverListener:
    """A tag, and the peripheral to which it leads; it owns both. See :class:`.handover.Introduces`."""

    def __init__(self, near: Listener, end: TagEnd, far: Listener, controller: str) -> None:
        self._near, self._end, self._far, self._controller = near, end, far, controller
        end.show(encode_select(self._offer))

    @property
    def _offer(self) -> Offer:
        return from_text(self._far.address)

    @property
    def address(self) -> str:
        """The NFC device, as a reader over the same medium would name it."""
        return f"{self._near.address}@{self._controller}" if self._controller else self._near.address

    def introduce(self, ident: bytes) -> Handover:
        """Name the key that will answer; what a reader writes comes to it (:meth:`accept`)."""
        handover = introduce(self._far, ident)
        self._end.show(encode_select(self._offer))
        return handover

    def accept(self, timeout: float | None) -> HandedOver:
        """Return the next link over Bluetooth; see :meth:`.link.Listener.accept`."""
        link = self._far.accept(timeout)
        return HandedOver(link, agreed(self._offer, self._end.request))

    def close(self) -> None:
        """Be no tag any more, and stop advertising."""
        self._near.close()
        self._far.close()


@dataclass(frozen=True, slots=True)
class HandoverScheme:
    """Opens links over ``far`` by what is read and shown over NFC; see :class:`.link.Scheme`."""

    reads: Reads | None
    presents: Presents | None
    far: Scheme = ble.SCHEME
    clock: Callable[[], float] = time.monotonic

    round_trip = BLE_SECONDS

    def connect(self, address: str, timeout: float | None) -> HandedOver:
        """Read the tag at ``address``, and connect to the device that it names; see :meth:`.link.Scheme.connect`."""
        if self.reads is None:
            raise TapError(Code.BAD_INPUT, "a virtual card cannot read; to read it use pcsc+ble:READER")
        place, controller = _split(address)
        deadline = None if timeout is None else self.clock() + timeout
        request = encode_request(secrets.token_bytes(COLLISION))
        message, wrote = self.reads.held(place, timeout, lambda slot: _exchange(slot, request))
        offer = decode_select(message)
        left = None if deadline is None else max(0.0, deadline - self.clock())
        link = self.far.connect(to_text(offer) + (f"@{controller}" if controller else ""), left)
        return HandedOver(link, agreed(offer, request if wrote else b""))

    def listen(self, address: str) -> HandoverListener:
        """Be a tag at ``address`` that leads to a new Bluetooth service; see :meth:`.link.Scheme.listen`."""
        if self.presents is None:
            raise TapError(Code.BAD_INPUT, "a PC/SC reader only reads; to be the tag use nfc+ble: or vpcd+ble:")
        place, controller = _split(address)
        far = self.far.listen(ble.NEW + (f"@{controller}" if controller else ""))
        try:
            end = TagEnd(self.clock)
            return HandoverListener(self.presents.present(place, end), end, far, controller)
        except BaseException:
            far.close()
            raise


NFC = HandoverScheme(nfc.SCHEME, nfc.SCHEME)
PCSC = HandoverScheme(pcsc.SCHEME, None)
VPCD = HandoverScheme(None, vpcd.SCHEME)


def _split(address: str) -> tuple[str, str]:
    place, _, controller = address.partition("@")
    return place, controller


def _exchange(slot: Slot, request: bytes) -> tuple[bytes, bool]:
    """Write a request to a tag, if it takes one, and read its message; let the tag go. Tell whether it took it."""
    wrote = False
    try:
        talk = read_message(request)
        command = next(talk)
        while True:
            answer = slot.transceive(command)
            wrote = wrote or command[1] == _UPDATE
            command = talk.send(answer)
    except StopIteration as stop:
        message: bytes = stop.value
        return message, wrote
    finally:
        slot.release()
