"""What a wallet hands back at a sync for fresh tokens (SPEC §14-23): value that few will soon take, or nobody."""

from __future__ import annotations

from dualtap import limits
from dualtap.book import Book
from dualtap.conditions import Rule
from dualtap.records import Holding


def worn(book: Book) -> list[Holding]:
    """Return the holdings that a sync replaces: restored value, and what a card, or anybody, may no longer take.

    The wallet's own value with conditions keeps them, so that it is left where a renewal could not be spent: past its
    last day, where a second signature names the old token, or where its uses are counted.
    """
    return [holding for holding in book.holdings if _is_worn(book, holding) and _is_renewable(book, holding)]


def renewable(book: Book) -> list[Holding]:
    """Return all that can be handed in for fresh tokens: what a retired key gives back (SPEC §20-9)."""
    return [holding for holding in book.holdings if _is_renewable(book, holding)]


def _is_worn(book: Book, holding: Holding) -> bool:
    origin, token = book.graph.origin(holding.parent), book.graph.tokens[holding.token]
    return origin.restored > 0 or origin.hops >= min(limits.CARD_HOPS, token.hops) > 0


def _is_renewable(book: Book, holding: Holding) -> bool:
    token = book.graph.tokens[holding.token]
    if book.trust.epoch > token.claim_by:
        return False
    if not token.conditions or token.owner != book.key:
        return True
    old = any(one.code in (Rule.SIGNED, Rule.COUNT) for one in token.conditions)
    return book.trust.epoch <= token.spend_by and not old
