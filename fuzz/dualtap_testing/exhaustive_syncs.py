"""Every single fault of a sync and of a change of key, and every second fault while the device tries again.

A fault is the network's (nothing passes, the upload is late, it comes twice, the reply is lost) or a power cut before
or after any write. Each trial has a world of its own, with its ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from dualtap.issued import Carrier
from dualtap.owning import Bond, Restrain
from dualtap_devices.owning import Session, exchange
from dualtap_testing.devices import Device
from dualtap_testing.ending import heal, settle_all
from dualtap_testing.exhaustive import FIRST, NEXT, Counted
from dualtap_testing.people import PEOPLE
from dualtap_testing.simulate import SIMULATED
from dualtap_testing.taps import LinkFault, TapPlan
from dualtap_testing.tied import TieBroken
from dualtap_testing.world import World

NETWORK = ("unreachable", "reply lost", "twice", "slow")


class Trouble(NamedTuple):
    """What goes wrong in one sync: in the network, or in the device's power."""

    network: str = "none"
    cut: tuple[int, bool] | None = None


def _world(suite: str) -> World:
    """Return a world in which one device has value, an open request, a transfer in doubt, and a token to fetch."""
    people = [one for one in PEOPLE if one[0] in {"anna", "kiosk"}]
    world = World(SIMULATED[suite], "exhaustive syncs", [*people, ("till", Carrier.POS, 50, PEOPLE[0][3])])
    anna, kiosk, till = world.devices
    world.tap(anna, till, 20, TapPlan())
    world.tap(till, kiosk, 5, TapPlan(LinkFault("lose", 2)), basket=FIRST)
    world.tap(anna, till, 7, TapPlan(LinkFault("lose", 2)), basket=NEXT)
    world.issue(till, 30)
    return world


def _sync(world: World, till: Device, trouble: Trouble) -> None:
    world.sync(till, deposit=True, fault=trouble.network, cut=trouble.cut)


def _sync_owned(world: World, till: Device, trouble: Trouble) -> None:
    """The till tells of a wallet that it owns, and of what it ordered."""
    if not till.wallet.book.ties.owned:
        for wish in (Bond(), Restrain(payment=500)):
            ends = [
                Session.of(one.wallet, wished, world.suite.ephemeral(world.draw()), clock=partial(world.now, one))
                for one, wished in ((till, wish), (world.devices[1], None))
            ]
            exchange(ends[0], ends[1])
    _sync(world, till, trouble)


def _rotate(world: World, till: Device, trouble: Trouble) -> None:
    if till.is_moving or len(till.chests) == 1:
        world.rotate(till, trouble.network, trouble.cut)


ACTS: dict[str, Callable[[World, Device, Trouble], None]] = {
    "sync": _sync, "sync what is owned": _sync_owned, "rotate": _rotate,
}  # fmt: skip


def _writes(play: Callable[[Trouble], bool]) -> Iterator[Trouble]:
    """Yield every trouble of a sync; ``play`` tells whether it happened."""
    for network in NETWORK:
        yield Trouble(network)
    for write in range(64):
        for after in (False, True):
            if not play(Trouble(cut=(write, after))):
                return
            yield Trouble(cut=(write, after))


def exhaust_sync(name: str, suite: str = "stub", stride: int = 1, doubles: bool = True) -> Counted:
    """Try every fault of this flow, alone and followed by another; of the second ones every ``stride``-th."""
    counted = Counted(name)
    try:
        _exhaust(name, suite, stride, doubles, counted)
    except Exception as error:
        counted.failures.append(f"{name}: {type(error).__name__} {error}")
    return counted


def _exhaust(name: str, suite: str, stride: int, doubles: bool, counted: Counted) -> None:
    act = ACTS[name]

    def play(*troubles: Trouble) -> World:
        world = _world(suite)
        for number, trouble in enumerate(troubles):
            world.begin(f"sync {number}")
            act(world, world.devices[-1], trouble)
        return world

    def cut(*before: Trouble) -> Callable[[Trouble], bool]:
        return lambda trouble: bool(play(*before, trouble).devices[-1].power.cuts > sum(1 for one in before if one.cut))

    firsts = list(_writes(cut()))
    for first in firsts:
        counted.singles += 1
        _settled(play(first), counted, first)
    counted.states = len(firsts)
    for first in firsts if doubles else ():
        for second in list(_writes(cut(first)))[::stride]:
            counted.played += 1
            counted.pairs += 1
            _settled(play(first, second), counted, first, second)


def _settled(world: World, counted: Counted, *played: Trouble) -> None:
    try:
        world.watch.check()
        world.begin("the end")
        heal(world)
        anna, _, till = world.devices
        world.tap(anna, till, 3, TapPlan())
        settle_all(world)
        _ties_told(world, till)
    except Exception as error:
        counted.failures.append(f"{counted.flow}: {played}: {type(error).__name__} {error}")


def _ties_told(world: World, owner: Device) -> None:
    """What an owner keeps of its wallets is what the ledger knows of them."""
    ties = owner.wallet.book.ties
    told = {row.id for row in world.ledger.store.words_by([owner.key, *ties.owned])}
    if not told >= {word.id for word in ties.words()}:
        raise TieBroken("an owner has synced, and the ledger does not know what it owns")
