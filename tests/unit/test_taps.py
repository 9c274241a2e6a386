"""Stories of taps: two wallets meet, and what each of them holds afterwards."""

# pyright: reportUnusedExpression=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Begin, Consent, Decline, Persist, Received, Report, Result, Send, Sign, Stop
from dualtap.forms import signed
from dualtap.issued import Carrier, Role, Tier
from dualtap.keystore import sign_with
from dualtap.limits import CARD
from dualtap.records import Asked, News, Sent
from dualtap.statements import Kind, ReceiptBody, Verification
from dualtap.states import Part, State
from dualtap.suite import Drbg
from dualtap.wire import (
    Hello,
    OutcomeMessage,
    PresentMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    Want,
    Welcome,
)
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, SUITE_NAMES, TIER, Actor, Meeting, Playbook, Said, World, refuse

DAY = limits.EPOCH_SECONDS
BASKET = b"basket of apples"
APPLES = Charge(100, "CNY", BASKET)


def told(actor: Actor) -> list[tuple[Result, object]]:
    return [(report.result, report.code) for report in actor.reports]


def held(wallet: Wallet) -> int:
    return wallet.book.available(EPOCH)


def torn(world: World, payer: Wallet, payee: Wallet, *, receipt_lost: bool = False, charge: Charge = APPLES) -> Meeting:
    """A tap that is lost with the Transfer, or with the Receipt."""
    meeting = world.meet(payer, payee, charge=charge).run(stop_after=3 if receipt_lost else 2)
    assert meeting.payer.report.result is Result.IN_DOUBT
    return meeting


# Paying


@pytest.mark.parametrize("payer_starts", [True, False])
@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_pay(suite: str, payer_starts: bool) -> None:
    """§1-2."""
    world = World(suite)
    watch, till = world.wallet(Carrier.WATCH, 1000), world.wallet(Carrier.POS)
    meeting = world.meet(watch, till, 125, payer_starts=payer_starts).run()
    assert meeting.said == ["Hello", "Welcome", "Request", "Transfer", "Outcome"]
    transfer = meeting.payer.report.transfer
    assert meeting.payer.reports == [Report(Result.PAID, 125, "CNY", transfer, till.book.key)]
    assert meeting.payee.report.result is Result.COLLECTED
    assert meeting.payee.report.transfer == transfer
    assert (held(watch), held(till), watch.book.in_doubt(), till.book.received_unsettled()) == (875, 125, 0, 125)
    assert (watch.book.payments_left(), watch.book.since.payments, till.book.since.receipts) == (999, 1, 1)
    assert [line.what for line in watch.book.history] == ["funded", "sent", "accepted"]
    assert [line.what for line in till.book.history] == ["received"]
    world.check()


def test_the_payer_says_and_does_one_thing_at_a_time() -> None:
    """§11.3-10."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 125)
    playbook = Playbook(meeting, meeting.payer)
    playbook >> Begin() << Hello
    playbook >> playbook.received << Ask(125, "CNY", till.book.certificate)
    playbook >> Consent(Verification.PRESENCE) << Persist << Sign
    playbook >> playbook.signature << TransferMessage
    playbook >> playbook.received << Persist << Report
    playbook.done()
    assert meeting.payer.tap.ended
    assert meeting.payee.tap.part is Part.PAYEE
    assert till.book.received_unsettled() == 125


def test_the_payee_says_and_does_one_thing_at_a_time() -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 125)
    playbook = Playbook(meeting, meeting.payee)
    playbook >> Begin()
    playbook >> playbook.received << Persist << Sign
    playbook >> playbook.signature << RequestMessage
    playbook >> playbook.received << Persist << Sign
    playbook >> playbook.signature << OutcomeMessage << Report
    playbook.done()


def test_exact_change_over_three_hops() -> None:
    world = World()
    wallets = [world.wallet(fund=1000), *(world.wallet() for _ in range(3))]
    for giver, taker, amount in zip(wallets, wallets[1:], (700, 333, 1), strict=False):
        world.pay(giver, taker, amount)
    assert [held(wallet) for wallet in wallets] == [300, 367, 332, 1]
    world.pay(wallets[3], wallets[0], 1)
    assert held(wallets[0]) == 301
    world.check()


def test_several_pieces_pay_one_price() -> None:
    world = World()
    card, till = world.wallet(fund=(50, 30, 40)), world.wallet()
    world.pay(card, till, 110)
    assert held(card) == 10
    assert len(till.book.holdings) == 3
    world.check()


def test_value_in_too_many_pieces_waits_for_a_sync() -> None:
    """§8.4-2, §11.3-7."""
    world = World()
    watch, card = world.wallet(fund=(10,) * 5), world.wallet(profile=CARD)
    meeting = world.meet(watch, card, 50).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    assert told(meeting.payee) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    assert meeting.payer.signed == []
    world.check()


def test_the_smallest_piece_that_covers_the_price_is_taken() -> None:
    world = World()
    watch, till = world.wallet(fund=(1000, 60, 500)), world.wallet()
    world.pay(watch, till, 50)
    assert sorted(piece.amount for piece in watch.book.holdings) == [10, 500, 1000]


def test_a_purse_is_emptied_to_the_last_unit() -> None:
    """§11.3-7."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    world.pay(watch, till, 100)
    assert watch.book.holdings == []
    meeting = world.meet(watch, till, 1).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    world.check()


