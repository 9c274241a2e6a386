"""The timed round (SPEC §24): a payer that measures, and a payee that answers."""

from __future__ import annotations

import time

from dualtap import limits
from dualtap.errors import Code
from dualtap.states import Part
from dualtap.wire import DoneMessage, Message, PingMessage, PongMessage, RefuseMessage, TransferMessage
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.customer import Customer
from dualtap_conform.personal import UNTIMED
from dualtap_conform.puppet import Failure, NotHereError, Puppet, must, named
from dualtap_conform.till import Asked, Till


def _pinged(tap: Puppet, till: Till, amount: int) -> tuple[Asked, PingMessage]:
    """Ask for more than is paid unmeasured, and hear the Ping; a device without a clock refuses instead (§24-5)."""
    tap.pongs = False
    asked = till.ask(tap, amount)
    message = tap.hear_any("a Ping", "24-1")
    if message == RefuseMessage(Code.OVER_LIMIT):
        raise NotHereError("this device cannot measure: it pays no more than its tier's untimed amount")
    if not isinstance(message, PingMessage):
        raise Failure("a Ping, before so much is paid", named(message), "24-1")
    return asked, message


@check("24-1", part=Part.PAYER)
def measures_who_is_near(bench: Bench) -> None:
    """Above its tier's untimed amount a payer pays after a timed round, and up to it without one"""
    till = Till(bench)
    with bench.tap() as tap:
        tap.pongs = False
        paid = till.hear(tap, till.ask(tap, UNTIMED), "24-1")
        till.settle(tap, paid, till.receipt(paid))
    with bench.tap() as tap:
        asked, ping = _pinged(tap, till, UNTIMED + 1)
        tap.pongs = True
        tap.say(PongMessage(ping.nonce))
        paid = till.hear(tap, asked, "24-3")
        till.settle(tap, paid, till.receipt(paid))


@check("24-3", "24-4", "24-2", part=Part.PAYER)
def refuses_who_is_far(bench: Bench) -> None:
    """Where every answer comes late, a payer signs nothing, and says so after a few rounds"""
    till = Till(bench)
    with bench.tap() as tap:
        _, message = _pinged(tap, till, UNTIMED + 1)
        nonces: list[bytes] = []
        heard: Message = message
        while isinstance(heard, PingMessage):
            nonces.append(heard.nonce)
            must(len(nonces) <= limits.PINGS, "24-4", f"at most {limits.PINGS} rounds", "more")
            must(nonces.count(heard.nonce) == 1, "24-2", "fresh bytes in every Ping", "the same bytes again")
            time.sleep(bench.late)
            tap.say(PongMessage(heard.nonce))
            heard = tap.hear_any("a Ping or a Refuse", "24-4")
        if isinstance(heard, TransferMessage):
            raise Failure("Refuse TOO_FAR", "a Transfer", "24-3")
        must(heard == RefuseMessage(Code.TOO_FAR), "24-4", "Refuse TOO_FAR", named(heard))
    _owes_nothing(bench, till)


@check("24-4", part=Part.PAYER)
def other_bytes_are_no_answer(bench: Bench) -> None:
    """A Pong of other bytes than the Ping's is refused"""
    till = Till(bench)
    with bench.tap() as tap:
        _, ping = _pinged(tap, till, UNTIMED + 1)
        tap.say(PongMessage(bytes(byte ^ 1 for byte in ping.nonce)))
        tap.hear_refusal(Code.UNEXPECTED_MESSAGE, "24-4", "a Pong of other bytes")
    _owes_nothing(bench, till)


def _owes_nothing(bench: Bench, till: Till) -> None:
    with bench.tap() as tap:
        tap.say(till.present(tap))
        tap.hear(DoneMessage, "24-1")


@check("24-2", part=Part.PAYEE)
def answers_pings(bench: Bench) -> None:
    """A payee answers each Ping at once, by its bytes, and is paid all the same"""
    customer = Customer(bench)
    with bench.tap() as tap:
        wanted = customer.wanted(tap)
        times: list[float] = []
        for _ in range(limits.PINGS):
            nonce, began = bench.draw(8), time.monotonic()
            tap.say(PingMessage(nonce))
            pong = tap.hear(PongMessage, "24-2")
            times.append(time.monotonic() - began)
            must(pong.nonce == nonce, "24-2", "the Ping's bytes", pong.nonce.hex())
        must(min(times) < bench.late, "24-2", "an answer at once", f"{1000 * min(times):.0f} ms at best")
        message = customer.pay(wanted)
        tap.say(message)
        customer.receipt(tap, wanted, message, "24-2")


@check("24-6", part=Part.PAYEE)
def a_flood_of_pings(bench: Bench) -> None:
    """A payee answers so many Pings in a tap, and no more"""
    customer = Customer(bench)
    with bench.tap() as tap:
        customer.wanted(tap)
        for _ in range(limits.PINGS):
            tap.say(PingMessage(bench.draw(8)))
            tap.hear(PongMessage, "24-2")
        tap.say(PingMessage(bench.draw(8)))
        tap.hear_refusal(Code.UNEXPECTED_MESSAGE, "24-6", "one Ping too many")


CHECKS = (measures_who_is_near, refuses_who_is_far, other_bytes_are_no_answer, answers_pings, a_flood_of_pings)
