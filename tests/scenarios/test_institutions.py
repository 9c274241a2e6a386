"""Several institutions in one scheme: who issued pays whoever credited; what waits for an authority is not lost."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap.forms import encode_certificate
from dualtap.issued import Authority, AuthorityCertificate, Carrier, Condition, Role
from dualtap.records import News
from dualtap.statements import Errand, OrderBody, Parent, PresentBody, Side, Span, TransferBody
from dualtap.sync import upload_of
from dualtap.trust import issue
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import Bank, Institution, PolicyKey, Signers
from dualtap_issuer.database import migrations
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.netting import Claim, Netting, Position, Sum, check_balanced
from dualtap_issuer.ordering import sign_order
from dualtap_issuer.quotas import Overstep
from dualtap_issuer.roll import MOST
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS
from tests.support.league import League


def test_no_institution_moves_what_anothers_customer_holds() -> None:
    """§16-22: its own, which pays, does."""
    league = League(2, terms=TERMS._replace(anonymous=frozenset({1})))
    one, two = league.members
    anna, thief, spare = league.customer(one, 80), league.customer(two), league.customer(one)
    body = OrderBody(anna.book.key, 0, 0, Errand.MOVE, False, 0, 0, 0, thief.book.key, EPOCH)
    sign_order(two.ledger, body, EPOCH)
    one.ledger.settle(EPOCH + 16)
    two.ledger.settle(EPOCH + 16)
    league.epoch = EPOCH + 17
    assert (league.sync_at(two, thief).funded, one.ledger.audit().overspend) == (0, 0)
    sign_order(one.ledger, body._replace(to=spare.book.key), EPOCH + 16)
    two.ledger.settle(EPOCH + 17)
    assert league.sync_at(one, spare).funded == 0, "who keeps its account pays"
    one.ledger.settle(EPOCH + 17)
    assert (league.sync_at(one, spare).funded, league.sync_at(two, thief).funded) == (80, 0)
    one.ledger.audit()


def test_the_customer_of_one_institution_pays_the_customer_of_another() -> None:
    league = League(3)
    one, two, three = league.members
    anna, shop = league.customer(one, 1000), league.customer(two, 500)
    assert league.pay(anna, shop, 600) == "paid"
    assert league.sync_at(three, shop, deposit=True).deposited == 1100, "it deposits where it syncs"
    credits = league.store.credits()
    assert {credit.key for credit in credits} == {shop.book.key}
    paid_to = {hand.payee for hand in league.store.hands(credit.transfer for credit in credits).values()}
    assert paid_to == {one.key, two.key}, "a deposit goes to who issued"
    expected = Claim("CNY", two.key, one.key, Sum(at_risk=600))
    assert one.ledger.net().claims == two.ledger.net().claims == (expected,)
    two.ledger.settle(EPOCH + 16)
    found = three.ledger.net()
    assert found.pairs == (expected._replace(sum=Sum(final=600)),), "the rest of Anna's token is her own institution's"
    assert set(found.positions) == {
        Position("CNY", one.key, Sum(final=-600)), Position("CNY", two.key, Sum(final=600)),
        Position("CNY", three.key, Sum()),
    }  # fmt: skip
    one.ledger.audit()


@pytest.mark.parametrize("seed", range(6))
def test_net_positions_are_what_the_devices_hold_of_others(seed: int) -> None:
    """§16-20, in random worlds: by the wallets' own books, before they deposit."""
    league, draw = League(3, seed=f"net {seed}"), random.Random(seed)
    home = {wallet.book.key: member for member in league.members for wallet in [league.customer(member, 1000)]}
    wallets = list(league.wallets)
    for _ in range(8):
        payer, payee = draw.sample(wallets, 2)
        league.pay(payer, payee, draw.randrange(1, 300), cut=draw.choice([2, 3, 4, 100, 100]))
    for wallet in wallets * 2:
        league.sync_at(draw.choice(league.members), wallet)
    held: Counter[tuple[bytes, bytes]] = Counter()
    for wallet in wallets:
        for part in wallet.book.holdings:
            debtor = wallet.book.trust.issuer_key(wallet.book.graph.tokens[part.token].issuer)
            creditor = home[wallet.book.key].key
            if creditor != debtor:
                held[creditor, debtor] += part.end - part.start
        league.sync_at(draw.choice(league.members), wallet, deposit=True)
    found = league.ledger.net()
    assert {(one.creditor, one.debtor): one.sum.at_risk for one in found.claims} == dict(held)
    assert sum(position.sum.at_risk for position in found.positions) == 0
    for pair in found.pairs:
        assert pair.sum.at_risk == held[pair.creditor, pair.debtor] - held[pair.debtor, pair.creditor] >= 0
    for position in found.positions:
        key = position.institution
        owed = sum(amount for (creditor, _), amount in held.items() if key == creditor)
        owes = sum(amount for (_, debtor), amount in held.items() if key == debtor)
        assert position.sum == Sum(at_risk=owed - owes)


