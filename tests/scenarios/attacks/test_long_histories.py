"""Attacks by who pays with long histories: what a wallet keeps of them, compacted, is more than its log holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from dualtap import limits
from dualtap.call import Call, encode_call
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.forms import signed
from dualtap.issued import Carrier, Role
from dualtap.keystore import sign_with
from dualtap.logcodec import encode_record
from dualtap.records import Holding
from dualtap.statements import Parent, PresentBody, Side, Span, TransferBody
from dualtap.suite import Drbg
from dualtap.wire import Want
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.passive import Waiting, attend
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from tests.mint import Mint
from tests.support.sealed import Host


def card_of(mint: Mint, fund: int) -> Wallet:
    """Return a card with a log of a card's size."""
    keystore = MemoryKeystore(mint.scheme, mint.draw())
    card = Wallet(mint.scheme, limits.CARD, keystore, MemoryStore.open(2 * limits.CARD.log))
    blank = signed(mint.scheme.id, card.book.key, PresentBody(mint.challenge(), initiator=False, epoch=mint.epoch))
    proof = blank.sealed(sign_with(keystore, blank))
    card.write(
        mint.ledger.news(
            mint.epoch, mint.ledger.certify(proof, Carrier.CARD, 1, Role.PAY | Role.COLLECT, mint.epoch + 300)
        )
    )
    mint.fund(card, fund)
    return card


def clock_of(mint: Mint) -> Callable[[], float]:
    """Return a clock that shows the beginning of the mint's day."""
    return lambda: float(mint.epoch * limits.EPOCH_SECONDS)


def met(mint: Mint, payer: Wallet, payee: Wallet, amount: int) -> tuple[Driver, Driver]:
    """Return the two ends of a tap."""
    clock = clock_of(mint)
    charge = Charge(amount, "CNY", mint.draw(16))
    return (
        Driver(payer, Pay(), True, mint.suite.ephemeral(mint.draw()), mint.draw(), clock=clock),
        Driver(payee, charge, False, mint.suite.ephemeral(mint.draw()), mint.draw(), clock=clock),
    )


def lengthened(mint: Mint, wallet: Wallet, base: Holding, first: int) -> int:
    """Let a wallet hold four units only, behind two transfers to itself of 16 spans each; return the units used up."""
    kept, place = list[Holding](), first
    for _ in range(2):
        spans = tuple(
            Span(Parent(base.token, Side.TOKEN, 0), place + 2 * number, place + 2 * number + 1 + (number == 0))
            for number in range(16)
        )
        place += 32
        opening = wallet.book.place(Drbg(mint.draw()), mint.draw())
        hand = signed(mint.scheme.id, wallet.book.key, TransferBody(wallet.book.key, spans, mint.epoch, ()), opening)
        hand = hand.sealed(mint.suite.signer(mint.secrets[wallet.book.key]).sign(hand.id))
        wallet.book.graph.put(hand)
        kept.append(Holding(Parent(hand.id, Side.PAYEE, 0), base.token, spans[0].start, spans[0].end))
    wallet.book.holdings = kept
    return place - first


class Stranger:
    """Calls a card for a sync, and carries its frames to the true issuer."""

    max_frame = 1024

    def __init__(self, mint: Mint) -> None:
        self._host, self._next = Host(mint), [encode_call(Call(Want.SYNC))]

    def receive(self, timeout: float | None) -> bytes:
        del timeout
        if not self._next:
            raise TapError(Code.LINK_LOST)
        return self._next.pop()

    def send(self, frame: bytes) -> None:
        self._next = [self._host.exchange(frame)]

    def close(self) -> None:
        return


def test_a_card_that_long_histories_fill_heals_and_hands_in() -> None:
    """§12-13: no tap and no sync went on, strangers' syncs took the last room, and its own units were lost with it."""
    mint = Mint(seed="long")
    thief, shop, card = mint.wallet(fund=100_000), mint.wallet(fund=100), card_of(mint, 500)
    payer, payee = met(mint, card, shop, 100)
    payee.begin()
    (hello,) = payer.begin()
    for frame in payee.receive(hello):
        for answer in payer.receive(frame):
            payee.receive(answer)
    payer.stop(Code.LINK_LOST)
    assert (card.book.in_doubt(), shop.book.held()) == (100, 200)
    (base,), used = thief.book.holdings, 0
    for _ in range(40):
        used += lengthened(mint, thief, base, used)
        ends = met(mint, thief, card, 4)
        exchange(*ends)
        if ends[0].result.result is not Result.PAID:
            break
    needed = card.store.cost([encode_record(item) for item in card.book.compacted()])
    assert needed > limits.CARD.log, "no compaction finds room"
    before = card.store.free
    for _ in range(8):
        with suppress(TapError):
            attend(card, Stranger(mint), Waiting(clock=clock_of(mint)))
    assert card.store.free >= before - limits.CARD.message, "strangers take no room that deposits need"
    exchange(*met(mint, card, shop, 1))
    assert card.book.in_doubt() == 0, "it heals"
    for wallet in (card, Wallet(mint.scheme, limits.CARD, card.keystore, card.store)):
        sync(wallet, mint, mint.draw(), deposit=True)
    again = Wallet(mint.scheme, limits.CARD, card.keystore, card.store)
    sync(again, mint, mint.draw(), deposit=True)
    assert again.book.held() == 0
    assert sum(one.amount for one in mint.ledger.store.credits() if one.key == card.book.key) >= 500 - 100
