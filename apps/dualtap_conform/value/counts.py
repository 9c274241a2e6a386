"""A count of uses (SPEC §5.6-14): what is one, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.conditions import Rule
from dualtap.errors import Code
from dualtap.statements import Span
from dualtap_conform.stage import Stage
from dualtap_conform.value.bound import Purpose, simple, times
from dualtap_conform.value.scene import back, of
from dualtap_conform.vector import Vector


def counts(stage: Stage) -> Iterator[Vector]:
    """Yield payments with and without a use, and uses that were handed over before."""
    yield from _count(stage)
    yield from _uses(stage)


def _count(stage: Stage) -> Iterator[Vector]:
    flag, three, clause = "Count", (Rule.COUNT, times(3)), "5.6-14"
    yield from simple(stage, flag, (
        ("One use, and it is handed over.", (Rule.COUNT, times(1)), True),
        ("As many uses as can be.", (Rule.COUNT, times(2**32 - 1)), True),
        ("No use.", (Rule.COUNT, times(0)), False),
        ("A count in three bytes.", (Rule.COUNT, times(3)[1:]), False),
        ("A count in five bytes.", (Rule.COUNT, b"\x00" + times(3)), False),
        ("A count without value.", (Rule.COUNT, b""), False),
    ))  # fmt: skip
    for spans, good, how in (
        (((2, 62),), True, "The last use is the first unit."),
        (((3, 63),), False, "The first unit is the one after the last use."),
        (((1, 2),), True, "A use, and nothing besides."),
        (((100, 159), (1, 2)), True, "A use in a span of its own, after another."),
        (((100, 159), (60, 61)), False, "Two spans, and no use in them."),
        (((0, 60),), True, "Every use at once."),
    ):
        scene = Purpose(stage)
        token = scene.bound(three)
        message = scene.pay("anna", *(Span(token, start, end) for start, end in spans))
        yield scene.met(flag, how, message, clause) if good else scene.unmet(flag, how, message, f"{clause} 5.3-9")
    for start, good, how in ((0, True, "a use of each"), (3, False, "a use of the first")):
        scene = Purpose(stage)
        one, two = scene.bound(three, serial="one"), scene.bound(three, serial="two")
        message = scene.pay("anna", Span(one, 0, 60), Span(two, start, 60))
        comment = f"Two counted tokens, and {how}."
        yield scene.met(flag, comment, message, clause) if good else scene.unmet(flag, comment, message)
    scene = Purpose(stage)
    message = scene.pay("anna", Span(scene.bound(three), 3, 60), Span(scene.token("anna"), 0, 60))
    yield scene.unmet(flag, "Counted units without a use, and the first units of a token without conditions.", message)
    for start, good, how in ((1, True, "of both"), (2, False, "of the greater alone")):
        scene = Purpose(stage)
        message = scene.pay("anna", Span(scene.bound(three, (Rule.COUNT, times(2))), start, 60))
        comment = f"Two counts of one token, and a use {how}."
        yield scene.met(flag, comment, message, clause) if good else scene.unmet(flag, comment, message)
    scene = Purpose(stage)
    token = scene.bound(three)
    scene.see(scene.spend(token))
    message = scene.pay("anna", Span(token, 2, 3), Span(token, 100, 160))
    how = "A use that was spent before, and units that were not."
    yield scene.refused(Code.DOUBLE_SPENT, "5.6-14 8.3-1", f"Condition {flag}", how, message)
    scene = Purpose(stage)
    token = scene.bound(three)
    scene.see(scene.pay("anna", Span(token, 2, 60)))
    message = scene.pay("anna", Span(token, 1, 2), Span(token, 60, 100))
    yield scene.met(flag, "The next use, after the last was spent.", message, clause)


def _uses(stage: Stage) -> Iterator[Vector]:
    """Yield what becomes of a use that was handed over: a warrant gives it back, a refund does not."""
    flag, three, clause = "Count Owner", (Rule.COUNT, times(3)), "5.6-14"
    for start, good, how in ((2, True, "a use among it"), (3, False, "its uses left out")):
        scene = Purpose(stage)
        dead = scene.give(scene.bound(three), "ben")
        scene.close(dead)
        message = scene.pay("anna", back(dead, start, 60))
        comment = f"Restored value, {how}."
        yield scene.met(flag, comment, message, clause) if good else scene.unmet(flag, comment, message, clause)
    scene = Purpose(stage)
    token = scene.bound(three)
    dead = scene.give(token, "ben")
    scene.close(dead)
    message = scene.pay("anna", Span(token, 60, 100), back(dead, 1, 2))
    yield scene.met(flag, "A restored use serves other units of its token.", message, clause)
    for start, good, how in ((2, True, "with a use that it had not"), (3, False, "with no use but what it had")):
        scene = Purpose(stage)
        token = scene.bound(three)
        refund = scene.hand("ben", "anna", of(scene.give(token, "ben", amount=2), 0, 2))
        message = scene.pay("anna", of(refund, 0, 2), Span(token, start, 60))
        comment = f"Units below the count that a payee gave back, {how}."
        yield scene.met(flag, comment, message, clause) if good else scene.unmet(flag, comment, message, clause)
    for place, units, good, how in ((0, (0, 2), False, "what was refunded"), (1, (2, 3), True, "the use beside it")):
        scene = Purpose(stage)
        token = scene.bound(three)
        refund = scene.hand("ben", "anna", of(scene.give(token, "ben", amount=2), 0, 2))
        dead = scene.hand("anna", "ben", of(refund, 0, 2), Span(token, 2, 3))
        scene.close(dead)
        message = scene.pay("anna", back(dead, *units, place))
        comment = f"Restored by a warrant: {how}."
        yield scene.met(flag, comment, message, clause) if good else scene.unmet(flag, comment, message, clause)
    scene = Purpose(stage)
    message = scene.pay("ben", of(scene.give(scene.bound(three), "ben"), 10, 60))
    yield scene.met(flag, "In the payee's hands no use is asked for.", message, clause)
    scene = Purpose(stage)
    first = scene.hand("anna", "ben", Span(scene.bound(three), 3, 60))
    message = scene.pay("ben", of(first, 3, 60))
    yield scene.unmet(f"{flag} LaterHand", "A hand behind spent no use.", message, clause)
