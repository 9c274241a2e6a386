"""Portable evidence of what a ledger's conflicts are (SPEC §15), made of its facts."""

from __future__ import annotations

from typing import cast

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud, dead_spent, encode_evidence, fork, tape_fork, two_outcomes
from dualtap.issued import WalletCertificate
from dualtap.statements import Outcome, Scheme, TapeOpening, TapeStatement, Warrant
from dualtap.trust import Trust
from dualtap_issuer.facts import Facts, OpeningOf, decode_fact, opening_digest
from dualtap_issuer.following import behind
from dualtap_issuer.ingest import graph_of
from dualtap_issuer.rules import Conflict
from dualtap_issuer.store import Store


def values(store: Store, scheme: Scheme, digests: list[bytes]) -> list[object]:
    """Return what these facts say, in this order; raise ``LEDGER_CORRUPT`` for one that is missing."""
    found = {fact.digest: fact for fact, _ in store.find(digests)}
    for digest in digests:
        if digest not in found:
            raise TapError(Code.LEDGER_CORRUPT, f"fact {digest.hex()} is missing")
    return [decode_fact(scheme, found[digest]) for digest in digests]


class Proofs:
    """Makes evidence of one ledger's facts."""

    def __init__(self, store: Store, trust: Trust) -> None:
        self._store, self._trust = store, trust

    def evidence(self, conflict: Conflict) -> bytes:
        """Return the portable evidence of a conflict, for :func:`dualtap.verdict.verify_evidence`."""
        certificate = self._certificate(conflict.key)
        match conflict.fraud:
            case Fraud.FORK:
                graph = graph_of(self._behind(conflict))
                one, other = graph.transfers[conflict.first], graph.transfers[conflict.second]
                graph.certificates[conflict.key] = certificate
                found = fork(self._trust, graph, one, other)
            case Fraud.DEAD_SPENT:
                facts = self._behind(conflict)
                graph = graph_of(facts)
                graph.certificates[conflict.key] = certificate
                dead = graph.transfers[conflict.first]
                warrant = self._warrant(facts, conflict.first)
                found = dead_spent(self._trust, graph, dead, warrant, graph.transfers[conflict.second])
            case Fraud.TAPE_FORK:
                places = (self._place(conflict.first), self._place(conflict.second))
                found = tape_fork(self._trust, certificate, *self._pair(conflict), *places)
            case Fraud.TWO_OUTCOMES:
                given = cast("tuple[Outcome, Outcome]", self._pair(conflict))
                found = two_outcomes(self._trust, certificate, *given)
        return encode_evidence(found)

    def _behind(self, conflict: Conflict) -> Facts:
        return behind(self._store, self._trust, (conflict.first, conflict.second))

    def _warrant(self, facts: Facts, transfer: bytes) -> Warrant:
        asked = self._store.asked([transfer])
        for row in self._store.outcomes((one.payee, one.request) for one in asked):
            if row.transfer != transfer:
                return Warrant(facts.asked[facts.transfers[transfer].commitment], facts.outcomes[row.id])
        raise TapError(Code.LEDGER_CORRUPT, f"no warrant for {transfer.hex()}")

    def _pair(self, conflict: Conflict) -> tuple[TapeStatement, TapeStatement]:
        return self._statement(conflict.first), self._statement(conflict.second)

    def _place(self, statement: bytes) -> TapeOpening:
        return cast("OpeningOf", self._value(opening_digest(statement))).opening.tape()

    def _certificate(self, key: bytes) -> WalletCertificate:
        (first, *_) = [row.certificate for row in self._store.certificates([key])]
        return cast("WalletCertificate", self._value(first))

    def _statement(self, digest: bytes) -> TapeStatement:
        return cast("TapeStatement", self._value(digest))

    def _value(self, digest: bytes) -> object:
        return values(self._store, self._trust.scheme, [digest])[0]
