"""What a thief makes of value that is bound to a purpose: it pays with it where it may not, and tells the ledger so.

The payee, and the ledger, must take such a transfer for no statement: it pays, credits and names nothing (SPEC §5.3-9).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, cast

from dualtap.context import Context
from dualtap.forms import encode_certificate, encode_grant, signed
from dualtap.issued import Condition, key_hint
from dualtap.select import Choice
from dualtap.statements import (
    Body,
    Grant,
    GrantBody,
    Parent,
    Side,
    Signed,
    Span,
    TapeStatement,
    TransferBody,
)
from dualtap_testing import thieves
from dualtap_testing.devices import Device, taken_of
from dualtap_testing.people import SELLS, THIEVES
from dualtap_testing.scenes import CLEAN, all_of, torn
from dualtap_testing.taps import TapPlan
from dualtap_testing.thieves import clone
from dualtap_testing.world import World

FREE, BOUND, CAP, USES = 30, 30, 5, 3
"""Units of a thief's two tokens; the most, and the uses, of some of the second."""
SIGNER, STRANGER = b"a second signer".ljust(32), b"nobody's".ljust(32)
AT_ONCE = 6
"""Tricks that are played in one act."""


Shows = Callable[[bytes], tuple[bytes, ...]]
"""Makes what is shown, once the token's id is known."""


class Trick(NamedTuple):
    """A condition, what is paid against it, and what is shown for it once the token's id is known.

    ``ahead`` are the days by which the payee's clock is ahead: it alone knows that it is too late.
    """

    conditions: tuple[Condition, ...]
    cut: tuple[tuple[int, int], ...] = ((0, 6),)
    shows: Shows | None = None
    ahead: int = 0


GRANTS = ("token", "payee", "amount", "over", "early", "basket", "category", "nobody's")
"""What is wrong with a Grant."""


def grant_of(world: World, token: bytes, other: Device, wrong: str) -> bytes:
    """Return a Grant for six units of a token, as a witness, with which one thing is wrong (or none)."""
    signer, today = world.suite.signer(SIGNER).public, world.epoch
    body = GrantBody(token, b"", 0, 6, b"", today - 1, today + 9)
    body = {
        "token": body._replace(token=bytes(32)), "payee": body._replace(payee=other.key),
        "amount": body._replace(amount=5), "over": body._replace(last=today - 1),
        "early": body._replace(first=today + 1), "basket": body._replace(basket=bytes(16)),
        "category": body._replace(category=4444),
    }.get(wrong, body)  # fmt: skip
    said = signed(world.scheme.id, signer, body)
    found: Grant = said.sealed(world.suite.signer(STRANGER if wrong == GRANTS[-1] else SIGNER).sign(said.id))
    return encode_grant(found)


def _showing(*items: bytes) -> Shows:
    def shows(token: bytes) -> tuple[bytes, ...]:
        del token
        return items

    return shows


def _granting(world: World, other: Device, wrong: str) -> Shows:
    def shows(token: bytes) -> tuple[bytes, ...]:
        return (grant_of(world, token, other, wrong),)

    return shows


def tricks(world: World, payee: Device, other: Device) -> list[Trick]:
    """Return the ways to cheat ``payee`` by value that is not for it."""
    signer, today = world.suite.signer(SIGNER).public, world.epoch

    def days(first: int, last: int) -> Condition:
        return Condition(5, (today + first).to_bytes(4, "big") + (today + last).to_bytes(4, "big"))

    shop = next((one for one in world.devices if SELLS.get(one.name, 0) and one is not payee), other)
    theirs, own = (encode_certificate(one.wallet.book.certificate) for one in (shop, payee))
    cap = Condition(4, CAP.to_bytes(8, "big"))
    granted = [Trick((Condition(7, signer),), shows=_granting(world, other, wrong)) for wrong in GRANTS]
    return [
        *granted,
        Trick((Condition(1, other.key),)),
        Trick((Condition(2, (4444).to_bytes(2, "big")),), shows=_showing(own)),
        Trick((Condition(3, b""),), shows=_showing(theirs)),
        Trick((cap,)),
        Trick((cap,), ((0, 4), (9, 13))),
        Trick((days(1, 9),)),
        Trick((days(-9, -1),)),
        Trick((days(0, 1),), ahead=3),
        Trick((Condition(6, hashlib.sha256(b"right").digest()),), shows=_showing(b"wrong")),
        Trick((Condition(7, signer),), ((0, 3), (9, 13)), _granting(world, other, "")),
        Trick((Condition(8, USES.to_bytes(4, "big")),), ((USES, USES + 4),)),
        Trick((), shows=_showing(b"for nothing")),
    ]


