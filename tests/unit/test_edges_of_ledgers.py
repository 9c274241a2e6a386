"""Last days, smaller quotas, a second token, a full disk: what a ledger does at the edges of its rules."""

from __future__ import annotations

import pytest

from dualtap.errors import Code, TapError
from dualtap.issued import Authority
from dualtap.statements import Errand, Parent, Side, Span, Transfer, TransferBody
from dualtap.sync import Reply, Upload, encode_upload, upload_of
from dualtap_devices.syncing import Prepared, tell
from dualtap_devices.wallet import Wallet
from dualtap_issuer import ledger as ledgers
from dualtap_issuer import settling
from dualtap_issuer.facts import Facts
from dualtap_issuer.findings import Wrong
from dualtap_issuer.netting import net
from dualtap_issuer.quotas import faults
from dualtap_issuer.registry import Bound
from dualtap_issuer.rules import Credit
from dualtap_issuer.states import Standing, states
from tests.mint import EPOCH, Mint
from tests.unit.test_payouts import LAST, Family
from tests.unit.test_rotation import heir, turn


@pytest.fixture
def mint() -> Mint:
    return Mint()


def cheat(mint: Mint) -> bytes:
    """Let a wallet pay two shops with the same units, and both tell; return its key."""
    thief = mint.wallet(100)
    twin = mint.clone(thief)
    for wallet in (thief, twin):
        shop = mint.wallet()
        assert mint.pay(wallet, shop, 60) == "paid"
        mint.settle_in(shop)
    return thief.book.key


def answered(mint: Mint, wallet: Wallet, upload: Upload) -> Reply:
    return tell(wallet, Prepared(encode_upload(upload), 0, 0, 0), mint)


# Who is on the hotlist, and how long


