"""A payer's Transfer, and what it makes of the outcome (SPEC §8.4, §11.3)."""

from __future__ import annotations

from typing import Any

from dualtap import limits
from dualtap.errors import Code
from dualtap.issued import Authority
from dualtap.statements import Kind, Transfer
from dualtap.states import Part
from dualtap.wire import DoneMessage, RefuseMessage, TransferMessage, Want
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.puppet import Failure, NotHereError, must, named
from dualtap_conform.till import Till, in_doubt


@check(
    "11.3-10", "3-1", "3-3", "3-4", "3-7", "3-9", "4.1-1", "4.1-2", "4.1-4", "4.1-7", "4.2-3", "4.2-1", "4.2-2",
    "4.2-5", "5.1-1", "5.2-4", "5.2-5", "5.3-3", "5.3-4", "5.4-1", "5.4-3", "5.4-4", "5.7-1", "6-2", "6-12", "7-4",
    "8.1-5", "8.4-1", "8.4-2", "8.4-3", part=Part.PAYER,
)  # fmt: skip
def pays(bench: Bench) -> None:
    """An honest Request is paid by a Transfer that an honest payee accepts"""
    paid = Till(bench).collect(110)
    must(not paid.message.authorities, "7-4", "no authorities: none were asked for", len(paid.message.authorities))
    must(not paid.message.refund_of, "4.2-2", "a payment that refunds nothing", paid.message.refund_of.hex())


@check("8.4-4", part=Part.PAYER, advice=True)
def one_span(bench: Bench) -> None:
    """Where one span will do, one span is taken"""
    paid = Till(bench).collect(111)
    must(len(paid.transfer.body.spans) == 1, "8.4-4", "one span", len(paid.transfer.body.spans))


@check("11.3-5", part=Part.PAYER)
def pays_at_the_limits(bench: Bench) -> None:
    """A Request dated as far ahead as a tap may move a date is paid"""
    till = Till(bench)
    with bench.tap() as tap:
        asked = till.request(tap, 112, epoch=bench.date + limits.EPOCH_STEP)
        tap.say(asked.message)
        paid = till.hear(tap, asked, "11.3-5")
        till.settle(tap, paid, till.receipt(paid))


@check("7-4", "5.4-3", part=Part.PAYER)
def sends_its_chain(bench: Bench) -> None:
    """A payee that lacks authorities is sent the chain, issuers first"""
    till = Till(bench)
    with bench.tap(Want.COLLECT | Want.AUTHORITIES) as tap:
        asked = till.ask(tap, 113)
        message = tap.hear(TransferMessage, "7-4")
        found = [item.authority for item in message.authorities]
        wanted = {item.key for item in bench.stage.authorities if item.authority is not Authority.POLICY}
        must(
            wanted <= {item.key for item in message.authorities},
            "7-4",
            "the institution and the bank",
            ", ".join(item.name for item in found) or "none",
        )
        must(found.index(Authority.INSTITUTION) < found.index(Authority.BANK), "7-4", "issuers first", found)
        paid = till.judge(message, asked)
        till.settle(tap, paid, till.receipt(paid))


@check("11.3-12", "11.4-6", part=Part.PAYER)
def a_receipt_ends_the_doubt(bench: Bench) -> None:
    """After a Receipt nothing is shown again"""
    till = Till(bench)
    till.collect(114)
    with bench.tap() as tap:
        tap.say(till.present(tap))
        message = tap.hear_any("a Done, for nothing is in doubt", "11.3-12")
        must(message == DoneMessage(), "11.3-12", "a Done, for nothing is in doubt", named(message))


def _still_in_doubt(bench: Bench, code: Code, clause: str, why: str, **changes: Any) -> None:
    """Answer a transfer in doubt by an outcome that is none: it must stay in doubt."""
    with bench.case(clause):
        paid = in_doubt(bench)
        till = paid.till
        with bench.tap() as tap:
            tap.say(till.present(tap))
            till.shown(tap, paid, clause)
            tap.say(till.receipt(paid)._replace(**changes))
            tap.hear_refusal(code, clause, why)
        till.see(paid, clause)
        bench.doubt = paid


