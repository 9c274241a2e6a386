"""In which life of its seed each seeded bug was found last, where that is not the first: it is tried first."""

from __future__ import annotations

from typing import Final

FOUND: Final[dict[str, int]] = {
    "parent not checked": 7,
    "sides not checked": 9,
    "any place signed": 1,
    "no quarantine": 2,
    "expired cannot heal": 11,
    "conflict not seen": 6,
    "refund too much": 1,
    "one payment more": 2,
    "paid, says the screen": 6,
    "no date is brought": 2,
    "header too far ahead": 3,
    "date goes back": 3,
    "hotlist blocks healing": 11,
    "outcome not verified": 5,
    "former key not asked for": 1,
    "compaction loses doubts": 5,
    "predecessor unknown": 36,
    "told too much": 7,
    "signed, then written": 5,
}
