"""What no one tap shows (SPEC §1, §4, §7): dates that move, a tape over many taps, every unit counted at the end."""

from __future__ import annotations

from dualtap import limits
from dualtap.errors import Code
from dualtap.statements import Header
from dualtap.states import Part
from dualtap.wire import RefuseMessage, TransferMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.customer import Customer
from dualtap_conform.puppet import Failure, must, named
from dualtap_conform.stage import CURRENCY, TIER
from dualtap_conform.till import Till


def _dated(bench: Bench, amount: int, header: Header) -> None:
    """Be paid, and bring a date with the Receipt."""
    till = Till(bench)
    with bench.tap() as tap:
        paid = till.hear(tap, till.ask(tap, amount))
        till.settle(tap, paid, till.receipt(paid)._replace(header=header))


@check("7-9", "7-10", "7-11", "4.1-7", part=Part.PAYER)
def dates(bench: Bench) -> None:
    """A date that comes with an outcome is taken iff the policy key signed it, for a bounded step, and forwards"""
    stage, date = bench.stage, bench.date
    for amount, clause, why, header in (
        (150, "7-9", "a date that the bank signed", stage.header(date + 1, issuer="bank")),
        (151, "7-9", "a date with an altered epoch", stage.header(date + 1)._replace(epoch=date + 2)),
        (152, "7-10", "a date too far ahead", stage.header(date + limits.EPOCH_STEP + 1)),
        (153, "7-11", "an older date", stage.header(date - 1)),
    ):
        _dated(bench, amount, header)
        _epoch_is(bench, 160 + amount, clause, why, date)
    _dated(bench, 154, stage.header(date + 1))
    bench.date = date + 1
    _epoch_is(bench, 320, "7-9", "a date that the policy key signed", date + 1)


def _epoch_is(bench: Bench, amount: int, clause: str, why: str, epoch: int) -> None:
    till = Till(bench)
    with bench.tap() as tap:
        asked = till.ask(tap, amount)
        message = tap.hear(TransferMessage, clause)
        if message.epoch != epoch:
            bench.date = message.epoch
            raise Failure(f"epoch {epoch} after {why}", f"epoch {message.epoch}", clause)
        paid = till.judge(message, asked)
        till.settle(tap, paid, till.receipt(paid))


def _speak(bench: Bench) -> None:
    """Have the device make an entry of its tape, or at least an ephemeral key."""
    if bench.part is Part.PAYER:
        Till(bench).collect(155)
        return
    Customer(bench).buy()


def _faultless(bench: Bench, clause: str) -> None:
    for _ in range(2):
        _speak(bench)
    if clause in bench.memory.faults:
        expected, got = bench.memory.faults[clause]
        raise Failure(expected, got, clause)


@check("6-4")
def ephemeral_keys_never_repeat(bench: Bench) -> None:
    """No two taps of the run had the same ephemeral key"""
    _faultless(bench, "6-4")


@check("4.1-5", "4.1-6")
def counters_never_overlap(bench: Bench) -> None:
    """No two entries of the device's tape share a counter"""
    _faultless(bench, "4.1-5")


@check("4.1-8")
def epochs_never_fall(bench: Bench) -> None:
    """The device's dates never fall along its tape"""
    _faultless(bench, "4.1-8")


@check("4.2-4")
def seeds_never_repeat(bench: Bench) -> None:
    """Each entry of the tape has a seed of its own"""
    _faultless(bench, "4.2-4")


@check("1-1", part=Part.PAYER)
def no_unit_is_paid_twice(bench: Bench) -> None:
    """No unit that was paid is paid again"""
    _faultless(bench, "1-1")


@check("11.3-11", part=Part.PAYER)
def doubt_is_never_spent(bench: Bench) -> None:
    """No unit in doubt is paid to anybody else"""
    _faultless(bench, "11.3-11")


@check("1-2", part=Part.PAYER)
def nothing_is_lost(bench: Bench) -> None:
    """In the end the device pays out every unit that it was not seen to pay"""
    ask, till = bench.holdings.amount(CURRENCY, bench.date), Till(bench)
    while left := bench.holdings.amount(CURRENCY, bench.date):
        ask = min(ask, left, TIER.payment)
        with bench.tap() as tap:
            asked = till.ask(tap, ask)
            message = tap.hear_any("a Transfer", "1-2")
            if isinstance(message, TransferMessage):
                paid = till.judge(message, asked)
                till.settle(tap, paid, till.receipt(paid))
                continue
        if sum(bench.memory.unjudged.values()) >= left:
            return  # in doubt to peers of checks that failed
        must(
            ask > 1 and message in {RefuseMessage(Code.INSUFFICIENT), RefuseMessage(Code.TOO_LARGE)},
            "1-2",
            f"{left} units more, of which {ask} were asked",
            named(message),
        )
        ask //= 2
    with bench.tap() as tap:
        till.ask(tap, 1)
        message = tap.hear_any("a Refuse", "1-2")
        must(message == RefuseMessage(Code.INSUFFICIENT), "1-1", "nothing more: all is paid", named(message))


CHECKS = (
    dates, ephemeral_keys_never_repeat, counters_never_overlap, epochs_never_fall, seeds_never_repeat,
    no_unit_is_paid_twice, doubt_is_never_spent, nothing_is_lost,
)  # fmt: skip
