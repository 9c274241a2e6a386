"""A card in any PC/SC reader: ``pcsc:READER``, the reader's name or a part of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dualtap.errors import Code, TapError

from .apdu import split_address
from .foreign import Scard, scard
from .link import Listener
from .nearness import NFC_SECONDS
from .reader_link import ReaderLink, Slot, opened

T = TypeVar("T")

_LOOK_SECONDS = 0.25
"""Seconds between two looks at a card that another program holds, or that has no dualtap."""


class PcscSlot:
    """A connected card, which it owns together with its context."""

    def __init__(self, service: Scard, context: int, card: int, protocol: int) -> None:
        self._service = service
        self._context = context
        self._card = card
        self._pci = service.SCARD_PCI_T0 if protocol == service.SCARD_PROTOCOL_T0 else service.SCARD_PCI_T1

    def transceive(self, apdu: bytes) -> bytes | None:
        """See :meth:`.reader_link.Slot.transceive`."""
        result, answer = self._service.SCardTransmit(self._card, self._pci, list(apdu))
        if result == self._service.SCARD_S_SUCCESS:
            return bytes(byte & 0xFF for byte in answer)
        if result in (self._service.SCARD_E_NOT_TRANSACTED, self._service.SCARD_F_COMM_ERROR):
            return None
        raise TapError(Code.LINK_LOST, f"PC/SC: {self._service.SCardGetErrorMessage(result)}")

    def release(self) -> None:
        """Take the power from the card and let it go."""
        self._service.SCardDisconnect(self._card, self._service.SCARD_UNPOWER_CARD)
        self._service.SCardReleaseContext(self._context)


@dataclass(frozen=True, slots=True)
class PcscScheme:
    """Opens links to cards in PC/SC readers. ``clock`` gives seconds; ``load`` gives PC/SC."""

    round_trip = NFC_SECONDS

    clock: Callable[[], float] = time.monotonic
    load: Callable[[], Scard] = scard

    def connect(self, address: str, timeout: float | None) -> ReaderLink:
        """Return the link to the card in a reader, waiting for one; see :meth:`.link.Scheme.connect`."""
        name, window = split_address(address)
        return self.held(name, timeout, lambda slot: opened(slot, window))

    def held(self, address: str, timeout: float | None, take: Callable[[Slot], T]) -> T:
        """Wait for a card, and return what ``take`` makes of it; see :meth:`.nfc_handover.Reads.held`."""
        service = self.load()
        deadline = None if timeout is None else self.clock() + timeout
        context = _context(service)
        try:
            reader = _reader(service, context, address)
            while True:
                left = _LOOK_SECONDS if deadline is None else max(0.0, deadline - self.clock())
                try:
                    return take(_slot(service, reader))
                except TapError as error:
                    # No card yet, or one without dualtap that may be taken away.
                    if left == 0 or error.code is not Code.LINK_LOST:
                        raise
                _wait(service, context, reader, min(left, _LOOK_SECONDS))
        finally:
            service.SCardReleaseContext(context)

    def listen(self, address: str) -> Listener:
        """Refuse with ``BAD_INPUT``: a PC/SC reader cannot be a card."""
        raise TapError(Code.BAD_INPUT, f"pcsc:{address}: a PC/SC reader only reads; to be the card use nfc: or vpcd:")


SCHEME = PcscScheme()


def _context(service: Scard) -> int:
    result, context = service.SCardEstablishContext(service.SCARD_SCOPE_USER)
    if result != service.SCARD_S_SUCCESS:
        text = service.SCardGetErrorMessage(result)
        raise TapError(Code.BAD_INPUT, f"PC/SC does not answer ({text}): on Linux install and start pcscd")
    return context


def _reader(service: Scard, context: int, name: str) -> str:
    result, readers = service.SCardListReaders(context, [])
    if result not in (service.SCARD_S_SUCCESS, service.SCARD_E_NO_READERS_AVAILABLE):
        raise TapError(Code.BAD_INPUT, f"PC/SC: {service.SCardGetErrorMessage(result)}")
    found = [reader for reader in readers if reader == name] or [r for r in readers if name.lower() in r.lower()]
    if len(found) != 1:
        known = ", ".join(repr(reader) for reader in readers) or "none"
        raise TapError(Code.BAD_INPUT, f"{name!r} names {len(found)} PC/SC readers; there are: {known}")
    return found[0]


def _slot(service: Scard, reader: str) -> PcscSlot:
    """Connect to the card in a reader. Raises ``LINK_LOST`` if there is none to be had."""
    context = _context(service)
    both = service.SCARD_PROTOCOL_T0 | service.SCARD_PROTOCOL_T1
    # Exclusive: another program's commands between ours would end the link.
    result, card, protocol = service.SCardConnect(context, reader, service.SCARD_SHARE_EXCLUSIVE, both)
    if result == service.SCARD_S_SUCCESS:
        return PcscSlot(service, context, card, protocol)
    service.SCardReleaseContext(context)
    if result == service.SCARD_E_SHARING_VIOLATION:
        raise TapError(Code.LINK_LOST, f"another program holds the card in {reader!r}: end that program")
    raise TapError(Code.LINK_LOST, f"no card in {reader!r}: {service.SCardGetErrorMessage(result)}")


def _wait(service: Scard, context: int, reader: str, seconds: float) -> None:
    """Wait for something to change in a reader."""
    result, states = service.SCardGetStatusChange(context, 0, [(reader, service.SCARD_STATE_UNAWARE)])
    if result == service.SCARD_S_SUCCESS:
        service.SCardGetStatusChange(context, int(1000 * seconds), [(reader, states[0][1])])
