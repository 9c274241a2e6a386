"""What happens in a simulated world. An act is a number; what it does follows from its own sub-seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from dualtap_testing import thieves
from dualtap_testing.ages import AGES
from dualtap_testing.devices import Device, taken_of
from dualtap_testing.encounters import ENCOUNTERS
from dualtap_testing.owners import OWNERS
from dualtap_testing.people import THIEVES
from dualtap_testing.purposes import PURPOSES
from dualtap_testing.scenes import SCENES
from dualtap_testing.taps import LinkFault, TapPlan
from dualtap_testing.world import World

FAULTS = (
    "loss", "twice", "stale", "tear", "bend", "late", "power", "declines", "network", "skew", "backup", "rotate",
    "clone", "hostile",
)  # fmt: skip
"""What can be left out of a simulation, by name."""
_LINK = {"loss": "lose", "twice": "twice", "stale": "stale", "tear": "tear", "bend": "bend", "late": "late"}
_BASKETS = 12

Act = Callable[[World, random.Random, frozenset[str]], None]


def happen(world: World, number: int, faults: frozenset[str]) -> str:
    """Let act ``number`` happen; return its name."""
    draw = world.begin(f"act {number}")
    weights = [weight * world.temper.weight(named) for named, (weight, _, _) in ACTS.items()]
    name = draw.choices(list(ACTS), weights)[0]
    _, needs, act = ACTS[name]
    if needs and needs not in faults:
        name, act = "pay", pay
    act(world, draw, faults)
    return name


def plan_of(draw: random.Random, faults: frozenset[str], odds: float = 0.4) -> TapPlan:
    """Draw what goes wrong in a tap."""
    roll = draw.random()
    kinds = [kind for kind in (*_LINK, "power", "declines") if kind in faults]
    if roll > odds or not kinds:
        return TapPlan()
    kind = draw.choices(kinds, [6 if kind in {"loss", "power", "tear"} else 2 for kind in kinds])[0]
    if kind == "declines":
        return TapPlan(declines=True)
    if kind != "power":
        return TapPlan(LinkFault(_LINK[kind], draw.randrange(7), draw.randrange(1 << 12)))
    cut = (draw.randrange(6), draw.random() < 0.5)
    cuts: tuple[tuple[int, bool] | None, tuple[int, bool] | None] = (cut, None) if draw.random() < 0.5 else (None, cut)
    if draw.random() < 0.1:
        cuts = (cut, (draw.randrange(6), draw.random() < 0.5))
    link = LinkFault("lose", draw.randrange(7)) if draw.random() < 0.1 else None
    return TapPlan(link, cuts, skip=draw.randint(1, 4) if draw.random() < 0.3 else 0)


def _cut_of(draw: random.Random, faults: frozenset[str]) -> tuple[int, bool] | None:
    return (draw.randrange(8), draw.random() < 0.5) if "power" in faults and draw.random() < 0.25 else None


def _fault_of(draw: random.Random, faults: frozenset[str]) -> str:
    kinds = ("none", "none", "none", "unreachable", "reply lost", "twice", "slow", "meanwhile")
    return draw.choice(kinds) if "network" in faults else "none"


def _two(world: World, draw: random.Random) -> tuple[Device, Device] | None:
    one, other = draw.sample(range(len(world.devices)), 2)
    first, second = world.devices[one], world.devices[other]
    return None if set(first.keys) & set(second.keys) else (first, second)


def pay(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody pays somebody."""
    pair = _two(world, draw)
    plan, amount, starts, basket = plan_of(draw, faults), draw.randint(1, 12), draw.random() < 0.5, draw.randbytes(16)
    if draw.random() < 0.1:
        amount *= 15
    if pair is None:
        return
    world.baskets = [*world.baskets, (pair[1], basket, amount)][-_BASKETS:]
    world.tap(*pair, amount, plan, basket=basket, payer_starts=starts)


