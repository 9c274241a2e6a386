"""How a deposit or a doubt stands: told by the issuer with a date, kept by the wallet, and said in two languages."""

from __future__ import annotations

from dualtap.logcodec import decoder, encode_record
from dualtap.records import TOLD, Told, ToldLine
from dualtap.standing import Settlement, Standing
from dualtap.sync import told_by, upload_of
from dualtap_devices.cues import NEWS
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from tests.mint import EPOCH, TERMS, Mint

END = EPOCH + TERMS.spend + TERMS.grace
"""The last day on which a token issued on the first can be claimed."""


def stands(wallet: Wallet) -> list[tuple[Standing, int, int]]:
    return [(line.standing, line.amount, line.epoch) for line in wallet.book.told.values()]


def reopened(mint: Mint, wallet: Wallet) -> Wallet:
    return Wallet(mint.scheme, wallet.book.profile, wallet.keystore, wallet.store)


def test_a_deposit_is_at_risk_and_then_final() -> None:
    """§14-27, §14-28 and §16-12: with amount and date, asked after until it is final, through every compaction."""
    mint = Mint()
    payer, shop = mint.wallet(300), mint.wallet()
    assert mint.pay(payer, shop, 300) == "paid"
    mint.settle_in(shop, deposit=True)
    assert stands(shop) == [(Standing.AT_RISK, 300, END)]
    shop = reopened(mint, shop)
    shop.compact()
    shop = reopened(mint, shop)
    assert stands(shop) == [(Standing.AT_RISK, 300, END)]
    assert set(upload_of(shop.book).pending) == shop.book.told.keys()
    mint.epoch = END + 1
    mint.ledger.settle(mint.epoch)
    mint.settle_in(shop)
    assert stands(shop) == [(Standing.FINAL, 300, END)]
    assert upload_of(shop.book).pending == ()
    mint.settle_in(shop)
    assert stands(shop) == []


def test_a_deposit_whose_history_is_not_whole_is_received() -> None:
    """§14-27: the payer of a hand behind it has no certificate there yet."""
    mint = Mint()
    payer, shop = mint.wallet(300), mint.wallet()
    mint.pay(payer, shop, 300)
    shop.book.graph.certificates.pop(payer.book.key)
    mint.store.ask("DELETE FROM certified WHERE key = %s RETURNING key", values=(payer.book.key,))
    mint.store.ask("DELETE FROM fact WHERE kind = 2 RETURNING digest")
    mint.settle_in(shop, deposit=True)
    assert stands(shop) == [(Standing.RECEIVED, 300, END)]
    assert len(shop.book.pending) == 1
    mint.settle_in(payer)
    mint.settle_in(shop)
    assert stands(shop) == [(Standing.AT_RISK, 300, END)]


def test_a_stuck_payer_hears_until_when() -> None:
    """§14-27 and §16-12: the payee is gone; a doubt has a date, and an outcome ends it."""
    mint = Mint()
    payer, shop = mint.wallet(300), mint.wallet()
    assert mint.pay(payer, shop, 300, cut=2) == "in_doubt"
    mint.settle_in(payer)
    assert stands(payer) == [(Standing.IN_DOUBT, 300, END)]
    mint.settle_in(shop)
    mint.settle_in(payer)
    assert stands(payer) == []
    assert not payer.book.pending


def test_an_outcome_at_a_tap_ends_the_doubt_that_was_told() -> None:
    """§14-28: what the payee itself has said is no longer asked after."""
    mint = Mint()
    payer, shop = mint.wallet(300), mint.wallet()
    mint.pay(payer, shop, 300, cut=3)
    mint.settle_in(payer)
    assert stands(payer) == [(Standing.IN_DOUBT, 300, END)]
    mint.pay(payer, shop, 1)
    assert stands(payer) == []
    assert upload_of(payer.book).pending == ()


def test_what_was_renewed_is_told_so() -> None:
    """§14-27: a deposit that fresh tokens replaced is no credit, and is not asked after again."""
    mint = Mint()
    first, second, last = mint.wallet(300), mint.wallet(), mint.wallet()
    mint.pay(first, second, 300)
    mint.pay(second, last, 300)
    sync(last, mint, mint.draw(), deposit=False, renew=True)
    assert stands(last) == [(Standing.RENEWED, 300, END)]
    assert last.book.asks_after() == []


def test_nobody_hears_of_anothers_transfers() -> None:
    """§14-27: a stranger who names a deposit in its upload is told nothing of it."""
    mint = Mint()
    payer, shop, stranger = mint.wallet(300), mint.wallet(), mint.wallet()
    mint.pay(payer, shop, 300)
    mint.settle_in(shop, deposit=True)
    line = next(iter(shop.book.told.values()))
    stranger.write(Told((line,)))
    mint.settle_in(stranger)
    assert stands(stranger) == stands(shop)  # as it was written: nothing came
    mint.epoch = END + 1
    mint.ledger.settle(mint.epoch)
    mint.settle_in(stranger)
    assert stands(stranger) == [(Standing.AT_RISK, 300, END)]


def test_a_wallet_keeps_its_own_and_the_last() -> None:
    """§14-28: an issuer's word on what this wallet never signed is passed over; the oldest give way."""
    mint = Mint()
    wallet = mint.wallet(300)
    assert told_by(wallet.book, [Settlement(bytes(32), Standing.AT_RISK, 1, 2)], ()) == ()
    lines = tuple(ToldLine(number.to_bytes(32, "big"), Standing.AT_RISK, 1, 2, "CNY") for number in range(TOLD + 3))
    wallet.write(Told(lines))
    assert told_by(wallet.book, [], ()) == lines[3:]


def test_a_told_record_is_read_as_it_was_written() -> None:
    """§12-1: number 13."""
    mint = Mint()
    record = Told((ToldLine(bytes(32), Standing.FINAL, EPOCH, 5, "CNY"),))
    assert decoder(mint.scheme.id)(encode_record(record)) == record


def test_every_standing_has_words() -> None:
    """§14-28: in English and Chinese, with the amount, and with a date where one matters."""
    assert NEWS.keys() == set(Standing)
    for standing, cue in NEWS.items():
        for text in (cue.english, cue.chinese):
            assert "{amount}" in text
            assert ("{date}" in text) == (standing is not Standing.RENEWED)
