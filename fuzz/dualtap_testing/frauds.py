"""Frauds, each with what must come of it: who is named, for what, by which statements, and for how many units.

Written from SPEC §15 and §16 alone. A plot plays in a quarter of honest people; its thieves never sync unless it says
so, so that what names them is what their victims have to tell. Lies that must name nobody are in ``lies``.
"""

from __future__ import annotations

from collections.abc import Callable

from dualtap.evidence import Fraud
from dualtap.statements import Parent, Side, Span, Transfer
from dualtap_testing.forging import CLAIM_BY, Hand, Piece
from dualtap_testing.honest import hand_in, retire
from dualtap_testing.quarter import Quarter
from dualtap_testing.theft import Theft

Plot = Callable[[Quarter], None]


# One parent, two payees


def two_payees(quarter: Quarter) -> None:
    """The same units to two shops, with a tidy tape."""
    it = Theft(quarter, "two payees")
    it.forks([it.sell(quarter.shop(), it.span(0, 700)) for _ in range(2)])


def in_part(quarter: Quarter) -> None:
    """Two payments that overlap in some units only."""
    it, cut = Theft(quarter, "in part"), quarter.draw.randint(1, 299)
    it.forks([it.sell(quarter.shop(), it.span(0, 500 + cut)), it.sell(quarter.shop(), it.span(500, 1_000))])


def one_unit(quarter: Quarter) -> None:
    """Two payments that share a single unit, and one beside it that shares none."""
    it = Theft(quarter, "one unit")
    shared = [it.sell(quarter.shop(), it.span(0, 400)), it.sell(quarter.shop(), it.span(399, 800))]
    it.sell(quarter.shop(), it.span(800, 1_000))
    it.forks(shared)


def n_fold(quarter: Quarter) -> None:
    """The same units again and again, each time a little differently."""
    it, draw = Theft(quarter, "n-fold"), quarter.draw
    spans = [it.span(draw.randrange(400), draw.randint(401, 1_000)) for _ in range(draw.randint(3, 9))]
    it.forks([it.sell(quarter.shop(), span) for span in spans])


def in_a_ring(quarter: Quarter) -> None:
    """Each overlaps with the next, the first not with the last."""
    it = Theft(quarter, "ring")
    it.forks([it.sell(quarter.shop(), it.span(start, start + 300)) for start in range(0, 700, 200)])


def across_places(quarter: Quarter) -> None:
    """Transfers of several spans each, which overlap at different places of theirs."""
    it = Theft(quarter, "places")
    other, third = quarter.fund(it.thief, 500), quarter.fund(it.thief, 500)
    one = it.sell(quarter.shop(), it.span(0, 500), it.span(0, 500, other))
    two = it.sell(quarter.shop(), it.span(0, 100, third), it.span(100, 150, other), it.span(450, 600))
    it.forks([one, two])


def to_oneself(quarter: Quarter) -> None:
    """One side goes to a friend who pays it on to a shop: only what is behind that payment shows it."""
    it = Theft(quarter, "friend")
    friend = it.friend()
    hidden = it.sell(friend, it.span(100, 900))
    it.sell(quarter.shop(), Span(Parent(hidden.id, Side.PAYEE, 0), 200, 800), payer=friend)
    it.forks([hidden, it.sell(quarter.shop(), it.span(0, 500))])


def second_hand(quarter: Quarter) -> None:
    """What an honest person paid is spent twice by its payee: the token is that person's, the liability is not."""
    it = Theft(quarter, "second hand")
    payer = quarter.person()
    piece = quarter.fund(payer, 600)
    paid = quarter.offer(payer, it.thief.key, [piece])
    quarter.accept(paid, it.thief)
    mine = it.thief.pieces[-1]
    it.forks([it.sell(quarter.shop(), it.span(0, 400, mine)), it.sell(quarter.shop(), it.span(300, 600, mine))])


def colluders(quarter: Quarter) -> None:
    """Three friends fork one after the other, each what the one before sold twice."""
    it = Theft(quarter, "colluders")
    one, two = it.friend(), it.friend()
    first = [it.sell(one, it.span(0, 800)), it.sell(two, it.span(0, 600))]
    mine = one.pieces[-1]
    second = [it.sell(quarter.shop(), it.span(*cut, mine), payer=one) for cut in ((0, 500), (200, 800))]
    it.sell(quarter.shop(), it.span(0, 600, two.pieces[-1]), payer=two)
    it.forks(first)
    it.forks(second)


