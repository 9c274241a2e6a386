"""Attacks by who holds a second institution's key, on the value of the first and on its customers."""

from __future__ import annotations

from typing import cast

import pytest

from dualtap import limits
from dualtap.forms import signed
from dualtap.issued import Authority, AuthorityCertificate, Carrier, Role, Token, WalletCertificate
from dualtap.records import Healed, Holding, Sent
from dualtap.renewal import RENEWAL, renewal_serial
from dualtap.statements import CloseBody, Opening, Parent, PresentBody, Side, Span, Transfer, TransferBody
from dualtap.sync import upload_of
from dualtap.trust import Trust, issue
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import enter
from dualtap_devices.wallet import Wallet
from dualtap_issuer.netting import Claim, Sum
from dualtap_issuer.payouts import payout_serial, redeem
from dualtap_issuer.states import Standing, states
from tests.mint import EPOCH, TERMS
from tests.playbook import World
from tests.support.league import League, Member


def handed(league: League, wallet: Wallet, to: Member, at: Member, *witness: bytes) -> None:
    """Deposit all that a wallet holds to an institution, whoever issued it, and tell another of it."""
    spans = tuple(Span(held.parent, held.start, held.end) for held in wallet.book.holdings)
    deposit = league.sign(wallet, TransferBody(to.key, spans, EPOCH, witness), league.opening(50, 51))
    upload = upload_of(wallet.book)._replace(tape=(deposit,))
    at.ledger.sync(league.signed_upload(wallet, upload, at.challenge()), league.epoch)


def test_nobody_renews_what_another_institution_issued() -> None:
    """§14-30: the first would owe 1000 that the second issued, and have no claim on it."""
    league = League(2)
    one, two = league.members
    thief, shop = league.customer(two, 1000), league.customer(one)
    handed(league, thief, one, one, RENEWAL)
    assert league.sync_at(one, thief).funded == 0
    assert league.pay(thief, shop, 1000) == "paid", "all that it has is what it had, and has spent"
    league.sync_at(one, shop, deposit=True)
    assert one.ledger.net().claims == (Claim("CNY", one.key, two.key, Sum(at_risk=1000)),)


@pytest.mark.parametrize("issuer", [0, 1])
def test_a_renewal_of_more_than_a_token_holds_stops_no_institution(issuer: int) -> None:
    """§14-30: told elsewhere, it would have kept the first from answering any sync."""
    league = League(2)
    one, two = league.members
    rich, other = league.customer(two), league.customer(one)
    for _ in range(2):
        league.members[issuer].ledger.issue(rich.book.key, limits.AMOUNT, EPOCH, league.draw(8))
    league.sync_at(two, rich)
    handed(league, rich, one, two, RENEWAL)
    assert league.sync_at(one, other).funded == 0
    one.ledger.settle(EPOCH + 16)
    assert one.ledger.audit().settled == 2 * limits.AMOUNT


def planted(league: League, serial: bytes, owner: Wallet) -> Token:
    """Return a token of the second institution with a serial that was chosen."""
    signer = league.suite.signer(league.keys[league.members[1].key])
    token = Token(serial, 50, "CNY", owner.book.key, EPOCH + 10, EPOCH + 15, 7, (), b"", b"")
    return issue(league.scheme, signer, token)


def told(league: League, wallet: Wallet, token: Token) -> None:
    """Let a wallet tell the second institution of a token."""
    two, upload = league.members[1], upload_of(wallet.book)
    upload = upload._replace(tokens=(*upload.tokens, token))
    two.ledger.sync(league.signed_upload(wallet, upload, two.challenge()), league.epoch)


def test_another_institutions_token_is_nobodys_renewal() -> None:
    """§14-25: its serial alone made a customer's credit look spent, and an audit find a ledger corrupt."""
    league = League(2)
    one, two = league.members
    anna, shop, thief = league.customer(one, 100), league.customer(one), league.customer(two)
    assert league.pay(anna, shop, 100) == "paid"
    handed(league, shop, one, two, RENEWAL)
    ((deposit,),) = league.store.ask("SELECT transfer FROM renewal")
    told(league, thief, planted(league, renewal_serial(deposit, 0), thief))
    assert (one.ledger.audit().settled, one.ledger.audit().renewed) == (100, 0)
    assert league.sync_at(one, shop).funded == 100
    told(league, thief, planted(league, renewal_serial(deposit, 1), thief))
    assert (one.ledger.audit().renewed, one.ledger.audit().issued) == (100, 200)


