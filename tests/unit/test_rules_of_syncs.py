"""Rules of syncing and issuing, each by itself: what is closed and deposited first, whose word ends a doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import Carrier, Condition, Role, Token
from dualtap.records import Funded, Healed, News
from dualtap.statements import CloseBody, Present, PresentBody, TransferBody
from dualtap.sync import Reply, decode_signed_upload, decode_upload, take_reply, upload_of
from dualtap.trust import issue
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer import authority
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS, Mint

NO_NEWS = News(None, (), None, None)
GOLD = Mint(seed="gold").suite.signer(b"g" * 32)


@pytest.fixture
def mint() -> Mint:
    return Mint()


class Desk:
    """The issuer, which keeps what it was sent."""

    def __init__(self, mint: Mint) -> None:
        self.mint = mint
        self.uploads: list[bytes] = []

    def challenge(self) -> bytes:
        return self.mint.challenge()

    def sync(self, signed_upload: bytes) -> bytes:
        self.uploads.append(signed_upload)
        return self.mint.sync(signed_upload)


def doubt(mint: Mint, payer: Wallet, payee: Wallet, amount: int) -> bytes:
    """Let a Transfer be lost; return its id."""
    mint.pay(payer, payee, amount, cut=2)
    (sent,) = payer.book.pending
    return sent


# What a wallet tells, and when


def test_an_outcome_heard_while_a_reply_is_on_its_way_goes_up_in_the_next_sync(mint: Mint) -> None:
    """§14-29 and §14-5: the tap that heals pays nothing, so that no entry of the tape keeps what it heard."""
    payer, shop = mint.wallet(50), mint.wallet()
    assert mint.pay(payer, shop, 5, cut=3) == "in_doubt"
    desk = Desk(mint)

    class Slow(Desk):
        def sync(self, signed_upload: bytes) -> bytes:
            reply = super().sync(signed_upload)
            mint.pay(payer, shop, 999)
            return reply

    sync(payer, Slow(mint), mint.draw(), False)
    (heard,) = payer.book.heard
    assert not payer.book.pending
    payer = Wallet(mint.scheme, payer.book.profile, payer.keystore, payer.store)
    sync(payer, desk, mint.draw(), False)
    assert heard in decode_upload(mint.scheme, decode_signed_upload(desk.uploads[-1]).upload).heard
    sync(payer, desk, mint.draw(), False)
    assert (payer.book.heard, payer.book.tape) == ([], [])


def test_what_is_heard_after_another_sync_is_not_taken_for_what_an_earlier_one_told(mint: Mint) -> None:
    """§14-29: two syncs at a time; between their replies as many outcomes are heard as the first one told."""
    payer, one, two = mint.wallet(50), mint.wallet(), mint.wallet()
    assert mint.pay(payer, one, 5, cut=3) == mint.pay(payer, two, 5, cut=5) == "in_doubt"
    mint.pay(payer, one, 999)
    assert len(payer.book.heard) == len(payer.book.pending) == 1
    desk = Desk(mint)

    class Overtaken(Desk):
        def sync(self, signed_upload: bytes) -> bytes:
            reply = super().sync(signed_upload)
            sync(payer, desk, mint.draw(), False)
            mint.pay(payer, two, 999)
            return reply

    sync(payer, Overtaken(mint), mint.draw(), False)
    (heard,) = payer.book.heard
    sync(payer, desk, mint.draw(), False)
    assert heard in decode_upload(mint.scheme, decode_signed_upload(desk.uploads[-1]).upload).heard


# What a wallet does first


def test_open_requests_are_closed_and_all_is_deposited_before_the_upload(mint: Mint) -> None:
    """§14-1, §14-5 and §8.2-3: also value restored more often than anybody takes offline; it is credited."""
    wallet, shop = mint.wallet(100), mint.wallet()
    for _ in range(limits.WARRANTS + 1):
        doubt(mint, wallet, shop, 100)
        mint.settle_in(shop)
        mint.settle_in(wallet)
    assert (wallet.book.in_doubt(), wallet.book.available(mint.epoch)) == (0, 0)
    mint.fund(wallet, 7)
    doubt(mint, mint.wallet(5), wallet, 5)
    assert len(wallet.book.open) == 1
    desk = Desk(mint)
    report = sync(wallet, desk, mint.draw(), True)
    assert (report.closed, report.deposited) == (1, 107)
    (tape,) = (decode_upload(mint.scheme, decode_signed_upload(data).upload).tape for data in desk.uploads)
    assert isinstance(tape[0].body, CloseBody)
    assert [entry.body.payee for entry in tape if isinstance(entry.body, TransferBody)] == [mint.authority.institution]
    assert (mint.ledger.audit().settled, wallet.book.in_doubt()) == (107, 0)


def test_a_deposit_is_not_refused_for_a_condition(mint: Mint) -> None:
    """§5.6-4: not even for one that nobody knows, which a token of this institution should not carry."""
    wallet = mint.wallet()
    token = mint.authority.token(b"8 bytes.", 30, "CNY", wallet.book.key, EPOCH, EPOCH + 9, EPOCH + 19)
    institution = mint.suite.signer(drawn(mint, 3))
    odd = issue(mint.scheme, institution, token._replace(conditions=(Condition(4_000_000, b"?"),)))
    wallet.write(Funded(odd))
    assert wallet.book.available(mint.epoch) == 0
    assert mint.settle_in(wallet, deposit=True).deposited == 30
    assert (mint.ledger.audit().settled, wallet.book.in_doubt()) == (30, 0)


def test_a_deposit_is_credited_whatever_the_policy_says_of_its_signer(mint: Mint) -> None:
    """§16-7 and §7-17: hotlisted, and after the last day on which the value can be spent, but not claimed."""
    thief, shop = mint.wallet(100), mint.wallet()
    clone = mint.clone(thief)
    assert mint.pay(thief, shop, 60) == "paid"
    mint.pay(clone, other := mint.wallet(), 60)
    for honest in (shop, other):
        mint.settle_in(honest)
    mint.settle_in(thief)
    assert mint.ledger.policy.hotlist == (thief.book.key,)
    mint.epoch = EPOCH + TERMS.spend + TERMS.grace
    mint.settle_in(thief)
    assert thief.book.available(mint.epoch) == 0
    assert mint.settle_in(thief, deposit=True).deposited == 40
    assert mint.settle_in(shop, deposit=True).deposited == 60
    assert mint.ledger.audit().settled == 100


def test_a_deposit_takes_no_unit_of_a_token_twice(mint: Mint) -> None:
    """§14-1 and §5.3-6: a thief's two pasts met in this purse, which holds two pieces of one token that overlap."""
    wallet = mint.wallet(100)
    (held,) = wallet.book.holdings
    wallet.book.holdings[:] = [held._replace(start=0, end=60), held._replace(start=40, end=100)]
    desk = Desk(mint)
    sync(wallet, desk, mint.draw(), True)
    (tape,) = (decode_upload(mint.scheme, decode_signed_upload(data).upload).tape for data in desk.uploads)
    bodies = [entry.body for entry in tape if isinstance(entry.body, TransferBody)]
    assert [[(start, end) for _, start, end in body.spans] for body in bodies] == [[(0, 60)], [(40, 100)]]


