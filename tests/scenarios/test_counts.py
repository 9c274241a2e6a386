"""Value that may be used so many times (SPEC §5.6-14): the wallet, its payees, the ledger and evidence."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from dualtap import limits
from dualtap.context import Pay
from dualtap.errors import Code
from dualtap.events import Result
from dualtap.evidence import Fraud
from dualtap.issued import Condition
from dualtap.records import Holding
from dualtap.statements import Parent, Side, Span, Transfer, TransferBody
from dualtap.sync import upload_of
from dualtap.verdict import verify_evidence
from dualtap.wire import encode
from dualtap_devices.renewing import renewable, worn
from dualtap_devices.wallet import Wallet
from dualtap_issuer.renewals import renewals
from tests.mint import Mint
from tests.playbook import EPOCH, Meeting
from tests.scenarios.test_conditions import Town, cap, codes, shown
from tests.scenarios.test_conditions_ledger import Office

NONE_LEFT = "no use of the rest is left: a deposit still takes it"


def times(number: int) -> Condition:
    return Condition(8, number.to_bytes(4, "big"))


class Shops(Town):
    """A town in which each payment is for another basket."""

    def meet(self, payee: Wallet, amount: int = 100, *witness: bytes, basket: bytes = b"") -> Meeting:
        return super().meet(payee, amount, *witness, basket=basket or self.world.draw(16))


def buy(town: Town, amount: int, payee: Wallet | None = None) -> object:
    """Pay for a basket of its own; return why not, or nothing."""
    meeting = town.world.meet(town.child, payee or town.grocer, amount).run()
    assert codes(meeting)[0] == codes(meeting)[1]
    return codes(meeting)[0]


def left(town: Town) -> list[int]:
    return list(town.child.book.uses_left(EPOCH).values())


# The wallet


@pytest.mark.parametrize("suite", ["ed25519", "p256"])
def test_it_pays_so_many_times_and_says_why_no_more(suite: str) -> None:
    """§5.6-14, §5.6-15: whatever the amounts; what is then left of it is not counted as payable."""
    town = Town(suite)
    town.fund(100, times(3))
    for amount, uses, payable in ((1, 2, 99), (50, 1, 49), (20, 0, 0)):
        assert buy(town, amount) is None
        assert (left(town), town.child.book.available(EPOCH)) == ([uses], payable)
    report = town.world.meet(town.child, town.grocer, 10).run().payer.report
    assert (report.code, report.detail) == (Code.INSUFFICIENT, NONE_LEFT)
    assert (town.child.book.held(), report.result) == (29, Result.NOT_PAID)
    assert town.world.pay(town.grocer, town.friend, 71), "it falls away in the payee's hands"
    town.world.check()


def test_one_use_and_no_more_while_anything_else_suffices() -> None:
    """§5.6-15: in one span where it can be; the last payment may take every use that is left."""
    town = Town()
    town.fund(100, times(3))
    meeting = town.world.meet(town.child, town.grocer, 20).run()
    assert [span[1:] for span in shown(meeting).spans] == [(2, 22)]
    assert buy(town, 79) is None
    assert left(town) == [1]
    assert buy(town, 1) is None
    assert not town.child.book.holdings
    other = Town()
    other.fund(50, times(10))
    assert (buy(other, 5), left(other)) == (None, [9]), "the smallest piece that would do holds uses alone"
    other = Town()
    other.fund(10, times(3))
    assert buy(other, 10) is None, "all at once"
    other = Town()
    other.fund(10, times(30))
    assert [buy(other, 1) for _ in range(10)] == [None] * 10, "each unit is a use"


def test_other_value_is_spent_before_a_second_use() -> None:
    """§5.6-12, §5.6-15: bound value first, but for uses beyond the one."""
    town = Town()
    counted, free = town.fund(50, times(10)), town.fund(100)
    assert buy(town, 120) is None
    held = {free: 0, counted: 0}
    for one in town.child.book.holdings:
        held[one.token] += one.amount
    assert (held, left(town)) == ({counted: 9, free: 21}, [9])
    assert (buy(town, 21), left(town)) == (None, [9])
    assert (buy(town, 9), left(town)) == (None, [])
    town = Town()
    town.fund(50, times(1))
    free = town.fund(50)
    assert buy(town, 50) is None
    assert [held.token for held in town.child.book.holdings] == [free], "the use and the rest are one piece"


def test_several_counted_tokens_in_one_payment() -> None:
    """§5.6-1, §5.6-14: one use of each that is spent from, within the cap of each."""
    town = Town()
    one, two, capped = town.fund(50, times(2)), town.fund(40, times(1)), town.fund(30, times(5), cap(1))
    assert buy(town, 80) is None
    assert {one, two} >= {token for token, uses in town.child.book.uses_left(EPOCH).items() if uses < 2}
    assert town.child.book.uses_left(EPOCH)[capped] >= 4
    town.world.check()
    town = Town()
    town.fund(30, times(5), cap(1))
    assert [buy(town, 1) for _ in range(6)] == [None] * 5 + [Code.INSUFFICIENT]


def test_a_warrant_gives_a_use_back_and_a_refund_does_not() -> None:
    """§5.6-14."""
    town = Town()
    town.fund(100, times(2))
    town.meet(town.grocer, 60).run(stop_after=2)
    assert (left(town), town.child.book.in_doubt()) == ([1], 60)
    again = town.meet(town.grocer, 60).run()
    assert [report.result for report in again.payer.reports] == [Result.HEALED_RESTORED, Result.PAID]
    assert left(town) == [1], "one was given back, and one is spent"
    sale = again.payer.report.transfer
    assert codes(town.world.meet(town.grocer, town.child, 60, pay=Pay(sale)).run()) == (None, None)
    assert (left(town), town.child.book.available(EPOCH)) == ([1], 100)
    assert buy(town, 90) is None
    report = town.world.meet(town.child, town.grocer, 10).run().payer.report
    assert (report.code, report.detail, left(town)) == (Code.INSUFFICIENT, NONE_LEFT, [0])
    town.world.check()


def test_a_unit_that_came_twice_is_spent_once() -> None:
    """§8.4-1: a cheat's payee gave back what this wallet still holds: its use, and the same unit without."""
    town = Town()
    top = Parent(town.fund(100, times(3)), Side.TOKEN, 0)
    sale = town.world.meet(town.child, town.grocer, 98).run().payer.report.transfer
    assert codes(town.world.meet(town.grocer, town.child, 98, pay=Pay(sale)).run()) == (None, None)
    town.child.book.holdings.append(Holding(top, top.id, 2, 3))
    assert (buy(town, 90), town.child.book.in_doubt()) == (Code.INSUFFICIENT, 0), "no transfer that is no statement"
    free = town.fund(90)
    meeting = town.world.meet(town.child, town.grocer, 90).run()
    assert codes(meeting) == (None, None)
    assert [span.token for span in meeting.payee.book.holdings[-1:]] == [free]