# Deposits


def paid_and_deposited(quarter: Quarter) -> None:
    """What was paid is deposited too, by the thief itself."""
    it = Theft(quarter, "paid and deposited")
    paid = it.sell(quarter.shop(), it.span(0, 700))
    kept = hand_in(quarter, it.thief, [it.piece._replace(span=it.span(600, 1_000))])
    quarter.send(it.thief)
    it.forks([paid, kept])


def deposited_twice(quarter: Quarter) -> None:
    """Two deposits of the same units, in two syncs."""
    it = Theft(quarter, "deposited twice")
    both = list[Transfer]()
    for start, end in ((0, 600), (300, 1_000)):
        both.append(hand_in(quarter, it.thief, [it.piece._replace(span=it.span(start, end))]))
        quarter.send(it.thief, quarter.day + len(both))
    it.forks(both)


# The tape


def disjoint_clone(quarter: Quarter) -> None:
    """A clone that spends other units: its tape forks, and nothing is overspent."""
    it = Theft(quarter, "disjoint clone")
    place = quarter.place(it.thief)
    it.sell(quarter.shop(), it.span(0, 500), place=place)
    it.sell(quarter.shop(), it.span(500, 1_000), place=place)
    it.tape()


def clone(quarter: Quarter) -> None:
    """A clone that spends the same units at the same place of its tape."""
    it = Theft(quarter, "clone")
    place = quarter.place(it.thief)
    it.forks([it.sell(quarter.shop(), it.span(0, end), place=place) for end in (500, 700)])
    it.tape()


def wide_interval(quarter: Quarter) -> None:
    """One entry whose interval covers several others, each of which touches its neighbours only."""
    it = Theft(quarter, "wide")
    reach = quarter.draw.choice([50, 5_000])
    for step in range(4):
        it.sell(quarter.shop(), it.span(step * 100, step * 100 + 100), place=(step, step + 1))
    it.sell(quarter.shop(), it.span(500, 600), place=(reach - 1, reach + 1))
    it.sell(quarter.shop(), it.span(400, 500), place=(1, reach))
    it.tape()


def far_interval(quarter: Quarter) -> None:
    """The wide one is known first, and what it covers comes much later."""
    it = Theft(quarter, "far")
    shop = quarter.shop()
    it.sell(shop, it.span(0, 100), place=(10, 10_000))
    quarter.send(shop)
    friend = it.friend()
    it.sell(friend, it.span(100, 200), place=(7_000, 7_001))
    quarter.send(friend, CLAIM_BY)
    it.tape()


def rolled_back(quarter: Quarter) -> None:
    """A store from last week is put back: everything since is signed again, otherwise."""
    it = Theft(quarter, "rolled back", 3_000)
    head, sold = it.thief.head, list[Transfer]()
    for start in (0, 600):
        it.thief.head = head
        sold += [it.sell(quarter.shop(), it.span(start + cut, start + cut + 900)) for cut in (0, 900)]
    it.forks(sold)
    it.tape()


def rolled_back_payee(quarter: Quarter) -> None:
    """A till's store is put back: it gives another transfer a Receipt at the place of the first."""
    it = Theft(quarter, "rolled-back payee")
    place = quarter.place(it.thief)
    for _ in range(2):
        payer = quarter.person()
        transfer = quarter.offer(payer, it.thief.key, [quarter.fund(payer, 100)])
        quarter.show(transfer, it.thief)
        payer.heard.append(quarter.receipt(it.thief, transfer, place))
    quarter.shop().certificates[it.thief.key] = it.thief.certificate
    it.tape()


def receipt_and_payment(quarter: Quarter) -> None:
    """A Receipt and a payment at overlapping places."""
    it = Theft(quarter, "receipt and payment")
    payer = quarter.person()
    transfer = quarter.offer(payer, it.thief.key, [quarter.fund(payer, 100)])
    payer.heard.append(quarter.receipt(it.thief, transfer, (10, 20)))
    it.sell(quarter.shop(), it.span(0, 500), place=(19, 21))
    it.tape()


# The payee's side


def _paid(quarter: Quarter, it: Theft, amount: int = 500) -> tuple[Hand, Transfer]:
    payer = quarter.person()
    transfer = quarter.offer(payer, it.thief.key, [quarter.fund(payer, amount)])
    quarter.show(transfer, it.thief)
    return payer, transfer