@check("11.3-12", "5.2-4", "5.2-6", "4.2-1", "6-16", part=Part.PAYER)
def outcomes_that_are_none(bench: Bench) -> None:
    """An outcome that does not verify leaves the transfer in doubt"""
    bad, malformed = Code.BAD_SIGNATURE, Code.MALFORMED
    _still_in_doubt(bench, bad, "11.3-12", "a Receipt with another signature", signature=bytes(63) + b"\1")
    _still_in_doubt(bench, bad, "5.2-4", "a Receipt with another counter", ctr=9)
    _still_in_doubt(bench, bad, "5.2-4", "a Receipt of another transfer than was signed", transfer=bytes(32))
    _still_in_doubt(bench, malformed, "5.2-6", "a Receipt with a reason", reason=int(Code.TIMEOUT))
    _still_in_doubt(bench, malformed, "5.2-6", "a Close with a transfer", kind=Kind.CLOSE, transfer=bytes(32))
    _still_in_doubt(bench, malformed, "4.2-1", "a Receipt at no place on a tape", prev=2, ctr=2)


@check("11.3-12", "5.2-5", part=Part.PAYER)
def outcome_of_a_stranger(bench: Bench) -> None:
    """A Receipt by another certified key than the payee's ends no doubt"""
    paid, other = in_doubt(bench), Till(bench)
    with bench.tap() as tap:
        tap.say(paid.till.present(tap))
        paid.till.shown(tap, paid)
        tap.say(other.receipt(paid))
        tap.hear_refusal(Code.BAD_SIGNATURE, "5.2-5", "a Receipt that another key signed")
    paid.till.see(paid, "11.3-12")
    bench.doubt = paid


@check("11.3-11", "11.1-3", part=Part.PAYER)
def a_refuse_is_no_outcome(bench: Bench) -> None:
    """After a Transfer, a Refuse or another message leaves it in doubt"""
    till = Till(bench)
    with bench.tap() as tap:
        paid = till.hear(tap, till.ask(tap, 121))
        tap.say(RefuseMessage(Code.DECLINED))
        tap.silence("11.1-4", "the other side has refused")
    with bench.tap() as tap:
        tap.say(till.present(tap))
        till.shown(tap, paid, "11.3-11")
        tap.say(DoneMessage())
        tap.hear_refusal(Code.UNEXPECTED_MESSAGE, "11.1-3", "a Done in place of an outcome")
    till.heal(paid, "11.3-11")


@check("11.3-11", part=Part.PAYER)
def what_is_in_doubt_is_not_spent(bench: Bench) -> None:
    """Value in doubt is not paid to somebody else"""
    amount = _all_of(bench, "AUD")
    till, other = Till(bench), Till(bench)
    paid = till.tear(amount, currency="AUD")
    with bench.tap() as tap:
        tap.say(other.request(tap, amount, currency="AUD").message)
        tap.hear_refusal(Code.INSUFFICIENT, "11.3-11", "value that is in doubt")
    till.heal(paid)


@check("11.4-6", "8.2-4", "8.2-5", "5.4-1", "8.4-3", part=Part.PAYER)
def a_close_restores(bench: Bench) -> None:
    """After a Close the value is paid again, from the payer's side, with the right warrant"""
    amount = _all_of(bench, "EUR")
    till = Till(bench)
    with bench.tap() as tap:
        first = till.hear(tap, till.ask(tap, amount, currency="EUR"))
        till.settle(tap, first, till.close(first))
    again = _paid_again(bench, amount, "EUR", "11.4-6")
    parents = {span.parent.id for span in again.body.spans}
    must(first.transfer.id in parents, "11.4-6", "spans of the dead transfer", "others")


@check("11.4-6", "8.2-4", part=Part.PAYER)
def another_receipt_restores(bench: Bench) -> None:
    """A Receipt of another transfer makes this one dead: its value is paid again"""
    amount = _all_of(bench, "NZD")
    till = Till(bench)
    with bench.tap() as tap:
        first = till.hear(tap, till.ask(tap, amount, currency="NZD"))
        till.settle(tap, first, till.receipt(first, bench.draw(32)))
    _paid_again(bench, amount, "NZD", "11.4-6")


