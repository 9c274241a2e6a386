"""Where value comes from: what a payee believes of it, by which rule, and in which order the rules speak."""

from __future__ import annotations

from typing import cast

import pytest

from dualtap import limits, payer
from dualtap.book import Book
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.forms import signed
from dualtap.graph import Graph, Interval, overlaps
from dualtap.issued import Condition, Token
from dualtap.provenance import Acceptance, Received, check_conflicts, verify
from dualtap.records import News
from dualtap.select import Choice
from dualtap.statements import CloseBody, Opening, Parent, ReceiptBody, Side, Span, Transfer, TransferBody, Warrant
from dualtap.states import Part, State
from dualtap.suite import Signer
from dualtap.wire import OutcomeMessage, TransferMessage
from tests.playbook import EPOCH, TIER, Said, World, refuse

ACCEPT = Acceptance("CNY", EPOCH, limits.HOPS, limits.SPANS)


class Ledger:
    """Wallets of a world as bare keys, which sign whatever they are told to."""

    def __init__(self) -> None:
        self.world = World(seed="provenance")
        self.trust = self.world.wallet().book.trust
        self.graph = Graph()
        self.count = 0

    def key(self) -> Signer:
        signer = self.world.suite.signer(self.world.draw())
        self.graph.certificates[signer.public] = self.world.certificate(signer.public)
        return signer

    def token(self, owner: Signer, amount: int = 100, hops: int = 7, spend_by: int = EPOCH + 300) -> Parent:
        return self.put_token(self.world.token(owner.public, amount, hops=hops, spend_by=spend_by))

    def put_token(self, token: Token) -> Parent:
        token_id = self.trust.token_id(token)
        self.graph.tokens[token_id] = token
        return Parent(token_id, Side.TOKEN, 0)

    def pay(
        self, payer: Signer, payee: Signer, *spans: Span, epoch: int = EPOCH, request: bytes = bytes(32)
    ) -> Transfer:
        self.count += 1
        opening = Opening(self.world.draw(16), self.count, self.count + 1, request=request)
        body = TransferBody(payee.public, spans, epoch, ())
        transfer = signed(self.world.scheme.id, payer.public, body, opening)
        return transfer.sealed(payer.sign(transfer.id))

    def close(self, payee: Signer, transfer: Transfer, **more: bytes) -> Warrant:
        request = more.get("request", transfer.shown().request)
        body = ReceiptBody(request, more["receipt"], EPOCH) if "receipt" in more else CloseBody(request, 81, EPOCH)
        outcome = signed(self.world.scheme.id, payee.public, body, Opening(bytes(16), 0, 1))
        outcome = outcome.sealed(payee.sign(outcome.id))
        self.graph.warrants[transfer.id] = Warrant(transfer.shown().answered(), outcome)
        return self.graph.warrants[transfer.id]

    def believe(
        self, last: Transfer, *hands: Transfer, accept: Acceptance = ACCEPT, known: Graph | None = None
    ) -> int | Code:
        for hand in hands:
            self.graph.put(hand)
        keys = {last.key, *(hand.key for hand in hands)}
        self.graph.certificates = {key: self.graph.certificates[key] for key in keys}
        try:
            return verify(self.trust, Received(last, self.graph, hands), accept, known)
        except TapError as error:
            return cast("Code", error.code)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def of(transfer: Transfer, start: int, end: int, side: Side = Side.PAYEE, index: int = 0) -> Span:
    return Span(Parent(transfer.id, side, index), start, end)


def test_a_first_hand(ledger: Ledger) -> None:
    anna, ben = ledger.key(), ledger.key()
    token = ledger.token(anna)
    assert ledger.believe(ledger.pay(anna, ben, Span(token, 10, 100))) == 90


