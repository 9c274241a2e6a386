"""A payee over several taps (SPEC §4.1, §8.3, §11.2, §11.4): one outcome of each request, and what it has seen."""

from __future__ import annotations

from collections.abc import Callable

from dualtap.errors import Code
from dualtap.statements import CloseBody, Opening, ReceiptBody
from dualtap.states import Part
from dualtap.wire import OutcomeMessage, RefuseMessage, TransferMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.checks.behind import Chain
from dualtap_conform.checks.forged import token_of
from dualtap_conform.customer import Customer, Wanted
from dualtap_conform.puppet import Failure, must
from dualtap_conform.purse import PAYEE, PAYER, Purse

AMOUNT = 500_000
"""Minor units of what is spent on both sides."""


def _later(message: TransferMessage, wanted: Wanted) -> TransferMessage:
    """Return a Transfer's message as it is shown again."""
    return message._replace(request=wanted.request.id)


@check("11.4-4", "4.1-9", "4.1-10", "11.4-5", "11.2-10", part=Part.PAYEE)
def a_torn_receipt_is_told_again(bench: Bench) -> None:
    """A payer that lost the Receipt shows its Transfer again, and is told the same; then the next basket is paid"""
    customer = Customer(bench)
    with bench.tap() as tap:
        wanted = customer.wanted(tap)
        message = customer.pay(wanted)
        tap.say(message)
    told: OutcomeMessage | None = None
    for _ in range(2):
        with bench.tap() as tap:
            new = customer.wanted(tap)
            must(new.message.basket != wanted.message.basket, "1-7", "a new basket after a paid one", "the same")
            tap.say(_later(message, wanted))
            again = customer.receipt(tap, wanted, message, "11.4-4")
            must(told in {None, again}, "4.1-10", "the outcome as it was signed", "another signature or place")
            told = again
            tap.say(RefuseMessage(Code.DECLINED))
    with bench.tap() as tap:
        new = customer.wanted(tap)
        tap.say(_later(message, wanted))
        customer.receipt(tap, wanted, message, "11.4-4")
        second = customer.pay(new)
        tap.say(second)
        customer.receipt(tap, new, second, "11.2-8")


@check("11.4-4", part=Part.PAYEE)
def whatever_is_shown(bench: Bench) -> None:
    """Shown another transfer for a paid request, a payee names the one that it accepted"""
    customer = Customer(bench)
    wanted, message = customer.buy()
    other = customer.pay(wanted)
    with bench.tap() as tap:
        customer.wanted(tap)
        tap.say(_later(other, wanted))
        told = tap.hear(OutcomeMessage, "11.4-4")
        accepted = customer.transfer_id(message, wanted.request.id)
        customer.judge(told, wanted.request.id, accepted, "11.4-4")
        must(told.transfer == accepted, "11.4-4", "a Receipt that names the transfer accepted", told.transfer.hex())


@check("11.4-3", "4.1-11", part=Part.PAYEE)
def no_outcome_from_ignorance(bench: Bench) -> None:
    """Shown a transfer for a request that it never made, a payee refuses, and signs no outcome"""
    customer = Customer(bench)
    with bench.tap() as tap:
        wanted = customer.wanted(tap)
        tap.say(customer.pay(wanted)._replace(request=bench.draw(32)))
        answer = tap.hear_any("Refuse UNKNOWN_REQUEST", "11.4-3")
        must(not isinstance(answer, OutcomeMessage), "4.1-11", "no outcome of a request never made", "an Outcome")
        must(answer == RefuseMessage(Code.UNKNOWN_REQUEST), "11.4-3", "Refuse UNKNOWN_REQUEST", answer)


@check("11.2-1", "1-7", "11.2-10", part=Part.PAYEE)
def an_abandoned_request_is_closed(bench: Bench) -> None:
    """A request left open is closed before the next of its part; what comes for it later is not accepted"""
    slow, quick = Customer(bench), Customer(bench)
    with bench.tap() as tap:
        wanted = slow.wanted(tap)
        message = slow.pay(wanted)
    with bench.tap() as tap:
        again = quick.wanted(tap)
        same = (again.message.basket, again.message.part) == (wanted.message.basket, wanted.message.part)
        must(same, "11.2-1", "the same basket, which is not paid", "another basket")
        paid = quick.pay(again)
        tap.say(paid)
        quick.receipt(tap, again, paid, "11.2-10")
    with bench.tap() as tap:
        slow.wanted(tap)
        tap.say(_later(message, wanted))
        outcome, _ = slow.outcome(tap, wanted.request.id, slow.transfer_id(message, wanted.request.id), "11.2-1")
        must(not isinstance(outcome.body, ReceiptBody), "1-7", "a Close: the basket is paid", "a second Receipt")


def _told(bench: Bench, customer: Customer, wanted: Wanted, message: TransferMessage, clause: str) -> OutcomeMessage:
    with bench.tap() as tap:
        customer.wanted(tap)
        tap.say(_later(message, wanted))
        return tap.hear(OutcomeMessage, clause)


