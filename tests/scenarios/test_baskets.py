"""One basket, at most one accepted payment: stories of a till, two cards, and links that break at the worst moment.

Everybody's units are counted after each tap, and each basket's accepted payments (see ``dualtap_testing.promises``).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualtap import limits
from dualtap.errors import Code
from dualtap.events import Report, Result
from dualtap.issued import Carrier
from tests.property.town import CLEAN, Device, Fault, Town

BASKET = b"a basket of figs"
PRICE = 7
TRANSFER_LOST = Fault("drop", at=2)
RECEIPT_LOST = Fault("drop", at=3)


class Shop:
    """A till and two customers' cards, with 20 each."""

    def __init__(self) -> None:
        self.town = Town()
        self.red = self.town.join("red card", Carrier.CARD, 20, limits.CARD)
        self.blue = self.town.join("blue card", Carrier.CARD, 20, limits.CARD)
        self.till = self.town.join("till", Carrier.POS)

    def tap(
        self, card: Device, fault: Fault = CLEAN, *, basket: bytes = BASKET, till: Device | None = None
    ) -> tuple[Report | None, Report | None]:
        """Tap a card at the till, for the basket."""
        reports = self.town.pay(card, till or self.till, PRICE, fault, basket=basket)
        self.town.check()
        return reports

    def has(self, *devices: Device) -> list[int]:
        return [device.wallet.book.available(self.town.epoch) for device in devices or (self.red, self.blue, self.till)]

    def doubt(self) -> list[int]:
        return [device.wallet.book.in_doubt() for device in (self.red, self.blue, self.till)]

    def takings(self) -> int:
        """Return how many payments the till accepted for the basket."""
        asked = [request for request, sale in self.town.asked[self.till.key].items() if sale == (BASKET, 0)]
        return sum(bool(answer) for key in asked for answer in self.town.known.answers.get((self.till.key, key), ()))

    def closing_time(self) -> None:
        """Everybody heals and syncs; the books agree, and nobody is named."""
        self.town.finish(0)
        assert not self.town.ledger.conflicts()


@pytest.fixture
def shop() -> Shop:
    return Shop()


def told(reports: tuple[Report | None, Report | None]) -> list[tuple[Result, object]]:
    return [(report.result, report.code) for report in reports if report is not None]


def test_the_transfer_is_lost_and_another_card_pays(shop: Shop) -> None:
    """The till never saw red's transfer: it closes that request before it asks blue, and red gets its money back.

    §1-7, §11.4-8.
    """
    assert told(shop.tap(shop.red, TRANSFER_LOST)) == [
        (Result.IN_DOUBT, Code.LINK_LOST),
        (Result.NOT_PAID, Code.LINK_LOST),
    ]
    paid, collected = told(shop.tap(shop.blue))
    assert (paid, collected) == ((Result.PAID, None), (Result.COLLECTED, None))
    assert shop.has() == [13, 13, 7]
    assert shop.doubt() == [7, 0, 0]
    shop.tap(shop.red)  # red comes back for the same basket: it is paid, so that there is nothing but to heal
    assert shop.has() == [20, 13, 7]
    assert shop.doubt() == [0, 0, 0]
    assert shop.takings() == 1
    shop.closing_time()


def test_the_first_payer_comes_back_to_buy_something_else(shop: Shop) -> None:
    shop.tap(shop.red, TRANSFER_LOST)
    shop.tap(shop.blue)
    shop.tap(shop.red, basket=b"a basket of nuts")
    assert shop.has() == [13, 13, 14]
    assert shop.doubt() == [0, 0, 0]
    assert shop.takings() == 1
    shop.closing_time()


def test_the_receipt_is_lost_and_another_card_has_nothing_to_pay(shop: Shop) -> None:
    """The till has red's Receipt: it was red who paid, whether or not red knows it yet."""
    assert told(shop.tap(shop.red, RECEIPT_LOST)) == [
        (Result.IN_DOUBT, Code.LINK_LOST),
        (Result.COLLECTED, None),
    ]
    assert told(shop.tap(shop.blue)) == [(Result.DONE, Code.BASKET_PAID), (Result.DONE, Code.BASKET_PAID)]
    assert shop.has() == [13, 20, 7]
    shop.tap(shop.red)
    assert shop.has() == [13, 20, 7]
    assert shop.doubt() == [0, 0, 0]
    assert shop.takings() == 1
    shop.closing_time()


def test_the_same_card_again_pays_once_whatever_was_lost(shop: Shop) -> None:
    for fault in (TRANSFER_LOST, RECEIPT_LOST, TRANSFER_LOST):
        shop.tap(shop.red, fault)
    shop.tap(shop.red)
    assert shop.has() == [13, 20, 7]
    assert shop.doubt() == [0, 0, 0]
    assert shop.takings() == 1
    shop.closing_time()