def test_the_person_is_asked_for_the_right_amount_and_may_decline() -> None:
    """§11.3-9."""
    world = World()
    asked: list[Ask] = []

    def ask(question: Ask) -> Decline:
        asked.append(question)
        return refuse(question)

    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 77, person=ask).run()
    assert asked == [Ask(77, "CNY", till.book.certificate)]
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.DECLINED)]
    assert told(meeting.payee) == [(Result.NOT_PAID, Code.DECLINED)]
    assert meeting.payer.signed == []
    assert held(watch) == 1000
    world.check()


def test_how_the_person_was_verified_is_told_to_the_payee() -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 77, person=lambda ask: Consent(Verification.NONE)).run()
    (shown,) = [seen.message for seen in meeting.heard if isinstance(seen.message, TransferMessage)]
    assert shown.verification is Verification.NONE


# Tears


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("payer_starts", [True, False])
@pytest.mark.parametrize("last", range(6))
def test_a_second_tap_heals_a_tear_at_any_message(suite: str, payer_starts: bool, last: int) -> None:
    """§1-4."""
    world = World(suite)
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES, payer_starts=payer_starts).run(stop_after=last)
    world.check()
    watch, till = world.reopen(watch), world.reopen(till)
    world.meet(watch, till, charge=APPLES, payer_starts=payer_starts).run()
    assert (held(watch), held(till)) == (900, 100)
    assert watch.book.in_doubt() == 0
    world.check()


def test_the_transfer_was_lost() -> None:
    """§11.2-1, §11.3-11, §11.4-6."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    first = torn(world, watch, till)
    assert (held(watch), watch.book.in_doubt()) == (900, 100)
    assert first.payee.report.code is Code.LINK_LOST
    again = world.meet(watch, till, charge=APPLES).run()
    assert again.said == ["Hello", "Welcome", "Request", "Transfer", "Outcome", "Transfer", "Outcome"]
    assert told(again.payer) == [(Result.HEALED_RESTORED, None), (Result.PAID, None)]
    assert told(again.payee) == [(Result.COLLECTED, None)]
    assert again.payee.signed == [Kind.CLOSE, Kind.REQUEST, Kind.RECEIPT]
    assert [line.what for line in watch.book.history] == ["funded", "sent", "restored", "sent", "accepted"]
    world.check()


def test_the_receipt_was_lost() -> None:
    """§4.1-10, §11.2-9, §11.4-4."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    first = torn(world, watch, till, receipt_lost=True)
    assert told(first.payee) == [(Result.COLLECTED, None)]
    world.check()
    again = world.meet(watch, till, charge=APPLES).run()
    assert again.said == ["Hello", "Welcome", "Present", "Transfer", "Outcome", "Done"]
    assert told(again.payer) == [(Result.HEALED_PAID, None), (Result.DONE, Code.BASKET_PAID)]
    assert told(again.payee) == [(Result.DONE, Code.BASKET_PAID)], "else a till would read it as collected"
    assert again.payee.signed == [Kind.PRESENT], "a stored outcome is repeated, not signed again"
    assert (held(watch), held(till)) == (900, 100)
    world.check()


def test_heal_then_pay_for_another_basket() -> None:
    """§11.3-4."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    torn(world, watch, till, receipt_lost=True)
    other = world.meet(watch, till, 30).run()
    assert told(other.payer) == [(Result.HEALED_PAID, None), (Result.PAID, None)]
    assert (held(watch), held(till)) == (870, 130)
    world.check()


def test_a_transfer_that_was_lost_is_taken_when_another_basket_comes() -> None:
    """§11.4-5."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    torn(world, watch, till)
    other = world.meet(watch, till, 30).run()
    assert told(other.payer) == [(Result.HEALED_PAID, None), (Result.PAID, None)]
    assert other.payee.signed == [Kind.REQUEST, Kind.RECEIPT, Kind.RECEIPT]
    assert (held(watch), held(till)) == (870, 130)
    world.check()