def two_outcomes(quarter: Quarter) -> None:
    """A Receipt for one sync, a Close for the payer, who spends the units again."""
    it = Theft(quarter, "two outcomes")
    payer, transfer = _paid(quarter, it)
    receipt, close = quarter.receipt(it.thief, transfer), quarter.close(it.thief, transfer)
    quarter.hears(transfer, payer, close)
    quarter.send(it.thief)
    it.name(Fraud.TWO_OUTCOMES, [receipt, close])


def two_receipts(quarter: Quarter) -> None:
    """One request, answered by an honest payer and by a friend, and both accepted: each Receipt kills the other's."""
    it = Theft(quarter, "two receipts")
    payer, transfer = _paid(quarter, it)
    friend = it.friend()
    other = quarter.transfer(friend, it.thief.key, [quarter.fund(friend, 500).span], transfer.shown().request)
    quarter.show(other, it.thief)
    both = [quarter.receipt(it.thief, one) for one in (transfer, other)]
    payer.heard.append(both[0])
    payer.due += 500  # by that other Receipt its units are its own again at claim_by, though it does not know
    quarter.send(it.thief)
    it.name(Fraud.TWO_OUTCOMES, both)


def dead_spent(quarter: Quarter) -> None:
    """The payee closes, and spends a part of it all the same."""
    it = Theft(quarter, "dead spent")
    payer, transfer = _paid(quarter, it)
    quarter.dies(transfer, payer, it.thief)
    part = Span(Parent(transfer.id, Side.PAYEE, 0), 100, 100 + quarter.draw.randint(1, 400))
    spent = it.sell(quarter.shop(), part)
    it.name(Fraud.DEAD_SPENT, [spent])
    it.liable(part.end - part.start, token=quarter.above(part.parent)[0])


def closed_at_last(quarter: Quarter) -> None:
    """The units were accepted, spent and told of long before the payee's Close is seen."""
    it, shop = Theft(quarter, "closed at last"), quarter.shop()
    payer, transfer = _paid(quarter, it)
    (mine,) = quarter.sides(transfer, Side.PAYEE)
    spent = it.sell(shop, mine.span)
    quarter.send(shop)
    quarter.close(it.thief, transfer)
    quarter.send(it.thief, CLAIM_BY)
    payer.due += 500
    it.name(Fraud.DEAD_SPENT, [spent])
    it.liable(500, token=mine.token)


def closed_at_first(quarter: Quarter) -> None:
    """The Close is known long before anybody tells that the units were spent all the same."""
    it = Theft(quarter, "closed at first")
    payer, transfer = _paid(quarter, it)
    quarter.dies(transfer, payer, it.thief)
    quarter.send(it.thief)
    quarter.send(payer)
    (mine,) = quarter.sides(transfer, Side.PAYEE)
    friend = it.friend()
    spent = it.sell(friend, mine.span)
    quarter.send(friend, CLAIM_BY)
    it.name(Fraud.DEAD_SPENT, [spent])
    it.liable(500, token=mine.token)


def dead_deposited(quarter: Quarter) -> None:
    """The payee closes, and deposits it all the same."""
    it = Theft(quarter, "dead deposited")
    payer, transfer = _paid(quarter, it)
    quarter.dies(transfer, payer, it.thief)
    (mine,) = quarter.sides(transfer, Side.PAYEE)
    spent = hand_in(quarter, it.thief, [mine])
    quarter.send(it.thief)
    it.name(Fraud.DEAD_SPENT, [spent])
    it.liable(500, token=mine.token)


def accepted_closed_and_spent(quarter: Quarter) -> None:
    """Both outcomes, and both sides spent; the payee's side twice."""
    it = Theft(quarter, "accepted, closed and spent")
    payer, transfer = _paid(quarter, it)
    receipt, close = quarter.receipt(it.thief, transfer), quarter.close(it.thief, transfer)
    quarter.hears(transfer, payer, close)
    (mine,) = quarter.sides(transfer, Side.PAYEE)
    spent = [it.sell(quarter.shop(), it.span(*cut, mine)) for cut in ((0, 300), (200, 500))]
    quarter.send(it.thief)
    it.name(Fraud.TWO_OUTCOMES, [receipt, close])
    for one in spent:
        it.name(Fraud.DEAD_SPENT, [one])
    it.forks(spent)
    it.liable(500, token=mine.token)


