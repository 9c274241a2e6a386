"""A card in this process's memory, and the reader's link to it: every APDU, and no radio."""

from __future__ import annotations

from .apdu import SHORT, Window
from .card_link import HOLD_SECONDS, CardEnd, CardLink
from .reader_link import ReaderLink, Slot, opened


class MemorySlot:
    """A slot whose card answers at once, in the reader's thread."""

    def __init__(self, end: CardEnd) -> None:
        self._end = end

    def transceive(self, apdu: bytes) -> bytes | None:
        """Let the card answer."""
        return self._end.respond(apdu)

    def release(self) -> None:
        """Take the card out of the field."""
        self._end.reset("the reader took the field away")


def pair(window: Window = SHORT, hold: float = HOLD_SECONDS) -> tuple[ReaderLink, CardLink]:
    """Return a reader's link and the link of the card that it selected."""
    end = CardEnd(window, hold=hold)
    slot: Slot = MemorySlot(end)
    reader = opened(slot, window)
    card = end.accept(0)
    end.finished = True
    return reader, card