def test_two_tears_heal_in_one_tap() -> None:
    """§11.4-2."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    torn(world, watch, till, receipt_lost=True)
    other = Charge(50, "CNY", b"basket of pears.")
    meeting = world.meet(watch, till, charge=other).run(stop_after=2)
    assert meeting.payer.report.result is Result.IN_DOUBT, "the first is shown again, and torn again"
    last = world.meet(watch, till, charge=other).run()
    assert told(last.payer) == [(Result.HEALED_PAID, None), (Result.PAID, None)]
    assert (held(watch), held(till)) == (850, 150)
    world.check()


@pytest.mark.parametrize("receipt_lost", [True, False])
@pytest.mark.parametrize("payer_starts", [True, False])
def test_heal_with_the_parts_reversed(receipt_lost: bool, payer_starts: bool) -> None:
    """§11.2-6, §11.3-3."""
    world = World()
    anna, ben = world.wallet(fund=1000), world.wallet(fund=500)
    torn(world, anna, ben, receipt_lost=receipt_lost)
    back = world.meet(ben, anna, 20, payer_starts=payer_starts).run()
    expected = ["Hello", "Welcome", "Request", "Present", "Transfer", "Outcome", "Proceed", "Transfer", "Outcome"]
    assert back.said == expected
    assert told(back.payee) == [(Result.HEALED_PAID, None), (Result.COLLECTED, None)]
    assert told(back.payer) == [(Result.PAID, None)]
    assert (held(anna), held(ben)) == (920, 580)
    world.check()


def test_the_next_payment_is_torn_just_after_healing_with_the_parts_reversed() -> None:
    world = World()
    anna, ben = world.wallet(fund=1000), world.wallet(fund=500)
    torn(world, anna, ben)
    meeting = world.meet(ben, anna, 20).run(stop_after=6)
    assert meeting.said[-1] == "Proceed"
    assert told(meeting.payee) == [(Result.HEALED_PAID, None), (Result.NOT_PAID, Code.LINK_LOST)]
    assert told(meeting.payer) == [(Result.IN_DOUBT, Code.LINK_LOST)]
    world.check()
    final = world.meet(anna, ben, 1).run()
    assert told(final.payee) == [(Result.HEALED_PAID, None), (Result.COLLECTED, None)]
    assert final.payer.report.result is Result.PAID
    assert (held(anna), held(ben)) == (919, 581)
    world.check()


def test_asked_to_prove_with_nothing_in_doubt_to_this_payer() -> None:
    """§11.2-6, §11.3-3, §11.4-1."""
    world = World()
    anna, ben, carla = world.wallet(fund=1000), world.wallet(), world.wallet(fund=10)
    torn(world, anna, ben)
    meeting = world.meet(carla, anna, 10).run()
    assert meeting.said == ["Hello", "Welcome", "Request", "Present", "Recall", "Transfer", "Outcome"]
    assert meeting.payer.report.result is Result.PAID
    assert anna.book.in_doubt() == 100, "nobody else is shown what is in doubt to Ben"
    world.check()


def test_a_torn_sale_is_paid_once_also_with_another_card() -> None:
    """§1-7, §11.4-8."""
    world = World()
    first, second, till = world.wallet(fund=1000), world.wallet(fund=1000), world.wallet()
    torn(world, first, till)
    world.meet(second, till, charge=APPLES).run()
    assert held(till) == 100
    late = world.meet(first, till, charge=APPLES).run()
    assert told(late.payer) == [(Result.HEALED_RESTORED, None), (Result.DONE, Code.BASKET_PAID)]
    assert (held(first), held(second), held(till)) == (1000, 900, 100)
    world.check()


def test_a_paid_basket_is_not_charged_again() -> None:
    """§11.2-5."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run()
    again = world.meet(watch, till, charge=APPLES).run()
    assert again.said == ["Hello", "Welcome", "Present", "Done"]
    assert told(again.payer) == [(Result.DONE, Code.BASKET_PAID)]
    assert held(watch) == 900


def test_two_parts_of_one_basket_are_two_payments() -> None:
    world = World()
    anna, ben, till = world.wallet(fund=1000), world.wallet(fund=1000), world.wallet()
    for payer, part in ((anna, 1), (ben, 2)):
        world.meet(payer, till, charge=Charge(50, "CNY", BASKET, part)).run()
    assert held(till) == 100
    world.check()


def test_a_basket_tried_too_often_waits_for_a_person() -> None:
    """§11.2-2."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    for _ in range(limits.BASKET_REQUESTS):
        world.meet(watch, till, charge=APPLES, person=refuse).run()
    waiting = world.meet(watch, till, charge=APPLES).run()
    assert told(waiting.payee) == [(Result.NOT_PAID, Code.BASKET_WAITS)]
    world.meet(watch, till, charge=replace(APPLES, person=True)).run()
    assert held(till) == 100
    world.check()


def test_a_request_lives_until_the_part_is_charged_again() -> None:
    """§11.2-1."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    for count in (1, 2):
        world.meet(watch, till, charge=APPLES, person=refuse).run()
        assert len(till.book.open) == 1
        assert len(till.book.questions) == count
    assert till.book.reserved() == till.book.profile.message + 1536


def test_a_second_lane_closes_the_request_of_the_first() -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    first = world.meet(watch, till, charge=APPLES)
    first.until(Part.PAYER, State.AWAIT_CONSENT)
    world.meet(world.wallet(fund=1000), till, charge=APPLES).run()
    first.run()
    assert told(first.payee) == [(Result.NOT_PAID, Code.TIMEOUT)]
    assert told(first.payer) == [(Result.NOT_PAID, Code.TIMEOUT)]
    assert watch.book.in_doubt() == 0
    world.check()


def test_two_taps_of_one_purse_at_once() -> None:
    """§11.3-8."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    lanes = [world.meet(watch, till, amount) for amount in (30, 40, 50)]
    for lane in lanes:
        lane.until(Part.PAYER, State.AWAIT_CONSENT)
    results = [lane.run().payer.report for lane in lanes]
    assert [(report.result, report.code) for report in results] == [
        (Result.PAID, None), (Result.PAID, None), (Result.NOT_PAID, Code.INSUFFICIENT),
    ]  # fmt: skip
    assert (held(watch), held(till)) == (30, 70)
    world.check()


def test_a_request_that_was_never_made_is_never_closed() -> None:
    """§4.1-11, §11.4-3."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    torn(world, watch, till)
    forgetful = world.cloned(till)
    forgetful.book.questions.clear()
    forgetful.book.open.clear()
    forgetful.book.parts.clear()
    meeting = world.meet(watch, forgetful, 5).run()
    assert told(meeting.payee) == [(Result.NOT_PAID, Code.UNKNOWN_REQUEST)]
    assert told(meeting.payer) == [(Result.IN_DOUBT, Code.UNKNOWN_REQUEST)]
    assert Kind.CLOSE not in meeting.payee.signed
    assert isinstance(meeting.heard[-1].message, RefuseMessage)
    assert watch.book.in_doubt() == 100


