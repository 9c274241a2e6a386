"""Each kind of evidence, and what honest wallets do that looks like it (SPEC §15-1, §15-5, §15-6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dualtap.conditions import Rule
from dualtap.errors import Code
from dualtap.issued import Authority, Condition
from dualtap.statements import RequestOpening, Span, TapeOpening
from dualtap.suite import sha256
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.value.bound import cap, shown, times, u16
from dualtap_conform.value.frauds import Court, closed, given, owning
from dualtap_conform.value.scene import back, of
from dualtap_conform.vector import Vector

NOTHING, FORGED, BROKEN = Code.NOT_EVIDENCE, Code.BAD_SIGNATURE, Code.BROKEN_PROVENANCE


def kinds(stage: Stage) -> Iterator[Vector]:
    """Yield what names somebody, and what only looks like it."""
    for cases in (
        _forks, _forks_of_hands, _no_forks, _no_statements, _tape_forks, _no_tape_forks, _outcomes, _dead_spent,
        _not_dead_spent, _bound,
    ):  # fmt: skip
        yield from cases(stage)


def _forks(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "Fork", "15-1 5.3-8"
    court = Court(stage)
    yield court.named("anna", clauses, flag, "Two transfers share units of a token.", court.fork("anna", *court.pair()))
    court = Court(stage)
    evidence = court.fork("anna", *court.pair(0, 60, 59, 100))
    yield court.named("anna", clauses, flag, "Two transfers share one unit of a token.", evidence)
    court = Court(stage)
    evidence = court.fork("anna", *court.pair(0, 100, 40, 41))
    yield court.named("anna", clauses, flag, "One unit is spent within what another transfer spends.", evidence)
    court, token = owning(stage)
    small = court.scene.token("anna", 100, "small")
    one = court.scene.hand("anna", "ben", Span(token, 0, 50), Span(small, 0, 50))
    other = court.scene.hand("anna", "ben", Span(small, 40, 60))
    evidence = court.fork("anna", one, other)
    yield court.named("anna", clauses, flag, "The second span of one and the first of the other overlap.", evidence)
    turned = replace(evidence, tokens=evidence.tokens[::-1])
    yield court.named("anna", "15-7", f"{flag} EvidenceOrder", "The same, its tokens in the other order.", turned)
    court = Court(stage)
    court.scene.certificates["anna"] = stage.certificate("anna", expires=TODAY - 900)
    evidence = court.fork("anna", *court.pair())
    yield court.named("anna", "15-9", "Excuse", "A certificate that had long expired excuses nobody.", evidence)
    court = Court(stage)
    bank = stage.authority("old bank", Authority.BANK, "institution", quota=1, expires=1)
    court.chain = (stage.authorities[1], bank)
    court.scene.certificates["anna"] = stage.certificate("anna", issuer="old bank")
    evidence = court.fork("anna", *court.pair())
    yield court.named("anna", "15-9", "Excuse", "Nor does a bank that had expired.", evidence)
    court = Court(stage)
    court.chain = stage.authorities[1:2]
    court.scene.certificates["anna"] = stage.certificate("anna", issuer="institution")
    evidence = court.fork("anna", *court.pair())
    yield court.named("anna", "15-3", "EvidenceChain", "A wallet of the institution's own: no bank is shown.", evidence)


def _forks_of_hands(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "Fork", "15-1 15-6"
    court, first = given(stage, 100)
    second = court.scene.hand("ben", "carla", of(first, 0, 80))
    pair = [court.scene.hand("carla", name, of(second, 0, 80)) for name in ("dan", "eve")]
    evidence = court.fork("carla", *pair)
    yield court.named("carla", clauses, flag, "The fork of a later hand, with two hands behind it.", evidence)
    turned = replace(evidence, transfers=evidence.transfers[::-1])
    yield court.named("carla", "15-7", f"{flag} EvidenceOrder", "The same, its hands in the other order.", turned)
    court, dead = given(stage, 60)
    pair = [court.scene.hand("anna", name, back(dead, 0, 60)) for name in ("carla", "dan")]
    evidence = court.fork("anna", *pair)
    how = "The fork of a payer's side: no warrant is needed, dead or not."
    yield court.named("anna", "15-9", flag, how, evidence)
    court, token = owning(stage)
    first = court.scene.hand("anna", "anna", Span(token, 0, 60))
    second = court.scene.hand("anna", "ben", Span(token, 30, 90), of(first, 0, 20))
    evidence = court.fork("anna", first, second)
    yield court.named("anna", "15-7", flag, "One of the two is behind the other: it stands there once.", evidence)
    court, token = owning(stage)
    one, other = (court.scene.hand("anna", "ben", Span(token, 0, end)) for end in (60, 70))
    early = court.scene.hand("ben", "carla", of(one, 0, 30))
    late = court.scene.hand("ben", "carla", of(one, 29, 60), of(other, 60, 70))
    evidence = court.fork("ben", early, late)
    yield court.named("ben", clauses, flag, "A fork above another's fork: each is named by its own evidence.", evidence)


def _no_forks(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "NoFork", "15-5 5.3-8"
    court = Court(stage)
    evidence = court.fork("anna", *court.pair(0, 50, 50, 100))
    yield court.nobody(NOTHING, clauses, flag, "Two spans that touch: exact change.", evidence)
    court = Court(stage)
    one = court.scene.hand("anna", "ben", Span(court.scene.token("anna"), 0, 60))
    other = court.scene.hand("anna", "ben", Span(court.scene.token("anna", serial="two"), 0, 60))
    evidence = court.fork("anna", one, other)
    yield court.nobody(NOTHING, clauses, flag, "The same units of two tokens.", evidence)
    court, first = given(stage, 60, "anna")
    evidence = court.fork("anna", first, court.scene.hand("anna", "ben", of(first, 0, 60)))
    how = "The same units of two parents: what a wallet paid itself, and spent then."
    yield court.nobody(NOTHING, clauses, flag, how, evidence)
    court, first = given(stage, 60)
    evidence = court.fork("ben", first, court.scene.hand("ben", "carla", of(first, 0, 60)))
    yield court.nobody(NOTHING, clauses, flag, "One unit by two keys: it was passed on.", evidence)
    court = Court(stage)
    one, _ = court.pair()
    yield court.nobody(NOTHING, "15-5 8.3-4", flag, "One transfer twice.", court.fork("anna", one, one))
    court = Court(stage)
    evidence = court.fork("anna", *court.pair())
    turned = replace(evidence, first=evidence.second, second=evidence.first)
    yield court.nobody(NOTHING, "15-1", f"{flag} EvidenceOrder", "The larger id comes first.", turned)
    for change, how in (
        ({"key": stage.key("ben"), "certificate": court.wallet("ben")}, "The payee is named for its payer's fork."),
        ({"key": stage.key("ben")}, "The payee is named, under its payer's certificate."),
        ({"certificate": court.wallet("ben")}, "The thief is named, under another's certificate."),
    ):
        framed = replace(evidence, **change)
        yield court.nobody(NOTHING, "15-1 15-3", "Framed", how, framed)


def _no_statements(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "NoStatement", "15-6 15-10 5.3-7"
    court, token = owning(stage)
    pair = [court.scene.hand("ben", name, Span(token, 0, 60)) for name in ("carla", "dan")]
    how = "Two transfers of what another owns."
    yield court.nobody(Code.NOT_OWNER, clauses, flag, how, court.fork("ben", *pair))
    court, token = owning(stage)
    first = court.scene.hand("ben", "carla", Span(token, 0, 60))
    pair = [court.scene.hand("carla", name, of(first, 0, 60)) for name in ("dan", "eve")]
    how = "Two transfers of what the hand behind did not own."
    yield court.nobody(Code.NOT_OWNER, clauses, flag, how, court.fork("carla", *pair))
    court, token = owning(stage)
    second = token._replace(place=1)
    pair = [court.scene.hand("anna", name, Span(second, 0, 60)) for name in ("ben", "carla")]
    how = "Two transfers cut from a token's place 1: it has place 0 only."
    yield court.nobody(BROKEN, "5.3-2 15-6", flag, how, court.fork("anna", *pair))
    court, token = owning(stage)
    one = court.scene.hand("anna", "ben", Span(token, 0, 60), Span(token, 50, 70))
    other = court.scene.hand("anna", "ben", Span(token, 0, 10))
    how = "One of the two spends a unit twice in itself: it is no statement."
    yield court.nobody(Code.SPANS_OVERLAP, clauses, flag, how, court.fork("anna", one, other))
    court = Court(stage)
    one, other = court.pair(0, 60, 50, 10_001)
    how = "One of the two reaches beyond the token."
    yield court.nobody(Code.SPAN_OUTSIDE, clauses, flag, how, court.fork("anna", one, other))
    court, first = given(stage, 60)
    one = court.scene.hand("ben", "carla", of(first, 0, 60))
    other = court.scene.hand("ben", "carla", of(first, 0, 60), epoch=TODAY - 1)
    how = "One of the two is dated before the hand that it spends."
    yield court.nobody(Code.EPOCH_BACKWARDS, clauses, flag, how, court.fork("ben", one, other))
    court = Court(stage)
    dead, _, warrant = court.dead()
    again = court.scene.hand("ben", "dan", of(dead, 10, 61))
    evidence = court.dead_spent("ben", dead, again, warrant)
    how = "More is spent than was in the dead transfer: the spender is no statement."
    yield court.nobody(Code.SPAN_OUTSIDE, clauses, flag, how, evidence)


def _tape_forks(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "TapeFork", "15-1 4.1-5"
    for one, other, how in (
        ((4, 6), (4, 6), "Two transfers at one place of a tape."),
        ((4, 6), (5, 9), "Two places that share one counter."),
        ((4, 9), (6, 7), "One place within the other."),
        ((0, 2**63 - 1), (2**63 - 2, 2**63 - 1), "The last place of a tape, twice."),
    ):
        court, token = owning(stage)
        pair = court.at("anna", "ben", Span(token, 0, 5), *one), court.at("anna", "ben", Span(token, 5, 9), *other)
        yield court.named("anna", clauses, flag, how, court.tape_fork("anna", *pair))
    court, token = owning(stage)
    transfer = court.at("anna", "ben", Span(token, 0, 5), 4, 6, stage.draw("request"))
    evidence = court.tape_fork("anna", transfer, court.outcome("anna", place=5))
    yield court.named("anna", clauses, flag, "A transfer and a Close share a counter.", evidence)
    court = Court(stage)
    receipt = court.outcome("anna", stage.draw("a transfer"), place=5)
    evidence = court.tape_fork("anna", receipt, court.outcome("anna", request="another", place=5))
    yield court.named("anna", clauses, flag, "A Receipt and a Close of two requests share a counter.", evidence)
    court, token = owning(stage, "ben")
    pair = court.at("anna", "carla", Span(token, 0, 5), 4, 6), court.at("anna", "carla", Span(token, 0, 5), 5, 6)
    how = "Two places overlap, of transfers that are no statements: a tape says nothing about ownership."
    yield court.named("anna", "15-6", flag, how, court.tape_fork("anna", *pair))


def _no_tape_forks(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "NoTapeFork", "15-5 4.1-5"
    court, token = owning(stage)
    one, other = (court.at("anna", "ben", Span(token, 0, 5), *place) for place in ((4, 6), (6, 8)))
    evidence = court.tape_fork("anna", one, other)
    yield court.nobody(NOTHING, clauses, flag, "One place right after the other.", evidence)
    other = court.at("anna", "ben", Span(token, 0, 5), 90, 91)
    how = "A gap between two places is no fork."
    yield court.nobody(NOTHING, "15-10", flag, how, court.tape_fork("anna", one, other))
    other = court.at("ben", "anna", Span(token, 0, 5), 4, 6)
    how = "One place on two tapes."
    yield court.nobody(NOTHING, clauses, flag, how, court.tape_fork("anna", one, other))
    how = "One entry twice."
    yield court.nobody(NOTHING, "15-5 8.3-4", flag, how, court.tape_fork("anna", one, one))
    good = court.tape_fork("anna", one, court.at("anna", "ben", Span(token, 0, 5), 5, 9))
    first, second = good.openings
    for openings, how in (
        ((second, first), "Each entry with the other's opening."),
        ((first, first), "The second entry with the first one's opening."),
        ((first,), "The second opening is missing."),
        ((), "Both openings are missing."),
        ((first, _apart(second)), "An opening that was altered, so that the places touch only."),
        ((_wider(first), second), "An opening that was altered, so that the places overlap more."),
    ):
        yield court.nobody(NOTHING, "15-1 15-7", f"{flag} Opening", how, replace(good, openings=openings))
    how = "Two places that touch, and openings altered so that they overlap."
    evidence = court.tape_fork("anna", one, court.at("anna", "ben", Span(token, 0, 5), 6, 8))
    lied = tuple(opening._replace(prev=4) for opening in evidence.openings)
    yield court.nobody(NOTHING, "15-5", f"{flag} Opening", how, replace(evidence, openings=lied))


def _apart(opening: TapeOpening) -> TapeOpening:
    return opening._replace(prev=opening.prev + 4, ctr=opening.ctr + 4)


def _wider(opening: TapeOpening) -> TapeOpening:
    return opening._replace(prev=0)


def _outcomes(stage: Stage) -> Iterator[Vector]:
    flag, clauses, some = "TwoOutcomes", "15-1 4.1-12", stage.draw("a transfer")
    court = Court(stage)
    close = court.outcome("ben")
    evidence = court.two_outcomes("ben", close, court.outcome("ben", some, place=2))
    yield court.named("ben", clauses, flag, "A Close and a Receipt of one request.", evidence)
    good = evidence
    evidence = court.two_outcomes("ben", court.outcome("ben", stage.draw("other")), court.outcome("ben", some, place=2))
    yield court.named("ben", clauses, flag, "Receipts of two transfers for one request.", evidence)
    flag = "OneOutcome"
    for one, other, how in (
        (close, court.outcome("ben", reason=10, place=2), "Two Closes of one request with two reasons."),
        (close, court.outcome("ben", place=2), "Two Closes at two places: a tape fork proves more, this nothing."),
        (court.outcome("ben", some), court.outcome("ben", some, place=2), "Two Receipts of one transfer."),
        (close, court.outcome("ben", some, request="another", place=2), "Outcomes of two requests."),
        (close, court.outcome("carla", some, place=2), "Outcomes by two keys."),
        (close, close, "One outcome twice."),
    ):
        evidence = court.two_outcomes("ben", one, other)
        yield court.nobody(NOTHING, "15-5 4.1-12", flag, how, evidence)
    turned = replace(good, first=good.second, second=good.first)
    yield court.nobody(NOTHING, "15-1", f"{flag} EvidenceOrder", "Two outcomes, the larger id first.", turned)
    entry = closed(court.at("ben", "anna", Span(court.scene.token("ben"), 0, 5), 0, 2, stage.draw("request ")))
    first, second = sorted((entry, good.first), key=lambda item: item.id)
    mixed = replace(good, first=first, second=second)
    yield court.nobody(NOTHING, "15-5", flag, "A transfer and an outcome.", mixed)


def _dead_spent(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "DeadSpent", "15-1 8.2-4"
    court = Court(stage)
    evidence = court.dead_spent("ben", *court.dead())
    yield court.named("ben", clauses, flag, "A payee spends what it closed.", evidence)
    court = Court(stage)
    evidence = court.dead_spent("ben", *court.dead(accepted=stage.draw("another transfer")))
    yield court.named("ben", clauses, flag, "A payee spends what it did not accept: another was.", evidence)
    court, first = given(stage, 100)
    dead = court.scene.hand("ben", "carla", of(first, 0, 60))
    warrant = court.scene.close(dead)
    more = Span(court.scene.token("carla"), 0, 9)
    spender = court.scene.hand("carla", "dan", more, of(dead, 59, 60))
    evidence = court.dead_spent("carla", dead, spender, warrant)
    yield court.named("carla", clauses, flag, "The same later on a path, beside a token of its own.", evidence)
    court = Court(stage)
    court.scene.certificates["ben"] = stage.certificate("ben", expires=1)
    evidence = court.dead_spent("ben", *court.dead())
    yield court.named("ben", "15-9", f"{flag} Excuse", "An expired payee spends what it closed.", evidence)


def _not_dead_spent(stage: Stage) -> Iterator[Vector]:
    flag, clauses = "NotDeadSpent", "15-5 8.2-4"
    court = Court(stage)
    dead, spender, warrant = court.dead()
    good = court.dead_spent("ben", dead, spender, warrant)
    yield court.nobody(NOTHING, "15-1", f"{flag} Opening", "The warrant is missing.", replace(good, warrant=None))
    paid = court.scene.close(dead, receipt=dead.id)
    how = "The outcome is the Receipt of this very transfer: the payee was paid."
    yield court.nobody(BROKEN, clauses, flag, how, court.dead_spent("ben", dead, spender, paid))
    other = court.scene.close(dead, request=stage.draw("another request"))
    how = "The outcome is that of another request."
    yield court.nobody(BROKEN, clauses, flag, how, court.dead_spent("ben", dead, spender, other))
    for by in ("anna", "carla"):
        forged = court.scene.close(dead, by=by)
        how = f"The outcome was not signed by its payee, but by {by}."
        yield court.nobody(FORGED, clauses, flag, how, court.dead_spent("ben", dead, spender, forged))
    body, place_on_tape = warrant.outcome.body, stage.opening("own", 0, 2)
    own_word = replace(warrant, outcome=court.scene.signed("carla", body, place_on_tape))
    how = "The outcome is another wallet's own, signed by its own key."
    yield court.nobody(BROKEN, clauses, flag, how, court.dead_spent("ben", dead, spender, own_word))
    for name in ("carla", "anna"):
        framed = replace(good, key=stage.key(name), certificate=court.wallet(name))
        how = f"Another is named for it: {name}."
        yield court.nobody(NOTHING, "15-1 15-5", f"{flag} Framed", how, framed)
    place, salt, request = warrant.opening
    for opening, what in (
        (RequestOpening(bytes(32), salt, request), "place"),
        (RequestOpening(place, bytes(32), request), "salt"),
    ):
        lied = replace(warrant, opening=opening)
        how = f"An opening with another {what} does not open the dead transfer."
        yield court.nobody(BROKEN, clauses, f"{flag} Opening", how, court.dead_spent("ben", dead, spender, lied))
    restored = court.scene.hand("anna", "carla", back(dead, 0, 60))
    how = "The payer spends its own side of the dead transfer."
    yield court.nobody(NOTHING, clauses, flag, how, court.dead_spent("anna", dead, restored, warrant))
    own = court.scene.hand("ben", "carla", Span(court.scene.token("ben"), 0, 60))
    how = "The payee spends something else."
    yield court.nobody(NOTHING, clauses, flag, how, court.dead_spent("ben", dead, own, warrant))
    court = Court(stage)
    dead, spender, warrant = court.dead()
    later = court.scene.hand("carla", "dan", of(spender, 10, 20))
    how = "The next hand, honest, spends what the payee of the dead transfer gave it."
    yield court.nobody(NOTHING, clauses, f"{flag} Framed", how, court.dead_spent("carla", dead, later, warrant))


def _bound(stage: Stage) -> Iterator[Vector]:
    """Yield forks of purpose-bound value: what breaks a condition is no statement, and proves nothing."""
    secret, flag = stage.draw("secret"), "Fork Condition"
    certificate = shown(stage.certificate("ben", category=5411))
    for code, value, payee, witness, good, how in (
        (Rule.CAP, cap(60), "ben", (), True, "Two transfers that keep to a cap."),
        (Rule.CAP, cap(59), "ben", (), False, "Two transfers above a cap."),
        (Rule.CAP, cap(59), "institution", (), True, "Two deposits above a cap, which does not bind them."),
        (9, b"", "institution", (), True, "Two deposits under a condition of another version."),
        (9, b"", "ben", (), False, "Two transfers under a condition of another version."),
        (Rule.PREIMAGE, sha256(secret), "ben", (secret,), True, "Two transfers that show a preimage."),
        (Rule.PREIMAGE, sha256(secret), "ben", (), False, "Two transfers that do not show a preimage."),
        (Rule.CATEGORY, u16(5411), "ben", (certificate,), True, "Two transfers to a certified shop."),
    ):
        court = Court(stage)
        court.scene.key("anna")
        token = court.scene.put(stage.token("anna", conditions=(Condition(int(code), value),)))
        pair = [court.scene.hand("anna", payee, Span(token, 0, end), witness=witness) for end in (60, 60)]
        evidence = court.fork("anna", *pair)
        if good:
            yield court.named("anna", "5.6-6 5.6-4", flag, how, evidence)
        else:
            yield court.nobody(Code.CONDITION_UNMET, "5.6-6 5.3-9 15-6", f"NoStatement {flag}", how, evidence)
    for first, good, how in ((2, True, "the same use"), (3, False, "the same units, and no use")):
        court = Court(stage)
        court.scene.key("anna")
        token = court.scene.put(stage.token("anna", conditions=(Condition(Rule.COUNT, times(3)),)))
        pair = [court.scene.hand("anna", "ben", Span(token, first, end)) for end in (60, 61)]
        evidence, comment = court.fork("anna", *pair), f"Two transfers of a counted token that take {how}."
        if good:
            yield court.named("anna", "5.6-14", f"{flag} Count", comment, evidence)
        else:
            flags = f"NoStatement {flag} Count"
            yield court.nobody(Code.CONDITION_UNMET, "5.6-14 5.3-9 15-6", flags, comment, evidence)