@pytest.mark.parametrize(
    ("spans", "code"),
    [
        (((0, 101),), Code.SPAN_OUTSIDE),
        (((50, 50),), Code.SPAN_OUTSIDE),
        (((60, 50),), Code.SPAN_OUTSIDE),
        (((0, 60), (59, 100)), Code.SPANS_OVERLAP),
        (((0, 60), (0, 60)), Code.SPANS_OVERLAP),
        (((10, 20), (0, 100)), Code.SPANS_OVERLAP),
        (((0, 60), (60, 100)), 100),
    ],
)
def test_spans_lie_in_their_parent_and_spend_no_unit_twice(
    ledger: Ledger, spans: tuple[tuple[int, int], ...], code: Code | int
) -> None:
    """§5.3-1, §5.3-4, §5.3-6."""
    anna, ben = ledger.key(), ledger.key()
    token = ledger.token(anna)
    assert ledger.believe(ledger.pay(anna, ben, *(Span(token, start, end) for start, end in spans))) == code


def test_a_later_hand_spends_only_what_it_was_given(ledger: Ledger) -> None:
    """§5.3-2, §5.3-4."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    first = ledger.pay(anna, ben, Span(ledger.token(anna), 10, 60))
    assert ledger.believe(ledger.pay(ben, carla, of(first, 10, 60)), first) == 50
    assert ledger.believe(ledger.pay(ben, carla, of(first, 9, 60)), first) is Code.SPAN_OUTSIDE
    assert ledger.believe(ledger.pay(ben, carla, of(first, 10, 61)), first) is Code.SPAN_OUTSIDE
    assert ledger.believe(ledger.pay(ben, carla, of(first, 10, 60, index=1)), first) is Code.BROKEN_PROVENANCE


def test_nobody_spends_what_is_not_theirs(ledger: Ledger) -> None:
    """§5.3-3."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    token = ledger.token(anna)
    first = ledger.pay(anna, ben, Span(token, 0, 60))
    certificates = dict(ledger.graph.certificates)
    assert ledger.believe(ledger.pay(carla, ben, Span(token, 0, 60))) is Code.NOT_OWNER
    ledger.graph.certificates = dict(certificates)
    assert ledger.believe(ledger.pay(carla, ben, of(first, 0, 60)), first) is Code.NOT_OWNER
    ledger.graph.certificates = dict(certificates)
    assert ledger.believe(ledger.pay(ben, anna, of(first, 0, 60, Side.PAYER)), first) is Code.NOT_OWNER


def test_days_do_not_run_backwards(ledger: Ledger) -> None:
    """§5.3-5."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    first = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    assert ledger.believe(ledger.pay(ben, carla, of(first, 0, 60), epoch=EPOCH - 1), first) is Code.EPOCH_BACKWARDS


def test_a_payers_side_needs_its_warrant_and_a_payees_side_must_have_none(ledger: Ledger) -> None:
    """§8.2-5, §8.2-6."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    certificates = dict(ledger.graph.certificates)
    dead = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    again = ledger.pay(anna, carla, of(dead, 0, 60, Side.PAYER))
    assert ledger.believe(again, dead) is Code.BROKEN_PROVENANCE
    ledger.close(ben, dead)
    assert ledger.believe(again, dead) == 60
    ledger.graph.certificates = dict(certificates)
    assert ledger.believe(ledger.pay(ben, carla, of(dead, 0, 60)), dead) is Code.BROKEN_PROVENANCE


def test_a_receipt_for_another_transfer_is_a_warrant_and_one_for_this_is_not(ledger: Ledger) -> None:
    """§8.2-4."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    dead = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    again = ledger.pay(anna, carla, of(dead, 0, 60, Side.PAYER))
    ledger.close(ben, dead, receipt=bytes(32))
    assert ledger.believe(again, dead) == 60
    ledger.close(ben, dead, receipt=dead.id)
    assert ledger.believe(again, dead) is Code.BROKEN_PROVENANCE


def test_a_warrant_is_by_this_payee_for_this_request(ledger: Ledger) -> None:
    """§8.1-10, §8.2-4."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    dead = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    again = ledger.pay(anna, carla, of(dead, 0, 60, Side.PAYER))
    ledger.close(carla, dead)
    assert ledger.believe(again, dead) is Code.BROKEN_PROVENANCE
    ledger.close(ben, dead, request=b"x" * 32)
    assert ledger.believe(again, dead) is Code.BROKEN_PROVENANCE
    good = ledger.close(ben, dead)
    other = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    ledger.graph.warrants[dead.id] = Warrant(other.shown().answered(), good.outcome)
    assert ledger.believe(again, dead) is Code.BROKEN_PROVENANCE
    ledger.graph.warrants[dead.id] = Warrant(good.opening, good.outcome.sealed(bytes(64)))
    assert ledger.believe(again, dead) is Code.BAD_SIGNATURE


