"""How links are opened by name: the registry, the addresses, and the listeners of every scheme."""

from __future__ import annotations

import asyncio
import importlib.metadata
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import aio, loopback, tcp
from dualtap_transports.link import Scheme, known_schemes, open_scheme

PATIENCE = 30.0
FREE = {"loopback": "shop", "tcp": "127.0.0.1:0"}
SCHEMES: dict[str, Callable[[], Scheme]] = {"loopback": loopback.LoopbackScheme, "tcp": tcp.TcpScheme}


@pytest.fixture(params=SCHEMES)
def opened(request: pytest.FixtureRequest) -> tuple[Scheme, str]:
    """A scheme, and an address free to listen at."""
    name = str(request.param)
    return SCHEMES[name](), FREE[name]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses: bound, so that nobody else gets it, and not listening."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        yield port


def refused(call: Callable[[], object]) -> TapError:
    with pytest.raises(TapError) as caught:
        call()
    return caught.value


def test_the_registry_opens_what_is_installed() -> None:
    assert {"loopback", "nfc", "pcsc", "tcp", "vpcd"} <= set(known_schemes())
    assert open_scheme("tcp:[::1]:7000") == (tcp.SCHEME, "[::1]:7000")
    assert open_scheme("loopback:shop") == (loopback.SCHEME, "shop")


@pytest.mark.parametrize("text", ["", "tcp", "tcp:", ":shop", "smoke:signals", "TCP:127.0.0.1:7000"])
def test_the_registry_says_what_it_knows(text: str) -> None:
    error = refused(lambda: open_scheme(text))
    assert error.code is Code.BAD_INPUT
    assert ", ".join(known_schemes()) in error.detail


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("dualtap_no_such_radio:SCHEME", "does not load"),
        ("dualtap.limits:NO_SUCH_NAME", "does not load"),
        ("dualtap.limits:MESSAGE", "is not a transport"),
    ],
)
def test_a_broken_plugin_is_named(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        return [importlib.metadata.EntryPoint("radio", value, group)]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    error = refused(lambda: open_scheme("radio:here"))
    assert error.code is Code.BAD_INPUT
    assert said in error.detail


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:7000", "127.0.0.1", 7000),
        ("[::1]:65535", "::1", 65535),
        ("shop.example:0", "shop.example", 0),
    ],
)
def test_addresses(address: str, host: str, port: int) -> None:
    assert tcp.parse_address(address) == (host, port)


@pytest.mark.parametrize(
    "address",
    ["", "7000", ":7000", "[]:7000", "host", "host:", "::1:7000", "[::1]", "[::1]7000"]
    + [f"127.0.0.1:{port}" for port in ("65536", "-1", "+7", " 7", "7 ", "7_0", "٧", "0x7", "9" * 5000, "http")]
    + [f"{host}:7000" for host in ("a..b", "a\0b", "x" * 70, "999.1.1.1.")],
)
def test_addresses_that_cannot_be_meant(address: str) -> None:
    assert refused(lambda: tcp.SCHEME.connect(address, 0)).code is Code.BAD_INPUT
    assert refused(lambda: tcp.SCHEME.listen(address)).code is Code.BAD_INPUT


def test_addresses_that_only_one_side_may_use() -> None:
    assert refused(lambda: tcp.SCHEME.connect("127.0.0.1:0", 0)).code is Code.BAD_INPUT
    assert refused(lambda: tcp.SCHEME.listen("192.0.2.1:0")).code is Code.BAD_INPUT  # nobody's: RFC 5737
    assert refused(lambda: loopback.SCHEME.listen("")).code is Code.BAD_INPUT
    assert refused(lambda: loopback.SCHEME.connect("", 0)).code is Code.BAD_INPUT


def test_names_and_ipv6_reach_a_listener() -> None:
    hosts = ["localhost"]
    with ExitStack() as stack:
        if socket.has_ipv6:
            try:
                stack.enter_context(closing(tcp.bind("[::1]:0")))
                hosts.append("[::1]")
            except TapError:
                pass  # this machine has no IPv6
        for host in hosts:
            listener = stack.enter_context(closing(tcp.SCHEME.listen(f"{host}:0")))
            port = tcp.parse_address(listener.address)[1]
            near = stack.enter_context(closing(tcp.SCHEME.connect(f"{host}:{port}", PATIENCE)))
            far = stack.enter_context(closing(listener.accept(PATIENCE)))
            near.send(b"hello")
            assert far.receive(PATIENCE) == b"hello"


