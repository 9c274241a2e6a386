"""Rules of a tap, each by itself: dates, earlier hands, room, healing, and what a card may leave out."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from dualtap import codec, limits, wire
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Ask, Received, Report, Result, Send
from dualtap.issued import Policy, Role
from dualtap.limits import CARD
from dualtap.records import Holding, News
from dualtap.statements import Kind, TransferBody
from dualtap.states import Part, State
from dualtap.trust import issue
from dualtap.wire import (
    OutcomeMessage,
    RefuseMessage,
    RequestMessage,
    TransferMessage,
    decode_hello,
)
from dualtap_devices.driver import Driver
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, SUITE_NAMES, Meeting, Said, World, refuse, remembered

DAY = limits.EPOCH_SECONDS
APPLES = Charge(100, "CNY", b"basket of apples")
PEARS = Charge(60, "CNY", b"basket of pears.")


def told(meeting: Meeting, part: Part) -> list[tuple[Result, object]]:
    return [(report.result, report.code) for report in meeting.actor(part).reports]


def epochs(wallet: Wallet) -> list[int]:
    return [entry.body.epoch for entry in wallet.book.tape]


# Dates


def test_a_clock_dates_no_statement() -> None:
    """§4.1-7 and §7-13: both clocks are five days ahead of the date, and nobody says so."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, 100, seconds=float((EPOCH + 5) * DAY)).run()
    assert told(meeting, Part.PAYER) == [(Result.PAID, None)]
    (request,) = [seen.message for seen in meeting.heard if isinstance(seen.message, RequestMessage)]
    assert [request.epoch, *epochs(watch), *epochs(till)] == [EPOCH] * 3


def test_dates_do_not_decrease_along_a_tape() -> None:
    """§4.1-8: whoever is met later with an older date turns nothing back."""
    world = World()
    watch, early = world.wallet(fund=1000), world.wallet()
    late = world.wallet(header=world.dated(EPOCH + 3))
    for till in (early, late, early, world.wallet()):
        world.pay(watch, till, 10)
    assert epochs(watch) == [EPOCH, EPOCH, EPOCH + 3, EPOCH + 3]


@pytest.mark.parametrize(("later", "kept"), [(700, True), (701, False)])
def test_an_outcome_is_kept_as_long_as_value_can_come_for_it(
    monkeypatch: pytest.MonkeyPatch, later: int, kept: bool
) -> None:
    """§4.1-9 and §12-12: through a compaction and a power cut. This world's keys end before ``MAX_LIFE`` as it is."""
    monkeypatch.setattr(limits, "MAX_LIFE", 700)
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run(stop_after=3)
    till.write(News(None, (), world.dated(EPOCH + later), None))
    till.compact()
    again = world.reopened(till).book
    assert [question.outcome is not None for question in again.questions.values()] == [True] * kept


# Whose certificates


def received(world: World, ages: tuple[int, int]) -> Meeting:
    """Anna's certificate ends after so many days, and Ben's; Anna pays Ben today, and in five days Ben pays a till."""
    anna, ben = (world.wallet(fund=100, expires=EPOCH + days) for days in ages)
    world.pay(anna, ben, 100)
    ben.book.holdings[:] = ben.book.holdings[-1:]
    return world.meet(ben, world.wallet(header=world.dated(EPOCH + 5)), 50)


@pytest.mark.parametrize(
    ("ages", "code"), [((0, 9), None), ((0, 5), None), ((9, 4), Code.CERTIFICATE_EXPIRED)], ids=str
)
def test_a_payer_is_judged_now_and_an_earlier_hand_when_it_signed(ages: tuple[int, int], code: Code | None) -> None:
    """§7-14, §7-15, §8.1-8 and §8.1-10."""
    meeting = received(World(), ages).run()
    assert meeting.payee.report.code is code
    assert Kind.TRANSFER in meeting.payer.signed, "the payer has no clock"


def test_an_earlier_hand_whose_certificate_had_ended_is_refused() -> None:
    """§7-15: Anna signs a day after her certificate's last."""
    world = World()
    meeting = received(world, (0, 9))
    anna, ben = world.wallets[0].book.key, meeting.payer.wallet
    expired = world.certificate(anna, expires=EPOCH - 1)
    ben.book.graph.certificates[anna] = expired
    meeting.run()
    assert (meeting.payee.report.code, meeting.payee.signed[-1]) == (Code.CERTIFICATE_EXPIRED, Kind.CLOSE)


