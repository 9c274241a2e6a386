"""Evidence that a payee makes of what it refuses as spent (SPEC §21-9): it knows one half, and is shown the other."""

from __future__ import annotations

from contextlib import suppress

from dualtap import limits
from dualtap.account import ENTRY_ROOM
from dualtap.book import Book
from dualtap.errors import TapError
from dualtap.evidence import Evidence, dead_spent, encode_evidence, fork, tape_fork
from dualtap.graph import Graph, Interval
from dualtap.provenance import rebuild
from dualtap.records import Warned
from dualtap.statements import Parent, Side, Transfer
from dualtap.verdict import verify_evidence
from dualtap.wire import TransferMessage


def warnings_of(book: Book, message: TransferMessage, request: bytes) -> tuple[Warned, ...]:
    """Return the evidence that a refused message gives, together with what is known here: at most one piece.

    None where what is shown proves nothing by itself, is too long to keep, or finds no room in the log.
    """
    with suppress(TapError):
        received = rebuild(book.trust, message, book.key, request)
        found = _conflict(book, received.graph, received.transfer)
        if found is not None:
            data = encode_evidence(found)
            key = verify_evidence(data, book.scheme.root).key
            if len(data) <= limits.EVIDENCE and key not in book.warned and key != book.key:
                book.reserve(len(data) + book.profile.message + 2 * ENTRY_ROOM)
                return (Warned(key, data),)
    return ()


def _conflict(book: Book, shown: Graph, transfer: Transfer) -> Evidence | None:
    """Return the first conflict of what is shown with itself, or with what is known."""
    graph = Graph()
    graph.add(book.graph)
    graph.add(shown)
    graph.put(transfer)
    for hand in (*shown.transfers.values(), transfer):
        for parent, start, end in hand.body.spans:
            for other in _overlapping(graph.spends.get(parent, []), start, end, hand.id):
                return fork(book.trust, graph, hand, graph.transfers[other])
            warrant = graph.warrants.get(parent.id)
            if parent.side is Side.PAYEE and warrant is not None:
                return dead_spent(book.trust, graph, graph.transfers[parent.id], warrant, hand)
        opening = hand.opening
        if opening is not None:
            for other in _overlapping(graph.tapes.get(hand.key, []), opening.prev, opening.ctr, hand.id):
                one, two = hand, graph.transfers[other]
                places = (opening.tape(), two.shown().tape())
                return tape_fork(book.trust, graph.certificates[hand.key], one, two, *places)
    return _dead_spent(book, graph, shown)


def _dead_spent(book: Book, graph: Graph, shown: Graph) -> Evidence | None:
    """Return the evidence that a payee whose side is known to be spent closed that transfer's request."""
    for dead, warrant in shown.warrants.items():
        for place in range(limits.SPANS):
            for taken in graph.spends.get(Parent(dead, Side.PAYEE, place), []):
                spender = graph.transfers[taken.transfer]
                return dead_spent(book.trust, graph, graph.transfers[dead], warrant, spender)
    return None


def _overlapping(taken: list[Interval], start: int, end: int, but: bytes) -> list[bytes]:
    return [one.transfer for one in taken if one.start < end and start < one.end and one.transfer != but]