def test_a_listener_takes_several_links_in_order(opened: tuple[Scheme, str]) -> None:
    scheme, address = opened
    with ExitStack() as stack:
        listener = stack.enter_context(closing(scheme.listen(address)))
        for i in range(3):
            link = stack.enter_context(closing(scheme.connect(listener.address, PATIENCE)))
            link.send(b"%d" % i)
        far = [stack.enter_context(closing(listener.accept(PATIENCE))) for _ in range(3)]
        assert [link.receive(PATIENCE) for link in far] == [b"0", b"1", b"2"]
        listener.close()
        far[0].send(b"links outlive their listener")


def test_an_address_in_use_is_named(opened: tuple[Scheme, str]) -> None:
    scheme, address = opened
    with closing(scheme.listen(address)) as listener:
        error = refused(lambda: scheme.listen(listener.address))
        assert error.code is Code.BAD_INPUT
        assert listener.address in error.detail
    with closing(scheme.listen(listener.address)) as again:  # free again at once
        assert again.address == listener.address


def test_a_tcp_port_is_free_again_though_its_last_link_ended_just_now() -> None:
    with closing(tcp.SCHEME.listen("127.0.0.1:0")) as listener:
        near, far = tcp.SCHEME.connect(listener.address, PATIENCE), listener.accept(PATIENCE)
        far.close()  # the side that closes first keeps its port in TIME_WAIT
        near.close()
    tcp.SCHEME.listen(listener.address).close()


def test_a_tcp_close_resets_nothing_though_frames_wait_unread() -> None:
    with closing(tcp.SCHEME.listen("127.0.0.1:0")) as listener, closing(socket.socket()) as peer:
        peer.connect(tcp.parse_address(listener.address))
        link = listener.accept(PATIENCE)
        peer.sendall(b"\x00\x00\x00\x06unread")
        link.close()
        assert peer.recv(1) == b""
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_accept_times_out_and_goes_on(opened: tuple[Scheme, str]) -> None:
    scheme, address = opened
    with closing(scheme.listen(address)) as listener:
        assert refused(lambda: listener.accept(0)).code is Code.TIMEOUT
        assert refused(lambda: listener.accept(0.001)).code is Code.TIMEOUT
        with closing(scheme.connect(listener.address, PATIENCE)), closing(listener.accept(PATIENCE)) as link:
            assert refused(lambda: link.receive(0)).code is Code.TIMEOUT


def test_a_closed_listener_says_so_and_wakes_who_waits(opened: tuple[Scheme, str]) -> None:
    scheme, address = opened
    listener = scheme.listen(address)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refused, lambda: listener.accept(None))
        listener.close()
        assert waiting.result(PATIENCE).code is Code.LINK_LOST
    listener.close()
    assert refused(lambda: listener.accept(0)).code is Code.LINK_LOST


def test_a_link_nobody_accepted_is_lost_with_its_listener(opened: tuple[Scheme, str]) -> None:
    scheme, address = opened
    with closing(scheme.listen(address)) as listener:
        link = scheme.connect(listener.address, PATIENCE)
    assert refused(lambda: link.receive(PATIENCE)).code is Code.LINK_LOST
    link.close()


def test_a_listener_that_is_not_there_is_a_lost_link(closed_port: int) -> None:
    for address in (f"tcp:127.0.0.1:{closed_port}", "loopback:nobody"):
        scheme, rest = open_scheme(address)
        error = refused(partial(scheme.connect, rest, 0))
        assert error.code is Code.LINK_LOST
        assert address in error.detail


def test_tcp_dials_again_until_the_peer_listens() -> None:
    with ExitStack() as stack:
        sock = stack.enter_context(closing(socket.socket()))
        sock.bind(("127.0.0.1", 0))
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                sock.listen()

        scheme = tcp.TcpScheme(sleep=sleep)
        stack.enter_context(closing(scheme.connect(tcp.format_address(sock), PATIENCE)))
        assert pauses == [tcp.RETRY_SECONDS] * 3


def test_tcp_dials_until_its_timeout_and_no_longer(closed_port: int) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        assert seconds > 0
        now[0] += seconds

    scheme = tcp.TcpScheme(clock=lambda: now[0], sleep=sleep)
    assert refused(lambda: scheme.connect(f"127.0.0.1:{closed_port}", 0.99)).code is Code.LINK_LOST
    assert now[0] == pytest.approx(0.99)


def test_loopback_waits_for_its_listener() -> None:
    scheme = loopback.LoopbackScheme()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(scheme.connect, "shop", None)
        with closing(scheme.listen("shop")) as listener:
            listener.accept(PATIENCE).send(b"welcome")
            assert waiting.result(PATIENCE).receive(PATIENCE) == b"welcome"


