"""Who is named, asked of a store: which rows meet, which statements are marked, and one witness for each.

Nothing here enumerates pairs. What is new is merged into few intervals, what meets those is fetched, and one sweep
finds every statement that overlaps another: an upload costs what it holds and what it meets, once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dualtap.evidence import Fraud
from dualtap.statements import Parent, Side
from dualtap_issuer.marks import FAR, Mark, both, chain, differing
from dualtap_issuer.rows import OutcomeRow, PlaceRow, SpanRow
from dualtap_issuer.rules import Conflict, conflict_of, union

if TYPE_CHECKING:
    from dualtap_issuer.index import Index

Interval = tuple[int, int, bytes]
"""``[start, end)`` and the id of the statement that takes it."""


def overlapping(store: Index, spans: Iterable[SpanRow]) -> dict[Parent, set[Interval]]:
    """Return, by parent, the spans that share a unit with any of these; they themselves are among them."""
    taken: dict[tuple[bytes, Parent], list[tuple[int, int]]] = defaultdict(list)
    for span in spans:
        taken[span.token, span.origin].append((span.start, span.end))
    query = (
        'SELECT s.parent, s.side, s.place, s.start, s."end", s.transfer FROM {wanted} CROSS JOIN span s '
        "WHERE s.token = w.a AND s.parent = w.b AND s.side = w.c AND s.place = w.d AND s.start < w.f "
        'AND s."end" > w.e'
    )
    wanted = [(token, *parent, *part) for (token, parent), parts in taken.items() for part in union(parts, 0, FAR)]
    found: dict[Parent, set[Interval]] = defaultdict(set)
    for parent, side, place, start, end, transfer in store.ask(query, sorted(wanted)):
        found[Parent(parent, Side(side), place)].add((start, end, transfer))
    return found


def beside(store: Index, places: Iterable[PlaceRow]) -> dict[bytes, set[Interval]]:
    """Return, by key, the places on its tape that meet any of these; they themselves are among them."""
    taken: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for place in places:
        taken[place.key].append((place.prev, place.ctr))
    # Honest places are short: only long ones, of which there is an index, can reach far.
    query = (
        "SELECT t.key, t.prev, t.ctr, t.id FROM {wanted} CROSS JOIN tape t WHERE t.key = w.a AND t.prev < w.c "
        "AND t.ctr > w.b AND t.prev < t.ctr AND "
    )
    wanted = sorted((key, *part) for key, parts in taken.items() for part in union(parts, 0, FAR))
    rows = store.ask(query + "t.prev > w.b - 64 AND t.ctr - t.prev <= 64", wanted)
    rows += store.ask(query + "t.ctr - t.prev > 64", wanted)
    found: dict[bytes, set[Interval]] = defaultdict(set)
    for key, prev, ctr, statement in rows:
        found[key].add((prev, ctr, statement))
    return found


def forks(store: Index, spans: Iterable[SpanRow], owners: dict[bytes, bytes]) -> set[Mark]:
    """Return the marks of all transfers that overlap, where any of these spans is; ``owners`` signed these."""
    spans = list(spans)
    signed = {span.origin: owners[span.transfer] for span in spans}  # all that is cut from a parent, one key signed
    found: set[Mark] = set()
    for parent, taken in overlapping(store, spans).items():
        found |= both(signed[parent], Fraud.FORK, chain(taken))
    return found


def tape_forks(store: Index, places: Iterable[PlaceRow]) -> set[Mark]:
    """Return the marks of all statements whose places meet, where any of these places is."""
    found: set[Mark] = set()
    for key, taken in beside(store, places).items():
        found |= both(key, Fraud.TAPE_FORK, chain(taken))
    return found


def two_outcomes(rows: Iterable[OutcomeRow]) -> set[Mark]:
    """Return the marks of the outcomes that differ from another of the same request; all of a request are given."""
    found: set[Mark] = set()
    for key, fraud, first, second in _differing(rows):
        found |= {Mark(key, fraud, first), Mark(key, fraud, second)}
    return found


def _differing(rows: Iterable[OutcomeRow]) -> set[Conflict]:
    given: dict[tuple[bytes, bytes], list[tuple[bytes, bytes]]] = defaultdict(list)
    for row in rows:
        given[row.key, row.request].append((row.id, row.transfer))
    return {
        conflict_of(key, Fraud.TWO_OUTCOMES, one, other)
        for (key, _), outcomes in given.items()
        for one, other in differing(outcomes)
    }


# Witnesses


def conflicts(store: Index) -> list[Conflict]:
    """Return pairs that prove every mark: fewer than marks, each mark in one, and a function of the set.

    In an order that depends on nothing but themselves.
    """
    marks = store.marks()
    return sorted(_forked(store, marks) | _taped(store) | _differing(_outcomes(store)) | _spent(store, marks))


def _forked(store: Index, marks: list[Mark]) -> set[Conflict]:
    signed = {mark.statement: mark.key for mark in marks if mark.fraud is Fraud.FORK}
    cut: dict[Parent, list[Interval]] = defaultdict(list)
    owner: dict[Parent, bytes] = {}
    for span in store.spans(signed):
        cut[span.origin].append((span.start, span.end, span.transfer))
        owner[span.origin] = signed[span.transfer]
    return {
        conflict_of(owner[parent], Fraud.FORK, one, other)
        for parent, items in cut.items()
        for one, other in chain(items)
    }


def _taped(store: Index) -> set[Conflict]:
    query = (
        "SELECT t.key, t.prev, t.ctr, t.id FROM (SELECT DISTINCT key FROM mark WHERE fraud = %s) k "
        "CROSS JOIN tape t CROSS JOIN mark m "
        "WHERE t.key = k.key AND m.key = t.key AND m.fraud = %s AND m.statement = t.id"
    )
    tapes: dict[bytes, list[Interval]] = defaultdict(list)
    for key, prev, ctr, statement in store.ask(query, values=(int(Fraud.TAPE_FORK),) * 2):
        tapes[key].append((prev, ctr, statement))
    return {
        conflict_of(key, Fraud.TAPE_FORK, one, other) for key, items in tapes.items() for one, other in chain(items)
    }


def _outcomes(store: Index) -> list[OutcomeRow]:
    query = (
        "SELECT o.key, o.request, o.id, o.transfer FROM (SELECT DISTINCT key FROM mark WHERE fraud = %s) k "
        "CROSS JOIN outcome o CROSS JOIN mark m "
        "WHERE o.key = k.key AND m.key = o.key AND m.fraud = %s AND m.statement = o.id"
    )
    return [OutcomeRow(*row) for row in store.ask(query, values=(int(Fraud.TWO_OUTCOMES),) * 2)]


def _spent(store: Index, marks: list[Mark]) -> set[Conflict]:
    """Return, for each that spends what is dead, the dead transfer with the smallest id."""
    signed = {mark.statement: mark.key for mark in marks if mark.fraud is Fraud.DEAD_SPENT}
    behind = [span for span in store.spans(signed) if span.side == Side.PAYEE]
    dead = dead_among(store, {span.parent for span in behind})
    first: dict[bytes, bytes] = {}
    for span in behind:
        if span.parent in dead:
            first[span.transfer] = min(span.parent, first.get(span.transfer, span.parent))
    return {Conflict(signed[spender], Fraud.DEAD_SPENT, parent, spender) for spender, parent in first.items()}


def dead_among(store: Index, transfers: Iterable[bytes]) -> set[bytes]:
    """Return those of these transfers whose request has another outcome than their Receipt."""
    asked = store.asked(transfers)
    given: dict[tuple[bytes, bytes], set[bytes]] = defaultdict(set)
    for row in store.outcomes((one.payee, one.request) for one in asked):
        given[row.key, row.request].add(row.transfer)
    return {one.transfer for one in asked if given[one.payee, one.request] - {one.transfer}}
