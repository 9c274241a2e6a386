"""Lies that must name nobody, or only who tells them: statements that are none, forgeries, and attempts to frame."""

from __future__ import annotations

from dualtap.evidence import Fraud
from dualtap.issued import Condition
from dualtap.statements import CloseBody, Parent, Side, Span
from dualtap_testing.forging import CLAIM_BY, SETTLED, Hand, Piece
from dualtap_testing.frauds import Plot
from dualtap_testing.quarter import Quarter
from dualtap_testing.theft import Theft


def _twice(quarter: Quarter, it: Theft, piece: Piece, *, epoch: int = 0, witness: tuple[bytes, ...] = ()) -> None:
    """Let a friend take the same units twice, and tell it."""
    friend = it.friend()
    for cut in ((0, 400), (100, 500)):
        span = it.span(*cut, piece)
        transfer = quarter.transfer(it.thief, friend.key, [span], epoch=epoch, witness=witness)
        quarter.accept(transfer, friend)
    quarter.send(friend)


def somebody_elses(quarter: Quarter) -> None:
    """A thief spends what is an honest person's, twice (SPEC §5.3-3)."""
    it, owner = Theft(quarter, "somebody else's"), quarter.person()
    piece = quarter.fund(owner, 500)
    owner.pieces.append(piece)
    _twice(quarter, it, piece)


def dated_before_its_parent(quarter: Quarter) -> None:
    """Spends what it received, at an epoch before that (SPEC §5.3-5)."""
    it, payer = Theft(quarter, "before its parent"), quarter.person()
    payer.heard.append(quarter.accept(quarter.offer(payer, it.thief.key, [quarter.fund(payer, 500)]), it.thief))
    _twice(quarter, it, it.thief.pieces[-1], epoch=quarter.day - 1)


def dated_backwards(quarter: Quarter) -> None:
    """A tape whose epochs decrease, and one from next year: what it pays is paid all the same."""
    it = Theft(quarter, "backwards")
    it.sell(quarter.shop(), it.span(0, 300))
    it.sell(quarter.shop(), it.span(300, 600), epoch=quarter.day - 1)
    friend = it.friend()
    it.sell(friend, it.span(600, 1_000), epoch=quarter.day + 365)
    quarter.send(friend)


def overlapping_itself(quarter: Quarter) -> None:
    """A transfer whose own spans overlap is no statement, and conflicts with none (SPEC §5.3-6)."""
    it = Theft(quarter, "itself")
    friend = it.friend()
    it.sell(friend, it.span(0, 500), it.span(400, 900))
    quarter.send(friend)
    it.sell(quarter.shop(), it.span(0, 1_000))


def outside(quarter: Quarter) -> None:
    """Units that its parent has not, and a place that is not there (SPEC §5.3-2, §5.3-4)."""
    it = Theft(quarter, "outside")
    friend = it.friend()
    first = it.sell(friend, it.span(0, 400))
    it.sell(friend, it.span(300, 1_400))
    wrong = Span(Parent(first.id, Side.PAYEE, 3), 0, 400)
    quarter.show(quarter.transfer(friend, quarter.shop().key, [wrong]), friend)
    quarter.send(friend)


def unmet(quarter: Quarter) -> None:
    """More at a time than its token allows, twice; then a witness that serves nothing (SPEC §5.3-9)."""
    it = Theft(quarter, "unmet")
    _twice(quarter, it, quarter.fund(it.thief, 500, (Condition(4, (100).to_bytes(8, "big")),)))
    _twice(quarter, it, it.piece, witness=(b"for nothing",))


def anothers_request(quarter: Quarter) -> None:
    """A thief answers an honest customer's request too: the shop's Receipt of the other is its only outcome."""
    it, shop = Theft(quarter, "another's request"), quarter.shop()
    payer = quarter.person(shop)
    transfer = quarter.offer(payer, shop.key, [quarter.fund(payer, 100)])
    quarter.accept(transfer, shop)
    it.quarter.transfer(it.thief, shop.key, [it.span(0, 700)], transfer.shown().request)
    quarter.send(it.thief)


