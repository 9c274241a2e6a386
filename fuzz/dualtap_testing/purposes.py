"""Acts with value that is bound to a purpose (SPEC §5.6): paid where it may be and tried where it may not, torn and
healed, restored, passed on, refunded, handed in, and left until it can be spent no more.
"""

from __future__ import annotations

import hashlib
import random
from typing import NamedTuple

from dualtap import limits
from dualtap.errors import Code
from dualtap.forms import encode_grant, signed
from dualtap.issued import Carrier, Condition
from dualtap.statements import Grant, GrantBody
from dualtap_testing import smuggling
from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.devices import Device, taken_of
from dualtap_testing.people import SELLS
from dualtap_testing.scenes import CLEAN, Scene, all_of, ended, some_honest, thief_of, torn
from dualtap_testing.taps import TapPlan
from dualtap_testing.world import World

SECRET, WORD = b"the second signer's".ljust(32), b"a word that two people know"
"""Of whoever gives Grants; and a preimage."""


class Purpose(NamedTuple):
    """Conditions, what must be shown for them besides (a Grant is made later), and how much fits at once."""

    conditions: tuple[Condition, ...]
    witness: tuple[bytes, ...] = ()
    granted: bool = False
    most: int = 1 << 40


def number(value: int, size: int = 4) -> bytes:
    """Return a number as conditions hold it."""
    return value.to_bytes(size, "big")


def purpose_of(world: World, draw: random.Random, payee: Device) -> Purpose:
    """Return a purpose that a payment to ``payee`` fits today."""
    grantor = world.suite.signer(SECRET).public
    today, cap, sells = world.epoch, draw.randint(4, 12), SELLS.get(payee.name, 0)
    kinds = {
        "payee": Purpose((Condition(1, b"".join([payee.key, *draw.choice([[], [world.devices[0].key]])])),)),
        "cap": Purpose((Condition(4, number(cap, 8)),), most=cap),
        "window": Purpose((Condition(5, number(today - draw.randint(0, 2)) + number(today + draw.randint(0, 3))),)),
        "word": Purpose((Condition(6, hashlib.sha256(WORD).digest()),), (WORD,)),
        "signed": Purpose((Condition(7, grantor),), granted=True),
        "count": Purpose((Condition(8, number(draw.randint(2, 4))),)),
    }
    if sells:
        kinds["category"] = Purpose((Condition(2, b"".join(number(one, 2) for one in (742, sells))),))
        kinds["merchant"] = Purpose((Condition(3, b""),))
    found = [kinds[kind] for kind in draw.sample(sorted(kinds), draw.choice([1, 1, 1, 2]))]
    return Purpose(
        tuple(one for some in found for one in some.conditions),
        tuple(item for some in found for item in some.witness),
        any(some.granted for some in found),
        min(some.most for some in found),
    )


def grant(world: World, draw: random.Random, token: bytes, payee: Device, basket: bytes, amount: int) -> bytes:
    """Return a Grant with which this token may be paid to this payee, as a witness."""
    signer, days = world.suite.signer(SECRET), world.epoch + draw.randint(0, 2)
    category = draw.choice([0, SELLS.get(payee.name, 0)])
    names = draw.choice([b"", payee.key])
    body = GrantBody(token, names, category, amount, draw.choice([b"", basket]), world.epoch - 1, days)
    said = signed(world.scheme.id, signer.public, body)
    found: Grant = said.sealed(signer.sign(said.id))
    return encode_grant(found)


class Errand(NamedTuple):
    """Who was given value for what: the owner, who may be paid with it, and another; what is shown, and how much."""

    owner: Device
    payee: Device
    other: Device
    purpose: Purpose
    witness: tuple[bytes, ...]
    basket: bytes
    most: int


def errand(world: World, draw: random.Random) -> Errand | None:
    """Give somebody honest value for a purpose, and have it fetched."""
    found = [one for one in some_honest(world, draw, 4) if not ended(world, one)][:3]
    shops = [one for one in found if one.name in SELLS]
    if len(found) < 3:
        return None
    payee = draw.choice(shops) if shops and draw.random() < 0.7 else found[0]
    owner, other = [one for one in found if one is not payee]
    purpose, amount, basket = purpose_of(world, draw, payee), draw.randint(10, 40), draw.randbytes(16)
    token = world.issue(owner, amount, purpose.conditions)
    most = min(amount, purpose.most)
    granted = [grant(world, draw, world.ledger.trust.token_id(token), payee, basket, most)] if purpose.granted else []
    world.sync(owner)
    return Errand(owner, payee, other, purpose, (*purpose.witness, *granted), basket, most)


