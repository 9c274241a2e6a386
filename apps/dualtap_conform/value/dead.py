"""Restored value: what a warrant must prove (SPEC §8.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from dualtap.compact import CompactWarrant
from dualtap.errors import Code
from dualtap.statements import Opening, Span, Transfer, Warrant
from dualtap.wire import TransferMessage
from dualtap_conform.stage import Stage
from dualtap_conform.value.bundles import with_hand
from dualtap_conform.value.scene import Scene, back, of
from dualtap_conform.vector import Vector

BROKEN, FORGED = Code.BROKEN_PROVENANCE, Code.BAD_SIGNATURE


def restored(stage: Stage) -> tuple[Scene, Transfer, Warrant, TransferMessage]:
    """Return a scene in which good restored value is paid: anna's, that ben closed."""
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    warrant = scene.close(dead)
    return scene, dead, warrant, scene.pay("anna", back(dead, 0, 60))


def refused(stage: Stage) -> Iterator[Vector]:
    """What does not prove that a transfer is dead, and sides against what is proved."""
    yield from _sides(stage)
    yield from _outcomes(stage)
    yield from _fields(stage)


def _sides(stage: Stage) -> Iterator[Vector]:
    flag = "WarrantStripped"
    scene, dead, _, message = restored(stage)
    yield scene.refused(
        BROKEN, "8.2-5", flag, "The warrant is stripped: a commitment in its place.",
        with_hand(message, 0, proof=dead.commitment),
    )  # fmt: skip
    scene = Scene(stage)
    live = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    message = scene.pay("anna", back(live, 0, 60))
    yield scene.refused(BROKEN, "8.2-5", flag, "A payer takes back what is not dead.", message)
    scene = Scene(stage)
    live = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    second = scene.hand("anna", "carla", back(live, 0, 60))
    message = scene.pay("carla", of(second, 0, 60))
    yield scene.refused(BROKEN, "8.2-5", flag, "A hand behind was cut from a payer's side without warrant.", message)
    flag = "WarrantAdded"
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead)
    message = scene.pay("ben", of(dead, 0, 60))
    yield scene.refused(BROKEN, "8.2-6", flag, "The payee spends its side of what it closed.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead)
    second = scene.hand("ben", "carla", of(dead, 0, 60))
    message = scene.pay("carla", of(second, 0, 60))
    yield scene.refused(BROKEN, "8.2-6", flag, "A hand behind was cut from the payee's side of a dead one.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead, receipt=stage.draw("another transfer"))
    message = scene.pay("ben", of(dead, 0, 60))
    yield scene.refused(BROKEN, "8.2-6", flag, "The payee spends what it did not accept: another was.", message)


def _outcomes(stage: Stage) -> Iterator[Vector]:
    flag = "WrongWarrant"
    scene = Scene(stage)
    paid = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(paid, receipt=paid.id)
    message = scene.pay("anna", back(paid, 0, 60))
    yield scene.refused(BROKEN, "8.2-4", flag, "The outcome is the Receipt of this very transfer.", message)
    for by, how in (("anna", "the payer"), ("carla", "a stranger"), ("institution", "the institution")):
        scene = Scene(stage)
        dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
        scene.close(dead, by=by)
        message = scene.pay("anna", back(dead, 0, 60))
        yield scene.refused(FORGED, "8.2-4", flag, f"The Close was signed by {how}.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead, request=stage.draw("another request"))
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.refused(FORGED, "8.2-4", flag, "The payee closed another request than this transfer's.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    other = scene.hand("anna", "ben", Span(scene.token("anna", serial="two"), 0, 60))
    warrant = scene.close(other)
    scene.close(dead)
    scene.warrants[dead.id] = replace(warrant, opening=dead.shown().answered())
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.refused(FORGED, "8.2-4", flag, "The Close of another transfer of the same two wallets.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    opening = stage.opening("own", *scene.place("anna"))
    body = scene.close(dead).outcome.body
    scene.warrants[dead.id] = Warrant(dead.shown().answered(), scene.signed("anna", body, opening))
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.refused(FORGED, "8.2-4", flag, "The payer closed its payee's request by a Close of its own.", message)
    scene = Scene(stage)
    token = scene.token("anna")
    scene.key("ben")
    opening = stage.opening("none", *scene.place("anna"))
    deposit = scene.keep(stage.transfer("anna", "ben", (Span(token, 0, 60),), opening))
    shown = Opening(opening.seed, opening.prev, opening.ctr, opening.private, bytes(32)).answered()
    scene.keep(deposit)
    close = scene.close(deposit._replace(opening=opening._replace(request=bytes(32))))
    scene.warrants[deposit.id] = Warrant(shown, close.outcome)
    message = scene.pay("anna", back(deposit, 0, 60))
    yield scene.refused(FORGED, "8.2-4 4.2-2", flag, "A transfer that answers no request is called dead.", message)


def _fields(stage: Stage) -> Iterator[Vector]:
    flag = "AlteredWarrant"
    one = b"\x01" * 32
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("place", {"place": one}),
        ("request's salt", {"salt": one}),
        ("request", {"request": one}),
        ("transfer: a Close shown as a Receipt", {"transfer": one, "reason": 0}),
        ("reason", {"reason": int(Code.TIMEOUT)}),
        ("epoch", {"epoch": 1}),
        ("outcome's commitment", {"commitment": one}),
        ("signature", {"signature": bytes(64)}),
    )
    for what, change in changes:
        scene, _, _, message = restored(stage)
        proof = cast("CompactWarrant", message.bundle.transfers[0].proof)
        altered = with_hand(message, 0, proof=proof._replace(**change))
        yield scene.refused(FORGED, "8.2-4 4.1-1", flag, f"A warrant altered in its {what}.", altered)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead, receipt=stage.draw("another transfer"))
    message = scene.pay("anna", back(dead, 0, 60))
    proof = cast("CompactWarrant", message.bundle.transfers[0].proof)
    altered = with_hand(message, 0, proof=proof._replace(transfer=b"", reason=int(Code.DECLINED)))
    yield scene.refused(FORGED, "8.2-4", flag, "A Receipt shown as a Close.", altered)
