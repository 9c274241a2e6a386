"""What the guarantee adds where a token was overspent, as a checker (SPEC §16-9, §16-16), apart from the core."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from dualtap_testing.checkers import PromiseBroken

NO_CAP = 2**53 - 1


class Most(NamedTuple):
    """The caps of the guarantee in minor units: to one payee of one token, and to all payees of it."""

    payee: int = NO_CAP
    token: int = NO_CAP


class Given(NamedTuple):
    """What a holder of an overspent token claimed, what the token backed of it, and what the guarantee added."""

    token: bytes
    holder: bytes
    claim: int
    backed: int
    added: int


def most_of(seed: str) -> Most:
    """Return the caps of the world with this seed: some bind, some do not."""
    draw = random.Random(f"{seed}/guarantee")  # noqa: S311 - a simulation's, to be repeated
    return draw.choice((Most(), Most(2, 30), Most(40, 3), Most(3, 4)))


def check_guarantee(shares: Iterable[Given], named: set[tuple[bytes, bytes]], most: Most) -> None:
    """Raise unless who was cheated is made whole up to both caps, and a cheat never.

    ``named`` are tokens with who is liable for each; everybody in a simulated world is bound to a person.
    """
    by_token: dict[bytes, list[Given]] = defaultdict(list)
    for one in shares:
        by_token[one.token].append(one)
    for token, parts in by_token.items():
        due = {one.holder: min(one.claim - one.backed, most.payee) for one in parts if (token, one.holder) not in named}
        total = sum(due.values())
        for one in parts:
            if one.added > due.get(one.holder, 0):
                raise PromiseBroken(1, "the guarantee pays more than a payee lacks, or than its cap")
            if total <= most.token and one.added < due.get(one.holder, 0):
                raise PromiseBroken(2, "the guarantee pays less than a payee lacks, below its caps")
        paid = sum(one.added for one in parts)
        if paid != min(total, most.token):
            raise PromiseBroken(1 if paid > most.token else 2, "the guarantee of a token pays another sum than its cap")
        for one, other in ((one, other) for one in parts for other in parts):
            mine, theirs = due.get(one.holder, 0), due.get(other.holder, 0)
            if abs(one.added * theirs - other.added * mine) >= mine + theirs > 0 and total > most.token:
                raise PromiseBroken(2, "the guarantee of a token is not divided by what each payee lacks")