def test_another_institutions_token_is_nobodys_payout() -> None:
    """§16-22: an audit found the row of a payout missing that nobody had made."""
    league = League(2, terms=TERMS._replace(anonymous=frozenset({1})))
    one, two = league.members
    anna, thief = league.customer(one, 100), league.customer(two)
    (held,) = anna.book.holdings
    one.ledger.settle(EPOCH + 16)
    league.epoch = EPOCH + 16
    told(league, thief, planted(league, payout_serial(held.token, anna.book.key), thief))
    found = one.ledger.audit()
    assert (found.settled, found.renewed, found.issued) == (100, 0, 150)


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("first", ["thief", "shop"])
def test_a_payment_that_an_institutions_key_closed_is_no_deposit(hidden: bool, first: str) -> None:
    """§16-28: its payer was credited it, spent it again, and the shop lost it when it was settled; nobody was named.

    Whether the thief shows the request, or only whom he pays next; and whoever syncs first.
    """
    league = League(2)
    one, two = league.members
    thief, shop = league.customer(one, 100), league.customer(one)
    (held,) = thief.book.holdings
    body = TransferBody(two.key, (Span(held.parent, 0, 100),), EPOCH, ())
    request = league.draw()
    closed_by = league.suite.signer(league.keys[two.key])
    blank = signed(league.scheme.id, two.key, CloseBody(request, 11, EPOCH), league.opening(5, 6))
    transfer = signed(league.scheme.id, thief.book.key, body, Opening(league.draw(16), 0, 1, request=request))
    enter(thief, Sent(transfer, league.draw(16), 0), transfer)
    (paid,) = thief.book.tape
    upload = upload_of(thief.book)
    if hidden:
        upload = upload._replace(tape=(), transfers=(cast("Transfer", paid._replace(opening=None, place=None)),))
    thief.write(Healed(transfer.id, blank.sealed(closed_by.sign(blank.id))))
    assert league.pay(thief, shop, 100) == "paid"
    if first == "shop":
        league.sync_at(one, shop, deposit=True)
    one.ledger.sync(league.signed_upload(thief, upload, one.challenge()), EPOCH)
    assert sum(credit.amount for credit in league.store.credits()) == (100 if hidden or first == "shop" else 0)
    league.sync_at(one, shop, deposit=True)
    assert {(credit.key, credit.amount) for credit in league.store.credits()} == {(shop.book.key, 100)}
    assert one.ledger.audit().settled == 100
    one.ledger.settle(EPOCH + 16)
    ((leaf,),) = league.store.settled().values()
    assert (leaf.holder, leaf.amount) == (shop.book.key, 100)
    assert one.ledger.audit().settled == 100


def payment(league: League, wallet: Wallet, payee: bytes, *witness: bytes) -> Transfer:
    """Pay all of a wallet's only token to a key, for a request that nobody else knows; return it with its opening."""
    (held,) = wallet.book.holdings
    body = TransferBody(payee, (Span(held.parent, held.start, held.end),), EPOCH, witness)
    opening = Opening(league.draw(16), wallet.book.counter, wallet.book.counter + 1, request=league.draw())
    transfer = signed(league.scheme.id, wallet.book.key, body, opening)
    enter(wallet, Sent(transfer, league.draw(16), 0), transfer)
    return cast("Transfer", wallet.book.tape[-1])


@pytest.mark.parametrize("hidden", [False, True])
def test_what_may_answer_a_request_is_not_renewed(hidden: bool) -> None:
    """§14-30: its payer alone invented the request, and showed it once the fresh token was there: both were paid."""
    league = League(1)
    (one,) = league.members
    thief, shop = league.customer(one, 100), league.customer(one)
    paid = payment(league, thief, one.key, RENEWAL)
    upload = upload_of(thief.book)
    if hidden:
        upload = upload._replace(tape=(), transfers=(paid._replace(opening=None, place=None),))
    one.ledger.sync(league.signed_upload(thief, upload, one.challenge()), EPOCH)
    assert league.sync_at(one, thief).funded == 0
    assert league.pay(thief, shop, 100) != "paid"
    assert one.ledger.audit().issued == 100
    one.ledger.settle(EPOCH + 16)
    assert one.ledger.audit().settled == 100


