"""Bundles that are not what stands behind a transfer (SPEC §5.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dualtap.compact import CompactSpan, CompactTransfer
from dualtap.errors import Code
from dualtap.statements import Side, Span
from dualtap.wire import TransferMessage
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.value.scene import Scene, of
from dualtap_conform.vector import Vector

CODE = Code.BROKEN_PROVENANCE


def refused(stage: Stage) -> Iterator[Vector]:
    """What is missing, in excess, or referred to wrongly."""
    yield from _references(stage)
    yield from _missing(stage)
    yield from _extra(stage)


def two(stage: Stage) -> tuple[Scene, TransferMessage]:
    """Return a scene, and a good message in it: a token, and two hands before the payer."""
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 100))
    second = scene.hand("ben", "carla", of(first, 0, 80))
    return scene, scene.pay("carla", of(second, 0, 60))


def with_bundle(message: TransferMessage, **changes: Any) -> TransferMessage:
    """Return a message with some list of its bundle replaced."""
    return message._replace(bundle=message.bundle._replace(**changes))


def with_hand(message: TransferMessage, place: int, **changes: Any) -> TransferMessage:
    """Return a message with one hand of its bundle changed."""
    hands = list(message.bundle.transfers)
    hands[place] = hands[place]._replace(**changes)
    return with_bundle(message, transfers=tuple(hands))


def _references(stage: Stage) -> Iterator[Vector]:
    flag = "Reference"
    cases: tuple[tuple[str, CompactSpan], ...] = (
        ("The transfer is cut from a token that is not there.", (1, 0, 60)),
        ("The transfer is cut from the last token that a list could have.", (63, 0, 60)),
        ("The transfer is cut from a hand that is not there.", (2, 1, 0, 0, 60)),
    )
    for how, span in cases:
        scene, message = two(stage)
        yield scene.refused(CODE, "5.4-2", flag, how, message._replace(spans=(span,)))
    for how, place, span in (
        ("A hand is cut from a token that is not there.", 0, (1, 0, 100)),
        ("A hand is cut from itself.", 1, (1, 1, 0, 0, 80)),
        ("The first hand is cut from the second, which is cut from the first.", 0, (1, 1, 0, 0, 80)),
        ("A hand is cut from one that is not there.", 1, (2, 1, 0, 0, 80)),
    ):
        scene, message = two(stage)
        flags = flag if place == 0 and len(span) == 3 else f"{flag} ForwardReference"
        yield scene.refused(CODE, "5.4-2", flags, how, with_hand(message, place, spans=(span,)))
    scene, message = two(stage)
    yield scene.refused(
        CODE, "5.4-2", flag, "A hand's payer is a certificate that is not there.", with_hand(message, 0, payer=3)
    )
    scene, message = two(stage)
    yield scene.refused(
        CODE, "5.4-2", flag, "A hand's payee is a certificate that is not there.", with_hand(message, 0, payee=3)
    )
    scene, message = two(stage)
    yield scene.refused(
        CODE, "5.4-5", "SecondForm", "A hand's payee is a bare key, and its certificate stands in the bundle.",
        with_hand(message, 0, payee=stage.key("ben")),
    )  # fmt: skip
    scene, message = two(stage)
    (token,) = message.bundle.tokens
    lost = with_bundle(message, tokens=(token._replace(owner=3),))
    yield scene.refused(CODE, "5.4-2", flag, "A token's owner is a certificate that is not there.", lost)
    scene, message = two(stage)
    one, other = message.bundle.transfers
    turned = with_bundle(message, transfers=(other._replace(spans=((1, 1, 0, 0, 80),)), one))
    turned = turned._replace(spans=((0, 1, 0, 0, 60),))
    yield scene.refused(
        CODE, "5.4-1 5.4-2", "BundleOrder ForwardReference", "A hand before the one that it spends, renumbered.", turned
    )


def _missing(stage: Stage) -> Iterator[Vector]:
    scene, message = two(stage)
    yield scene.refused(
        CODE, "5.4-1", "Missing", "The last hand is left out.",
        with_bundle(message, transfers=message.bundle.transfers[:1]),
    )  # fmt: skip
    scene, message = two(stage)
    yield scene.refused(CODE, "5.4-1", "Missing", "All hands are left out.", with_bundle(message, transfers=()))
    scene = Scene(stage)
    spans = [Span(scene.token("anna", serial=name), 0, 60) for name in ("one", "two")]
    message = scene.pay("anna", *spans)
    yield scene.refused(
        CODE, "5.4-1", "Missing", "The second of two tokens is left out.",
        with_bundle(message, tokens=message.bundle.tokens[:1]),
    )  # fmt: skip
    scene, message = two(stage)
    yield scene.refused(
        CODE, "5.4-3", "Certificates", "The last hand's certificate is left out.",
        with_bundle(message, certificates=message.bundle.certificates[:-1]),
    )  # fmt: skip


def _extra(stage: Stage) -> Iterator[Vector]:
    for name, how in (("dan", "of somebody who signed nothing"), ("till", "of the payee itself")):
        scene, message = two(stage)
        scene.key(name)
        more = (*message.bundle.certificates, scene.certificate(stage.key(name)))
        yield scene.refused(
            CODE, "5.4-3", "Certificates", f"A certificate {how}.", with_bundle(message, certificates=more)
        )
    scene, message = two(stage)
    more = (*message.bundle.certificates, message.bundle.certificates[1])
    yield scene.refused(
        CODE, "5.4-3", "Certificates", "One certificate twice.", with_bundle(message, certificates=more)
    )
    scene, message = two(stage)
    more = (*message.bundle.certificates, stage.certificate("anna", expires=TODAY + 299))
    yield scene.refused(
        CODE, "5.4-3", "Certificates", "Two certificates of one key.", with_bundle(message, certificates=more)
    )
    scene, message = two(stage)
    more = (*message.bundle.certificates, stage.certificate("carla", expires=TODAY + 299))
    yield scene.refused(
        CODE, "5.4-3", "Certificates", "Two certificates of the payer's key.", with_bundle(message, certificates=more)
    )
    scene = Scene(stage)
    other = scene.token("anna", serial="other")
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), more=(other,))
    yield scene.refused(CODE, "5.4-1 8.3-6", "NotBehind", "A genuine token of the payer that is not spent.", message)
    scene, message = two(stage)
    yield scene.refused(
        CODE, "5.4-1", "NotBehind", "One token twice.", with_bundle(message, tokens=message.bundle.tokens * 2)
    )
    scene = Scene(stage)
    token = scene.token("anna")
    elsewhere = scene.hand("anna", "ben", Span(token, 500, 600))
    message = scene.pay("anna", Span(token, 0, 60), also=(elsewhere,))
    yield scene.refused(
        CODE, "5.4-1 8.3-6", "NotBehind", "A genuine hand of the payer's that gave it nothing.", message
    )
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    elsewhere = scene.hand("ben", "dan", of(first, 0, 20))
    message = scene.pay("ben", of(first, 20, 60), also=(elsewhere,))
    yield scene.refused(CODE, "5.4-1 8.3-6", "NotBehind", "What the payer spent elsewhere of the same hand.", message)
    scene, message = two(stage)
    hands: tuple[CompactTransfer, ...] = (*message.bundle.transfers, message.bundle.transfers[-1])
    yield scene.refused(CODE, "5.4-1", "NotBehind", "The last hand twice.", with_bundle(message, transfers=hands))
    scene, message = two(stage)
    one, last = message.bundle.transfers
    again = last._replace(spans=((1, Side.PAYEE, 0, 0, 80),))
    repeated = with_bundle(message, transfers=(one, one, again))._replace(spans=((2, Side.PAYEE, 0, 0, 60),))
    yield scene.refused(CODE, "5.4-1", "NotBehind", "The first hand twice, and its second copy is spent.", repeated)
