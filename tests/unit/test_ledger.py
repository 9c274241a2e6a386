from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from dualtap.errors import Code, TapError
from dualtap.issued import Carrier, Condition, Role, Token
from dualtap.records import News
from dualtap.statements import (
    Parent,
    Present,
    PresentBody,
    ReceiptBody,
    Side,
    Span,
    TapeStatement,
    Transfer,
    TransferBody,
)
from dualtap.sync import (
    Reply,
    Upload,
    decode_signed_reply,
    decode_signed_upload,
    encode_reply,
    encode_signed_reply,
    open_reply,
    upload_of,
)
from dualtap.verdict import verify_evidence
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.audit import wallet_id
from dualtap_issuer.authority import Secrets
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.rules import gaps, pairs, union
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS, Mint


@pytest.fixture
def mint() -> Mint:
    return Mint()


def refused(action: Callable[[], object]) -> Code | int:
    with pytest.raises(TapError) as caught:
        action()
    return caught.value.code


def answer(mint: Mint, upload: bytes) -> Reply:
    """Sync, and open the reply as the wallet does."""
    return open_reply(mint.ledger.trust, decode_signed_upload(upload), mint.sync(upload))


# Joining and issuing


def proof(mint: Mint, wallet: Wallet, challenge: bytes) -> Present:
    return mint.sign(wallet, PresentBody(challenge, initiator=False, epoch=mint.epoch))


def certify(mint: Mint, present: Present) -> int:
    return mint.ledger.certify(present, Carrier.CARD, 1, Role.PAY, EPOCH + 10).ordinal


def test_a_key_keeps_its_ordinal_and_no_other_key_gets_it(mint: Mint) -> None:
    """§4.3-6."""
    one, other = mint.wallet(), mint.wallet()
    ordinals = [mint.certify(wallet).ordinal for wallet in (one, other, one)]
    assert ordinals == [0, 1, 0]


def test_a_certificate_needs_a_fresh_proof_of_possession(mint: Mint) -> None:
    """§3-15."""
    wallet = mint.wallet()
    present = proof(mint, wallet, mint.challenge())
    assert certify(mint, present) == 0
    assert refused(lambda: certify(mint, present)) is Code.REPLAYED_REQUEST
    assert refused(lambda: certify(mint, proof(mint, wallet, bytes(32)))) is Code.REPLAYED_REQUEST
    forged = proof(mint, wallet, mint.challenge()).sealed(bytes(64))
    assert refused(lambda: certify(mint, forged)) is Code.BAD_SIGNATURE


def test_the_quota_is_not_exceeded() -> None:
    """§4.3-5."""
    mint = Mint(quota=2)
    wallet = mint.wallet()
    mint.wallet()
    assert refused(mint.wallet) is Code.QUOTA_USED
    assert mint.certify(wallet).ordinal == 0


def test_what_no_device_understands_is_not_issued(mint: Mint) -> None:
    """§4.3-4, §5.6-5."""
    owner = mint.wallet().book.key
    conditions = (Condition(99, b""),)
    assert refused(lambda: mint.ledger.issue(owner, 5, EPOCH, bytes(8), conditions)) is Code.UNKNOWN_CONDITION
    assert refused(lambda: mint.ledger.issue(owner, 0, EPOCH, bytes(8))) is Code.ZERO_AMOUNT
    assert refused(lambda: mint.ledger.issue(owner, 2**60, EPOCH, bytes(8))) is Code.BAD_INPUT
    assert refused(lambda: mint.ledger.issue(bytes(32), 5, EPOCH, bytes(8))) is Code.BAD_KEY
    sign = mint.authority.token
    assert refused(lambda: sign(bytes(8), 5, "CNY", owner, EPOCH, EPOCH + 9, EPOCH + 8)) is Code.BAD_INPUT
    assert refused(lambda: sign(bytes(8), 5, "CNY", owner, EPOCH, EPOCH + 9, EPOCH + 1101)) is Code.BAD_INPUT
    mint.ledger.issue(owner, 5, EPOCH, bytes(8))
    assert refused(lambda: mint.ledger.issue(owner, 5, EPOCH, bytes(8))) is Code.BAD_INPUT


