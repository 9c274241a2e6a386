"""Makes a failing list shorter: delta debugging (ddmin), until leaving out any one item makes the failure go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(items: Sequence[T], fails: Callable[[Sequence[T]], bool], tries: int = 400) -> list[T]:
    """Return a part of ``items``, in order, that still fails; at most so many are tried."""
    best, parts = list(items), 2
    while len(best) > 1 and tries > 0:
        size = max(1, len(best) // parts)
        for start in range(0, len(best), size):
            rest = best[:start] + best[start + size :]
            tries -= 1
            if rest and fails(rest):
                best, parts = rest, max(2, parts - 1)
                break
            if tries <= 0:
                break
        else:
            if size == 1:
                break
            parts = min(len(best), 2 * parts)
    return best
