"""A wallet is a fold over its log: what survives a compaction, a sync and a power cut is all of it."""

from __future__ import annotations

from typing import cast

import pytest

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.records import Answered, Asked, Funded, Moved, News, Sent, SignedTail, Synced
from dualtap.statements import (
    CloseBody,
    Opening,
    Outcome,
    Private,
    Span,
    TapeStatement,
    TransferBody,
    Verification,
)
from dualtap.sync import Reply, decode_upload, encode_upload, sync_statement, take_reply, upload_of
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, World, refuse, remembered

APPLES = Charge(100, "CNY", b"basket of apples")
NO_NEWS = News(None, (), None, None)


def lively() -> tuple[World, Wallet, Wallet]:
    """Two wallets with everything in their logs: change, doubt, warrants, refunds, open requests."""
    world = World()
    watch, till = world.wallet(fund=(1000, 50)), world.wallet()
    sale = world.pay(watch, till, 300)
    world.meet(till, watch, 30, pay=Pay(sale)).run()
    world.meet(watch, till, charge=APPLES).run(stop_after=2)
    world.meet(watch, till, charge=APPLES, person=refuse).run()
    world.meet(watch, till, 7).run(stop_after=3)
    return world, watch, till


def test_a_compacted_log_is_the_same_wallet() -> None:
    """§12-1, §12-12."""
    world, *wallets = lively()
    for wallet in wallets:
        before = remembered(wallet.book)
        wallet.compact()
        assert remembered(wallet.book) == before
        assert len(wallet.store.records) == 1
        assert remembered(world.reopened(wallet).book) == before
    watch, till = (world.reopen(wallet) for wallet in wallets)
    world.meet(watch, till, 5).run()
    assert watch.book.in_doubt() == 0
    world.pay(till, watch, 200)
    world.check()


def test_compaction_forgets_what_nobody_needs() -> None:
    world = World()
    watch, till = world.wallet(fund=10), world.wallet()
    world.pay(watch, till, 10)
    watch.write(Synced(watch.book.counter, (), 1))
    watch.compact()
    snapshot = watch.book.snapshot()
    assert (snapshot.tokens, snapshot.transfers, snapshot.tape, snapshot.holdings) == ((), (), (), ())
    assert snapshot.previous == watch.keystore.head.id
    assert not world.reopened(watch).quarantined


def test_old_questions_are_forgotten_when_no_value_can_come_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """§12-12. This world's keys end before ``MAX_LIFE`` as it is."""
    monkeypatch.setattr(limits, "MAX_LIFE", 700)
    world, _, till = lively()
    count = len(till.book.questions)
    till.write(News(None, (), world.dated(EPOCH + limits.MAX_LIFE + 1), None))
    assert till.book.snapshot().questions == ()
    assert len(till.book.questions) == count


def test_a_token_that_comes_twice_is_one() -> None:
    world = World()
    watch = world.wallet(fund=10)
    (token,) = watch.book.graph.tokens.values()
    watch.write(Funded(token))
    assert watch.book.available(EPOCH) == 10


def test_a_full_card_says_how_much_is_left() -> None:
    """§12-8."""
    world = World()
    card = world.wallet(profile=limits.CARD)
    card.book.free = 10_000
    card.book.reserve(10_000)
    with pytest.raises(TapError) as caught:
        card.book.reserve(10_001)
    assert caught.value.code is Code.STORE_FULL
    card.write(Asked(bytes(32), bytes(16), 0, 1, "CNY", EPOCH))
    assert card.book.reserved() == limits.CARD_MESSAGE + 1536


def test_a_deposit_is_in_doubt_until_the_issuer_has_it() -> None:
    """§12-1."""
    world = World()
    watch = world.wallet(fund=100)
    book = watch.book
    held = book.holdings[0]
    body = TransferBody(world.institution.public, (Span(held.parent, 0, 100),), EPOCH, ())
    opening = Opening(bytes(16), 0, 1, Private(Verification.NONE))
    deposit = signed(world.scheme.id, book.key, body, opening)
    watch.write(Sent(deposit, bytes(16), 0))
    watch.check()
    assert (book.history[-1].what, book.in_doubt(), book.since.payments) == ("deposited", 100, 0)
    watch.write(Synced(1, (deposit.id, bytes(32)), 0))
    assert (book.history[-1].what, book.in_doubt()) == ("settled", 0)
    assert remembered(world.reopened(watch).book) == remembered(book)