@pytest.mark.parametrize("closed", [False, True])
def test_who_paid_an_institutions_key_is_told_so_and_paid(closed: bool) -> None:
    """§16-28, §14-27 and §16-23: as who pays a shop is. It was told of a deposit of nothing, and not paid."""
    league = League(2, terms=TERMS._replace(anonymous=frozenset({1})))
    one, two = league.members
    anna = league.customer(one, 100)
    paid = payment(league, anna, two.key)
    upload = upload_of(anna.book)
    if closed:
        closing = CloseBody(cast("Opening", paid.opening).request, 11, EPOCH)
        blank = signed(league.scheme.id, two.key, closing, league.opening(5, 6))
        upload = upload._replace(heard=(blank.sealed(league.suite.signer(league.keys[two.key]).sign(blank.id)),))
    one.ledger.sync(league.signed_upload(anna, upload, one.challenge()), EPOCH)
    (told,) = states(league.store, league.scheme, anna.book.key, [paid.id])
    assert (told.standing, told.amount) == (Standing.ANSWERED if closed else Standing.IN_DOUBT, 100)
    league.epoch = EPOCH + 16
    one.ledger.settle(league.epoch)
    proof = league.sign(anna, PresentBody(one.challenge(), initiator=True, epoch=league.epoch))
    assert redeem(one.ledger, proof, league.epoch) == 100
    assert one.ledger.audit().outstanding == 100


def test_what_was_deposited_is_not_handed_on() -> None:
    """§7-28: by the institution's own key, certified as a wallet's. The shop lost it, and nobody was named."""
    league = League(2)
    one, two = league.members
    anna, shop = league.customer(one, 100), league.customer(one)
    secret = league.keys[two.key]
    league.secrets[two.key] = secret
    blank = WalletCertificate(two.key, Carrier.PHONE, 1, Role.PAY | Role.COLLECT, 0, b"", EPOCH + 300, 0, b"", b"")
    thief = Wallet(league.scheme, limits.FULL, MemoryKeystore(league.scheme, secret), MemoryStore.open(1 << 23))
    certificate = issue(league.scheme, league.suite.signer(secret), blank)
    thief.write(two.ledger.news(EPOCH, certificate))
    (held,) = anna.book.holdings
    spans = (Span(held.parent, 0, 100),)
    deposit = league.sign(anna, TransferBody(two.key, spans, EPOCH, ()), league.opening(50, 51))
    thief.book.graph.tokens |= anna.book.graph.tokens
    thief.book.graph.put(deposit)
    thief.book.graph.certificates |= {anna.book.key: anna.book.certificate, two.key: certificate}
    thief.book.holdings.append(Holding(Parent(deposit.id, Side.PAYEE, 0), held.token, 0, 100))
    assert league.pay(thief, shop, 100) != "paid"
    assert not shop.book.holdings


@pytest.mark.parametrize("kind", [Authority.POLICY, Authority.INSTITUTION])
@pytest.mark.parametrize("first", [False, True])
def test_no_institution_has_a_say_on_a_key_that_the_root_certified(kind: Authority, first: bool) -> None:
    """§7-8: certified as its bank, an authority was one no more, and no wallet opened again once it was compacted."""
    world = World(seed="usurped")
    thief = world.suite.signer(world.draw())
    other = world.authority(Authority.INSTITUTION, thief.public, 2)
    (true,) = [one for one in world.authorities if one.authority is kind]
    fake = issue(
        world.scheme, thief, AuthorityCertificate(true.key, Authority.BANK, 2, 1, true.expires + 5000, b"", b"")
    )
    trust = Trust(world.scheme)
    order = (other, fake, *world.authorities) if first else (*world.authorities, other, fake)
    for certificate in order:
        trust.learn((certificate,))
    assert [one.authority for one in trust.authorities if one.key == true.key] == [kind]
    assert trust.knows((*world.authorities, other, fake))
    again = Trust(world.scheme)
    again.learn(trust.authorities)
    assert set(again.authorities) == set(trust.authorities)