def two_answers(world: World) -> tuple[Wallet, Wallet, Wallet, bytes]:
    """A thief copies a watch; both copies answer one request, and the till takes the watch's answer."""
    watch, till = world.wallet(fund=100), world.wallet()
    thief = world.cloned(watch)
    meeting = world.meet(watch, till, charge=APPLES)
    meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    copy = Actor(world, thief, Pay(), True, ephemeral=meeting.payer.ephemeral)
    copy.step(Begin())
    copy.step(Received(meeting.frames[-1]))
    copy.step(Consent())
    copy.step(copy.signature())
    copy.step(Stop())
    assert told(copy) == [(Result.IN_DOUBT, Code.LINK_LOST)]
    meeting.run()
    return watch, till, thief, meeting.payer.report.transfer


def test_a_request_has_one_outcome_also_when_it_is_answered_twice() -> None:
    """§4.1-12, §11.4-4."""
    world = World()
    _, till, thief, accepted = two_answers(world)
    meeting = world.meet(thief, till, 5).run()
    assert told(meeting.payer)[0] == (Result.HEALED_RESTORED, None)
    (outcome, *_) = [seen.message for seen in meeting.heard if isinstance(seen.message, OutcomeMessage)]
    assert (outcome.kind, outcome.transfer) == (Kind.RECEIPT, accepted)
    assert meeting.payer.report.code is Code.DOUBLE_SPENT, "this till took the same units before"
    assert Kind.RECEIPT not in meeting.payee.signed


def test_a_receipt_for_another_transfer_is_a_warrant() -> None:
    """§8.2-4."""
    world = World()
    _, till, thief, _ = two_answers(world)
    world.meet(thief, till, 5, person=refuse).run()
    stranger, next_one = world.wallet(), world.wallet()
    world.pay(thief, stranger, 60)
    world.pay(stranger, next_one, 60)
    assert (held(thief), held(next_one)) == (40, 60)
    (origin,) = {next_one.book.graph.origin(piece.parent) for piece in next_one.book.holdings}
    assert (origin.hops, origin.restored) == (2, 1)


def test_a_receipt_for_another_transfer_closes_the_one_just_made() -> None:
    """§11.4-6."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES)
    payer = meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    (sent,) = watch.book.pending.values()
    place, other = till.book.place(Drbg(bytes(32))), bytes(32)
    body = ReceiptBody(sent.transfer.shown().request, other, EPOCH)
    receipt = signed(world.scheme.id, till.book.key, body, place)
    signature = sign_with(till.keystore, receipt)
    said = OutcomeMessage(Kind.RECEIPT, other, 0, EPOCH, place.seed, place.prev, place.ctr, signature, None)
    payer.step(Received(meeting.forge(meeting.payee, said)))
    assert told(payer) == [(Result.NOT_PAID, Code.BASKET_PAID)]
    assert held(watch) == 100


def test_a_key_that_signs_two_places_on_its_tape_is_seen_by_whoever_saw_the_first() -> None:
    """§8.3-3."""
    world = World()
    watch, till = world.wallet(fund=(100, 100)), world.wallet()
    thief = world.cloned(watch)
    for token in (0, 1):
        del thief.book.holdings[token], watch.book.holdings[1 - token]
        break
    world.pay(watch, till, 100)
    meeting = world.meet(thief, till, 100).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.TAPE_FORKED)]


# Restored value


def restore(world: World, payer: Wallet, payee: Wallet, amount: int) -> None:
    """A transfer of all that a payer has is lost, and closed."""
    charge = Charge(amount, "CNY", world.draw(16))
    torn(world, payer, payee, charge=charge)
    meeting = world.meet(payer, payee, charge=charge, person=refuse).run()
    assert told(meeting.payer)[0] == (Result.HEALED_RESTORED, None)


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_restored_value_is_spent_with_its_warrant(suite: str) -> None:
    """§11.4-6."""
    world = World(suite)
    watch, till, other, last = world.wallet(fund=100), *(world.wallet() for _ in range(3))
    restore(world, watch, till, 100)
    world.pay(watch, other, 100)
    world.pay(other, last, 60)
    (piece,) = last.book.holdings
    assert (last.book.graph.origin(piece.parent).hops, last.book.graph.origin(piece.parent).restored) == (2, 1)
    world.check()


def test_value_restored_more_than_twice_waits_for_a_sync() -> None:
    """§8.4-2."""
    world = World()
    watch, till, other = world.wallet(fund=100), world.wallet(), world.wallet()
    for _ in range(limits.WARRANTS):
        restore(world, watch, till, 100)
    assert held(watch) == 100
    restore(world, watch, till, 100)
    assert held(watch) == 0
    assert told(world.meet(watch, other, 100).run().payer) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    world.check()


def test_a_payer_that_offers_a_third_warrant_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """§8.2-2."""
    world = World()
    watch, till, other = world.wallet(fund=100), world.wallet(), world.wallet()
    for _ in range(limits.WARRANTS + 1):
        restore(world, watch, till, 100)
    meeting = world.meet(watch, other, 100)
    monkeypatch.setattr(limits, "WARRANTS", 3)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    monkeypatch.undo()
    meeting.run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.TOO_MANY_WARRANTS)]
    assert meeting.payee.signed == [Kind.REQUEST, Kind.CLOSE]
    world.check()


def test_value_received_and_restored_is_passed_on() -> None:
    world = World()
    anna, ben, till, other = world.wallet(fund=100), *(world.wallet() for _ in range(3))
    world.pay(anna, ben, 80)
    restore(world, ben, till, 80)
    world.pay(ben, other, 80)
    world.pay(other, till, 80)
    world.check()


# Refunds


def test_a_refund_goes_back_once() -> None:
    """§11.3-6."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    sale = world.pay(watch, till, 100)
    part = world.meet(till, watch, 60, pay=Pay(sale, 60)).run()
    assert part.payer.report.result is Result.PAID
    too_much = world.meet(till, watch, 41, pay=Pay(sale)).run()
    assert told(too_much.payer) == [(Result.NOT_PAID, Code.NOT_A_REFUND)]
    rest = world.meet(till, watch, 40, pay=Pay(sale)).run()
    assert rest.payer.report.result is Result.PAID
    twice = world.meet(till, watch, 1, pay=Pay(sale)).run()
    assert told(twice.payee) == [(Result.NOT_PAID, Code.NOT_A_REFUND)]
    assert (held(watch), held(till)) == (1000, 0)
    assert till.book.history[-1].what == "accepted"
    assert "refunded" in [line.what for line in till.book.history]
    world.check()