def test_of_overspent_value_an_institution_owes_what_its_settlement_paid() -> None:
    """§16-15, §16-16: 1000 spent twice, backed once; the guarantee adds 150 for the token."""
    league = League(3, terms=TERMS._replace(guarantee=Caps(100, 150)))
    one, two, three = league.members
    thief = league.customer(one, 1000)
    clone, shops = league.clone(thief), [league.customer(member) for member in (two, three)]
    for payer, shop, member in zip((thief, clone), shops, (two, three), strict=True):
        assert league.pay(payer, shop, 1000) == "paid"
        league.sync_at(member, shop, deposit=True)
    assert {position.sum for position in one.ledger.net().positions} == {Sum(-2000), Sum(1000)}
    one.ledger.settle(EPOCH + 16)
    owed = {(claim.creditor, claim.debtor): claim.sum for claim in three.ledger.net().claims}
    assert owed == {(two.key, one.key): Sum(final=575), (three.key, one.key): Sum(final=575)}
    one.ledger.audit()


def test_positions_that_do_not_sum_to_zero_are_told_to_nobody() -> None:
    with pytest.raises(TapError) as caught:
        check_balanced(Netting((), (), (Position("CNY", b"k", Sum(final=1)),)))
    assert caught.value.code is Code.LEDGER_CORRUPT


# What a ledger lacks


class Shopping(League):
    """A child with 100 for shops only pays 70 to a shop; that it is one, a bank says which the ledger does not know."""

    def __init__(self) -> None:
        super().__init__(1, seed="shopping")
        self.partner = self.signers(2)
        self.child, self.shop = (self.customer(self.members[0]) for _ in range(2))
        token = self.ledger.issue(self.child.book.key, 100, EPOCH, b"for shop", (Condition(3, b""),))
        proof = self.sign(self.shop, PresentBody(bytes(32), initiator=False, epoch=EPOCH))
        witness = self.partner.bank.certify(proof, bytes(32), Carrier.POS, 1, Role.COLLECT, EPOCH + 300, 5411)
        top, shown = Parent(self.ledger.trust.token_id(token), Side.TOKEN, 0), (encode_certificate(witness),)
        body = TransferBody(self.shop.book.key, (Span(top, 0, 70),), EPOCH, shown)
        sale = self.sign(self.child, body, self.opening(0, 1))
        back = Span(Parent(sale.id, Side.PAYEE, 0), 0, 70)
        deposit = self.sign(self.shop, TransferBody(self.members[0].key, (back,), EPOCH, ()), self.opening(0, 1))
        for transfers in ((deposit,), (sale,)):
            upload = upload_of(self.customer(self.members[0]).book)._replace(
                tokens=(token,),
                certificates=(self.child.book.certificate, self.shop.book.certificate),
                transfers=transfers,
            )
            self.sync(self.signed_upload(self.wallets[-1], upload))
        self.token, self.sale = token, sale

    def credited(self) -> set[tuple[bytes, int, int]]:
        return {(credit.key, credit.amount, credit.epoch) for credit in self.store.credits()}


def test_conditional_value_waits_for_the_authority_that_decides() -> None:
    """§5.6-7, §16-19: what could not be judged is judged when the bank's certificate comes, and counts from then on."""
    league = Shopping()
    league.ledger.audit()
    assert league.credited() == set()
    assert league.ledger.admit(league.partner.authorities, EPOCH + 3) == 2
    assert league.credited() == {(league.shop.book.key, 70, EPOCH + 3)}
    league.ledger.audit()
    assert league.ledger.admit(league.partner.authorities, EPOCH + 4) == 0, "known"
    league.ledger.settle(EPOCH + 16)
    (leaves,) = league.store.settled().values()
    assert {(leaf.holder, leaf.amount) for leaf in leaves} == {(league.shop.book.key, 70), (league.child.book.key, 30)}


def test_an_authority_that_comes_after_the_settlement_changes_no_credit() -> None:
    """§16-11: who was credited stays so, and an audit says so for ever."""
    league = Shopping()
    league.ledger.settle(EPOCH + 16)
    before = league.store.settled()
    league.epoch = EPOCH + 17
    league.ledger.admit(league.partner.authorities, EPOCH + 17)
    league.ledger.audit()
    assert (league.store.settled(), league.credited()) == (before, set())
    assert league.sale.id in league.ledger.world().shaped


