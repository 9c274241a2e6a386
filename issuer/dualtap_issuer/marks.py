"""Marks: which statements stand against another of the same key, one for each, however many others there are.

A thief that signs n overlapping statements makes n²/2 pairs of them, but n marks. Each mark's witness, a partner that
proves it, is a function of the set and found when somebody asks (:mod:`dualtap_issuer.naming`); so are all pairs
(:meth:`World.conflicts`). Pure, like the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from dualtap.evidence import Fraud, outcome_of
from dualtap.statements import Parent, Side
from dualtap_issuer.rules import NEVER, Conflict, Kid, World, union

FAR = 2**63
"""Above every unit and every counter."""


class Mark(NamedTuple):
    """A statement of a key that, with another of the same key, proves this fraud.

    For ``DEAD_SPENT``, the transfer that spends: the dead one is another's.
    """

    key: bytes
    fraud: Fraud
    statement: bytes


def chain(items: Iterable[tuple[int, int, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield pairs of different ids whose intervals ``[start, end)`` overlap, fewer than items, and a function of them.

    Every id that overlaps any other is in a pair: with the one before it that reaches farthest, or as that one. Empty
    intervals meet nothing.
    """
    best: tuple[int, int, bytes] | None = None
    for item in sorted({item for item in items if item[0] < item[1]}):
        if best is not None and item[0] < best[1] and item[2] != best[2]:
            yield best[2], item[2]
        if best is None or item[1] > best[1]:
            best = item


def differing(items: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield pairs of outcomes that differ, given by id and what they accept: fewer than items, a function of them.

    If any two differ, every one is in a pair.
    """
    ordered = sorted(set(items))
    first = ordered[0] if ordered else (b"", b"")
    other = next((item for item in ordered if item[1] != first[1]), None)
    if other is None:
        return
    for item in ordered[1:]:
        yield (first[0], item[0]) if item[1] != first[1] else (other[0], item[0])


def both(key: bytes, fraud: Fraud, pairs: Iterable[tuple[bytes, bytes]]) -> set[Mark]:
    """Return the marks of all in these pairs."""
    return {Mark(key, fraud, statement) for pair in pairs for statement in pair}


def marks_of(world: World) -> set[Mark]:
    """Return the mark of every statement that stands against another, whether or not its key has a certificate."""
    found: set[Mark] = set()
    for kids in world.kids.values():
        owner = world.shaped[kids[0].transfer].key if kids else b""
        found |= both(owner, Fraud.FORK, chain((kid.start, kid.end, kid.transfer) for kid in kids))
    tapes: dict[bytes, list[tuple[int, int, bytes]]] = defaultdict(list)
    for statement in world.facts.statements():
        opening = world.facts.openings.get(statement.id)
        if opening is not None:
            tapes[statement.key].append((opening.prev, opening.ctr, statement.id))
    for key, tape in tapes.items():
        found |= both(key, Fraud.TAPE_FORK, chain(tape))
    for (key, _), given in world.answers.items():
        found |= both(key, Fraud.TWO_OUTCOMES, differing((one.id, outcome_of(one)) for one in given))
    for dead in world.dead_at:
        payee = world.facts.transfers[dead].body.payee
        found.update(Mark(payee, Fraud.DEAD_SPENT, kid.transfer) for kid in world.payee_kids(dead))
    return found


def marks_in(conflicts: Iterable[Conflict]) -> set[Mark]:
    """Return the marks of the statements in these pairs."""
    found: set[Mark] = set()
    for key, fraud, first, second in conflicts:
        found.add(Mark(key, fraud, second))
        if fraud is not Fraud.DEAD_SPENT:
            found.add(Mark(key, fraud, first))
    return found


def overspent(world: World, marks: Iterable[Mark], by: Callable[[bytes], int]) -> dict[bytes, dict[bytes, int]]:
    """Return the units of each token beyond its amount that marks prove were spent, by the key that they name.

    ``by`` gives, for a token, the epoch by which statements must have been seen. It counts evidence, not leaves: that
    both agree is what an audit shows.

    SPEC §16-8.
    """
    forks: dict[tuple[bytes, Parent], set[Kid]] = defaultdict(set)
    spent: dict[tuple[bytes, Parent], set[Kid]] = defaultdict(set)
    for key, fraud, statement in set(marks):
        if fraud not in {Fraud.FORK, Fraud.DEAD_SPENT} or statement not in world.shaped:
            continue
        for index, (parent, start, end) in enumerate(world.shaped[statement].body.spans):
            last = by(world.token_of(parent))
            if world.whole_at[statement] > last:
                continue
            if fraud is Fraud.FORK:
                forks[key, parent].add(Kid(start, end, statement, index))
            elif parent.side is Side.PAYEE and world.dead_at.get(parent.id, NEVER) <= last:
                spent[key, parent].add(Kid(start, end, statement, index))
    found: dict[bytes, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
    for (key, parent), kids in forks.items():
        found[world.token_of(parent)][key] += _length(kids) - _measure(kids)
    for (key, parent), kids in spent.items():
        found[world.token_of(parent)][key] += _measure(kids)
    return {
        token: {key: units for key, units in named.items() if units}
        for token, named in found.items()
        if any(named.values())
    }


def _length(kids: Iterable[Kid]) -> int:
    return sum(kid.end - kid.start for kid in kids)


def _measure(kids: Iterable[Kid]) -> int:
    return sum(high - low for low, high in union(((kid.start, kid.end) for kid in kids), 0, FAR))