def test_a_refund_goes_to_nobody_else() -> None:
    """§11.3-6."""
    world = World()
    watch, till, other = world.wallet(fund=1000), world.wallet(), world.wallet()
    sale = world.pay(watch, till, 100)
    for payee, pay in ((other, Pay(sale)), (watch, Pay(bytes(32))), (watch, Pay(sale, 99))):
        meeting = world.meet(till, payee, 100, pay=pay).run()
        assert told(meeting.payer) == [(Result.NOT_PAID, Code.NOT_A_REFUND)]
        assert meeting.payer.signed == []
    world.check()


def test_a_paid_basket_still_heals_what_the_till_itself_has_in_doubt() -> None:
    """§11.3-1."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES).run()
    world.meet(till, watch, 40, pay=Pay(meeting.payer.report.transfer)).run(stop_after=3)
    assert till.book.in_doubt() == 40
    again = world.meet(watch, till, charge=APPLES).run()
    assert told(again.payee) == [(Result.HEALED_PAID, None), (Result.DONE, Code.BASKET_PAID)]
    assert told(again.payer) == [(Result.DONE, Code.BASKET_PAID)]
    assert till.book.in_doubt() == 0
    world.check()


def test_a_refund_that_was_lost_can_be_made_again() -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    sale = world.pay(watch, till, 100)
    world.meet(till, watch, charge=APPLES, pay=Pay(sale)).run(stop_after=2)
    assert till.book.taken[sale].refunded == 100
    again = world.meet(till, watch, charge=APPLES, pay=Pay(sale)).run()
    assert told(again.payer) == [(Result.HEALED_RESTORED, None), (Result.PAID, None)]
    assert till.book.taken[sale].refunded == 100
    world.check()


# The date, and whom to believe


@pytest.mark.parametrize("payer_starts", [True, False])
def test_a_tap_carries_the_date_to_the_payee(payer_starts: bool) -> None:
    world = World()
    watch, card = world.wallet(fund=100, header=world.dated(EPOCH + 3)), world.wallet()
    meeting = world.meet(watch, card, 10, payer_starts=payer_starts).run()
    assert meeting.payee.report.result is Result.COLLECTED
    assert card.book.trust.epoch == EPOCH + 3
    assert world.reopened(card).book.trust.epoch == EPOCH + 3
    world.check()


@pytest.mark.parametrize("payer_starts", [True, False])
def test_a_tap_carries_the_date_to_the_payer(payer_starts: bool) -> None:
    world = World()
    watch, till = world.wallet(fund=100), world.wallet(header=world.dated(EPOCH + 3))
    world.meet(watch, till, 10, payer_starts=payer_starts).run()
    assert watch.book.trust.epoch == EPOCH + 3
    world.check()


def test_the_date_takes_no_long_step_offline() -> None:
    """§7-10, §8.1-6."""
    world = World()
    far = world.dated(EPOCH + limits.EPOCH_STEP + 1)
    watch = world.wallet(fund=100, header=far, expires=EPOCH + 999, spend_by=EPOCH + 999)
    card = world.wallet(expires=EPOCH + 999)
    meeting = world.meet(watch, card, 10).run()
    assert told(meeting.payee) == [(Result.NOT_PAID, Code.EPOCH_AHEAD)]
    assert meeting.payee.signed == [Kind.REQUEST, Kind.CLOSE]
    behind = world.meet(card, watch, 10).run()
    assert told(behind.payer) == [(Result.NOT_PAID, Code.EPOCH_AHEAD)]
    world.check()


def test_a_bad_date_beside_a_receipt_does_not_undo_it() -> None:
    """§7-9."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet(header=world.dated(EPOCH + 3))

    def forge(said: Said) -> Said:
        if not isinstance(said, OutcomeMessage):
            return said
        return said._replace(header=world.dated(EPOCH + 4)._replace(signature=bytes(64)))

    meeting = world.meet(watch, till, 10).run(rewrite=forge)
    assert told(meeting.payer) == [(Result.PAID, None)]
    assert watch.book.trust.epoch == EPOCH
    world.check()


