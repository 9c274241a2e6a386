"""Evidence, built by hand: the statements of a scene that name somebody, or do not (SPEC §15)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from dualtap.errors import Code
from dualtap.evidence import Evidence, Fraud, encode_evidence
from dualtap.issued import AuthorityCertificate, WalletCertificate
from dualtap.statements import (
    Body,
    CloseBody,
    Opening,
    Outcome,
    Parent,
    ReceiptBody,
    Signed,
    Span,
    TapeOpening,
    TapeStatement,
    Transfer,
    Warrant,
)
from dualtap_conform.setup import Object
from dualtap_conform.stage import TODAY, Stage
from dualtap_conform.value.scene import Scene, of
from dualtap_conform.vector import Vector, error

B = TypeVar("B", bound=Body)


def closed(statement: Signed[B]) -> Signed[B]:
    """Return a statement that shows nothing of its commitment."""
    return statement._replace(opening=None, place=None)


def closed_warrant(warrant: Warrant) -> Warrant:
    """Return a warrant whose outcome shows nothing of its commitment."""
    return Warrant(warrant.opening, closed(warrant.outcome))


def owning(stage: Stage, name: str = "anna") -> tuple[Court, Parent]:
    """Return a new court, and a token of somebody's."""
    court = Court(stage)
    return court, court.scene.token(name)


def given(stage: Stage, amount: int, payee: str = "ben") -> tuple[Court, Transfer]:
    """Return a new court, and a transfer from anna to somebody."""
    court, token = owning(stage)
    return court, court.scene.hand("anna", payee, Span(token, 0, amount))


class Court:
    """Makes evidence of what happened in a scene."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.scene = Scene(stage)
        self.chain: tuple[AuthorityCertificate, ...] = stage.authorities[1:]

    def wallet(self, name: str) -> WalletCertificate:
        """Return somebody's certificate."""
        return self.scene.certificate(self.scene.key(name))

    def outcome(
        self, name: str, accepted: bytes = b"", *, request: str = "", reason: int = 81, place: int = 0
    ) -> Outcome:
        """Return an outcome that a name signed: a Receipt of ``accepted``, or a Close."""
        asked = self.stage.draw(f"request {request}")
        opening = self.stage.opening(f"outcome {place}", place, place + 2)
        if accepted:
            return self.scene.signed(name, ReceiptBody(asked, accepted, TODAY), opening)
        return self.scene.signed(name, CloseBody(asked, reason, TODAY), opening)

    def _make(
        self,
        fraud: Fraud,
        name: str,
        first: TapeStatement,
        second: TapeStatement,
        openings: tuple[TapeOpening, ...] = (),
        warrant: Warrant | None = None,
        behind: Iterable[Transfer] = (),
    ) -> Evidence:
        scene, own = self.scene, {first.id, second.id}
        wanted: set[bytes] = set()
        tokens: set[bytes] = set()
        for transfer in behind:
            shown = scene.behind(transfer)
            wanted.update(hand.id for hand in shown.hands)
            tokens.update(shown.tokens)
        return Evidence(
            fraud,
            self.stage.suite.number,
            scene.key(name),
            self.wallet(name),
            self.chain,
            closed(first),
            closed(second),
            openings,
            None if warrant is None else closed_warrant(warrant),
            tuple(token for key, token in scene.tokens.items() if key in tokens),
            tuple(closed(hand) for key, hand in scene.hands.items() if key in wanted - own),
        )

    def fork(self, name: str, one: Transfer, other: Transfer) -> Evidence:
        """Return that a name spent units twice."""
        first, second = sorted((one, other), key=lambda item: item.id)
        return self._make(Fraud.FORK, name, first, second, behind=(one, other))

    def tape_fork(self, name: str, one: TapeStatement, other: TapeStatement) -> Evidence:
        """Return that a name used a place on its tape twice."""
        first, second = sorted((one, other), key=lambda item: item.id)
        return self._make(Fraud.TAPE_FORK, name, first, second, (first.shown().tape(), second.shown().tape()))

    def two_outcomes(self, name: str, one: Outcome, other: Outcome) -> Evidence:
        """Return that a name gave a request two outcomes."""
        pair: list[TapeStatement] = [one, other]
        first, second = sorted(pair, key=lambda item: item.id)
        return self._make(Fraud.TWO_OUTCOMES, name, first, second)

    def dead_spent(self, name: str, dead: Transfer, spender: Transfer, warrant: Warrant) -> Evidence:
        """Return that a name spent what it had not accepted."""
        return self._make(Fraud.DEAD_SPENT, name, dead, spender, warrant=warrant, behind=(dead, spender))

    # What happens again and again

    def pair(self, start: int = 0, end: int = 60, low: int = 50, high: int = 100) -> tuple[Transfer, Transfer]:
        """Return two transfers of anna's token."""
        token = self.scene.token("anna")
        return (
            self.scene.hand("anna", "ben", Span(token, start, end)),
            self.scene.hand("anna", "carla", Span(token, low, high)),
        )

    def dead(self, *, accepted: bytes = b"") -> tuple[Transfer, Transfer, Warrant]:
        """Return a transfer to ben that he closed, one by which he spends it, and why it is dead."""
        dead = self.scene.hand("anna", "ben", Span(self.scene.token("anna"), 0, 60))
        warrant = self.scene.close(dead, receipt=accepted)
        return dead, self.scene.hand("ben", "carla", of(dead, 10, 20)), warrant

    def at(self, name: str, payee: str, span: Span, prev: int, ctr: int, request: bytes = b"") -> Transfer:
        """Return a transfer at a place on a tape."""
        opening = Opening(self.stage.draw(f"seed {name} {prev} {ctr}", 16), prev, ctr, request=request)
        self.scene.key(payee)
        return self.stage.transfer(name, payee, (span,), opening)

    # Cases

    def vector(self, clauses: str, flags: str, comment: str, data: bytes, gives: Object, root: bytes = b"") -> Vector:
        """Return one case of ``names``."""
        given: Object = {"root": (root or self.stage.scheme.root).hex(), "evidence": data.hex()}
        suite = self.stage.suite.name
        return Vector("names", suite, tuple(clauses.split()), tuple(flags.split()), comment, given, gives)

    def named(self, name: str, clauses: str, flags: str, comment: str, evidence: Evidence) -> Vector:
        """Return the case in which this names somebody."""
        gives: Object = {"key": self.stage.key(name).hex(), "fraud": evidence.fraud.name}
        return self.vector(clauses, flags, comment, encode_evidence(evidence), gives)

    def nobody(self, code: Code, clauses: str, flags: str, comment: str, evidence: Evidence) -> Vector:
        """Return the case in which this names nobody."""
        return self.vector(clauses, flags, comment, encode_evidence(evidence), error(code))
