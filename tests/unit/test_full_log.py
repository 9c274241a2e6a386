"""A full log asks for no payment and makes none, and heals all the same: at every fill level, after every tear."""

from __future__ import annotations

from typing import cast

import pytest

from dualtap import limits
from dualtap.account import ENTRY_ROOM
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Result
from dualtap.issued import Policy, Tier
from dualtap.records import News
from dualtap.statements import Kind
from dualtap.states import Part, State
from dualtap.suite import Drbg
from dualtap.trust import issue
from dualtap.walletend import WalletEnd
from dualtap_devices import syncing
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.owning import Session, fresh
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, World
from tests.unit.test_wallet import Office

NEED = limits.FULL.message + 2 * ENTRY_ROOM
LEVELS = (0, 512, 2 * ENTRY_ROOM, NEED - 1, NEED)
TEARS = ((Part.PAYER, State.AWAIT_OUTCOME), (Part.PAYEE, State.ENDED))
BASKET = bytes(range(16))
NOW = float(EPOCH * limits.EPOCH_SECONDS)


def squeeze(wallet: Wallet, level: int) -> None:
    """Fill a wallet's log until so many bytes are left beside what is reserved."""
    wallet.check()
    store = cast("MemoryStore", wallet.store)
    store._end = store._half - wallet.book.reserved() - level  # pyright: ignore[reportPrivateUsage]
    wallet.book.free = store.free


def torn(world: World, payer: Wallet, payee: Wallet, tear: tuple[Part, State]) -> None:
    """Tear a payment: before its transfer has come, or before its receipt has."""
    meeting = world.meet(payer, payee, charge=Charge(10, "CNY", BASKET))
    meeting.until(*tear)
    meeting.lose()
    assert len(payer.book.pending) == 1


def lacking(world: World) -> Policy:
    """Return a policy that names an authority that nobody knows: who has it asks every peer for authorities."""
    policy = world.ruled(2)
    return issue(world.scheme, world.policy_key, policy._replace(authorities=(*policy.authorities, b"none")))


@pytest.mark.parametrize("tear", TEARS, ids=["transfer lost", "receipt lost"])
def test_a_second_tap_heals_at_every_fill_level_of_both_logs(tear: tuple[Part, State]) -> None:
    """§12-13, §11.2-11 and §1-4: what heals needs no room but what is reserved, for this basket or another."""
    pairs = {*((level, 0) for level in LEVELS), *((0, level) for level in LEVELS)}
    for place, (of_payer, of_payee) in enumerate(sorted(pairs)):
        world = World(seed=f"full {of_payer} {of_payee}")
        payer, payee = world.wallet(fund=100), world.wallet(fund=100)
        torn(world, payer, payee, tear)
        squeeze(payer, of_payer)
        squeeze(payee, of_payee)
        world.meet(payer, payee, charge=Charge(10, "CNY", BASKET if place % 2 else bytes(16))).run()
        assert not payer.book.pending, (of_payer, of_payee)
        world.check()


@pytest.mark.parametrize(("level", "asks"), [(NEED - 1, False), (NEED, True)])
def test_a_till_asks_for_a_payment_while_it_can_take_one(level: int, asks: bool) -> None:
    """§11.2-11: to the byte: a message, and two entries."""
    world = World()
    payer, till = world.wallet(fund=100), world.wallet()
    squeeze(till, level)
    meeting = world.meet(payer, till, 10)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME) if asks else meeting.run()
    assert ("Request" in meeting.said) is asks


@pytest.mark.parametrize("tear", TEARS, ids=["transfer lost", "receipt lost"])
def test_a_full_till_is_healed_by_who_owes_it_an_outcome(tear: tuple[Part, State]) -> None:
    """§11.2-11: what the payee itself has in doubt is healed too, though it asks for nothing."""
    for level in LEVELS[::2]:
        world = World(seed=f"owed {level}")
        shop, customer = world.wallet(fund=100), world.wallet(fund=100)
        torn(world, shop, customer, tear)
        squeeze(shop, level)
        squeeze(customer, 0)
        world.meet(customer, shop, 10).run()
        assert not shop.book.pending, level
        world.check()


