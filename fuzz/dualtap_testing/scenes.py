"""Acts of several steps: situations that SPEC speaks of, and that single acts seldom come to one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable

from dualtap.issued import Condition
from dualtap_testing import plots, thieves
from dualtap_testing.devices import Device, taken_of
from dualtap_testing.people import EXPIRES, THIEVES
from dualtap_testing.taps import LinkFault, TapPlan
from dualtap_testing.world import GRACE, LAST, SPEND, World

Scene = Callable[[World, random.Random, frozenset[str]], None]
CLEAN = TapPlan()


def some_honest(world: World, draw: random.Random, count: int) -> list[Device]:
    """Return some honest devices that are not changing their keys."""
    found = [one for one in world.devices if world.honest(one) and not one.is_moving]
    return draw.sample(found, count) if len(found) >= count else []


def ended(world: World, device: Device) -> bool:
    """Whether a device may neither pay nor be paid any more: its certificate has ended."""
    return world.epoch > device.wallet.book.certificate.expires


def thief_of(world: World, draw: random.Random) -> Device:
    """Return one of the thieves."""
    return draw.choice([one for one in world.devices if one.name in THIEVES])


def torn(starts: bool, *, told: bool) -> TapPlan:
    """Return a tap of which the payer does not hear the outcome, or the payee not even the Transfer."""
    return TapPlan(LinkFault("lose", (3 if told else 2) + (not starts)))


def all_of(world: World, device: Device) -> int:
    """Return what a device can pay at most at once."""
    book = device.wallet.book
    tokens = book.graph.tokens
    sound = sum(one.amount for one in book.holdings if tokens[one.token].spend_by >= world.epoch)
    return max(1, min(sound, world.tier.payment))


def split(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """One sale in several parts (SPEC §11.4-8): each is paid once, also where the one before is in doubt."""
    del faults
    pair, basket = some_honest(world, draw, 2), draw.randbytes(16)
    for part in draw.choice([(0, 1), (0, 1, 2, 0), (1, 0, 1)]) if pair else ():
        starts = draw.random() < 0.5
        plan = torn(starts, told=draw.random() < 0.7) if draw.random() < 0.6 else CLEAN
        world.tap(pair[0], pair[1], draw.randint(1, 4), plan, basket=basket, part=part, payer_starts=starts)


def insist(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A till tries one basket again and again, and is no person (SPEC §11.2-2)."""
    found, basket = some_honest(world, draw, 3), draw.randbytes(16)
    for number in range(draw.randint(9, 11)) if found else ():
        till, payer = found[0], draw.choice(found[1:])
        starts = draw.random() < 0.5
        plan = torn(starts, told=False) if draw.random() < 0.8 else TapPlan(declines=True)
        world.tap(payer, till, draw.randint(1, 4), plan, basket=basket, payer_starts=starts, person=False)
        if number > 3 and draw.random() < 0.3:
            till.reopen()
        if number > 3 and draw.random() < 0.2:
            world.sync(till, fault="none" if "network" not in faults else draw.choice(["none", "reply lost"]))


