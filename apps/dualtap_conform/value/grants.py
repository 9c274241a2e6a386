"""Second signatures: what a Grant must say, and who must have signed it (SPEC §5.6-8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dualtap import limits
from dualtap.codec import pack
from dualtap.conditions import Rule
from dualtap.forms import signed
from dualtap.statements import GrantBody, Parent, Span, SyncBody
from dualtap_conform.stage import POS_CATEGORY, TODAY, Stage
from dualtap_conform.value.bound import Purpose, cap
from dualtap_conform.value.scene import TILL, back, of
from dualtap_conform.vector import Vector

FLAG, CLAUSES = "Grant", "5.6-8"


def second_signatures(stage: Stage) -> Iterator[Vector]:
    """Yield Grants that fit, and Grants that do not."""
    for cases in (_fits, _signed, _category, _at_the_tap, _behind, _values):
        yield from cases(stage)


def ward(stage: Stage, now: int = 0) -> tuple[Purpose, Parent]:
    """Return a scene with a token that anna spends with her parent's agreement."""
    scene = Purpose(stage, now=now)
    return scene, scene.bound((Rule.SIGNED, stage.key("parent")))


def case(scene: Purpose, good: bool, comment: str, token: Parent, *witness: bytes, epoch: int = TODAY) -> Vector:
    """Return the case in which anna spends 60 units with these witnesses."""
    message = scene.spend(token, *witness, epoch=epoch)
    if good:
        return scene.met(FLAG, comment, message, CLAUSES)
    return scene.unmet(FLAG, comment, message, CLAUSES)


def _fits(stage: Stage) -> Iterator[Vector]:
    scene, token = ward(stage)
    yield case(
        scene, True, "A Grant for any payee and basket, of just these units, for today.", token, scene.grant(token)
    )
    scene, token = ward(stage)
    yield case(scene, False, "No Grant.", token)
    changes: tuple[tuple[dict[str, Any], bool, str], ...] = (
        ({"payee": stage.key(TILL)}, True, "for this payee"),
        ({"payee": stage.key("carla")}, False, "for another payee"),
        ({"amount": 59}, False, "of one unit less"),
        ({"amount": limits.AMOUNT}, True, "of as much as there can be"),
        ({"amount": 0}, False, "of nothing"),
        ({"first": TODAY + 1, "last": TODAY + 9}, False, "from tomorrow on"),
        ({"first": TODAY - 9, "last": TODAY - 1}, False, "until yesterday"),
        ({"first": 0, "last": 2**24}, True, "for all days"),
        ({"first": TODAY + 1, "last": TODAY - 1}, False, "with its days backwards"),
    )
    for change, good, how in changes:
        scene, token = ward(stage)
        yield case(scene, good, f"A Grant {how}.", token, scene.grant(token, **change))
    scene, token = ward(stage)
    other = scene.bound((Rule.CAP, cap(60)), serial="other")
    yield case(scene, False, "A Grant for another token of the same owner.", token, scene.grant(other))
    scene, token = ward(stage)
    pair = scene.grant(token), scene.grant(token, payee=stage.key(TILL))
    yield case(scene, True, "Two Grants, both of which fit.", token, *pair)
    scene, token = ward(stage)
    message = scene.spend(token, scene.grant(token), scene.grant(token, amount=59))
    yield scene.useless("A Grant that fits, and one that does not.", message)
    scene, token = ward(stage)
    message = scene.pay("anna", Span(token, 0, 30), Span(token, 50, 81), witness=(scene.grant(token),))
    yield scene.unmet(FLAG, "Two spans of one token, together a unit above the Grant.", message, CLAUSES)
    scene, token = ward(stage)
    grant = scene.grant(token)
    scene.see(scene.spend(token, grant))
    message = scene.pay("anna", Span(token, 60, 120), witness=(grant,))
    yield scene.met(FLAG, "A Grant that was used before: it fits every such transfer.", message, CLAUSES)


def _signed(stage: Stage) -> Iterator[Vector]:
    for by, how in (("anna", "the owner"), (TILL, "the payee"), ("institution", "the institution")):
        scene, token = ward(stage)
        yield case(scene, False, f"A Grant in the parent's name, signed by {how}.", token, scene.grant(token, by=by))
        scene, token = ward(stage)
        own = scene.grant(token, by=by, key=by)
        yield case(scene, False, f"A Grant of {how}'s own.", token, own)
    scene, token = ward(stage)
    body = GrantBody(token.id, b"", 0, 60, b"", TODAY, TODAY)
    good = scene.grant(token)
    yield case(scene, False, "A Grant with a blank signature.", token, pack((*body, bytes(64))))
    for altered, how in (
        (body._replace(amount=61), "amount"),
        (body._replace(last=TODAY + 1), "last day"),
        (body._replace(first=TODAY - 1), "first day"),
    ):
        scene, token = ward(stage)
        altered_bytes = pack((*altered, good[-64:]))
        yield case(scene, False, f"A Grant altered in its {how}.", token, altered_bytes)
    scene, token = ward(stage)
    narrow = scene.grant(token, payee=stage.key("carla"))
    yield case(scene, False, "A Grant altered: its payee taken away.", token, pack((*body, narrow[-64:])))
    scene, token = ward(stage)
    yield case(scene, False, "A Grant, and a byte.", token, good + b"\x00")
    scene, token = ward(stage)
    yield case(scene, False, "A Grant without its last byte.", token, good[:-1])
    scene, token = ward(stage)
    yield case(scene, False, "A Grant, its amount in three bytes.", token, good[:38] + b"\xcd\x00" + good[38:])
    scene, token = ward(stage)
    other = signed(stage.scheme.id, stage.key("parent"), SyncBody(token.id, token.id, TODAY))
    foreign = stage.signer("parent").sign(other.id)
    yield case(scene, False, "The parent's signature of something else.", token, pack((*body, foreign)))


