"""Takes facts in, one by one, and finds conflicts as the set grows.

What it finds is what :mod:`dualtap_issuer.rules` computes from the whole set; an audit shows that they agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud, outcome_of
from dualtap.graph import Graph, Origin, check_origins
from dualtap.statements import (
    KIND,
    ON_TAPE,
    Outcome,
    Parent,
    RequestOpening,
    Side,
    TapeStatement,
    Token,
    Transfer,
    TransferBody,
    WalletCertificate,
)
from dualtap.sync import Upload
from dualtap.trust import Trust
from dualtap_issuer.facts import (
    AskedBy,
    Fact,
    FactKind,
    Facts,
    asked_digest,
    asked_fact,
    certificate_fact,
    decode_fact,
    statement_facts,
    token_fact,
)
from dualtap_issuer.rules import NEVER, Conflict, Kid, World, conflict_of
from dualtap_issuer.store import Kept, Spend, Store

T = TypeVar("T")


class _Missing(Exception):
    """Something behind a transfer is not here yet."""

    def __init__(self, digest: bytes) -> None:
        super().__init__(digest)
        self.digest = digest


class Ingest:
    """One batch of facts under one stamp, inside one transaction of the store."""

    def __init__(self, store: Store, trust: Trust, institutions: frozenset[bytes], epoch: int) -> None:
        self.store = store
        self.trust = trust
        self.institutions = institutions
        self.epoch = epoch
        self.refused = 0
        self.named = False
        self._tokens: dict[bytes, Token] = {}
        self._grew = False
        self._moved = False

    # What comes in

    def upload(self, upload: Upload) -> None:
        """Take in all that is genuine in an upload; count, and leave out, what is not."""
        for token in upload.tokens:
            self._try(self.token, token)
        for certificate in (upload.certificate, *upload.certificates):
            self._try(self.certificate, certificate)
        warrants = [warrant for _, warrant in upload.warrants]
        outcomes = [warrant.outcome for warrant in warrants]
        for statement in (*upload.transfers, *upload.tape, *upload.heard, *outcomes):
            self._try(self.statement, statement)
        for warrant in warrants:
            self.asked(warrant.opening)
        self.credit()

    def _try(self, action: Callable[[T], None], item: T) -> None:
        try:
            action(item)
        except TapError:
            # One bad statement of a hostile wallet must not keep the good ones of its victims out.
            self.refused += 1

    def token(self, token: Token) -> None:
        """Keep a token; raise unless an institution of the scheme issued it."""
        fact = token_fact(self.trust, token)
        self.trust.check_token(token, fact.digest)
        self._tokens[fact.digest] = token
        if self._keep(fact):
            self._arrived(fact.digest)

    def certificate(self, certificate: WalletCertificate) -> None:
        """Keep a wallet's certificate, expired or not; raise unless it is genuine."""
        self.trust.check_genuine(certificate)
        fact = certificate_fact(self.trust, certificate)
        if self._keep(fact):
            self.store.put_certificate(certificate.key, fact.digest)
            self.named |= self.store.is_named(certificate.key)

    def statement(self, statement: TapeStatement) -> None:
        """Keep a statement and what it shows; raise ``BAD_SIGNATURE``, ``BAD_KEY``, or ``MALFORMED`` off the tape.

        SPEC §16-1.
        """
        if KIND[type(statement.body)] not in ON_TAPE:
            raise TapError(Code.MALFORMED, "a statement that is on no tape")
        if not self.store.has(statement.id):
            self.trust.verify_statement(statement)
        closed, *shown = statement_facts(statement)
        if self._keep(closed):
            if isinstance(statement.body, TransferBody):
                self._new_transfer(cast("Transfer", statement))
            else:
                self._new_outcome(cast("Outcome", statement))
        for fact in shown:
            if fact.kind is FactKind.OPENING and self._keep(fact):
                self._new_place(statement)
            elif fact.kind is FactKind.ASKED:
                self.asked(statement.shown().answered())

    def asked(self, opening: RequestOpening) -> None:
        """Keep which request a commitment answers."""
        if self._keep(asked_fact(opening)):
            for transfer, payee in self.store.hands(opening.commitment()):
                self._new_asked(transfer, payee, opening.request)

    def _keep(self, fact: Fact) -> bool:
        kept = self.store.put(fact, self.epoch)
        self._grew |= kept is Kept.NEW
        self._moved |= kept is Kept.EARLIER
        return kept is Kept.NEW

    # What follows

    def _name(self, conflict: Conflict) -> None:
        self.named |= self.store.put_conflict(conflict)

    def _new_place(self, statement: TapeStatement) -> None:
        opening = statement.shown()
        for other in self.store.tape_overlapping(statement.key, opening.prev, opening.ctr):
            if other != statement.id:
                self._name(conflict_of(statement.key, Fraud.TAPE_FORK, statement.id, other))
        self.store.put_tape(statement.key, opening.prev, opening.ctr, statement.id)

    def _new_outcome(self, outcome: Outcome) -> None:
        key, request, accepted = outcome.key, outcome.body.request, outcome_of(outcome)
        for other, transfer in self.store.outcomes(key, request):
            if transfer != accepted:
                self._name(conflict_of(key, Fraud.TWO_OUTCOMES, outcome.id, other))
        self.store.put_outcome(key, request, outcome.id, accepted)
        for transfer in self.store.answering(key, request):
            if transfer != accepted:
                self._died(transfer, key)

    def _new_asked(self, transfer: bytes, payee: bytes, request: bytes) -> None:
        self.store.put_asked(payee, request, transfer)
        if self._is_dead(transfer):
            self._died(transfer, payee)

    def _is_dead(self, transfer: bytes) -> bool:
        asked = self.store.asked(transfer)
        return asked is not None and any(other != transfer for _, other in self.store.outcomes(*asked))

    def _died(self, transfer: bytes, payee: bytes) -> None:
        for spender in self.store.payee_kids(transfer):
            self._name(Conflict(payee, Fraud.DEAD_SPENT, transfer, spender))

    def _new_transfer(self, transfer: Transfer) -> None:
        self.store.put_hand(transfer)
        found = self.store.fact(asked_digest(transfer.commitment))
        if found is not None:
            asked = cast("AskedBy", decode_fact(self.trust.scheme, found[0]))
            self._new_asked(transfer.id, transfer.body.payee, asked.opening.request)
        if self._shape(transfer):
            self._arrived(transfer.id)

    def _arrived(self, digest: bytes) -> None:
        """Judge the transfers that waited for this, and those that waited for them."""
        queue = [digest]
        while queue:
            arrived = queue.pop()
            for key in self.store.take_waiting(arrived):
                if self._shape(self.transfer(key)):
                    queue.append(key)

    def transfer(self, key: bytes) -> Transfer:
        """Return a stored transfer; raise ``LEDGER_CORRUPT`` if it is not there."""
        found = self.store.fact(key)
        if found is None:
            raise TapError(Code.LEDGER_CORRUPT, f"transfer {key.hex()}")
        return cast("Transfer", decode_fact(self.trust.scheme, found[0]))

    def _shape(self, transfer: Transfer) -> bool:
        """Index a transfer's spans if it is a statement; else wait for what is missing, or for ever."""
        try:
            check_origins(transfer, self._origin, self.trust)
        except _Missing as missing:
            self.store.put_wait(missing.digest, transfer.id)
            return False
        except TapError:
            return False
        for number, (parent, start, end) in enumerate(transfer.body.spans):
            for other in self.store.overlapping(parent, start, end):
                if other != transfer.id:
                    self._name(conflict_of(transfer.key, Fraud.FORK, transfer.id, other))
            if parent.side is Side.PAYEE and self._is_dead(parent.id):
                self._name(Conflict(transfer.key, Fraud.DEAD_SPENT, parent.id, transfer.id))
            kid = Kid(start, end, transfer.id, number)
            self.store.put_span(Spend(parent, kid, self._origin(parent).token))
        if transfer.body.payee in self.institutions:
            self.store.put_deposit(transfer.id)
        return True

    def _origin(self, parent: Parent) -> Origin:
        if parent.side is Side.TOKEN:
            token = self._token(parent.id)
            if parent.place:
                raise TapError(Code.BROKEN_PROVENANCE)
            return Origin(parent.id, 0, token.amount, token.owner, 0, 0, 0, token if token.conditions else None)
        spend, hand = self.store.span(parent.id, parent.place), self.store.hand(parent.id)
        if spend is None or hand is None:
            raise _Missing(parent.id)
        payer, payee, epoch = hand
        owner = payee if parent.side is Side.PAYEE else payer
        token = self._token(spend.token)
        bound = token if token.conditions else None
        return Origin(spend.token, spend.kid.start, spend.kid.end, owner, 0, 0, epoch, bound)

    def _token(self, key: bytes) -> Token:
        """Return a stored token, decoded once for the whole batch."""
        token = self._tokens.get(key)
        if token is None:
            found = self.store.fact(key)
            if found is None or found[0].kind is not FactKind.TOKEN:
                raise _Missing(key)
            token = self._tokens[key] = cast("Token", decode_fact(self.trust.scheme, found[0]))
        return token

    # Deposits

    def credit(self) -> None:
        """Credit the deposits whose provenance became whole; all of them again if a stamp moved back."""
        if not self._grew and not self._moved:
            return
        waiting = self.store.deposits(uncredited=not self._moved)
        if not waiting:
            return
        world = World(behind(self.store, self.trust, waiting), self.institutions, self.trust)
        for deposit in waiting:
            if world.whole_at.get(deposit, NEVER) < NEVER:
                self.store.put_credits(deposit, world.credits_of(deposit))


def behind(store: Store, trust: Trust, transfers: list[bytes]) -> Facts:
    """Return the facts behind these transfers: provenance, warrants and certificates."""
    facts = Facts(trust.scheme)

    def take(key: bytes) -> None:
        found = store.fact(key)
        if found is not None:
            facts.put(*found)

    queue = list(transfers)
    while queue:
        key = queue.pop()
        if key in facts.seen:
            continue
        take(key)
        transfer = facts.transfers.get(key)
        if transfer is None:
            continue
        queue += [parent.id for parent, _, _ in transfer.body.spans]
        take(asked_digest(transfer.commitment))
        for certificate in store.certificates(transfer.key):
            take(certificate)
        asked = store.asked(key)
        for outcome, _ in store.outcomes(*asked) if asked else ():
            take(outcome)
    return facts


def graph_of(facts: Facts) -> Graph:
    """Return a graph of these facts; of two certificates of a key, the one with the smaller digest."""
    graph = Graph()
    graph.tokens = dict(facts.tokens)
    for transfer in facts.transfers.values():
        graph.put(transfer)
    for digest in sorted(facts.certificates, reverse=True):
        graph.certificates[facts.certificates[digest].key] = facts.certificates[digest]
    return graph
