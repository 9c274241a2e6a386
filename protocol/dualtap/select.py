"""Which spans to pay with (SPEC §8.4): one span where one will do, from a random end; purpose-bound value first."""

from __future__ import annotations

from typing import NamedTuple

from dualtap.book import Book
from dualtap.conditions import Bound, Case, Here, allowance, witnesses
from dualtap.errors import Code, TapError
from dualtap.forms import encode_certificate
from dualtap.issued import WalletCertificate
from dualtap.records import Holding
from dualtap.statements import Span
from dualtap.suite import Drbg


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
    rules = _Rules({}, {}, set())
    rooms = rules.rooms
    usable: list[Holding] = []
    for held in book.holdings:
        token = book.graph.tokens[held.token]
        if token.currency != wanted.currency or not book.spendable(held, wanted.epoch, wanted.hops):
            continue
        if token.conditions and token.owner == book.key and held.token not in rooms:
            case = case or _case(book, wanted)
            rooms[held.token] = 0 if free else allowance(book.trust, case, held.token, token)
        usable.append(held)
    chosen = _pick(book, wanted, _told_apart(book, usable, rules), rules, random)
    bound: dict[bytes, Bound] = {}
    for held in chosen:
        if held.token in rooms:
            spent = bound.get(held.token, Bound(book.graph.tokens[held.token]))
            bound[held.token] = spent.plus(held.start, held.end, book.graph.origin(held.parent).hops)
    spans = tuple(Span(piece.parent, piece.start, piece.end) for piece in chosen)
    if case is None or not bound:
        return Choice(spans)
    return Choice(spans, witnesses(book.trust, case, bound), bound=True)


def _case(book: Book, wanted: Wanted) -> Case:
    """Return what this payment's conditions are judged by, with all that it could carry as witnesses."""
    material = (*wanted.material, encode_certificate(wanted.payee))
    return Case(wanted.payee.key, book.trust.epoch, material, Here(wanted.epoch, wanted.basket))


class _Rules(NamedTuple):
    """What binds a choice: how many units of a bound token may be spent; of a counted one the use that must be among
    them, ``None`` where none is left; and the further uses, which are spent last.
    """

    rooms: dict[bytes, int]
    uses: dict[bytes, Holding | None]
    spare: set[Holding]


def _told_apart(book: Book, usable: list[Holding], rules: _Rules) -> list[Holding]:
    """Return holdings with the uses of counted tokens apart from their other units (SPEC §5.6-15)."""
    found: list[Holding] = []
    counted: dict[bytes, list[Holding]] = {}
    for held in usable:
        number = book.uses_in(held) if rules.rooms.get(held.token) else None
        if number is None:
            found.append(held)
        else:
            counted.setdefault(held.token, []).append(held._replace(end=held.start + number))
            found.append(held._replace(start=held.start + number))
    for token, pieces in counted.items():
        last = max(pieces, key=lambda piece: (piece.amount > 0, piece.end))
        if not last.amount:
            rules.uses[token], rules.rooms[token] = None, 0
            continue
        use = rules.uses[token] = last._replace(start=last.end - 1)
        rules.spare.update([piece for piece in pieces if piece != last], [last._replace(end=use.start)])
        found.append(use)
    return [held for held in (*found, *sorted(rules.spare)) if held.amount]


def _pick(book: Book, wanted: Wanted, usable: list[Holding], rules: _Rules, random: Drbg) -> list[Holding]:
    """Return the pieces to pay with."""
    rooms, spare = rules.rooms, rules.spare

    def most(held: Holding) -> int:
        use = rules.uses.get(held.token)
        alone = use is None or use == held
        return min(held.amount if alone else held.amount + 1, rooms.get(held.token, held.amount))

    def unbound(held: Holding) -> bool:
        return held.token not in rooms

    def best(held: Holding) -> tuple[bool, bool, int, int]:
        return held in spare, unbound(held), book.graph.origin(held.parent).hops, held.amount

    fitting = [held for held in usable if most(held)]
    for held in sorted([held for held in fitting if most(held) >= wanted.amount], key=best):
        chosen, missing = _take(wanted.amount, [held], rules, random)
        if not missing and len(chosen) <= wanted.spans:
            return chosen
    by_size = sorted(fitting, key=lambda held: (held in spare, -most(held)))
    orders = [sorted(by_size, key=lambda held: (held in spare, unbound(held))), by_size] if rooms else [by_size]
    left = 0
    for order in orders:
        chosen, left = _take(wanted.amount, order, rules, random)
        if not left and len(chosen) <= wanted.spans:
            return chosen
    if left and sum(held.amount for held in usable) < wanted.amount:
        raise TapError(Code.INSUFFICIENT)
    if left and None in rules.uses.values():
        raise TapError(Code.INSUFFICIENT, "no use of the rest is left: a deposit still takes it")
    if left and rooms:
        raise TapError(Code.INSUFFICIENT, "the rest is bound to another purpose")
    raise TapError(Code.INSUFFICIENT, "the value is in too many pieces; a sync merges them")


def _take(amount: int, order: list[Holding], rules: _Rules, random: Drbg) -> tuple[list[Holding], int]:
    """Return pieces of these holdings, in this order, and how many units of the amount are still missing."""
    room = dict(rules.rooms)
    chosen: list[Holding] = []
    left = amount

    def cut(held: Holding, *, low: bool = False) -> int:
        take = min(left, held.amount, room.get(held.token, left))
        if take:
            at_start = low or not random.below(2)
            chosen.append(held._replace(end=held.start + take) if at_start else held._replace(start=held.end - take))
        if held.token in room:
            room[held.token] -= take
        return left - take

    for held in order:
        use = rules.uses.get(held.token)
        first = [] if use is None or use in chosen else [use]
        for piece in dict.fromkeys([*first, held]):
            if any(piece.token == c.token and piece.start < c.end and c.start < piece.end for c in chosen):
                continue
            # What begins where the use ends is one span with it.
            left = cut(piece, low=use is not None and (use.parent, use.end) == (piece.parent, piece.start))
        if not left:
            break
    return _joined(chosen, rules), left


def _joined(chosen: list[Holding], rules: _Rules) -> list[Holding]:
    """Return pieces with those of counted tokens joined where they touch."""
    found = [piece for piece in chosen if piece.token not in rules.uses]
    for piece in sorted([piece for piece in chosen if piece.token in rules.uses]):
        last = found[-1] if found else None
        if last is not None and (last.parent, last.end) == (piece.parent, piece.start):
            found[-1] = last._replace(end=piece.end)
        else:
            found.append(piece)
    return found
