"""Transfers that a payee must close for the hands and warrants behind them (SPEC §5.3, §5.4, §7, §8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dualtap import limits
from dualtap.compact import CompactWarrant
from dualtap.errors import Code
from dualtap.statements import CloseBody, Opening, ReceiptBody
from dualtap.suite import TAG
from dualtap.wire import TransferMessage, encode
from dualtap_conform.bench import Bench
from dualtap_conform.checks.forged import BAD, BROKEN, Forgery, Make, token_of
from dualtap_conform.customer import Customer, Wanted
from dualtap_conform.purse import PAYEE, PAYER, Purse


class Chain:
    """A customer that was itself paid: an earlier hand, whose certificate comes with its value."""

    def __init__(self, customer: Customer, amount: int, *, expires: int | None = None) -> None:
        bench = customer.bench
        self.customer, self.amount = customer, amount
        self.giver = Customer(bench, "giver")
        if expires is not None:
            self.giver.certificate = bench.stage.certificate(self.giver.name, expires=expires)
        self.purse = Purse(bench, customer.certificate)
        self.by = self.purse.certificate(self.giver.certificate)

    def token(self, more: int = 0, hops: int = limits.HOPS) -> int:
        """Add a token of the giver's."""
        return self.purse.token(token_of(self.giver, self.amount + more, hops=hops), self.by)

    def give(self, spans: tuple[tuple[int, ...], ...], to: int | None = 0, **changes: Any) -> int:
        """Add the giver's hand to the customer."""
        key = self.customer.key
        return self.purse.hand(self.giver.name, key, spans, by=self.by, to=to, **changes)

    def pay(self, wanted: Wanted, *spans: tuple[int, ...], **changes: Any) -> TransferMessage:
        """Return the customer's transfer."""
        place = self.customer.place(**changes)
        return self.purse.transfer(self.customer.name, spans, wanted.request.id, place)


def passed_on(customer: Customer, wanted: Wanted, hops: int = limits.HOPS) -> TransferMessage:
    """Return a transfer of value with one honest hand behind it."""
    chain = Chain(customer, wanted.amount)
    hand = chain.give(((chain.token(hops=hops), 0, wanted.amount),))
    return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount))


def _bare_key(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain = Chain(customer, wanted.amount)
    hand = chain.give(((chain.token(), 0, wanted.amount),), to=None)
    return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount))


def _broken_hand(customer: Customer, wanted: Wanted) -> TransferMessage:
    message = passed_on(customer, wanted)
    (hand,) = message.bundle.transfers
    broken = hand._replace(signature=hand.signature[:-1] + bytes([hand.signature[-1] ^ 1]))
    return message._replace(bundle=message.bundle._replace(transfers=(broken,)))


def _not_owner(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain = Chain(customer, wanted.amount)
    token = chain.token()
    hand = chain.give(((token, 0, 10),))
    return chain.pay(wanted, (hand, PAYEE, 0, 0, 10), (token, 10, wanted.amount))


def _outside_hand(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain = Chain(customer, wanted.amount)
    hand = chain.give(((chain.token(), 0, wanted.amount - 1),))
    return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount))


def _no_such_place(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain = Chain(customer, wanted.amount)
    hand = chain.give(((chain.token(), 0, wanted.amount),))
    return chain.pay(wanted, (hand, PAYEE, 1, 0, wanted.amount))


def _backwards(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain = Chain(customer, wanted.amount)
    hand = chain.give(((chain.token(), 0, wanted.amount),))
    return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount), epoch=customer.bench.date - 1)


def _old_hand(expires: int, epoch: int) -> Make:
    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        date = customer.bench.date
        chain = Chain(customer, wanted.amount, expires=date + expires)
        hand = chain.give(((chain.token(), 0, wanted.amount),), epoch=date + epoch)
        return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount))

    return make


valid_when_it_signed = _old_hand(-1, -1)
"""A hand whose certificate has expired since."""


def _hotlisted_hand(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain = Chain(customer, wanted.amount)
    chain.giver.name = "hotlisted"
    chain.giver.certificate = customer.bench.stage.certificate("hotlisted")
    chain.purse.certificates[1] = chain.giver.certificate
    hand = chain.give(((chain.token(), 0, wanted.amount),))
    return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount))


def _forked(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain, half = Chain(customer, wanted.amount), wanted.amount // 2
    token = chain.token()
    first = chain.give(((token, 0, half + 1),))
    second = chain.give(((token, half, wanted.amount),))
    return chain.pay(wanted, (first, PAYEE, 0, 0, half), (second, PAYEE, 0, half, wanted.amount))


def _extra_hand(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain = Chain(customer, wanted.amount)
    token = chain.token(5)
    hand = chain.give(((token, 0, wanted.amount),))
    chain.give(((token, wanted.amount, wanted.amount + 5),))
    return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount))


def _forwards(customer: Customer, wanted: Wanted) -> TransferMessage:
    message = passed_on(customer, wanted)
    (hand,) = message.bundle.transfers
    looped = hand._replace(spans=((0, PAYEE, 0, 0, wanted.amount),))
    return message._replace(bundle=message.bundle._replace(transfers=(looped,)))


def _many_hops(customer: Customer, wanted: Wanted) -> TransferMessage:
    """Return a transfer with as many hands behind it as the device takes transfers in a row."""
    bench, purse = customer.bench, Purse(customer.bench, customer.certificate)
    hops = bench.setup.profile.hops
    givers = [Customer(bench, "giver") for _ in range(hops)]
    places = [purse.certificate(giver.certificate) for giver in givers] + [0]
    token = purse.token(token_of(givers[0], wanted.amount), places[0])
    span: tuple[int, ...] = (token, 0, wanted.amount)
    for place, giver in enumerate(givers):
        payee = givers[place + 1].key if place + 1 < hops else customer.key
        hand = purse.hand(giver.name, payee, (span,), by=places[place], to=places[place + 1])
        span = (hand, PAYEE, 0, 0, wanted.amount)
    return purse.transfer(customer.name, (span,), wanted.request.id, customer.place())


