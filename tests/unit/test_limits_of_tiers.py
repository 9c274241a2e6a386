"""A tier's sums at their edges: a day's, what is paid unverified, and what a payee may hold (SPEC §22)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualtap import allowance, limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Begin, Consent, Result
from dualtap.issued import Tier
from dualtap.records import Since, Spent, Synced
from dualtap.statements import Kind, Verification
from dualtap.states import Part, State
from dualtap_devices.driver import Driver, Person, exchange
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, TIER, Actor, Meeting, World

BASKET = bytes(16)
PIN = b"4071"
OVER = [(Result.NOT_PAID, Code.OVER_LIMIT)]
UNVERIFIED = [(Result.NOT_PAID, Code.UNVERIFIED)]


def told(actor: Actor) -> list[tuple[Result, Code | int | None]]:
    return [(report.result, report.code) for report in actor.reports]


def held(wallet: Wallet) -> int:
    return sum(holding.amount for holding in wallet.book.holdings)


def world_of(**tier: int) -> World:
    return World(tiers=(TIER._replace(**tier),))


def with_pin(wallet: Wallet) -> Wallet:
    assert wallet.keystore.pin is not None
    wallet.keystore.pin.set(PIN)
    return wallet


def gives(wallet: Wallet, verification: Verification) -> Consent:
    if verification >= Verification.PIN:
        assert wallet.keystore.pin is not None
        wallet.keystore.pin.verify(PIN)
    return Consent(verification)


def meet(
    world: World, payer: Wallet, payee: Wallet, amount: int, given: Verification = Verification.PRESENCE
) -> Meeting:
    return world.meet(payer, payee, amount, person=lambda _: gives(payer, given))


def ends(meeting: Meeting) -> list[tuple[Result, Code | int | None]]:
    return told(meeting.run().payer)


PAID = [(Result.PAID, None)]


def test_a_days_sum_at_its_edge() -> None:
    """§22-1."""
    world = world_of(day=100)
    watch, till = world.wallet(fund=1000), world.wallet()
    assert ends(meet(world, watch, till, 101)) == OVER
    assert ends(meet(world, watch, till, 60)) == PAID
    assert ends(meet(world, watch, till, 41)) == OVER
    assert ends(meet(world, watch, till, 40)) == PAID
    assert ends(meet(world, watch, till, 1)) == OVER
    assert watch.book.spent.day == 100
    world.check()


def test_a_clock_begins_no_new_day() -> None:
    """§22-2."""
    world = world_of(day=100)
    watch, till = world.wallet(fund=1000), world.wallet()
    assert ends(meet(world, watch, till, 100)) == PAID
    tomorrow = float((EPOCH + 1) * limits.EPOCH_SECONDS)
    meeting = world.meet(watch, till, 1, seconds=tomorrow)
    assert ends(meeting) == OVER


def test_a_later_date_begins_a_new_day() -> None:
    """§22-2: the till's date reaches the watch with the Receipt."""
    world = world_of(day=100)
    watch = world.wallet(fund=1000)
    till = world.wallet(header=world.dated(EPOCH + 1))
    assert [ends(meet(world, watch, till, 100)) for _ in range(3)] == [PAID, PAID, OVER]
    assert watch.book.spent == Spent(EPOCH + 1, 100, 200, 0)


@pytest.mark.parametrize("dead", [True, False], ids=["never seen", "accepted"])
def test_what_is_in_doubt_counts_until_it_is_dead(dead: bool) -> None:
    """§22-3."""
    world = world_of(day=100, unverified=100)
    watch, till, other = world.wallet(fund=1000), world.wallet(), world.wallet()
    charge = Charge(100, "CNY", BASKET)
    meeting = world.meet(watch, till, charge=charge)
    meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    if not dead:
        meeting.until(Part.PAYEE, State.ENDED)
    meeting.lose()
    assert watch.book.in_doubt() == 100
    assert ends(meet(world, watch, other, 1)) == OVER
    assert ends(world.meet(watch, till, charge=charge))[-1] == ((Result.PAID, None) if dead else PAID_BEFORE)
    assert (watch.book.spent.day, watch.book.spent.unverified) == (100, 100)
    assert watch.book.since.payments == (2 if dead else 1), "to payments it counts, dead or not"
    world.check()


PAID_BEFORE = (Result.DONE, Code.BASKET_PAID)


def test_the_sums_outlive_power_and_compaction_and_sync() -> None:
    """§22-4."""
    world = world_of(day=100, unverified=100)
    watch, till = world.wallet(fund=1000), world.wallet()
    assert ends(meet(world, watch, till, 100)) == PAID
    spent = watch.book.spent
    assert spent == Spent(EPOCH, 100, 100, 0)
    watch.compact()
    again = world.reopened(watch)
    assert again.book.spent == spent
    again.book.apply(Synced(again.book.counter, (), 0))
    assert (again.book.since, again.book.spent) == (Since(), spent)
    assert ends(meet(world, again, till, 1)) == OVER


def test_what_is_paid_unverified_at_its_edge() -> None:
    """§22-5, §22-6."""
    world = world_of(unverified=100)
    watch, till = with_pin(world.wallet(fund=1000)), world.wallet()
    assert ends(meet(world, watch, till, 101)) == UNVERIFIED
    assert ends(meet(world, watch, till, 100)) == PAID
    assert ends(meet(world, watch, till, 1)) == UNVERIFIED
    assert ends(meet(world, watch, till, 500, Verification.PIN)) == PAID
    assert watch.book.spent.unverified == 0
    assert ends(meet(world, watch, till, 100, Verification.NONE)) == PAID
    assert ends(meet(world, watch, till, 1, Verification.NONE)) == UNVERIFIED
    world.check()


