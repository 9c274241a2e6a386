"""Value that a payee must accept: every shape that honest wallets make."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap import limits
from dualtap.statements import Private, Span, Transfer, Verification
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.value.scene import Scene, back, of
from dualtap_conform.vector import Vector

NAMES = ("anna", "ben", "carla", "dan", "eve", "fatma", "gao", "hua")


def chain(scene: Scene, hands: int, amount: int = 100, hops: int = limits.HOPS) -> Transfer:
    """Take in a token and so many hands of it, one after the other; return the last."""
    scene.key(NAMES[0])
    parent = scene.put(scene.stage.token(NAMES[0], hops=hops))
    last = scene.hand(NAMES[0], NAMES[1], Span(parent, 0, amount))
    for place in range(1, hands):
        last = scene.hand(NAMES[place], NAMES[place + 1], of(last, 0, amount))
    return last


def accepted(stage: Stage) -> Iterator[Vector]:
    """What follows every rule."""
    yield from _direct(stage)
    yield from _hands(stage)
    yield from _restored(stage)
    yield from _with(stage)


def _direct(stage: Stage) -> Iterator[Vector]:
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 1250))
    yield scene.accepted("8.1-1 5.3-1", "Basic", "A token's owner spends its first units.", message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 8750, 10_000))
    yield scene.accepted("5.3-4", "Basic", "A token's owner spends its last units.", message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna", limits.AMOUNT), limits.AMOUNT - 1, limits.AMOUNT))
    yield scene.accepted("5.3-4", "LargeNumber", "The last unit of the greatest token there can be.", message)
    scene = Scene(stage)
    token = scene.token("anna")
    scene.see(scene.pay("anna", Span(token, 0, 1250)))
    message = scene.pay("anna", Span(token, 1250, 10_000))
    yield scene.accepted("5.3-8 8.3-1", "FalseConflict", "Exact change: the rest of a token, spent before.", message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna", 300, "one"), 0, 300), Span(scene.token("anna", 70), 20, 70))
    yield scene.accepted("8.1-14", "Basic", "One span each of two tokens.", message)
    scene = Scene(stage)
    token = scene.token("anna")
    message = scene.pay("anna", Span(token, 50, 90), Span(token, 0, 50))
    yield scene.accepted("5.3-6", "FalseConflict", "Two spans of one token that touch, the later one first.", message)
    scene = Scene(stage)
    tokens = [scene.token("anna", 10, f"small {place}") for place in range(limits.SPANS)]
    message = scene.pay("anna", *(Span(token, 0, 10) for token in tokens))
    yield scene.accepted("8.1-11", "SpanCount", "As many spans as this payee takes, of as many tokens.", message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), place=(2**63 - 2, 2**63 - 1))
    yield scene.accepted("4.1-6 5.1-7", "LargeNumber", "The last place that a tape can have.", message)


def _hands(stage: Stage) -> Iterator[Vector]:
    for hands in (1, 2, 6):
        scene = Scene(stage)
        message = scene.pay(NAMES[hands], of(chain(scene, hands), 0, 100))
        yield scene.accepted("8.2-1 5.4-4", "Hops", f"Value after {hands} other hand(s).", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 10, 90))
    message = scene.pay("ben", of(first, 40, 50))
    yield scene.accepted("5.3-4", "Change", "A later hand spends from the middle of what it was given.", message)
    scene = Scene(stage)
    token, other = scene.token("anna"), scene.token("anna", 100, "other")
    first = scene.hand("anna", "ben", Span(token, 10, 90), Span(other, 0, 100))
    message = scene.pay("ben", of(first, 40, 50, place=1), of(first, 40, 50))
    yield scene.accepted("5.3-2", "SpanPlace", "Spans cut from both places of one hand, the second first.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 50))
    second = scene.hand("carla", "ben", Span(scene.token("carla"), 0, 50))
    message = scene.pay("ben", of(first, 0, 50), of(second, 0, 50))
    yield scene.accepted("5.4-1", "Basic", "Value that came from two others.", message)
    bundle = message.bundle
    one, two = bundle.transfers
    spans = tuple((1 - span[0], *span[1:]) for span in message.spans)
    turned = message._replace(bundle=bundle._replace(transfers=(two, one)), spans=spans)
    yield scene.accepted("5.4-1", "BundleOrder", "The same, with the two hands in the other order.", turned)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 100))
    halves = [scene.hand("ben", name, of(first, start, start + 50)) for name, start in (("carla", 0), ("dan", 50))]
    ends = [scene.hand(name, "eve", of(half, *at)) for name, half, at in zip(
        ("carla", "dan"), halves, ((0, 50), (50, 100)), strict=True)]  # fmt: skip
    message = scene.pay("eve", of(ends[0], 0, 50), of(ends[1], 50, 100))
    yield scene.accepted(
        "5.4-1 5.3-6", "FalseConflict", "Value that parted and met again: its first hand once.", message
    )
    scene = Scene(stage)
    there = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    again = scene.hand("ben", "anna", of(there, 0, 60))
    message = scene.pay("anna", of(again, 0, 60))
    yield scene.accepted("5.4-3", "Refund", "A refund, spent again: its first owner signs two hands.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "anna", Span(scene.token("anna"), 0, 60))
    message = scene.pay("anna", of(first, 0, 60))
    yield scene.accepted("5.3-3", "Refund", "A wallet that once paid itself spends what it received.", message)


def _restored(stage: Stage) -> Iterator[Vector]:
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead)
    message = scene.pay("anna", back(dead, 10, 60))
    yield scene.accepted("8.2-4 8.2-5", "Warrant", "Restored value: the request was closed.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead, receipt=stage.draw("another transfer"))
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.accepted("8.2-4", "Warrant", "Restored value: the request was answered by another transfer.", message)
    scene = Scene(stage, policy=stage.policy(hotlist=(stage.key("ben"),)))
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead)
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.accepted("7-20", "Hotlist", "Restored value: a hotlisted payee signed the Close, but no hand.", message)
    scene = Scene(stage)
    last = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(last)
    for _ in range(limits.WARRANTS - 1):
        last = scene.hand("anna", "ben", back(last, 0, 60))
        scene.close(last)
    message = scene.pay("anna", back(last, 0, 60))
    yield scene.accepted("8.2-2", "Restorations", "Restored as often as is taken offline.", message)
    scene = Scene(stage)
    spans: list[Span] = []
    for name in ("one", "two"):
        last = scene.hand("anna", "ben", Span(scene.token("anna", serial=name), 0, 60))
        scene.close(last)
        last = scene.hand("anna", "ben", back(last, 0, 60))
        scene.close(last)
        spans.append(back(last, 0, 60))
    message = scene.pay("anna", *spans)
    yield scene.accepted("8.2-2", "Restorations", "Two spans, each restored twice: they are not added up.", message)
    yield from _restored_on_a_path(stage)


def _restored_on_a_path(stage: Stage) -> Iterator[Vector]:
    scene = Scene(stage)
    scene.key("anna")
    dead = scene.hand("anna", "ben", Span(scene.put(stage.token("anna", hops=1)), 0, 60))
    scene.close(dead)
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.accepted("8.2-2", "Hops", "Restored value of a token for one hop: a payer's side is none.", message)
    scene = Scene(stage)
    last = chain(scene, limits.HOPS - 1)
    payer = NAMES[limits.HOPS - 1]
    for _ in range(limits.WARRANTS):
        last = scene.hand(payer, "zoe", of(last, 0, 100) if last.key != stage.key(payer) else back(last, 0, 100))
        scene.close(last)
    message = scene.pay(payer, back(last, 0, 100))
    yield scene.accepted("8.2-1 8.2-2", "Hops Restorations", "All hops and all restorations that are taken.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    dead = scene.hand("ben", "carla", of(first, 0, 60))
    scene.close(dead)
    third = scene.hand("ben", "carla", back(dead, 0, 60))
    message = scene.pay("carla", of(third, 0, 60))
    yield scene.accepted("8.2-4", "Warrant", "Value that was restored in the middle of its path.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60), Span(scene.token("anna", serial="two"), 5, 9))
    scene.close(dead)
    message = scene.pay("anna", back(dead, 5, 9, place=1))
    yield scene.accepted("5.3-2", "SpanPlace", "Restored value of the second place of a dead transfer.", message)


def _with(stage: Stage) -> Iterator[Vector]:
    private = Private(Verification.PIN, stage.draw("a received transfer"))
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), private=private)
    yield scene.accepted("4.2-2", "PrivateHalf", "A refund: both fields of the private half are committed to.", message)
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), epoch=TODAY + 1)
    yield scene.accepted(
        "8.1-6 7-9",
        "HeaderAlong",
        "Dated by a header that comes along.",
        message._replace(header=stage.header(TODAY + 1)),
    )
    scene = Scene(stage)
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60), epoch=TODAY - 1)
    yield scene.accepted("8.1-6", "HeaderAlong", "Dated by a payer that is a day behind.", message)
    scene = Scene(stage)
    scene.certificates["anna"] = stage.certificate("anna", expires=TODAY + limits.EPOCH_STEP)
    scene.key("anna")
    token = scene.put(stage.token("anna", spend_by=TODAY + limits.EPOCH_STEP))
    message = scene.pay("anna", Span(token, 0, 60))._replace(header=stage.header(TODAY + limits.EPOCH_STEP))
    yield scene.accepted("7-10", "EpochStep", "A header as far ahead as one tap may move a date.", message)
    scene = Scene(stage, authorities=stage.authorities[:2])
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60))
    yield scene.accepted(
        "7-4 7-5", "AuthoritiesAlong", "A payer of a bank whose certificate comes along.",
        message._replace(authorities=stage.authorities[1:]),
    )  # fmt: skip
    scene = Scene(stage)
    scene.certificates["anna"] = stage.certificate("anna", issuer="institution")
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60))
    yield scene.accepted("7-1", "Chain", "A payer whom an institution certified itself.", message)
    scene = Scene(stage)
    message = scene.pay("ben", of(chain(scene, 1), 0, 100))._replace(request=scene.asked_id)
    yield scene.accepted("11.4-5", "Resume", "A Resume of a transfer whose request is open.", message)
    shared = Scene(stage)
    first = chain(shared, 1)
    shared.see(shared.pay("ben", of(first, 0, 40)))
    message = shared.pay("ben", of(first, 40, 100))
    yield shared.accepted(
        "8.3-4", "FalseConflict", "A hand that this payee has seen comes again behind another.", message
    )
