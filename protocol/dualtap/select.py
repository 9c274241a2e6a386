"""Which spans to pay with (SPEC §8.4): one span where one will do, from a random end."""

from __future__ import annotations

from dualtap.book import Book
from dualtap.errors import Code, TapError
from dualtap.records import Holding
from dualtap.statements import Span
from dualtap.suite import Drbg


def choose(book: Book, amount: int, currency: str, epoch: int, hops: int, most: int, random: Drbg) -> tuple[Span, ...]:
    """Return at most ``most`` spans that add up to ``amount`` minor units, for a payee that takes ``hops``.

    Raises ``INSUFFICIENT``. Cutting from a random end hides from later hands how much was left.
    """
    usable = [
        held
        for held in book.holdings
        if book.graph.tokens[held.token].currency == currency and book.spendable(held, epoch, hops)
    ]
    if sum(held.amount for held in usable) < amount:
        raise TapError(Code.INSUFFICIENT)
    enough = [held for held in usable if held.amount >= amount]
    if enough:
        usable = [min(enough, key=lambda held: (book.graph.origin(held.parent).hops, held.amount))]
    else:
        usable.sort(key=lambda held: -held.amount)
    chosen: list[Holding] = []
    left = amount
    for held in usable:
        if any(held.token == c.token and held.start < c.end and c.start < held.end for c in chosen):
            continue
        take = min(left, held.amount)
        piece = held._replace(end=held.start + take)
        if random.below(2):
            piece = held._replace(start=held.end - take)
        chosen.append(piece)
        left -= take
        if not left:
            break
    if left or len(chosen) > most:
        raise TapError(Code.INSUFFICIENT, "the value is in too many pieces; a sync merges them")
    return tuple(Span(piece.parent, piece.start, piece.end) for piece in chosen)
