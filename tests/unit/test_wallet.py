"""Opening a wallet finishes what a power cut left, and refuses what an honest device never leaves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Effect, Result, Sign
from dualtap.forms import public_digest
from dualtap.issued import Authority, AuthorityCertificate, Header, key_hint
from dualtap.keystore import Head, Keystore, sign_with
from dualtap.logcodec import encode_record
from dualtap.records import Answered, Asked, Funded, Healed, Moved, News, Record, Sent, SignedTail
from dualtap.statements import KIND, ON_TAPE, Kind, ReceiptBody, TapeOpening, TapeStatement, TransferBody
from dualtap.suite import Drbg
from dualtap.sync import (
    Reply,
    SignedReply,
    decode_signed_upload,
    decode_upload,
    encode_reply,
    encode_signed_reply,
    reply_id,
    sync_statement,
)
from dualtap.trust import issue
from dualtap_devices import syncing
from dualtap_devices.driver import Driver, Watch, exchange, unseen
from dualtap_devices.flash import PowerCut
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from tests.playbook import EPOCH, STORE, World, remembered

NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"sixteen bytes..."


@pytest.fixture
def world() -> World:
    return World(seed="wallet")


def cut_before_signing(effect: Effect) -> None:
    """Cut the power when an entry of the tape is durable and not signed."""
    if isinstance(effect, Sign) and KIND[type(effect.statement.body)] in ON_TAPE:
        raise PowerCut


def tap(
    world: World, payer: Wallet, payee: Wallet, payer_watch: Watch = unseen, payee_watch: Watch = unseen
) -> Result | None:
    """Tap; return how it ended for the payer, or ``None`` if the power of either was cut."""
    sides = [
        Driver(
            wallet,
            order,
            order == Pay(),
            world.suite.ephemeral(world.draw()),
            world.draw(),
            watch=watch,
            clock=lambda: NOW,
        )
        for wallet, order, watch in (
            (payer, Pay(), payer_watch),
            (payee, Charge(100, "CNY", BASKET), payee_watch),
        )
    ]
    try:
        exchange(*sides)
    except PowerCut:
        for side in sides:
            side.stop(Code.LINK_LOST)
        return None
    return sides[0].result.result


def skip(wallet: Wallet, by: int) -> None:
    """Let the chip's counter skip, as a chip's may when its power is cut."""
    keystore = cast("MemoryKeystore", wallet.keystore)
    keystore.head = Head(keystore.head.ctr + by, keystore.head.id)


def tail(wallet: Wallet) -> TapeStatement:
    assert wallet.book.tail is not None
    return wallet.book.tail


def check_signed(world: World, wallet: Wallet) -> None:
    """Every entry is signed, by the statement's own id, and the keystore agrees with the last."""
    for entry in wallet.book.tape:
        world.suite.verifier(entry.key)(entry.signature, entry.id)
    assert wallet.keystore.head == Head(tail(wallet).shown().ctr, tail(wallet).id)
    places = [entry.shown() for entry in wallet.book.tape]
    for one, two in pairwise(places):
        assert one.ctr <= two.prev
    assert remembered(world.reopened(wallet).book) == remembered(wallet.book)


def settle(world: World, payer: Wallet, payee: Wallet) -> None:
    assert tap(world, payer, payee) in (Result.PAID, Result.DONE)
    world.check()
    assert not payer.book.pending
    assert payee.book.available(EPOCH) == 100


# An entry that is durable and unsigned


def stopped_payer(world: World) -> tuple[Wallet, Wallet]:
    """A payer whose Transfer is durable and unsigned, and the payee, who never saw it."""
    payer, payee = world.wallet(fund=500), world.wallet()
    assert tap(world, payer, payee, payer_watch=cut_before_signing) is None
    return payer, payee


def stopped_payee(world: World) -> tuple[Wallet, Wallet]:
    """A payee whose Receipt is durable and unsigned, and the payer, who is in doubt."""
    payer, payee = world.wallet(fund=500), world.wallet()
    assert tap(world, payer, payee, payee_watch=cut_before_signing) is None
    return payer, payee


@pytest.mark.parametrize("by", [0, 1, 2, 1000])
@pytest.mark.parametrize("earlier", [False, True])
def test_an_unsigned_transfer_is_signed_on_opening_where_the_counter_stands(
    world: World, by: int, earlier: bool
) -> None:
    """§4.1-5, §12-7."""
    payer, payee = world.wallet(fund=500), world.wallet()
    if earlier:
        world.pay(payer, world.wallet(), 50)
    tap(world, payer, payee, payer_watch=cut_before_signing)
    before = tail(payer)
    skip(payer, by)
    payer = world.reopen(payer)
    moved = tail(payer)
    assert isinstance(moved.body, TransferBody)
    assert moved.body == before.body
    assert (moved.id == before.id) == (by == 0)
    assert list(payer.book.pending) == [moved.id]
    assert list(payer.book.graph.transfers)[-1] == moved.id
    assert payer.book.in_doubt() == 100
    check_signed(world, payer)
    settle(world, payer, payee)