def earmark(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """Somebody is given value for a purpose, and pays with it: where it may, and then where it may not."""
    del faults
    given = errand(world, draw)
    if given is None:
        return
    owner, payee, other, _, witness, basket, most = given
    _pays(world, draw, given)
    codes = {condition.code for condition in given.purpose.conditions}
    likely = [_let_run_out] * 6 if codes & {5, 7} else [_give_back] * 3 if 8 in codes else []
    draw.choice([_restore, _restore, _pass_on, _give_back, _hand_in, _let_run_out, *likely])(world, draw, given)
    world.tap(owner, other, all_of(world, owner), CLEAN, witness=witness)
    world.tap(owner, payee, draw.randint(1, most), CLEAN, witness=witness, basket=basket, part=1)


def _pays(world: World, draw: random.Random, given: Errand) -> None:
    """Pay where the value fits; torn, the tap is healed by the next one."""
    owner, payee, _, _, witness, basket, most = given
    amount, starts = draw.randint(1, most), draw.random() < 0.5
    plan = CLEAN if draw.random() < 0.6 else torn(starts, told=draw.random() < 0.5)
    able = _is_able(world, given, amount)
    report = world.tap(owner, payee, amount, plan, witness=witness, basket=basket, payer_starts=starts).payer.report
    if plan.clean and able and report is not None and report.code is Code.INSUFFICIENT:
        raise PromiseBroken(2, "value whose conditions are met cannot be paid")
    if not plan.clean:
        world.tap(owner, payee, amount, CLEAN, witness=witness, basket=basket)


def _is_able(world: World, given: Errand, amount: int) -> bool:
    """Return whether the owner surely can pay: the value was fetched, and no clock and no Grant ends it."""
    book = given.owner.wallet.book
    fresh = [one for one in book.holdings if book.graph.tokens[one.token].conditions == given.purpose.conditions]
    asked = {condition.code for condition in given.purpose.conditions}
    if world.now(given.owner) > (world.epoch + 1) * limits.EPOCH_SECONDS:
        return False
    return world.honest(given.owner) and any(one.amount >= amount for one in fresh) and not asked & {5, 7, 8}


def _restore(world: World, draw: random.Random, given: Errand) -> None:
    """A payment does not arrive, and comes back: it is bound as it was."""
    owner, payee, _, _, witness, basket, most = given
    starts = draw.random() < 0.5
    plan = torn(starts, told=False)
    world.tap(owner, payee, draw.randint(1, most), plan, witness=witness, basket=basket, part=2, payer_starts=starts)
    world.close_open(payee)
    world.tap(owner, payee, 1, TapPlan(declines=True))


def _pass_on(world: World, draw: random.Random, given: Errand) -> None:
    """Who was paid pays on: the next hand is free."""
    world.tap(given.payee, given.other, all_of(world, given.payee), CLEAN)
    if draw.random() < 0.5:
        world.tap(given.other, given.owner, draw.randint(1, 4), CLEAN)


def _give_back(world: World, draw: random.Random, given: Errand) -> None:
    """Who was paid gives it back: it binds its owner again, and its uses are gone."""
    owner, payee = given.owner, given.payee
    for transfer, key, left in list(taken_of(payee)):
        if key == owner.key:
            world.tap(payee, owner, draw.randint(1, left), CLEAN, refund_of=transfer)
            break
    starts = draw.random() < 0.5
    plan = torn(starts, told=False)
    world.tap(owner, payee, given.most, plan, witness=given.witness, basket=given.basket, part=3, payer_starts=starts)


def _hand_in(world: World, draw: random.Random, given: Errand) -> None:
    """What came back is renewed by a sync, or all is handed in: no condition stands against that."""
    if draw.random() < 0.5:
        _restore(world, draw, given)
    world.sync(given.owner, deposit=draw.random() < 0.5)
    world.sync(given.owner)
    world.watch.check_ledger()


def _let_run_out(world: World, draw: random.Random, given: Errand) -> None:
    """A day or two pass; one of the two knows it."""
    world.pass_time(draw.randint(1, 3))
    world.sync(draw.choice([given.payee, given.payee, given.owner]))


def defy(world: World, draw: random.Random, faults: frozenset[str]) -> None:
    """A thief pays bound value against its conditions, or tells the ledger that it did."""
    thief, found = thief_of(world, draw), some_honest(world, draw, 3)
    found = [one for one in found if one is not thief and not ended(world, one)]
    listed = thief.key in world.ledger.policy.hotlist
    if len(found) < 2 or "hostile" not in faults or thief.is_moving or thief.wallet.quarantined:
        return
    if "clone" not in faults or len(world.devices) > 8:
        return
    if listed:
        thief = world.join("stranger", Carrier.PHONE, 0, limits.FULL)
        world.fall(thief)
    if draw.random() < 0.4:
        smuggling.tell(world, thief, found[0], draw)
    else:
        smuggling.smuggle(world, thief, found[0], found[1], draw)
    if listed:
        world.devices.remove(thief)


PURPOSES: dict[str, tuple[float, str, Scene]] = {
    "earmark": (0.6, "", earmark),
    "defy": (0.5, "hostile", defy),
}
"""By name, as the table of acts."""
