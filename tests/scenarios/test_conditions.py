"""Purpose-bound value in use (SPEC §5.6): wallets that keep to it, wallets that do not, ledgers and evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from dualtap import account, graph, limits, payer, provenance
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Consent, Result
from dualtap.forms import encode_certificate, encode_grant, signed
from dualtap.issued import Carrier, Condition
from dualtap.limits import Profile
from dualtap.records import News
from dualtap.select import Choice
from dualtap.statements import GrantBody, Parent, Side, Span
from dualtap.states import Part, State
from dualtap.suite import Signer, sha256
from dualtap.trust import issue
from dualtap.wire import TransferMessage, encode
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, Meeting, World

GROCER, CINEMA = b"\x15\x23", b"\x1e\x98"
FOOD, FILMS = Condition(2, GROCER), Condition(2, CINEMA)
MERCHANT = Condition(3, b"")
SECRET = b"the word that opens it"
PREIMAGE = Condition(6, sha256(SECRET))
BASKET = b"basket of apples"


def cap(units: int) -> Condition:
    return Condition(4, units.to_bytes(8, "big"))


def window(first: int, last: int) -> Condition:
    return Condition(5, first.to_bytes(4, "big") + last.to_bytes(4, "big"))


class Town:
    """A child with an allowance, a grocer, a friend, and a parent who signs."""

    def __init__(self, suite: str = "ed25519", profile: Profile = limits.FULL) -> None:
        self.world = World(suite, seed="town")
        self.child, self.friend = self.world.wallet(Carrier.WATCH), self.world.wallet()
        self.grocer = self.world.wallet(Carrier.POS, profile=profile)
        self.parent = self.world.suite.signer(self.world.draw())
        blank = self.grocer.book.certificate._replace(category=5411)
        self.grocer.write(News(issue(self.world.scheme, self.world.bank, blank), (), None, None))

    def fund(self, amount: int, *conditions: Condition, spend_by: int | None = None) -> bytes:
        token = self.world.fund(self.child, amount, conditions=conditions, spend_by=spend_by)
        return self.world.wallets[0].book.trust.token_id(token)

    def grant(self, token: bytes, by: Signer | None = None, **changes: object) -> bytes:
        body = GrantBody(token, b"", 0, 100, b"", EPOCH, EPOCH)._replace(**changes)  # type: ignore[arg-type]
        key = by or self.parent
        blank = signed(self.world.scheme.id, key.public, body)
        return encode_grant(blank.sealed(key.sign(blank.id)))

    @property
    def signed(self) -> Condition:
        return Condition(7, self.parent.public)

    def meet(self, payee: Wallet, amount: int = 100, *witness: bytes, basket: bytes = BASKET) -> Meeting:
        charge = Charge(amount, "CNY", basket)
        return self.world.meet(self.child, payee, charge=charge, pay=Pay(witness=witness))

    def cheat(self, patch: pytest.MonkeyPatch, payee: Wallet, spans: Iterable[Span], *witness: bytes) -> Meeting:
        """Pay with these spans, whatever their conditions say."""
        spans = tuple(spans)
        meeting = self.meet(payee, sum(end - start for _, start, end in spans))

        def chosen(*_: object, **__: object) -> Choice:
            return Choice(spans, witness, bound=True)

        with patch.context() as inner:
            inner.setattr(payer, "choose", chosen)
            return meeting.run()


def codes(meeting: Meeting) -> tuple[object, object]:
    return meeting.payer.report.code, meeting.payee.report.code


def shown(meeting: Meeting) -> TransferMessage:
    return next(seen.message for seen in meeting.heard if isinstance(seen.message, TransferMessage))


PURPOSES: dict[str, Callable[[Town], tuple[Condition, ...]]] = {
    "payee": lambda town: (Condition(1, town.grocer.book.key),),
    "category": lambda _: (FOOD,),
    "merchant": lambda _: (MERCHANT,),
    "category and cap and window": lambda _: (FOOD, cap(100), window(EPOCH, EPOCH)),
}


@pytest.mark.parametrize("suite", ["ed25519", "p256"])
@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES)
def test_it_buys_what_it_is_for_and_nothing_else(
    purpose: Callable[[Town], tuple[Condition, ...]], suite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§5.6-1, §5.6-6: the grocer is paid and passes it on freely; a friend is not, by an honest wallet or a broken."""
    town = Town(suite)
    token = town.fund(200, *purpose(town))
    assert codes(town.meet(town.grocer).run()) == (None, None)
    assert town.world.pay(town.grocer, town.friend, 100)
    assert codes(town.meet(town.friend).run()) == (Code.INSUFFICIENT, Code.INSUFFICIENT)
    held = town.child.book.holdings[0]
    assert held.token == token
    meeting = town.cheat(monkeypatch, town.friend, [Span(held.parent, held.start, held.end)])
    assert codes(meeting) == (Code.CONDITION_UNMET, Code.CONDITION_UNMET)
    assert meeting.payer.report.result is Result.NOT_PAID, "closed, not in doubt"
    town.world.check()