@pytest.mark.parametrize("by", [0, 1, 2, 1000])
def test_an_unsigned_receipt_is_signed_on_opening_where_the_counter_stands(world: World, by: int) -> None:
    """§12-7."""
    payer, payee = stopped_payee(world)
    before = tail(payee)
    skip(payee, by)
    payee = world.reopen(payee)
    moved = tail(payee)
    assert isinstance(moved.body, ReceiptBody)
    assert moved.body == before.body
    assert (moved.id == before.id) == (by == 0)
    assert payee.book.questions[moved.body.request].outcome == moved
    assert payee.book.available(EPOCH) == 100
    check_signed(world, payee)
    settle(world, payer, payee)


def test_a_moved_transfer_is_the_one_that_is_paid(world: World) -> None:
    payer, payee = stopped_payer(world)
    skip(payer, 9)
    payer = world.reopen(payer)
    moved = tail(payer).id
    basket = payee.book.parts[BASKET, 0]
    assert len(basket) == 1
    settle(world, payer, payee)
    assert moved not in payee.book.taken, "its request was closed, and another transfer paid"
    assert len(payee.book.taken) == 1


@pytest.mark.parametrize("stop", [stopped_payer, stopped_payee])
def test_an_entry_moves_again_if_the_power_goes_before_it_is_signed(world: World, stop: object) -> None:
    payer, payee = stopped_payer(world) if stop is stopped_payer else stopped_payee(world)
    wallet = payer if stop is stopped_payer else payee

    class Cut(MemoryKeystore):
        def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
            raise PowerCut

    for _ in range(3):
        skip(wallet, 5)
        cut = Cut(world.scheme, bytes(32))
        cut.__dict__.update(cast("MemoryKeystore", wallet.keystore).__dict__)
        with pytest.raises(PowerCut):
            Wallet(world.scheme, wallet.book.profile, cut, wallet.store)
    again = world.reopen(wallet)
    check_signed(world, again)
    settle(world, *((again, payee) if wallet is payer else (payer, again)))


def test_a_counter_that_skips_past_an_entry_whose_signature_was_lost_stops_nothing(world: World) -> None:
    """§12-7: opened once, the wallet signs the entry again, and its next entry is where the counter then stands."""
    payer, payee = stopped_payer(world)
    sign_with(payer.keystore, tail(payer))
    skip(payer, 7)
    payer = world.reopen(payer)
    assert payer.book.counter == payer.keystore.head.ctr > tail(payer).shown().ctr
    settle(world, payer, payee)


def test_an_entry_that_moved_leaves_nothing_where_it_was(world: World) -> None:
    """§12-7: what was never signed is in no history, and is not in doubt; the next entry follows the new place."""
    book = stopped_payer(world)[0].book
    old, place = book.tape[-1].id, book.tape[-1].shown()
    book.apply(Moved(old, place.ctr + 4, place.ctr + 5))
    new = book.tape[-1].id
    assert (book.counter, book.place(Drbg(world.draw())).prev) == (place.ctr + 5, place.ctr + 5)
    assert [named in book.graph.transfers for named in (old, new)] == [False, True]
    assert [*book.pending] == [new]


def test_an_entry_that_the_keystore_signed_never_moves(world: World) -> None:
    """Its signature may be anywhere: another id at another place would look like a clone. §12-7."""
    payer, _ = stopped_payer(world)
    unsigned = tail(payer)
    payer.keystore.sign_tape(Kind.TRANSFER, *signing(unsigned))
    skip(payer, 7)
    payer = world.reopen(payer)
    assert tail(payer).id == unsigned.id
    world.suite.verifier(payer.book.key)(tail(payer).signature, unsigned.id)


def signing(statement: TapeStatement) -> tuple[bytes, TapeOpening, bytes]:
    opening = statement.shown()
    return public_digest(cast("tuple[object, ...]", statement.body)), opening.tape(), opening.private.half()


