"""Who lives in a simulated world, what they carry, and who of them may cheat."""

from __future__ import annotations

from typing import TypeAlias

from dualtap import limits
from dualtap.issued import Carrier
from dualtap.limits import Profile

Person: TypeAlias = tuple[str, Carrier, int, Profile]
"""A name, a carrier, the first token in minor units, and what the device can carry."""
PEOPLE: tuple[Person, ...] = (
    ("anna", Carrier.WATCH, 400, limits.FULL),
    ("ben", Carrier.PHONE, 300, limits.FULL),
    ("card", Carrier.CARD, 200, limits.CARD),
    ("kiosk", Carrier.POS, 0, limits.FULL),
    ("market", Carrier.POS, 0, limits.FULL),
    ("thief", Carrier.PHONE, 300, limits.FULL),
    ("fence", Carrier.POS, 100, limits.FULL),
)
EXPIRES = "card"
"""Whose certificate ends early: it may then heal, sync and deposit, and nothing else."""
EXPIRED = 3
"""Days after which it has ended."""
INFORMED = ("anna", "kiosk", "market")
"""Who syncs once that certificate has ended, and so knows it when it heals."""
SELLS = {"kiosk": 5994, "market": 5411, "fence": 5411}
"""Merchants' categories (ISO 18245); all others have none."""
THIEVES = ("thief", "fence")
"""Who may be cloned, rewound and lie; they collude."""
