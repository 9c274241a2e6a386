"""Who bears what when a token was overspent (SPEC §16-15 to §16-18): pure arithmetic over one token's leaves.

A token backs its amount once, and its leaves may claim more. What no two of them share is paid first; what is
contested is paid pro rata, those that the evidence names last; the guarantee makes people whole, up to its caps.
What a deposit that was renewed claims was paid by its fresh tokens: it counts beside the rest, and is not paid again.
All amounts are minor units of the token's currency.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, Protocol, TypeVar

from dualtap import limits
from dualtap.suite import sha256
from dualtap_issuer.rules import Leaf, Lot

K = TypeVar("K", bytes, int)
RENEWED: Final = b"renewed"
"""What follows a holder's key in the claim of its renewed deposits: longer, so that it comes next after that key."""


COUNTED: Final = 2**63 - 1
"""The most units that a row counts as claimed or owed: a thief signs for a great token as often as it likes."""


class Caps(NamedTuple):
    """The most that the guarantee pays of one token, to one payee and to all together: terms of the scheme."""

    payee: int = limits.AMOUNT
    token: int = limits.AMOUNT


class Registry(Protocol):
    """Who knows which wallets are bound to a person."""

    def bound(self, keys: Collection[bytes]) -> Collection[bytes]:
        """Return those of these keys that are bound to a person now."""
        ...


class Everybody:
    """The registry of a scheme without one: every wallet is somebody's."""

    def bound(self, keys: Collection[bytes]) -> Collection[bytes]:
        """Return all of them."""
        return keys


EVERYBODY: Final[Registry] = Everybody()


class Share(NamedTuple):
    """What one holder gets of an overspent token: what it claims, what the token backs, what the guarantee adds."""

    token: bytes
    holder: bytes
    claim: int
    backed: int
    guaranteed: int


class Liability(NamedTuple):
    """What a named wallet owes: the units of a token that its evidence proves overspent."""

    token: bytes
    key: bytes
    amount: int


class Ruling(NamedTuple):
    """What a settlement of a token was computed with, beside the statements: recorded, since all of it may change.

    ``accounts`` are the holders whose persons were credited what they never deposited, for good (SPEC §16-25);
    ``None`` in a settlement from before that was recorded.
    """

    epoch: int
    caps: Caps
    bound: frozenset[bytes]
    accounts: frozenset[bytes] | None = None

    def seal(self, token: bytes) -> bytes:
        """Return the digest under which this is recorded for a token."""
        numbers = b"".join(number.to_bytes(8, "big") for number in (self.epoch, *self.caps))
        seal = sha256(b"dualtap settled" + token + numbers + joined(self.bound))
        return seal if self.accounts is None else sha256(b"dualtap accounts" + seal + joined(self.accounts))


def joined(keys: Collection[bytes]) -> bytes:
    """Return keys as one record: joined in order."""
    return b"".join(sorted(keys))


def parted(record: bytes, size: int) -> frozenset[bytes]:
    """Return the keys, of ``size`` bytes each, that :func:`joined` has joined."""
    return frozenset(record[place : place + size] for place in range(0, len(record), size))


def split(total: int, weights: Mapping[K, int]) -> dict[K, int]:
    """Divide a total pro rata: rounded down, and what is left one by one to the largest remainders, then smaller keys.

    The parts add up to the total. No part exceeds its weight if the total does not exceed their sum.
    """
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(weights, 0)
    parts = {key: total * weight // whole for key, weight in weights.items()}
    order = sorted(weights, key=lambda key: (-(total * weights[key] % whole), key))
    for key in order[: total - sum(parts.values())]:
        parts[key] += 1
    return parts


def claims(leaves: Iterable[Leaf]) -> dict[bytes, tuple[int, int]]:
    """Return, by holder, the units that it claims alone, and those that another leaf claims too."""
    leaves = list(leaves)
    edges = sorted([(leaf.start, 1) for leaf in leaves] + [(leaf.end, -1) for leaf in leaves])
    points, before, depth, last, taken = list[int](), list[int](), 0, 0, 0
    for place, change in edges:
        taken += (place - last) * (depth > 1)
        points.append(place)
        before.append(taken)  # contested units below this point
        depth, last = depth + change, place
    found: dict[bytes, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for leaf in leaves:
        low, high = (before[bisect_right(points, edge) - 1] for edge in (leaf.start, leaf.end))
        alone, contested = found[leaf.holder]
        found[leaf.holder] = (alone + leaf.amount - (high - low), contested + high - low)
    return dict(found)


def backing(amount: int, leaves: Iterable[Leaf], named: Collection[bytes]) -> dict[bytes, tuple[int, int]]:
    """Return, by holder, what it claims of a token and how much of that the token backs; ``named`` come last.

    What is backed adds up to the token's amount.
    """
    given = claims(leaves)
    honest = {key: claim for key, claim in given.items() if key not in named}
    pot = amount - sum(alone for alone, _ in honest.values())
    contested = {key: shared for key, (_, shared) in honest.items()}
    first = min(pot, sum(contested.values()))
    parts = split(first, contested)
    backed = {key: alone + parts[key] for key, (alone, _) in honest.items()}
    backed |= split(pot - first, {key: sum(claim) for key, claim in given.items() if key in named})
    return {key: (sum(claim), backed[key]) for key, claim in given.items()}


def short(backed: Mapping[bytes, tuple[int, int]], named: Collection[bytes]) -> list[bytes]:
    """Return the holders that lack something and are not named: whom the guarantee may concern."""
    return sorted(key for key, (claim, part) in backed.items() if part < claim and key not in named)


def owed(
    amount: int, leaves: Iterable[Leaf], named: Collection[bytes], renewed: Collection[bytes]
) -> dict[bytes, tuple[int, int]]:
    """Return what :func:`backing` does, without what ``renewed`` deposits claim: that was paid by fresh tokens.

    Units of such a deposit are a claim apart from its signer's others, so that nobody has less, or more, by them.
    """
    leaves = list(leaves)
    apart = {leaf for leaf in leaves if leaf.lot is Lot.DEPOSITED and leaf.transfer in renewed}
    whose = [leaf._replace(holder=leaf.holder + RENEWED) if leaf in apart else leaf for leaf in leaves]
    last = {*named, *[key + RENEWED for key in named]}
    gone = {leaf.holder + RENEWED for leaf in apart}
    return {key: part for key, part in backing(amount, whose, last).items() if key not in gone}


def shares(
    token: bytes, backed: Mapping[bytes, tuple[int, int]], named: Collection[bytes], ruling: Ruling
) -> list[Share]:
    """Return what each holder gets of an overspent token, in order."""
    lack = {
        key: min(backed[key][0] - backed[key][1], ruling.caps.payee)
        for key in short(backed, named)
        if key in ruling.bound
    }
    paid = lack if sum(lack.values()) <= ruling.caps.token else split(ruling.caps.token, lack)
    return [
        Share(token, key, min(claim, COUNTED), part, paid.get(key, 0)) for key, (claim, part) in sorted(backed.items())
    ]