def restored(times: int, closer: str = "", *, shown: bool = True, side: int = PAYER) -> Make:
    """Return a transfer of value that was restored so often; ``closer`` signs the Closes in the payees' place."""

    def make(customer: Customer, wanted: Wanted) -> TransferMessage:
        purse = Purse(customer.bench, customer.certificate)
        token = purse.token(token_of(customer, wanted.amount))
        span: tuple[int, ...] = (token, 0, wanted.amount)
        for _ in range(times):
            shop = customer.bench.fresh("shop")
            hand = purse.dead(customer.name, shop, (span,), closer=closer and customer.bench.fresh(closer))
            span = (hand, side, 0, 0, wanted.amount)
        message = purse.transfer(customer.name, (span,), wanted.request.id, customer.place())
        if shown:
            return message
        hands = (message.bundle.transfers[0]._replace(proof=purse.last().commitment),)
        return message._replace(bundle=message.bundle._replace(transfers=hands))

    return make


def _dead_payees_side(customer: Customer, wanted: Wanted) -> TransferMessage:
    chain, bench = Chain(customer, wanted.amount), customer.bench
    request, place = bench.draw(32), Opening(bench.draw(16), 2**30, 2**30 + 1)
    outcome = bench.stage.sign(customer.name, CloseBody(request, 0, bench.date), place)
    hand = chain.give(((chain.token(), 0, wanted.amount),), request=request, outcome=outcome)
    return chain.pay(wanted, (hand, PAYEE, 0, 0, wanted.amount))


def _own_receipt(customer: Customer, wanted: Wanted) -> TransferMessage:
    """Return restored value whose warrant is the Receipt of the very transfer."""
    bench, purse, shop = customer.bench, Purse(customer.bench, customer.certificate), customer.bench.fresh("shop")
    spans = ((purse.token(token_of(customer, wanted.amount)), 0, wanted.amount),)
    request = bench.draw(32)
    purse.hand(customer.name, bench.stage.key(shop), spans, by=0, request=request)
    transfer = purse.last()
    receipt = bench.stage.sign(shop, ReceiptBody(request, transfer.id, bench.date), Opening(bench.draw(16), 1, 2))
    opening = transfer.shown().answered()
    proof = CompactWarrant(*opening, transfer.id, 0, bench.date, receipt.commitment, receipt.signature)
    purse.hands[0] = purse.hands[0]._replace(proof=proof)
    return purse.transfer(customer.name, ((0, PAYER, 0, 0, wanted.amount),), wanted.request.id, customer.place())


def behind(bench: Bench) -> Iterator[Forgery]:
    """Yield transfers that must be closed for what is behind them."""
    yield Forgery("8.1-10", (BAD,), "a hand with an altered signature", _broken_hand)
    yield Forgery("5.3-3", (Code.NOT_OWNER,), "value of which the payer owns a part only", _not_owner)
    yield Forgery("5.3-4", (Code.SPAN_OUTSIDE,), "more than the hand before gave", _outside_hand)
    yield Forgery("5.3-2", (BROKEN,), "a span that the hand before does not have", _no_such_place)
    yield Forgery("5.3-5", (Code.EPOCH_BACKWARDS,), "a transfer dated before what it spends", _backwards)
    expired = _old_hand(-2, -1)
    yield Forgery("7-15", (Code.CERTIFICATE_EXPIRED,), "a hand whose certificate had expired when it signed", expired)
    yield Forgery("7-20", (Code.HOTLISTED,), "a hand on the hotlist", _hotlisted_hand)
    yield Forgery("8.3-1", (Code.DOUBLE_SPENT,), "two hands that give the same units", _forked)
    yield Forgery("8.3-6", (BROKEN,), "a hand that is not behind the transfer", _extra_hand)
    yield Forgery("5.4-2", (BROKEN,), "a hand that spends itself", _forwards)
    yield Forgery("5.4-5", (BROKEN,), "a bare key whose certificate is there", _bare_key)
    yield Forgery("8.2-1", (Code.TOO_MANY_HOPS,), "as many hands as the device takes transfers", _many_hops)
    once = _with_one_hop
    yield Forgery("8.2-1", (Code.TOO_MANY_HOPS,), "a token that may change hands once, for the second time", once)
    yield Forgery("8.2-5", (BROKEN,), "a payer's side without a warrant", restored(1, shown=False))
    yield Forgery("8.2-4", (BAD,), "a warrant that another key signed", restored(1, "stranger"))
    yield Forgery("8.2-4", (BROKEN,), "a Receipt of the transfer itself as its warrant", _own_receipt)
    yield Forgery("8.2-6", (BROKEN, Code.DOUBLE_SPENT), "the payee's side of a dead transfer", _dead_payees_side)
    often = restored(limits.WARRANTS + 1)
    yield Forgery("8.2-2", (Code.TOO_MANY_WARRANTS,), "value that was restored three times", often)


def _with_one_hop(customer: Customer, wanted: Wanted) -> TransferMessage:
    return passed_on(customer, wanted, hops=1)


def fits(bench: Bench, message: TransferMessage) -> bool:
    """Return whether the device takes frames as long as this message's, shown again."""
    return len(encode(message)) + 2 * TAG + 64 <= bench.setup.profile.message