def test_what_is_missing_is_named(ledger: Ledger) -> None:
    """§5.3-2."""
    anna, ben = ledger.key(), ledger.key()
    absent = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    last = ledger.pay(ben, anna, of(absent, 0, 60))
    assert ledger.believe(last) is Code.BROKEN_PROVENANCE
    with pytest.raises(TapError) as caught:
        ledger.graph.ancestors(last)
    assert caught.value.code is Code.BROKEN_PROVENANCE
    token = Parent(bytes(32), Side.TOKEN, 0)
    assert ledger.believe(ledger.pay(ben, anna, Span(token, 0, 1))) is Code.BROKEN_PROVENANCE
    second = Parent(next(iter(ledger.graph.tokens)), Side.TOKEN, 1)
    assert ledger.believe(ledger.pay(ben, anna, Span(second, 0, 1))) is Code.BROKEN_PROVENANCE


def test_what_a_payee_takes(ledger: Ledger) -> None:
    """§8.1-11, §8.1-12, §8.2-1."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    certificates = dict(ledger.graph.certificates)
    token = ledger.token(anna, hops=1, spend_by=EPOCH + 3)
    first = ledger.pay(anna, ben, Span(token, 0, 60))
    assert ledger.believe(first, accept=ACCEPT) == 60
    assert ledger.believe(first, accept=Acceptance("EUR", EPOCH, 7, 16)) is Code.WRONG_CURRENCY
    assert ledger.believe(first, accept=Acceptance("CNY", EPOCH + 3, 7, 16)) == 60
    assert ledger.believe(first, accept=Acceptance("CNY", EPOCH + 4, 7, 16)) is Code.TOKEN_EXPIRED
    assert ledger.believe(first, accept=Acceptance("CNY", EPOCH, 0, 16)) is Code.TOO_MANY_HOPS
    assert ledger.believe(first, accept=Acceptance("CNY", EPOCH, 7, 0)) is Code.TOO_LARGE
    ledger.graph.certificates = dict(certificates)
    assert ledger.believe(ledger.pay(ben, carla, of(first, 0, 60)), first) is Code.TOO_MANY_HOPS


def test_a_condition_is_not_ignored(ledger: Ledger) -> None:
    """§5.6-2, §8.1-9."""
    anna, ben = ledger.key(), ledger.key()
    token = ledger.world.token(anna.public, 10, conditions=(Condition(99, b""),))
    last = ledger.pay(anna, ben, Span(ledger.put_token(token), 0, 10))
    assert ledger.believe(last) is Code.UNKNOWN_CONDITION


def test_a_double_spend_inside_one_proof_is_seen(ledger: Ledger) -> None:
    """§8.3-1."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    token = ledger.token(anna)
    one, two = (ledger.pay(anna, ben, Span(token, 0, 60)) for _ in range(2))
    last = ledger.pay(ben, carla, of(one, 0, 60))
    assert ledger.believe(last, one, two) is Code.DOUBLE_SPENT
    both = ledger.pay(ben, carla, of(one, 0, 60), of(two, 0, 60))
    assert ledger.believe(both, one, two) is Code.SPANS_OVERLAP


