"""The verdict on evidence (SPEC §15-2 to §15-8): whom it names, believing nothing but the scheme's root key."""

from __future__ import annotations

from typing import NamedTuple, cast

from dualtap.conditions import shown_certificates
from dualtap.errors import Code, TapError
from dualtap.evidence import (
    Evidence,
    Fraud,
    decode_evidence,
    encode_evidence,
    hands_behind,
    outcome_of,
    spans_overlap,
    spends_payee,
    suite_of,
    tape_overlap,
    tokens_behind,
)
from dualtap.graph import Graph, check_spans
from dualtap.issued import WalletCertificate
from dualtap.provenance import check_warrant
from dualtap.statements import Outcome, Scheme, Transfer, TransferBody
from dualtap.trust import Trust


class Verdict(NamedTuple):
    """Who is named, under which certificate, for what."""

    key: bytes
    certificate: WalletCertificate
    fraud: Fraud


def _nothing(why: str) -> TapError:
    return TapError(Code.NOT_EVIDENCE, why)


def verify_evidence(evidence: bytes | Evidence, root: bytes) -> Verdict:
    """Return who is named, believing nothing but the scheme's root key; raise, and name nobody, otherwise.

    Raises ``NOT_EVIDENCE`` for statements that prove nothing, or for anything beside what is needed;
    ``BAD_SIGNATURE``, ``UNKNOWN_ISSUER`` or ``WRONG_CERTIFICATE`` for what the root's chain does not prove; and
    what :func:`decode_evidence` and :func:`dualtap.graph.check_spans` raise.

    SPEC §15-2 to §15-8.
    """
    # Encoded first: the ids of a value built in memory are somebody's word, those of decoded bytes are not.
    data = evidence if isinstance(evidence, bytes) else encode_evidence(evidence)
    found = decode_evidence(data, root)
    scheme = Scheme.of(suite_of(found.suite), root)
    trust = Trust(scheme)
    trust.learn(found.authorities)
    shown = shown_certificates(item for hand in _shown(found) for item in hand.body.witness)
    if found.authorities != trust.chain(found.certificate, found.tokens, shown):
        raise _nothing("not the chain of its certificates")
    if found.certificate.key != found.key:
        raise _nothing("another wallet's certificate")
    trust.check_genuine(found.certificate)
    for statement in (found.first, found.second):
        trust.verify_statement(statement)
    _CHECKS[found.fraud](trust, found)
    return Verdict(found.key, found.certificate, found.fraud)


def _only(evidence: Evidence, *, openings: int = 0, warrant: bool = False, provenance: bool = False) -> None:
    """Raise unless evidence shows what its kind needs, and nothing else."""
    if (
        len(evidence.openings) != openings
        or (evidence.warrant is not None) != warrant
        or bool(evidence.tokens) != provenance
        or (evidence.transfers and not provenance)
    ):
        raise _nothing("it shows more or less than this kind needs")


def _ordered(evidence: Evidence) -> None:
    if evidence.first.id >= evidence.second.id:
        raise _nothing("one statement, or out of order")
    if evidence.first.key != evidence.key or evidence.second.key != evidence.key:
        raise _nothing("signed by two keys")


def _shown(evidence: Evidence) -> list[Transfer]:
    """Return every transfer whose conditions are judged; a tape entry's, or an outcome's, are not."""
    if not evidence.tokens:
        return []
    both = [item for item in (evidence.first, evidence.second) if isinstance(item.body, TransferBody)]
    return [*evidence.transfers, *cast("list[Transfer]", both)]


def _transfers(evidence: Evidence) -> tuple[Transfer, Transfer]:
    first, second = evidence.first, evidence.second
    if not isinstance(first.body, TransferBody) or not isinstance(second.body, TransferBody):
        raise _nothing("not two transfers")
    return cast("Transfer", first), cast("Transfer", second)


def _check_fork(trust: Trust, evidence: Evidence) -> None:
    _only(evidence, provenance=True)
    _ordered(evidence)
    first, second = _transfers(evidence)
    if not spans_overlap(first, second):
        raise _nothing("no unit is spent twice")
    _check_behind(trust, evidence, first, second)


def _check_tape_fork(trust: Trust, evidence: Evidence) -> None:
    del trust
    _only(evidence, openings=2)
    _ordered(evidence)
    one, other = evidence.openings
    if one.commitment() != evidence.first.commitment or other.commitment() != evidence.second.commitment:
        raise _nothing("another statement's place")
    if not tape_overlap(one, other):
        raise _nothing("the places do not overlap")


def _check_two_outcomes(trust: Trust, evidence: Evidence) -> None:
    del trust
    _only(evidence)
    _ordered(evidence)
    one, other = evidence.first.body, evidence.second.body
    if isinstance(one, TransferBody) or isinstance(other, TransferBody) or one.request != other.request:
        raise _nothing("not two outcomes of one request")
    if outcome_of(cast("Outcome", evidence.first)) == outcome_of(cast("Outcome", evidence.second)):
        raise _nothing("the same outcome twice")


def _check_dead_spent(trust: Trust, evidence: Evidence) -> None:
    _only(evidence, warrant=True, provenance=True)
    dead, spender = _transfers(evidence)
    warrant = evidence.warrant
    if warrant is None or spender.key != evidence.key or not spends_payee(spender, dead.id):
        raise _nothing("the dead transfer's payee did not spend it")
    check_warrant(trust, dead, warrant)
    _check_behind(trust, evidence, dead, spender)


_CHECKS = {
    Fraud.FORK: _check_fork,
    Fraud.TAPE_FORK: _check_tape_fork,
    Fraud.TWO_OUTCOMES: _check_two_outcomes,
    Fraud.DEAD_SPENT: _check_dead_spent,
}


def _check_behind(trust: Trust, evidence: Evidence, first: Transfer, second: Transfer) -> None:
    """Raise unless both are statements, and exactly what is behind them is here and is what it claims to be."""
    graph = Graph()
    for token in evidence.tokens:
        token_id = trust.token_id(token)
        trust.check_token(token, token_id)
        graph.tokens[token_id] = token
    for hand in (*evidence.transfers, first, second):
        graph.put(hand)
    for hand in evidence.transfers:
        trust.verify_statement(hand)
    behind = hands_behind(graph, first, second)
    for hand in behind:
        check_spans(graph, hand, trust)
    hands = {hand.id for hand in behind} - {first.id, second.id}
    if len(evidence.transfers) != len(hands) or {hand.id for hand in evidence.transfers} != hands:
        raise _nothing("it shows other transfers than those behind it")
    if len(evidence.tokens) != len(graph.tokens) or graph.tokens.keys() != set(tokens_behind(behind)):
        raise _nothing("it shows other tokens than those behind it")
