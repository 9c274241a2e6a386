"""What no one tap shows (SPEC §1, §4, §8.4): a tape over many taps, every unit counted at the end."""

from __future__ import annotations

from itertools import pairwise

from dualtap.errors import Code
from dualtap.states import Part
from dualtap.wire import RefuseMessage, TransferMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.customer import Customer
from dualtap_conform.personal import UNTIMED
from dualtap_conform.puppet import Failure, must, named
from dualtap_conform.stage import CURRENCY, TIER
from dualtap_conform.till import Till

ENTRIES, CUTS = 12, 16
"""From how many entries of a tape, and spans cut from a longer piece, it is judged whether chance was in them."""


def _speak(bench: Bench) -> None:
    """Have the device make an entry of its tape, or at least an ephemeral key."""
    if bench.part is Part.PAYER:
        Till(bench).collect(155)
        return
    Customer(bench).buy()


def _faultless(bench: Bench, clause: str) -> None:
    while len(bench.memory.entries) < ENTRIES:
        _speak(bench)
    if clause in bench.memory.faults:
        expected, got = bench.memory.faults[clause]
        raise Failure(expected, got, clause)


@check("6-4")
def ephemeral_keys_never_repeat(bench: Bench) -> None:
    """No two taps of the run had the same ephemeral key"""
    _faultless(bench, "6-4")


@check("4.1-6", advice=True)
def counters_skip(bench: Bench) -> None:
    """The device's counters skip, at random"""
    _faultless(bench, "4.1-6")
    places = sorted((prev, ctr) for prev, ctr, _ in bench.memory.entries.values())
    steps = {ctr - prev for prev, ctr in places}
    if bench.part is Part.PAYER:  # of a payee's tape, Closes that nobody asked for were not seen
        steps |= {ctr - last for (_, last), (_, ctr) in pairwise(places)}
    must(len(steps) > 1, "4.1-6", "counters that skip at random", f"always by {min(steps)}")


@check("8.4-5", part=Part.PAYER, advice=True)
def cuts_either_end(bench: Bench) -> None:
    """What is paid is cut from either end of what the device holds, at random"""
    while len(bench.holdings.cuts) < CUTS:
        Till(bench).collect(156)
    ends = set(bench.holdings.cuts)  # after a check that failed, a middle may be none: the device had paid more
    must(ends >= {"start", "end"}, "8.4-5", "spans from either end", f"always from the {' or '.join(sorted(ends))}")


@check("4.1-5")
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
        if message == RefuseMessage(Code.OVER_LIMIT) and ask > UNTIMED:
            ask = UNTIMED  # it has no clock, and so it measures nothing
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
    ephemeral_keys_never_repeat, counters_never_overlap, counters_skip, cuts_either_end, epochs_never_fall,
    seeds_never_repeat, no_unit_is_paid_twice, doubt_is_never_spent, nothing_is_lost,
)  # fmt: skip
