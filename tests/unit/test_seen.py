"""What kept evidence shows goes up in the next sync: whoever never syncs is reported by who was told (SPEC §21-10)."""

from __future__ import annotations

import pytest

from dualtap.evidence import Evidence, Fraud, dead_spent, encode_evidence, fork, two_outcomes
from dualtap.graph import Graph
from dualtap.records import News, Warned
from dualtap.statements import (
    CloseBody,
    Parent,
    ReceiptBody,
    Side,
    Span,
    TransferBody,
    Warrant,
)
from dualtap.verdict import verify_evidence
from dualtap_devices.wallet import Wallet
from tests.mint import Mint


def evidence_of(mint: Mint, fraud: Fraud, cheat: Wallet) -> Evidence:
    """Return evidence against a wallet that only its victims have."""
    key, trust = cheat.book.key, mint.ledger.trust
    certificate = cheat.book.certificate
    if fraud is Fraud.TWO_OUTCOMES:
        request = mint.draw()
        one = mint.sign(cheat, ReceiptBody(request, mint.draw(), mint.epoch), mint.opening(0, 1))
        two = mint.sign(cheat, CloseBody(request, 81, mint.epoch), mint.opening(1, 2))
        return two_outcomes(trust, certificate, one, two)
    graph = Graph()
    graph.certificates[key] = certificate
    payer = cheat if fraud is Fraud.FORK else mint.wallet()
    token = mint.ledger.issue(payer.book.key, 100, mint.epoch, mint.draw(8))
    token_id = trust.token_id(token)
    graph.tokens[token_id] = token
    span = Span(Parent(token_id, Side.TOKEN, 0), 0, 100)
    if fraud is Fraud.FORK:
        first, second = (
            mint.sign(cheat, TransferBody(mint.wallet().book.key, (span,), mint.epoch, ()), mint.opening(n, n + 1))
            for n in (0, 1)
        )
        graph.put(first)
        graph.put(second)
        return fork(trust, graph, first, second)
    request = mint.draw()
    opening = mint.opening(0, 1, request)
    dead = mint.sign(payer, TransferBody(key, (span,), mint.epoch, ()), opening)
    close = mint.sign(cheat, CloseBody(request, 81, mint.epoch), mint.opening(0, 1))
    there = Span(Parent(dead.id, Side.PAYEE, 0), 0, 100)
    spent = mint.sign(cheat, TransferBody(mint.wallet().book.key, (there,), mint.epoch, ()), mint.opening(1, 2))
    graph.put(dead)
    graph.put(spent)
    return dead_spent(trust, graph, dead, Warrant(opening.answered(), close), spent)


@pytest.mark.parametrize("fraud", [Fraud.FORK, Fraud.TWO_OUTCOMES, Fraud.DEAD_SPENT])
def test_a_cheat_that_never_syncs_is_named_by_who_was_told(fraud: Fraud) -> None:
    """§21-10: the wallet met neither the cheat nor its statements; the reply's policy then lists the key."""
    mint = Mint()
    cheat, told = mint.wallet(), mint.wallet()
    data = encode_evidence(evidence_of(mint, fraud, cheat))
    assert verify_evidence(data, mint.scheme.root).key == cheat.book.key
    told.write(Warned(cheat.book.key, data))
    mint.settle_in(told)
    assert (cheat.book.key, fraud.name) in mint.named()
    assert {key for key, _ in mint.named()} == {cheat.book.key}
    policy = told.book.trust.policy
    assert policy is not None
    assert cheat.book.key in policy.hotlist
    assert (told.book.warned, told.book.trust.blocked) == ({}, frozenset())
    mint.ledger.audit()


def test_evidence_goes_up_until_a_policy_lists_it() -> None:
    """§21-8 and §21-10: a sync that is torn, or an issuer that does not list the key, loses nothing."""
    mint = Mint()
    cheat, told = mint.wallet(), mint.wallet()
    data = encode_evidence(evidence_of(mint, Fraud.FORK, cheat))
    told.write(Warned(cheat.book.key, data), News(None, (), None, None))
    told.compact()
    assert told.book.trust.blocked == {cheat.book.key}
    mint.settle_in(told)
    assert mint.named() == {(cheat.book.key, "FORK")}
