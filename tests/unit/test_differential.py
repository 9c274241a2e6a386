"""Your device beside ours: alike where it keeps the law, and where it does not, the first difference in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code
from dualtap.events import Report, Result
from dualtap.limits import CARD
from dualtap.statements import CloseBody
from dualtap_devices.driver import Driver
from dualtap_testing.candidate import Reference
from dualtap_testing.checked import Unfit
from dualtap_testing.counter import Counter
from dualtap_testing.differential import PAYEE, PAYER, Different, Step, alike, compare
from dualtap_testing.seeded import SeededScheme


def test_two_of_ours_are_alike_in_every_step() -> None:
    """Also one that carries less, and draws its bytes in another order."""

    def small(scheme: SeededScheme) -> Reference:
        scheme.draw()
        return Reference(scheme, CARD)

    assert compare(small, (*PAYER[:8], *PAYER[-3:], *PAYEE[:8], *PAYEE[-4:])) > 50


class Refuses(Reference):
    """Declines whatever it is asked."""

    def tap(self, order: Order, initiator: bool) -> Driver:
        driver = super().tap(order, initiator)
        if isinstance(order, Pay):
            self.wallet.book.holdings.clear()
        return driver


class SaysNoReceipt(Reference):
    """Collects, and keeps the receipt to itself."""

    def tap(self, order: Order, initiator: bool) -> Driver:
        driver = super().tap(order, initiator)
        receive = driver.receive

        def quiet(frame: bytes) -> list[bytes]:
            frames = receive(frame)
            return [] if self.wallet.book.taken else frames

        driver.receive = quiet  # type: ignore[method-assign]
        return driver


class AsksForMore(Reference):
    """Collects one unit more than it was told to."""

    def tap(self, order: Order, initiator: bool) -> Driver:
        return super().tap(replace(order, amount=order.amount + 1) if isinstance(order, Charge) else order, initiator)


def test_the_first_difference_is_told_in_words() -> None:
    with pytest.raises(Different) as told:
        compare(Refuses, [Step(True, 3)])
    assert str(told.value) == (
        "step 1 (it pays 3, speaking first): frame 3, from the device: yours has Refuse (INSUFFICIENT), ours Transfer"
    )
    with pytest.raises(Different, match="in Request, amount is 4 with yours, 3 with ours"):
        compare(AsksForMore, [Step(False, 3)])
    with pytest.raises(Different, match=r"step 1 .*: only with ours the device goes on, with Receipt"):
        compare(SaysNoReceipt, [Step(False, 3)])


def test_a_promise_that_only_one_breaks_is_a_difference() -> None:
    class Forgets(Reference):
        def tap(self, order: Order, initiator: bool) -> Driver:
            driver = super().tap(order, initiator)
            stop = driver.stop

            def quiet(code: Code) -> None:
                stop(code)
                self.wallet.book.taken.clear()
                self.wallet.book.parts.clear()

            driver.stop = quiet  # type: ignore[method-assign]
            return driver

    with pytest.raises(Different) as told:
        compare(Forgets, [Step(False, 3), Step(False, 3, 1, again=True)])
    assert "step 2 (it collects 3 for the same basket, speaking first): " in str(told.value)


def test_a_device_that_stops_short_or_ends_otherwise_is_told() -> None:
    scheme = SeededScheme(1, "ed25519")
    story = Counter(scheme, Reference(scheme))
    story.fund(5)
    tapped = story.pay(0, scheme.charge(2))
    assert alike(tapped, tapped) == len(tapped.frames) == 4
    with pytest.raises(Different, match="only with ours our side goes on, with Receipt"):
        alike(tapped._replace(frames=tapped.frames[:-1]), tapped)
    with pytest.raises(Different, match="only with yours our side goes on, with Receipt"):
        alike(tapped, tapped._replace(frames=tapped.frames[:-1]))
    with pytest.raises(
        Different, match=r"it ends for our side as not_paid \(TIMEOUT\), 2 with yours, collected, 2 with ours"
    ):
        alike(tapped._replace(report=Report(Result.NOT_PAID, 2, code=Code.TIMEOUT)), tapped)


def test_a_close_that_is_forgotten_in_a_power_cut_is_a_difference_when_the_first_customer_comes_back() -> None:
    class Forgets(Reference):
        def restart(self) -> None:
            super().restart()
            for request, question in self.wallet.book.questions.items():
                if question.outcome is not None and isinstance(question.outcome.body, CloseBody):
                    self.wallet.book.questions[request] = question._replace(outcome=None)

    with pytest.raises(Different, match=r"step 3 .*: frame 5, from the device: "):
        compare(Forgets, PAYEE[-4:], suite="ed25519")


def test_a_device_of_either_suite_is_compared_and_is_closed_whatever_comes_of_it() -> None:
    closed: list[int] = []

    class Port(Reference):
        def close(self) -> None:
            closed.append(len(self.public))

    for suite, size in (("p256", 33), ("ed25519", 32)):
        compare(Port, [Step(True, 3)], suite=suite, carrier="watch")
        assert closed.pop() == size
    with pytest.raises(Different):
        compare(Port, [Step(True, 3)], ours=Refuses)
    assert closed.pop()


def test_what_cannot_be_compared_is_told() -> None:
    with pytest.raises(Unfit, match=r"as in compare\(MyDevice\), and not the device itself"):
        compare(cast("Any", Reference(SeededScheme(1))), PAYER[:1])
    with pytest.raises(Unfit, match="no steps"):
        compare(Reference, [])