def overspend(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief hands in what it has paid away, and the token is settled (SPEC §16-15)."""
    thief, found = thief_of(world, draw), [one for one in some_honest(world, draw, 2) if one.name not in THIEVES]
    if not found or "hostile" not in faults:
        return
    world.issue(thief, draw.randint(20, 60))
    world.sync(thief)
    for one in found:
        world.tap(thief, one, draw.randint(5, 15), CLEAN)
        world.sync(one, deposit=draw.random() < 0.5)
    for _ in range(draw.randint(1, 4)):
        thieves.lie(world, thief, draw, "fork")
    world.pass_time(SPEND + GRACE + 2)
    world.watch.check_ledger()


def haggle(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A till gives back a part, then as much again as it was paid, then the rest (SPEC §11.3-6)."""
    del faults
    pair = some_honest(world, draw, 2)
    if not pair:
        return
    payer, till = pair
    world.tap(payer, till, draw.randint(6, 12), CLEAN)
    for transfer, key, left in list(taken_of(till)):
        if key == payer.key:
            for amount in (left // 2 + 1, left, left - left // 2):
                world.tap(till, payer, amount, CLEAN, refund_of=transfer)
            return


def move(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Either side of a doubt changes its key; then they tap, or sync (SPEC §20.1, §20-4)."""
    pair = some_honest(world, draw, 2)
    if not pair or "rotate" not in faults:
        return
    payer, payee = pair
    starts = draw.random() < 0.5
    basket, told = draw.randbytes(16), draw.random() < 0.5
    world.tap(payer, payee, draw.randint(1, 9), torn(starts, told=told), basket=basket, payer_starts=starts)
    for device in draw.choice([(payee,), (payer,), (payer, payee), (payee, payee)]):
        if len(device.chests) < 4:
            world.rotate(device)
    if draw.random() < 0.5:
        one, other = pair if draw.random() < 0.5 else pair[::-1]
        world.tap(one, other, 1, CLEAN, payer_starts=draw.random() < 0.5)
        third = [one for one in world.devices if world.honest(one) and one not in pair]
        if told and third:
            world.tap(draw.choice(third), payee, 1, CLEAN, basket=basket)
    else:
        world.sync(payee)
        world.sync(payer)


def grow_old(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody whose value can no longer be spent changes its key: what is not renewed is deposited (SPEC §20-9)."""
    found = some_honest(world, draw, 1)
    if not found or "rotate" not in faults or len(found[0].chests) > 3:
        return
    owner = world.ledger.authority.institution
    for condition in (Condition(7, owner), Condition(5, bytes(4) + LAST.to_bytes(4, "big"))):
        world.issue(found[0], draw.randint(20, 90), (condition,))
    world.sync(found[0])
    if draw.random() < 0.5:
        world.pass_time(SPEND + 1)
    world.rotate(found[0])
    world.sync(found[0])


def stubborn(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """All that somebody has is in doubt and comes back, again and again (SPEC §8.2-2)."""
    pair, basket = some_honest(world, draw, 2), draw.randbytes(16)
    if not pair or "loss" not in faults:
        return
    payer, till = pair
    world.sync(payer)
    for number in range(draw.randint(3, 5)):
        frame = 2 if number == 0 else 4
        plan = TapPlan(LinkFault("lose", frame))
        world.tap(payer, till, all_of(world, payer) if number == 0 else draw.randint(1, 9), plan, basket=basket)
    world.tap(payer, till, draw.randint(1, 9), CLEAN, basket=basket)
    other = [one for one in world.devices if world.honest(one) and one not in pair]
    if other:
        world.tap(payer, draw.choice(other), all_of(world, payer), CLEAN)


def outlast(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Doubts, and sales that were paid, are looked at again only after weeks (SPEC §4.1-9)."""
    del faults
    found = some_honest(world, draw, 3)
    for payer, payee in ((found[0], found[1]), (found[0], found[2]), (found[1], found[2])) if found else ():
        starts = draw.random() < 0.5
        world.tap(payer, payee, draw.randint(1, 9), torn(starts, told=draw.random() < 0.6), payer_starts=starts)
    for device in found[: draw.randint(1, 2)]:
        world.sync(device)
    world.pass_time(draw.randint(1, 10))
    if found:
        world.sync(found[2])
        world.tap(found[0], found[2], 1, CLEAN)


def be_listed(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody is in doubt to a thief, who is then named and on the hotlist (SPEC §7-17)."""
    thief, pair = thief_of(world, draw), some_honest(world, draw, 2)
    pair = [one for one in pair if one.name not in THIEVES]
    if not pair or "hostile" not in faults or thief.wallet.quarantined:
        return
    payer, starts = pair[0], draw.random() < 0.5
    for one in (payer, thief):
        world.issue(one, 20)
        world.sync(one)
    other = pair[-1]
    world.tap(thief, other, 6, CLEAN)
    if other is not payer:
        world.tap(other, payer, 2, CLEAN)
    thieves.lie(world, thief, draw, draw.choice(["fork", "two outcomes", "tape fork"]))
    world.tap(payer, thief, draw.randint(1, 5), torn(starts, told=True), payer_starts=starts)
    world.sync(payer)
    world.tap(payer, thief, 1, CLEAN)
    if other is not payer:
        world.tap(other, payer, all_of(world, other), CLEAN)  # what a listed hand gave is refused second-hand too


def twice_to_one(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief and its copy pay the same units, or at the same places, to the same payee (SPEC §8.3-1, §8.3-3)."""
    payee = [one for one in some_honest(world, draw, 2) if one.name not in THIEVES]
    thief = thief_of(world, draw)
    if not payee or "clone" not in faults or len(world.devices) > 9:
        return
    world.issue(thief, draw.randint(20, 60))
    world.sync(thief)
    twin, little = thieves.clone(world, thief), draw.random() < 0.4
    for one in (thief, twin):
        world.tap(one, payee[0], 3 if little else all_of(world, one), CLEAN)
    if draw.random() < 0.5:
        payee[0].tidy()
    world.sync(payee[0])


def pretend(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief pays twice, and shows the Receipt of one as what killed the other (SPEC §8.2-4)."""
    found = [one for one in some_honest(world, draw, 3) if one.name not in THIEVES]
    thief = thief_of(world, draw)
    if len(found) < 2 or "hostile" not in faults:
        return
    world.issue(thief, draw.randint(20, 60))
    world.sync(thief)
    for amount in (draw.randint(2, 9), 1):
        world.tap(thief, found[0], amount, CLEAN)
    plots.pretend(world, thief, found[0], found[1], draw.choice(["another's", "none", "told"]))


def take_back(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """What a thief's false Receipt gives back is paid on, all of it (SPEC §4.1-12, §8.2-4)."""
    found = [one for one in some_honest(world, draw, 3) if one.name not in THIEVES]
    thief = thief_of(world, draw)
    if len(found) < 2 or "hostile" not in faults:
        return
    payer, payee = found[:2]
    world.sync(payer)
    if thieves.misname(world, thief, draw, payer, all_of(world, payer)):
        world.tap(payer, payee, all_of(world, payer), CLEAN)
        if draw.random() < 0.5:
            thieves.lie(world, thief, draw, "dead spent")


def misdate(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief shows an older date than its payee has, or hides that it signs with a later one (SPEC §7-11, §8.1-6)."""
    thief, payee = thief_of(world, draw), [one for one in some_honest(world, draw, 2) if one.name != EXPIRES]
    if not payee or "hostile" not in faults or payee[0].key == thief.key:
        return
    world.issue(thief, 20)
    world.sync(thief)
    world.sync(payee[0])
    world.pass_time(draw.randint(1, 3))
    later = draw.choice([thief, payee[0]])
    world.sync(later)
    world.fall(thief)
    date = 0 if later is not thief else LAST
    world.tap(thief, payee[0], draw.randint(1, 5), CLEAN, cheat=lambda context: setattr(context, "peer_epoch", date))


def two_heirs(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief names two successors (SPEC §20-6)."""
    if "hostile" in faults:
        plots.two_heirs(world, thief_of(world, draw), draw)


def years(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """More than a year passes without a sync; then one device knows the date, and another does not (SPEC §7-10)."""
    del faults
    pair = some_honest(world, draw, 2)
    if not pair or world.epoch + 500 > LAST:
        return
    world.pass_time(draw.randint(450, 480))
    world.issue(pair[0], 50)
    world.sync(pair[0])
    world.tap(pair[0], pair[1], 5, CLEAN)


SCENES: dict[str, tuple[float, str, Scene]] = {
    "split": (1.5, "", split),
    "insist": (0.5, "", insist),
    "overspend": (0.4, "hostile", overspend),
    "haggle": (0.8, "", haggle),
    "move": (1.0, "rotate", move),
    "grow old": (0.6, "rotate", grow_old),
    "stubborn": (0.8, "loss", stubborn),
    "outlast": (0.8, "", outlast),
    "be listed": (0.8, "hostile", be_listed),
    "twice to one": (0.6, "clone", twice_to_one),
    "pretend": (0.7, "hostile", pretend),
    "take back": (0.5, "hostile", take_back),
    "misdate": (0.8, "hostile", misdate),
    "two heirs": (0.4, "hostile", two_heirs),
    "years": (0.2, "", years),
}
"""By name, as the table of acts."""