def test_a_cheat_is_on_the_hotlist_through_its_last_day_and_who_lasts_longest_keeps_a_place(
    mint: Mint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§16-4: its certificate's own end blocks it afterwards."""
    first = cheat(mint)
    mint.epoch += 5
    later = cheat(mint)
    for day, named in ((300, {first, later}), (301, {later}), (305, {later}), (306, set[bytes]())):
        mint.ledger.date(EPOCH + day)
        assert set(mint.ledger.policy.hotlist) == named
    monkeypatch.setattr(ledgers, "HOTLIST", 1)
    mint.ledger.date(EPOCH + 10)
    assert mint.ledger.policy.hotlist == (later,)


# What a settlement has closed


def test_nobody_joins_on_a_day_that_is_settled(mint: Mint) -> None:
    """§16-10: what was judged without it stays judged."""
    mint.ledger.settle(EPOCH + 30)
    key = mint.suite.signer(b"another institution's secret key").public
    office = mint.authority.root.certify(key, Authority.INSTITUTION, 2, EPOCH + 900)
    with pytest.raises(TapError, match="settled") as caught:
        mint.ledger.admit([office], EPOCH + 29)
    assert (caught.value.code, key in mint.ledger.institutions) == (Code.BAD_INPUT, False)
    assert mint.ledger.admit([office], EPOCH + 30) == 1


def test_a_settlement_takes_so_many_tokens_at_a_time(mint: Mint, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = mint.wallet()
    for _ in range(5):
        mint.fund(wallet, 10)
    sizes, real = list[int](), settling.done

    def done(store: object, tokens: list[bytes]) -> set[bytes]:
        sizes.append(len(tokens))
        return real(mint.store, tokens)

    monkeypatch.setattr(settling, "TOKENS", 2)
    monkeypatch.setattr(settling, "done", done)
    assert mint.ledger.settle(LAST + 1) == 50
    assert sizes == [2, 2, 1]


def test_a_deposit_is_final_when_all_its_tokens_are(mint: Mint) -> None:
    """§16-12."""
    wallet = mint.wallet(100)
    mint.epoch += 3
    mint.fund(wallet, 50)
    mint.settle_in(wallet, deposit=True)
    (deposit,) = [row.transfer for row in mint.store.deposits()]
    for day, standing in ((LAST + 1, Standing.AT_RISK), (LAST + 4, Standing.FINAL)):
        mint.ledger.settle(day)
        (state,) = states(mint.store, mint.scheme, wallet.book.key, [deposit])
        assert (state.standing, state.amount, state.until) == (standing, 150, LAST + 3)


def test_a_word_of_the_day_of_settlement_is_too_late_for_it() -> None:
    """§16-25: what was held is on its person's account by then, and is not paid out as well."""
    family = Family()
    family.bind()
    family.mint.epoch = LAST + 1
    family.order(Errand.LOST)
    family.settle(LAST + 1)
    family.settle(LAST + 2)
    assert family.funded(family.phone) == 0


def test_a_named_wallet_redeems_nothing() -> None:
    """§16-23."""
    family = Family(anonymous=True)
    twin = family.mint.clone(family.card)
    assert family.mint.pay(family.card, family.shop, 60) == family.mint.pay(twin, family.spare, 60) == "paid"
    for wallet in (family.shop, family.spare):
        family.mint.settle_in(wallet, deposit=True)
    family.settle()
    with pytest.raises(TapError, match="evidence names it") as caught:
        family.present(family.card)
    assert caught.value.code is Code.BAD_INPUT


# Who is told, and who is a person


def test_an_outcome_is_told_to_its_payer_alone(mint: Mint) -> None:
    """§14-5: a stranger who names another's payment learns nothing of it."""
    payer, shop, stranger = mint.wallet(50), mint.wallet(), mint.wallet()
    assert mint.pay(payer, shop, 5, cut=3) == "in_doubt"
    mint.settle_in(shop)
    (doubt,) = payer.book.pending
    asked = upload_of(stranger.book)._replace(pending=(doubt,))
    assert answered(mint, stranger, asked).outcomes == ()
    assert len(answered(mint, payer, upload_of(payer.book)).outcomes) == 1


def test_no_date_is_told_of_what_the_ledger_cannot_place(mint: Mint) -> None:
    """§14-27: a deposit cut from what nobody has shown has no last day yet."""
    wallet = mint.wallet()
    span = Span(Parent(bytes(32), Side.TOKEN, 0), 0, 5)
    deposit = mint.sign(wallet, TransferBody(mint.authority.institution, (span,), EPOCH, ()), mint.opening(0, 1))
    upload = upload_of(wallet.book)._replace(tape=(deposit,), pending=(deposit.id,))
    assert answered(mint, wallet, upload).standing == ()


def test_an_anonymous_owner_makes_nobody_of_its_card() -> None:
    """§16-24."""
    family = Family(anonymous=True)
    family.bind()
    ledger, card = family.mint.ledger, family.card.book.key
    for anonymous, found in (({1}, set[bytes]()), (set[int](), {card})):
        assert set(Bound(ledger.store, ledger.scheme, ledger.institutions, anonymous).bound([card])) == found


# Banks and institutions


def test_a_bank_whose_quota_was_lowered_keeps_what_it_certified(mint: Mint) -> None:
    """§15-11: the greatest quota ever given counts, in whatever order it is read."""
    bank = mint.authority.bank.certificate
    wallet = mint.wallet().book.certificate._replace(ordinal=99)
    for quotas in ((100, 5), (5, 100)):
        facts = Facts(mint.scheme)
        facts.certificates[b"w"] = wallet
        for number, quota in enumerate(quotas):
            facts.authorities[bytes([number])] = bank._replace(quota=quota)
        assert faults(facts) == ()
        facts.certificates[b"w"] = wallet._replace(ordinal=100)
        assert [(fault.bank, fault.ordinal) for fault in faults(facts)] == [(bank.key, 100)]


def test_who_has_no_certificate_is_nobodys_customer(mint: Mint) -> None:
    """§16-13: what it is credited stays with who issued it."""
    mint.wallet(100)
    world = mint.ledger.world()
    (token,) = world.facts.tokens
    stranger = mint.suite.signer(b"a key that nobody has certified.").public
    found = net(
        world.facts, world.trust, [Credit(b"t", 0, token, stranger, 70, EPOCH)], {}, [], set(world.institutions)
    )
    assert (found.claims, found.pairs) == ((), ())


# Rows


def test_every_gap_in_what_was_delivered_is_found_and_what_is_queued_twice(mint: Mint) -> None:
    """§16-14."""
    wallet = mint.wallet()
    for _ in range(4):
        mint.fund(wallet, 10)
    owner = wallet.book.key
    ((_, last),) = mint.store.deliveries(owner, 3)
    mint.store.ask("DELETE FROM delivery WHERE number IN (1, 3) AND owner = %s RETURNING number", values=(owner,))
    gaps = {(1, Wrong.MISSING), (3, Wrong.MISSING)}
    assert {(one.row[1], one.wrong) for one in mint.ledger.findings() if one.table == "delivery"} == gaps
    mint.store.insert("delivery", ("owner", "number", "token"), [(owner, 5, last)])
    found = {(one.row[1], one.wrong) for one in mint.ledger.findings() if one.table == "delivery"}
    assert found == gaps | {(5, Wrong.ALTERED)}


def test_a_link_to_another_next_key_is_found(mint: Mint) -> None:
    """§16-14 with §20-11: only the key before says which key comes after it."""
    old, new = mint.wallet(10), heir(mint)
    turn(mint, old, new)
    mint.ledger.audit()
    other = mint.wallet().book.key
    mint.store.ask("UPDATE successor SET successor = %s WHERE key = %s RETURNING key", values=(other, old.book.key))
    assert ("successor", (old.book.key, other)) in {(one.table, one.row) for one in mint.ledger.findings()}
    with pytest.raises(TapError) as caught:
        mint.ledger.audit()
    assert caught.value.code is Code.LEDGER_CORRUPT


def test_a_transaction_that_the_disk_ended_tells_why_it_failed(mint: Mint) -> None:
    """A full disk rolls back by itself; to roll back once more would hide what went wrong."""

    def full() -> None:
        with mint.store.transaction():
            mint.store.ask("ROLLBACK")
            raise KeyError("the reason")

    with pytest.raises(KeyError, match="the reason"):
        full()


# What a deposit waits for


def test_deposits_of_a_chain_of_restored_value_wait_for_one_thing_each(mint: Mint) -> None:
    """A row for each death behind each was a square of the upload: half a megabyte held the ledger for seconds."""
    thief, other = mint.wallet(1_000), mint.wallet()
    (held,) = thief.book.holdings
    parent, signed, count = held.parent, list[Transfer](), 40
    for number in range(count):
        body = TransferBody(other.book.key, (Span(parent, 0, 1_000 - number),), EPOCH, ())
        signed.append(mint.sign(thief, body, mint.draw()))
        parent = Parent(signed[-1].id, Side.PAYER, 0)
        handed = TransferBody(mint.authority.institution, (Span(parent, 0, 1),), EPOCH, ())
        signed.append(mint.sign(thief, handed, mint.draw()))
    mint.sync(mint.signed_upload(thief, upload_of(thief.book)._replace(transfers=tuple(signed))))
    ((rows,),) = mint.store.ask("SELECT count(*) FROM wait")
    assert rows == 3 * count, "its request, each; and a death, each deposit"
    mint.ledger.audit()


def test_who_rotates_often_takes_nobody_off_the_hotlist(mint: Mint, monkeypatch: pytest.MonkeyPatch) -> None:
    """§20-11: 64 keys of one named wallet, certified a day later, were all that the list held."""
    monkeypatch.setattr(ledgers, "HOTLIST", 3)
    first = cheat(mint)
    mint.epoch += 1
    flood = mint.wallet(100)
    keys = [flood.book.key]
    for _ in range(4):
        following = heir(mint)
        turn(mint, flood, following)
        flood = following
        keys.append(flood.book.key)
    (held, *_) = flood.book.holdings
    forked = tuple(
        mint.sign(flood, TransferBody(key, (Span(held.parent, held.start, held.end),), mint.epoch, ()), mint.draw())
        for key in keys[:2]
    )
    mint.sync(mint.signed_upload(flood, upload_of(flood.book)._replace(transfers=forked)))
    assert mint.ledger.lines.ages(keys) == {key: 4 - number for number, key in enumerate(keys[:-1])} | {keys[-1]: 0}
    assert set(mint.ledger.policy.hotlist) == {first, *keys[-2:]}