def test_a_tcp_timeout_is_for_the_whole_frame_however_it_trickles() -> None:
    wire = iter(b"\x00\x00\x01\x00" + b"x" * 256)
    near, far = socket.socketpair()
    seconds = iter(range(1000))

    def clock() -> float:
        # Each look at the clock takes a second, in which another byte arrives.
        far.send(bytes([next(wire)]))
        return float(next(seconds))

    with closing(far), closing(tcp.TcpLink(near, clock)) as link:
        assert refused(lambda: link.receive(10)).code is Code.TIMEOUT
        assert next(seconds) < 20
        far.sendall(bytes(wire))
        assert link.receive(None) == b"x" * 256


def test_a_peer_that_reads_nothing_ends_a_tcp_link() -> None:
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    # Each look at the clock takes longer than a session may.
    seconds = iter(range(0, 10**6, 100))
    with closing(far), closing(tcp.TcpLink(near, lambda: float(next(seconds)))) as link:

        def send_on() -> None:
            while True:
                link.send(b"x" * link.max_frame)

        assert refused(send_on).code is Code.TIMEOUT
        assert refused(lambda: link.send(b"x")).code is Code.LINK_LOST


def test_a_socket_joined_to_itself_is_recognised() -> None:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        assert tcp.reached_itself(sock)
    with closing(tcp.bind("127.0.0.1:0")) as listening, closing(socket.socket()) as sock:
        sock.connect(listening.getsockname())
        assert not tcp.reached_itself(sock)


async def outcome(work: Awaitable[object]) -> Code | int | None:
    try:
        await work
    except TapError as error:
        return error.code
    return None


def test_the_asyncio_variant_refuses_as_the_other_does(closed_port: int) -> None:
    async def run() -> None:
        listener = await aio.listen("127.0.0.1:0")
        assert await outcome(listener.accept(0)) is Code.TIMEOUT
        assert await outcome(aio.connect(f"127.0.0.1:{closed_port}", 0)) is Code.LINK_LOST
        assert await outcome(aio.connect("127.0.0.1", 0)) is Code.BAD_INPUT
        assert await outcome(aio.listen(listener.address)) is Code.BAD_INPUT
        await listener.close()
        await listener.close()
        assert await outcome(listener.accept(None)) is Code.LINK_LOST

    asyncio.run(run())


def test_a_closed_asyncio_listener_wakes_who_waits_and_ends_what_it_holds() -> None:
    async def run() -> None:
        listener = await aio.listen("127.0.0.1:0")
        waiting = asyncio.create_task(outcome(listener.accept(None)))
        await asyncio.sleep(0)
        await listener.close()
        assert await asyncio.wait_for(waiting, PATIENCE) is Code.LINK_LOST

        listener = await aio.listen("127.0.0.1:0")
        links = [await aio.connect(listener.address, PATIENCE) for _ in range(tcp.BACKLOG + 1)]
        for _ in range(100):  # turns of the loop, in which it takes the connections in
            await asyncio.sleep(0)
        await (await listener.accept(PATIENCE)).close()
        await listener.close()
        for link in links:
            assert await outcome(link.receive(PATIENCE)) is Code.LINK_LOST
            await link.close()

    asyncio.run(run())


def test_a_peer_that_reads_nothing_ends_an_asyncio_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSION_SECONDS", 0.01)

    async def run(listening: socket.socket) -> None:
        link = await aio.connect(tcp.format_address(listening), PATIENCE)
        result = None
        while result is None:
            result = await outcome(link.send(b"x" * link.max_frame))
        assert result is Code.TIMEOUT
        assert await outcome(link.send(b"x")) is Code.LINK_LOST
        assert await outcome(link.receive(None)) is Code.LINK_LOST
        await link.close()

    with closing(tcp.bind("127.0.0.1:0")) as listening:
        asyncio.run(run(listening))


def test_a_cancelled_asyncio_receive_loses_nothing() -> None:
    async def run() -> bytes:
        listener = await aio.listen("127.0.0.1:0")
        near = await aio.connect(listener.address, PATIENCE)
        far = await listener.accept(PATIENCE)
        for _ in range(2):
            waiting = asyncio.create_task(far.receive(None))
            await near.send(b"frame")
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                return b"received after all"
        frames = await far.receive(PATIENCE) + await far.receive(PATIENCE)
        for end in (near, far, listener):
            await end.close()
        return frames

    assert asyncio.run(run()) == b"frameframe"


def test_asyncio_and_the_registry_load_only_where_they_are_used() -> None:
    code = (
        "import sys, dualtap_transports.tcp, dualtap_transports.loopback, dualtap_transports.chunks, "
        "dualtap_transports.faults; sys.exit(bool({'asyncio', 'importlib.metadata'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 0