def test_a_double_spend_against_what_is_known_here_is_seen(ledger: Ledger) -> None:
    """§8.1-13, §8.3-1."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    token = ledger.token(anna)
    known = Graph()
    known.put(ledger.pay(anna, carla, Span(token, 50, 100)))
    assert ledger.believe(ledger.pay(anna, ben, Span(token, 0, 51)), known=known) is Code.DOUBLE_SPENT
    ledger.graph.spends.clear()
    ledger.graph.transfers.clear()
    assert ledger.believe(ledger.pay(anna, ben, Span(token, 0, 50)), known=known) == 50


def test_the_payees_side_of_what_is_known_to_be_dead(ledger: Ledger) -> None:
    """§8.2-6, §8.3-2."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    dead = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    known = Graph()
    known.put(dead)
    known.warrants[dead.id] = ledger.close(ben, dead)
    ledger.graph.warrants.clear()
    assert ledger.believe(ledger.pay(ben, carla, of(dead, 0, 60)), dead, known=known) is Code.DOUBLE_SPENT


def test_restored_value_of_what_its_payee_was_seen_to_spend(ledger: Ledger) -> None:
    """§8.3-7: also of other units, for the payee has said that it never took any of them."""
    anna, ben, carla = ledger.key(), ledger.key(), ledger.key()
    dead = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    known = Graph()
    known.put(ledger.pay(ben, carla, of(dead, 0, 30)))
    ledger.close(ben, dead)
    again = ledger.pay(anna, carla, of(dead, 30, 60, Side.PAYER))
    assert ledger.believe(again, dead, known=known) is Code.DOUBLE_SPENT
    ledger.graph.drop(again.id)
    assert ledger.believe(again, dead) == 30


def test_a_fork_of_a_tape_is_seen(ledger: Ledger) -> None:
    """§8.3-3."""
    anna, ben = ledger.key(), ledger.key()
    known = Graph()
    known.put(ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60)))
    ledger.count -= 1
    last = ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60))
    assert ledger.believe(last, known=known) is Code.TAPE_FORKED


def test_a_graph_without_anything_known_has_no_conflict_with_it(ledger: Ledger) -> None:
    anna, ben = ledger.key(), ledger.key()
    ledger.graph.put(ledger.pay(anna, ben, Span(ledger.token(anna), 0, 60)))
    check_conflicts(ledger.graph, None)


@pytest.mark.parametrize(
    ("start", "end", "met"),
    [(0, 10, False), (0, 11, True), (20, 30, False), (19, 21, True), (12, 13, True), (5, 50, True), (40, 50, False),
     (25, 31, True), (39, 40, True)],
)  # fmt: skip
def test_overlaps(start: int, end: int, met: bool) -> None:
    assert overlaps([Interval(10, 20, b"a"), Interval(30, 40, b"b")], start, end) is met
    assert not overlaps([], start, end)


def test_a_transfer_is_taken_in_once_and_dropped_whole(ledger: Ledger) -> None:
    """§8.3-4."""
    anna, ben = ledger.key(), ledger.key()
    token = ledger.token(anna)
    shown = ledger.pay(anna, ben, Span(token, 0, 60))
    bare = signed(ledger.world.scheme.id, shown.key, shown.body, shown.commitment, shown.signature)
    graph = Graph()
    for transfer in (bare, shown, bare, shown):
        graph.put(transfer)
    assert graph.transfers == {shown.id: shown}
    assert graph.spends == {token: [Interval(0, 60, shown.id)]}
    assert [place.transfer for place in graph.tapes[anna.public]] == [shown.id]
    graph.drop(bytes(32))
    graph.drop(shown.id)
    assert (graph.transfers, graph.spends[token], graph.tapes[anna.public]) == ({}, [], [])


def test_a_newer_certificate_replaces_an_older_one_and_not_the_other_way(ledger: Ledger) -> None:
    key = ledger.key().public
    old, new = (ledger.world.certificate(key, expires=EPOCH + days) for days in (1, 2))
    for first, second in ((old, new), (new, old)):
        graph, other = Graph(), Graph()
        graph.certificates[key], other.certificates[key] = first, second
        graph.add(other)
        assert graph.certificates[key] == new