def drawn(mint: Mint, number: int) -> bytes:
    """Return the n-th secret that a Mint of this seed draws: root, policy, institution, bank."""
    again = Mint.__new__(Mint)
    again.__dict__.update(mint.__dict__)
    again.__dict__["_drawn"] = number - 1
    return again.draw()


def test_a_compaction_takes_nothing_from_the_next_sync_or_tap(mint: Mint) -> None:
    """§12-12: seen from outside, by what the wallet then uploads, holds, answers for and may still spend."""
    payer, shop, thief = mint.wallet(100), mint.wallet(50), mint.wallet(10)
    clone = mint.clone(thief)
    assert [mint.pay(one, shop, 10) for one in (thief, clone)] == ["paid", "not_paid"]
    mint.pay(payer, shop, 30)
    mint.pay(shop, payer, 5)
    doubt(mint, payer, shop, 20)
    for wallet in (payer, shop, clone):
        before = told(wallet)
        wallet.compact()
        assert told(wallet) == before
        assert told(Wallet(mint.scheme, limits.FULL, wallet.keystore, wallet.store)) == before
    assert payer.book.heard
    assert payer.book.pending
    assert shop.book.open
    assert shop.book.witnessed
    assert clone.book.graph.warrants


def told(wallet: Wallet) -> tuple[object, ...]:
    """Return what others can see of a wallet, in an order that does not depend on its log."""
    book = wallet.book
    upload = upload_of(book)
    lists = (upload.tokens, upload.certificates, upload.transfers, upload.warrants, upload.tape, upload.heard)
    mine = (sorted(book.holdings), book.questions, book.open, book.parts, book.taken, book.since, book.counter)
    return ([sorted(map(repr, items)) for items in lists], sorted(upload.pending), upload.delivered, *mine)


# Whose word ends a doubt


def reply(**changed: object) -> Reply:
    return Reply(NO_NEWS, (), (), (), 0)._replace(**changed)  # type: ignore[arg-type]


def test_an_outcome_in_a_reply_is_believed_by_its_payees_signature_only(mint: Mint) -> None:
    """§14-9 and §14-8: neither a forged Close nor another wallet's ends a doubt."""
    payer, payee, thief = mint.wallet(100), mint.wallet(), mint.wallet()
    pending = doubt(mint, payer, payee, 40)
    body = CloseBody(payer.book.pending[pending].transfer.shown().request, 10, mint.epoch)
    genuine, foreign = (mint.sign(wallet, body, mint.opening(0, 1)) for wallet in (payee, thief))
    with pytest.raises(TapError) as caught:
        take_reply(payer.book, reply(outcomes=(genuine.sealed(bytes(64)),)), payer.book.counter)
    assert caught.value.code is Code.BAD_SIGNATURE
    payer.write(*take_reply(payer.book, reply(outcomes=(foreign,)), payer.book.counter))
    assert payer.book.in_doubt() == 40
    payer.write(*take_reply(payer.book, reply(outcomes=(genuine,)), payer.book.counter))
    assert (payer.book.in_doubt(), payer.book.available(mint.epoch)) == (0, 100)


