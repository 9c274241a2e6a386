"""A payer asks itself whether the payee can take its message, also where the payment is the simplest (SPEC §8.4-3)."""

from __future__ import annotations

import pytest

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Result
from dualtap.limits import Profile
from dualtap.suite import SUITES
from dualtap_conform.setup import set_up
from dualtap_conform.stage import Stage
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.wallet import Wallet


def wallets(suite: str, size: int) -> tuple[Wallet, Wallet]:
    """A payer, and a payee that takes frames of this size and lacks the authorities' certificates."""
    stage = Stage(SUITES[suite])
    profile = Profile(size, limits.HOPS, limits.SPANS, limits.FULL.log)
    till = set_up(stage, "till", profile=profile, authorities=stage.authorities[:1])
    return set_up(stage, "payer", tokens=(stage.token("payer"),)).wallet(), till.wallet()


def drivers(payer: Wallet, till: Wallet, tap: str = "") -> tuple[Driver, Driver]:
    """One tap of theirs, not begun."""
    stage = Stage(payer.book.scheme.suite)
    payee = Charge(100, "CNY", stage.draw(tap, 16))
    return (
        Driver(payer, Pay(), True, stage.ephemeral(f"payer{tap}"), stage.draw("payer"), clock=lambda: 0.0),
        Driver(till, payee, False, stage.ephemeral(f"till{tap}"), stage.draw("till"), clock=lambda: 0.0),
    )


@pytest.mark.parametrize("suite", list(SUITES))
def test_a_payee_that_takes_too_little_is_refused_before_anything_is_signed(suite: str) -> None:
    """§8.4-3."""
    payer, till = drivers(*wallets(suite, 400))
    exchange(payer, till)
    assert (payer.result.result, payer.result.code) == (Result.NOT_PAID, Code.TOO_LARGE)
    assert not payer.wallet.book.pending
    assert payer.wallet.book.counter == 0


@pytest.mark.parametrize("suite", list(SUITES))
def test_a_card_takes_the_simplest_payment_also_when_it_is_shown_again(suite: str) -> None:
    """§10.1-1."""
    pair = wallets(suite, limits.CARD_MESSAGE)
    payer, till = drivers(*pair)
    (hello,) = payer.begin() + till.begin()
    (welcome,) = till.receive(hello)
    (transfer,) = payer.receive(welcome)
    payer.stop(Code.LINK_LOST)
    till.stop(Code.LINK_LOST)
    exchange(*drivers(*pair, "again"))
    assert not pair[0].book.pending
    assert len(transfer) < limits.CARD_MESSAGE
