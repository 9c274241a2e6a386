"""What kept evidence shows, as a sync tells it (SPEC §21-10): its statements, each where an upload has such."""

from __future__ import annotations

from typing import NamedTuple, cast

from dualtap.book import Book
from dualtap.evidence import decode_evidence
from dualtap.graph import Graph
from dualtap.statements import Outcome, Transfer, TransferBody


class Seen(NamedTuple):
    """Transfers, tokens, certificates and warrants, as a graph; and outcomes."""

    graph: Graph
    outcomes: tuple[Outcome, ...]


def seen_of(book: Book) -> Seen:
    """Return what the evidence that a wallet keeps shows. It was checked before it was kept."""
    graph, outcomes = Graph(), dict[bytes, Outcome]()
    for data in book.warned.values():
        found = decode_evidence(data, book.scheme.root)
        graph.certificates.setdefault(found.certificate.key, found.certificate)
        for token in found.tokens:
            graph.tokens[book.trust.token_id(token)] = token
        for hand in found.transfers:
            graph.put(hand)
        for statement in (found.first, found.second):
            if isinstance(statement.body, TransferBody):
                graph.put(cast("Transfer", statement))
            else:
                outcomes[statement.id] = cast("Outcome", statement)
        if found.warrant is not None:
            graph.warrants[found.first.id] = found.warrant
    return Seen(graph, tuple(outcomes.values()))
