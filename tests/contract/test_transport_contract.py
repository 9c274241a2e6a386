"""What every transport owes its users. A new one adds a :class:`Harness` to ``HARNESSES``, nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from threading import Thread
from typing import Any, Protocol, TypeVar

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import aio, apdu_loopback, loopback, nfc, tcp
from dualtap_transports.apdu import EXTENDED, SHORT, Window
from dualtap_transports.chunks import Chunked
from dualtap_transports.faults import Faulty, Plan
from dualtap_transports.link import AsyncLink, Link
from tests.support.virtual import BleHarness

T = TypeVar("T")
Ends = tuple[Link, Link]

PATIENCE = 30.0
"""Seconds to wait for what must come. Only a broken transport waits so long."""
LOCAL = "127.0.0.1:0"


class Harness(Protocol):
    """How the suite opens one transport."""

    def open(self, stack: ExitStack) -> Ends:
        """Return two joined ends; what else must be closed goes on ``stack``. The suite closes the ends."""
        ...


class StreamHarness(Harness, Protocol):
    """A transport over a byte stream, where a stranger may write any bytes."""

    def raw(self, stack: ExitStack) -> tuple[Link, socket.socket]:
        """Return one end, and the bare socket that is its peer."""
        ...


class Loopback:
    def __init__(self, max_frame: int = limits.MESSAGE) -> None:
        self._max_frame = max_frame

    def open(self, stack: ExitStack) -> Ends:
        return loopback.pair(self._max_frame)


class ChunkedLoopback:
    def open(self, stack: ExitStack) -> Ends:
        left, right = loopback.pair(max_frame=20)
        return Chunked(left), Chunked(right)


def never(seconds: float) -> None:
    raise AssertionError(f"slept {seconds} s")


class FaultlessLoopback:
    def open(self, stack: ExitStack) -> Ends:
        left, right = loopback.pair()
        return Faulty(left, Plan(), never), Faulty(right, Plan(), never)


class ApduLoopback:
    def __init__(self, window: Window, turned: bool = False) -> None:
        self._window, self._turned = window, turned

    def open(self, stack: ExitStack) -> Ends:
        reader, card = apdu_loopback.pair(self._window)
        return (card, reader) if self._turned else (reader, card)


class NfcUdp:
    """Two of nfcpy's devices, joined by UDP instead of a field."""

    def __init__(self, more: str = "", turned: bool = False) -> None:
        self._more, self._turned = more, turned

    def open(self, stack: ExitStack) -> Ends:
        listener = nfc.SCHEME.listen(f"udp:127.0.0.1:0{self._more}")
        stack.callback(listener.close)
        reader = nfc.SCHEME.connect(listener.address, PATIENCE)
        card = listener.accept(PATIENCE)
        return (card, reader) if self._turned else (reader, card)


class NamedLoopback:
    def open(self, stack: ExitStack) -> Ends:
        scheme = loopback.LoopbackScheme()
        with closing(scheme.listen("shop")) as listener:
            return scheme.connect("shop", PATIENCE), listener.accept(PATIENCE)


class Tcp:
    def open(self, stack: ExitStack) -> Ends:
        with closing(tcp.SCHEME.listen(LOCAL)) as listener:
            return tcp.SCHEME.connect(listener.address, PATIENCE), listener.accept(PATIENCE)

    def raw(self, stack: ExitStack) -> tuple[Link, socket.socket]:
        with closing(tcp.SCHEME.listen(LOCAL)) as listener:
            peer = dial(stack, listener.address)
            return listener.accept(PATIENCE), peer


class Blocking:
    """An asynchronous link behind the synchronous calls, its loop running in another thread."""

    def __init__(self, link: AsyncLink, run: Runner) -> None:
        self._link = link
        self._run = run

    @property
    def max_frame(self) -> int:
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        self._run(self._link.send(frame))

    def receive(self, timeout: float | None) -> bytes:
        return self._run(self._link.receive(timeout))

    def close(self) -> None:
        self._run(self._link.close())


class Runner:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def running_loop() -> Generator[Runner]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Runner(loop)
    finally:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class AsyncioTcp:
    def open(self, stack: ExitStack) -> Ends:
        run = stack.enter_context(running_loop())
        listener = run(aio.listen(LOCAL))
        left = run(aio.connect(listener.address, PATIENCE))
        right = run(listener.accept(PATIENCE))
        run(listener.close())
        return Blocking(left, run), Blocking(right, run)

    def raw(self, stack: ExitStack) -> tuple[Link, socket.socket]:
        run = stack.enter_context(running_loop())
        listener = run(aio.listen(LOCAL))
        peer = dial(stack, listener.address)
        link = run(listener.accept(PATIENCE))
        run(listener.close())
        return Blocking(link, run), peer


def dial(stack: ExitStack, address: str) -> socket.socket:
    return stack.enter_context(closing(socket.create_connection(tcp.parse_address(address), PATIENCE)))


