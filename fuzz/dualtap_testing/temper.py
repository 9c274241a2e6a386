"""What sort of life a simulated world leads: in half of them some things happen often, and others hardly ever.

An even life shows each act a few times; what needs many of one kind (logs that fill up, doubts that pile up, weeks
without a sync) is seen only where that kind prevails.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from dualtap.issued import Tier
from dualtap.limits import AMOUNT
from dualtap_testing.devices import SMALL, STORE

TIER = Tier(1, payment=1_000, payments=9, receipts=9, received=100_000)
"""The limits of an even life."""
_WEIGHTS = (0.2, 0.5, 1.0, 1.0, 2.0, 5.0)
_BETWEEN_SYNCS = (4, 9, 9, 30, 200)
_RECEIVED = (25, 100_000)
_DAY = (20, 60, AMOUNT, AMOUNT)
_BALANCE = (60, 350, AMOUNT, AMOUNT)


@dataclass(frozen=True)
class Temper:
    """How often each act happens, as a factor; what a wallet may do between syncs; how large logs are, in bytes."""

    seed: str = ""
    tier: Tier = TIER
    store: int = STORE
    card: int = SMALL
    _known: dict[str, float] = field(default_factory=dict[str, float])

    def weight(self, act: str) -> float:
        """Return by what an act's weight is multiplied."""
        if not self.seed:
            return 1.0
        if act not in self._known:
            self._known[act] = random.Random(f"{self.seed}/{act}").choice(_WEIGHTS)  # noqa: S311 - to be repeated
        return self._known[act]


def temper_of(seed: str) -> Temper:
    """Return the temper of the world with this seed."""
    draw = random.Random(f"{seed}/temper")  # noqa: S311 - as above
    if draw.random() < 0.5:
        return Temper()
    most = draw.choice(_BETWEEN_SYNCS)
    tier = TIER._replace(payments=most, receipts=draw.choice((most, 9)))
    store, card = draw.choice((STORE, 320 * 1024)), draw.choice((SMALL, 2 * SMALL))
    tier = tier._replace(received=draw.choice(_RECEIVED), day=draw.choice(_DAY), balance=draw.choice(_BALANCE))
    return Temper(seed, tier, store, card)
