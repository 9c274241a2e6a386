"""What became of a transfer, as its issuer tells the wallet that made it (SPEC §14-27 and §16-12)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from dualtap.codec import Check, digest, enumeration, epoch, money, record


class Standing(IntEnum):
    """Where a transfer stands at its issuer's."""

    RECEIVED = 1
    """A deposit is there, and something behind it is not: it is credited once that comes."""
    AT_RISK = 2
    """A deposit is credited, until somebody proves an overspend."""
    FINAL = 3
    """Its tokens are settled: nothing changes any more."""
    RENEWED = 4
    """Fresh tokens have taken a deposit's place."""
    IN_DOUBT = 5
    """A payment's outcome is not known; at the date, the ledger settles it."""


class Settlement(NamedTuple):
    """How a transfer stands; ``epoch`` is until when, the last ``claim_by`` of its tokens, and of ``FINAL`` since.

    ``amount`` is what it credits, in minor units; where it credits nothing yet, what it hands over.
    """

    transfer: bytes
    standing: Standing
    epoch: int
    amount: int


settlement_check: Final[Check[Settlement]] = record(Settlement, digest, enumeration(Standing), epoch, money)

OPEN: Final = frozenset({Standing.RECEIVED, Standing.AT_RISK, Standing.IN_DOUBT})
"""What a wallet asks after at its next sync."""