def test_a_full_till_asks_for_nothing_and_says_why() -> None:
    """§11.2-11, §11.2-3, §12-8, §12-9: it signs a Present, and makes nothing durable."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    squeeze(till, NEED - 1)
    meeting = world.meet(watch, till, 10).run()
    assert meeting.payee.signed == [Kind.PRESENT]
    assert [(one.result, one.code) for one in meeting.payee.reports] == [(Result.NOT_PAID, Code.STORE_FULL)]
    assert [one.result for one in meeting.payer.reports] == [Result.DONE]
    assert not till.book.questions


def test_a_till_whose_balance_is_full_heals() -> None:
    """§11.2-11, §22-8."""
    world = World(tiers=(Tier(1, 1_000_000, 1_000, 1_000, 10**9, balance=15),))
    watch, till = world.wallet(fund=15), world.wallet()
    torn(world, watch, till, TEARS[1])
    meeting = world.meet(watch, till, 10).run()
    assert [(one.result, one.code) for one in meeting.payee.reports] == [(Result.NOT_PAID, Code.OVER_LIMIT)]
    assert [one.result for one in meeting.payer.reports] == [Result.HEALED_PAID, Result.DONE]
    world.check()


def test_authorities_that_are_known_need_no_room() -> None:
    """§12-13: a till that lacks a third authority is sent those of its customer again."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    torn(world, watch, till, TEARS[1])
    watch.write(News(None, (), None, lacking(world)))
    assert watch.book.trust.lacks_authorities
    squeeze(watch, 0)
    meeting = world.meet(watch, till, 10).run()
    assert Result.HEALED_PAID in [one.result for one in meeting.payer.reports]


def test_an_authority_that_is_new_needs_room() -> None:
    """§12-10: what a peer brings of the scheme is made durable, or the tap ends."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    renewed = issue(world.scheme, world.root, world.authorities[1]._replace(expires=EPOCH + 2000))
    assert watch.book.trust.knows(world.authorities)
    assert not watch.book.trust.knows((renewed,))
    till.write(News(None, (renewed,), None, None))
    watch.write(News(None, (), None, lacking(world)))
    squeeze(watch, ENTRY_ROOM - 1)
    meeting = world.meet(watch, till, 10).run()
    assert meeting.payer.report.code is Code.STORE_FULL
    squeeze(watch, NEED)
    assert world.meet(watch, till, 10).run().payer.report.result is Result.PAID


@pytest.mark.parametrize("tear", TEARS, ids=["transfer lost", "receipt lost"])
@pytest.mark.parametrize("level", [*LEVELS, NEED + ENTRY_ROOM])
@pytest.mark.parametrize("part", list(Part)[:2])
def test_a_full_log_heals_whose_authorities_have_ended(tear: tuple[Part, State], level: int, part: Part) -> None:
    """§7-25, §12-13: it asks for later certificates while it can keep them beside a payment, in either part."""
    world = World()
    policy, institution, bank = world.authorities
    ended = (
        policy,
        issue(world.scheme, world.root, institution._replace(expires=EPOCH)),
        issue(world.scheme, world.institution, bank._replace(expires=EPOCH)),
    )
    watch = world.wallet(fund=100, news=News(None, ended, world.header, world.policy))
    till = world.wallet(fund=100)
    torn(world, watch, till, tear)
    squeeze(watch, level)
    pair = (watch, till) if part is Part.PAYER else (till, watch)
    world.meet(*pair, 10, seconds=NOW + limits.EPOCH_SECONDS).run()
    assert not watch.book.pending
    assert (set(watch.book.trust.authorities) == set(world.authorities)) is (level > NEED)


def test_a_full_log_syncs_and_has_room_again() -> None:
    """§12-13: what a reply brings takes the place of what it settles; a deposit that finds no room waits."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    world.pay(watch, till, 10)
    assert till.book.unsaved is not None
    squeeze(till, 0)
    assert syncing.sync(till, Office(world), world.draw(), deposit=True).deposited == 0
    assert till.book.free > NEED
    till.write(News(None, (), world.header, None))
    assert world.reopened(till).book.holdings == till.book.holdings, "no signature stands where its entry is no more"
    assert syncing.sync(till, Office(world), world.draw(), deposit=True).deposited == 10
    world.check()


