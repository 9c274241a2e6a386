"""How long NFC takes: ISO-DEP (ISO/IEC 14443-4, type A) by its formulas, with nothing that no standard names.

A character is 9 elementary time units (etu), parity included; a frame has two bytes of CRC, a start and a stop. An etu
is 128/fc at 106 kbit/s. Block sizes and chaining are ISO/IEC 14443-4's, the delays ISO/IEC 14443-3's and the NFC
Forum's for a reader. Real readers are slower by the time that their drivers take; polling is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

FC = 13_560_000
"""Carrier frequency in hertz."""
RATES = (106, 212, 424, 848)
"""Kilobits a second, nominally; each doubles the last."""
ACTIVATION_SECONDS = 0.011
"""From the field's answer to the first block: REQA, anticollision, SELECT, RATS. Without polling for a card."""
CARD_TURN_SECONDS = 1172 / FC
"""The least time between a reader's frame and a card's answer."""
READER_TURN_SECONDS = 6780 / FC
"""The least time between a card's answer and the reader's next frame."""
_FRAMING = 3
"""Bytes of a block that are not its payload: PCB and CRC."""
_CRC = 2
_WTX = 2
"""Bytes of S(WTX), without CRC: PCB and multiplier."""


@dataclass(frozen=True, slots=True)
class Nfc:
    """A field: the ``rate`` (one of :data:`RATES`), the ``block`` size both ways, and the card's waiting time FWI."""

    rate: int = 106
    block: int = 256
    fwi: int = 8

    def __post_init__(self) -> None:
        """Refuse with :class:`ValueError` what no field has."""
        if self.rate not in RATES or not 16 <= self.block <= 256 or not 0 <= self.fwi <= 14:
            raise ValueError(f"no such field: {self}")

    @property
    def etu(self) -> float:
        """Seconds of an elementary time unit."""
        return 128 / FC / (1 << RATES.index(self.rate))

    @property
    def waiting(self) -> float:
        """Seconds that a reader waits for an answer before the card must ask for more: FWT."""
        return 4096 / FC * (1 << self.fwi)

    def frame(self, size: int) -> float:
        """Return the seconds on the air of a frame of ``size`` bytes, PCB included and CRC not."""
        return ((size + _CRC) * 9 + 2) * self.etu

    def apdu(self, command: int, answer: int, computing: float = 0.0) -> float:
        """Return the seconds from a command of ``command`` bytes to the moment when the next may be sent.

        The card computes for ``computing`` seconds between the command and its ``answer`` (bytes, status word
        included), and asks for time as often as it must.
        """
        return self.spoken(command) + max(computing, CARD_TURN_SECONDS) + self.waits(computing) + self.spoken(answer, 0)

    def spoken(self, size: int, turn: float = CARD_TURN_SECONDS) -> float:
        """Return the seconds of one APDU, its blocks and their acknowledgements; a card's (``turn`` 0) ends by the
        reader's turn, which comes before its next frame."""
        blocks = list(self._blocks(size))
        acknowledged = self.frame(1) + CARD_TURN_SECONDS + READER_TURN_SECONDS
        last = READER_TURN_SECONDS if turn == 0 else 0.0
        return sum(map(self.frame, blocks)) + (len(blocks) - 1) * acknowledged + last

    def waits(self, computing: float) -> float:
        """Return the seconds by which asking for time prolongs ``computing`` seconds of a card's work."""
        times = max(0, math.ceil(computing / self.waiting) - 1)
        return times * (2 * self.frame(_WTX) + READER_TURN_SECONDS)

    def _blocks(self, size: int) -> Iterator[int]:
        """Yield the bytes of each block, PCB included and CRC not."""
        room = self.block - _FRAMING
        for start in range(0, max(size, 1), room):
            yield 1 + min(room, size - start)
