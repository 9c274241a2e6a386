from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from dualtap.errors import Code, TapError
from dualtap.evidence import (
    Evidence,
    Fraud,
    dead_spent,
    decode_evidence,
    encode_evidence,
    fork,
    tape_fork,
    two_outcomes,
)
from dualtap.graph import Graph
from dualtap.statements import (
    CloseBody,
    Outcome,
    Parent,
    ReceiptBody,
    RequestOpening,
    Side,
    Span,
    TapeOpening,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.verdict import verify_evidence
from dualtap_devices.wallet import Wallet
from tests.mint import Mint

FAR = bytes([7]) * 32
"""An id of nothing."""


class Bench:
    """A thief with a token of 1000, and whatever it signs."""

    def __init__(self, suite: str = "ed25519") -> None:
        self.mint = Mint(suite)
        self.thief, self.peer = self.mint.wallet(1000), self.mint.wallet()
        book = self.thief.book
        self.trust, self.root = book.trust, self.mint.scheme.root
        ((self.token, _),) = book.graph.tokens.items()
        self.top = Parent(self.token, Side.TOKEN, 0)
        self.graph = Graph()
        self.graph.tokens = dict(book.graph.tokens)
        for wallet in (self.thief, self.peer):
            self.graph.certificates[wallet.book.key] = wallet.book.certificate

    def pay(self, start: int, end: int, *, by: Wallet | None = None, at: int = 0, parent: Parent | None = None,
            to: Wallet | None = None, request: bytes = b"", more: tuple[Span, ...] = ()) -> Transfer:  # fmt: skip
        spans = (Span(parent or self.top, start, end), *more)
        body = TransferBody((to or self.peer).book.key, spans, self.mint.epoch, ())
        transfer = self.mint.sign(by or self.thief, body, self.mint.opening(at, at + 2, request))
        self.graph.put(transfer)
        return transfer

    def answer(self, request: bytes, accepted: bytes = b"") -> Outcome:
        body = ReceiptBody(request, accepted, 1) if accepted else CloseBody(request, 10, 1)
        return self.mint.sign(self.peer, body, self.mint.opening(0, 1))

    def fork(self) -> Evidence:
        return fork(self.trust, self.graph, self.pay(0, 600), self.pay(500, 900))

    def deep_fork(self) -> Evidence:
        """The peer forks what it was given, of which the thief was given back a part before."""
        first = self.pay(0, 600)
        there = Parent(first.id, Side.PAYEE, 0)
        one = self.pay(0, 300, by=self.peer, parent=there, to=self.thief)
        other = self.pay(200, 400, by=self.peer, parent=there)
        return fork(self.trust, self.graph, one, other)

    def tape_fork(self) -> Evidence:
        one, other = self.pay(0, 10, at=4), self.pay(10, 20, at=5)
        places = one.shown().tape(), other.shown().tape()
        return tape_fork(self.trust, self.thief.book.certificate, one, other, *places)

    def two_outcomes(self) -> Evidence:
        certificate = self.peer.book.certificate
        return two_outcomes(self.trust, certificate, self.answer(FAR, bytes(32)), self.answer(FAR))

    def dead_spent(self) -> Evidence:
        dead = self.pay(0, 500, request=FAR)
        spender = self.pay(100, 200, by=self.peer, parent=Parent(dead.id, Side.PAYEE, 0))
        warrant = Warrant(dead.shown().answered(), self.answer(FAR))
        return dead_spent(self.trust, self.graph, dead, warrant, spender)

    def refused(self, evidence: Evidence) -> Code | int:
        with pytest.raises(TapError) as caught:
            verify_evidence(evidence, self.root)
        return caught.value.code


KINDS: dict[str, Callable[[Bench], Evidence]] = {
    "fork": Bench.fork,
    "deep fork": Bench.deep_fork,
    "tape fork": Bench.tape_fork,
    "two outcomes": Bench.two_outcomes,
    "dead spent": Bench.dead_spent,
}


@pytest.fixture(params=["ed25519", "p256"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(cast("str", request.param))


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_the_root_key_is_enough(bench: Bench, make: Callable[[Bench], Evidence]) -> None:
    """§1-6, §15-2."""
    evidence = make(bench)
    data = encode_evidence(evidence)
    assert decode_evidence(data, bench.root) == evidence
    assert encode_evidence(decode_evidence(data, bench.root)) == data
    verdict = verify_evidence(data, bench.root)
    assert verdict == verify_evidence(evidence, bench.root)
    culprit = bench.thief if make in (Bench.fork, Bench.tape_fork) else bench.peer
    assert verdict == (culprit.book.key, culprit.book.certificate, evidence.fraud)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_another_root_names_nobody(make: Callable[[Bench], Evidence]) -> None:
    """§15-2."""
    data = encode_evidence(make(Bench()))
    with pytest.raises(TapError) as caught:
        verify_evidence(data, Mint(seed="foreign").scheme.root)
    assert caught.value.code in (Code.WRONG_CERTIFICATE, Code.UNKNOWN_ISSUER, Code.BAD_SIGNATURE)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(("suite", "step"), [("ed25519", 1), ("p256", 5)])
def test_no_byte_can_change(suite: str, step: int, make: Callable[[Bench], Evidence]) -> None:
    """§5.5-1, §15-4."""
    bench = Bench(suite)
    data = encode_evidence(make(bench))
    for place in range(0, len(data), step):
        changed = data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :]
        with pytest.raises(TapError):
            verify_evidence(changed, bench.root)
    for cut in (0, 1, 2, len(data) // 2, len(data) - 1):
        with pytest.raises(TapError):
            verify_evidence(data[:cut], bench.root)
    with pytest.raises(TapError):
        verify_evidence(data + b"\0", bench.root)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_nobody_is_named_for_what_another_key_signed(bench: Bench, make: Callable[[Bench], Evidence]) -> None:
    """§15-5, §15-8."""
    evidence = make(bench)
    victim = bench.peer if evidence.key == bench.thief.book.key else bench.thief
    framed = replace(evidence, key=victim.book.key, certificate=victim.book.certificate)
    assert bench.refused(framed) is Code.NOT_EVIDENCE


def test_an_expired_certificate_excuses_nobody(bench: Bench) -> None:
    """§15-9."""
    assert bench.thief.book.certificate.expires < bench.mint.epoch + 1000
    bench.mint.epoch += 2000
    assert verify_evidence(bench.fork(), bench.root).key == bench.thief.book.key


def test_evidence_shows_no_more_than_it_must(bench: Bench) -> None:
    transfer = bench.pay(0, 600)
    opening = transfer.shown()
    data = encode_evidence(fork(bench.trust, bench.graph, transfer, bench.pay(0, 5)))
    assert opening.seed not in data
    one, other = bench.pay(0, 10, at=4, request=FAR), bench.pay(10, 20, at=5)
    places = one.shown().tape(), other.shown().tape()
    data = encode_evidence(tape_fork(bench.trust, bench.thief.book.certificate, one, other, *places))
    assert FAR not in data
    assert one.shown().seed not in data


def test_transfers_that_do_not_overlap_are_no_fork(bench: Bench) -> None:
    """§15-5, §15-8."""
    evidence = fork(bench.trust, bench.graph, bench.pay(0, 500), bench.pay(500, 900))
    assert bench.refused(evidence) is Code.NOT_EVIDENCE


def test_what_its_signer_does_not_own_names_nobody(bench: Bench) -> None:
    """§5.3-1, §15-6, §15-10."""
    evidence = fork(bench.trust, bench.graph, bench.pay(0, 600, by=bench.peer), bench.pay(0, 500, by=bench.peer))
    assert bench.refused(evidence) is Code.NOT_OWNER


def test_a_transfer_that_spends_a_unit_twice_is_no_statement(bench: Bench) -> None:
    """§15-6."""
    again = (Span(bench.top, 100, 200),)
    evidence = fork(bench.trust, bench.graph, bench.pay(0, 600, more=again), bench.pay(0, 500))
    assert bench.refused(evidence) is Code.SPANS_OVERLAP


def test_two_keys_are_not_one_thief(bench: Bench) -> None:
    """§5.3-8."""
    evidence = fork(bench.trust, bench.graph, bench.pay(0, 600), bench.pay(0, 500, by=bench.peer))
    assert bench.refused(evidence) is Code.NOT_EVIDENCE


def test_a_thief_that_pays_itself_is_named_for_what_it_pays_from_both(bench: Bench) -> None:
    first = bench.pay(0, 600, to=bench.thief)
    rest = (Span(Parent(first.id, Side.PAYEE, 0), 0, 100),)
    second = bench.pay(100, 200, more=rest)
    assert verify_evidence(fork(bench.trust, bench.graph, first, second), bench.root).fraud is Fraud.FORK
    assert verify_evidence(fork(bench.trust, bench.graph, second, first), bench.root).fraud is Fraud.FORK


def test_places_must_be_theirs_and_overlap(bench: Bench) -> None:
    """§15-5, §15-10."""
    certificate = bench.thief.book.certificate
    one, other = bench.pay(0, 10, at=4), bench.pay(10, 20, at=6)
    places = (one.shown().tape(), other.shown().tape())
    apart = tape_fork(bench.trust, certificate, one, other, *places)
    assert bench.refused(apart) is Code.NOT_EVIDENCE
    lied = TapeOpening(places[1].salt, 4, 6, places[1].private, places[1].request)
    assert bench.refused(tape_fork(bench.trust, certificate, one, other, places[0], lied)) is Code.NOT_EVIDENCE


def test_an_empty_place_overlaps_nothing(bench: Bench) -> None:
    one = bench.pay(0, 10, at=4)
    body = TransferBody(bench.peer.book.key, (Span(bench.top, 10, 20),), bench.mint.epoch, ())
    other = bench.mint.sign(bench.thief, body, bench.mint.opening(5, 5))
    places = (one.shown().tape(), other.shown().tape())
    evidence = tape_fork(bench.trust, bench.thief.book.certificate, one, other, *places)
    assert bench.refused(evidence) is Code.NOT_EVIDENCE


@pytest.mark.parametrize("accepted", [b"", bytes(32)])
def test_the_same_outcome_twice_is_honest(bench: Bench, accepted: bytes) -> None:
    """§4.1-12."""
    certificate = bench.peer.book.certificate
    evidence = two_outcomes(bench.trust, certificate, bench.answer(FAR, accepted), bench.answer(FAR, accepted))
    assert bench.refused(evidence) is Code.NOT_EVIDENCE


def test_outcomes_of_two_requests_are_honest(bench: Bench) -> None:
    certificate = bench.peer.book.certificate
    evidence = two_outcomes(bench.trust, certificate, bench.answer(FAR, bytes(32)), bench.answer(bytes(32)))
    assert bench.refused(evidence) is Code.NOT_EVIDENCE


def test_spending_what_was_accepted_is_honest(bench: Bench) -> None:
    evidence = bench.dead_spent()
    warrant = evidence.warrant
    assert warrant is not None
    kept = replace(warrant, outcome=bench.answer(FAR, evidence.first.id)._replace(opening=None))
    assert bench.refused(replace(evidence, warrant=kept)) is Code.BROKEN_PROVENANCE
    other = RequestOpening(warrant.opening.place, warrant.opening.salt, bytes(32))
    assert bench.refused(replace(evidence, warrant=replace(warrant, opening=other))) is Code.BROKEN_PROVENANCE


def test_a_dead_transfer_that_nobody_spent_names_nobody(bench: Bench) -> None:
    """§15-5, §15-8."""
    evidence = bench.dead_spent()
    elsewhere = bench.pay(0, 10)._replace(opening=None)
    assert bench.refused(replace(evidence, second=elsewhere)) is Code.NOT_EVIDENCE
    assert bench.refused(replace(evidence, warrant=None)) is Code.NOT_EVIDENCE
    given = bench.pay(500, 600)
    spender = bench.pay(500, 600, by=bench.peer, parent=Parent(given.id, Side.PAYEE, 0))
    assert evidence.warrant is not None
    honest = dead_spent(bench.trust, bench.graph, cast("Transfer", evidence.first), evidence.warrant, spender)
    assert bench.refused(honest) is Code.NOT_EVIDENCE


def test_nothing_beside_what_is_needed(bench: Bench) -> None:
    """§15-1, §15-3, §15-7, §15-8."""
    evidence, deep, tape = bench.fork(), bench.deep_fork(), bench.tape_fork()
    foreign = bench.mint.ledger.issue(bench.peer.book.key, 5, bench.mint.epoch, bench.mint.draw(8))
    places = tape.openings
    certificate = bench.peer.book.certificate
    for changed in (
        replace(evidence, first=evidence.second, second=evidence.first),
        replace(evidence, second=evidence.first),
        replace(evidence, tokens=(*evidence.tokens, foreign)),
        replace(evidence, tokens=evidence.tokens * 2),
        replace(evidence, tokens=()),
        replace(evidence, transfers=deep.transfers),
        replace(deep, transfers=deep.transfers * 2),
        replace(evidence, openings=places),
        replace(evidence, authorities=bench.mint.authority.authorities),
        replace(evidence, certificate=certificate),
        replace(evidence, fraud=Fraud.TAPE_FORK),
        replace(evidence, fraud=Fraud.TWO_OUTCOMES),
        replace(evidence, fraud=Fraud.DEAD_SPENT),
        replace(tape, fraud=Fraud.FORK),
        replace(tape, openings=places[:1]),
        replace(bench.two_outcomes(), fraud=Fraud.FORK),
    ):
        assert bench.refused(changed) is Code.NOT_EVIDENCE


def test_what_is_behind_stands_in_any_order(bench: Bench) -> None:
    """§15-7: whoever makes evidence need not know how we walk through a history."""
    there = bench.pay(0, 600)
    again = bench.pay(0, 300, by=bench.peer, parent=Parent(there.id, Side.PAYEE, 0), to=bench.thief)
    parent = Parent(again.id, Side.PAYEE, 0)
    evidence = fork(bench.trust, bench.graph, bench.pay(0, 200, parent=parent), bench.pay(100, 300, parent=parent))
    assert len(evidence.transfers) == 2
    turned = replace(evidence, transfers=evidence.transfers[::-1])
    assert verify_evidence(turned, bench.root) == verify_evidence(evidence, bench.root)


def test_a_token_of_nobody_carries_no_fork(bench: Bench) -> None:
    """§15-3, §15-4."""
    evidence = bench.fork()
    (token,) = evidence.tokens
    forged = token._replace(amount=2000)
    assert bench.refused(replace(evidence, tokens=(forged,))) is Code.BAD_SIGNATURE
    deep = bench.deep_fork()
    assert bench.refused(replace(deep, transfers=())) is Code.BROKEN_PROVENANCE


def test_making_needs_what_is_behind(bench: Bench) -> None:
    one, other = bench.pay(0, 600), bench.pay(500, 900)
    bench.graph.tokens.clear()
    with pytest.raises(TapError) as caught:
        fork(bench.trust, bench.graph, one, other)
    assert caught.value.code is Code.BROKEN_PROVENANCE


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.MALFORMED),
        (b"\x90", Code.MALFORMED),
        (b"\x92\x02\x01", Code.WRONG_VERSION),
        (b"\x92\x01\x07", Code.MALFORMED),
        (b"\x92\x01\x02", Code.MALFORMED),
        (b"\xc0", Code.MALFORMED),
    ],
)
def test_other_bytes_are_refused(data: bytes, code: Code) -> None:
    with pytest.raises(TapError) as caught:
        verify_evidence(data, Bench().root)
    assert caught.value.code is code


def test_statements_off_the_tape_or_open_are_refused(bench: Bench) -> None:
    evidence = bench.fork()
    opened = replace(evidence, first=bench.pay(0, 600))
    assert bench.refused(opened) is Code.MALFORMED
    answer = cast("Transfer", bench.answer(FAR)._replace(opening=None))
    assert bench.refused(replace(evidence, transfers=(answer,))) is Code.MALFORMED
    first, second = sorted((evidence.first, answer), key=lambda statement: statement.id)
    mixed = replace(evidence, key=bench.peer.book.key, certificate=bench.peer.book.certificate)
    assert bench.refused(replace(mixed, first=first, second=second)) is Code.NOT_EVIDENCE
    outcomes = bench.two_outcomes()
    both = replace(evidence, key=outcomes.key, certificate=outcomes.certificate, first=outcomes.first)
    assert bench.refused(replace(both, second=outcomes.second)) is Code.NOT_EVIDENCE
    assert (
        bench.refused(replace(evidence, transfers=cast("tuple[Transfer, ...]", (bench.answer(FAR),)))) is Code.MALFORMED
    )
