"""The drivers run a tap over a link: the synchronous one and the asynchronous one tell the same stories."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Effect, Persist, Report, Result, Send, Sign
from dualtap.records import News
from dualtap.statements import KIND, ON_TAPE
from dualtap_devices import aio as devices_aio
from dualtap_devices import driver as devices_driver
from dualtap_devices.driver import Driver, Person, Watch, always, exchange, unseen
from dualtap_devices.flash import CrashFlash, Faults
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet
from dualtap_transports import aio, loopback, tcp
from dualtap_transports.link import Link
from tests.playbook import EPOCH, World

PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"sixteen bytes..."
Run = Callable[[Driver, Link, float | None], Report]


class Awaited:
    """A link of this thread, awaited."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.max_frame = link.max_frame

    async def send(self, frame: bytes) -> None:
        self._link.send(frame)

    async def receive(self, timeout: float | None) -> bytes:
        return self._link.receive(timeout)

    async def close(self) -> None:
        self._link.close()


def run_async(driver: Driver, link: Link, timeout: float | None) -> Report:
    return asyncio.run(devices_aio.run(driver, Awaited(link), timeout))


@pytest.fixture(params=[devices_driver.run, run_async], ids=["synchronous", "asynchronous"])
def run(request: pytest.FixtureRequest) -> Run:
    chosen: Run = request.param
    return chosen


@pytest.fixture
def world() -> World:
    return World(seed="driver")


def drive(
    world: World,
    wallet: Wallet,
    order: Order,
    initiator: bool,
    person: Person = always,
    watch: Watch = unseen,
    clock: Callable[[], float] = lambda: NOW,
) -> Driver:
    return Driver(wallet, order, initiator, world.suite.ephemeral(world.draw()), world.draw(), person, watch, clock)


def charge(amount: int = 100) -> Charge:
    return Charge(amount, "CNY", BASKET)


def both(world: World) -> tuple[Driver, Driver]:
    payer, payee = world.wallet(fund=500), world.wallet()
    return drive(world, payer, Pay(), True), drive(world, payee, charge(), False)


def paid(payer: Driver, payee: Driver) -> None:
    assert payer.result.result is Result.PAID
    assert payee.result.result is Result.COLLECTED
    assert payee.wallet.book.available(EPOCH) == 100


def test_two_threads_tap_over_tcp(world: World) -> None:
    payer, payee = both(world)
    with closing(tcp.SCHEME.listen("127.0.0.1:0")) as listener, ThreadPoolExecutor() as threads:
        collecting = threads.submit(lambda: devices_driver.run(payee, listener.accept(PATIENCE), PATIENCE))
        report = devices_driver.run(payer, tcp.SCHEME.connect(listener.address, PATIENCE), PATIENCE)
        assert report is payer.result
        assert collecting.result(PATIENCE) is payee.result
    paid(payer, payee)
    world.check()


def test_two_tasks_tap_over_tcp(world: World) -> None:
    payer, payee = both(world)

    async def tap() -> tuple[Report, Report]:
        listener = await aio.listen("127.0.0.1:0")
        try:
            link, accepted = await asyncio.gather(aio.connect(listener.address, PATIENCE), listener.accept(PATIENCE))
            return await asyncio.gather(
                devices_aio.run(payer, link, PATIENCE), devices_aio.run(payee, accepted, PATIENCE)
            )
        finally:
            await listener.close()

    assert tuple(asyncio.run(tap())) == (payer.result, payee.result)
    paid(payer, payee)
    world.check()


def test_many_tasks_share_a_loop(world: World) -> None:
    pairs = [both(world) for _ in range(8)]

    async def tap(payer: Driver, payee: Driver) -> None:
        listener = await aio.listen("127.0.0.1:0")
        try:
            link = await aio.connect(listener.address, PATIENCE)
            collecting = asyncio.create_task(devices_aio.run(payee, await listener.accept(PATIENCE), PATIENCE))
            await devices_aio.run(payer, link, PATIENCE)
            await collecting
        finally:
            await listener.close()

    async def taps() -> None:
        await asyncio.gather(*(tap(*pair) for pair in pairs))

    asyncio.run(taps())
    for pair in pairs:
        paid(*pair)
    world.check()


def test_a_task_pays_a_thread(world: World) -> None:
    payer, payee = both(world)
    with closing(tcp.SCHEME.listen("127.0.0.1:0")) as listener, ThreadPoolExecutor() as threads:
        collecting = threads.submit(lambda: devices_driver.run(payee, listener.accept(PATIENCE), PATIENCE))

        async def pay() -> Report:
            return await devices_aio.run(payer, await aio.connect(listener.address, PATIENCE), PATIENCE)

        assert asyncio.run(pay()) is payer.result
        collecting.result(PATIENCE)
    paid(payer, payee)