def test_a_token_reaches_its_owner_until_it_is_taken(mint: Mint) -> None:
    """§14-13."""
    wallet = mint.wallet()
    for amount in (5, 6):
        mint.ledger.issue(wallet.book.key, amount, mint.epoch, mint.draw(8))
    for _ in range(2):
        reply = answer(mint, mint.signed_upload(wallet))
        assert [token.amount for token in reply.tokens] == [5, 6]
        assert reply.delivered == 2
    assert mint.settle_in(wallet).funded == 11
    assert mint.settle_in(wallet).funded == 0
    assert wallet.book.available(mint.epoch) == 11


# Syncing


def test_a_challenge_is_good_for_one_sync(mint: Mint) -> None:
    """§14-3."""
    wallet = mint.wallet(10)
    challenge = mint.challenge()
    data = mint.signed_upload(wallet, challenge=challenge)
    mint.sync(data)
    assert refused(lambda: mint.sync(data)) is Code.REPLAYED_REQUEST
    assert refused(lambda: mint.sync(mint.signed_upload(wallet, challenge=bytes([9]) * 32))) is Code.REPLAYED_REQUEST


def test_what_is_refused_changes_nothing_and_uses_no_challenge(mint: Mint) -> None:
    """§14-4."""
    payer, payee = mint.wallet(100), mint.wallet()
    mint.pay(payer, payee, 60)
    before = mint.ledger.digest()
    data = mint.signed_upload(payee)
    for place in range(0, len(data), 7):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(TapError):
            mint.sync(changed)
    assert mint.ledger.digest() == before
    mint.sync(data)
    assert mint.ledger.digest() != before


def test_a_sync_by_another_key_is_refused(mint: Mint) -> None:
    """§14-4."""
    one, other = mint.wallet(10), mint.wallet()
    upload = upload_of(one.book)
    assert refused(lambda: mint.sync(mint.signed_upload(other, upload))) is Code.BAD_SIGNATURE


def test_one_bad_statement_does_not_keep_the_others_out(mint: Mint) -> None:
    """§14-6."""
    payer, payee = mint.wallet(100), mint.wallet()
    mint.pay(payer, payee, 60)
    upload = upload_of(payee.book)
    (transfer,), (token,) = upload.transfers, upload.tokens
    forged = transfer.sealed(bytes(64))
    more = Upload(
        upload.certificate,
        (token._replace(amount=7), token),
        (upload.certificate._replace(ordinal=77), *upload.certificates),
        (mint.sign(payer, transfer.body, mint.opening(50, 51)).sealed(bytes(64)), transfer),
        (),
        (upload.tape[0].sealed(bytes(64)), *upload.tape),
        (),
        (),
        0,
    )
    assert forged != transfer
    mint.sync(mint.signed_upload(payee, more))
    assert mint.ledger.refused == 4
    facts = mint.ledger.facts()
    assert transfer.id in facts.transfers
    assert [found.amount for found in facts.tokens.values()] == [100]
    mint.ledger.audit()


def test_a_statement_without_its_history_waits_for_it(mint: Mint) -> None:
    """§5.3-7, §16-5."""
    payer, payee = mint.wallet(100), mint.wallet()
    mint.pay(payer, payee, 60)
    (first,) = payee.book.graph.transfers.values()
    span = Span(Parent(first.id, Side.PAYEE, 0), *first.body.spans[0][1:])
    body = TransferBody(mint.authority.institution, (span,), mint.epoch, ())
    deposit = mint.sign(payee, body, mint.opening(50, 51))
    blank = Upload(payee.book.certificate, (), (), (deposit,), (), (), (), (deposit.id,), 0)
    reply = answer(mint, mint.signed_upload(payee, blank))
    assert (reply.deposits, mint.ledger.audit().settled) == ((), 0)
    mint.settle_in(payer)
    reply = answer(mint, mint.signed_upload(payee, blank))
    assert (reply.deposits, mint.ledger.audit().settled) == ((deposit.id,), 60)


