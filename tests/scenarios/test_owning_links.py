"""An owner reaches a card that waits: itself, or through a bridge that sees sealed bytes; strangers bind nothing."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from dualtap import limits
from dualtap.call import Call, encode_call
from dualtap.errors import Code, TapError
from dualtap.issued import Carrier
from dualtap.ownerend import OwnerEnd
from dualtap.owning import Bond, Look, Told, Wish
from dualtap.session import NO_HANDOVER
from dualtap.wire import Want
from dualtap_devices.bridge import bridge
from dualtap_devices.owning import Press, Session, called, declined, fresh, pressed
from dualtap_devices.owning import run as serve
from dualtap_devices.passive import Done, Waiting, attend
from dualtap_devices.wallet import Wallet
from dualtap_transports.apdu_loopback import pair
from dualtap_transports.link import Link
from tests.playbook import EPOCH, World

PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)


class Home:
    """A phone, and a card that waits."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool, self.world = pool, World(seed="home")
        self.phone = self.world.wallet()
        self.card = self.world.wallet(Carrier.CARD, 500, profile=limits.CARD)

    def waits(self, far: Link, press: Press = declined, allowed: Want = Want.OWN | Want.PAY) -> Future[Done]:
        return self.pool.submit(attend, self.card, far, Waiting(allowed, clock=lambda: NOW, press=press), PATIENCE)

    def owner(self, wish: Wish, wallet: Wallet | None = None) -> Session:
        phone = wallet or self.phone
        return Session(phone, OwnerEnd(phone.book, wish, fresh(phone)), clock=lambda: NOW)

    def tap(self, wish: Wish, press: Press = declined) -> Told:
        near, far = pair()
        job = self.waits(far, press)
        try:
            return serve(self.owner(wish), near, PATIENCE)
        finally:
            assert job.exception(PATIENCE) is None or isinstance(job.exception(), TapError)


@pytest.fixture
def home() -> Generator[Home]:
    with ThreadPoolExecutor(3) as pool:
        yield Home(pool)


def test_a_card_that_lies_about_is_bound_by_nobody(home: Home) -> None:
    """§23-5: it agrees to nothing by itself; bound by a press, it serves its owner without one."""
    for wish in (Bond(), Look()):
        with pytest.raises(TapError) as caught:
            home.tap(wish)
        assert caught.value.code is Code.DECLINED
    assert home.tap(Bond(), pressed).code is None
    state = home.tap(Look()).state
    assert state is not None
    assert (state.bind, state.balance) == (1, 500)


def test_a_device_that_serves_no_owner_is_silent(home: Home) -> None:
    """§6-10."""
    near, far = pair()
    job = home.waits(far, pressed, Want.PAY)
    with pytest.raises(TapError) as caught:
        serve(home.owner(Bond()), near, PATIENCE)
    assert caught.value.code is Code.LINK_LOST
    refused = job.exception(PATIENCE)
    assert isinstance(refused, TapError)
    assert refused.code is Code.WRONG_ROLE
    assert home.card.book.ties.owner == b""


def test_an_owner_that_waits_reads_a_card_that_waits_through_a_bridge(home: Home) -> None:
    """§25-2, §26-3: the bridge calls the owner; no key, certificate or balance crosses in the clear."""
    assert home.tap(Bond(), pressed).code is None
    (near, far), (reader, card) = pair(), pair()
    frames: list[bytes] = []

    def look() -> Told:
        assert called(far, PATIENCE) == NO_HANDOVER
        return serve(home.owner(Look()), far, PATIENCE)

    owner, job = home.pool.submit(look), home.waits(card)
    near.send(encode_call(Call(Want.OWN)))
    bridge(_Seen(near, frames), _Seen(reader, frames), PATIENCE)
    state = owner.result(PATIENCE).state
    assert state is not None
    assert state.balance == 500
    assert isinstance(job.result(PATIENCE), Told)
    for canary in (home.phone.book.key, home.card.book.key, home.card.book.certificate.signature):
        assert not [frame for frame in frames if canary in frame]


@pytest.mark.parametrize("want", [Want.PAY, Want.SYNC])
def test_an_owner_is_called_for_nothing_else(home: Home, want: Want) -> None:
    """§25-2."""
    near, far = pair()
    job = home.pool.submit(called, far, PATIENCE)
    near.send(encode_call(Call(want)))
    refused = job.exception(PATIENCE)
    assert isinstance(refused, TapError)
    assert refused.code is Code.WRONG_ROLE


def test_a_wallet_is_not_called_as_an_owner(home: Home) -> None:
    """§25-2: a card that waits has nothing to order."""
    near, far = pair()
    job = home.waits(far)
    near.send(encode_call(Call(Want.OWN)))
    refused = job.exception(PATIENCE)
    assert isinstance(refused, TapError)
    assert refused.code is Code.WRONG_ROLE


class _Seen:
    """A link that keeps what is sent over it."""

    def __init__(self, link: Link, frames: list[bytes]) -> None:
        self._link, self._frames = link, frames
        self.receive, self.close = link.receive, link.close

    @property
    def max_frame(self) -> int:
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._link.send(frame)