def test_a_hand_that_was_verified_before_is_still_looked_up_on_the_hotlist() -> None:
    """§8.1-15 and §7-20: the till knows the hand from Ben's first payment, and then hears that Anna cheats."""
    world = World()
    anna, ben, till = world.wallet(fund=100), world.wallet(), world.wallet()
    world.pay(anna, ben, 100)
    world.pay(ben, till, 50)
    till.write(News(None, (), None, world.ruled(2, hotlist=(anna.book.key,))))
    meeting = world.meet(ben, till, 50).run()
    assert (meeting.payee.report.code, meeting.payee.signed[-1]) == (Code.HOTLISTED, Kind.CLOSE)
    world.check()


# What cannot be decoded, and what has no room


def test_a_transfer_that_cannot_be_decoded_is_closed_when_the_payee_next_begins() -> None:
    """§8.1-4 and §11.2-1: a Refuse goes out at once, and the request's Close before the next Request."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES, payer_starts=False)
    payee = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    effects = payee.step(Received(meeting.seal(meeting.payer, b"\x92\x05\xc0")))
    (frame,) = [effect.frame for effect in effects if isinstance(effect, Send)]
    assert meeting.peek(payee, frame) == [RefuseMessage(int(Code.MALFORMED))]
    assert len(till.book.open) == 1
    meeting.lose()
    again = world.meet(watch, till, charge=APPLES).run()
    assert again.payee.signed == [Kind.CLOSE, Kind.REQUEST, Kind.RECEIPT]
    assert told(again, Part.PAYER) == [(Result.HEALED_RESTORED, None), (Result.PAID, None)]
    world.check()


def test_what_a_peer_brings_uses_no_room_that_an_outcome_needs() -> None:
    """§12-10 and §12-8: there is room for the transfer and its outcome, and not for a date beside them."""
    world = World()
    watch, till = world.wallet(fund=1000, header=world.dated(EPOCH + 1)), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    till.book.free = till.book.reserved()
    meeting.run()
    assert told(meeting, Part.PAYEE) == [(Result.NOT_PAID, Code.STORE_FULL)]
    assert (meeting.payee.signed[-1], till.book.trust.epoch) == (Kind.CLOSE, EPOCH)
    assert watch.book.in_doubt() == 0


def test_a_payment_takes_no_unit_of_a_token_twice() -> None:
    """§8.4-1: a thief's two pasts met in this purse, which holds two pieces of one token that overlap."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    (held,) = watch.book.holdings
    watch.book.holdings[:] = [Holding(held.parent, held.token, 0, 60), Holding(held.parent, held.token, 40, 100)]
    assert told(world.meet(watch, till, 120).run(), Part.PAYER) == [(Result.NOT_PAID, Code.INSUFFICIENT)]
    meeting = world.meet(watch, till, 60).run()
    assert told(meeting, Part.PAYER) == [(Result.PAID, None)]
    (body,) = [entry.body for entry in watch.book.tape if isinstance(entry.body, TransferBody)]
    assert len(body.spans) == 1


def test_a_message_that_is_not_sealed_is_not_read() -> None:
    """§6-13 and §6-3: the very message that is due, word for word, but for its seal."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    for part, state in ((Part.PAYER, State.AWAIT_REQUEST), (Part.PAYEE, State.AWAIT_TRANSFER)):
        meeting = world.meet(watch, till, 10, payer_starts=False)
        actor = meeting.until(part, state)
        due = meeting.next_for(actor)
        assert isinstance(due, Received)
        plain = wire.encode(cast("wire.Message", meeting.heard[-1].message))
        (report,) = actor.step(Received(plain))
        assert isinstance(report, Report)
        assert report.code is Code.BAD_SEAL
        meeting.lose()


def test_a_sale_that_stays_open_closes_no_other_and_is_closed_by_none() -> None:
    """§11.2-10: a customer who left is waited for, while the next one pays for something else."""
    world = World()
    first, second, till = world.wallet(fund=100), world.wallet(fund=100), world.wallet()
    world.meet(first, till, charge=APPLES, person=refuse).run()
    (waiting,) = till.book.open
    meeting = world.meet(second, till, charge=PEARS).run()
    assert told(meeting, Part.PAYER) == [(Result.PAID, None)]
    assert meeting.payee.signed == [Kind.REQUEST, Kind.RECEIPT]
    assert list(till.book.open) == [waiting]


# Healing


def twice_in_doubt(world: World, payer: Wallet, payee: Wallet, charges: tuple[Charge, Charge]) -> None:
    lanes = [world.meet(payer, payee, charge=charge) for charge in charges]
    for lane in lanes:
        lane.until(Part.PAYER, State.AWAIT_CONSENT)
    for lane in lanes:
        lane.until(Part.PAYER, State.AWAIT_OUTCOME)
        lane.lose()


def test_the_oldest_doubt_is_shown_first_and_all_of_them_before_anything_is_paid() -> None:
    """§11.4-2 and §11.3-4."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    twice_in_doubt(world, watch, till, (APPLES, PEARS))
    ids = [entry.id for entry in watch.book.tape]
    meeting = world.meet(watch, till, 10).run()
    assert [report.transfer for report in meeting.payer.reports[:2]] == ids
    shown = [seen.message.request for seen in meeting.heard if isinstance(seen.message, TransferMessage)]
    assert [bool(request) for request in shown] == [True, True, False]
    world.check()


