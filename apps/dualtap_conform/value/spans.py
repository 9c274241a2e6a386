"""Transfers that are no statements (SPEC §5.3), and value that a payee does not take (SPEC §8.1, §8.2)."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap import limits
from dualtap.errors import Code
from dualtap.statements import Parent, Side, Span, Transfer
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.value.good import NAMES, chain
from dualtap_conform.value.scene import Scene, back, of
from dualtap_conform.vector import Vector


def refused(stage: Stage) -> Iterator[Vector]:
    """What is cut wrongly, or does not fit the request."""
    yield from _outside(stage)
    yield from _owners(stage)
    yield from _twice(stage)
    yield from _dates(stage)
    yield from _hops(stage)
    yield from _asked(stage)


def _outside(stage: Stage) -> Iterator[Vector]:
    flag, code = "SpanOutside", Code.SPAN_OUTSIDE
    for start, end, how in (
        (9_990, 10_001, "A span one unit past its token's end."),
        (10_000, 10_001, "A span behind its token's end."),
        (limits.AMOUNT - 1, limits.AMOUNT, "The greatest span there can be, of a small token."),
    ):
        scene = Scene(stage)
        yield scene.refused(code, "5.3-4", flag, how, scene.pay("anna", Span(scene.token("anna"), start, end)))
    for spans, how in (
        (((0, 100), (200, 200)), "A span of no units beside a good one."),
        (((0, 300), (500, 400)), "A span backwards: taken from the sum, the amount would fit."),
    ):
        scene = Scene(stage)
        token = scene.token("anna")
        message = scene.pay("anna", *(Span(token, *span) for span in spans))
        yield scene.refused(code, "5.3-4", f"{flag} EmptySpan", how, message)
    for start, end, how in (
        (9, 60, "A later hand spends one unit before what it was given."),
        (10, 61, "A later hand spends one unit past what it was given."),
        (500, 550, "A later hand spends units of the token that it was never given."),
    ):
        scene = Scene(stage)
        first = scene.hand("anna", "ben", Span(scene.token("anna"), 10, 60))
        yield scene.refused(code, "5.3-4", flag, how, scene.pay("ben", of(first, start, end)))
    scene = Scene(stage)
    token = scene.token("anna")
    first = scene.hand("anna", "ben", Span(token, 0, 50), Span(token, 50, 100))
    message = scene.pay("ben", of(first, 0, 100))
    yield scene.refused(code, "5.3-4", flag, "A span over both of a hand's spans, cut from the first.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 10, 60))
    second = scene.hand("ben", "carla", of(first, 0, 60))
    message = scene.pay("carla", of(second, 20, 40))
    yield scene.refused(code, "5.3-1 5.3-4", flag, "Not the last span, but that of the hand behind it.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 10, 60))
    scene.close(dead)
    message = scene.pay("anna", back(dead, 0, 60))
    yield scene.refused(code, "5.3-4", flag, "More comes back than was in the dead transfer.", message)


def _owners(stage: Stage) -> Iterator[Vector]:
    flag, code = "WrongOwner", Code.NOT_OWNER
    scene = Scene(stage)
    token = scene.token("anna")
    first = scene.hand("anna", "carla", Span(token, 0, 10))
    message = scene.pay("carla", of(first, 0, 10), Span(token, 10, 20))
    yield scene.refused(code, "5.3-3", flag, "Who was given a part of a token spends the rest too.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 10))
    message = scene.pay("carla", of(first, 0, 10))
    yield scene.refused(code, "5.3-3", flag, "A stranger spends what another was given.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 10))
    message = scene.pay("anna", of(first, 0, 10))
    yield scene.refused(code, "5.3-3", flag, "The payer spends the payee's side.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 10))
    scene.close(dead)
    message = scene.pay("ben", back(dead, 0, 10))
    yield scene.refused(code, "5.3-3", flag, "The payee spends the payer's side of a dead transfer.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 10))
    second = scene.hand("carla", "dan", of(first, 0, 10))
    message = scene.pay("dan", of(second, 0, 10))
    yield scene.refused(code, "5.3-1 5.3-3", flag, "A hand in the middle was not the owner's.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 10))
    other = scene.hand("anna", "carla", Span(scene.token("anna", serial="two"), 0, 10))
    message = scene.pay("ben", of(first, 0, 10), of(other, 0, 10))
    yield scene.refused(code, "5.3-3", flag, "One of two spans was given to another.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "bank", Span(scene.token("anna"), 0, 10))
    message = scene.pay("carla", of(first, 0, 10))
    yield scene.refused(code, "5.3-3", flag, "What was deposited is spent by a stranger.", message)


def _twice(stage: Stage) -> Iterator[Vector]:
    for spans, how in (
        (((0, 60), (59, 100)), "Two spans of a token share a unit."),
        (((0, 60), (0, 60)), "One span twice."),
        (((10, 20), (0, 100)), "A span within another, shown first."),
        (((0, 10), (50, 60), (5, 8)), "The first and the third of three spans share units."),
    ):
        scene = Scene(stage)
        token = scene.token("anna")
        message = scene.pay("anna", *(Span(token, *span) for span in spans))
        yield scene.refused(Code.SPANS_OVERLAP, "5.3-6", "UnitTwice", how, message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 100))
    message = scene.pay("ben", of(first, 0, 60), of(first, 40, 100))
    yield scene.refused(Code.SPANS_OVERLAP, "5.3-6", "UnitTwice", "Two spans of one hand share units.", message)
    scene = Scene(stage)
    token = scene.token("anna")
    first = scene.hand("anna", "ben", Span(token, 0, 60), Span(token, 40, 100))
    message = scene.pay("ben", of(first, 0, 30))
    yield scene.refused(Code.SPANS_OVERLAP, "5.3-6", "UnitTwice", "A hand behind spends units twice.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    message = scene.pay("ben", of(first, 0, 60, place=1))
    yield scene.refused(Code.BROKEN_PROVENANCE, "5.3-2", "SpanPlace", "A place that its hand does not have.", message)
    scene = Scene(stage)
    token = scene.token("anna")
    message = scene.pay("anna", Span(Parent(token.id, Side.TOKEN, 1), 0, 60))
    yield scene.refused(
        Code.BAD_SIGNATURE, "5.3-2 5.4-4", "SpanPlace", "Signed as cut from a token's place 1: it has place 0 only.",
        message,
    )  # fmt: skip


def _dates(stage: Stage) -> Iterator[Vector]:
    code, flag = Code.EPOCH_BACKWARDS, "EpochBackwards"
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    message = scene.pay("ben", of(first, 0, 60), epoch=TODAY - 1)
    yield scene.refused(code, "5.3-5", flag, "A day before the hand that it spends.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    second = scene.hand("ben", "carla", of(first, 0, 60), epoch=TODAY - 1)
    message = scene.pay("carla", of(second, 0, 60))
    yield scene.refused(code, "5.3-5", flag, "The days of two hands behind run backwards.", message)
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60), epoch=TODAY + 1)
    message = scene.pay("ben", of(first, 0, 60))
    yield scene.refused(code, "5.3-5", f"{flag} EpochAhead", "A hand behind is of tomorrow.", message)
    scene = Scene(stage)
    dead = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(dead)
    message = scene.pay("anna", back(dead, 0, 60), epoch=TODAY - 1)
    yield scene.refused(code, "5.3-5", flag, "A day before the dead transfer that it was restored from.", message)
    scene = Scene(stage)
    old = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60), epoch=TODAY - 2)
    new = scene.hand("anna", "ben", Span(scene.token("anna", serial="two"), 0, 60))
    message = scene.pay("ben", of(old, 0, 60), of(new, 0, 60), epoch=TODAY - 1)
    yield scene.refused(code, "5.3-5", flag, "Before the second of two hands that it spends.", message)


def _hops(stage: Stage) -> Iterator[Vector]:
    code, flag = Code.TOO_MANY_HOPS, "Hops"
    scene = Scene(stage)
    message = scene.pay(NAMES[7], of(chain(scene, limits.HOPS), 0, 100))
    yield scene.refused(code, "8.2-1", flag, "One hand more than this payee takes.", message)
    for hands in (0, 1, 3):
        scene = Scene(stage)
        message = scene.pay(NAMES[hands], _after(scene, hands, hops=hands + 1))
        yield scene.accepted("8.2-1", flag, f"The last of {hands + 1} hop(s) that the token allows.", message)
        scene = Scene(stage)
        message = scene.pay(NAMES[hands], _after(scene, hands, hops=hands))
        yield scene.refused(code, "8.2-1", flag, f"One hop more than the {hands} that the token allows.", message)
    scene = Scene(stage)
    scene.key("anna")
    short, long = scene.put(stage.token("anna", serial="short", hops=1)), scene.token("anna")
    first = scene.hand("anna", "ben", Span(long, 0, 50), Span(short, 0, 50))
    message = scene.pay("ben", of(first, 0, 50), of(first, 0, 50, place=1))
    yield scene.refused(code, "8.2-1", flag, "The second of two spans is of a token for one hop.", message)
    for hands, good in ((1, True), (2, False)):
        scene = Scene(stage, profile=limits.CARD)
        message = scene.pay(NAMES[hands], of(chain(scene, hands), 0, 100))
        if good:
            yield scene.accepted("10.1-1 8.2-1", f"{flag} CardProfile", "A card takes value after one hand.", message)
        else:
            how = "A card takes no value after two hands: with this one they were three."
            yield scene.refused(code, "10.1-1 8.2-1", f"{flag} CardProfile", how, message)
    code, flag = Code.TOO_MANY_WARRANTS, "Restorations"
    scene = Scene(stage)
    last = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(last)
    for _ in range(limits.WARRANTS):
        last = scene.hand("anna", "ben", back(last, 0, 60))
        scene.close(last)
    message = scene.pay("anna", back(last, 0, 60))
    yield scene.refused(code, "8.2-2", flag, "Restored once more than is taken offline.", message)
    scene = Scene(stage)
    last = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60))
    scene.close(last)
    for payer, payee in (("anna", "ben"), ("ben", "anna"), ("ben", "anna")):
        fresh = last.key != stage.key(payer)
        last = scene.hand(payer, payee, of(last, 0, 60) if fresh else back(last, 0, 60))
        if payer == "ben":
            scene.close(last)
    message = scene.pay("ben", back(last, 0, 60))
    yield scene.refused(code, "8.2-2", flag, "Restored three times, before and after it changed hands.", message)


def _after(scene: Scene, hands: int, hops: int) -> Span:
    """Return a span after so many hands of a token for so many hops."""
    if hands:
        return of(chain(scene, hands, hops=hops), 0, 100)
    scene.key("anna")
    return Span(scene.put(scene.stage.token("anna", hops=hops)), 0, 100)


def _asked(stage: Stage) -> Iterator[Vector]:
    for asked in (59, 61):
        scene = Scene(stage, asked=asked)
        message = scene.pay("anna", Span(scene.token("anna"), 0, 60))
        yield scene.refused(
            Code.WRONG_AMOUNT, "8.1-14", "WrongAmount", f"60 units in answer to a request for {asked}.", message
        )
    scene = Scene(stage, currency="EUR")
    message = scene.pay("anna", Span(scene.token("anna"), 0, 60))
    yield scene.refused(Code.WRONG_CURRENCY, "8.1-12", "WrongCurrency", "Another currency than asked.", message)
    scene = Scene(stage)
    scene.key("anna")
    euro = scene.put(stage.token("anna", currency="EUR"))
    message = scene.pay("anna", Span(scene.token("anna", serial="two"), 0, 60), Span(euro, 0, 60))
    yield scene.refused(
        Code.WRONG_CURRENCY, "8.1-12", "WrongCurrency", "The second of two spans is of another currency.", message
    )
    scene = Scene(stage)
    first = scene.hand("anna", "ben", Span(scene.token("anna"), 0, 60), Span(scene.put(stage.token(
        "anna", serial="euro", currency="EUR")), 0, 60))  # fmt: skip
    message = scene.pay("ben", of(first, 0, 60))
    yield scene.accepted(
        "8.1-12", "WrongCurrency", "A hand behind also moved another currency, which is not spent here.", message
    )
    card = limits.CARD
    for count in (card.spans, card.spans + 1):
        scene = Scene(stage, profile=card)
        token = scene.token("anna")
        message = scene.pay("anna", *(Span(token, 10 * place, 10 * place + 5) for place in range(count)))
        if count == card.spans:
            yield scene.accepted("8.1-11 10.1-1", "SpanCount CardProfile", "As many spans as a card takes.", message)
        else:
            how = "One span more than this card takes."
            yield scene.refused(Code.TOO_LARGE, "8.1-11", "SpanCount CardProfile", how, message)
    scene = Scene(stage, profile=card)
    tokens = [scene.token("anna", serial=f"small {place}") for place in range(card.spans)]
    first = scene.hand("anna", "ben", *(Span(token, 0, 5) for token in tokens))
    message = scene.pay("ben", *(of(first, 0, 5, place=place) for place in range(card.spans)))
    message = message._replace(header=stage.header(), authorities=stage.authorities[1:])
    yield scene.refused(
        Code.TOO_LARGE, "5.2-3", "LongMessage CardProfile", "A message longer than a card's frame.", message
    )
    yield from _spend_by(stage)


def _spend_by(stage: Stage) -> Iterator[Vector]:
    flag = "TokenExpired"
    last_second = (TODAY + 1) * limits.EPOCH_SECONDS - 1
    for spend_by, now, good, how in (
        (TODAY, 0, True, "A token on its last day."),
        (TODAY, last_second, True, "A token in the last second of its last day, by the payee's clock."),
        (TODAY, last_second + 1, False, "A token a second after its last day, by the payee's clock."),
        (TODAY - 1, 0, False, "A token a day after its last."),
        (TODAY - 1, (TODAY - 1) * limits.EPOCH_SECONDS, False, "A clock that is behind does not make a token younger."),
    ):
        scene = Scene(stage, now=now)
        scene.key("anna")
        message = scene.pay("anna", Span(scene.put(stage.token("anna", spend_by=spend_by)), 0, 60))
        clauses, flags = "8.1-12 7-12", f"{flag} Clock" if now else flag
        if good:
            yield scene.accepted(clauses, flags, how, message)
        else:
            yield scene.refused(Code.TOKEN_EXPIRED, clauses, flags, how, message)
    for along, epoch, how in (
        (True, TODAY, "A header that comes along shows that the token has expired."),
        (False, TODAY - 9, "An expired token, in a transfer that is dated back into its life."),
    ):
        scene = Scene(stage)
        scene.key("anna")
        token = scene.put(stage.token("anna", spend_by=TODAY if along else TODAY - 1))
        message = scene.pay("anna", Span(token, 0, 60), epoch=epoch)
        if along:
            message = message._replace(header=stage.header(TODAY + 1))
        yield scene.refused(Code.TOKEN_EXPIRED, "8.1-12 7-12", flag, how, message)
    scene = Scene(stage)
    scene.key("anna")
    first = _expired_hand(scene)
    message = scene.pay("ben", of(first, 0, 60))
    yield scene.refused(Code.TOKEN_EXPIRED, "8.1-12", flag, "Received in time, spent a day too late.", message)


def _expired_hand(scene: Scene) -> Transfer:
    token = scene.put(scene.stage.token("anna", spend_by=TODAY - 1))
    return scene.hand("anna", "ben", Span(token, 0, 60), epoch=TODAY - 1)