STREAMS: dict[str, StreamHarness] = {"tcp": Tcp(), "asyncio-tcp": AsyncioTcp()}
HARNESSES: dict[str, Harness] = {
    "loopback": Loopback(),
    "loopback-narrow": Loopback(max_frame=20),
    "loopback-named": NamedLoopback(),
    "loopback-chunked": ChunkedLoopback(),
    "faultless": FaultlessLoopback(),
    "apdu": ApduLoopback(SHORT),
    "apdu-card": ApduLoopback(SHORT, turned=True),
    "apdu-extended": ApduLoopback(EXTENDED),
    "nfc-udp": NfcUdp(),
    "nfc-udp-card": NfcUdp(turned=True),
    "nfc-udp-extended": NfcUdp("?extended"),
    "ble": BleHarness(),
    "ble-peripheral": BleHarness(turned=True),
    **STREAMS,
}


@pytest.fixture(params=HARNESSES)
def join(request: pytest.FixtureRequest) -> Iterator[Callable[[], Ends]]:
    """Opens pairs of ends, and closes them after the test."""
    harness = HARNESSES[str(request.param)]
    with ExitStack() as stack:

        def opened() -> Ends:
            ends = harness.open(stack)
            for end in ends:
                stack.callback(end.close)
            return ends

        yield opened


@pytest.fixture
def ends(join: Callable[[], Ends]) -> Ends:
    return join()


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> Iterator[tuple[Link, socket.socket]]:
    with ExitStack() as stack:
        link, peer = STREAMS[str(request.param)].raw(stack)
        stack.callback(link.close)
        yield link, peer


def refusal(call: Callable[[], object]) -> Code | int:
    with pytest.raises(TapError) as caught:
        call()
    return caught.value.code


def test_frames_arrive_in_order_in_both_directions(ends: Ends) -> None:
    left, right = ends
    for i in range(20):
        left.send(b"there %d" % i)
        right.send(b"back %d" % i)
    assert [right.receive(PATIENCE) for _ in range(20)] == [b"there %d" % i for i in range(20)]
    assert [left.receive(PATIENCE) for _ in range(20)] == [b"back %d" % i for i in range(20)]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 16 * 1024])
def test_every_size_up_to_max_frame_passes_and_no_other(ends: Ends, size: int) -> None:
    left, right = ends
    frame = bytes(i * 7 % 251 for i in range(size))
    if size > left.max_frame:
        assert refusal(lambda: left.send(frame)) is Code.TOO_LARGE
        frame = frame[: left.max_frame]
    left.send(frame)
    right.send(frame)
    assert right.receive(PATIENCE) == frame
    assert left.receive(PATIENCE) == frame


def test_what_no_frame_may_be_is_refused_before_sending(ends: Ends) -> None:
    left, right = ends
    assert 1 <= left.max_frame <= limits.MESSAGE
    assert refusal(lambda: left.send(b"x" * (left.max_frame + 1))) is Code.TOO_LARGE
    assert refusal(lambda: left.send(b"")) is Code.MALFORMED
    left.send(b"next")
    assert right.receive(PATIENCE) == b"next"


def test_a_long_exchange_passes_both_ways_at_once(ends: Ends) -> None:
    frames = [bytes([i]) * ends[0].max_frame for i in range(100)]

    def send_all(link: Link) -> None:
        for frame in frames:
            link.send(frame)

    def receive_all(link: Link) -> list[bytes]:
        return [link.receive(PATIENCE) for _ in frames]

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(send_all, end) for end in ends]
        got = [pool.submit(receive_all, end) for end in ends]
        for job in jobs:
            job.result()
        assert [job.result() for job in got] == [frames, frames]


@pytest.mark.parametrize("timeout", [0, 0.001, -1])
def test_a_timeout_loses_nothing(ends: Ends, timeout: float) -> None:
    left, right = ends
    assert refusal(lambda: right.receive(timeout)) is Code.TIMEOUT
    left.send(b"after the timeout")
    assert right.receive(PATIENCE) == b"after the timeout"
    assert refusal(lambda: right.receive(timeout)) is Code.TIMEOUT
    right.send(b"the other way")
    assert left.receive(PATIENCE) == b"the other way"


def test_frames_received_together_need_no_waiting(ends: Ends) -> None:
    left, right = ends
    for frame in (b"one", b"two"):
        left.send(frame)
    left.close()
    assert right.receive(PATIENCE) == b"one"
    assert right.receive(None) == b"two"
    assert refusal(lambda: right.receive(None)) is Code.LINK_LOST


def test_a_peers_close_delivers_what_was_sent_then_is_a_lost_link(ends: Ends) -> None:
    left, right = ends
    right.send(b"never read")
    for i in range(5):
        left.send(b"sent %d" % i)
    left.close()
    assert [right.receive(PATIENCE) for _ in range(5)] == [b"sent %d" % i for i in range(5)]
    for _ in range(2):
        assert refusal(lambda: right.receive(PATIENCE)) is Code.LINK_LOST
    assert refusal(lambda: right.receive(0)) is Code.LINK_LOST