def test_a_key_without_a_certificate_is_nobody_and_is_credited_nothing(mint: Mint) -> None:
    payer, stranger = mint.wallet(100), Mint(seed="elsewhere").wallet()
    key = stranger.book.key
    mint.secrets[key] = mint.draw()
    ghost = mint.suite.signer(mint.secrets[key])
    ((token_id, _),) = payer.book.graph.tokens.items()
    body = TransferBody(ghost.public, (Span(Parent(token_id, Side.TOKEN, 0), 0, 100),), mint.epoch, ())
    first = mint.sign(payer, body, mint.opening(50, 51))
    there = (Span(Parent(first.id, Side.PAYEE, 0), 0, 100),)
    twice = [
        mint.sign(stranger, TransferBody(payee, there, mint.epoch, ()), mint.opening(place, place + 1))
        for place, payee in enumerate((mint.authority.institution, payer.book.key))
    ]
    upload = upload_of(payer.book)._replace(transfers=(first, *twice))
    mint.sync(mint.signed_upload(payer, upload))
    assert len(mint.store.conflicts()) == 1
    found = mint.ledger.audit()
    assert (found.conflicts, found.settled, found.overspend) == ((), 0, 0)


def test_a_deposit_after_claim_by_is_not_credited_and_a_settled_epoch_takes_no_sync(mint: Mint) -> None:
    """§16-11."""
    payer, payee = mint.wallet(100), mint.wallet()
    mint.pay(payer, payee, 60)
    last = EPOCH + TERMS.spend + TERMS.grace
    assert mint.ledger.settle(last) == 0
    assert mint.ledger.settle(last + 1) == 100
    assert mint.ledger.settle(last + 1) == 0
    assert refused(lambda: mint.settle_in(payee)) is Code.BAD_INPUT
    mint.epoch = last + 1
    mint.settle_in(payee, deposit=True)
    found = mint.ledger.audit()
    assert (found.settled, found.at_risk, found.outstanding) == (100, 0, 0)
    assert not mint.store.credits()


def test_a_receipt_for_another_request_accepts_nothing(mint: Mint) -> None:
    payer, payee = mint.wallet(100), mint.wallet()
    ((token_id, _),) = payer.book.graph.tokens.items()
    body = TransferBody(payee.book.key, (Span(Parent(token_id, Side.TOKEN, 0), 0, 60),), mint.epoch, ())
    transfer = mint.sign(payer, body, mint.opening(0, 1, bytes([1]) * 32))
    receipt = mint.sign(payee, ReceiptBody(bytes([2]) * 32, transfer.id, mint.epoch), mint.opening(0, 1))
    mint.sync(mint.signed_upload(payer, upload_of(payer.book)._replace(transfers=(transfer,), heard=(receipt,))))
    mint.epoch += 16
    mint.ledger.settle(mint.epoch)
    ((_, leaves),) = mint.store.settled().items()
    assert {leaf.holder for leaf in leaves} == {payer.book.key}


def test_a_thousand_hands_hide_nobody(mint: Mint) -> None:
    """§8.2-3, §16-7."""
    thief = mint.wallet(100)
    ((token_id, _),) = thief.book.graph.tokens.items()
    parent = Parent(token_id, Side.TOKEN, 0)
    chain: list[Transfer] = []
    for place in range(1200):
        body = TransferBody(thief.book.key, (Span(parent, 0, 100),), mint.epoch, ())
        chain.append(mint.sign(thief, body, mint.opening(place, place + 1)))
        parent = Parent(chain[-1].id, Side.PAYEE, 0)
    for place in (1200, 1201):
        body = TransferBody(mint.authority.institution, (Span(parent, 0, 100),), mint.epoch, ())
        chain.append(mint.sign(thief, body, mint.opening(place, place + 1)))
    upload = upload_of(thief.book)._replace(transfers=tuple(reversed(chain)))
    mint.sync(mint.signed_upload(thief, upload))
    found = mint.ledger.audit()
    assert (found.overspend, found.settled) == (100, 200)
    ((_, kind, evidence, _),) = found.conflicts
    assert (kind, verify_evidence(evidence, mint.scheme.root).key) == ("fork", thief.book.key)


