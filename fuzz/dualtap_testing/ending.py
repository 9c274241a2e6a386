"""How a simulated life ends: time passes, everything heals, everybody hands in what they hold, and nothing is left."""

from __future__ import annotations

from dualtap_testing.arrivals import delivered
from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.devices import Device
from dualtap_testing.people import EXPIRED, EXPIRES, INFORMED
from dualtap_testing.taps import LinkFault, TapPlan
from dualtap_testing.world import GRACE, SPEND, World


def wait(world: World) -> None:
    """In one life of three nobody heals until every token is past its last day."""
    if world.random.random() < 1 / 3:
        for device in world.devices:
            device.power.plan(None)
        world.pass_time(SPEND + GRACE + 2)


def heal(world: World) -> None:
    """Nothing fails any more: honest devices tap whom they are in doubt to, and everybody syncs."""
    honest = [device for device in world.devices if world.honest(device)]
    for device in world.devices:
        device.power.plan(None)
        device.ahead = 0.0
    _tear_before_it_ends(world)
    world.pass_time(EXPIRED)
    for device in honest:
        if device.name in INFORMED:
            world.sync(device)  # they know the date, and whose certificate has ended
    for device in honest:
        if device.is_moving and device.wallet.book.successor is not None:
            world.rotate(device)
            if device.is_moving:
                raise PromiseBroken(4, "a rotation that was torn cannot be finished")
    for payer in honest:
        for payee in honest:
            doubts = [sent.payee for chest in payer.chests for sent in chest.shelf.pending.values()]
            if payer is not payee and any(key in doubts for key in payee.keys):
                world.tap(payer, payee, 1, TapPlan())
        for cheat in [one for one in world.devices if not world.honest(one)]:
            if any(sent.payee == cheat.key for chest in payer.chests for sent in chest.shelf.pending.values()):
                world.tap(payer, cheat, 1, TapPlan())
    world.watch.check()


def _tear_before_it_ends(world: World) -> None:
    """Whose certificate ends soon is in doubt, and others are in doubt to it: that must heal afterwards."""
    by_name = {device.name: device for device in world.devices}
    if EXPIRES in by_name:
        card, others = by_name[EXPIRES], [one for one in world.devices if one.name in {*INFORMED, "ben"}]
        world.tap(card, others[0], 1, TapPlan(LinkFault("lose", world.random.randint(2, 5))))
        for other in others:
            world.tap(other, card, 1, TapPlan(LinkFault("lose", world.random.randint(2, 5))))


def settle_all(world: World) -> None:
    """Everybody syncs, cheats first; then the honest hand in what they hold, until nothing of it is left."""
    for device in sorted(world.devices, key=world.honest):
        world.sync(device)
    honest = [device for device in world.devices if world.honest(device)]
    for _ in range(4):
        for device in honest:
            world.sync(device, deposit=True)
        honest = [device for device in honest if _has_more(device)]
    world.watch.check()
    world.watch.check_ledger()
    world.rules.stamps(world.ledger.store.stamps(world.rules.seen()))
    delivered(world.checkers)
    for device in world.devices:
        if world.honest(device):
            _at_peace(world, device)


def _has_more(device: Device) -> bool:
    return any(chest.shelf.pending or any(chest.shelf.held.values()) for chest in device.chests)


def _at_peace(world: World, device: Device) -> None:
    """Liveness: nothing of an honest device is in doubt but with a cheat, and nothing is left to hand in."""
    for chest in device.chests:
        doubts = [sent for sent in chest.shelf.pending.values() if sent.payee not in world.checkers.bad]
        alive = [sent for sent in doubts if not world.checkers.is_settled(sent)]
        if alive:
            world.checkers.tally.unhealed += len(alive)
            raise PromiseBroken(4, f"{len(alive)} transfers stay in doubt, or deposits uncredited")
        held = [parent for parent, parts in chest.shelf.held.items() if parts]
        if held:
            raise PromiseBroken(2, "what an honest device holds cannot be handed in")