def test_whose_uses_are_counted() -> None:
    """§5.6-14: the owner's, while its token can be spent; in a payee's hands there are none."""
    town = Town()
    town.fund(100, times(3), spend_by=EPOCH)
    assert buy(town, 60) is None
    grocer, child = town.grocer.book, town.child.book
    assert (grocer.uses_left(EPOCH), grocer.available(EPOCH)) == ({}, 60)
    assert (list(child.uses_left(EPOCH).values()), child.uses_left(EPOCH + 1)) == ([2], {})


def test_a_compacted_wallet_knows_its_uses() -> None:
    """§12-12: they are units that it holds."""
    town = Town()
    town.fund(100, times(3))
    assert buy(town, 10) is None
    town.child.write(*town.child.book.compacted())
    assert left(town) == [2]
    assert [buy(town, 10) for _ in range(3)] == [None, None, Code.INSUFFICIENT]


def test_a_payee_refuses_a_wallet_that_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """§5.6-14: units without a use, and a use that came back from a payee; a use twice is a double spend."""
    town = Shops()
    top = Parent(town.fund(100, times(3)), Side.TOKEN, 0)
    unmet = (Code.CONDITION_UNMET, Code.CONDITION_UNMET)
    assert codes(town.cheat(monkeypatch, town.grocer, [Span(top, 3, 60)])) == unmet
    clone = town.world.cloned(town.child)
    sale = town.cheat(monkeypatch, town.grocer, [Span(top, 0, 3)]).payer.report.transfer
    assert codes(town.world.meet(town.grocer, town.child, 3, pay=Pay(sale)).run()) == (None, None)
    (refund,) = [one.parent for one in town.child.book.holdings if one.parent.side is Side.PAYEE]
    assert codes(town.cheat(monkeypatch, town.friend, [Span(refund, 0, 3)])) == unmet
    town.child = clone
    twice = town.cheat(monkeypatch, town.grocer, [Span(top, 2, 3), Span(top, 80, 90)])
    assert codes(twice) == (Code.DOUBLE_SPENT, Code.DOUBLE_SPENT)


