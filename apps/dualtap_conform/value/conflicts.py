"""The same value twice: within one bundle, and against what a payee has seen (SPEC §8.3); and its limits (§8.1-14)."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.errors import Code
from dualtap.statements import Span
from dualtap_conform.stage import TIER, Stage
from dualtap_conform.value.scene import Scene, back, of
from dualtap_conform.vector import Vector

SPENT, FORKED = Code.DOUBLE_SPENT, Code.TAPE_FORKED


def refused(stage: Stage) -> Iterator[Vector]:
    """What is spent twice, and what this payee may not take."""
    yield from _within(stage)
    yield from _seen(stage)
    yield from _dead(stage)
    yield from _tape(stage)
    yield from _limits(stage)


def _within(stage: Stage) -> Iterator[Vector]:
    flag = "ConflictWithin"
    scene = Scene(stage)
    token = scene.token("anna")
    one, two = scene.hand("anna", "ben", Span(token, 0, 60)), scene.hand("anna", "ben", Span(token, 50, 100))
    message = scene.pay("ben", of(one, 0, 50), of(two, 60, 100))
    yield scene.refused(
        SPENT, "8.3-1", flag, "Two hands of one key share units of a token, which are not spent here.", message
    )
    scene = Scene(stage)
    token = scene.token("anna")
    first = scene.hand("anna", "carla", Span(token, 0, 60))
    second = scene.hand("carla", "anna", of(first, 0, 50))
    message = scene.pay("anna", of(second, 0, 50), Span(token, 50, 100))
    yield scene.refused(SPENT, "8.3-1", flag, "The transfer itself spends units that a hand behind it spent.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 100))
    one = scene.hand("ben", "carla", of(first, 0, 60))
    two = scene.hand("ben", "carla", of(first, 59, 100))
    message = scene.pay("carla", of(one, 0, 59), of(two, 60, 100))
    yield scene.refused(SPENT, "8.3-1", flag, "Two hands of one key share one unit of what it was given.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 100))
    scene.close(dead)
    one, two = scene.hand("anna", "carla", back(dead, 0, 60)), scene.hand("anna", "carla", back(dead, 40, 100))
    message = scene.pay("carla", of(one, 0, 40), of(two, 60, 100))
    yield scene.refused(SPENT, "8.3-1", flag, "Two hands of one key share units of a restored side.", message)


def _seen(stage: Stage) -> Iterator[Vector]:
    flag = "ConflictSeen"
    for start, end, how in (
        (0, 60, "The same units as were accepted before."),
        (59, 100, "One unit of what was accepted before."),
        (10, 20, "Units within what was accepted before."),
    ):
        scene = Scene(stage)
        token = scene.token("anna")
        scene.see(scene.pay("anna", Span(token, 0, 60)))
        yield scene.refused(SPENT, "8.3-1", flag, how, scene.pay("anna", Span(token, start, end)))
    scene = Scene(stage)
    token = scene.token("anna")
    scene.see(scene.pay("anna", Span(token, 10, 20)))
    scene.see(scene.pay("anna", Span(token, 40, 50)))
    message = scene.pay("anna", Span(token, 20, 41))
    yield scene.refused(SPENT, "8.3-1", flag, "One unit of the second of two payments seen before.", message)
    scene = Scene(stage)
    token = scene.token("anna")
    scene.see(scene.pay("anna", Span(token, 10, 20)))
    scene.see(scene.pay("anna", Span(token, 40, 50)))
    message = scene.pay("anna", Span(token, 20, 40))
    yield scene.accepted(
        "8.3-1", f"{flag} FalseConflict", "Exactly what lies between two payments seen before.", message
    )
    scene = Scene(stage)
    token = scene.token("anna")
    scene.see(scene.pay("ben", of(scene.hand("anna", "ben", Span(token, 0, 60)), 0, 30)))
    message = scene.pay("anna", Span(token, 30, 90))
    yield scene.refused(
        SPENT,
        "8.3-1",
        flag,
        "The first owner spends what it gave to a hand that was seen, though not these units.",
        message,
    )
    scene = Scene(stage)
    token = scene.token("anna")
    scene.see(scene.pay("anna", Span(token, 0, 60)))
    message = scene.pay("ben", of(scene.hand("anna", "ben", Span(token, 30, 90)), 60, 90))
    yield scene.refused(
        SPENT, "8.3-1", flag, "A hand behind spent units that were accepted before; these ones it did not.", message
    )
    scene = Scene(stage)
    token = scene.token("anna")
    scene.see(scene.pay("ben", of(scene.hand("anna", "ben", Span(token, 0, 60)), 0, 60)))
    message = scene.pay("carla", of(scene.hand("anna", "carla", Span(token, 0, 60)), 0, 60))
    yield scene.refused(SPENT, "8.3-1", flag, "Two honest payers bring what one thief gave to both.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.see(scene.pay("ben", of(first, 0, 30)))
    message = scene.pay("ben", of(first, 29, 60))
    yield scene.refused(SPENT, "8.3-1", flag, "A unit of what it was given, which a payer paid here before.", message)
    scene = Scene(stage)
    token = scene.token("anna")
    scene.see(scene.pay("anna", Span(token, 0, 60)))
    message = scene.pay("anna", Span(scene.token("anna", serial="two"), 0, 60))
    yield scene.accepted("8.3-1", "FalseConflict", "The same units of another token of the same owner.", message)


def _dead(stage: Stage) -> Iterator[Vector]:
    flag = "DeadSide"
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.see(scene.pay("ben", of(first, 0, 30)))
    scene.close(first)
    message = scene.pay("anna", back(first, 30, 60))
    yield scene.refused(SPENT, "8.3-7", flag, "Restored, though its payee's side was seen to be spent.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(first)
    scene.see(scene.pay("anna", back(first, 0, 30)))
    scene.warrants.clear()
    message = scene.pay("ben", of(first, 30, 60))
    yield scene.refused(
        SPENT,
        "8.2-6 8.3-2",
        flag,
        "The payee's side of what is known here to be dead, shown without its warrant.",
        message,
    )
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(first)
    scene.see(scene.pay("anna", back(first, 0, 30)))
    scene.warrants.clear()
    message = scene.pay("carla", of(scene.hand("ben", "carla", of(first, 30, 60)), 30, 60))
    yield scene.refused(SPENT, "8.2-6 8.3-2", flag, "The same, behind another hand.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(first)
    scene.see(scene.pay("anna", back(first, 0, 30)))
    message = scene.pay("anna", back(first, 30, 60))
    yield scene.accepted(
        "8.3-4", "FalseConflict", "The rest of restored value, whose warrant was seen before.", message
    )


def _tape(stage: Stage) -> Iterator[Vector]:
    flag = "TapeFork"
    for prev, ctr, good, how in (
        (10, 20, False, "The same place on the payer's tape as a payment seen before."),
        (19, 25, False, "A place that shares its first counter with one seen before."),
        (5, 11, False, "A place that shares its last counter with one seen before."),
        (12, 15, False, "A place within one seen before."),
        (5, 25, False, "A place around one seen before."),
        (20, 21, True, "The place right after one seen before."),
        (5, 10, True, "The place right before one seen before: taps may overtake each other."),
    ):
        scene = Scene(stage)
        token = scene.token("anna")
        scene.see(scene.pay("anna", Span(token, 0, 60), place=(10, 20)))
        message = scene.pay("anna", Span(token, 60, 100), place=(prev, ctr))
        if good:
            yield scene.accepted("8.3-3", f"{flag} FalseConflict", how, message)
        else:
            yield scene.refused(FORKED, "8.3-3", flag, how, message)
    scene = Scene(stage)
    scene.see(scene.pay("anna", Span(scene.token("anna"), 0, 60), place=(10, 20)))
    message = scene.pay("ben", Span(scene.token("ben"), 0, 60), place=(10, 20))
    yield scene.accepted("8.3-3", f"{flag} FalseConflict", "The same place on another wallet's tape.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.see(scene.pay("ben", of(first, 0, 60), place=(0, 2)))
    message = scene.pay("anna", Span(scene.token("anna", serial="two"), 0, 60), place=(0, 2))
    yield scene.accepted(
        "8.3-3 4.2-6", f"{flag} FalseConflict", "The place of a hand of which only the commitment was seen.",
        message,
    )  # fmt: skip


def _limits(stage: Stage) -> Iterator[Vector]:
    flag = "Limits"
    for receipts, received, seen, good, how in (
        (0, 1_000, False, False, "A payee that may accept no payment at all."),
        (1, 1_000, True, False, "One payment more than this payee may accept between two syncs."),
        (2, 1_000, True, True, "The last payment that this payee may accept between two syncs."),
        (9, 60, False, True, "As much as this payee may accept between two syncs."),
        (9, 59, False, False, "One unit more than this payee may accept between two syncs."),
        (9, 120, True, True, "As much as this payee may accept, together with what it took before."),
        (9, 119, True, False, "One unit more than this payee may accept, together with what it took before."),
    ):
        policy = stage.policy(tiers=(TIER._replace(receipts=receipts, received=received),))
        scene = Scene(stage, policy=policy)
        token = scene.token("anna")
        if seen:
            scene.see(scene.pay("anna", Span(token, 100, 160)))
        message = scene.pay("anna", Span(token, 0, 60))
        if good:
            yield scene.accepted("8.1-14", flag, how, message)
        else:
            yield scene.refused(Code.OVER_LIMIT, "8.1-14", flag, how, message)
    for part, basket, good, how in (
        (0, "basket 0", False, "A second payment for a part that is paid."),
        (1, "basket 0", True, "A payment for another part of the basket."),
        (0, "basket 1", True, "A payment for the same part of another basket."),
    ):
        scene = Scene(stage)
        token = scene.token("anna")
        scene.see(scene.pay("anna", Span(token, 0, 60)))
        scene.part, scene.basket = part, basket
        message = scene.pay("anna", Span(token, 60, 120))
        if good:
            yield scene.accepted("1-7 8.1-14", "BasketPaid", how, message)
        else:
            yield scene.refused(Code.BASKET_PAID, "1-7 8.1-14", "BasketPaid", how, message)