def test_a_certificate_that_comes_late_names_its_wallet(mint: Mint) -> None:
    """A conflict of a key that nobody knows yet is kept, and names it as soon as it is somebody."""
    payer, partner = mint.wallet(100), mint.wallet()
    ((token_id, _),) = payer.book.graph.tokens.items()
    body = TransferBody(partner.book.key, (Span(Parent(token_id, Side.TOKEN, 0), 0, 100),), mint.epoch, ())
    first = mint.sign(payer, body, mint.opening(50, 51))
    there = (Span(Parent(first.id, Side.PAYEE, 0), 0, 100),)
    twice = [
        mint.sign(partner, TransferBody(payer.book.key, there, mint.epoch, ()), mint.opening(place, place + 1))
        for place in (0, 1)
    ]
    mint.sync(mint.signed_upload(payer, upload_of(payer.book)._replace(transfers=(first, *twice))))
    assert (mint.ledger.conflicts(), mint.ledger.policy.hotlist) == ([], ())
    mint.settle_in(partner)
    assert [found.key for found in mint.ledger.conflicts()] == [partner.book.key]
    assert mint.ledger.policy.hotlist == (partner.book.key,)


# Keeping


def cheated(mint: Mint) -> Wallet:
    thief, one, other = mint.wallet(1000), mint.wallet(), mint.wallet()
    clone = mint.clone(thief)
    mint.pay(thief, one, 700)
    mint.pay(clone, other, 600)
    for payee in (one, other):
        mint.settle_in(payee, deposit=True)
    return thief


def test_a_ledger_is_its_file(tmp_path: Path) -> None:
    """§16-1."""
    mint = Mint(path=tmp_path / "ledger.db")
    thief = cheated(mint)
    digest, found = mint.ledger.digest(), mint.ledger.audit()
    mint.store.close()
    again = Ledger(Store.open(tmp_path / "ledger.db"), mint.authority, TERMS)
    assert (again.digest(), again.audit()) == (digest, found)
    assert again.policy.hotlist == (thief.book.key,)
    assert {named.wallet_id for named in found.conflicts} == {wallet_id(thief.book.key)}
    for _, kind, evidence, _ in found.conflicts:
        assert verify_evidence(evidence, mint.scheme.root).fraud.name.lower() == kind
    again.store.close()


@pytest.mark.parametrize("table", ["span", "asked", "outcome", "tape", "certified", "mark", "credit", "leaf"])
def test_an_audit_names_the_row_that_is_wrong(tmp_path: Path, table: str) -> None:
    """§16-14."""
    mint = Mint(path=tmp_path / "ledger.db")
    cheated(mint)
    mint.epoch += 16
    mint.ledger.settle(mint.epoch)
    mint.ledger.audit()
    with sqlite3.connect(tmp_path / "ledger.db") as rows:
        column = rows.execute(f"SELECT * FROM {table} LIMIT 1").description[0][0]
        rows.execute(f"DELETE FROM {table} WHERE {column} = (SELECT min({column}) FROM {table})")
    rows.close()
    with pytest.raises(TapError) as caught:
        mint.ledger.audit()
    assert caught.value.code is Code.LEDGER_CORRUPT
    assert caught.value.detail.startswith(table)
    mint.store.close()


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_an_audit_finds_a_changed_fact(tmp_path: Path, kind: int) -> None:
    """§16-14."""
    mint = Mint(path=tmp_path / "ledger.db")
    cheated(mint)
    with sqlite3.connect(tmp_path / "ledger.db") as rows:
        digest, body = rows.execute("SELECT digest, body FROM fact WHERE kind = ? LIMIT 1", (kind,)).fetchone()
        rows.execute("UPDATE fact SET body = ? WHERE digest = ?", (body[:-1] + bytes([body[-1] ^ 1]), digest))
    rows.close()
    assert refused(mint.ledger.audit) is Code.LEDGER_CORRUPT
    mint.store.close()


def test_intervals() -> None:
    assert union([(5, 9), (0, 2), (2, 4), (8, 12), (3, 3)], 1, 10) == [(1, 4), (5, 10)]
    assert gaps([(1, 4), (5, 10)], 0, 12) == [(0, 1), (4, 5), (10, 12)]
    assert gaps([], 3, 3) == []
    assert set(pairs([(0, 5, b"a"), (4, 6, b"b"), (5, 7, b"c"), (5, 5, b"d")])) == {(b"a", b"b"), (b"b", b"c")}