def test_it_costs_a_tap_no_byte_beyond_the_condition() -> None:
    """§5.6-14: nothing is carried for it; a first payment has one span, as without."""
    sizes: list[int] = []
    for conditions in ((Condition(4, bytes(4) + b"\x7f" * 4),), (times(3),)):
        town = Town()
        town.fund(1000, *conditions)
        sizes.append(len(encode(shown(town.world.meet(town.child, town.grocer, 700).run()))))
    assert sizes[1] <= sizes[0]


def test_a_card_takes_it() -> None:
    town = Town("p256", limits.CARD)
    town.fund(100, times(3))
    assert [buy(town, 30) for _ in range(4)] == [None, None, None, Code.INSUFFICIENT]
    town.world.check()


def test_any_order_of_payments_refunds_and_tears() -> None:
    """§5.6-14: an honest wallet is never refused by its payees, and pays as often as its uses say."""
    draw = random.Random(8)
    for _ in range(12):
        town, uses = Town(), draw.randrange(1, 5)
        town.fund(60, times(uses))
        paid, sales = 0, list[tuple[bytes, int]]()
        for _ in range(12):
            amount, before = draw.randrange(1, 12), sum(left(town))
            what = draw.random()
            if what < 0.3 and sales:
                sale, sum_ = sales.pop()
                assert codes(town.world.meet(town.grocer, town.child, sum_, pay=Pay(sale)).run()) == (None, None)
                assert sum(left(town)) == before
            elif what < 0.5 and town.child.book.available(EPOCH) >= amount and not town.child.book.pending:
                meeting = town.meet(town.grocer, amount, basket=draw.randbytes(16)).run(stop_after=2)
                assert codes(meeting)[0] is Code.LINK_LOST
            else:
                was = town.child.book.available(EPOCH) >= amount
                meeting = town.world.meet(town.child, town.grocer, amount).run()
                if codes(meeting)[0] is None:
                    paid += 1
                    sales.append((meeting.payer.report.transfer, amount))
                else:
                    assert codes(meeting)[0] is Code.INSUFFICIENT
                    assert not was
        assert paid <= uses
        town.world.check()


# The issuer


def paid(office: Office, *spans: tuple[Parent, int, int], to: bytes = b"", request: bytes = b"") -> Transfer:
    office.count += 2
    body = TransferBody(to or office.grocer.book.key, tuple(Span(*span) for span in spans), office.epoch, ())
    return office.sign(office.child, body, office.opening(office.count, office.count + 1, request))


def test_who_takes_one_use_twice_is_named_by_the_ledger_and_by_evidence() -> None:
    """§5.6-14, §5.3-8: no other unit is spent twice."""
    office = Office(times(3))
    one = paid(office, (office.top, 2, 60))
    other = paid(office, (office.top, 500, 560), (office.top, 2, 3))
    office.tell(one, other)
    (named,) = office.ledger.audit().conflicts
    verdict = verify_evidence(named.evidence, office.scheme.root)
    assert (verdict.key, verdict.fraud) == (office.child.book.key, Fraud.FORK)