def test_a_skip_behind_a_signed_entry_moves_nothing_and_is_not_reused(world: World) -> None:
    """§12-6."""
    payer, payee = world.wallet(fund=500), world.wallet()
    world.pay(payer, payee, 50)
    last = tail(payer)
    skip(payer, 30)
    payer = world.reopen(payer)
    assert tail(payer).id == last.id
    world.pay(payer, payee, 60)
    assert tail(payer).shown().prev >= last.shown().ctr + 30


# A store that is older than its keystore


class Office:
    """An issuer that notes what it is sent, and has no news."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.uploads: list[bytes] = []

    def challenge(self) -> bytes:
        return b"c" * 32

    def sync(self, signed_upload: bytes) -> bytes:
        self.uploads.append(signed_upload)
        item, key = decode_signed_upload(signed_upload), self.world.institution
        reply = encode_reply(Reply(News(None, (), None, None), (), (), (), 0))
        named = reply_id(self.world.scheme, key.public, item.challenge, item.upload, reply)
        return encode_signed_reply(SignedReply(reply, key_hint(key.public), key.sign(named)))


def rolled_back(world: World, entries: int) -> tuple[Wallet, Wallet]:
    """A payer whose store has lost its last entries, which its keystore signed."""
    payer, payee = world.wallet(fund=500), world.wallet()
    world.pay(payer, payee, 10)
    older = cast("MemoryStore", payer.store).records
    for _ in range(entries):
        world.pay(payer, payee, 10)
    store = MemoryStore.open(STORE)
    store.append(older)
    return Wallet(world.scheme, payer.book.profile, payer.keystore, store), payee


@pytest.mark.parametrize("entries", [1, 2, 5])
def test_a_store_older_than_its_keystore_is_quarantined(world: World, entries: int) -> None:
    """§12-6."""
    payer, payee = rolled_back(world, entries)
    assert payer.quarantined
    before = payer.keystore.head
    acts: tuple[Callable[[], object], ...] = (
        payer.check,
        lambda: tap(world, payer, payee),
        lambda: tap(world, payee, payer),
    )
    for act in acts:
        with pytest.raises(TapError) as caught:
            act()
        assert caught.value.code is Code.QUARANTINED
    assert payer.keystore.head == before, "it signed nothing more"


def test_a_wallet_in_quarantine_still_syncs(world: World) -> None:
    """§12-6, §14-2."""
    payer, _ = rolled_back(world, 1)
    before, office = payer.keystore.head, Office(world)
    report = syncing.sync(payer, office, world.draw(), deposit=True)
    assert (report.closed, report.deposited) == (0, 0)
    item = decode_signed_upload(office.uploads[0])
    statement = sync_statement(world.scheme, payer.book.key, item.upload, item.challenge, item.epoch)
    world.suite.verifier(payer.book.key)(item.signature, statement.id)
    assert len(decode_upload(world.scheme, item.upload).tape) == 1
    assert payer.keystore.head == before
    assert Wallet(world.scheme, payer.book.profile, payer.keystore, payer.store).quarantined


def test_a_store_with_its_keystores_last_entry_or_the_one_before_is_well(world: World) -> None:
    """§12-6."""
    payer, payee = world.wallet(fund=500), world.wallet()
    assert not world.reopened(payer).quarantined
    world.pay(payer, payee, 10)
    assert not world.reopened(payer).quarantined
    tap(world, payer, payee, payer_watch=cut_before_signing)
    assert not world.reopened(payer).quarantined
    syncing.sync(payer := world.reopen(payer), Office(world), world.draw(), deposit=False)
    assert not world.reopened(payer).quarantined


# A log that no wallet wrote


def logs(world: World) -> dict[str, tuple[Record | bytes, ...]]:
    payer, payee = world.wallet(fund=500), world.wallet()
    world.pay(payer, payee, 100)
    paid, received = list(map(world.decode, payer.store.records)), list(map(world.decode, payee.store.records))
    sent = next(item for item in paid if isinstance(item, Sent))
    healed = next(item for item in paid if isinstance(item, Healed))
    answered = next(item for item in received if isinstance(item, Answered))
    asked = next(item for item in received if isinstance(item, Asked))
    return {
        "nothing": (b"",),
        "no record": (b"\xc0",),
        "a record of no kind": (b"\x91\x63",),
        "a record cut short": (encode_record(asked)[:-1],),
        "a record with more behind it": (encode_record(asked) + b"\0",),
        "a transfer of what is not held": (sent, sent),
        "an outcome of no request": (answered,),
        "an outcome of no transfer": (healed,),
        "a signature of no entry": (SignedTail(sent.transfer.id, bytes(64)),),
        "a signature of another entry": (
            asked,
            answered._replace(message=b""),
            SignedTail(sent.transfer.id, bytes(64)),
        ),
        "a move of no entry": (Moved(sent.transfer.id, 1, 2),),
        "a move of another entry": (*paid, Moved(answered.outcome.id, 1, 2)),
        "an accepted transfer that is none": (asked, answered._replace(message=b"none")),
    }


@pytest.mark.parametrize("name", logs(World(seed="names")))
def test_a_log_that_no_wallet_wrote_is_refused(world: World, name: str) -> None:
    log = logs(world)[name]
    store = MemoryStore.open(STORE)
    store.append(world.wallet().store.records[:1])
    store.append([item if isinstance(item, bytes) else encode_record(item) for item in log])
    with pytest.raises(TapError) as caught:
        Wallet(world.scheme, limits.FULL, MemoryKeystore(world.scheme, world.draw()), store)
    assert caught.value.code is Code.STORE_FAILED


# Writing


def test_a_full_store_changes_nothing(world: World) -> None:
    wallet = world.wallet(store=9 * 1024)
    token = world.token(wallet.book.key, 7)
    room = wallet.store.cost([encode_record(Funded(token))])
    while wallet.store.free >= room:
        world.fund(wallet, 1)
    before = remembered(wallet.book)
    with pytest.raises(TapError) as caught:
        wallet.write(Funded(token))
    assert caught.value.code is Code.STORE_FULL
    assert remembered(wallet.book) == before
    assert remembered(world.reopened(wallet).book) == before


def test_a_signature_that_waits_survives_a_full_store(world: World) -> None:
    """A tap's last signature becomes durable with the next record, also if the one in between does not fit."""
    payer, wallet = world.wallet(fund=500), world.wallet(store=1 << 17)
    world.pay(payer, wallet, 10)
    assert wallet.book.unsaved is not None
    with pytest.raises(TapError) as caught:
        wallet.write(News(None, world.authorities * 1000, None, None))
    assert caught.value.code is Code.STORE_FULL
    world.pay(wallet, payer, 3)
    assert all(entry.signature for entry in world.reopened(wallet).book.tape)
    world.check()