@check("8.3-1", "8.1-13", "8.1-3", part=Part.PAYEE)
def double_spends(bench: Bench) -> None:
    """Units that were paid here before are not taken again"""
    customer = Customer(bench)
    token = token_of(customer, 1_000_000)

    def make(wanted: Wanted) -> TransferMessage:
        purse = Purse(bench, customer.certificate)
        span = (purse.token(token), 5, 5 + wanted.amount)
        return purse.transfer(customer.name, (span,), wanted.request.id, customer.place())

    customer.buy(make)
    with bench.tap() as tap:
        wanted = customer.wanted(tap)
        message = make(wanted)
        tap.say(message)
        told = customer.close(tap, wanted, message, (Code.DOUBLE_SPENT,), "8.3-1", "units that were paid here before")
    again = _told(bench, customer, wanted, message, "4.1-10")
    must(again._replace(header=None) == told._replace(header=None), "4.1-10", "the same Close again", "another")


@check("8.3-3", "8.1-13", part=Part.PAYEE)
def tape_forks(bench: Bench) -> None:
    """A payer whose counters were seen before is not paid by again"""
    for prev, ctr, why in ((10, 11, "the same interval"), (9, 20, "an interval around it")):
        customer = Customer(bench)  # one each: who was seen to cheat may be blocked from then on (§21-9)
        customer.counter = 10
        customer.buy()
        with bench.case("8.3-3"), bench.tap() as tap:
            wanted = customer.wanted(tap)
            purse = Purse(bench, customer.certificate)
            span = (purse.token(token_of(customer, wanted.amount)), 0, wanted.amount)
            place = customer.place(prev=prev, ctr=ctr)
            message = purse.transfer(customer.name, (span,), wanted.request.id, place)
            tap.say(message)
            customer.close(tap, wanted, message, (Code.TAPE_FORKED,), "8.3-3", f"{why} of the payer's tape")


@check("8.3-4", "8.1-15", part=Part.PAYEE)
def the_same_hand_twice(bench: Bench) -> None:
    """Two payments cut from the same earlier hand are no conflict"""
    customer = Customer(bench)
    chain = Chain(customer, 1_000_000)
    hand = chain.give(((chain.token(), 0, 1_000_000),))

    def cut(start: int) -> Callable[[Wanted], TransferMessage]:
        return lambda wanted: chain.pay(wanted, (hand, PAYEE, 0, start, start + wanted.amount))

    for start in (0, 500_000):
        customer.buy(cut(start))


class Dead:
    """A transfer between two customers that its payee closed, and both of its sides."""

    def __init__(self, bench: Bench) -> None:
        self.payer, self.payee = Customer(bench), Customer(bench)
        self.token = token_of(self.payer, AMOUNT)
        request, place = bench.draw(32), Opening(bench.draw(16), 2**30, 2**30 + 1)
        closed = bench.stage.sign(self.payee.name, CloseBody(request, 0, bench.date), place)
        self.purse = Purse(bench, self.payer.certificate)
        spans = ((self.purse.token(self.token), 0, AMOUNT),)
        self.purse.hand(self.payer.name, self.payee.key, spans, by=0, request=request, outcome=closed)

    def restored(self, wanted: Wanted) -> TransferMessage:
        """Return a transfer of the payer's side, with the warrant."""
        span = (0, PAYER, 0, 0, wanted.amount)
        return self.purse.transfer(self.payer.name, (span,), wanted.request.id, self.payer.place())

    def received(self, wanted: Wanted) -> TransferMessage:
        """Return a transfer of the payee's side, without the warrant."""
        purse = Purse(self.payee.bench, self.payee.certificate)
        by = purse.certificate(self.payer.certificate)
        purse.take(self.purse.last(), ((purse.token(self.token, by), 0, AMOUNT),), by=by, to=0)
        span = (0, PAYEE, 0, AMOUNT - wanted.amount, AMOUNT)
        return purse.transfer(self.payee.name, (span,), wanted.request.id, self.payee.place())


@check("8.3-2", "8.3-7", "8.2-6", part=Part.PAYEE)
def both_sides_of_a_dead_transfer(bench: Bench) -> None:
    """Of a dead transfer one side is worth something: whichever comes second is closed"""
    dead, spent = Dead(bench), Dead(bench)
    for clause, first, then, why in (
        ("8.3-2", dead.restored, dead.received, "the payee's side of a transfer known to be dead"),
        ("8.3-7", spent.received, spent.restored, "restored value whose payee has spent it"),
    ):
        customer = Customer(bench)
        with bench.case(clause):
            customer.buy(first)
            with bench.tap() as tap:
                wanted = customer.wanted(tap)
                message = then(wanted)
                tap.say(message)
                customer.close(tap, wanted, message, (Code.DOUBLE_SPENT,), clause, why)


@check("4.1-12", part=Part.PAYEE)
def one_outcome_of_a_request(bench: Bench) -> None:
    """No request of the run had two different outcomes"""
    _faultless(bench, "4.1-12")


@check("1-7", part=Part.PAYEE)
def one_payment_of_a_basket(bench: Bench) -> None:
    """No basket of the run was paid twice"""
    _faultless(bench, "1-7")


def _faultless(bench: Bench, clause: str) -> None:
    while len(bench.memory.outcomes) < 2:
        Customer(bench).buy()
    if clause in bench.memory.faults:
        expected, got = bench.memory.faults[clause]
        raise Failure(expected, got, clause)


CHECKS = (
    a_torn_receipt_is_told_again, whatever_is_shown, no_outcome_from_ignorance, an_abandoned_request_is_closed,
    double_spends, tape_forks, the_same_hand_twice, both_sides_of_a_dead_transfer,
    one_outcome_of_a_request, one_payment_of_a_basket,
)  # fmt: skip