def test_after_its_own_close_an_end_only_says_so(ends: Ends) -> None:
    left, right = ends
    right.send(b"waits unread")
    for _ in range(2):
        left.close()
        assert refusal(lambda: left.receive(0)) is Code.LINK_LOST
        assert refusal(lambda: left.receive(None)) is Code.LINK_LOST
        assert refusal(lambda: left.send(b"x")) is Code.LINK_LOST
        # A lost link is named before what is wrong with the frame, as the table of errors ranks them.
        assert refusal(lambda: left.send(b"")) is Code.LINK_LOST


def test_sending_to_a_closed_peer_fails_in_the_end_and_only_as_a_lost_link(ends: Ends) -> None:
    left, right = ends
    left.close()
    assert refusal(lambda: right.receive(PATIENCE)) is Code.LINK_LOST

    def send_on() -> None:
        while True:
            right.send(b"x" * right.max_frame)

    assert refusal(send_on) is Code.LINK_LOST


def test_a_close_wakes_a_thread_that_receives(ends: Ends) -> None:
    left, _ = ends
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refusal, lambda: left.receive(None))
        left.close()
        assert waiting.result(PATIENCE) is Code.LINK_LOST


def test_two_links_at_once_are_independent(join: Callable[[], Ends]) -> None:
    (left, right), (other_left, other_right) = join(), join()
    left.send(b"first link")
    other_left.send(b"second link")
    assert other_right.receive(PATIENCE) == b"second link"
    assert right.receive(PATIENCE) == b"first link"
    left.close()
    other_right.send(b"still here")
    assert other_left.receive(PATIENCE) == b"still here"
    assert refusal(lambda: right.receive(PATIENCE)) is Code.LINK_LOST


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        (b"\xff\xff\xff\xff", Code.TOO_LARGE),
        (b"\x00\x00\x40\x01", Code.TOO_LARGE),
        (b"\x00\x00\x00\x00", Code.MALFORMED),
    ],
)
def test_a_hostile_prefix_is_refused_before_its_body_and_for_good(
    stream: tuple[Link, socket.socket], prefix: bytes, code: Code
) -> None:
    link, peer = stream
    peer.sendall(b"\x00\x00\x00\x02ok" + prefix)
    assert link.receive(PATIENCE) == b"ok"
    assert refusal(lambda: link.receive(PATIENCE)) is code
    peer.sendall(b"\x00\x00\x00\x02ok")
    assert refusal(lambda: link.receive(PATIENCE)) is code


def test_the_longest_frame_of_a_stranger_passes(stream: tuple[Link, socket.socket]) -> None:
    link, peer = stream
    peer.sendall(b"\x00\x00\x40\x00" + b"x" * 0x4000)
    assert link.receive(PATIENCE) == b"x" * 0x4000


@pytest.mark.parametrize("cut", [1, 3, 4, 5, 8])
def test_a_frame_half_arrived_survives_a_timeout(stream: tuple[Link, socket.socket], cut: int) -> None:
    link, peer = stream
    wire = b"\x00\x00\x00\x05frame"
    peer.sendall(wire[:cut])
    assert refusal(lambda: link.receive(0.001)) is Code.TIMEOUT
    peer.sendall(wire[cut:] + b"\x00\x00\x00\x04")
    assert link.receive(PATIENCE) == b"frame"
    assert refusal(lambda: link.receive(0)) is Code.TIMEOUT
    peer.sendall(b"next")
    assert link.receive(PATIENCE) == b"next"


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_frame_cut_off_is_a_lost_link(stream: tuple[Link, socket.socket], cut: int) -> None:
    link, peer = stream
    peer.sendall(b"\x00\x00\x00\x02ok" + b"\x00\x00\x00\x05frame"[:cut])
    peer.close()
    assert link.receive(PATIENCE) == b"ok"
    with pytest.raises(TapError, match="in the middle of a frame") as caught:
        link.receive(PATIENCE)
    assert caught.value.code is Code.LINK_LOST


def test_a_flood_is_not_read_without_end(stream: tuple[Link, socket.socket]) -> None:
    link, peer = stream
    # A link that reads on keeps the peer from ever waiting, whatever the time given here.
    peer.settimeout(0.2)
    wire = b"\x00\x00\x40\x00" + b"x" * 0x4000

    def flood() -> None:
        sent = 0
        while sent < 64 * 1024 * 1024:
            sent += peer.send(wire[sent % len(wire) :])

    with pytest.raises(TimeoutError):
        flood()
    assert link.receive(PATIENCE) == b"x" * 0x4000


def test_a_reset_delivers_what_arrived_before_it(stream: tuple[Link, socket.socket]) -> None:
    link, peer = stream
    peer.sendall(b"\x00\x00\x00\x03one\x00\x00\x00\x03two")
    assert link.receive(PATIENCE) == b"one"
    # A linger time of zero makes the close a reset.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    peer.close()
    assert link.receive(PATIENCE) == b"two"
    assert refusal(lambda: link.receive(PATIENCE)) is Code.LINK_LOST