def test_units_without_a_use_name_nobody_and_move_nothing() -> None:
    """§5.6-14, §5.3-9."""
    office = Office(times(3))
    broken, good = paid(office, (office.top, 3, 60)), paid(office, (office.top, 2, 60))
    office.tell(broken, good)
    assert not office.ledger.audit().conflicts
    assert [kid.transfer for kid in office.ledger.world().kids[office.top]] == [good.id]


@pytest.mark.parametrize("order", [*permutations(range(4))][::5])
def test_the_ledger_judges_alike_in_whatever_order(order: tuple[int, ...]) -> None:
    """§5.6-14: also where the refund, and what was restored over it, are read from its rows."""
    office = Office(times(3))
    sale = paid(office, (office.top, 0, 60))
    refund = office.spend(0, 60, office.child.book.key, by=office.grocer, of=Parent(sale.id, Side.PAYEE, 0))
    mine = Parent(refund.id, Side.PAYEE, 0)
    broken = paid(office, (mine, 0, 30))
    twice = paid(office, (Parent(broken.id, Side.PAYER, 0), 0, 30))
    told = (sale, refund, broken, twice)
    for place in order:
        office.tell(told[place])
    assert not office.ledger.audit().conflicts
    shaped = office.ledger.world().shaped.keys()
    assert shaped == {sale.id, refund.id}


@pytest.mark.parametrize("turned", [False, True])
def test_the_ledger_follows_restored_uses_through_its_rows(*, turned: bool) -> None:
    """§5.6-14: restored twice, a use is one still; what was refunded in between is none."""
    office = Office(times(3))
    sale = paid(office, (office.top, 0, 2))
    refund = office.spend(0, 2, office.child.book.key, by=office.grocer, of=Parent(sale.id, Side.PAYEE, 0))
    first = paid(office, (Parent(refund.id, Side.PAYEE, 0), 0, 2), (office.top, 2, 60))
    second = paid(office, (Parent(first.id, Side.PAYER, 0), 0, 2), (Parent(first.id, Side.PAYER, 1), 2, 60))
    bad = paid(office, (Parent(second.id, Side.PAYER, 0), 0, 2))
    good = paid(office, (Parent(second.id, Side.PAYER, 1), 2, 3))
    told = [sale, refund, first, second, bad, good]
    for transfer in reversed(told) if turned else told:
        office.tell(transfer)
    office.ledger.audit()
    assert office.ledger.world().shaped.keys() == {one.id for one in told} - {bad.id}


def test_a_renewal_gives_no_use_back() -> None:
    """§14-23, §14-25: it is not handed in; a deposit takes it, and one that asks for fresh tokens stays a credit."""
    mint = Mint()
    wallet, shop = mint.wallet(), mint.wallet()
    mint.ledger.issue(wallet.book.key, 400, mint.epoch, mint.draw(8), (times(2),))
    mint.settle_in(wallet)
    assert mint.pay(wallet, shop, 100, cut=2) == "in_doubt"
    for one in (shop, wallet):
        mint.settle_in(one)
    assert [held.parent.side for held in wallet.book.holdings].count(Side.PAYER) == 1
    assert worn(wallet.book) == renewable(wallet.book) == []
    assert mint.settle_in(wallet, deposit=True).deposited == 400
    assert not renewals(mint.ledger.world())


def test_an_issuer_renews_no_count() -> None:
    """§14-25: whoever asks for it all the same is credited."""
    mint = Mint()
    wallet = mint.wallet()
    token = mint.ledger.issue(wallet.book.key, 400, mint.epoch, mint.draw(8), (times(2),))
    mint.settle_in(wallet)
    top = Parent(mint.ledger.trust.token_id(token), Side.TOKEN, 0)
    body = TransferBody(mint.authority.institution, (Span(top, 0, 400),), mint.epoch, (b"dualtap renewal 1",))
    deposit = mint.sign(wallet, body, mint.opening(0, 1))
    upload = upload_of(wallet.book)._replace(transfers=(deposit,))
    mint.sync(mint.signed_upload(wallet, upload))
    assert [credit.amount for credit in mint.store.credits()] == [400]
    assert not renewals(mint.ledger.world())
    mint.ledger.audit()
