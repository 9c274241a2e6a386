"""A card without a network syncs through the phone that reads it, every APDU of it, torn wherever it may be."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest

from dualtap import wire
from dualtap.errors import Code, TapError
from dualtap.wire import Want
from dualtap_devices.passive import Done, Waiting, attend
from dualtap_devices.remote import call_to_sync, carry
from dualtap_devices.syncing import SyncReport
from dualtap_devices.wallet import Wallet
from dualtap_transports.apdu_loopback import pair
from dualtap_transports.link import Link
from tests.mint import EPOCH, Mint
from tests.support.sealed import Host

PATIENCE = 20.0
ONLY_SYNC = Waiting(allowed=Want.SYNC, deposits=True)


class Cut:
    """A link that carries so many frames, both ways counted, and is then torn."""

    def __init__(self, link: Link, frames: int) -> None:
        self.link, self.left = link, frames
        self.close = link.close

    @property
    def max_frame(self) -> int:
        return self.link.max_frame

    def count(self) -> None:
        if not self.left:
            self.link.close()
            raise TapError(Code.LINK_LOST, "torn")
        self.left -= 1

    def send(self, frame: bytes) -> None:
        self.count()
        self.link.send(frame)

    def receive(self, timeout: float | None) -> bytes:
        frame = self.link.receive(timeout)
        self.count()
        return frame


def carried(wallet: Wallet, host: Host, frames: int = 1000, waits: Waiting = ONLY_SYNC) -> SyncReport | TapError:
    """Carry one sync of a wallet that is read, torn after so many frames; return what came of it at the card."""
    host.fresh()
    reader, card = pair()
    with ThreadPoolExecutor(1) as pool:
        job: Future[Done] = pool.submit(attend, wallet, card, waits, PATIENCE)
        link = Cut(reader, frames)
        with suppress(TapError):
            call_to_sync(link)
            carry(link, host, PATIENCE)
        reader.close()
        try:
            done = job.result(PATIENCE)
        except TapError as error:
            return error
    assert isinstance(done, SyncReport)
    return done


def test_a_card_that_is_read_syncs_and_whoever_reads_it_sees_none_of_it() -> None:
    """§25-6, §10.1-10."""
    mint = Mint()
    wallet, shop = mint.wallet(500), mint.wallet()
    assert mint.pay(wallet, shop, 120) == "paid"
    mint.ledger.issue(shop.book.key, 77, EPOCH, b"serial 8")
    host = Host(mint)
    done = carried(shop, host)
    assert isinstance(done, SyncReport)
    assert (done.deposited, done.funded, shop.book.available(EPOCH)) == (120, 77, 77)
    assert wire.decode_hello(host.frames[0]).want == Want.SYNC
    for secret in (shop.book.key, wallet.book.key, b"serial 8", shop.book.certificate.signature):
        assert secret not in b"".join(host.frames)


def test_torn_at_every_frame_the_next_sync_completes_and_nothing_is_done_twice() -> None:
    """§25-6: the next sync is another session, and what the issuer has stored it has stored once."""
    cut, done = -1, False
    while not done:
        cut += 1
        mint = Mint(seed=f"radio {cut}")
        wallet, shop = mint.wallet(500), mint.wallet()
        mint.pay(wallet, shop, 120)
        mint.ledger.issue(shop.book.key, 77, EPOCH, mint.draw(8))
        host = Host(mint)
        torn = carried(shop, host, cut)
        digest = mint.ledger.digest() if host.applied else b""
        done = isinstance(torn, SyncReport)
        again = carried(shop, host, waits=replace(ONLY_SYNC, deposits=not done))
        assert isinstance(again, SyncReport)
        assert not digest or mint.ledger.digest() == digest
        assert (shop.book.available(EPOCH), mint.ledger.audit().settled) == (77, 120)
        assert mint.named() == set()
        assert again.funded == (0 if done else 77)
        assert done or (isinstance(torn, TapError) and torn.code is Code.LINK_LOST)
    assert cut >= 5, "not every frame was met"


@pytest.mark.parametrize("want", [Want.PAY, Want.COLLECT])
def test_a_wallet_that_waits_to_sync_does_nothing_else(want: Want) -> None:
    """§25-2."""
    mint = Mint()
    wallet = mint.wallet(500)
    reader, card = pair()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(attend, wallet, card, ONLY_SYNC, PATIENCE)
        hello = wire.Hello(mint.scheme.hint, (1,), mint.suite.ephemeral(mint.draw()).public, want)
        reader.send(wire.encode_hello(hello))
        with pytest.raises(TapError) as caught:
            job.result(PATIENCE)
        assert caught.value.code is Code.WRONG_ROLE
    reader.close()


def test_a_wallet_in_quarantine_may_sync_so_too() -> None:
    mint = Mint()
    wallet = mint.wallet(500)
    wallet.quarantined = True
    assert isinstance(carried(wallet, Host(mint)), SyncReport)