def _paid_again(bench: Bench, amount: int, currency: str, clause: str) -> Transfer:
    till = Till(bench)
    with bench.tap() as tap:
        asked = till.ask(tap, amount, currency=currency)
        message = tap.hear_any("a Transfer", clause)
        if not isinstance(message, TransferMessage):
            raise Failure("a Transfer of the restored value", type(message).__name__, clause)
        paid = till.judge(message, asked)
        till.settle(tap, paid, till.receipt(paid))
    return paid.transfer


@check("8.4-2", "8.2-2", part=Part.PAYER)
def restored_too_often(bench: Bench) -> None:
    """Value that was restored more often than a payee takes is not offered"""
    amount = _all_of(bench, "USD")
    for _ in range(limits.WARRANTS + 1):
        till = Till(bench)
        with bench.tap() as tap:
            paid = till.hear(tap, till.ask(tap, amount, currency="USD"), "11.4-6")
            till.settle(tap, paid, till.close(paid))
    with bench.tap() as tap:
        tap.say(Till(bench).request(tap, amount, currency="USD").message)
        tap.hear_refusal(Code.INSUFFICIENT, "8.4-2", "value that was restored three times")


@check("8.4-2", "5.6-3", part=Part.PAYER)
def value_that_a_payee_refuses(bench: Bench) -> None:
    """Value that is expired, bound by an unknown condition or at its last hop is not offered"""
    for currency, clause, why in (
        ("GBP", "8.4-2", "value whose last day was yesterday"),
        ("JPY", "5.6-3", "value with an unknown condition"),
        ("CHF", "8.4-2", "value that may not change hands"),
    ):
        held = [token for token in bench.setup.tokens if token.currency == currency]
        if not held:
            raise NotHereError(f"the setup holds no {currency}")
        with bench.case(clause), bench.tap() as tap:
            tap.say(Till(bench).request(tap, held[0].amount, currency=currency).message)
            tap.hear_refusal(Code.INSUFFICIENT, clause, why)


@check("8.4-2", "5.3-6", "8.4-1", part=Part.PAYER)
def two_spans(bench: Bench) -> None:
    """Where one span does not do, several do, but no more than the payee takes"""
    amount = _all_of(bench, "SGD")
    till = Till(bench)
    with bench.tap() as tap:
        tap.say(till.request(tap, amount, currency="SGD", spans=1).message)
        tap.hear_refusal(Code.INSUFFICIENT, "8.4-2", "a payee that takes one span only")
    with bench.tap() as tap:
        asked = till.ask(tap, amount, currency="SGD")
        message = tap.hear_any("a Transfer")
        if message == RefuseMessage(Code.INSUFFICIENT):
            raise NotHereError("this device pays with one span only, as a card may (§10.1-5)")
        if not isinstance(message, TransferMessage):
            raise Failure("a Transfer of two spans", type(message).__name__)
        paid = till.judge(message, asked)
        till.settle(tap, paid, till.receipt(paid))


@check("8.4-3", part=Part.PAYER)
def too_large_is_not_signed(bench: Bench) -> None:
    """What a payee cannot carry is refused before it is signed"""
    till = Till(bench)
    with bench.tap() as tap:
        tap.say(till.request(tap, 123, size=200).message)
        tap.hear_refusal(Code.TOO_LARGE, "8.4-3", "a payee that takes frames of 200 bytes only")
    with bench.tap() as tap:
        tap.say(till.present(tap))
        tap.hear(DoneMessage, "8.4-3")


def _all_of(bench: Bench, currency: str) -> int:
    amount = bench.holdings.amount(currency, bench.date)
    if not amount:
        raise NotHereError(f"the device holds no {currency}: make it ready anew")
    return amount


CHECKS = (
    pays, one_span, pays_at_the_limits, sends_its_chain, a_receipt_ends_the_doubt, outcomes_that_are_none,
    outcome_of_a_stranger, a_refuse_is_no_outcome, what_is_in_doubt_is_not_spent, a_close_restores,
    another_receipt_restores, restored_too_often, value_that_a_payee_refuses, two_spans, too_large_is_not_signed,
)  # fmt: skip
