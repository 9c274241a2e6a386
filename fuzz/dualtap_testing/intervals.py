"""Arithmetic of intervals of units, ``[start, end)``, for the checkers: nothing of it is the core's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def minus(parts: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return these parts without ``[start, end)``."""
    rest: list[tuple[int, int]] = []
    for low, high in parts:
        rest += [(a, b) for a, b in ((low, min(high, start)), (max(low, end), high)) if a < b]
    return rest


def size_of(parts: Iterable[tuple[int, int]]) -> int:
    """Return how many units these parts have together."""
    return sum(end - start for start, end in parts)


def joined(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return these intervals in order, those that touch as one; those that overlap stay apart, and are seen."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(parts):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def surplus(parts: list[tuple[int, int]], others: list[tuple[int, int]]) -> int:
    """Return the units of these parts that the others do not have."""
    have = Counter(unit for start, end in parts for unit in range(start, end))
    have.subtract(unit for start, end in others for unit in range(start, end))
    return sum(count for count in have.values() if count > 0)