def test_the_persons_own_words_and_signatures() -> None:
    """§5.6-8, §5.6-9: a payer carries exactly what is needed of what it was given."""
    town = Town()
    token = town.fund(300, PREIMAGE, town.signed)
    grant = town.grant(token, category=5411)
    refusals = [(), (SECRET,), (grant,), (b"another", grant), (SECRET, town.grant(token, amount=99))]
    for witness in refusals:
        assert codes(town.meet(town.grocer, 100, *witness).run()) == (Code.INSUFFICIENT, Code.INSUFFICIENT)
    large = town.grant(token, amount=200, basket=BASKET)
    meeting = town.meet(town.grocer, 100, b"not needed", grant, SECRET, large).run()
    assert codes(meeting) == (None, None)
    needed = {SECRET, grant, encode_certificate(town.grocer.book.certificate)}
    assert set(shown(meeting).witness) == needed
    assert codes(town.meet(town.grocer, 150, SECRET, grant, large).run())[0] is Code.BASKET_PAID
    second = b"basket of plums."
    assert codes(town.meet(town.grocer, 150, SECRET, grant, large, basket=second).run())[0] is Code.INSUFFICIENT
    other = town.grant(token, amount=150, basket=second)
    assert codes(town.meet(town.grocer, 150, SECRET, grant, other, basket=second).run()) == (None, None)
    town.world.check()


