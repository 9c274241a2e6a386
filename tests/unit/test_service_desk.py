"""The service's parts by themselves: limits, what is forgotten, what waits for the ledger, metrics and shapes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from threading import Event
from typing import cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from dualtap import limits, wire
from dualtap.errors import Code, TapError
from dualtap.session import Channel, establish
from dualtap.syncmessages import SyncNext, SyncPiece, SyncProof, decode, encode
from dualtap.wire import Hello, RefuseMessage, Want
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service.clerk import Clerk
from dualtap_issuer.service.desk import Desk, challenge_of
from dualtap_issuer.service.http import template
from dualtap_issuer.service.metrics import Metrics
from dualtap_issuer.service.patience import patient
from dualtap_issuer.service.problems import Problem
from dualtap_issuer.service.run import address_of, bind
from dualtap_issuer.service.settings import Settings
from dualtap_issuer.service.shapes import array, hexes, integer, one_of, parse, record
from tests.mint import EPOCH, Mint

SMALL = Settings(sessions=2, upload=4_000, held=6_000, waiting=1, idle=5, life=20)


class Bench:
    """A desk over a mint, whose clock stands still."""

    def __init__(self, settings: Settings = SMALL) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.said: list[str] = []
        self.opened = 0
        self.settings = settings

    @contextmanager
    def ledger(self) -> Generator[Ledger]:
        self.mint = Mint()  # in the thread that uses it
        self.opened += 1
        yield self.mint.ledger

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Bench]:
        self.clerk = Clerk(self.ledger, self.settings.waiting)
        ledger = await self.clerk.start()
        self.desk = Desk(
            self.clerk, ledger.authority, self.settings, self.metrics, self.say,
            lambda: self.now, lambda: EPOCH,
        )  # fmt: skip
        try:
            yield self
        finally:
            await self.clerk.stop()

    def say(self, event: str, **_: object) -> None:
        self.said.append(event)

    async def begin(self) -> tuple[str, Channel, bytes]:
        """Return a session's name, its wallet's end, and its challenge."""
        suite, scheme = self.mint.suite, self.mint.scheme
        near = suite.ephemeral(self.mint.draw())
        hello = Hello(scheme.hint, (1,), near.public, Want.SYNC)
        name, answer = await self.desk.begin(wire.encode_hello(hello))
        welcome = wire.decode_welcome(answer)
        channel = establish(scheme, near, True, hello, welcome)
        proof = decode(channel.open(welcome.sealed))
        assert isinstance(proof, SyncProof)
        return name, channel, proof.challenge

    def count(self, result: str) -> int:
        found = [line for line in self.metrics.text().splitlines() if f'syncs_total{{result="{result}"}}' in line]
        return int(found[0].rpartition(" ")[2]) if found else 0


async def refused(status: int, act: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await act
    assert caught.value.status == status
    return caught.value


def run(story: Callable[[Bench], Awaitable[None]], settings: Settings = SMALL) -> None:
    async def told() -> None:
        async with Bench(settings).open() as bench:
            await story(bench)

    asyncio.run(told())


def test_so_many_syncs_are_open_and_no_more() -> None:
    async def story(bench: Bench) -> None:
        await bench.begin()
        bench.now = 4
        await bench.begin()
        busy = await refused(503, bench.begin())
        assert busy.headers["Retry-After"]
        bench.now = 6
        await bench.begin()  # the first was silent for more than 5 s
        assert (bench.desk.open, bench.count("expired")) == (2, 1)

    run(story)


def test_a_sync_may_be_slow_but_not_for_ever() -> None:
    async def story(bench: Bench) -> None:
        name, channel, _ = await bench.begin()
        left = 3_990
        while bench.now < 20:
            bench.now += 4
            left -= 10
            await bench.desk.go_on(name, channel.seal(encode(SyncPiece(left, 1_024, bytes(10)))))
        bench.now += 4
        assert "silent" in (await refused(404, bench.desk.go_on(name, b""))).detail

    run(story)


def test_an_upload_that_is_too_long_is_refused_before_it_is_kept() -> None:
    """§14-19: by what its first piece announces."""

    async def story(bench: Bench) -> None:
        name, channel, _ = await bench.begin()
        answer = await bench.desk.go_on(name, channel.seal(encode(SyncPiece(4_000, 1_024, b"1"))))
        assert decode(channel.open(answer)) == RefuseMessage(int(Code.TOO_LARGE))
        assert (bench.desk.open, bench.count("refused")) == (0, 1)

    run(story)


def test_what_all_uploads_hold_is_bounded() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(2):
            name, channel, _ = await bench.begin()
            frame = channel.seal(encode(SyncPiece(10, 1_024, bytes(3_500))))
            act = bench.desk.go_on(name, frame)
            if bench.desk.open == 1:
                await act
            else:
                await refused(503, act)
        assert (bench.desk.open, bench.count("shed")) == (1, 1)

    run(story)


def test_a_frame_that_does_not_open_ends_the_session() -> None:
    """§6-3: and says so to nobody within it."""

    async def story(bench: Bench) -> None:
        name, channel, _ = await bench.begin()
        problem = await refused(400, bench.desk.go_on(name, channel.seal(b"")[:-1] + b"x"))
        assert problem.code == "BAD_SEAL"
        await refused(404, bench.desk.go_on(name, channel.seal(b"")))
        assert bench.count("broken") == 1

    run(story)


def test_a_strangers_hello_writes_nothing_and_an_upload_is_taken_once() -> None:
    """§14-3, §14-20."""

    async def story(bench: Bench) -> None:
        before = await bench.clerk.do(lambda ledger: ledger.digest())
        name, channel, challenge = await bench.begin()
        wallet = await bench.clerk.do(lambda _: bench.mint.wallet(5))

        def upload(_: Ledger) -> bytes:
            return bench.mint.signed_upload(wallet, challenge=challenge)

        mine = await bench.clerk.do(upload)
        with pytest.raises(TapError) as caught:
            await bench.clerk.do(lambda ledger: ledger.sync(mine, EPOCH))
        assert caught.value.code is Code.REPLAYED_REQUEST, "a challenge that the ledger has not been told of"
        answer = await bench.desk.go_on(name, channel.seal(encode(SyncPiece(0, limits.MESSAGE, mine))))
        assert isinstance(decode(channel.open(answer)), SyncPiece)
        assert (bench.desk.open, bench.count("stored")) == (0, 1)
        with pytest.raises(TapError):
            await bench.clerk.do(lambda ledger: ledger.sync(mine, EPOCH))
        assert await bench.clerk.do(lambda ledger: ledger.digest()) != before
        assert await bench.clerk.do(lambda ledger: ledger.challenge(b"e" * 32)) == challenge_of(b"e" * 32)

    run(story, Settings())


def test_what_the_ledger_refuses_is_told_sealed() -> None:
    async def story(bench: Bench) -> None:
        name, channel, challenge = await bench.begin()
        wallet = await bench.clerk.do(lambda _: bench.mint.wallet(5))
        mine = await bench.clerk.do(lambda _: bench.mint.signed_upload(wallet, challenge=challenge))
        # The signature is its last field but one, and that is empty.
        answer = await bench.desk.go_on(
            name, channel.seal(encode(SyncPiece(0, 1_024, mine[:-3] + bytes([mine[-3] ^ 1]) + mine[-2:])))
        )
        assert decode(channel.open(answer)) == RefuseMessage(int(Code.BAD_SIGNATURE))
        assert (bench.said, bench.count("refused")) == (["refused"], 1)

    run(story)


def test_who_asks_while_the_ledger_has_too_much_to_do_is_told_to_come_back() -> None:
    async def story(bench: Bench) -> None:
        go = Event()
        first = asyncio.create_task(bench.clerk.do(lambda _: go.wait(30)))
        while not bench.clerk.waiting:
            await asyncio.sleep(0)
        await refused(503, bench.clerk.do(lambda _: None))
        go.set()
        assert await first
        await bench.clerk.do(lambda _: None)

    run(story)


def test_a_ledger_that_breaks_is_opened_again() -> None:
    async def story(bench: Bench) -> None:
        def fall(_: Ledger) -> None:
            raise OSError("the database went away")

        with pytest.raises(OSError, match="went away"):
            await bench.clerk.do(fall)
        assert await bench.clerk.do(lambda ledger: ledger.policy.version) == 1
        assert bench.opened == 2
        with pytest.raises(TapError):
            await bench.clerk.do(lambda ledger: ledger.sync(b"", EPOCH))
        await bench.clerk.do(lambda _: None)
        assert bench.opened == 2, "a refusal breaks nothing"

        def gone(_: Ledger) -> None:
            raise TapError(Code.ISSUER_UNREACHABLE)

        with pytest.raises(TapError):
            await bench.clerk.do(gone)
        await bench.clerk.do(lambda _: None)
        assert bench.opened == 3

    run(story)


def test_one_frame_at_a_time() -> None:
    async def story(bench: Bench) -> None:
        name, channel, challenge = await bench.begin()
        wallet = await bench.clerk.do(lambda _: bench.mint.wallet(5))
        mine = await bench.clerk.do(lambda _: bench.mint.signed_upload(wallet, challenge=challenge))
        frame = channel.seal(encode(SyncPiece(0, limits.MESSAGE, mine)))
        slow = asyncio.create_task(bench.desk.go_on(name, frame))
        while not bench.clerk.waiting:
            await asyncio.sleep(0)
        await refused(409, bench.desk.go_on(name, frame))
        channel.open(await slow)

    run(story)


def test_a_sync_that_is_being_stored_is_not_forgotten_however_long_that_takes() -> None:
    """§14-22: who waits for the ledger is not silent, and may ask for the rest of the answer."""

    async def story(bench: Bench) -> None:
        name, channel, challenge = await bench.begin()
        wallet = await bench.clerk.do(lambda _: bench.mint.wallet(5))
        mine = await bench.clerk.do(lambda _: bench.mint.signed_upload(wallet, challenge=challenge))
        go = Event()
        before = asyncio.create_task(bench.clerk.do(lambda _: go.wait(30)))
        slow = asyncio.create_task(bench.desk.go_on(name, channel.seal(encode(SyncPiece(0, 256, mine)))))
        while bench.clerk.waiting < 2:
            await asyncio.sleep(0)
        bench.now = 10
        assert bench.desk.open == 1
        go.set()
        assert await before
        first = decode(channel.open(await slow))
        assert isinstance(first, SyncPiece)
        assert first.left
        second = decode(channel.open(await bench.desk.go_on(name, channel.seal(encode(SyncNext(len(first.data)))))))
        assert isinstance(second, SyncPiece)

    run(story, Settings(idle=5, life=20))


def test_a_clerk_that_was_stopped_takes_nothing_and_opens_nothing() -> None:
    async def story(bench: Bench) -> None:
        await bench.clerk.stop()
        await refused(503, bench.clerk.do(lambda _: None))
        bench.clerk = Clerk(bench.ledger, 1)

    run(story)


class Later:
    """A loop that notes what is to be done later, and does nothing."""

    def __init__(self) -> None:
        self.noted: list[Later] = []
        self.cancelled = False

    def call_later(self, seconds: float, act: Callable[[], object]) -> Later:
        assert (seconds, act.__name__) == (Settings().reading, "abort")
        self.noted.append(Later())
        return self.noted[-1]

    def cancel(self) -> None:
        self.cancelled = True


class Wire(asyncio.Transport):
    """A connection that carries nothing."""

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        raise AssertionError("it was not time")

    def close(self) -> None:
        """End it."""


def test_bytes_that_trickle_in_gain_no_time() -> None:
    """Else one byte now and then would hold a connection for ever."""
    later = Later()
    config = uvicorn.Config(devices_app, log_config=None, lifespan="off")
    connection = patient(Settings())(config, ServerState(), {}, cast("asyncio.AbstractEventLoop", later))
    connection.connection_made(Wire())
    for byte in b"GET /health HTTP/1.1\r\nX-Slow":
        connection.data_received(bytes([byte]))
    assert [one.cancelled for one in later.noted] == [False]
    connection.connection_lost(None)
    assert [one.cancelled for one in later.noted] == [True]


async def devices_app(scope: object, receive: object, send: object) -> None:
    """Never called: no request comes whole."""
    raise AssertionError((scope, receive, send))


def test_counts_are_what_prometheus_reads() -> None:
    metrics = Metrics()
    metrics.counter("a_total", "As.")
    metrics.gauge("b", "Bs.", lambda: 2.5)
    metrics.histogram("c_seconds", "Cs.")
    metrics.add("a_total", to="x")
    metrics.add("a_total", 2, to="x")
    for seconds in (0.001, 0.003, 99):
        metrics.observe("c_seconds", seconds)
    lines = metrics.text().splitlines()
    assert {'a_total{to="x"} 3', "b 2.5", "# TYPE c_seconds histogram", "c_seconds_count 3"} <= set(lines)
    buckets = [line.rpartition(" ")[2] for line in lines if line.startswith("c_seconds_bucket")]
    assert buckets == ["1", "1", *["2"] * 11, "3"]
    assert 'c_seconds_bucket{le="0.001"} 1' in lines
    assert 'c_seconds_bucket{le="+Inf"} 3' in lines


def test_an_answer_does_not_wait_for_the_other_sides_acknowledgement() -> None:
    with bind("127.0.0.1:0") as bound:
        assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert bound.proto == socket.IPPROTO_TCP, "asyncio sets it on what is accepted only then"
        assert address_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_path_is_named_by_its_route() -> None:
    known = ["/sync", "/sync/{session}", "/a/{b}/{c}"]
    for path, name in (("/sync", "/sync"), ("/sync/secret", "/sync/{session}"), ("/sync/a/b", "other"), ("/", "other")):
        assert template(path, known) == name


@pytest.mark.parametrize(
    "wrong",
    [
        b"", b"\xff", b"nul", b"[]", b'{"a":"00"}', b'{"a":"0g","b":1}', b'{"a":"0000","b":1}', b'{"a":"00","b":0}',
        b'{"a":"00","b":4}', b'{"a":"00","b":true}', b'{"a":"00","b":1.5}', b'{"a":"00","b":"1"}', b'{"a":7,"b":1}',
        b'{"a":"00","b":1,"c":["z"]}', b'{"a":"00","b":1,"c":["x","x","x"]}', b'{"a":"00","b":1,"c":"x"}',
        b'{"a":"00","b":1,"d":1}', b'{"a":"00\\n","b":1}', b'{"a":"00","b":Infinity}', b"[" * 50_000,
    ],
)  # fmt: skip
def test_what_has_another_shape_is_refused(wrong: bytes) -> None:
    shape = record({"a": hexes(1), "b": integer(1, 3)}, {"c": array(one_of("x", "y"), 2)})
    assert parse(b'{"a":"00","b":1}', shape) == {"a": "00", "b": 1}
    assert parse(b'{"a":"ff","b":3.0,"c":["x","y"]}', shape)["c"] == ["x", "y"]
    with pytest.raises(Problem) as caught:
        parse(wrong, shape)
    assert caught.value.status in (400, 422)
    assert caught.value.detail