def test_a_clock_only_makes_a_device_stricter() -> None:
    """§7-12."""
    world = World()
    watch, till = world.wallet(fund=100, spend_by=EPOCH + 5), world.wallet()
    late = world.meet(watch, till, 10, seconds=float((EPOCH + 6) * DAY)).run()
    assert told(late.payer) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    early = world.meet(watch, till, 10, seconds=0.0).run()
    assert told(early.payer) == [(Result.PAID, None)]


def test_a_payee_refuses_value_that_its_payer_thinks_is_fresh() -> None:
    world = World()
    watch, till = world.wallet(fund=100, spend_by=EPOCH + 5), world.wallet()
    meeting = world.meet(watch, till, 10, seconds=0.0)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    meeting.payee.tap.step(meeting.next_for(meeting.payee), 50.0)
    assert meeting.payee.tap.state is State.SIGN_OUTCOME


def test_a_wallet_that_lacks_authorities_is_given_them() -> None:
    """§7-3, §7-4."""
    world = World()
    watch = world.wallet(fund=100)
    cold = world.wallet(news=News(None, world.authorities[:1], world.header, world.policy))
    meeting = world.meet(watch, cold, 10).run()
    welcome = meeting.heard[1].message
    assert isinstance(welcome, Welcome)
    assert welcome.want & Want.AUTHORITIES
    assert meeting.payee.report.result is Result.COLLECTED
    warm = world.meet(watch, cold, 10).run().heard[1].message
    assert isinstance(warm, Welcome)
    assert not warm.want & Want.AUTHORITIES
    world.check()


@pytest.mark.parametrize("payer_starts", [True, False])
def test_a_payer_that_lacks_authorities_is_given_them(payer_starts: bool) -> None:
    """§7-4."""
    world = World()
    cold = world.wallet(news=News(None, world.authorities[:1], world.header, world.policy))
    meeting = world.meet(cold, world.wallet(), 10, payer_starts=payer_starts).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    assert cold.book.trust.authorities == world.authorities
    assert world.reopened(cold).book.trust.authorities == world.authorities


@pytest.mark.parametrize("expired_part", list(Part))
def test_expiry_blocks_payments_but_not_healing(expired_part: Part) -> None:
    """§7-14, §7-17."""
    world = World()
    watch = world.wallet(fund=100, expires=EPOCH + (5 if expired_part is Part.PAYER else 300))
    till = world.wallet(expires=EPOCH + (5 if expired_part is Part.PAYEE else 300))
    torn(world, watch, till, receipt_lost=True)
    late = float((EPOCH + 6) * DAY)
    healed = world.meet(watch, till, 1, seconds=late).run()
    assert told(healed.payer) == [
        (Result.HEALED_PAID, None),
        (Result.NOT_PAID, Code.CERTIFICATE_EXPIRED if expired_part is Part.PAYEE else Code.INSUFFICIENT),
    ]
    world.check()


def test_the_hotlist_blocks_payments_but_not_healing() -> None:
    """§7-17."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    torn(world, watch, till, receipt_lost=True)
    watch.write(News(None, (), None, world.ruled(2, hotlist=(till.book.key,))))
    meeting = world.meet(watch, till, 1).run()
    assert told(meeting.payer) == [(Result.HEALED_PAID, None), (Result.NOT_PAID, Code.HOTLISTED)]
    world.check()


def test_a_hotlisted_hand_blocks_value_that_passed_through_it() -> None:
    """§7-20, §8.1-10."""
    world = World()
    anna, ben, till = world.wallet(fund=100), world.wallet(), world.wallet()
    world.pay(anna, ben, 50)
    world.pay(anna, till, 10)
    till.write(News(None, (), None, world.ruled(2, hotlist=(anna.book.key,))))
    meeting = world.meet(ben, till, 50).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.HOTLISTED)]


# Limits


def test_a_tap_that_takes_too_long_ends() -> None:
    """§6-15."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    meeting = world.meet(watch, till, 10, seconds=1000.0)
    meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    effects = meeting.payer.step(Consent(), 1000.0 + limits.SESSION_SECONDS)
    assert isinstance(effects[-1], Sign), "just in time"
    effects = meeting.payer.step(meeting.payer.signature(), 1000.5 + limits.SESSION_SECONDS)
    assert isinstance(effects[-1], Send), "a signature counts, however late"
    effects = meeting.payer.step(Received(b"late"), 1000.5 + limits.SESSION_SECONDS)
    assert effects == (Report(Result.IN_DOUBT, 10, "CNY", watch.book.tape[-1].id, till.book.key, Code.TIMEOUT),)
    assert (held(watch), watch.book.in_doubt()) == (90, 10)
    world.check()