def test_a_policy_outlives_the_key_that_signed_it(world: World) -> None:
    """§12-12: a new policy key dates the scheme beyond the old one's certificate; the log still opens."""
    wallet = world.wallet(fund=500)
    heir = world.suite.signer(world.draw())
    blank = AuthorityCertificate(heir.public, Authority.POLICY, 2, 0, EPOCH + 3000, b"", b"")
    later = issue(world.scheme, heir, Header(EPOCH + 2000, 1, b"", b""))
    wallet.write(News(None, (issue(world.scheme, world.root, blank),), later, None))
    wallet.compact()
    again = world.reopened(wallet)
    assert again.book.trust.epoch == EPOCH + 2000
    assert again.book.trust.policy == world.policy


def test_a_compacted_wallet_is_the_same(world: World) -> None:
    """§12-12."""
    payer, payee = stopped_payee(world)
    payee = world.reopen(payee)
    for wallet in (payer, payee):
        wallet.compact()
        assert len(wallet.store.records) == 1
        assert remembered(world.reopened(wallet).book) == remembered(wallet.book)
    settle(world, payer, payee)


def test_a_wallet_says_no_secret(world: World) -> None:
    """§17-5."""
    secret = world.draw()
    keystore: Keystore = MemoryKeystore(world.scheme, secret)
    wallet = Wallet(world.scheme, limits.FULL, keystore, MemoryStore.open(STORE))
    shown = repr(wallet) + repr(wallet.book) + repr(keystore) + str(vars(wallet))
    assert secret.hex() not in shown
    assert repr(secret)[2:-1] not in shown


# A record that could not be read again


@pytest.mark.parametrize("changed", [{"part": 256}, {"part": -1}, {"amount": True}, {"currency": "C" * 33}], ids=repr)
def test_no_record_is_written_that_would_close_the_wallet_for_good(world: World, changed: dict[str, object]) -> None:
    watch, till = world.wallet(fund=1000), world.wallet()
    world.pay(watch, till, 5)
    unsaved, before = till.book.unsaved, till.book.snapshot()
    assert unsaved is not None
    asked = Asked(bytes(32), BASKET, 0, 5, "CNY", EPOCH)
    with pytest.raises(TapError) as caught:
        till.write(cast("Asked", cast("Any", asked)._replace(**changed)))
    assert caught.value.code is Code.BAD_INPUT
    assert (till.book.unsaved, till.book.snapshot()) == (unsaved, before)
    assert remembered(world.reopened(till).book) == remembered(till.book)
    till.write(asked)
    assert list(world.reopened(till).book.open) == [bytes(32)]