def _category(stage: Stage) -> Iterator[Vector]:
    for asked, has, good, how in (
        (POS_CATEGORY, POS_CATEGORY, True, "A Grant for shops of this category, and the payee's certificate."),
        (POS_CATEGORY + 1, POS_CATEGORY, False, "A Grant for shops of another category."),
        (POS_CATEGORY, 0, False, "A Grant for shops of a category, paid to a person."),
    ):
        scene, token = ward(stage)
        shop = scene.shop(category=has)
        yield case(scene, good, how, token, scene.grant(token, category=asked), shop)
    scene, token = ward(stage)
    scene.shop()
    how = "A Grant for shops of this category, without the payee's certificate."
    yield case(scene, False, how, token, scene.grant(token, category=POS_CATEGORY))
    scene, token = ward(stage)
    shop = scene.shop()
    message = scene.spend(token, scene.grant(token), shop)
    yield scene.useless("A Grant for any category, and the payee's certificate, which nothing needs.", message)


def _at_the_tap(stage: Stage) -> Iterator[Vector]:
    flags, clauses = f"{FLAG} AtTheTap", "5.6-10"
    scene, token = ward(stage)
    scene.asked = 60
    message = scene.spend(token, scene.grant(token, basket=scene.request.basket))
    yield scene.met(flags, "A Grant for this basket.", message, clauses)
    scene, token = ward(stage)
    message = scene.spend(token, scene.grant(token, basket=stage.draw("another basket", 16)))
    yield scene.unmet(flags, "A Grant for another basket.", message, clauses)
    scene, token = ward(stage)
    message = scene.spend(token, scene.grant(token, first=TODAY - 9, last=TODAY - 1), epoch=TODAY - 1)
    yield scene.unmet(flags, "A Grant that ran out between the payer's day and the payee's.", message, clauses)
    scene, token = ward(stage)
    message = scene.spend(token, scene.grant(token), epoch=TODAY - 1)
    how = "A Grant for today, in a transfer of yesterday."
    yield scene.unmet(FLAG, how, message, CLAUSES)
    late = (TODAY + 1) * limits.EPOCH_SECONDS
    for now, good, how in ((late - 1, True, "in its last second"), (late, False, "a second after its last day")):
        scene, token = ward(stage, now)
        message, comment = scene.spend(token, scene.grant(token)), f"A Grant {how}, by the payee's clock."
        yield scene.met(flags, comment, message, clauses) if good else scene.unmet(flags, comment, message, clauses)


def _behind(stage: Stage) -> Iterator[Vector]:
    scene, token = ward(stage)
    grant = scene.grant(token, basket=stage.draw("another basket", 16), first=TODAY - 9, last=TODAY - 1)
    message = scene.pay("ben", of(scene.give(token, "ben", grant, epoch=TODAY - 1), 0, 60))
    how = "Behind a hand: a Grant for a basket that is not known here, and that has run out since."
    yield scene.met(f"{FLAG} AtTheTap", how, message, "5.6-6 5.6-10")
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"payee": stage.key(TILL)}, "for the last payee, not the hand's"),
        ({"amount": 59}, "of one unit less than the hand spent"),
        ({"by": "anna"}, "signed by the owner"),
    )
    for change, how in changes:
        scene, token = ward(stage)
        first = scene.give(token, "ben", scene.grant(token, **change))
        message = scene.pay("ben", of(first, 0, 60))
        yield scene.unmet(f"{FLAG} LaterHand", f"Behind a hand: a Grant {how}.", message, CLAUSES)
    for again, good, how in ((True, True, "with a Grant again"), (False, False, "without a Grant")):
        scene, token = ward(stage)
        grant = scene.grant(token)
        dead = scene.give(token, "ben", grant)
        scene.close(dead)
        message = scene.pay("anna", back(dead, 0, 60), witness=(grant,) if again else ())
        comment = f"Restored value, spent {how}."
        yield scene.met(FLAG, comment, message, CLAUSES) if good else scene.unmet(FLAG, comment, message, CLAUSES)


def _values(stage: Stage) -> Iterator[Vector]:
    key = stage.key("parent")
    for value, how in (
        (key + stage.key("other parent"), "Two keys where one second signer must be named."),
        (b"", "No second signer is named."),
        (key[:-1], "The second signer's key lacks its last byte."),
    ):
        scene = Purpose(stage)
        token = scene.bound((Rule.SIGNED, value))
        yield case(scene, False, how, token, scene.grant(token))
    scene = Purpose(stage)
    pair = (Rule.SIGNED, key), (Rule.SIGNED, stage.key("other parent"))
    token = scene.bound(*pair)
    grants = scene.grant(token), scene.grant(token, by="other parent", key="other parent")
    yield case(scene, True, "Two second signers, and a Grant of each.", token, *grants)
    scene = Purpose(stage)
    token = scene.bound(*pair)
    yield case(scene, False, "Two second signers, and a Grant of one.", token, grants[0])