def again(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A sale is started again, perhaps with another's card."""
    if not world.baskets:
        return
    torn = [one for one in world.baskets if any(asked.basket == one[1] for asked in one[0].wallet.book.open.values())]
    till, basket, amount = draw.choice(torn if torn and draw.random() < 0.7 else world.baskets)
    payer, plan, starts = draw.choice(world.devices), plan_of(draw, faults), draw.random() < 0.5
    part = draw.choice([0, 0, 0, 1, 2])
    if till in world.devices and not set(payer.keys) & set(till.keys):
        world.tap(payer, till, amount, plan, basket=basket, part=part, payer_starts=starts)


def heal(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody who is in doubt taps that device again, in either part, and nothing fails."""
    del faults
    starts, back = draw.random() < 0.5, draw.random() < 0.5
    for payer in draw.sample(world.devices, len(world.devices)):
        for payee in world.devices:
            doubts = {sent.payee for chest in payer.chests for sent in chest.shelf.pending.values()}
            if payer is not payee and doubts & set(payee.keys) and not set(payer.keys) & set(payee.keys):
                one, other = (payee, payer) if back else (payer, payee)
                world.tap(one, other, draw.randint(1, 5), TapPlan(), payer_starts=starts)
                return


def refund(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A till gives money back."""
    for till in draw.sample(world.devices, len(world.devices)):
        for transfer, payer, left in taken_of(till):
            customer = next((one for one in world.devices if payer in one.keys), None)
            if customer is not None and customer.key != till.key:
                plan = plan_of(draw, faults)
                amount = draw.choice([max(1, left // 2), left, left + 1, till.wallet.book.taken[transfer].amount])
                world.tap(till, customer, amount, plan, refund_of=transfer)
                return


def sync(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody syncs, perhaps badly."""
    device, fault, cut = draw.choice(world.devices), _fault_of(draw, faults), _cut_of(draw, faults)
    world.sync(device, deposit=draw.random() < 0.3, fault=fault, cut=cut)
    if draw.random() < 0.3:
        world.watch.check_ledger()


def late(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Uploads that were on their way arrive, some for the second time."""
    del draw, faults
    world.network.late()


def rotate(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody takes a fresh key."""
    doubts = {sent.payee for one in world.devices for chest in one.chests for sent in chest.shelf.pending.values()}
    asked = [one for one in world.devices if one.key in doubts]
    device = draw.choice(asked if asked and draw.random() < 0.5 else world.devices)
    fault, cut = _fault_of(draw, faults), _cut_of(draw, faults)
    if device.name not in THIEVES and world.honest(device) and len(device.chests) < 4:
        world.rotate(device, fault, cut)


def cancel(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody gives up every sale that is open."""
    del faults
    world.close_open(draw.choice(world.devices))


def issue(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody is given money, to be fetched."""
    del faults
    world.issue(draw.choice(world.devices), draw.randint(20, 200))


def days(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Days pass."""
    del faults
    world.pass_time(draw.randint(1, 5) if draw.random() < 0.8 else draw.randint(8, 25))


def power(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A device is switched off and on, and may compact its log; its chip's counter may have skipped meanwhile."""
    del faults
    device = draw.choice(world.devices)
    head = device.chests[-1].keystore.head
    if draw.random() < 0.3:
        device.chests[-1].keystore.head = head._replace(ctr=head.ctr + draw.randint(1, 5))
    device.reopen()
    if draw.random() < 0.2:
        device.tidy()
    world.watch.read()


def skew(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody's clock is set wrong, or stops."""
    del faults
    device = draw.choice(world.devices)
    device.ahead = draw.choice([None, 0.0, -5e6, 3600.0, 86_400.0 * draw.randint(1, 30)])


def backup(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """An honest device is put back to an old copy of its store: it may sync and no more, and frames nobody."""
    del faults
    device = draw.choice(world.devices)
    thieves.restore_backup(world, device, draw.random())
    thieves.confuse(world, device, draw)


def clone(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief copies a device, chip and all."""
    del faults
    if len(world.devices) < 10:
        thieves.clone(world, draw.choice([one for one in world.devices if one.name in THIEVES]))


def rewind(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A broken chip forgets what it signed, and its store with it."""
    del faults
    thieves.rewind(world, draw.choice([one for one in world.devices if one.name in THIEVES]), draw.random())


def lie(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief signs what no wallet signs, and tells the ledger."""
    del faults
    thief = draw.choice([one for one in world.devices if one.name in THIEVES])
    thieves.lie(world, thief, draw)


def swell(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief's wallet says that it holds what it does not own, and pays with it when it can."""
    del faults
    thieves.swell(world, draw.choice([one for one in world.devices if one.name in THIEVES]), draw)


def scrawl(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief answers a payment by an outcome that it did not sign."""
    del faults
    thieves.scrawl(world, draw.choice([one for one in world.devices if one.name in THIEVES]), draw)


def misname(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief's Receipt of a request is for a transfer that nobody made."""
    del faults
    thieves.misname(world, draw.choice([one for one in world.devices if one.name in THIEVES]), draw)


def collude(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """One thief closes, for another, the request whose transfer it accepted: both have the money."""
    del faults
    thieves.collude(world, draw)


ACTS: dict[str, tuple[float, str, Act]] = {
    "pay": (52, "", pay),
    "again": (6, "", again),
    "heal": (10, "", heal),
    "refund": (5, "", refund),
    "sync": (8, "", sync),
    "late": (1, "network", late),
    "rotate": (1.5, "rotate", rotate),
    "cancel": (1.5, "", cancel),
    "issue": (2, "", issue),
    "days": (2, "", days),
    "power": (3, "power", power),
    "skew": (2, "skew", skew),
    "backup": (1, "backup", backup),
    "clone": (0.7, "clone", clone),
    "rewind": (0.7, "hostile", rewind),
    "lie": (1, "hostile", lie),
    "swell": (1, "hostile", swell),
    "scrawl": (0.7, "hostile", scrawl),
    "misname": (0.7, "hostile", misname),
    "collude": (0.7, "hostile", collude),
    **SCENES,
    **ENCOUNTERS,
    **AGES,
    **PURPOSES,
    **OWNERS,
}
"""By name: how often, the fault that it is part of, and what happens."""
