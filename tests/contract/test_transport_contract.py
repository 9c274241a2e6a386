"""The contract, kept by each transport. A new one adds a :class:`Harness` to ``HARNESSES``, nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from threading import Thread
from typing import Any, Protocol, TypeVar

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import aio, apdu_loopback, lan, loopback, nfc, tcp
from dualtap_transports.apdu import EXTENDED, SHORT, Window
from dualtap_transports.chunks import Chunked
from dualtap_transports.contract import CONTRACT, PATIENCE, Ends, opener, refusal
from dualtap_transports.faults import Faulty, Plan
from dualtap_transports.link import AsyncLink, Link
from tests.support.directory import MemoryDirectory
from tests.support.virtual import BleHarness

T = TypeVar("T")
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


class Lan:
    def open(self, stack: ExitStack) -> Ends:
        scheme = lan.LanScheme(MemoryDirectory())
        with closing(scheme.listen(f"new@{tcp.parse_address(LOCAL)[0]}")) as listener:
            listener.introduce(bytes(16))
            return scheme.connect(listener.address, PATIENCE), listener.accept(PATIENCE)


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
    "lan": Lan(),
    "ble": BleHarness(),
    "ble-peripheral": BleHarness(turned=True),
    **STREAMS,
}


@pytest.fixture(params=HARNESSES)
def join(request: pytest.FixtureRequest) -> Iterator[Callable[[], Ends]]:
    """Opens pairs of ends, and closes them after the test."""
    harness = HARNESSES[str(request.param)]
    with ExitStack() as stack:
        yield opener(lambda: harness.open(stack), stack)


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> Iterator[tuple[Link, socket.socket]]:
    with ExitStack() as stack:
        link, peer = STREAMS[str(request.param)].raw(stack)
        stack.callback(link.close)
        yield link, peer


def kept(duty: Callable[[Callable[[], Ends]], None]) -> Callable[[Callable[[], Ends]], None]:
    def test(join: Callable[[], Ends]) -> None:
        duty(join)

    return test


globals().update({f"test_{name}": kept(duty) for name, duty in CONTRACT.items()})


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
