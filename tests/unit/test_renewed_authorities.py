"""Authorities end and are renewed: who knows it meets who does not (SPEC §7-25 to §7-27)."""

from __future__ import annotations

import pytest

from dualtap import limits
from dualtap.errors import Code
from dualtap.events import Result
from dualtap.issued import Authority, AuthorityCertificate
from dualtap.records import News
from dualtap.statements import Span, TransferBody
from dualtap.states import Part
from dualtap.sync import upload_of
from dualtap.trust import issue
from dualtap.wire import TransferMessage, Want, Welcome
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, World
from tests.support.league import League

DAY = limits.EPOCH_SECONDS
END = EPOCH + 5
"""The last day of the certificates that a device has which did not sync since."""
LATE = END + 2


class Renewed(World):
    """A scheme that renewed some of its authorities; ``news`` is what a device has that does not know it yet."""

    def __init__(self, *renewed: Authority) -> None:
        super().__init__(seed="renewed")
        policy, institution, bank = self.authorities
        signers = (self.root, self.root, self.institution)
        old: list[AuthorityCertificate] = []
        for one, signer in zip((policy, institution, bank), signers, strict=True):
            ends = one._replace(expires=END) if one.authority in renewed else one
            old.append(issue(self.scheme, signer, ends))
        self.news = News(None, tuple(old), self.header, self.policy)

    def pair(self, unsynced: Part) -> tuple[Wallet, Wallet]:
        """Return a payer and a payee of whom one has not synced since."""
        today = self.dated(LATE)
        payer = self.wallet(fund=100, news=self.news) if unsynced is Part.PAYER else self.wallet(fund=100, header=today)
        payee = self.wallet(news=self.news) if unsynced is Part.PAYEE else self.wallet(header=today)
        return payer, payee


@pytest.mark.parametrize("what", [*[(one,) for one in Authority], tuple(Authority)], ids=str)
@pytest.mark.parametrize("unsynced", list(Part)[:2])
@pytest.mark.parametrize("payer_starts", [True, False])
def test_who_sees_that_an_authority_has_ended_is_given_the_later_certificate(
    what: tuple[Authority, ...], unsynced: Part, payer_starts: bool
) -> None:
    """§7-25, §7-26: and pays, or is paid, at once."""
    world = Renewed(*what)
    payer, payee = world.pair(unsynced)
    meeting = world.meet(payer, payee, 10, payer_starts=payer_starts, seconds=float(LATE * DAY)).run()
    assert (meeting.payer.report.result, meeting.payee.report.result) == (Result.PAID, Result.COLLECTED)
    if unsynced is Part.PAYEE:
        assert payee.book.trust.epoch == LATE
        assert set(payee.book.trust.authorities) == set(world.authorities)
    world.check()


@pytest.mark.parametrize(("today", "asks"), [(END, False), (END + 1, True)])
@pytest.mark.parametrize("what", list(Authority))
def test_a_device_asks_from_the_day_after_the_last(what: Authority, today: int, asks: bool) -> None:
    """§7-3, §7-25: by its clock; no later than it must, and no sooner."""
    world = Renewed(what)
    payer, payee = world.pair(Part.PAYEE)
    meeting = world.meet(payer, payee, 10, seconds=float(today * DAY)).run()
    welcome = meeting.heard[1].message
    assert isinstance(welcome, Welcome)
    assert (Want.AUTHORITIES in welcome.want) is asks
    sent = next(one.message for one in meeting.heard if isinstance(one.message, TransferMessage))
    assert bool(sent.authorities) is asks
    assert (world.authorities[0] in sent.authorities) is asks, "whoever signed the date that goes along"


def test_without_a_date_to_bring_whoever_dates_is_not_sent() -> None:
    """§7-26."""
    world = Renewed(Authority.BANK)
    payer, payee = world.wallet(fund=100), world.wallet(news=world.news)
    meeting = world.meet(payer, payee, 10, seconds=float(LATE * DAY)).run()
    sent = next(one.message for one in meeting.heard if isinstance(one.message, TransferMessage))
    assert sent.header is None
    assert sent.authorities == world.authorities[1:]


def test_without_a_clock_who_missed_a_renewal_pays_heals_and_is_not_paid() -> None:
    """§7-9, §7-17: until it syncs."""
    world = Renewed(Authority.POLICY)
    synced, other = world.wallet(fund=100, header=world.dated(LATE)), world.wallet(fund=100, news=world.news)
    world.pay(other, synced, 10)
    world.meet(other, synced, 20).run(stop_after=3)
    healed = world.meet(other, synced, 5).run()
    assert [one.result for one in healed.payer.reports] == [Result.HEALED_PAID, Result.PAID]
    refused = world.meet(synced, other, 10).run()
    assert refused.payee.report.code is Code.CERTIFICATE_EXPIRED
    assert refused.payer.report.result is Result.NOT_PAID
    assert not synced.book.pending, "it was closed"
    assert other.book.trust.epoch == EPOCH
    world.check()


@pytest.mark.parametrize("what", [Authority.INSTITUTION, Authority.BANK])
def test_without_a_clock_a_later_date_says_too_late_that_an_authority_has_ended(what: Authority) -> None:
    """§7-25: it did not ask. Once it has paid somebody, it has the date, and asks."""
    world = Renewed(what)
    synced, other = world.pair(Part.PAYEE)
    world.fund(other, 20)
    refused = world.meet(synced, other, 10).run()
    assert refused.payee.report.code is Code.CERTIFICATE_EXPIRED
    assert not synced.book.pending, "it was closed"
    world.pay(other, synced, 10)
    assert other.book.trust.epoch == LATE
    world.pay(synced, other, 10)
    world.check()


def test_a_scheme_that_forgets_its_policy_key_goes_on_without_dates() -> None:
    """§7-27: money and outcomes still arrive; once the key is renewed, so do dates."""
    league = League(1)
    member, last = league.members[0], EPOCH + 900
    league.epoch = last - 200
    anna = league.customer(member, 10)
    league.epoch = last + 3
    member.ledger.issue(anna.book.key, 20, league.epoch, league.draw(8))
    league.sync_at(member, anna)
    assert anna.book.trust.epoch == last
    assert sum(one.amount for one in anna.book.holdings) == 30
    assert member.ledger.date(league.epoch).epoch == last, "and none is signed that devices would refuse"
    renewed = league.root.certify(league.policy_key.certificate.key, Authority.POLICY, 0, last + 900)
    member.ledger.admit([renewed], league.epoch)
    assert member.ledger.date(league.epoch).epoch == league.epoch
    league.sync_at(member, anna)
    assert anna.book.trust.epoch == league.epoch


def test_who_is_named_elsewhere_is_listed_also_when_no_later_date_can_be_signed() -> None:
    """§7-27 and §16-4: whoever has the policy key sees to it when it signs the date."""
    league = League(2)
    one, two = league.members
    league.epoch = EPOCH + 700
    thief = league.customer(two, 100)
    (held,) = thief.book.holdings
    body = TransferBody(one.key, (Span(held.parent, 0, 100),), league.epoch, ())
    tape = tuple(league.sign(thief, body, league.opening(place, place + 1)) for place in (50, 60))
    league.epoch = EPOCH + 903
    upload = upload_of(thief.book)._replace(tape=tape)
    two.ledger.sync(league.signed_upload(thief, upload, two.challenge()), league.epoch)
    assert (len(two.ledger.conflicts()), two.ledger.policy.hotlist) == (1, ())
    assert one.ledger.date(league.epoch).epoch == EPOCH + 900
    assert two.ledger.policy.hotlist == (thief.book.key,)
