"""What a thief makes that nobody signed: tokens, earlier hands, payments, warrants, and another's key.

Who forges is a copy, or a wallet that nobody knows yet, and is gone after its one tap: no log could open what it holds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

from dualtap import limits
from dualtap.forms import signed
from dualtap.issued import Carrier
from dualtap.keystore import Head
from dualtap.records import Holding
from dualtap.statements import (
    Body,
    CloseBody,
    Kind,
    Outcome,
    Parent,
    Side,
    Signed,
    Span,
    TransferBody,
    Warrant,
)
from dualtap_testing.devices import Chest, Device, Power, PoweredKeystore, PoweredStore
from dualtap_testing.reading import Shelf
from dualtap_testing.taps import LinkFault, TapPlan
from dualtap_testing.thieves import clone
from dualtap_testing.world import World

FORGED = bytes(64)
"""Stands where a signature should."""
UNHURT = TapPlan(LinkFault("lose", 99))
"""Nothing goes wrong in a tap, and yet it need not end well: one of the two is not who it says."""

Forger = Callable[[World, Device, Device, random.Random], "Holding | None"]
"""Prepares a thief's copy, to cheat an honest device's peers; returns what it then holds."""


def counterfeit(world: World, thief: Device, victim: Device, payee: Device, draw: random.Random) -> None:
    """Pay somebody with value that nobody gave; ``victim`` is whose name is misused."""
    if draw.random() < 0.5:
        twin, forgers = world.join("stranger", Carrier.PHONE, 0, limits.FULL), STRANGERS
        world.fall(twin)
    else:
        twin, forgers = clone(world, thief), THIEVES
    world.faults += 1
    for forge in draw.sample(forgers, len(forgers)):
        held = forge(world, twin, victim, draw)
        if held is not None:
            twin.wallet.book.holdings[:] = [held]
            world.tap(twin, payee, held.amount, UNHURT)
            break
    world.devices.remove(twin)


def _mint(world: World, twin: Device, victim: Device, draw: random.Random) -> Holding | None:
    """Make a token out of another's."""
    known = list(victim.wallet.book.graph.tokens.values())
    if not known:
        return None
    token = draw.choice(known)._replace(serial=draw.randbytes(8), owner=twin.key, amount=draw.randint(1, 99))
    token = token._replace(spend_by=world.epoch + 9, claim_by=world.epoch + 19)
    graph, named = twin.wallet.book.graph, world.ledger.trust.token_id(token)
    graph.tokens[named] = token
    return Holding(Parent(named, Side.TOKEN, 0), named, 0, token.amount)


def _endorse(world: World, twin: Device, victim: Device, draw: random.Random) -> Holding | None:
    """Make a payment from an honest wallet to the thief."""
    book, graph = victim.wallet.book, twin.wallet.book.graph
    held = [one for one in book.holdings if one.parent.side is Side.TOKEN]
    if not held or book.graph.tokens[held[0].token].conditions:
        return None
    parent, token, start, end = draw.choice(held)
    body = TransferBody(twin.key, (Span(parent, start, end),), world.epoch, ())
    hand = signed(world.scheme.id, book.key, body, draw.randbytes(32), FORGED)
    graph.tokens[token] = book.graph.tokens[token]
    graph.certificates[book.key] = book.certificate
    graph.put(hand)
    return Holding(Parent(hand.id, Side.PAYEE, 0), token, start, end)


def _scribble(world: World, twin: Device, victim: Device, draw: random.Random) -> Holding | None:
    """Pay with what is the thief's own, and sign nothing."""
    del victim
    held = [one for one in twin.wallet.book.holdings if world.epoch <= _spend_by(twin, one)]
    twin.chests[-1].keystore.scrawls = frozenset({Kind.TRANSFER})
    return draw.choice(held) if held else None


def _revive(world: World, twin: Device, victim: Device, draw: random.Random) -> Holding | None:
    """Say that what an honest wallet took was refused."""
    graph = twin.wallet.book.graph
    for sent in list(graph.transfers.values()):
        if sent.key != twin.key or sent.body.payee != victim.key or sent.opening is None or sent.id in graph.warrants:
            continue
        parent, start, end = sent.body.spans[0]
        request = sent.shown().request
        said: Signed[Body] = signed(
            world.scheme.id, victim.key, CloseBody(request, 0, world.epoch), draw.randbytes(32), FORGED
        )
        graph.warrants[sent.id] = Warrant(sent.shown().answered(), cast("Outcome", said))
        return Holding(Parent(sent.id, Side.PAYER, 0), graph.origin(parent).token, start, end)
    return None


def _spend_by(device: Device, held: Holding) -> int:
    return device.wallet.book.graph.tokens[held.token].spend_by


STRANGERS: tuple[Forger, ...] = (_mint, _endorse)
THIEVES: tuple[Forger, ...] = (_scribble, _revive)


def pose(world: World, victim: Device, payer: Device) -> None:
    """Ask for money with another's certificate, and no key: the payer would be in doubt to who never asked it."""
    power, own = Power(), victim.chests[-1].keystore
    chip = PoweredKeystore(world.scheme, own.secret, power)
    chip.scrawls, chip.head = frozenset(Kind), Head(0, b"")
    chest = Chest(chip, PoweredStore(power), Shelf(world.scheme.id, {}))
    impostor = Device("impostor", world.scheme, victim.profile, chest, power)
    impostor.wallet.write(world.ledger.news(world.epoch, victim.wallet.book.certificate))
    world.faults += 1
    world.tap(payer, impostor, 1, UNHURT)