def test_a_token_is_whose_the_institution_says() -> None:
    mint, foreign = Mint(), Mint(seed="foreign")
    wallet = mint.wallet()
    token: Token = foreign.ledger.issue(wallet.book.key, 5, EPOCH, bytes(8))
    mint.sync(mint.signed_upload(wallet, upload_of(wallet.book)._replace(tokens=(token,))))
    assert (mint.ledger.refused, mint.ledger.audit().issued) == (1, 0)


def test_a_statement_off_the_tape_is_left_out_of_the_ledger_and_harms_no_other() -> None:
    mint = Mint()
    wallet, shop = mint.wallet(100), mint.wallet()
    mint.pay(wallet, shop, 30)
    present = cast("TapeStatement", mint.sign(wallet, PresentBody(bytes(32), False, EPOCH)))
    upload = upload_of(wallet.book)
    mint.sync(mint.signed_upload(wallet, upload._replace(tape=(*upload.tape, present))))
    assert mint.ledger.refused == 1
    assert set(mint.ledger.facts().transfers) == {item.id for item in upload.transfers}


def test_secrets_are_not_shown() -> None:
    assert "00" not in repr(Secrets(bytes(32), bytes(32), bytes(32), bytes(32)))


class Wire:
    """Somebody on the wire of a sync, who gives the wallet another answer than the issuer's."""

    def __init__(self, mint: Mint, forge: Callable[[bytes], bytes]) -> None:
        self.mint = mint
        self.forge = forge

    def challenge(self) -> bytes:
        return self.mint.challenge()

    def sync(self, signed_upload: bytes) -> bytes:
        return self.forge(self.mint.sync(signed_upload))


def test_nobody_on_the_wire_of_a_sync_can_answer_for_the_issuer(mint: Mint) -> None:
    """§14-7."""
    payer, shop = mint.wallet(100), mint.wallet()
    mint.pay(payer, shop, 60)
    told = len(shop.book.tape)
    old = mint.sync(mint.signed_upload(shop))

    def empty(answer: bytes) -> bytes:
        reply = encode_reply(Reply(News(None, (), None, None), (), (), (), 0))
        return encode_signed_reply(decode_signed_reply(answer)._replace(reply=reply))

    for wire in (Wire(mint, empty), Wire(mint, lambda _: old)):
        with pytest.raises(TapError, match=Code.BAD_SIGNATURE.name):
            sync(shop, wire, mint.draw(), False)
        assert len(shop.book.tape) == told
    sync(shop, Wire(mint, lambda answer: answer), mint.draw(), False)
    assert shop.book.tape == []


def test_nothing_is_in_doubt_for_ever_after_claim_by_a_sync_ends_it(mint: Mint) -> None:
    """§14-11, §16-6."""
    payer, gone = mint.wallet(100), mint.wallet()
    mint.pay(payer, gone, 30, cut=3)
    mint.epoch = EPOCH + TERMS.spend + TERMS.grace
    mint.settle_in(payer)
    assert payer.book.in_doubt() == 30
    mint.epoch += 1
    mint.ledger.settle(mint.epoch)
    mint.settle_in(payer)
    assert (payer.book.in_doubt(), payer.book.reserved()) == (0, 0)
    assert payer.book.history[-1].what == "settled"


def test_few_rows_and_many_are_asked_for_alike() -> None:
    store = Store.open()
    pairs_of = [(bytes([place]) * 33, bytes([place]) * 32) for place in range(20)]
    store.insert("asked", ("payee", "request", "transfer"), [(*pair, pair[1]) for pair in pairs_of])
    store.insert("wait", ("missing", "transfer"), [(second, first[:32]) for first, second in pairs_of])
    for count in range(len(pairs_of) + 1):
        wanted = [*pairs_of[:count], (bytes(33), b"another")]
        assert [row[:2] for row in store.answering(wanted)] == pairs_of[:count]
        assert {row.missing for row in store.waiting(pair[1] for pair in wanted)} == {
            one[1] for one in pairs_of[:count]
        }
    store.close()