def test_the_person_is_told_what_is_needed() -> None:
    """§22-6."""
    world = world_of(unverified=100)
    watch, till = with_pin(world.wallet(fund=1000)), world.wallet()
    asked: list[Verification] = []

    def person(ask: Ask) -> Consent:
        asked.append(ask.verification)
        return gives(watch, ask.verification)

    for amount, wanted in ((100, Verification.NONE), (1, Verification.NONE), (1, Verification.DEVICE)):
        charge = replace(Charge(amount, "CNY", world.draw(16)), verification=wanted)
        assert ends(world.meet(watch, till, charge=charge, person=person)) == PAID
    assert asked == [Verification.NONE, Verification.PIN, Verification.DEVICE]


def test_another_tap_may_use_up_the_sums_while_the_person_thinks() -> None:
    """§22-6, §11.3-8."""
    world = world_of(unverified=100)
    watch, till, other = world.wallet(fund=1000), world.wallet(), world.wallet()
    slow = world.meet(watch, till, 100)
    slow.until(Part.PAYER, State.AWAIT_CONSENT)
    assert ends(meet(world, watch, other, 1)) == PAID
    assert ends(slow) == UNVERIFIED
    world.check()


def test_a_payee_holds_no_more_than_its_tier_lets_it() -> None:
    """§22-7, §22-8."""
    world = world_of(balance=150)
    watch, till = world.wallet(fund=1000), world.wallet(fund=50)
    above = world.meet(watch, till, 101)
    assert told(above.run().payee) == OVER
    assert above.payee.signed == [Kind.PRESENT], "no Request was made"
    assert ends(meet(world, watch, till, 100)) == PAID
    assert told(meet(world, watch, till, 1).run().payee) == OVER
    assert held(till) == 150


def test_two_open_requests_do_not_fill_a_balance_twice() -> None:
    """§22-7: the second is closed when its transfer comes."""
    world = world_of(balance=100)
    watch, other, till = world.wallet(fund=1000), world.wallet(fund=1000), world.wallet()
    first, second = meet(world, watch, till, 60), meet(world, other, till, 60)
    first.until(Part.PAYEE, State.AWAIT_TRANSFER)
    assert ends(second) == PAID
    assert told(first.run().payer) == OVER
    assert held(till) == 60
    world.check()


def test_what_is_in_doubt_counts_as_held() -> None:
    """§22-7, §22-8: it may come back, and is then taken back whatever is held."""
    world = world_of(balance=100)
    watch, till = world.wallet(fund=100), world.wallet(fund=100)
    torn = meet(world, watch, world.wallet(), 60)
    torn.until(Part.PAYER, State.AWAIT_OUTCOME)
    torn.lose()
    assert told(meet(world, till, watch, 1).run().payee) == OVER


def test_a_payee_remembers_what_it_asked() -> None:
    """§22-9."""
    world = World()
    watch, till = with_pin(world.wallet(fund=100)), world.wallet()
    charge = replace(Charge(10, "CNY", BASKET), verification=Verification.PIN)
    meeting = world.meet(watch, till, charge=charge, person=lambda _: gives(watch, Verification.PIN))
    meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    (asked,) = world.reopened(till).book.open.values()
    assert asked.verification is Verification.PIN
    assert ends(meeting) == PAID
    with pytest.raises(TapError) as caught:
        world.meet(watch, till, charge=replace(charge, verification=7)).payee.step(Begin())  # type: ignore[arg-type]
    assert caught.value.code is Code.BAD_INPUT


def test_no_host_claims_what_its_keystore_has_not_seen() -> None:
    """§22-14: it would leave an entry that nobody can sign; and what was given for nothing is forgotten."""
    world = World()
    watch, till = with_pin(world.wallet(fund=100)), world.wallet()

    def driver(wallet: Wallet, order: Order, person: Person) -> Driver:
        ephemeral, starts = world.suite.ephemeral(world.draw()), isinstance(order, Pay)
        return Driver(wallet, order, starts, ephemeral, world.draw(), person, clock=lambda: 0.0)

    def tap(amount: int, wanted: Verification) -> Driver:
        charge = replace(Charge(amount, "CNY", world.draw(16)), verification=wanted)
        payee = driver(till, charge, lambda _: Consent())
        payer = driver(watch, Pay(), lambda _: Consent(Verification.PIN))
        exchange(payer, payee)
        return payer

    assert tap(10, Verification.PIN).result.code is Code.UNVERIFIED
    assert tap(10, Verification.NONE).result.result is Result.PAID
    assert watch.keystore.pin is not None
    watch.keystore.pin.verify(PIN)
    assert tap(10, Verification.PIN).result.result is Result.PAID
    watch.keystore.pin.verify(PIN)
    assert tap(1_000, Verification.PIN).result.code is Code.INSUFFICIENT
    assert not watch.keystore.pin.cell.verified


def test_no_limit_is_none_whatever_was_paid() -> None:
    """§4.3-1: a sum of AMOUNT is no limit."""
    tier = Tier(1, limits.AMOUNT, 9, 9, limits.AMOUNT)
    rich = Spent(7, limits.AMOUNT, limits.AMOUNT, 0)
    allowance.check_day(tier, rich, 7, limits.AMOUNT)
    assert allowance.needed(tier, rich, limits.AMOUNT, Verification.NONE) is Verification.NONE
    with pytest.raises(TapError):
        allowance.check_day(tier._replace(day=limits.AMOUNT - 1), rich, 7, 1)