def test_a_card_takes_value_from_two_hands_and_a_phone_from_more() -> None:
    """§8.4-2."""
    world = World()
    chain = [world.wallet(fund=100), world.wallet(), world.wallet()]
    world.pay(chain[0], chain[1], 50)
    world.pay(chain[1], chain[2], 40)
    card = world.wallet(profile=CARD)
    assert told(world.meet(chain[2], card, 5).run().payer) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    world.pay(chain[2], world.wallet(), 5)
    world.pay(chain[1], card, 5)
    world.check()


def test_a_token_has_its_own_hop_limit() -> None:
    """§8.4-2."""
    world = World()
    anna, ben, carla = world.wallet(fund=100, hops=1), world.wallet(), world.wallet()
    world.pay(anna, ben, 50)
    assert ben.book.available(EPOCH) == 0
    assert told(world.meet(ben, carla, 5).run().payer) == [(Result.NOT_PAID, Code.INSUFFICIENT)]


def test_history_that_a_card_cannot_carry_is_not_signed() -> None:
    """§8.1-5, §8.4-3, §10.1-2."""
    world = World()
    payers = [world.wallet(fund=10) for _ in range(4)]
    shop, card = world.wallet(), world.wallet(profile=CARD)
    for payer in payers:
        world.pay(payer, shop, 10)
    meeting = world.meet(shop, card, 40).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.TOO_LARGE)]
    assert meeting.payer.signed == []
    assert held(shop) == 40
    world.check()


@pytest.mark.parametrize(
    ("tier", "amounts"),
    [
        (Tier(1, 100, 9, 9, 999), (101,)),
        (Tier(1, 100, 1, 9, 999), (10, 10)),
        (Tier(1, 100, 9, 2, 999), (10, 10, 10)),
        (Tier(1, 100, 9, 9, 150), (100, 51)),
    ],
    ids=["amount of a payment", "payments", "receipts", "amount received"],
)
def test_limits_between_syncs(tier: Tier, amounts: tuple[int, ...]) -> None:
    """§8.1-14, §10.1-8, §11.3-5."""
    world = World(tiers=(tier,))
    watch, till = world.wallet(fund=1000), world.wallet()
    *fine, last = amounts
    for amount in fine:
        world.pay(watch, till, amount)
    meeting = world.meet(watch, till, last).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.OVER_LIMIT)]
    assert told(meeting.payee) == [(Result.NOT_PAID, Code.OVER_LIMIT)]
    assert held(till) == sum(fine)
    world.check()


def test_a_tier_that_the_policy_does_not_know_has_no_limits_to_spend_within() -> None:
    """§7-21."""
    world = World()
    listed = world.wallet(fund=100)
    unlisted = world.wallet(
        fund=100, news=News(listed.book.certificate, world.authorities, world.header, world.ruled(2, tiers=()))
    )
    assert told(world.meet(unlisted, listed, 1).run().payer) == [(Result.NOT_PAID, Code.OVER_LIMIT)]
    meeting = world.meet(listed, unlisted, 1).run()
    assert told(meeting.payee) == [(Result.NOT_PAID, Code.OVER_LIMIT)]
    assert meeting.payee.signed == [Kind.PRESENT]


def test_roles() -> None:
    """§7-18, §8.1-7."""
    world = World()
    saver, beggar = world.wallet(fund=100, role=Role.COLLECT), world.wallet(fund=100, role=Role.PAY)
    both = world.wallet(fund=100)
    assert told(world.meet(both, beggar, 1).run().payer) == [(Result.NOT_PAID, Code.WRONG_CERTIFICATE)]
    assert told(world.meet(saver, both, 1).run().payer) == [(Result.NOT_PAID, Code.WRONG_CERTIFICATE)]
    world.check()


def test_a_full_store_refuses_before_a_transfer_is_signed() -> None:
    """§12-8, §12-9; a full till: ``test_full_log.py``."""
    world = World()
    watch = world.wallet(fund=100)
    watch.book.free = 3000
    meeting = world.meet(watch, world.wallet(), 10).run()
    assert told(meeting.payer) == [(Result.NOT_PAID, Code.STORE_FULL)]
    assert meeting.payer.signed == []
    world.check()


def test_a_wallet_that_has_not_joined_cannot_tap() -> None:
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    blank = world.cloned(till)
    blank.book.__init__(world.scheme, limits.FULL, till.book.key)  # type: ignore[misc]
    meeting = world.meet(watch, blank, 10).run()
    assert meeting.payee.report.code is Code.WRONG_CERTIFICATE


@pytest.mark.parametrize(
    "charge",
    [
        Charge(0, "CNY", BASKET),
        Charge(-1, "CNY", BASKET),
        Charge(2**53, "CNY", BASKET),
        Charge(True, "CNY", BASKET),
        Charge(cast("int", 1.5), "CNY", BASKET),
        Charge(1, "", BASKET),
        Charge(1, "cny", BASKET),
        Charge(1, "CN", BASKET),
        Charge(1, "ΨΩΣ", BASKET),
        Charge(1, "C" * 33, BASKET),
        Charge(1, "CNY", b""),
        Charge(1, "CNY", cast("bytes", bytearray(16))),
        Charge(1, "CNY", BASKET, -1),
        Charge(1, "CNY", BASKET, 256),
        Charge(1, "CNY", BASKET, True),
        Charge(1, "CNY", BASKET, details=bytes(31)),
        Charge(1, "CNY", BASKET, details=bytes(33)),
    ],
    ids=repr,
)
def test_a_charge_that_cannot_be_made_changes_nothing(charge: Charge) -> None:
    world = World()
    till = world.wallet()
    world.meet(world.wallet(), till, charge=APPLES).run(stop_after=2)
    assert till.book.open, "a request that beginning would close"
    meeting = world.meet(world.wallet(), till, charge=charge)
    with pytest.raises(TapError) as caught:
        meeting.payee.step(Begin())
    assert caught.value.code is Code.BAD_INPUT
    assert meeting.payee.tap.state is State.READY
    assert meeting.payee.effects == []
    assert world.reopened(till).book.snapshot() == till.book.snapshot()


