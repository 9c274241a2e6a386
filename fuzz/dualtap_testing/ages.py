"""Acts in which the scheme's authorities end and are renewed, and who knows it meets who does not (SPEC §7)."""

from __future__ import annotations

import random

from dualtap.issued import Authority
from dualtap_testing.scenes import CLEAN, Scene, some_honest, torn
from dualtap_testing.world import World


def renew(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """An authority is renewed; some devices sync, and meet others that do not."""
    del faults
    world.reign.renew(world, draw.choice(list(Authority)))
    _meet(world, draw)


def outlive(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody is in doubt; then authorities end, and some devices know it (SPEC §7-17)."""
    pair, starts = some_honest(world, draw, 2), draw.random() < 0.5
    if pair and "loss" in faults:
        world.tap(pair[0], pair[1], draw.randint(1, 5), torn(starts, told=draw.random() < 0.5), payer_starts=starts)
    world.pass_time(max(1, min(9, min(world.reign.ends.values()) + 1 - world.epoch)))
    if pair:
        world.tap(pair[0], pair[1], draw.randint(1, 5), CLEAN, payer_starts=starts)
    _meet(world, draw)


def forget(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Nobody renews the policy key in time; everything but the date goes on (SPEC §7-27)."""
    if "network" not in faults or world.reign.forgets:
        return
    world.reign.forgets = True
    world.pass_time(max(1, min(9, world.reign.ends[Authority.POLICY] + 2 - world.epoch)))
    _meet(world, draw)
    world.reign.forgets = False
    world.reign.pass_to(world, world.epoch)


def _meet(world: World, draw: random.Random) -> None:
    """One device that has synced pays, and is paid by, one that has not."""
    pair = some_honest(world, draw, 2)
    if pair:
        world.sync(pair[0])
        for payer, payee in ((pair[0], pair[1]), (pair[1], pair[0])):
            world.tap(payer, payee, draw.randint(1, 5), CLEAN, payer_starts=draw.random() < 0.5)


AGES: dict[str, tuple[float, str, Scene]] = {
    "renew": (0.5, "", renew),
    "outlive": (0.6, "", outlive),
    "forget": (0.4, "network", forget),
}
"""By name, as the table of acts."""
