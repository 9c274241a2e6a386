"""What a payee's tier and its Request leave room for (SPEC §22): the balance, and how the payer's user was verified."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.errors import Code
from dualtap.statements import Private, Span, Verification
from dualtap_conform.stage import TIER, Stage
from dualtap_conform.value.scene import Scene
from dualtap_conform.vector import Vector


def _balance(stage: Stage) -> Iterator[Vector]:
    for balance, seen, good, how in (
        (60, False, True, "As much as this payee may hold."),
        (59, False, False, "One unit more than this payee may hold."),
        (120, True, True, "As much as this payee may hold, with what it holds."),
        (119, True, False, "One unit more than this payee may hold, with what it holds."),
        (0, False, False, "A payee that may hold nothing."),
    ):
        scene = Scene(stage, policy=stage.policy(tiers=(TIER._replace(balance=balance),)))
        token = scene.token("anna")
        if seen:
            scene.see(scene.pay("anna", Span(token, 100, 160)))
        message = scene.pay("anna", Span(token, 0, 60))
        if good:
            yield scene.accepted("22-7", "Limits", how, message)
        else:
            yield scene.refused(Code.OVER_LIMIT, "22-7", "Limits", how, message)


def _verified(stage: Stage) -> Iterator[Vector]:
    for asked in Verification:
        for given in Verification:
            scene = Scene(stage, verification=asked)
            token = scene.token("anna")
            message = scene.pay("anna", Span(token, 0, 60), private=Private(given))
            how = f"{asked.name} is asked for, and {given.name} given."
            if given >= asked:
                yield scene.accepted("22-9", "Verification", how, message)
            else:
                yield scene.refused(Code.UNVERIFIED, "22-9", "Verification", how, message)


def judged(stage: Stage) -> Iterator[Vector]:
    """Yield what is accepted at the edge of a limit, and refused above it."""
    yield from _balance(stage)
    yield from _verified(stage)