def test_the_first_payer_heals_while_the_second_sale_is_open(shop: Shop) -> None:
    """Both cards' taps were torn. Red's request is closed; blue's is the live one, and whoever comes first pays it."""
    shop.tap(shop.red, TRANSFER_LOST)
    shop.tap(shop.blue, TRANSFER_LOST)
    assert shop.doubt() == [7, 7, 0]
    shop.tap(shop.red)  # closes blue's request, heals red's old transfer, and pays
    assert shop.has() == [13, 13, 7]
    assert shop.doubt() == [0, 7, 0]
    shop.tap(shop.blue)
    assert shop.has() == [13, 20, 7]
    assert shop.doubt() == [0, 0, 0]
    assert shop.takings() == 1
    shop.closing_time()


@pytest.mark.parametrize("heal", ["tap", "other way round", "sync"])
@pytest.mark.parametrize("fault", [TRANSFER_LOST, RECEIPT_LOST])
def test_the_first_payer_heals_at_home_or_later(shop: Shop, fault: Fault, heal: str) -> None:
    """Its money is restored or it is the one that paid, however it heals; never both."""
    shop.tap(shop.red, fault)
    shop.tap(shop.blue)
    if heal == "tap":
        shop.town.pay(shop.red, shop.till, 1)
    elif heal == "other way round":
        shop.town.pay(shop.till, shop.red, 1)
    else:
        shop.town.sync(shop.till)
        shop.town.sync(shop.red)
    shop.town.check()
    assert shop.doubt() == [0, 0, 0]
    assert shop.takings() == 1
    paid_by_red = fault is RECEIPT_LOST
    moved = {"tap": -1, "other way round": 1, "sync": 0}[heal]
    assert shop.has() == [20 - 7 * paid_by_red + moved, 13 + 7 * paid_by_red, 7 - moved]
    shop.closing_time()


@pytest.mark.parametrize("effect", range(9))
@pytest.mark.parametrize("payer", [True, False])
def test_the_power_fails_anywhere_and_another_card_takes_over(shop: Shop, effect: int, payer: bool) -> None:
    shop.tap(shop.red, Fault("cut", payer, effect))
    shop.tap(shop.blue)
    shop.tap(shop.red)
    assert shop.takings() == 1
    assert shop.doubt() == [0, 0, 0]
    assert sorted(shop.has()) == [7, 13, 20]
    assert shop.has(shop.till) == [7]
    shop.closing_time()


def lose_the_transfer(shop: Shop) -> None:
    shop.tap(shop.red, TRANSFER_LOST)


def lose_the_request(shop: Shop) -> None:
    shop.tap(shop.red, Fault("drop", at=1))


@pytest.mark.parametrize("torn", [lose_the_transfer, lose_the_request])
def test_cancelled_here_and_sold_at_another_till(shop: Shop, torn: Callable[[Shop], None]) -> None:
    """A cancelled sale is closed by the till's own word, so that another till can take it over."""
    other = shop.town.join("other till", Carrier.POS)
    torn(shop)
    shop.town.cancel(shop.till)
    assert not shop.till.wallet.book.open
    asked = [request for request, sale in shop.town.asked[shop.till.key].items() if sale == (BASKET, 0)]
    assert [shop.town.known.answers[shop.till.key, request] for request in asked] == [{b""}]
    shop.tap(shop.blue, till=other)
    shop.tap(shop.red, basket=b"a basket of nuts")
    assert shop.takings() == 0
    assert shop.has(shop.red, shop.blue, shop.till, other) == [13, 13, 7, 7]
    assert shop.doubt() == [0, 0, 0]
    shop.closing_time()


def test_cancelled_after_it_was_paid_is_a_refund(shop: Shop) -> None:
    """There is no Close after a Receipt: what comes too late to cancel goes back as a payment. §11.2-7."""
    shop.tap(shop.red)
    shop.town.cancel(shop.till)
    (taken,) = shop.till.wallet.book.taken.values()
    shop.town.pay(shop.till, shop.red, PRICE, refund_of=taken.transfer)
    shop.town.check()
    assert shop.has() == [20, 20, 0]
    assert shop.takings() == 1
    shop.closing_time()


def test_parts_of_one_basket_are_paid_by_two_cards(shop: Shop) -> None:
    """A basket that is torn again and again waits for nobody else's: an open request blocks no other customer.

    §11.2-10.
    """
    shop.tap(shop.red, TRANSFER_LOST)
    shop.tap(shop.blue, basket=b"a basket of nuts")
    assert shop.has() == [13, 13, 7]
    shop.tap(shop.red)
    assert shop.has() == [13, 13, 14]
    assert shop.doubt() == [0, 0, 0]
    assert shop.takings() == 1
    shop.closing_time()
