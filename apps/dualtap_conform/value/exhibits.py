"""Evidence as a file: what it may show, who signed it, and its bytes (SPEC §15-3, §15-4, §15-7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from dualtap.codec import pack
from dualtap.errors import Code
from dualtap.evidence import Evidence, Fraud, encode_evidence
from dualtap.issued import Authority, key_hint
from dualtap.statements import Span, Transfer
from dualtap_conform.stage import Stage
from dualtap_conform.value.frauds import Court, closed, given, owning
from dualtap_conform.value.scene import of
from dualtap_conform.vector import Vector, error

NOTHING, FORGED, BROKEN = Code.NOT_EVIDENCE, Code.BAD_SIGNATURE, Code.BROKEN_PROVENANCE


def spoilt(stage: Stage) -> Iterator[Vector]:
    """Yield evidence of true frauds that names nobody all the same."""
    for cases in (_shown, _signatures, _chains, _bytes):
        yield from cases(stage)


def _shown(stage: Stage) -> Iterator[Vector]:
    """Yield evidence that shows more or less than it must."""
    flag, clauses = "EvidenceShows", "15-7"
    court = Court(stage)
    fork, pair = court.fork("anna", *court.pair()), court.pair(200, 210, 220, 230)
    foreign = stage.token("carla")
    tape = court.tape_fork("anna", *(court.at("anna", "ben", Span(court.scene.token("anna"), 0, 5), *at)
                                     for at in ((4, 6), (4, 7))))  # fmt: skip
    dead, spender, warrant = court.dead()
    gone = court.dead_spent("ben", dead, spender, warrant)
    two = court.two_outcomes("ben", court.outcome("ben"), court.outcome("ben", stage.draw("a transfer"), place=2))
    other = closed(pair[0])
    cases: tuple[tuple[Evidence, str], ...] = (
        (replace(fork, tokens=(*fork.tokens, foreign)), "A fork, and a token that is not behind it."),
        (replace(fork, tokens=fork.tokens * 2), "A fork, and its token twice."),
        (replace(fork, transfers=(other,)), "A fork, and another transfer of the thief's."),
        (replace(fork, transfers=(cast("Transfer", fork.first),)), "A fork, and its first transfer once more."),
        (replace(fork, openings=tape.openings), "A fork, and openings of a tape."),
        (replace(fork, warrant=gone.warrant), "A fork, and a warrant."),
        (replace(tape, tokens=fork.tokens), "A fork of a tape, and a token."),
        (replace(tape, warrant=gone.warrant), "A fork of a tape, and a warrant."),
        (replace(two, tokens=fork.tokens), "Two outcomes, and a token."),
        (replace(two, openings=tape.openings), "Two outcomes, and openings of a tape."),
        (replace(two, warrant=gone.warrant), "Two outcomes, and a warrant."),
        (replace(gone, openings=tape.openings), "A dead transfer spent, and openings of a tape."),
        (replace(gone, transfers=(other,)), "A dead transfer spent, and another transfer."),
        (replace(two, fraud=Fraud.FORK, tokens=fork.tokens), "Two outcomes as a fork."),
        (replace(fork, fraud=Fraud.TWO_OUTCOMES, tokens=()), "A fork as two outcomes."),
    )
    for evidence, how in cases:
        yield court.nobody(NOTHING, clauses, flag, how, evidence)
    court, one = owning(stage)
    two_tokens = court.scene.token("anna", serial="two")
    spans = Span(one, 0, 5), Span(two_tokens, 0, 5)
    evidence = court.fork("anna", *(court.scene.hand("anna", name, *spans) for name in ("ben", "carla")))
    how = "One of two tokens is missing."
    yield court.nobody(BROKEN, "15-6 15-10", flag, how, replace(evidence, tokens=evidence.tokens[:1]))
    court, first = given(stage, 9)
    evidence = court.fork("ben", *(court.scene.hand("ben", name, of(first, 0, 5)) for name in ("carla", "dan")))
    how = "The hand behind stands there twice."
    yield court.nobody(NOTHING, "15-7", flag, how, replace(evidence, transfers=evidence.transfers * 2))
    how = "The hand behind is missing."
    yield court.nobody(BROKEN, "15-6 15-10", flag, how, replace(evidence, transfers=()))


def _signatures(stage: Stage) -> Iterator[Vector]:
    """Yield evidence in which one signature is not what it should be."""
    flag, clauses = "EvidenceSignature", "15-4"
    court, first = given(stage, 9)
    good = court.fork("ben", *(court.scene.hand("ben", name, of(first, 0, 5)) for name in ("carla", "dan")))
    blank = bytes(64)
    (token,), (bank, certificate) = good.tokens, (good.authorities[1], good.certificate)
    for evidence, what in (
        (replace(good, first=good.first.sealed(blank)), "The first transfer's"),
        (replace(good, second=good.second.sealed(blank)), "The second transfer's"),
        (replace(good, second=good.second.sealed(good.first.signature)), "The second transfer has the first one's"),
        (replace(good, transfers=(good.transfers[0].sealed(blank),)), "That of the hand behind"),
        (replace(good, tokens=(token._replace(signature=blank),)), "The token's"),
        (replace(good, tokens=(token._replace(signature=bank.signature),)), "The token has its bank's"),
        (replace(good, certificate=certificate._replace(signature=blank)), "The certificate's"),
        (replace(good, authorities=(good.authorities[0], bank._replace(signature=blank))), "The bank's"),
    ):
        yield court.nobody(FORGED, clauses, flag, f"{what} signature is wrong.", evidence)
    altered = good.certificate._replace(expires=good.certificate.expires + 1)
    how = "The certificate is altered in its expiry."
    yield court.nobody(FORGED, "15-3 15-4", flag, how, replace(good, certificate=altered))
    court, parent = owning(stage)
    forgery = court.scene.hand("anna", "ben", Span(parent, 0, 9), by="ben")
    framed = court.fork("anna", forgery, court.scene.hand("anna", "carla", Span(parent, 0, 9)))
    how = "One of the two was signed by its payee in the payer's name."
    yield court.nobody(FORGED, clauses, f"{flag} Framed", how, framed)
    court = Court(stage)
    forged = court.scene.signed("ben", court.outcome("ben").body, stage.opening("x", 9, 10), by="anna")
    framed = court.two_outcomes("ben", forged, court.outcome("ben", stage.draw("a transfer"), place=2))
    how = "One of two outcomes was signed by the payer."
    yield court.nobody(FORGED, clauses, f"{flag} Framed", how, framed)


def _chains(stage: Stage) -> Iterator[Vector]:
    """Yield evidence whose authorities do not prove what it shows."""
    flag = "EvidenceChain"
    policy, institution, bank = stage.authorities
    other = stage.authority("other bank", Authority.BANK, "institution")
    court = Court(stage)
    good = court.fork("anna", *court.pair())
    for authorities, code, how in (
        ((institution,), Code.UNKNOWN_ISSUER, "The bank is missing."),
        ((bank,), Code.UNKNOWN_ISSUER, "The institution is missing."),
        ((policy, institution, bank), NOTHING, "The policy key is shown too."),
        ((institution, bank, other), NOTHING, "Another bank is shown too."),
    ):
        yield court.nobody(code, "15-3 15-7", flag, how, replace(good, authorities=authorities))
    for issuer, chain, code, how in (
        ("bank", (institution, bank), Code.WRONG_CERTIFICATE, "The token was issued by a bank."),
        ("stranger", (institution, bank), Code.UNKNOWN_ISSUER, "The token was issued by a stranger."),
        ("policy", (policy, institution, bank), Code.WRONG_CERTIFICATE, "The token was issued by the policy key."),
    ):
        court = Court(stage)
        court.chain = chain
        court.scene.key("anna")
        token = court.scene.put(stage.token("anna", issuer=issuer), issuer)
        pair = [court.scene.hand("anna", name, Span(token, 0, 9)) for name in ("ben", "carla")]
        yield court.nobody(code, "15-3 7-1 7-2", flag, how, court.fork("anna", *pair))
    court = Court(stage)
    court.chain = (policy, institution)
    court.scene.certificates["anna"] = stage.certificate("anna", issuer="policy")
    how = "The thief's certificate was signed by the policy key."
    evidence = court.fork("anna", *court.pair())
    yield court.nobody(Code.WRONG_CERTIFICATE, "15-3 7-1", flag, how, evidence)
    court = Court(stage)
    second = stage.authority("second", Authority.INSTITUTION, number=2)
    court.chain = (institution, bank, second)
    court.scene.key("anna")
    token = court.scene.put(stage.token("anna", issuer="second"), "second")
    pair = [court.scene.hand("anna", name, Span(token, 0, 9)) for name in ("ben", "carla")]
    how = "A token of another institution than the thief's: both chains are shown."
    yield court.named("anna", "15-3", flag, how, court.fork("anna", *pair))
    root = stage.key("another root")
    moved = good.authorities[0]._replace(issuer=key_hint(root)), good.authorities[1]
    how = "Evidence of another scheme, in which the institution's issuer has this root's hint."
    data = encode_evidence(replace(good, authorities=moved))
    yield court.vector("15-2 3-16", "OtherScheme", how, data, error(FORGED), root)


def _bytes(stage: Stage) -> Iterator[Vector]:
    """Yield files that are no evidence of this version."""
    flag, clauses = "EvidenceBytes", "15-1 5.1-3 5.1-7"
    court = Court(stage)
    good = court.two_outcomes("ben", court.outcome("ben"), court.outcome("ben", stage.draw("a transfer"), place=2))
    data = encode_evidence(good)
    suite, other = stage.suite.number, 3 - stage.suite.number
    head = bytes([data[0], 1])
    for changed, code, how in (
        (b"", Code.MALFORMED, "No bytes."),
        (data[:-1], Code.MALFORMED, "The last byte is missing."),
        (data + b"\xc0", Code.MALFORMED, "A byte follows."),
        (data[:1] + b"\x02" + data[2:], Code.WRONG_VERSION, "Another version."),
        (head + b"\x07" + data[3:], Code.MALFORMED, "A suite that there is not."),
        (head + bytes([suite, 5]) + data[4:], Code.MALFORMED, "A kind of fraud that there is not."),
        (head + bytes([suite, 0xCC, int(good.fraud)]) + data[4:], Code.NOT_CANONICAL, "A number in two bytes."),
        (head + bytes([other]) + data[3:], Code.BAD_KEY, "The other suite: this root is no key of it."),
        (pack((1, suite, 3)), Code.MALFORMED, "An array that is too short."),
    ):
        yield court.vector(clauses, flag, how, changed, error(code))
