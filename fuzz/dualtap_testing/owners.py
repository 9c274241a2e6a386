"""Acts of an owner and of an issuer (SPEC §23): they limit or freeze a wallet, which pays around that; they free it."""

from __future__ import annotations

import random
from functools import partial

from dualtap.limits import AMOUNT
from dualtap.owning import Bond, Release, Restrain, Wish
from dualtap.statements import Errand
from dualtap.ties import FREE, Restraint
from dualtap_devices.owning import Session, exchange
from dualtap_issuer.ordering import give
from dualtap_testing.devices import Device
from dualtap_testing.scenes import CLEAN, Scene, ended, some_honest, torn
from dualtap_testing.world import World

FUNDS = 40
"""Minor units with which a wallet that is to be limited can pay for a while."""


def session(world: World, owner: Device, wallet: Device, wish: Wish) -> bool:
    """Have an owner's session in which nothing fails; return whether it came through."""
    if owner.wallet.quarantined or wallet.wallet.quarantined:
        return False
    ends = [
        Session.of(one.wallet, wished, world.suite.ephemeral(world.draw()), clock=partial(world.now, one))
        for one, wished in ((owner, wish), (wallet, None))
    ]
    exchange(ends[0], ends[1])
    owner.touched = wallet.touched = True
    world.watch.read()
    return ends[0].told is not None and ends[0].told.code is None


def own(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody binds another's wallet, limits it, turns it off and on, and gives it up."""
    del faults
    found = [one for one in some_honest(world, draw, 4) if not ended(world, one)]
    if len(found) < 3:
        return
    wallet, owner, payee = found[:3]
    if not session(world, owner, wallet, Bond()):
        return
    _fill(world, wallet)
    payment, day = draw.randint(3, 8), draw.randint(8, 14)
    if draw.random() < 0.7:
        session(world, owner, wallet, Restrain(payment=payment, day=day))
        _pay_around(world, draw, wallet, payee, payment, day)
    if draw.random() < 0.6:
        _freeze(world, draw, owner, wallet, payee)
    if draw.random() < 0.4:
        _by_issuer(world, draw, wallet, payee)
    if session(world, owner, wallet, Release()):
        world.tap(wallet, payee, payment + 1, CLEAN)
    world.sync(owner)


def _pay_around(world: World, draw: random.Random, wallet: Device, payee: Device, payment: int, day: int) -> None:
    """Pay up to each limit, and beyond; a payment that comes back counts no more, and nothing forgets what was paid."""
    world.tap(wallet, payee, payment + 1, CLEAN)
    basket, starts = draw.randbytes(16), draw.random() < 0.5
    if draw.random() < 0.5:
        world.tap(wallet, payee, payment, torn(starts, told=False), basket=basket, payer_starts=starts)
    for _ in range(draw.randint(2, 3)):
        world.tap(wallet, payee, draw.choice([payment, payment, 1]), CLEAN, basket=basket)
        basket = draw.randbytes(16)
    between = draw.choice(["", "", "off", "tidy", "sync", "day"])
    if between == "off":
        wallet.reopen()
    elif between == "tidy":
        wallet.tidy()
    elif between == "sync":
        world.sync(wallet)
    elif between == "day":
        world.pass_time(1)
    world.tap(wallet, payee, min(payment, day), CLEAN)


def _freeze(world: World, draw: random.Random, owner: Device, wallet: Device, payee: Device) -> None:
    """Turn it off, perhaps while its person thinks; it heals all the same."""
    if draw.random() < 0.5:
        starts = draw.random() < 0.5
        world.tap(wallet, payee, 2, torn(starts, told=draw.random() < 0.5), payer_starts=starts)
    freeze = partial(session, world, owner, wallet, Restrain(frozen=True))
    if draw.random() < 0.4:
        world.tap(wallet, payee, 2, CLEAN, meanwhile=freeze)
    else:
        freeze()
    if draw.random() < 0.3:
        wallet.tidy()
    world.tap(wallet, payee, 1, CLEAN)
    world.tap(payee, wallet, 1, CLEAN)
    session(world, owner, wallet, Restrain(frozen=False))


def order(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """An institution limits somebody's wallet, and takes it back later."""
    del faults
    found = [one for one in some_honest(world, draw, 4) if not ended(world, one)]
    if len(found) > 1:
        world.issue(found[0], FUNDS)
        _by_issuer(world, draw, *found[:2])
    if len(found) > 2 and world.tier.balance < AMOUNT:
        payee = min(found, key=lambda one: one.wallet.book.held())
        payer, other = [one for one in found if one is not payee][:2]
        _brim(world, draw, payer, payee, other)


def _fill(world: World, wallet: Device) -> None:
    """Give a wallet something to pay with, if it has little."""
    if wallet.wallet.book.available(world.epoch) < FUNDS:
        world.issue(wallet, FUNDS)
        world.sync(wallet)


def _by_issuer(world: World, draw: random.Random, wallet: Device, payee: Device) -> None:
    key, ledger = wallet.key, world.ledger
    payment, day = draw.randint(3, 8), draw.randint(6, 12)
    give(ledger, key, Errand.RESTRAIN, world.epoch, Restraint(draw.random() < 0.15, payment, day))
    world.sync(wallet)
    _pay_around(world, draw, wallet, payee, payment, day)
    give(ledger, key, Errand.RESTRAIN, world.epoch, FREE)
    world.sync(wallet)


def _brim(world: World, draw: random.Random, payer: Device, payee: Device, other: Device) -> None:
    """Pay somebody as much as it may hold, and more, while a part of that is in doubt (SPEC §22-7)."""
    most = world.tier.balance
    world.tap(payer, payee, 9, CLEAN)
    world.tap(payee, other, draw.randint(5, 9), torn(starts=True, told=False))
    world.issue(payer, most)
    world.sync(payer)
    for more in (1, 0, 1):
        world.tap(payer, payee, max(1, most - payee.wallet.book.held() + more), CLEAN)


OWNERS: dict[str, tuple[float, str, Scene]] = {
    "own": (0.4, "", own),
    "order": (0.2, "", order),
}
"""By name, as the table of acts."""
