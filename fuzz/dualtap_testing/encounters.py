"""More acts of several steps: forgers at work, two taps of one device at once, and refunds that are torn."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from dualtap_testing import forgers
from dualtap_testing.devices import Device, taken_of
from dualtap_testing.scenes import CLEAN, Scene, all_of, some_honest, thief_of, torn
from dualtap_testing.thieves import clone
from dualtap_testing.world import GRACE, SPEND, World

FEW = 4
"""Payments that are left of a limit, at most, where all but one of them are made in one act."""


def forge(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief pays with what nobody signed, or asks in another's name (SPEC §6-11, §8.1-2)."""
    found, thief = some_honest(world, draw, 2), thief_of(world, draw)
    if not found or "hostile" not in faults or thief in found:
        return
    victim, other = found
    if draw.random() < 0.3:
        forgers.pose(world, victim, other)
    elif "clone" in faults and len(world.devices) < 10:
        forgers.counterfeit(world, thief, victim, other, draw)


def two_at_once(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """While one tap waits, another of the same device goes on (SPEC §11.3-8, §11.3-13, §12-3)."""
    del faults
    found = some_honest(world, draw, 3)
    if not found:
        return
    payer, payee, other = found
    draw.choice([_spend, _reach_a_limit, _sell, _give_back, _heal])(world, draw, payer, payee, other)


def _spend(world: World, draw: random.Random, payer: Device, payee: Device, other: Device) -> None:
    """The same units are paid to somebody else."""
    amount = all_of(world, payer)
    pay = partial(world.tap, payer, other, max(1, amount - draw.randint(0, 2)), CLEAN)
    world.tap(payer, payee, amount, CLEAN, meanwhile=pay)


def _reach_a_limit(world: World, draw: random.Random, payer: Device, payee: Device, other: Device) -> None:
    """The last payments before a sync are made, by whoever has fewest left."""

    def left(device: Device) -> int:
        return world.tier.payments - device.wallet.book.since.payments or FEW + 1

    first = min([one for one in world.devices if world.honest(one) and not one.is_moving], key=left)
    second, third = [one for one in (payer, payee, other) if one is not first][:2]
    count = left(first)

    def pay() -> None:
        for _ in range(count):
            world.tap(first, draw.choice([second, third]), 1, CLEAN)

    if count <= FEW:
        world.tap(first, second, 1, CLEAN, meanwhile=pay)


def _sell(world: World, draw: random.Random, payer: Device, payee: Device, other: Device) -> None:
    """The same sale is started again, with another's card, or is given up, or its till syncs."""
    basket = draw.randbytes(16)
    acts: list[Callable[[], object]] = [
        partial(world.tap, other, payee, 2, CLEAN, basket=basket),
        partial(world.close_open, payee),
        partial(world.sync, payee),
    ]
    world.tap(payer, payee, 2, CLEAN, basket=basket, meanwhile=draw.choice(acts))


def _give_back(world: World, draw: random.Random, payer: Device, payee: Device, other: Device) -> None:
    """The same refund is made."""
    del draw, other
    for _ in range(2):
        world.tap(payer, payee, 3, CLEAN)
    for transfer, key, left in list(taken_of(payee)):
        if key == payer.key:
            again = partial(world.tap, payee, payer, left, CLEAN, refund_of=transfer)
            world.tap(payee, payer, left, CLEAN, refund_of=transfer, meanwhile=again)
            return


def _heal(world: World, draw: random.Random, payer: Device, payee: Device, other: Device) -> None:
    """The same doubt is healed."""
    del other
    starts = draw.random() < 0.5
    world.tap(payer, payee, 2, torn(starts, told=draw.random() < 0.5), payer_starts=starts)
    again = partial(world.tap, payer, payee, 1, CLEAN)
    world.tap(payer, payee, 1, CLEAN, payer_starts=starts, meanwhile=again, pause=3 + (not starts))


def tear_a_refund(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A refund does not arrive, and comes back; then it is made again (SPEC §11.3-6)."""
    pair = some_honest(world, draw, 2)
    if not pair or "loss" not in faults:
        return
    payer, till = pair
    world.tap(payer, till, draw.randint(4, 9), CLEAN)
    for transfer, key, left in list(taken_of(till)):
        if key == payer.key and left > 1:
            world.tap(till, payer, left // 2, CLEAN, refund_of=transfer)
            starts = draw.random() < 0.5
            rest = left - left // 2
            world.tap(till, payer, rest, torn(starts, told=False), refund_of=transfer, payer_starts=starts)
            world.tap(till, payer, rest, CLEAN, refund_of=transfer)
            return


def two_dates(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A doubt of two tokens outlasts the first (SPEC §14-11): who was paid is a copy, which nobody sees again."""
    found, thief = some_honest(world, draw, 1), thief_of(world, draw)
    if not found or "hostile" not in faults or thief in found:
        return
    payer, basket = found[0], draw.randbytes(16)
    for days in (2, 0):
        world.issue(payer, 20)
        world.sync(payer)
        world.pass_time(days)
    twin = clone(world, thief)
    world.tap(payer, twin, all_of(world, payer), torn(starts=True, told=False), basket=basket)
    world.devices.remove(twin)
    world.pass_time(SPEND + GRACE)
    world.sync(payer)


ENCOUNTERS: dict[str, tuple[float, str, Scene]] = {
    "forge": (0.8, "hostile", forge),
    "two at once": (1.0, "", two_at_once),
    "two dates": (0.15, "clone", two_dates),
    "tear a refund": (0.4, "loss", tear_a_refund),
}
"""By name, as the table of acts."""