def test_another_process_judges_by_what_one_was_told(tmp_path: Path) -> None:
    """The authorities are in the database: a ledger that was open before sees them at its next sync."""
    league = League(1, path=tmp_path / "ledger.db")
    two = league.join(2)
    wallet = league.customer(two, 50)
    league.sync_at(league.members[0], wallet, deposit=True)
    assert league.ledger.net().claims == (), "its own institution's value"
    assert {credit.amount for credit in league.store.credits()} == {50}
    assert two.key in league.ledger.institutions
    for member in league.members:
        member.ledger.audit()
        member.ledger.store.close()


def test_a_deposit_to_an_institution_that_joins_later_is_one_from_then_on() -> None:
    league = League(1)
    later = league.signers(2)
    child = league.customer(league.members[0], 100)
    (held,) = child.book.holdings
    body = TransferBody(later.institution, (Span(held.parent, 0, 40),), EPOCH, ())
    gift = league.sign(child, body, league.opening(0, 1))
    upload = upload_of(child.book)._replace(transfers=(gift,))
    league.sync(league.signed_upload(child, upload))
    assert not league.store.deposits()
    league.ledger.admit(later.authorities, EPOCH + 2)
    assert {(credit.amount, credit.epoch) for credit in league.store.credits()} == {(40, EPOCH + 2)}
    league.ledger.audit()


def test_a_sync_brings_every_institution() -> None:
    """§7-3: and the policy names them, so that devices ask for those that they lack."""
    league = League(1)
    anna = league.customer(league.members[0])
    two = league.join(2)
    league.ledger.date(EPOCH)
    assert two.key not in keys_of(anna)
    league.sync_at(league.members[0], anna)
    assert two.key in keys_of(anna)
    assert not anna.book.trust.lacks_authorities
    policy = anna.book.trust.policy
    assert policy is not None
    assert set(policy.authorities) == {one.hint for one in anna.book.trust.authorities if one.authority != 3}
    assert league.sync_at(two, anna).closed == 0


def keys_of(wallet: Wallet) -> set[bytes]:
    return {one.key for one in wallet.book.trust.authorities}


def test_who_lacks_the_policy_key_tells_the_date_that_was_signed_for_everybody() -> None:
    league = League(2, dated=False)
    two = league.members[1].ledger
    assert two.news(EPOCH).header is None
    for epoch in (EPOCH + 1, EPOCH + 4):
        league.ledger.date(epoch)
    header = two.news(EPOCH + 3).header
    assert header is not None
    assert (header.epoch, header.policy) == (EPOCH + 1, league.ledger.policy.version)
    with pytest.raises(TapError, match="policy key is not held here"):
        two.date(EPOCH)
    with pytest.raises(TapError, match="policy key is not held here"):
        two.set_tiers(TERMS.tiers, EPOCH)
    anna = league.customer(league.members[1], 10)
    assert anna.book.trust.epoch == 0, "nothing was signed for today yet"


@pytest.mark.parametrize("what", ["stranger", "replaced", "kind", "crowd"])
def test_who_may_not_join(what: str) -> None:
    league = League(1)
    stranger, partner = League(1, seed="stranger"), league.signers(2)
    office = partner.office.certificate
    given: tuple[AuthorityCertificate, ...]
    match what:
        case "stranger":
            (_, theirs, _) = stranger.ledger.authority.authorities
            given, code = (theirs._replace(issuer=office.issuer),), Code.BAD_SIGNATURE
        case "replaced":
            league.ledger.admit((office,), EPOCH)
            given, code = (league.root.certify(office.key, Authority.INSTITUTION, 9, EPOCH + 900),), Code.BAD_INPUT
        case "kind":
            league.ledger.admit((office,), EPOCH)
            given, code = (league.root.certify(office.key, Authority.POLICY, 9, EPOCH + 999),), Code.BAD_INPUT
        case _:
            keys = (league.suite.signer(league.draw()).public for _ in range(MOST))
            given, code = (
                tuple(league.root.certify(key, Authority.INSTITUTION, 9, EPOCH) for key in keys),
                Code.BAD_INPUT,
            )
    before = league.ledger.digest()
    with pytest.raises(TapError) as caught:
        league.ledger.admit(given, EPOCH)
    assert caught.value.code is code
    assert league.ledger.digest() == before