def test_a_synced_tape_is_not_told_again() -> None:
    """§14-5."""
    world, watch, till = lively()
    assert watch.book.since.payments > 0
    upload = upload_of(watch.book)
    assert decode_upload(world.scheme, encode_upload(upload)) == upload
    assert [entry.id for entry in upload.tape] == [entry.id for entry in watch.book.tape]
    watch.write(Synced(watch.book.counter, (), 3))
    assert upload_of(watch.book).tape == ()
    assert watch.book.since.payments == 0
    assert watch.book.delivered == 3
    world.meet(watch, till, 1).run()
    world.check()


def test_an_unsigned_entry_is_not_told() -> None:
    """§14-12."""
    world = World()
    till = world.wallet()
    till.write(Asked(bytes(32), bytes(16), 0, 1, "CNY", EPOCH))
    close = signed(world.scheme.id, till.book.key, CloseBody(bytes(32), 81, EPOCH), Opening(bytes(16), 0, 1))
    till.write(Answered(cast("Outcome", close), b""))
    assert upload_of(till.book).tape == ()
    till.write(Synced(0, (), 0))
    assert len(till.book.tape) == 1, "what the issuer has not seen stays"
    till.check()
    assert len(upload_of(till.book).tape) == 1


def test_a_signature_belongs_to_the_tail() -> None:
    world, watch, _ = lively()
    with pytest.raises(TapError) as caught:
        watch.book.apply(SignedTail(bytes(32), bytes(64)))
    assert caught.value.code is Code.STORE_FAILED
    tail = cast("TapeStatement", watch.book.tail)
    with pytest.raises(TapError) as caught:
        watch.book.apply(Moved(tail.id, 1, 2))
    assert caught.value.code is Code.STORE_FAILED
    assert world.wallet().book.tail is None


# What the issuer answers


def reply(**changed: object) -> Reply:
    return Reply(NO_NEWS, (), (), (), 0)._replace(**changed)  # type: ignore[arg-type]


def test_a_reply_brings_news_tokens_and_outcomes() -> None:
    """§7-10."""
    world, watch, till = lively()
    (sent,) = watch.book.pending.values()
    receipt = next(entry for entry in till.book.tape if entry.body == till.book.tape[-1].body)
    token = world.token(watch.book.key, 77)
    renewed = world.certificate(watch.book.key, expires=EPOCH + 999)
    news = News(renewed, world.authorities, world.dated(EPOCH + 900), world.ruled(2))
    answer = reply(news=news, outcomes=(receipt, receipt), tokens=(token,), deposits=(bytes(32),), delivered=4)
    before = watch.book.in_doubt()
    watch.write(*take_reply(watch.book, answer, watch.book.counter))
    world.issued += 77
    assert before == 7
    assert sent.transfer.id not in watch.book.pending
    assert watch.book.trust.epoch == EPOCH + 900
    assert watch.book.certificate == renewed
    assert watch.book.history[-1].what == "funded"
    world.check()


def test_an_old_reply_brings_no_token_again() -> None:
    """§14-13."""
    world = World()
    watch, till = world.wallet(), world.wallet()
    answer = reply(tokens=(world.token(watch.book.key, 77),), delivered=1)
    watch.write(*take_reply(watch.book, answer, watch.book.counter))
    world.issued += 77
    world.pay(watch, till, 77)
    watch.write(Synced(watch.book.counter, (), 1))
    watch.compact()
    watch.write(*take_reply(watch.book, answer, watch.book.counter))
    assert watch.book.available(EPOCH) == 0, "spent, and forgotten: not to be spent again"
    world.check()


def test_a_reply_for_another_wallet_is_refused() -> None:
    """§14-8."""
    world = World()
    watch, other = world.wallet(), world.wallet()
    for answer, code in (
        (reply(tokens=(world.token(other.book.key, 7),), delivered=1), Code.NOT_OWNER),
        (reply(news=NO_NEWS._replace(certificate=other.book.certificate)), Code.WRONG_CERTIFICATE),
        (reply(news=NO_NEWS._replace(header=world.dated(EPOCH + 1)._replace(signature=bytes(64)))), Code.BAD_SIGNATURE),
    ):
        before = remembered(watch.book)
        with pytest.raises(TapError) as caught:
            take_reply(watch.book, answer, watch.book.counter)
        assert caught.value.code is code
        assert remembered(watch.book) == before


def test_a_sync_is_signed_over_its_upload() -> None:
    """§14-4."""
    world, watch, _ = lively()
    data = encode_upload(upload_of(watch.book))
    word = sync_statement(world.scheme, watch.book.key, data, bytes(32), EPOCH)
    assert word.id != sync_statement(world.scheme, watch.book.key, data + b"x", bytes(32), EPOCH).id
    assert word.id != sync_statement(world.scheme, watch.book.key, data, bytes(31) + b"x", EPOCH).id