@pytest.mark.parametrize("receipt_lost", [True, False])
def test_a_part_that_healing_shows_to_be_paid_is_not_paid_again(receipt_lost: bool) -> None:
    """§11.4-7 and §11.4-8: two taps asked for one part; the first was torn, and the second heals it."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    first, second = (world.meet(watch, till, charge=APPLES) for _ in range(2))
    for lane in (first, second):
        lane.until(Part.PAYEE, State.AWAIT_HELLO)
    first.until(Part.PAYER, State.AWAIT_OUTCOME)
    second.until(Part.PAYEE, State.SIGN_REQUEST)
    if receipt_lost:
        first.run(stop_after=3)
    first.lose()
    assert watch.book.in_doubt() == 100
    assert sum(isinstance(entry.body, TransferBody) for entry in watch.book.tape) == 1
    second.run()
    assert second.payer.report.code is Code.BASKET_PAID
    assert Kind.TRANSFER not in second.payer.signed
    assert (watch.book.available(EPOCH), till.book.available(EPOCH)) == (900, 100)
    world.check()


def test_whoever_never_made_a_request_answers_for_none() -> None:
    """§10.1-4 and §11.4-3: a card that only pays is shown a transfer, as if it had once collected."""
    world = World()
    card, till = world.wallet(fund=100, profile=CARD, role=Role.PAY), world.wallet(fund=50)
    world.meet(till, world.wallet(), charge=APPLES).run(stop_after=2)
    meeting = world.meet(card, till, charge=PEARS, payer_starts=False)
    sale = world.meet(world.wallet(fund=60), world.wallet(), charge=PEARS).run()
    (shown,) = [seen.message for seen in sale.heard if isinstance(seen.message, TransferMessage)]

    def resume(said: Said) -> Said:
        return shown._replace(request=bytes(32)) if isinstance(said, wire.ProceedMessage) else said

    def ask(said: Said) -> Said:
        return said._replace(prove=True) if isinstance(said, RequestMessage) else resume(said)

    before = remembered(card.book)
    meeting.run(rewrite=ask)
    assert told(meeting, Part.PAYER) == [(Result.NOT_PAID, Code.UNKNOWN_REQUEST)]
    assert meeting.payer.signed == [Kind.PRESENT]
    assert remembered(card.book) == before


# Cards


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_a_card_asks_for_what_it_can_carry_and_passes_on_what_it_took(suite: str) -> None:
    """§10-2, §10.1-1 and §10.1-2: value with one hand behind it, kept through a power cut, goes on with both."""
    world = World(suite)
    phone, shop, card, till = world.wallet(fund=100), world.wallet(), world.wallet(profile=CARD), world.wallet()
    world.pay(phone, shop, 60)
    meetings = [world.meet(shop, card, 50).run()]
    (request,) = [seen.message for seen in meetings[0].heard if isinstance(seen.message, RequestMessage)]
    assert (request.size, request.hops, request.spans) == (limits.CARD_MESSAGE, limits.CARD_HOPS, 4)
    card.compact()
    card = world.reopen(card)
    meetings.append(world.meet(card, till, 40).run())
    assert [meeting.payer.report.result for meeting in meetings] == [Result.PAID, Result.PAID]
    (shown,) = [seen.message for seen in meetings[1].heard if isinstance(seen.message, TransferMessage)]
    assert (len(shown.bundle.transfers), len(shown.bundle.certificates)) == (2, 3)
    assert all(len(frame) <= limits.CARD_MESSAGE for frame in meetings[0].frames)
    world.check()


def test_a_card_takes_the_longest_frame_that_it_says_it_takes() -> None:
    """§10.1-1 and §5.2-3: the seal counts: a frame of 1024 bytes is read, one of 1025 is not."""
    for size, code in ((limits.CARD_MESSAGE, Code.MALFORMED), (limits.CARD_MESSAGE + 1, Code.TOO_LARGE)):
        world = World()
        meeting = world.meet(world.wallet(fund=100), world.wallet(profile=CARD), payer_starts=False)
        payee = meeting.until(Part.PAYEE, State.AWAIT_TRANSFER)
        meeting.settle(payee)
        frame = meeting.seal(meeting.payer, codec.pack((8, bytes(size - 16 - 5))))
        assert len(frame) == size
        report = payee.step(Received(frame))[-1]
        assert isinstance(report, Report)
        assert report.code is code
        meeting.lose()


# The device


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_every_tap_has_an_ephemeral_key_of_its_own(suite: str) -> None:
    """§6-4."""
    world = World(suite)
    watch = world.wallet(fund=100)
    taps = [Driver.fresh(watch, Pay(), initiator=True) for _ in range(5)]
    assert len({decode_hello(frame).ephemeral for tap in taps for frame in tap.begin()}) == 5


# What may not keep a payment in doubt


def test_a_date_that_moved_too_far_does_not_keep_a_payment_in_doubt() -> None:
    """§11.3-13: the till has synced since, the watch has not; its Receipt comes with a header that is refused."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run(stop_after=3)
    till.write(News(None, (), world.dated(EPOCH + limits.EPOCH_STEP + 1), None))
    meeting = world.meet(watch, till, charge=PEARS).run()
    assert told(meeting, Part.PAYER) == [(Result.HEALED_PAID, None), (Result.NOT_PAID, Code.EPOCH_AHEAD)]
    assert (watch.book.trust.epoch, watch.book.in_doubt()) == (EPOCH, 0)


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_authorities_do_not_keep_a_payment_in_doubt(suite: str) -> None:
    """§11.4-9: since the tear, the card lacks an authority; with the chain, what is shown again would be too long."""
    world = World(suite)
    phone, watch, card = world.wallet(fund=(20, 20, 20)), world.wallet(fund=10), world.wallet(profile=CARD)
    world.pay(phone, watch, 60)
    world.meet(watch, card, charge=Charge(70, "CNY", b"basket of apples")).run(stop_after=3)
    unknown = Policy(2, world.policy.tiers, (), (*world.policy.authorities, b"none"), b"", b"")
    card.write(News(None, (), None, issue(world.scheme, world.policy_key, unknown)))
    meeting = world.meet(watch, card, charge=PEARS).run()
    assert told(meeting, Part.PAYER)[0] == (Result.HEALED_PAID, None)
    assert watch.book.in_doubt() == 0
    (shown,) = [said.message for said in meeting.heard if isinstance(said.message, TransferMessage)]
    chain = watch.book.trust.chain(watch.book.certificate, watch.book.graph.tokens.values())
    assert len(wire.encode(shown)) < CARD.message < len(wire.encode(shown._replace(authorities=chain)))
    assert not shown.authorities
    world.check()