BROKEN: dict[str, Callable[[Town, bytes], list[bytes]]] = {
    "grant removed": lambda _town, _: [],
    "grant of another token": lambda town, _: [town.grant(bytes(32))],
    "grant for another payee": lambda town, token: [town.grant(token, payee=town.friend.book.key)],
    "grant of another signer": lambda town, token: [town.grant(token, by=town.world.bank)],
    "grant of less": lambda town, token: [town.grant(token, amount=99)],
    "grant of tomorrow": lambda town, token: [town.grant(token, first=EPOCH + 1, last=EPOCH + 1)],
    "grant of yesterday": lambda town, token: [town.grant(token, first=0, last=EPOCH - 1)],
    "grant for another basket": lambda town, token: [town.grant(token, basket=bytes(16))],
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_payee_is_not_talked_out_of_the_second_signature(
    broken: Callable[[Town, bytes], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """§5.6-8, §5.6-10."""
    town = Town()
    token = town.fund(100, town.signed)
    whole = [Span(Parent(token, Side.TOKEN, 0), 0, 100)]
    meeting = town.cheat(monkeypatch, town.grocer, whole, *broken(town, token))
    assert codes(meeting) == (Code.CONDITION_UNMET, Code.CONDITION_UNMET)
    assert town.grocer.book.accepted(BASKET, 0) is None
    assert not town.grocer.book.holdings


def test_a_witness_that_serves_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """§5.6-9."""
    town = Town()
    whole = [Span(Parent(town.fund(100), Side.TOKEN, 0), 0, 100)]
    assert codes(town.cheat(monkeypatch, town.grocer, whole, SECRET)) == (Code.MALFORMED, Code.MALFORMED)


def test_a_later_hand_sees_what_an_earlier_one_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """§5.3-9: a friend who takes what is not for friends cannot pass it on."""
    town = Town()
    whole = [Span(Parent(town.fund(100, FOOD), Side.TOKEN, 0), 0, 100)]

    def nothing(*_: object) -> None:
        return None

    with monkeypatch.context() as inner:
        inner.setattr(graph, "check_met", nothing)
        assert codes(town.cheat(monkeypatch, town.friend, whole)) == (None, None)
    meeting = town.world.meet(town.friend, town.grocer, 100).run()
    assert codes(meeting) == (Code.CONDITION_UNMET, Code.CONDITION_UNMET)


def test_what_is_not_understood_is_refused_in_whatever_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """§5.6-2: also where it has fallen away, for who knows whether it was met."""
    town = Town()
    whole = [Span(Parent(town.fund(100, Condition(99, b"")), Side.TOKEN, 0), 0, 100)]

    def nothing(*_: object) -> None:
        return None

    def always(*_: object) -> bool:
        return True

    with monkeypatch.context() as inner:
        inner.setattr(graph, "check_met", nothing)
        inner.setattr(provenance, "check_understood", nothing)
        inner.setattr(account, "understood", always)
        assert codes(town.cheat(monkeypatch, town.friend, whole)) == (None, None)
        friends = town.world.meet(town.friend, town.grocer, 100)
        friends.until(Part.PAYER, State.AWAIT_OUTCOME)
    assert codes(friends.run()) == (Code.UNKNOWN_CONDITION, Code.UNKNOWN_CONDITION)


def test_value_that_came_back_is_bound_again() -> None:
    """§5.6-1: restored after a tear, and refunded by the grocer."""
    town = Town()
    town.fund(100, MERCHANT)
    town.meet(town.grocer).run(stop_after=2)
    assert town.child.book.in_doubt() == 100
    again = town.meet(town.grocer, 60).run()  # the grocer closes the torn request first
    assert [report.result for report in again.payer.reports] == [Result.HEALED_RESTORED, Result.PAID]
    refused = (Code.INSUFFICIENT, Code.INSUFFICIENT)
    assert codes(town.meet(town.friend, 40).run()) == refused, "restored"
    sale = again.payer.report.transfer
    assert codes(town.world.meet(town.grocer, town.child, 60, pay=Pay(sale)).run()) == (None, None)
    assert town.child.book.available(EPOCH) == 100
    assert codes(town.meet(town.friend, 60).run()) == refused, "refunded"
    assert codes(town.meet(town.grocer, 100, basket=b"basket of pears.").run()) == (None, None)
    town.world.check()


def test_a_date_that_the_payer_does_not_know_closes_but_breaks_nothing() -> None:
    """§5.6-10: a payee that knows a later day refuses; the payer's value is restored, and is good where it may be."""
    town = Town()
    town.fund(100, window(0, EPOCH))
    town.grocer.write(News(None, (), town.world.dated(EPOCH + 1), None))
    meeting = town.meet(town.grocer).run()
    assert codes(meeting) == (Code.CONDITION_UNMET, Code.CONDITION_UNMET)
    sides = {held.parent.side for held in town.child.book.holdings}
    assert sides == {Side.PAYER}
    town.world.check()


def test_a_day_that_passes_while_the_person_thinks() -> None:
    """§5.6-10: what fitted when the person was asked is judged again before it is signed."""
    town = Town()
    town.fund(100, window(0, EPOCH))
    meeting = town.meet(town.grocer)

    def slowly(_: object) -> Consent:
        town.child.write(News(None, (), town.world.dated(EPOCH + 1), None))
        return Consent()

    meeting.payer.person = slowly
    assert codes(meeting.run()) == (Code.INSUFFICIENT, Code.INSUFFICIENT)
    assert town.child.book.available(EPOCH) == 100


# Choosing


def test_a_subsidy_goes_first_where_it_may() -> None:
    """§5.6-3, §5.6-12."""
    town = Town()
    free, food = town.fund(100), town.fund(100, FOOD)
    town.fund(500, Condition(99, b""))
    assert codes(town.meet(town.grocer, 60).run()) == (None, None)
    left = {held.token: held.amount for held in town.child.book.holdings}
    assert (left[free], left[food]) == (100, 40)
    assert codes(town.meet(town.friend, 60).run()) == (None, None)
    assert codes(town.meet(town.grocer, 81, basket=b"basket of plums.").run())[0] is Code.INSUFFICIENT
    assert codes(town.meet(town.grocer, 80, basket=b"basket of pears.").run()) == (None, None)
    assert [held.amount for held in town.child.book.holdings] == [500]
    town.world.check()


def test_a_cap_is_filled_up_with_other_value() -> None:
    """§5.6-1: never more of the token than its cap, in however many spans."""
    town = Town()
    capped = town.fund(100, cap(30))
    free = town.fund(100)
    meeting = town.meet(town.grocer, 120).run()
    assert codes(meeting) == (None, None)
    left = {held.token: held.amount for held in town.child.book.holdings}
    assert left == {capped: 70, free: 10}
    refusal = town.meet(town.grocer, 60, basket=b"basket of pears.").run().payer.report
    assert (refusal.code, refusal.detail) == (Code.INSUFFICIENT, "the rest is bound to another purpose")


def test_a_cap_counts_every_piece_of_the_token() -> None:
    """§5.6-1: what was refunded is another piece of the same token."""
    town = Town()
    capped = town.fund(100, cap(30))
    sale = town.meet(town.grocer, 20).run().payer.report.transfer
    assert codes(town.world.meet(town.grocer, town.child, 20, pay=Pay(sale)).run()) == (None, None)
    town.fund(70)
    assert [held.token for held in town.child.book.holdings][:2] == [capped, capped]
    meeting = town.meet(town.grocer, 100, basket=b"basket of plums.").run()
    assert codes(meeting) == (None, None)
    assert sum(held.amount for held in town.child.book.holdings) == 70


def test_a_grant_covers_every_piece_of_the_token() -> None:
    """§5.6-8: the one that is large enough for all is shown, not the first."""
    town = Town()
    token = town.fund(45, town.signed)
    small, large = town.grant(token, amount=25), town.grant(token, amount=45)
    sale = town.meet(town.grocer, 20, small).run().payer.report.transfer
    assert codes(town.world.meet(town.grocer, town.child, 20, pay=Pay(sale)).run()) == (None, None)
    meeting = town.meet(town.grocer, 45, small, large, basket=b"basket of plums.").run()
    assert codes(meeting) == (None, None)
    assert (shown(meeting).witness, len(shown(meeting).spans)) == ((large,), 2)


def test_a_clock_dates_no_statement() -> None:
    """§5.6-1: a window opens by the date that the transfer will bear, not by this device's clock."""
    town = Town()
    town.fund(100, window(EPOCH + 1, EPOCH + 9))
    meeting = town.meet(town.grocer)
    meeting.seconds = float((EPOCH + 1) * limits.EPOCH_SECONDS)
    assert codes(meeting.run()) == (Code.INSUFFICIENT, Code.INSUFFICIENT)
    for wallet in (town.child, town.grocer):
        wallet.write(News(None, (), town.world.dated(EPOCH + 1), None))
    assert codes(town.meet(town.grocer, basket=b"basket of plums.").run()) == (None, None)


def test_a_subsidy_in_crumbs_does_not_keep_a_purse_shut() -> None:
    """§5.6-12: where bound pieces are too many, larger value pays."""
    town = Town(profile=limits.CARD)
    for _ in range(4):
        town.fund(1, MERCHANT)
    town.fund(60)
    town.fund(60)
    assert codes(town.meet(town.grocer, 100).run()) == (None, None)


@pytest.mark.parametrize("suite", ["ed25519", "p256"])
def test_a_card_takes_food_vouchers(suite: str) -> None:
    """§8.4: a first hand with a CATEGORY witness, shown again with a date, is within a card's message."""
    town = Town(suite, limits.CARD)
    town.fund(100, FOOD)
    meeting = town.meet(town.grocer).run()
    assert codes(meeting) == (None, None)
    message = shown(meeting)
    size = len(encode(message._replace(request=bytes(32), header=town.world.header)))
    (witness,) = message.witness
    assert (len(witness), size) == {"ed25519": (119, 558), "p256": (120, 560)}[suite]
    assert size < limits.CARD_MESSAGE


def test_what_a_card_cannot_carry_is_paid_otherwise() -> None:
    """§5.6-12, §8.4: two long lists fill a card's message; free value pays, and without any the payer says so."""
    town = Town(profile=limits.CARD)
    keys = b"".join([town.grocer.book.key] * 16)
    town.fund(100, Condition(1, keys), Condition(1, keys))
    assert codes(town.meet(town.grocer).run())[0] is Code.TOO_LARGE
    assert not town.child.book.pending
    free = town.fund(100)
    meeting = town.meet(town.grocer, basket=b"basket of plums.").run()
    assert codes(meeting) == (None, None)
    assert free not in {held.token for held in town.child.book.holdings}


def test_a_payee_that_lacks_the_witness_banks_certificate_is_sent_it() -> None:
    """§5.6-7: a later hand is sent the chain of what it must judge."""
    town = Town()
    town.fund(100, FOOD)
    stranger = town.world.suite.signer(town.world.draw())
    bank = town.world.authorities[2]
    new = issue(town.world.scheme, town.world.institution, bank._replace(key=stranger.public, number=2))
    for wallet in (town.child, town.grocer):
        wallet.write(News(None, (new,), None, None))
    mine = town.grocer.book.certificate
    town.grocer.write(News(issue(town.world.scheme, stranger, mine), (), None, None))
    town.world.authorities = (*town.world.authorities[:2], new)
    town.friend.write(News(None, (), None, town.world.ruled(2)))
    assert town.friend.book.trust.lacks_authorities
    assert codes(town.meet(town.grocer).run()) == (None, None)
    # The grocer is now certified by the old bank again: only the witness needs the new one.
    town.grocer.write(News(issue(town.world.scheme, town.world.bank, mine), (), None, None))
    assert codes(town.world.meet(town.grocer, town.friend, 100).run()) == (None, None)
