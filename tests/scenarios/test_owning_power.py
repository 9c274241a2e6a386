"""The power goes at every operation of the store while a wallet is bound, or obeys: whole, or not at all."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from dualtap.errors import Code
from dualtap.owning import Bond, Release, Restrain, Wish
from dualtap.statements import Scheme
from dualtap.suite import Drbg
from dualtap.ties import Restraint
from dualtap_devices.flash import Faults, PowerCut
from dualtap_devices.owning import Session, exchange
from dualtap_devices.wallet import Wallet
from tests.support.devices import NOW, Bench, Device, Images, Pair, coarse, faults_of

LIMIT = Restraint(False, 50)


class Tie(NamedTuple):
    """What one side remembers: whether it is bound, in which binding, and what the wallet obeys."""

    bound: bool
    number: int
    restraint: Restraint


def meet(pair: Pair, wish: Wish) -> Code | int | None:
    """Let the payer, as owner, carry out a wish at the payee; return how it ended for the owner."""
    phone, card = pair
    random = Drbg(bytes(32))

    def fresh(scheme: Scheme) -> bytes:
        return random.take(len(scheme.id))

    def session(wallet: Wallet, wished: Wish | None) -> Session:
        ephemeral = wallet.book.scheme.suite.ephemeral(fresh(wallet.book.scheme))
        return Session.of(wallet, wished, ephemeral, clock=lambda: NOW)

    owner = session(phone.wallet, wish)
    exchange(owner, session(card.wallet, None))
    assert owner.told is not None
    return owner.told.code


def wallets_tie(card: Device) -> Tie:
    ties = card.wallet.book.ties
    return Tie(bool(ties.owner), ties.number, ties.restraint())


def owners_tie(phone: Device, card: bytes) -> Tie:
    ties = phone.wallet.book.ties
    tied = ties.owned.get(card)
    return Tie(tied is not None, tied.number if tied else 0, ties.given_to(card))


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def bound(bench: Bench) -> tuple[Images, Images]:
    pair = bench.pair()
    assert meet(pair, Bond()) is None
    return pair.payer.images, pair.payee.images


BEFORE, BOUND = Tie(False, 0, Restraint()), Tie(True, 1, Restraint())
STORIES: dict[str, tuple[Wish, Tie, Tie, Tie, Tie]] = {
    "bind": (Bond(), BEFORE, BOUND, BEFORE, BOUND),
    "limit": (Restrain(payment=50), BOUND, Tie(True, 1, LIMIT), BOUND, Tie(True, 1, LIMIT)),
    "unbind": (Release(), BOUND, Tie(False, 1, Restraint()), BOUND, BEFORE),
}
"""What is wished, and how each end stands before and after: the wallet's, then the owner's."""


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("subject", [0, 1], ids=["phone", "card"])
def test_a_tie_is_made_whole_or_not_at_all(
    bench: Bench, bound: tuple[Images, Images], story: str, subject: int
) -> None:
    """§23-6, §23-7, §23-12 and §12-4: what was durable stays, and the next session brings the rest about."""
    wish, *ends = STORIES[story]
    images = bench.blank if story == "bind" else bound
    card = bench.pair(images).payee.wallet.book.key
    operation, seen = 0, set[Tie]()
    while True:
        pair = bench.pair(images)
        device = pair[subject]
        faults_of("store", Faults(operation), device)
        try:
            assert meet(pair, wish) is None
        except PowerCut:
            pass
        else:
            break
        for number, keep in enumerate(coarse(device.store)):
            again = bench.pair(images)
            crashed = again[subject]
            faults_of("store", Faults(operation), crashed)
            with pytest.raises(PowerCut):
                meet(again, wish)
            again[1 - subject].crash()
            crashed.crash(keep)
            assert not crashed.wallet.quarantined
            seen.add(wallets_tie(crashed) if subject else owners_tie(crashed, card))
            if number < 2:
                meet(again, wish)
                for one in again:
                    one.crash()
                assert (wallets_tie(again.payee), owners_tie(again.payer, card)) == (ends[1], ends[3])
        operation += 1
    assert operation > 0
    assert seen <= ({ends[0], ends[1]} if subject else {ends[2], ends[3]})
    assert len(seen) == 2
