"""Quasi-account cards: after each sync the shadow account, by the ledger alone, is what the card's own book says."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Result
from dualtap.limits import EPOCH_SECONDS
from dualtap.statements import Transfer
from dualtap_devices.driver import Driver
from dualtap_devices.wallet import Wallet
from dualtap_issuer.rules import EVER, Lot
from dualtap_issuer.shadow import Shadow, shadow
from tests.mint import Mint

SEEDS = 8


def shadow_of(mint: Mint, wallet: Wallet) -> Shadow:
    return shadow(mint.ledger.world(), wallet.book.key, "CNY", mint.store.settled())


def own_account(wallet: Wallet) -> Shadow:
    """Return what the card itself says."""
    return Shadow(sum(held.end - held.start for held in wallet.book.holdings), wallet.book.in_doubt())


def refund(mint: Mint, payer: Wallet, payee: Wallet, received: Transfer, amount: int, cut: int) -> bool:
    """Pay back what was received, or a part; after ``cut`` frames the link is torn. Return whether it was paid."""

    def ready(wallet: Wallet, order: Charge | Pay, initiator: bool) -> Driver:
        ephemeral = mint.suite.ephemeral(mint.draw())
        return Driver(wallet, order, initiator, ephemeral, mint.draw(), clock=lambda: float(mint.epoch * EPOCH_SECONDS))

    one = ready(payer, Pay(refund_of=received.id, amount=amount), True)
    other = ready(payee, Charge(amount, "CNY", mint.draw(16)), False)
    frames = [(other, frame) for frame in one.begin()] + [(one, frame) for frame in other.begin()]
    while frames and cut:
        receiver, frame = frames.pop(0)
        sender = one if receiver is other else other
        if not receiver.ended:
            frames += [(sender, answer) for answer in receiver.receive(frame)]
        cut -= 1
    one.stop(Code.LINK_LOST)
    other.stop(Code.LINK_LOST)
    return one.result.result is Result.PAID


def received_by(wallet: Wallet) -> list[tuple[Transfer, int]]:
    """Return the transfers that this wallet holds anything of, and how much."""
    found: dict[bytes, int] = {}
    for held in wallet.book.holdings:
        if held.parent.id in wallet.book.graph.transfers:
            found[held.parent.id] = found.get(held.parent.id, 0) + held.end - held.start
    graph = wallet.book.graph.transfers
    return [(graph[key], amount) for key, amount in found.items() if graph[key].body.payee == wallet.book.key]


def test_the_shadow_is_the_cards_balance_after_each_sync() -> None:
    """In random worlds: payments both ways, torn taps that heal or do not, refunds, recharges, deposits."""
    seen = Counter[str]()
    for seed in range(SEEDS):
        live(seed, seen)
    assert min(seen["refunds"], seen["doubts"], seen["balances"]) > 2, seen


def live(seed: int, seen: Counter[str]) -> None:
    mint, draw = Mint(seed=f"shadow {seed}"), random.Random(seed)
    cards = [mint.wallet(draw.choice([0, 500])) for _ in range(3)]
    till = mint.wallet()
    everybody = [*cards, till]

    def pay() -> None:
        payer, payee = draw.sample(everybody, 2)
        mint.pay(payer, payee, draw.randrange(1, 200), cut=draw.choice([1, 2, 3, 100, 100, 100]))

    def give_back() -> None:
        payer = draw.choice([wallet for wallet in everybody if received_by(wallet)] or everybody)
        known = {wallet.book.key: wallet for wallet in everybody}
        for received, amount in received_by(payer):
            payee = known[received.key]
            part, cut = draw.randrange(1, amount + 1), draw.choice([2, 3, 100])
            seen["refunds"] += refund(mint, payer, payee, received, part, cut)
            break

    def recharge() -> None:
        mint.ledger.issue(draw.choice(cards).book.key, draw.randrange(1, 300), mint.epoch, mint.draw(8))

    acts: list[Callable[[], None]] = [pay, pay, give_back, recharge]
    for _ in range(14):
        draw.choice(acts)()
        if draw.random() < 0.5:
            wallet = draw.choice(everybody)
            mint.settle_in(wallet, deposit=wallet is till)
            assert shadow_of(mint, wallet) == own_account(wallet), f"seed {seed}"
            seen["balances"] += own_account(wallet).held > 0
            seen["doubts"] += own_account(wallet).in_doubt > 0
    for _ in range(2):
        for wallet in everybody:
            mint.settle_in(wallet, deposit=wallet is till)
    accounts = [shadow_of(mint, wallet) for wallet in everybody]
    assert accounts == [own_account(wallet) for wallet in everybody]
    world = mint.ledger.world()
    deposited = sum(
        leaf.amount for token in world.facts.tokens for leaf in world.leaves(token, EVER) if leaf.lot is Lot.DEPOSITED
    )
    issued = sum(token.amount for token in world.facts.tokens.values())
    assert sum(account.held + account.in_doubt for account in accounts) + deposited == issued


def test_a_tap_torn_before_the_receipt_is_in_doubt_in_both() -> None:
    mint = Mint(seed="torn")
    card, shop = mint.wallet(500), mint.wallet()
    assert mint.pay(card, shop, 120, cut=3) == "in_doubt"
    mint.settle_in(card)
    assert shadow_of(mint, card) == own_account(card) == Shadow(380, 120)
    mint.settle_in(shop)
    assert shadow_of(mint, shop) == own_account(shop) == Shadow(120, 0)
    mint.settle_in(card)
    assert shadow_of(mint, card) == own_account(card) == Shadow(380, 0)


def test_a_refund_comes_back_into_the_shadow() -> None:
    mint = Mint(seed="refund")
    card, shop = mint.wallet(500), mint.wallet()
    assert mint.pay(card, shop, 120) == "paid"
    ((received, amount),) = received_by(shop)
    assert (amount, refund(mint, shop, card, received, 50, 100)) == (120, True)
    mint.settle_in(card)
    assert shadow_of(mint, card) == own_account(card) == Shadow(430, 0), "the shop has not even synced"
    assert shadow_of(mint, shop) == own_account(shop) == Shadow(70, 0), "nor needs to: the card told all"