def test_a_charge_at_the_ends_of_its_ranges_is_asked() -> None:
    world = World()
    till = world.wallet()
    charge = Charge(limits.AMOUNT, "CNY", BASKET, 255, bytes(limits.DETAILS))
    assert world.meet(world.wallet(), till, charge=charge).run().said[:3] == ["Hello", "Welcome", "Request"]
    assert list(world.reopened(till).book.parts) == [(BASKET, 255)]


def test_a_person_verified_in_an_unknown_way_bricks_no_wallet() -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES)
    meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    with pytest.raises(TapError) as caught:
        meeting.payer.step(Consent(cast("Verification", 9)))
    assert caught.value.code is Code.BAD_INPUT
    assert meeting.payer.tap.state is State.AWAIT_CONSENT
    assert held(world.reopened(watch)) == 1000
    assert meeting.run().payer.report.result is Result.PAID
    world.check()


def test_nothing_happens_after_the_end() -> None:
    world = World()
    meeting = world.meet(world.wallet(fund=10), world.wallet(), 5).run()
    for actor in (meeting.payer, meeting.payee):
        with pytest.raises(TapError) as caught:
            actor.tap.step(Begin())
        assert caught.value.code is Code.ENDED


# What is written before what


def test_a_signature_is_durable_with_the_next_record_of_any_tap() -> None:
    """§12-4."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.pay(watch, till, 10)
    world.pay(till, watch, 5)
    world.pay(watch, till, 1)
    for wallet in (watch, till):
        assert all(entry.signature for entry in world.reopened(wallet).book.tape)


def test_an_entry_that_is_durable_but_unsigned_counts() -> None:
    """§11.2-7, §12-4."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES)
    meeting.until(Part.PAYEE, State.SIGN_OUTCOME)
    meeting.payer.step(Stop())
    watch, till = world.reopen(watch), world.reopen(till)
    assert held(till) == 100
    world.meet(watch, till, 5).run()
    assert (held(watch), held(till)) == (895, 105)
    world.check()


def test_a_tap_that_is_stopped_while_the_keystore_signs_is_finished_before_the_next() -> None:
    """§12-5."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    stopped = world.meet(watch, till, charge=APPLES)
    stopped.until(Part.PAYER, State.SIGN_TRANSFER)
    stopped.lose()
    assert told(stopped.payer) == [(Result.IN_DOUBT, Code.LINK_LOST)]
    stopped = world.meet(watch, till, charge=APPLES, person=refuse)
    stopped.until(Part.PAYEE, State.CLEARING)
    stopped.lose()
    world.pay(watch, till, 5)
    assert watch.book.in_doubt() == 0
    world.check()


def test_every_order_of_effects(capsys: pytest.CaptureFixture[str]) -> None:
    """§11.2-4, §11.3-10, §11.3-12."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 10).run()
    kinds: Callable[[Actor], list[str]] = lambda actor: [type(effect).__name__ for effect in actor.effects]  # noqa: E731
    assert kinds(meeting.payer) == ["Send", "Ask", "Persist", "Sign", "Send", "Persist", "Report"]
    assert kinds(meeting.payee) == ["Persist", "Sign", "Send", "Persist", "Sign", "Send", "Report"]
    (asked,) = [effect for effect in meeting.payee.effects[:1] if isinstance(effect, Persist)]
    assert isinstance(world.decode(asked.records[-1]), Asked)
    (sent,) = [effect for effect in meeting.payer.effects[2:3] if isinstance(effect, Persist)]
    assert isinstance(world.decode(sent.records[-1]), Sent)
    assert capsys.readouterr().out == ""


def test_no_secret_shows_in_a_repr() -> None:
    """§17-5."""
    world = World("p256", seed="secrets")
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 10).run()
    channel = meeting.channel(meeting.payer)
    secrets = [World("p256", seed="secrets").draw() for _ in range(1)]
    again = World.__new__(World)
    again.__dict__.update(world.__dict__)
    again.__dict__["_drawn"] = 0
    secrets += [again.draw() for _ in range(200)]
    things = (
        watch, watch.keystore, watch.book, meeting.payer.tap, meeting.payer.ephemeral, channel, world.scheme,
        world.suite, meeting.payer.reports,
    )  # fmt: skip
    shown = "".join(map(repr, things))
    for secret in secrets:
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
    assert repr(world.suite) == "<suite p256>"


def test_a_present_is_all_that_a_paid_till_shows() -> None:
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run()
    meeting = world.meet(watch, till, charge=APPLES, payer_starts=False).run()
    assert [type(seen.message) for seen in meeting.heard][2:3] == [PresentMessage]
    assert TIER.payments == 1000