@pytest.mark.parametrize("more", range(0, 1600, 320))
def test_what_a_full_card_holds_is_handed_in(more: int) -> None:
    """§12-8, §12-13 and §14-1: whoever is paid until no more fits can deposit all of it, however little is left."""
    world = World()
    card = world.wallet(profile=limits.CARD, store=2 * limits.CARD.log + 2 * more)
    while world.meet(world.wallet(fund=10), card, 7).run().payee.report.code is not Code.STORE_FULL:
        card.compact()
    held = card.book.available(EPOCH)
    assert card.book.free < limits.CARD.message + 2 * ENTRY_ROOM
    while card.book.holdings:
        deposited = syncing.sync(card, Office(world), world.draw(), deposit=True).deposited
        assert deposited > 0
        held -= deposited
    assert held == 0


@pytest.mark.parametrize("spans", [1, limits.SPANS])
def test_a_deposit_takes_the_room_that_it_asks_for(spans: int) -> None:
    """§12-13: it needs none for an outcome, for a reply ends it, and takes its place."""
    world = World()
    till = world.wallet()
    for _ in range(spans):
        world.pay(world.wallet(fund=10_000), till, 7)
    level = 0
    squeeze(till, level)
    while not syncing.prepare(till, Drbg(world.draw()), deposit=True).deposited:
        assert till.book.free == level
        level += 512
        squeeze(till, level)
    assert (level, till.book.free) == ((1024, 1536)[spans > 1], 0)


@pytest.mark.parametrize("level", [0, 512])
def test_a_deposit_leaves_the_room_of_what_is_in_doubt(level: int) -> None:
    """§12-13: eight outcomes may come before the reply does."""
    world = World()
    shop = world.wallet(fund=100)
    for _ in range(8):
        meeting = world.meet(shop, world.wallet(), 1)
        meeting.until(*TEARS[0])
        meeting.lose()
    squeeze(shop, level)
    assert len(shop.book.pending) == 8
    assert syncing.prepare(shop, Drbg(world.draw()), deposit=True).deposited == 0
    assert shop.book.free == shop.book.reserved() + level


def test_a_log_with_room_for_half_a_tap_is_compacted_before_it() -> None:
    """§12-12: whoever pays, collects, or obeys its owner does not meet a full log that only holds the past."""
    world = World()
    payer, till, card = world.wallet(fund=100), world.wallet(), world.wallet()
    for wallet in (payer, till, card):
        squeeze(wallet, 512)
    pays, collects = [
        Driver(wallet, order, wallet is payer, world.suite.ephemeral(world.draw()), world.draw(), clock=lambda: NOW)
        for wallet, order in ((payer, Pay()), (till, Charge(10, "CNY", BASKET)))
    ]
    exchange(pays, collects)
    assert pays.result.result is Result.PAID
    Session(card, WalletEnd(card.book, fresh(card)), clock=lambda: NOW)
    assert card.book.free >= card.book.reserved() + NEED


def test_what_does_not_fit_into_one_deposit_goes_into_a_second() -> None:
    """§14-1 with §10: a transfer takes so many spans and no more."""
    world = World()
    till = world.wallet()
    for _ in range(limits.SPANS + 1):
        world.pay(world.wallet(fund=10), till, 1)
    assert syncing.prepare(till, Drbg(world.draw()), deposit=True).deposited == limits.SPANS + 1
    deposits = [sent.transfer for sent in till.book.pending.values()]
    assert sorted(len(one.body.spans) for one in deposits) == [1, limits.SPANS]