def the_same_outcome_again(quarter: Quarter) -> None:
    """Two Receipts of one transfer, and two Closes for other reasons, at places of their own (SPEC §4.1-12)."""
    it = Theft(quarter, "same outcome")
    for receipts in (True, False):
        payer = quarter.person()
        transfer = quarter.offer(payer, it.thief.key, [quarter.fund(payer, 100)])
        quarter.show(transfer, it.thief)
        if receipts:
            payer.heard += [quarter.receipt(it.thief, transfer) for _ in range(2)]
        else:
            quarter.dies(transfer, payer, it.thief)
            quarter.close(it.thief, transfer, reason=11)
    quarter.send(it.thief)


def touching(quarter: Quarter) -> None:
    """Spans and intervals that touch, and share nothing."""
    it = Theft(quarter, "touching")
    for start in range(0, 1_000, 100):
        it.sell(quarter.shop(), it.span(start, start + 100), place=(start, start + 100))


def forged(quarter: Quarter) -> None:
    """Statements that a shop and a customer never signed, and true ones with another place or body."""
    it, shop = Theft(quarter, "forged"), quarter.shop()
    payer = quarter.person(shop)
    transfer = quarter.offer(payer, shop.key, [quarter.fund(payer, 100)])
    quarter.accept(transfer, shop)
    upload = quarter.upload(it.thief)
    fork = quarter.sign(_mask(it.thief, payer), transfer.body._replace(payee=it.thief.key), transfer.shown())
    moved = quarter.sign(_mask(it.thief, payer), transfer.body, transfer.shown()._replace(prev=0, ctr=10**7))
    close = quarter.sign(
        _mask(it.thief, shop), CloseBody(transfer.shown().request, 10, quarter.day), quarter.signed[-1].shown()
    )
    quarter.send(it.thief, upload=upload._replace(transfers=(fork, moved, transfer), tape=(close,), heard=(close,)))
    quarter.forged += 4


def _mask(thief: Hand, victim: Hand) -> Hand:
    """Return a hand that signs with the thief's secret under its victim's name."""

    class Masked:
        public = victim.key
        sign = staticmethod(thief.signer.sign)

    return Hand(Masked(), b"", victim.certificate)


def killed_by_a_stranger(quarter: Quarter) -> None:
    """A warrant by who is not the payee, and one for another request: the transfer lives."""
    it, shop = Theft(quarter, "stranger's warrant"), quarter.shop()
    payer = quarter.person(shop)
    transfer = quarter.offer(payer, shop.key, [quarter.fund(payer, 100)])
    quarter.accept(transfer, shop)
    lie = quarter.warrant(transfer, quarter.close(it.thief, transfer))
    other = quarter.offer(payer, shop.key, [quarter.fund(payer, 50)])
    quarter.dies(other, payer, shop)
    crossed = quarter.warrant(transfer, payer.warrants[other.id].outcome)
    for warrant in (lie, crossed):
        quarter.send(it.thief, upload=quarter.upload(it.thief)._replace(warrants=((transfer.id, warrant),)))


def told_too_late(quarter: Quarter, day: int = CLAIM_BY + 1) -> None:
    """The other half of a fork comes after ``claim_by``: it names, and credits nothing any more (SPEC §16-11)."""
    it = Theft(quarter, "too late")
    friend = it.friend()
    both = [it.sell(quarter.shop(), it.span(0, 700)), it.sell(friend, it.span(300, 1_000))]
    quarter.send(friend, day)
    it.name(Fraud.FORK, both)


def told_when_all_is_settled(quarter: Quarter) -> None:
    """The same, after the token was settled."""
    told_too_late(quarter, SETTLED + 1)


LIES: tuple[Plot, ...] = (
    somebody_elses, dated_before_its_parent, dated_backwards, overlapping_itself, outside, unmet, anothers_request,
    the_same_outcome_again, touching, forged, killed_by_a_stranger, told_too_late,
    told_when_all_is_settled,
)  # fmt: skip