def closed(link: Link) -> bool:
    with pytest.raises(TapError) as caught:
        link.send(b"late")
    return caught.value.code is Code.LINK_LOST


def test_a_peer_that_says_nothing_is_left(world: World, run: Run) -> None:
    ours, _ = loopback.pair()
    report = run(drive(world, world.wallet(fund=500), Pay(), True), ours, 0.01)
    assert (report.result, report.code) == (Result.NOT_PAID, Code.TIMEOUT)
    assert closed(ours)


def test_a_peer_that_has_gone_is_left(world: World, run: Run) -> None:
    ours, theirs = loopback.pair()
    theirs.close()
    report = run(drive(world, world.wallet(fund=500), Pay(), True), ours, PATIENCE)
    assert (report.result, report.code) == (Result.NOT_PAID, Code.LINK_LOST)
    assert closed(ours)


class Prompt:
    """A link whose other end is a driver in the same thread; it hangs up instead of carrying frame ``lost``."""

    max_frame = limits.MESSAGE

    def __init__(self, peer: Driver, lost: int = 1000) -> None:
        self.peer, self.lost = peer, lost
        self.waiting = peer.begin()
        self.frames: list[bytes] = []
        self.closed = False

    def send(self, frame: bytes) -> None:
        if self.closed or self._carry(frame):
            raise TapError(Code.LINK_LOST)
        if not self.peer.ended:
            self.waiting += self.peer.receive(frame)

    def receive(self, timeout: float | None) -> bytes:
        if not self.waiting or self._carry(self.waiting[0]):
            self.peer.stop(Code.LINK_LOST)
            raise TapError(Code.LINK_LOST)
        return self.waiting.pop(0)

    def close(self) -> None:
        self.closed = True
        self.peer.stop(Code.LINK_LOST)

    def _carry(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return len(self.frames) > self.lost


class Halved(Prompt):
    """A link that takes nothing any more, and on which nothing comes: to wait there is to wait in vain."""

    def send(self, frame: bytes) -> None:
        raise TapError(Code.LINK_LOST, f"{len(frame)} bytes")

    def receive(self, timeout: float | None) -> bytes:
        raise AssertionError(f"waited {timeout} s for an answer to what was never sent")


class Timed(Prompt):
    """A link that notes how long its user would wait for each frame."""

    def __init__(self, peer: Driver) -> None:
        super().__init__(peer)
        self.waits: list[float | None] = []

    def receive(self, timeout: float | None) -> bytes:
        self.waits.append(timeout)
        return super().receive(timeout)


def test_nobody_waits_for_an_answer_to_what_was_not_sent(world: World, run: Run) -> None:
    """§11.1-1."""
    pays, collects = both(world)
    link = Halved(collects)
    report = run(pays, link, PATIENCE)
    assert (report.result, report.code, link.closed) == (Result.NOT_PAID, Code.LINK_LOST, True)


@pytest.mark.parametrize(
    ("timeout", "news"), [(PATIENCE, limits.NEWS_SECONDS), (None, limits.NEWS_SECONDS), (1.5, 1.5)]
)
def test_once_it_is_paid_nobody_waits_long_for_news(world: World, run: Run, timeout: float | None, news: float) -> None:
    """§21-4."""
    payer, payee = (
        world.wallet(fund=500),
        world.wallet(news=News(None, world.authorities, world.header, world.ruled(2))),
    )
    pays, collects = drive(world, payer, Pay(), True), drive(world, payee, charge(), False)
    link = Timed(collects)
    assert run(pays, link, timeout).result is Result.PAID
    assert link.waits[:2] == [timeout, timeout]
    assert link.waits[-1] == news


def test_a_former_key_in_quarantine_keeps_nobody_from_paying(world: World) -> None:
    """§12-6, §20-8: it can sync and nothing else; the present key is well."""
    former, payer, payee = world.wallet(), world.wallet(fund=500), world.wallet()
    world.succeed(former, payer)
    former.quarantined = True
    pays, collects = drive(world, payer, Pay(), True), drive(world, payee, charge(), False)
    exchange(pays, collects)
    assert pays.result.result is Result.PAID


ENDS = {
    0: (Result.NOT_PAID, Result.NOT_PAID),
    1: (Result.NOT_PAID, Result.NOT_PAID),
    2: (Result.IN_DOUBT, Result.NOT_PAID),
    3: (Result.IN_DOUBT, Result.COLLECTED),
    4: (Result.PAID, Result.COLLECTED),
}
"""How a tap ends for payer and payee by the frames that arrived: Hello, Welcome, Transfer, Receipt."""


@pytest.mark.parametrize("frames", ENDS)
@pytest.mark.parametrize("payer_starts", [True, False])
def test_a_lost_link_leaves_a_named_end_and_the_next_tap_heals(
    world: World, run: Run, frames: int, payer_starts: bool
) -> None:
    """§1-4, §11.1-1."""
    payer, payee = world.wallet(fund=500), world.wallet()
    pays = drive(world, payer, Pay(), payer_starts)
    collects = drive(world, payee, charge(), not payer_starts)
    link = Prompt(collects if payer_starts else pays, frames if payer_starts else frames + 1)
    run(pays if payer_starts else collects, link, PATIENCE)
    assert (pays.result.result, collects.result.result) == ENDS[frames]
    assert link.closed
    world.check()
    again = drive(world, payer, Pay(), True), drive(world, payee, charge(), False)
    exchange(*again)
    assert not payer.book.pending
    assert payee.book.available(EPOCH) == 100
    world.check()


def test_a_person_who_declines_pays_nothing(world: World, run: Run) -> None:
    asked: list[Ask] = []

    def no(ask: Ask) -> Consent | Decline:
        asked.append(ask)
        return Decline()

    payer, payee = world.wallet(fund=500), world.wallet()
    pays, collects = drive(world, payer, Pay(), True, person=no), drive(world, payee, charge(), False)
    run(pays, Prompt(collects), PATIENCE)
    assert [(ask.amount, ask.currency, ask.payee.key) for ask in asked] == [(100, "CNY", payee.book.key)]
    assert (pays.result.result, pays.result.code) == (Result.NOT_PAID, Code.DECLINED)
    assert (collects.result.result, collects.result.code) == (Result.NOT_PAID, Code.DECLINED)
    assert payer.book.available(EPOCH) == 500
    world.check()


def test_a_store_that_fails_sends_nothing(world: World, run: Run) -> None:
    """§12-2, §12-3."""
    payer, payee = world.wallet(fund=500), world.wallet()
    flash = CrashFlash(1 << 17)
    store = SlotStore.open(flash)
    store.append(payer.store.records)
    broken = Wallet(world.scheme, limits.CARD, payer.keystore, store)
    flash.faults = Faults(failing=frozenset(range(flash.syncs, 1000)))
    link = Prompt(drive(world, payee, charge(), False))
    with pytest.raises(TapError) as caught:
        run(drive(world, broken, Pay(), True), link, PATIENCE)
    assert caught.value.code is Code.STORE_FAILED
    assert link.closed
    assert len(link.frames) == 2, "a Hello went out and a Welcome came in, and then nothing"
    assert not payer.keystore.head.id, "nothing was signed"


def test_what_is_watched_is_durable_then_signed_then_sent(world: World) -> None:
    """§11.1-1, §12-2, §12-3."""
    seen: list[Effect] = []
    pays, collects = both(world)
    pays = drive(world, pays.wallet, Pay(), True, watch=seen.append)
    exchange(pays, collects)
    kinds = [type(effect) for effect in seen]
    at = next(i for i, e in enumerate(seen) if isinstance(e, Sign) and KIND[type(e.statement.body)] in ON_TAPE)
    assert kinds[at - 1] is Persist
    assert Send in kinds[at + 1 :]
    assert kinds[at + 1] is Send
    assert kinds[-1] is Report


def test_a_watch_sees_an_effect_before_it_is_carried_out(world: World) -> None:
    def stop(effect: Effect) -> None:
        if isinstance(effect, Persist):
            raise KeyboardInterrupt

    payer, payee = world.wallet(fund=500), world.wallet()
    before = len(payer.store.records)
    with pytest.raises(KeyboardInterrupt):
        exchange(drive(world, payer, Pay(), True, watch=stop), drive(world, payee, charge(), False))
    assert len(payer.store.records) == before
    assert not payer.keystore.head.id


def test_a_tap_that_takes_too_long_is_left(world: World, run: Run) -> None:
    times = iter([NOW, NOW + 1, *[NOW + limits.SESSION_SECONDS + 1] * 9])
    payer, payee = world.wallet(fund=500), world.wallet()
    pays = drive(world, payer, Pay(), True, clock=lambda: next(times))
    run(pays, Prompt(drive(world, payee, charge(), False)), PATIENCE)
    assert pays.result.code is Code.TIMEOUT
    world.check()


def test_a_tap_has_no_result_before_its_end(world: World) -> None:
    pays = drive(world, world.wallet(fund=500), Pay(), True)
    pays.begin()
    with pytest.raises(TapError) as caught:
        _ = pays.result
    assert caught.value.code is Code.BAD_INPUT
    pays.stop(Code.LINK_LOST)
    pays.stop(Code.LINK_LOST)
    assert pays.result.code is Code.LINK_LOST
