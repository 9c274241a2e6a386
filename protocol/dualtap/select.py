"""Which spans to pay with (SPEC §8.4): one span where one will do, from a random end; purpose-bound value first."""

from __future__ import annotations

from typing import NamedTuple

from dualtap.book import Book
from dualtap.conditions import Bound, Case, Here, allowance, witnesses
from dualtap.errors import Code, TapError
from dualtap.records import Holding
from dualtap.statements import Span, WalletCertificate
from dualtap.suite import Drbg
from dualtap.wire import encode_certificate


class Wanted(NamedTuple):
    """What a request asks of a payer: minor units, and at most so many ``spans`` with ``hops`` behind them.

    ``epoch`` is the strictest date known. ``material`` is what the person supplies for conditions (SPEC §5.6).
    """

    amount: int
    currency: str
    epoch: int
    hops: int
    spans: int
    payee: WalletCertificate
    basket: bytes
    material: tuple[bytes, ...] = ()


class Choice(NamedTuple):
    """What to pay with, what that must show, and whether any of it is bound to a purpose."""

    spans: tuple[Span, ...]
    witness: tuple[bytes, ...] = ()
    bound: bool = False


def choose(book: Book, wanted: Wanted, random: Drbg, *, free: bool = False) -> Choice:
    """Return spans that add up to the amount, and whose conditions this payment meets.

    Value bound to a purpose that fits goes first, for it fits few; ``free`` leaves it out. Cutting from a random end
    hides from later hands how much was left. Raises ``INSUFFICIENT``.
    """
    case: Case | None = None
    rooms: dict[bytes, int] = {}
    usable: list[Holding] = []
    for held in book.holdings:
        token = book.graph.tokens[held.token]
        if token.currency != wanted.currency or not book.spendable(held, wanted.epoch, wanted.hops):
            continue
        if token.conditions and token.owner == book.key and held.token not in rooms:
            case = case or _case(book, wanted)
            rooms[held.token] = 0 if free else allowance(book.trust, case, held.token, token)
        usable.append(held)
    chosen = _pick(book, wanted, usable, rooms, random)
    bound: dict[bytes, Bound] = {}
    for held in chosen:
        if held.token in rooms:
            spent = bound[held.token].amount if held.token in bound else 0
            bound[held.token] = Bound(book.graph.tokens[held.token], spent + held.amount)
    spans = tuple(Span(piece.parent, piece.start, piece.end) for piece in chosen)
    if case is None or not bound:
        return Choice(spans)
    return Choice(spans, witnesses(book.trust, case, bound), bound=True)


def _case(book: Book, wanted: Wanted) -> Case:
    """Return what this payment's conditions are judged by, with all that it could carry as witnesses."""
    material = (*wanted.material, encode_certificate(wanted.payee))
    return Case(wanted.payee.key, book.trust.epoch, material, Here(wanted.epoch, wanted.basket))


def _pick(book: Book, wanted: Wanted, usable: list[Holding], rooms: dict[bytes, int], random: Drbg) -> list[Holding]:
    """Return the pieces to pay with; ``rooms`` says how many units of a bound token may be spent."""

    def most(held: Holding) -> int:
        return min(held.amount, rooms.get(held.token, held.amount))

    def unbound(held: Holding) -> bool:
        return held.token not in rooms

    fitting = [held for held in usable if most(held)]
    enough = [held for held in fitting if most(held) >= wanted.amount]
    if enough and wanted.spans:
        best = min(enough, key=lambda held: (unbound(held), book.graph.origin(held.parent).hops, held.amount))
        return _take(wanted.amount, [best], rooms, random)[0]
    by_size = sorted(fitting, key=lambda held: -most(held))
    orders = [sorted(by_size, key=unbound), by_size] if rooms else [by_size]
    left = 0
    for order in orders:
        chosen, left = _take(wanted.amount, order, rooms, random)
        if not left and len(chosen) <= wanted.spans:
            return chosen
    if left and sum(held.amount for held in usable) < wanted.amount:
        raise TapError(Code.INSUFFICIENT)
    if left and rooms:
        raise TapError(Code.INSUFFICIENT, "the rest is bound to another purpose")
    raise TapError(Code.INSUFFICIENT, "the value is in too many pieces; a sync merges them")


def _take(amount: int, order: list[Holding], rooms: dict[bytes, int], random: Drbg) -> tuple[list[Holding], int]:
    """Return pieces of these holdings, in this order, and how many units of the amount are still missing."""
    room = dict(rooms)
    chosen: list[Holding] = []
    left = amount
    for held in order:
        if any(held.token == c.token and held.start < c.end and c.start < held.end for c in chosen):
            continue
        take = min(left, held.amount, room.get(held.token, left))
        if not take:
            continue
        piece = held._replace(end=held.start + take)
        if random.below(2):
            piece = held._replace(start=held.end - take)
        chosen.append(piece)
        left -= take
        if held.token in room:
            room[held.token] -= take
        if not left:
            break
    return chosen, left