def smuggle(world: World, thief: Device, payee: Device, other: Device, draw: random.Random) -> None:
    """Try a few ways to pay somebody honest against the conditions."""
    play(world, thief, payee, draw.sample(tricks(world, payee, other), AT_ONCE))


def play(world: World, thief: Device, payee: Device, found: Sequence[Trick]) -> None:
    """Play these tricks, by a copy, which no log can open; the thief has free value too."""
    world.issue(thief, FREE)
    tokens = [world.ledger.trust.token_id(world.issue(thief, BOUND, trick.conditions)) for trick in found]
    world.sync(thief)
    twin, clock = clone(world, thief), payee.ahead
    for named, trick in zip(tokens, found, strict=True):
        if named in twin.wallet.book.graph.tokens:
            payee.ahead = trick.ahead * 86_400.0 or clock
            world.faults += 1
            world.tap(twin, payee, sum(b - a for a, b in trick.cut), CLEAN, cheat=partial(_cheat, named, trick))
    payee.ahead = clock
    world.devices.remove(twin)


def _cheat(named: bytes, trick: Trick, context: Context) -> None:
    """Pay with what is not for this, whatever was chosen."""
    root, shows = Parent(named, Side.TOKEN, 0), trick.shows
    spans = tuple(Span(root, start, end) for start, end in trick.cut)
    context.chosen = Choice(spans, shows(named) if shows is not None else ())


def tell(world: World, thief: Device, payee: Device, draw: random.Random) -> None:
    """Use up what counts uses, then spend by hand what came back, and have another hand it in."""
    named = world.ledger.trust.token_id(world.issue(thief, BOUND, (Condition(8, USES.to_bytes(4, "big")),)))
    for one in (thief, payee):
        world.sync(one)
    world.tap(thief, payee, BOUND // 3, CLEAN)
    for transfer, key, left in list(taken_of(payee)):
        if key == thief.key:
            world.tap(payee, thief, left, CLEAN, refund_of=transfer)
            break
    if draw.random() < 0.7:  # what was given back is paid beside a use that is left, and comes back by a Close
        world.tap(thief, payee, all_of(world, thief), torn(starts=True, told=False))
        world.close_open(payee)
        world.tap(thief, payee, 1, TapPlan(declines=True))
    if draw.random() < 0.7:
        world.sync(thief)  # the ledger knows what came back, before it hears what is made of it
    world.fall(thief)
    leaves = world.checkers.bag.leaves()
    mine = [one for one in leaves if (one.coin, one.owner, one.how) == (named, thief.key, "held") and one.start < USES]
    if not mine:
        return
    leaf = max(mine, key=lambda one: one.start)
    fence = next((one for one in world.devices if one.name in THIEVES and one is not thief), None)
    if fence is None:
        return
    world.fall(fence)
    span = Span(Parent(leaf.parent[0], Side(leaf.parent[1]), leaf.parent[2]), leaf.start, leaf.end)
    body = TransferBody(fence.key, (span,), world.epoch, ())
    place = thieves.place(draw)._replace(request=draw.randbytes(32))
    paid = _made(world, thief, signed(world.scheme.id, thief.key, body, place))
    thieves.upload(world, thief, paid)
    world.faults += 1
    side = Span(Parent(paid.id, Side.PAYEE, 0), leaf.start, leaf.end)
    office = next(one for one in world.guild.offices if key_hint(one) == world.checkers.bag.coins[named].issuer)
    handed = TransferBody(office, (side,), world.epoch, ())
    said = signed(world.scheme.id, fence.key, handed, thieves.place(draw))
    thieves.upload(world, fence, _made(world, fence, said))


def _made(world: World, device: Device, statement: Signed[TransferBody]) -> TapeStatement:
    return thieves.sealed(world, device, cast("Signed[Body]", statement))