def a_strangers_outcomes(quarter: Quarter) -> None:
    """Two outcomes of a request that was another's: they change nothing, and name who signed them."""
    it = Theft(quarter, "stranger's outcomes")
    payer, shop = quarter.person(), quarter.shop()
    if payer is shop:
        payer = quarter.person(shop)
    transfer = quarter.offer(payer, shop.key, [quarter.fund(payer, 100)])
    quarter.accept(transfer, shop)
    lies = [quarter.receipt(it.thief, transfer), quarter.close(it.thief, transfer)]
    quarter.send(it.thief)
    it.name(Fraud.TWO_OUTCOMES, lies)


# Restored value


def restored_twice(quarter: Quarter) -> None:
    """A shop closed; what lives again on the payer's side is spent twice."""
    it = Theft(quarter, "restored")
    dead = quarter.transfer(it.thief, quarter.shop().key, [it.span(0, 800)])
    _refused(quarter, it, dead)
    (mine,) = quarter.sides(dead, Side.PAYER)
    it.forks([it.sell(quarter.shop(), it.span(*cut, mine)) for cut in ((0, 500), (400, 800))])


def _refused(quarter: Quarter, it: Theft, transfer: Transfer) -> None:
    shop = quarter.hands[transfer.body.payee]
    quarter.show(transfer, shop)
    quarter.dies(transfer, it.thief, shop)


def restored_and_again_from_the_token(quarter: Quarter) -> None:
    """A shop closed; the units are spent from the payer's side, and once more from the token."""
    it = Theft(quarter, "restored and the token")
    dead = quarter.transfer(it.thief, quarter.shop().key, [it.span(0, 800)])
    _refused(quarter, it, dead)
    (mine,) = quarter.sides(dead, Side.PAYER)
    it.sell(quarter.shop(), it.span(0, 800, mine))
    it.forks([dead, it.sell(quarter.shop(), it.span(300, 1_000))])


def refused_at_the_till(quarter: Quarter) -> None:
    """The second shop sees the first payment and refuses; it tells all the same (SPEC §8.3-5)."""
    it = Theft(quarter, "refused")
    first = it.sell(quarter.shop(), it.span(0, 600))
    second = quarter.transfer(it.thief, quarter.shop().key, [it.span(200, 1_000)])
    _refused(quarter, it, second)
    it.forks([first, second])


def never_answered(quarter: Quarter) -> None:
    """One of two payments never got an outcome: the units are its payer's there, and the other payee's here."""
    it = Theft(quarter, "never answered")
    silent = quarter.transfer(it.thief, it.friend().key, [it.span(0, 500)])
    quarter.send(it.thief)
    it.forks([silent, it.sell(quarter.shop(), it.span(250, 750))])


def unwarranted_twice(quarter: Quarter) -> None:
    """A payer's side is spent twice though nothing died: it names, but credits nothing."""
    it = Theft(quarter, "unwarranted")
    alive = it.sell(quarter.shop(), it.span(0, 800))
    friend = it.friend()
    mine = Piece(it.piece.token, Span(Parent(alive.id, Side.PAYER, 0), 0, 800))
    it.forks([it.sell(friend, it.span(*cut, mine)) for cut in ((0, 500), (400, 800))], liable=False)
    quarter.send(friend)


# Keys


def rotated(quarter: Quarter) -> None:
    """A thief that sold the same twice rotates: its heir is on the hotlist too."""
    it = Theft(quarter, "rotated")
    it.forks([it.sell(quarter.shop(), it.span(0, 700)) for _ in range(2)])
    retire(quarter, it.thief)


def one_ordinal(quarter: Quarter) -> None:
    """A bank gives one ordinal to two keys: no wallet is to blame."""
    one = quarter.hand()
    quarter.hand()
    two = quarter.hand()
    two.certificate = quarter.certificate(two.key, one.certificate.ordinal)
    for hand in (one, two):
        quarter.send(hand)
    quarter.ordinals.add(one.certificate.ordinal)


PLOTS: tuple[Plot, ...] = (
    two_payees, in_part, one_unit, n_fold, in_a_ring, across_places, to_oneself, second_hand, colluders,
    paid_and_deposited, deposited_twice, disjoint_clone, clone, wide_interval, far_interval, rolled_back,
    rolled_back_payee, receipt_and_payment, two_outcomes, two_receipts, dead_spent, closed_at_last,
    closed_at_first, dead_deposited, accepted_closed_and_spent, a_strangers_outcomes, restored_twice,
    restored_and_again_from_the_token, refused_at_the_till, never_answered, unwarranted_twice, rotated,
    one_ordinal,
)  # fmt: skip
