"""Who gets what of an overspent token, unit by unit, from SPEC §16-15 to §16-17 alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple


class Claimant(NamedTuple):
    """Who claims: a holder, or what it handed in for fresh tokens, which is a claim apart and comes next after it."""

    holder: bytes
    renewed: bool = False


class Part(NamedTuple):
    """What one holder claims of a token, what the token backs of it, and what the guarantee adds."""

    holder: bytes
    claim: int
    backed: int
    guaranteed: int


def divide(total: int, weights: Mapping[Claimant, int]) -> dict[Claimant, int]:
    """Return a total pro rata (SPEC §16-17)."""
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(weights, 0)
    exact = {key: Fraction(total * weight, whole) for key, weight in weights.items()}
    parts = {key: int(part) for key, part in exact.items()}
    for key in sorted(weights, key=lambda one: (parts[one] - exact[one], one))[: total - sum(parts.values())]:
        parts[key] += 1
    return parts


def parts_of(
    units: Iterable[Collection[Claimant]],
    named: Collection[bytes],
    bound: Collection[bytes],
    caps: tuple[int, int],
) -> list[Part]:
    """Return what everybody gets of a token: ``units`` has the claims on each of its units.

    ``named`` are those whom its evidence names, ``bound`` those bound to a person; ``caps`` are those of a payee and of
    the token. What was renewed is paid by its fresh tokens, and is not among the parts.
    """
    alone, contested, amount = Counter[Claimant](), Counter[Claimant](), 0
    for claims in units:
        amount += 1
        for one in claims:
            (contested if len(claims) > 1 else alone)[one] += 1
    everybody = alone.keys() | contested.keys()
    claim = {one: alone[one] + contested[one] for one in everybody}
    honest = {one for one in everybody if one.holder not in named}
    left = amount - sum(alone[one] for one in honest)
    first = min(left, sum(contested[one] for one in honest))
    backed = {one: part + alone[one] for one, part in divide(first, {one: contested[one] for one in honest}).items()}
    backed |= divide(left - first, {one: claim[one] for one in everybody - honest})
    payee, token = caps
    lack = {one: min(claim[one] - backed[one], payee) for one in honest if one.holder in bound and not one.renewed}
    paid = lack if sum(lack.values()) <= token else divide(token, lack)
    return [Part(one.holder, claim[one], backed[one], paid.get(one, 0)) for one in sorted(everybody) if not one.renewed]


class People:
    """A registry in which these are bound to a person."""

    def __init__(self, keys: Collection[bytes]) -> None:
        self._keys = keys

    def bound(self, keys: Collection[bytes]) -> list[bytes]:
        """Return those of these keys that are bound."""
        return [key for key in keys if key in self._keys]
