"""What a compacted log keeps of the past is a share of it: it never takes the room of a tap, a deposit or a sync."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualtap import codec, limits
from dualtap.account import ENTRY_ROOM
from dualtap.context import Pay
from dualtap.errors import Code
from dualtap.forms import plain
from dualtap.limits import Profile
from dualtap.logcodec import encode_record
from dualtap.records import Line, Taken
from dualtap_devices import syncing
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, World, remembered
from tests.unit.test_wallet import Office

LONGEST = "handed in", "deposited", "refunded", "received", "accepted", "restored", "settled", "funded", "sent"
"""Every word that a line begins with."""


def line_of(number: int) -> Line:
    """Return a line as long as any."""
    word = max(LONGEST, key=len)
    return Line(word, limits.AMOUNT, "CNY", bytes(33), number.to_bytes(32, "big"), 2**24)


def taken_of(number: int) -> Taken:
    """Return an accepted payment as long as any."""
    return Taken(number.to_bytes(32, "big"), bytes(33), limits.AMOUNT, limits.AMOUNT)


def live_on(wallet: Wallet, payments: int) -> None:
    """Let a wallet have been paid so often, and all of it be settled."""
    for number in range(payments):
        wallet.book.history.append(line_of(number))
        wallet.book.taken[number.to_bytes(32, "big")] = taken_of(number)


@pytest.mark.parametrize(
    ("profile", "kept"),
    [
        (limits.CARD, 32),
        (limits.FULL, 500),
        (replace(limits.CARD, log=500 * 1536 - 1), 499),
        (replace(limits.CARD, log=1535), 0),
    ],
    ids=["card", "full", "just below full", "none"],
)
def test_a_compacted_log_keeps_the_newest_that_its_size_allows(profile: Profile, kept: int) -> None:
    """§12-14: live and reopened alike."""
    world = World()
    wallet = world.wallet(profile=profile)
    live_on(wallet, 600)
    wallet.compact()
    newest = range(600 - kept, 600)
    for book in (wallet.book, world.reopened(wallet).book):
        assert book.history == [line_of(number) for number in newest]
        assert list(book.taken.values()) == [taken_of(number) for number in newest]
        assert remembered(book) == remembered(wallet.book)


@pytest.mark.parametrize("profile", [limits.CARD, limits.FULL], ids=["card", "full"])
def test_the_past_takes_less_than_an_eighth_of_a_log(profile: Profile) -> None:
    """§12-14: by bytes, where each is as long as it can be."""
    assert len(codec.pack(plain(line_of(0)))) + len(codec.pack(plain(taken_of(0)))) == 186
    wallet = World().wallet(profile=profile)
    bare = len(encode_record(wallet.book.snapshot()))
    live_on(wallet, 600)
    assert len(encode_record(wallet.book.snapshot())) - bare < profile.log // 8


@pytest.mark.parametrize(("profile", "answered"), [(limits.CARD, 150), (limits.FULL, 15_000)], ids=["card", "full"])
def test_how_many_answered_requests_fill_a_log(profile: Profile, answered: int) -> None:
    """§10.1-9: they are kept for ``MAX_LIFE``, whatever the size of a log; little of it is left for all else."""
    world = World()
    till = world.wallet()
    world.pay(world.wallet(fund=100), till, 10)
    (question,) = till.book.questions.values()
    took = len(codec.pack(plain(question)))
    assert profile.log * 8 // 10 < answered * took < profile.log


def test_a_card_with_a_long_past_taps_deposits_and_syncs() -> None:
    """§12-14, §12-8 and §12-13: 600 payments would overfill its log."""
    world = World()
    card = world.wallet(profile=limits.CARD, store=2 * limits.CARD.log, fund=100)
    live_on(card, 600)
    card.compact()
    assert card.book.free > limits.CARD.log * 3 // 4 > card.book.reserved() + limits.CARD.message + 2 * ENTRY_ROOM
    world.pay(card, world.wallet(), 10)
    world.pay(world.wallet(fund=10), card, 10)
    assert syncing.sync(card, Office(world), world.draw(), deposit=True).deposited == 100
    assert card.book.available(EPOCH) == 0


def test_a_payment_that_is_kept_no_more_is_not_refunded() -> None:
    """§12-14 and §11.3-6: the newest are, and what was given back of them stays counted."""
    world = World()
    watch = world.wallet(fund=100)
    till = world.wallet(profile=replace(limits.FULL, log=2 * limits.HISTORY_ROOM))
    till.book.free = till.store.free
    sales = [world.pay(watch, till, 10) for _ in range(3)]
    world.meet(till, watch, 4, pay=Pay(sales[1])).run()
    till.compact()
    assert list(till.book.taken) == sales[1:]
    for sale, amount, code in ((sales[0], 10, Code.NOT_A_REFUND), (sales[1], 7, Code.NOT_A_REFUND), (sales[1], 6, None),
                               (sales[2], 10, None)):  # fmt: skip
        assert world.meet(till, watch, amount, pay=Pay(sale)).run().payer.report.code is code
    world.check()