# Rules that only a dishonest payer meets


def test_a_transfer_dated_ahead_of_what_can_be_checked() -> None:
    """§8.1-6."""
    world = World()

    def lie(said: Said) -> Said:
        return said._replace(epoch=EPOCH + 1) if isinstance(said, TransferMessage) else said

    meeting = world.meet(world.wallet(fund=100), world.wallet(), 10).run(rewrite=lie)
    assert meeting.payee.report.code is Code.EPOCH_AHEAD
    assert meeting.payer.report.result is Result.NOT_PAID
    world.check()


def test_a_transfer_without_a_place_on_its_tape() -> None:
    world = World()

    def lie(said: Said) -> Said:
        return said._replace(prev=said.ctr) if isinstance(said, TransferMessage) else said

    meeting = world.meet(world.wallet(fund=100), world.wallet(), 10).run(rewrite=lie)
    assert meeting.payee.report.code is Code.MALFORMED
    assert meeting.payer.report.result is Result.NOT_PAID
    world.check()


def test_a_payer_that_pays_another_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    """§8.1-14."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    meeting = world.meet(watch, till, 10)
    meeting.until(Part.PAYER, State.AWAIT_CONSENT)
    held = watch.book.holdings[0]

    def too_little(*_: object, **__: object) -> Choice:
        return Choice((Span(held.parent, 0, 9),))

    def never(*_: object) -> bool:
        return False

    monkeypatch.setattr(payer, "choose", too_little)
    monkeypatch.setattr(Book, "holds", never)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    monkeypatch.undo()
    meeting.run()
    assert (meeting.payer.report.result, meeting.payer.report.code) == (Result.NOT_PAID, Code.WRONG_AMOUNT)
    world.check()


def test_two_transfers_for_one_part_are_accepted_once() -> None:
    """A till that lost its Close: an open request of a paid part is closed, not paid. §8.1-14, §11.4-8."""
    world = World()
    anna, ben, till = world.wallet(fund=100), world.wallet(fund=100), world.wallet()
    apples = Charge(10, "CNY", b"basket of apples")
    lanes = [world.meet(payer, till, charge=apples) for payer in (anna, ben)]
    for part, state in ((Part.PAYEE, State.AWAIT_HELLO), (Part.PAYER, State.AWAIT_CONSENT)):
        for lane in lanes:
            lane.until(part, state)
    for lane in lanes:
        lane.run()
    assert lanes[0].payer.report.result is Result.PAID
    assert (lanes[1].payer.report.result, lanes[1].payer.report.code) == (Result.NOT_PAID, Code.BASKET_PAID)
    world.check()


def test_a_stored_receipt_is_repeated_also_to_one_who_shows_something_else() -> None:
    """§11.4-4."""
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    world.meet(watch, till, 10).run(stop_after=3)

    def spoil(said: Said) -> Said:
        return said._replace(spans=((7, 0, 10),)) if isinstance(said, TransferMessage) else said

    meeting = world.meet(watch, till, 5, person=refuse).run(rewrite=spoil)
    (outcome,) = [seen.message for seen in meeting.heard if isinstance(seen.message, OutcomeMessage)]
    assert outcome.transfer == till.book.graph.transfers[outcome.transfer].id
    assert meeting.payer.reports[0].result is Result.HEALED_PAID
    world.check()


def test_a_refund_that_was_closed_gives_its_room_back() -> None:
    world = World()
    watch, till = world.wallet(fund=100), world.wallet()
    sale = world.pay(watch, till, 50)
    watch.write(News(None, (), None, world.ruled(2, (TIER._replace(receipts=0),))))
    meeting = world.meet(till, watch, 50, pay=Pay(sale)).run()
    assert meeting.payer.report.code is Code.OVER_LIMIT
    assert till.book.taken[sale].refunded == 0
    world.check()
