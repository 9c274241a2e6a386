"""Random orders of all that pays a wallet out, against books that are kept by hand: each unit once, and none lost.

A card is bound, lost, found, moved, unbound, paid, refunded, deposited, renewed, presented; the ledger settles again
and again. The oracle knows SPEC §16-5, §16-22, §16-23 and §16-25, and what devices hold; nothing of the ledger.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from functools import cache
from typing import NamedTuple

import pytest

from dualtap.errors import TapError
from dualtap.statements import Errand
from dualtap.ties import FREE
from dualtap_devices.renewing import worn
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.guarantee import parted
from dualtap_issuer.ordering import give
from dualtap_issuer.rules import Lot
from tests.unit.test_payouts import LAST, Family

WORLDS = 12
ERRANDS = (Errand.LOST, Errand.RESTRAIN, Errand.MOVE, Errand.UNBIND)


class Said(NamedTuple):
    """An order, by the day on which it was told."""

    day: int
    owner: bool
    errand: Errand


class Books:
    """What is on accounts, what still waits for somebody, and what was paid in fresh tokens."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.known, self.number = self.draw.random() < 0.5, 0
        self.family = family = Family(anonymous=not self.known)
        self.mint, self.card, self.shop = family.mint, family.card, family.shop
        first, second = self.mint.wallet(30), self.mint.wallet()
        assert self.mint.pay(first, second, 30) == self.mint.pay(second, self.card, 30) == "paid"
        self.bound = self.draw.random() < 0.8
        if self.bound:
            family.bind()
        self.said: list[Said] = []
        self.settled = set[bytes]()
        self.deposited, self.account, self.fresh = 0, Counter[bytes](), Counter[bytes]()
        self.open: dict[bytes, Counter[bytes]] = defaultdict(Counter)
        self.met = Counter[str]()

    @property
    def wallets(self) -> tuple[Wallet, ...]:
        return (self.card, self.shop, self.family.spare, self.family.phone)

    def heir(self, by: int) -> bytes:
        """Return to whom the card's value belongs by what was told up to a day."""
        said = [one for one in self.said if one.day <= by]
        tied = self.bound and not any(one.errand is Errand.UNBIND for one in said)
        said = [one for one in said if tied or not one.owner]
        for owner in (True, False):
            if any(one.errand is Errand.MOVE and one.owner is owner for one in said):
                return self.family.spare.book.key
        state = {one.owner: one.errand for one in said if one.errand in (Errand.LOST, Errand.RESTRAIN)}
        return self.family.phone.book.key if tied and Errand.LOST in state.values() else b""

    # What happens

    def step(self) -> None:
        actions = (self.order, self.order, self.pay, self.refund, self.deposit, self.renew, self.redeem, self.wait)
        action = self.draw.choice(actions)
        self.met[action.__name__] += 1
        action()

    def order(self) -> None:
        errand, owner = self.draw.choice(ERRANDS), self.bound and self.draw.random() < 0.7
        to = self.family.spare.book.key if errand is Errand.MOVE else b""
        if errand is Errand.UNBIND and (not self.bound or any(one.errand is errand for one in self.said)):
            return
        if owner:
            self.number += 1
            self.family.order(errand, self.number, to)
        else:
            give(self.mint.ledger, self.card.book.key, errand, self.mint.epoch, FREE, to)
        self.said.append(Said(self.mint.epoch, owner, errand))

    def pay(self) -> None:
        self.mint.pay(self.card, self.shop, self.draw.randrange(1, 30))

    def refund(self) -> None:
        self.mint.pay(self.shop, self.card, self.draw.randrange(1, 20))

    def deposit(self) -> None:
        wallet = self.draw.choice((self.card, self.shop))
        if self.mint.epoch <= LAST:
            self.deposited += self.mint.settle_in(wallet, deposit=True).deposited

    def renew(self) -> None:
        if self.mint.epoch <= LAST:
            asked = sum(held.amount for held in worn(self.card.book))
            assert sync(self.card, self.mint, self.mint.draw(), deposit=False, renew=True).renewed == asked
            self.met["renewed"] += asked

    def redeem(self) -> None:
        waiting = self.open[self.card.book.key]
        if waiting and not self.heir(self.mint.epoch):
            assert self.family.present(self.card) == waiting.total()
            self.fresh[self.card.book.key] += waiting.total()
            waiting.clear()
            return
        try:
            assert self.family.present(self.card) == 0
        except TapError:
            assert self.heir(self.mint.epoch) or self.known

    def wait(self) -> None:
        later = min(self.mint.epoch + self.draw.randrange(1, 6), LAST + 12)  # no fresh token expires
        if self.mint.epoch <= LAST < later:  # what nobody tells by claim_by is the payer's
            self.mint.epoch = LAST
            for wallet in self.wallets:
                self.mint.settle_in(wallet)
        self.mint.epoch = later
        if later > LAST:
            self.settle()

    def settle(self) -> None:
        """Credit, or pay out, what each wallet holds of what has expired."""
        day = self.mint.epoch
        for token, holders in self.expired(day).items():
            self.settled.add(token)
            for holder, amount in holders.items():
                heir = self.heir(day - 1) if holder == self.card.book.key else b""
                if heir or not self.known:
                    self.open[holder][token] += amount
                else:
                    self.account[holder] += amount
        if (heir := self.heir(day - 1)) and self.open[self.card.book.key]:
            self.fresh[heir] += self.open.pop(self.card.book.key).total()
        self.mint.ledger.settle(day)

    def expired(self, day: int) -> dict[bytes, Counter[bytes]]:
        found: dict[bytes, Counter[bytes]] = defaultdict(Counter)
        for wallet in self.wallets:
            book = wallet.book
            for held in book.holdings:
                if book.graph.tokens[held.token].claim_by < day and held.token not in self.settled:
                    found[held.token][book.key] += held.amount
        return found

    # What the ledger says

    def check(self) -> None:
        ledger, size = self.mint.ledger, self.mint.suite.public_size
        facts, account, fresh, ways = ledger.facts(), Counter[bytes](), Counter[bytes](), Counter[tuple[bytes, bytes]]()
        leaves = self.mint.store.settled()
        for token, accounts in self.mint.store.ask("SELECT token, accounts FROM settled"):
            for holder in parted(accounts, size):
                held = [leaf for leaf in leaves[token] if leaf.holder == holder and leaf.lot is not Lot.DEPOSITED]
                account[holder] += sum(leaf.amount for leaf in held)
                ways[token, holder] += 1
        for token, holder, key in self.mint.store.ask("SELECT token, holder, fresh FROM payout"):
            fresh[facts.tokens[key].owner] += facts.tokens[key].amount
            ways[token, holder] += 1
        assert (account, fresh) == (self.account, self.fresh)
        assert set(ways.values()) <= {1}
        found = ledger.audit()
        waiting = sum(held.total() for held in self.open.values())
        assert (found.issued, found.settled) == (110, self.deposited + self.account.total() + waiting)
        assert found.outstanding == 110 - found.settled


@cache
def lived(seed: int) -> Books:
    """Return a world of some thirty steps, checked after each settlement and at its end."""
    books = Books(seed)
    for _ in range(10):
        books.step()
    while books.mint.epoch <= LAST:
        books.wait()
    actions = (books.order, books.order, books.redeem, books.wait)
    for _ in range(8):
        books.draw.choice(actions)()
    books.wait()
    books.check()
    return books


@pytest.mark.parametrize("seed", range(WORLDS))
def test_each_unit_is_paid_once_in_one_way(seed: int) -> None:
    """§16-5, §16-22, §16-23, §16-25."""
    lived(seed)


def test_the_worlds_have_what_they_are_for() -> None:
    """Each way to be paid is met; value was renewed, and the card's orders came after a settlement too."""
    met = [lived(seed) for seed in range(WORLDS)]
    ways = [(one.account, one.fresh, sum(one.open.values(), Counter[bytes]()), one.met["renewed"]) for one in met]
    assert all(any(column) for column in zip(*ways, strict=True))
    late = [one for one in met if one.account[one.card.book.key] and any(order.day > LAST for order in one.said)]
    assert len(late) > 1