def test_a_corrupt_authority_is_told_by_its_digest(tmp_path: Path) -> None:
    """§16-14."""
    league = League(2, path=tmp_path / "ledger.db")
    digest = sorted(league.ledger.facts().authorities)[-1]
    body = league.store.find([digest])[0][0].body
    league.store.ask("UPDATE fact SET body = %s WHERE digest = %s RETURNING kind", values=(body[:-1] + b"!", digest))
    with pytest.raises(TapError, match=digest.hex()):
        league.ledger.audit()


# Banks


def test_a_bank_certifies_no_more_than_its_quota() -> None:
    """§4.3-5."""
    league = League(2, quota=2)
    one, two = league.members
    for member in (one, one, two):
        league.customer(member)
    with pytest.raises(TapError, match="QUOTA_USED"):
        league.customer(one)
    league.customer(two)
    ordinals = Counter(
        (wallet.book.certificate.issuer, wallet.book.certificate.ordinal) for wallet in league.wallets[:3]
    )
    assert max(ordinals.values()) == 1
    assert not league.ledger.audit().banks


def test_an_ordinal_on_two_keys_is_told_of_the_bank() -> None:
    """§15-11: as it is told of a bank that certifies beyond its quota; who was certified is not to blame."""
    league = League(1, quota=1)
    bank, wallets = league.ledger.authority.bank, [league.customer(league.members[0])]
    for number in (0, 7):
        wallets.append(league.newcomer())
        proof = league.sign(wallets[-1], PresentBody(bytes(32), initiator=False, epoch=EPOCH))
        blank = wallets[0].book.certificate._replace(key=proof.key, ordinal=number)
        certificate = issue(league.scheme, league.suite.signer(league.keys[bank.certificate.key]), blank)
        wallets[-1].write(league.ledger.news(EPOCH, certificate))
        league.sync_at(league.members[0], wallets[-1])
    league.sync_at(league.members[0], wallets[0])
    audit = league.ledger.audit()
    assert [(fault.overstep, fault.ordinal, len(fault.certificates)) for fault in audit.banks] == [
        (Overstep.TWICE, 0, 2), (Overstep.BEYOND, 7, 1),
    ]  # fmt: skip
    assert {fault.bank for fault in audit.banks} == {bank.certificate.key}
    assert not audit.conflicts


def test_a_wallet_that_is_certified_again_is_no_fault() -> None:
    league = League(1, quota=1)
    wallet = league.customer(league.members[0])
    again = league.certified(league.members[0], wallet, Carrier.PHONE, 5411)
    wallet.write(News(again, (), None, None))
    league.sync_at(league.members[0], wallet)
    assert (again.ordinal, again.category) == (0, 5411)
    assert not league.ledger.audit().banks


def test_the_ordinals_of_an_older_ledger_are_its_banks(tmp_path: Path) -> None:
    """§4.3-6: a ledger that knew one bank only is brought up to date; no ordinal is given again."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY)")
        for number, statements in migrations("sqlite"):
            if number == 1:
                for statement in statements:
                    db.execute(statement)
        db.execute("INSERT INTO migration VALUES (1)")
        db.execute("INSERT INTO ordinal (number, key) VALUES (0, x'aa'), (1, x'bb')")
    league = League(1, path=path)
    assert league.store.ordinals(league.ledger.authority.bank.certificate.key) == 2
    assert league.customer(league.members[0]).book.certificate.ordinal == 2
    league.ledger.audit()


# Who signs what


def test_a_key_signs_under_its_own_certificate_only() -> None:
    league = League(1)
    office, bank = league.ledger.authority.office.certificate, league.ledger.authority.bank.certificate
    secret = league.draw()
    for make in (
        lambda: PolicyKey(league.scheme, secret, office),
        lambda: Institution(league.scheme, secret, office),
        lambda: Bank(league.scheme, secret, bank, league.store),
        lambda: Institution(league.scheme, league.keys[office.key], bank),
    ):
        with pytest.raises(TapError) as caught:
            make()
        assert caught.value.code is Code.WRONG_CERTIFICATE
    with pytest.raises(TapError, match="an institution certifies its banks"):
        league.root.certify(bank.key, Authority.BANK, 1, EPOCH)


def test_a_host_without_a_bank_certifies_nobody() -> None:
    league = League(1)
    signers = Signers(league.scheme, league.ledger.authority.office)
    ledger = Ledger(Store.open(), signers, TERMS)
    with pytest.raises(TapError, match="no bank's key is held here"):
        ledger.certify(league.sign(league.customer(league.members[0]), PresentBody(bytes(32), False, 1)),
                       Carrier.CARD, 1, Role.PAY, EPOCH)  # fmt: skip
    with pytest.raises(TapError, match="opened where the policy key is"):
        ledger.news(EPOCH)
