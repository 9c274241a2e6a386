"""The card's end of ISO-DEP (ISO/IEC 14443-4), without I/O: blocks in, blocks and whole APDUs out.

For devices that listen but leave the blocks to the host, as all that nfcpy drives do. No CID, no NAD, 106 kbit/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dualtap.errors import Code, TapError

FWI = 8
FRAME_WAITING_SECONDS = 4096 / 13.56e6 * 2**FWI
"""Seconds that a reader waits for a block: 77 ms, to which S(WTX) adds as many again."""
ATS = bytes([5, 0x78, 0x80, FWI << 4, 0])
"""What RATS is answered with: blocks of 256 bytes; nfcpy reads TB(1) at a fixed place, so that TA(1) must be there."""
_SENSING = (b"\x26", b"\x52")
"""REQA and WUPA: no reader says them to a card that it holds."""
_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)
_RATS, _DESELECT, _WTX, _PPS = 0xE0, 0xC2, 0xF2, 0xD0
_FRAMING = 3
"""Bytes of a block that are not its payload: PCB and CRC."""


@dataclass(frozen=True, slots=True)
class Say:
    """Send this block, or nothing, and wait for the next."""

    block: bytes | None


@dataclass(frozen=True, slots=True)
class Deliver:
    """A command APDU has arrived whole: :meth:`IsoDepCard.answer` or :meth:`IsoDepCard.wait` is due."""

    apdu: bytes


@dataclass(frozen=True, slots=True)
class Leave:
    """The reader has deselected this card: send this block; nothing follows."""

    block: bytes


Step: TypeAlias = Say | Deliver | Leave


class IsoDepCard:
    """One activation. Takes command APDUs of up to ``longest`` bytes."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._room = _SIZES[2] - _FRAMING
        self._number = 1
        self._last: bytes | None = None
        self._command = bytearray()
        self._answer = b""

    def block(self, data: bytes) -> Step:
        """Take a block from the reader.

        The activation is over when it raises: ``TOO_LARGE`` for a chain that never ends, ``LINK_LOST`` where the
        reader begins anew.
        """
        if not data:
            return Say(None)
        if data in _SENSING:
            raise TapError(Code.LINK_LOST, "the reader began anew")
        first = data[0]
        if first == _RATS and len(data) == 2:
            self._room = _SIZES[min(data[1] >> 4, 8)] - _FRAMING
            return Say(ATS)
        if first & 0xF0 == _PPS:
            return Say(bytes([first]))
        if first == _DESELECT:
            return Leave(data[:1])
        if first & 0xEE == 0x02:
            return self._information(data)
        if first & 0xEE == 0xA2:
            return self._acknowledged(first)
        # S(WTX) is answered where it was asked for; what else this may be is no block of ISO-DEP.
        return Say(None)

    def answer(self, apdu: bytes) -> bytes:
        """Return the first block of an answer APDU."""
        self._answer = apdu
        return self._next_block()

    def wait(self) -> bytes:
        """Return S(WTX): give me as long again."""
        self._last = bytes([_WTX, 1])
        return self._last

    @staticmethod
    def is_waiting(data: bytes) -> bool:
        """Tell whether a block grants the time that :meth:`wait` asked for."""
        return data[:1] == bytes([_WTX])

    def _information(self, data: bytes) -> Step:
        # Following the reader's number instead of turning one's own keeps both in step after a late answer.
        self._number = data[0] & 1
        self._answer = b""
        self._command += data[1:]
        if len(self._command) > self._longest:
            raise TapError(Code.TOO_LARGE, f"a command APDU of more than {self._longest} bytes")
        if data[0] & 0x10:
            self._last = bytes([0xA2 | self._number])
            return Say(self._last)
        apdu = bytes(self._command)
        self._command.clear()
        return Deliver(apdu)

    def _acknowledged(self, first: int) -> Step:
        negative, number = bool(first & 0x10), first & 1
        if number == self._number:
            return Say(self._last)
        if negative:
            return Say(bytes([0xA2 | self._number]))
        if not self._answer:
            return Say(None)
        self._number = number
        return Say(self._next_block())

    def _next_block(self) -> bytes:
        part, self._answer = self._answer[: self._room], self._answer[self._room :]
        self._last = bytes([(0x12 if self._answer else 0x02) | self._number]) + part
        return self._last