def test_nobody_is_asked_about_a_payment_that_the_payee_cannot_take() -> None:
    """§8.4-3 and §11.3-9: too long for the card, and the person hears nothing of it."""
    world = World()
    watch, card = world.wallet(fund=(10,) * 9), world.wallet(profile=replace(CARD, spans=9))
    meeting = world.meet(watch, card, 90).run()
    assert told(meeting, Part.PAYER) == [(Result.NOT_PAID, Code.TOO_LARGE)]
    assert not [effect for effect in meeting.payer.effects if isinstance(effect, Ask)]


def test_dates_that_the_peer_has_signed_are_not_sent_to_it() -> None:
    """§5.2: a Present tells its signer's date as a Request does."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    world.meet(watch, till, charge=APPLES).run()
    world.meet(watch, till, charge=PEARS).run(stop_after=3)
    meeting = world.meet(watch, till, charge=APPLES).run()  # paid before: the till only presents its key
    (shown,) = [said.message for said in meeting.heard if isinstance(said.message, TransferMessage)]
    assert shown.request
    assert shown.header is None
    assert told(meeting, Part.PAYER)[0] == (Result.HEALED_PAID, None)


def test_a_receipt_may_name_the_very_transfer_that_is_shown() -> None:
    """§5.2-6: a payee that cannot rebuild what it is shown names what it accepted."""
    world = World()
    watch, till = world.wallet(fund=1000), world.wallet()
    meeting = world.meet(watch, till, charge=APPLES)

    def name(said: Said) -> Said:
        return said._replace(transfer=watch.book.tape[-1].id) if isinstance(said, OutcomeMessage) else said

    meeting.run(rewrite=name)
    assert told(meeting, Part.PAYER) == [(Result.PAID, None)]