def test_an_outcome_in_a_reply_ends_the_doubt_of_its_own_request_only(mint: Mint) -> None:
    """§14-9: a key and a copy of it are in doubt about two payments to one payee, in one book."""
    payer, payee = mint.wallet(100), mint.wallet()
    copy = mint.clone(payer)
    first, second = doubt(mint, payer, payee, 40), doubt(mint, copy, payee, 30)
    payer.book.pending.update(copy.book.pending)
    closed = CloseBody(payer.book.pending[second].transfer.shown().request, 10, mint.epoch)
    records = take_reply(payer.book, reply(outcomes=(mint.sign(payee, closed, mint.opening(0, 1)),)), 0)
    assert first in payer.book.pending
    assert [record.transfer for record in records if isinstance(record, Healed)] == [second]


def test_a_payment_is_not_dropped_because_the_issuer_calls_it_a_deposit(mint: Mint) -> None:
    """§14-10: a deposit is; a payment stays in doubt until its payee or the date ends it."""
    payer, payee = mint.wallet(100), mint.wallet()
    pending = doubt(mint, payer, payee, 40)
    payer.write(*take_reply(payer.book, reply(deposits=(pending,)), payer.book.counter))
    assert list(payer.book.pending) == [pending]


def test_what_is_signed_while_the_reply_is_on_its_way_stays_on_the_tape(mint: Mint) -> None:
    """§14-12."""
    payer, payee = mint.wallet(100), mint.wallet()
    mint.pay(payer, payee, 10)
    told = payer.book.counter
    mint.pay(payer, payee, 20)
    payer.write(*take_reply(payer.book, reply(), told))
    assert [entry.shown().prev >= told for entry in payer.book.tape] == [True]
    assert len(upload_of(payer.book).tape) == 1


# What the issuer keeps, and when


def test_a_whole_sync_is_stamped_once_and_stored_before_it_is_answered(tmp_path: Path) -> None:
    """§16-2, §14-6 and §16-1: the file alone has it all when the answer is out; a later sync moves no stamp."""
    mint = Mint(path=tmp_path / "ledger.db")
    payer, payee = mint.wallet(100), mint.wallet()
    mint.pay(payer, payee, 60)
    known = set(mint.ledger.facts().seen)
    mint.epoch += 1
    mint.sync(mint.signed_upload(payee))
    again = Ledger(Store.open(tmp_path / "ledger.db"), mint.authority, TERMS)
    fresh = {digest: epoch for digest, epoch in again.facts().seen.items() if digest not in known}
    assert (len(fresh) > 4, set(fresh.values())) == (True, {EPOCH + 1})
    mint.epoch += 1
    mint.sync(mint.signed_upload(payee))
    assert {digest: mint.ledger.facts().seen[digest] for digest in fresh} == fresh
    again.store.close()
    mint.store.close()


@pytest.mark.parametrize(
    ("spend_by", "claim_by", "fine"),
    [(0, 0, True), (-1, 5, False), (6, 5, False), (9, limits.MAX_LIFE, True), (9, limits.MAX_LIFE + 1, False)],
)
def test_the_dates_of_a_token(mint: Mint, spend_by: int, claim_by: int, fine: bool) -> None:
    """§4.3-2 and §4.3-3, in days after the issue."""

    def token() -> Token:
        return mint.authority.token(bytes(8), 5, "CNY", GOLD.public, EPOCH, EPOCH + spend_by, EPOCH + claim_by)

    if fine:
        assert token().claim_by == EPOCH + claim_by
        return
    with pytest.raises(TapError) as caught:
        token()
    assert caught.value.code is Code.BAD_INPUT


def test_an_ordinal_is_durable_before_its_certificate_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§4.3-6: the power goes while the bank signs; the next key gets another ordinal."""
    mint = Mint(path=tmp_path / "ledger.db")
    first = mint.wallet()
    seen: list[int | None] = []

    def cut(*_: object) -> None:
        other = Store.open(tmp_path / "ledger.db")
        seen.append(other.ordinal(mint.authority.banks[0].certificate.key, bytes(32), 100))
        other.close()
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(authority, "issue", cut)
        with pytest.raises(InterruptedError):
            mint.wallet()
    assert seen == [2]
    assert (mint.certify(first).ordinal, mint.wallet().book.certificate.ordinal) == (0, 3)
    mint.store.close()


def test_a_key_that_no_device_takes_is_not_certified(mint: Mint) -> None:
    """§3-14: the point of order one, for which anybody can sign, and a key of the other suite."""
    for key in (b"\x01" + bytes(31), bytes([2]) + bytes(32)):
        challenge = mint.challenge()
        proof: Present = signed(mint.scheme.id, key, PresentBody(challenge, initiator=False, epoch=EPOCH))
        with pytest.raises(TapError) as caught:
            mint.ledger.certify(proof.sealed(bytes(64)), Carrier.CARD, 1, Role.PAY, EPOCH + 10)
        assert caught.value.code is Code.BAD_KEY
