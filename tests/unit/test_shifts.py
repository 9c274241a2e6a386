"""A till's shifts: each line once, through torn writes and compaction; its Z-total is what the ledger holds."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap_devices.shifts import NAME, Entry, Payout, Shifts, Total, payouts, totals
from dualtap_devices.wallet import Wallet
from dualtap_issuer.facts import Facts
from dualtap_issuer.states import paid
from tests.mint import EPOCH, TERMS, Mint

LAST = EPOCH + TERMS.spend + TERMS.grace


def line(what: str, amount: int, transfer: str, shift: int = 1, at: int = 5, currency: str = "CNY") -> Entry:
    return Entry(shift, at, what, amount, currency, "ab", transfer, 9)


def held_by_the_ledger(facts: Facts, key: bytes) -> tuple[int, int]:
    """Return what a till took and what it paid back, by the statements of its key alone."""
    answered = {(one.key, one.body.request): one for one in facts.outcomes.values()}
    taken = refunded = 0
    for transfer in facts.transfers.values():
        opening = facts.openings.get(transfer.id)
        amount = sum(end - start for _, start, end in transfer.body.spans)
        asked = facts.asked.get(transfer.commitment)
        outcome = answered.get((transfer.body.payee, asked.request)) if asked else None
        accepted = getattr(outcome.body, "transfer", b"") if outcome else None
        if transfer.body.payee == key and accepted == transfer.id:
            taken += amount
        if transfer.key == key and opening and opening.private.refund_of and accepted in (None, transfer.id):
            refunded += amount
    return taken, refunded


def refund(mint: Mint, shop: Wallet, customer: Wallet, receipt: bytes, cut: int) -> None:
    """Let a till pay back what it took, and tear the tap after some frames."""
    amount = shop.book.taken[receipt].amount - shop.book.taken[receipt].refunded
    if amount:
        mint.pay_back(shop, customer, receipt, (amount + 1) // 2, cut)


@pytest.mark.parametrize("seed", range(6))
def test_the_z_total_is_what_the_ledger_holds(tmp_path: Path, seed: int) -> None:
    """Torn taps, refunds, a clone that pays twice, syncs that compact the log: day by day, and all together."""
    draw, mint = random.Random(seed), Mint(seed=f"day {seed}")
    shop, customers = mint.wallet(), [mint.wallet(300) for _ in range(3)]
    clone = mint.clone(customers[0])
    days = list[int]()
    for day in range(3):
        Shifts(tmp_path).begin(day)
        for _ in range(6):
            customer = draw.choice([*customers, clone])
            cut = draw.choice([2, 3, 4, 5, 100, 100])
            if shop.book.taken and draw.random() < 0.3:
                receipt = draw.choice(list(shop.book.taken))
                payer = next(one for one in customers if one.book.key == shop.book.taken[receipt].payer)
                refund(mint, shop, payer, receipt, cut)
            else:
                mint.pay(customer, shop, draw.randint(1, 40), cut)
            if draw.random() < 0.5:
                Shifts(tmp_path).take(shop.book, day)
        Shifts(tmp_path).take(shop.book, day)
        for customer in customers:
            mint.settle_in(customer)
        mint.settle_in(shop, deposit=draw.random() < 0.5)
        shifts = Shifts(tmp_path)
        shifts.take(shop.book, day)
        days.append(shifts.end(day))
    mint.settle_in(shop, deposit=True)
    shifts = Shifts(tmp_path)
    shifts.take(shop.book, 9)
    found = totals(shifts.entries, shifts.entries)
    taken, refunded = held_by_the_ledger(mint.ledger.facts(), shop.book.key)
    assert sum(one.sum for one in found) == taken > 0
    assert sum(one.refunded for one in found) == refunded
    parts = [one for number in range(1, shifts.number + 1) for one in totals(shifts.of(number), shifts.entries)]
    assert sum(one.net for one in parts) == taken - refunded


def test_a_shifts_lines_survive_compaction_and_are_taken_once(tmp_path: Path) -> None:
    mint = Mint()
    payer, shop = mint.wallet(1000), mint.wallet()
    for _ in range(3):
        mint.pay(payer, shop, 10)
        Shifts(tmp_path).take(shop.book, 1)
    shop.book.history.clear()
    mint.pay(payer, shop, 5)
    shifts = Shifts(tmp_path)
    assert [shifts.take(shop.book, 2), shifts.take(shop.book, 2), Shifts(tmp_path).take(shop.book, 3)] == [1, 0, 0]
    assert totals(shifts.entries, shifts.entries) == [Total("CNY", 4, 35, 0, 0, 35, 1, 2)]


def test_a_torn_line_is_written_again_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    mint = Mint()
    payer, shop = mint.wallet(1000), mint.wallet()
    mint.pay(payer, shop, 10)
    mint.pay(payer, shop, 20)
    Shifts(tmp_path).take(shop.book, 1)
    whole = (tmp_path / NAME).read_bytes()
    for cut in range(len(whole)):
        (tmp_path / NAME).write_bytes(whole[:cut])
        Shifts(tmp_path).take(shop.book, 1)
        assert (tmp_path / NAME).read_bytes() == whole
        (tmp_path / NAME).write_bytes(whole[:cut] + b"\0\n")
        Shifts(tmp_path).take(shop.book, 1)
        assert (tmp_path / NAME).read_bytes() == whole, "an end of line alone proves nothing"
    (tmp_path / NAME).write_bytes(whole + b"a line of which the power took the end" * 20)
    mint.pay(payer, shop, 30)
    Shifts(tmp_path).take(shop.book, 2)
    assert [entry.amount for entry in Shifts(tmp_path).entries] == [0, 10, 20, 30], (
        "nothing is left behind the next line"
    )
    (tmp_path / NAME).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(TapError) as caught:
        Shifts(tmp_path)
    assert (caught.value.code, "line 1" in caught.value.detail) == (Code.STORE_FAILED, True)


def test_the_first_lines_are_durable_by_their_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, folders = os.fsync, list[bool]()

    def confirm(file: int) -> None:
        folders.append(stat.S_ISDIR(os.fstat(file).st_mode))
        real(file)

    monkeypatch.setattr(os, "fsync", confirm)
    Shifts(tmp_path).begin(1)
    assert folders == [False, True], "the lines, and then the name of their file"
    Shifts(tmp_path).end(2)
    assert folders == [False, True, False]


def test_a_shift_is_opened_and_closed_once(tmp_path: Path) -> None:
    shifts = Shifts(tmp_path)
    assert (shifts.number, shifts.is_open) == (0, False)
    with pytest.raises(TapError, match="no shift is open"):
        shifts.end(1)
    assert shifts.begin(1) == 1
    with pytest.raises(TapError, match="shift 1 is open"):
        shifts.begin(2)
    assert (shifts.end(3), Shifts(tmp_path).begin(4), Shifts(tmp_path).is_open) == (1, 2, True)
    with pytest.raises(TapError, match="no shift 7"):
        shifts.of(7)


def test_a_refund_that_came_back_is_taken_off_where_it_came_back() -> None:
    first = [line("received", 50, "a"), line("refunded", 20, "b"), line("restored", 7, "not a refund")]
    second = [line("restored", 20, "b", 2), line("received", 3, "c", 2, 8, "EUR")]
    both = [*first, *second]
    assert totals(first, both) == [Total("CNY", 1, 50, 1, 20, 30, 5, 5)]
    assert totals(second, both) == [Total("CNY", 0, 0, -1, -20, 20, 0, 0), Total("EUR", 1, 3, 0, 0, 3, 8, 8)]
    assert totals(both, both)[0].net == 50


def test_a_payout_says_how_each_deposit_stands() -> None:
    """§16-12."""
    lines = [line("deposited", amount, name) for amount, name in ((10, "a"), (20, "b"), (30, "c"), (40, "d"))]
    told = [line("told at_risk", 20, "b"), line("told received", 30, "c"), line("told at_risk", 40, "d")]
    last = line("told final", 35, "d")
    assert payouts(lines, [*lines, *told, last]) == [Payout("CNY", 100, 10, 30, 20, 35, 5)]
    less = line("told at_risk", 15, "b")  # provisional: what is not credited yet may be
    assert payouts(lines, [*lines, *told, less]) == [Payout("CNY", 100, 10, 30, 55, 0, 0)]


def test_a_payout_is_what_the_ledger_paid(tmp_path: Path) -> None:
    """§16-9, §16-12: also of an overspent token, once a sync has told."""
    mint = Mint()
    thief, shop, other = mint.wallet(100), mint.wallet(), mint.wallet()
    clone = mint.clone(thief)
    mint.ledger.terms = TERMS._replace(guarantee=TERMS.guarantee._replace(payee=10))
    assert mint.pay(thief, shop, 100) == mint.pay(clone, other, 100) == "paid"
    mint.settle_in(other, deposit=True)
    mint.settle_in(shop, deposit=True)
    shifts = Shifts(tmp_path)
    for epoch, state in ((EPOCH, "at_risk"), (LAST + 1, "final")):
        mint.epoch = epoch
        mint.ledger.settle(epoch)
        mint.settle_in(shop)
        shifts.take(shop.book, 1)
        (found,) = payouts(shifts.entries, shifts.entries)
        assert getattr(found, state) == (100 if state == "at_risk" else 60)
    assert found.lost == 40
    got = paid(mint.store, mint.scheme, shop.book.key, mint.ledger.facts().tokens)
    assert sum(sum(one) for one in got.values()) == found.final
