"""The seven promises, in a town where everything goes wrong: torn taps, power cuts, clones, liars, lost replies.

Each rule is something that happens to people. After each, every unit is looked for in every store.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dualtap import limits
from dualtap.issued import Carrier
from tests.property.town import CLEAN, DECLINED, Device, Fault, Town

PEOPLE = 6
who = st.integers(0, 11)
amounts = st.integers(1, 6)
lost = st.builds(Fault, st.just("drop"), st.booleans(), st.integers(1, 6))
cuts = st.builds(Fault, st.just("cut"), st.booleans(), st.integers(1, 9), st.sampled_from([0, 0, 3]))
faults = st.just(CLEAN) | lost | cuts | st.just(DECLINED)
LIES = ["fork", "tape fork", "dead spent", "two outcomes", "another's", "one unit twice"]


class Life(RuleBasedStateMachine):
    """People, tills, a thief or two, and a ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.town = Town()
        self.baskets: list[tuple[Device, bytes, int]] = []
        self.torn: list[tuple[Device, Device]] = []
        self.ledger_moved = False

    @initialize(funds=st.lists(st.integers(10, 20), min_size=3, max_size=3))
    def move_in(self, funds: list[int]) -> None:
        town = self.town
        for name, fund, carrier in zip(("anna", "ben", "thief"), funds, list(Carrier), strict=False):
            town.join(name, carrier, fund)
        town.join("card", Carrier.CARD, 8, limits.CARD)
        town.join("kiosk", Carrier.POS)
        town.join("market", Carrier.POS)

    def device(self, number: int) -> Device:
        return self.town.devices[number % len(self.town.devices)]

    def pair(self, one: int, other: int) -> tuple[Device, Device] | None:
        first, second = self.device(one), self.device(other)
        return None if first.key == second.key else (first, second)

    # What people do

    @rule(payer=who, payee=who, amount=amounts, fault=faults, payer_starts=st.booleans())
    def somebody_pays(self, payer: int, payee: int, amount: int, fault: Fault, payer_starts: bool) -> None:
        pair = self.pair(payer, payee)
        if pair is None:
            return
        basket = self.town.basket()
        self.baskets.append((pair[1], basket, amount))
        if fault is not CLEAN:
            self.torn.append(pair)
        self.town.pay(*pair, amount, fault, basket=basket, payer_starts=payer_starts)

    @rule(payer=who, payee=who, amount=amounts, payer_starts=st.booleans(), closes=st.booleans())
    def the_transfer_is_lost(self, payer: int, payee: int, amount: int, payer_starts: bool, closes: bool) -> None:
        pair = self.pair(payer, payee)
        if pair is None:
            return
        self.town.pay(*pair, amount, Fault("drop", at=2 if payer_starts else 3), payer_starts=payer_starts)
        self.torn.append(pair)
        if closes:
            self.town.cancel(pair[1])

    @rule(payer=who, payee=who, amount=amounts, payer_starts=st.booleans())
    def the_receipt_is_lost(self, payer: int, payee: int, amount: int, payer_starts: bool) -> None:
        pair = self.pair(payer, payee)
        if pair is None:
            return
        basket = self.town.basket()
        self.baskets.append((pair[1], basket, amount))
        fault = Fault("drop", at=3 if payer_starts else 4)
        self.town.pay(*pair, amount, fault, basket=basket, payer_starts=payer_starts)
        self.torn.append(pair)

    @precondition(lambda self: self.baskets)
    @rule(sale=who, payer=who, fault=faults, payer_starts=st.booleans())
    def a_sale_is_started_again(self, sale: int, payer: int, fault: Fault, payer_starts: bool) -> None:
        till, basket, amount = self.baskets[-1 - sale % len(self.baskets)]
        card = self.device(payer)
        if card.key != till.key and till in self.town.devices:
            self.town.pay(card, till, amount, fault, basket=basket, payer_starts=payer_starts)

    @precondition(lambda self: self.torn)
    @rule(which=who, turned=st.booleans())
    def a_second_tap_heals(self, which: int, turned: bool) -> None:
        one, other = self.torn.pop(which % len(self.torn))
        if self.town.honest(one) and self.town.honest(other):
            self.town.heal(*((other, one) if turned else (one, other)))

    @rule(
        payer=who,
        other=who,
        till=who,
        amount=amounts,
        fault=st.just(CLEAN) | lost,
        turns=st.lists(st.integers(0, 1), max_size=10),
        same=st.booleans(),
    )
    def two_taps_at_once(
        self, payer: int, other: int, till: int, amount: int, fault: Fault, turns: list[int], same: bool
    ) -> None:
        """At one till, with two cards or twice with one; for one basket or two."""
        first, second = self.pair(payer, till), self.pair(other, till)
        if first is None or second is None:
            return
        basket = self.town.basket()
        baskets = (basket, basket if same else self.town.basket())
        taps = [
            (*pair, amount, name, broken)
            for pair, name, broken in zip((first, second), baskets, (fault, CLEAN), strict=True)
        ]
        self.town.at_once(taps, turns)

    @rule(payer=who, payee=who, amount=amounts, when=st.integers(2, 6), payer_syncs=st.booleans())
    def somebody_syncs_in_a_tap(self, payer: int, payee: int, amount: int, when: int, payer_syncs: bool) -> None:
        pair = self.pair(payer, payee)
        if pair is not None:
            self.town.sync_in_a_tap(*pair, amount, when, payer_syncs)
            self.ledger_moved = True

    @rule(number=who, length=st.integers(1, 12))
    def a_backup_is_restored(self, number: int, length: int) -> None:
        device = self.device(number)
        if self.town.honest(device):
            self.town.restore_backup(device, length)
            self.ledger_moved = True

    @rule(giver=who, fault=faults)
    def somebody_refunds(self, giver: int, fault: Fault) -> None:
        device = self.device(giver)
        for taken in device.wallet.book.taken.values():
            customer = next(item for item in self.town.devices if item.key == taken.payer)
            if taken.refunded < taken.amount and customer.key != device.key:
                amount = max(1, (taken.amount - taken.refunded) // 2)
                self.town.pay(device, customer, amount, fault, refund_of=taken.transfer)
                return

    @rule(till=who)
    def somebody_cancels(self, till: int) -> None:
        self.town.cancel(self.device(till))

    @rule(number=who, amount=st.integers(6, 12))
    def money_is_issued(self, number: int, amount: int) -> None:
        if len(self.town.known.tokens) < 8:
            self.town.issue(self.device(number), amount)

    @rule(
        number=who,
        deposit=st.booleans(),
        fault=st.sampled_from(["none", "none", "reply lost", "twice", "unreachable"]),
        cut=st.none() | st.tuples(st.integers(1, 5), st.booleans()),
    )
    def somebody_syncs(self, number: int, deposit: bool, fault: str, cut: tuple[int, bool] | None) -> None:
        self.town.sync(self.device(number), deposit=deposit, fault=fault, cut=cut)
        self.ledger_moved = True

    @rule(days=st.integers(1, 3), thieves_come=st.booleans())
    def days_pass(self, days: int, thieves_come: bool) -> None:
        self.town.pass_days(days, thieves_come)

    @rule(number=who, skip=st.sampled_from([0, 0, 5]))
    def the_power_fails(self, number: int, skip: int) -> None:
        self.device(number).reopen(skip)

    # What thieves do: the third wallet and the second till

    @precondition(lambda self: len(self.town.devices) < PEOPLE + 2)
    @rule(till=st.booleans())
    def a_chip_is_copied(self, till: bool) -> None:
        self.town.clone(self.town.devices[5 if till else 2])

    @rule(till=st.booleans(), kind=st.sampled_from(LIES), pick=who)
    def a_secret_is_misused(self, till: bool, kind: str, pick: int) -> None:
        thief, first = self.town.devices[5 if till else 2], LIES.index(kind)
        for lie in (*LIES[first:], *LIES[:first]):
            if self.town.lie(thief, lie, pick):
                self.ledger_moved = True
                return

    # What is promised

    @invariant()
    def the_promises_hold(self) -> None:
        self.town.check()
        if self.ledger_moved:
            self.town.check_ledger()
            self.ledger_moved = False

    def teardown(self) -> None:
        if self.town.devices:
            self.town.finish(len(self.baskets))


def live(kind: type[Life], examples: int, steps: int) -> None:
    """Live so many lives of so many steps, the same in every run."""
    run_state_machine_as_test(
        kind,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=examples,
            stateful_step_count=steps,
            print_blob=False,
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
        ),
    )


@pytest.mark.timeout(300)
def test_the_promises_hold_whatever_happens() -> None:
    """The same stories in every run; ``DUALTAP_PROMISES=1000x60`` asks for more of them, and longer ones.

    §1-1, §1-2, §1-3, §1-4, §1-7, §4.1-12.
    """
    live(Life, *(int(part) for part in os.environ.get("DUALTAP_PROMISES", "16x45").split("x")))
