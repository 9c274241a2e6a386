"""Links that stall, refuse or fail half-way: what is let go of, and what is said."""

from __future__ import annotations

import asyncio
import itertools
import socket
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn, cast
from uuid import UUID

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_devices.remote import carry
from dualtap_transports import aio, ble_peripheral, loopback, mdns, tcp
from dualtap_transports.apdu import Status, encode_answer
from dualtap_transports.ble_central import CentralPort
from dualtap_transports.ble_central import Radio as Radios
from dualtap_transports.ble_link import GattLink
from dualtap_transports.ble_peripheral import GUESTS, GattListener, Guests
from dualtap_transports.blocking import BlockingLink, LoopThread
from dualtap_transports.chunks import Chunked, split
from dualtap_transports.gatt import LEAST_VALUE, encode_opening
from dualtap_transports.reader_link import opened

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic

PATIENCE = 20.0


def flood(link: tcp.TcpLink) -> None:
    for _ in range(10_000):
        link.send(bytes(limits.MESSAGE))


def test_after_half_a_frame_nothing_more_is_sent() -> None:
    """A peer that reads nothing for a session's time: what is sent next would be taken for the rest of the frame."""
    near, far = socket.socketpair()
    ticks = itertools.count(step=1_000)
    link = tcp.TcpLink(near, lambda: float(next(ticks)))
    with closing(far):
        with pytest.raises(TapError, match="reads nothing") as caught:
            flood(link)
        assert caught.value.code is Code.TIMEOUT
        with pytest.raises(TapError) as caught:
            link.send(b"the rest?")
        assert caught.value.code is Code.LINK_LOST


class Fickle(socket.socket):
    """A listening socket whose first guest leaves before its turn."""

    left = False

    def accept(self) -> tuple[socket.socket, object]:
        if not self.left:
            self.left = True
            raise ConnectionAbortedError
        return super().accept()


def test_a_stranger_who_leaves_before_its_turn_keeps_nobody_out() -> None:
    sock = Fickle(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    with closing(tcp.TcpListener(sock)) as listener, closing(tcp.SCHEME.connect(listener.address, PATIENCE)) as near:
        near.send(b"hello")
        with closing(listener.accept(PATIENCE)) as far:
            assert far.receive(PATIENCE) == b"hello"


def test_only_a_refusal_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer may listen in a moment; a network that cannot be reached does not mend itself."""

    def unreachable(*_: object) -> NoReturn:
        raise OSError(101, "Network is unreachable")

    def sleep(seconds: float) -> NoReturn:
        raise AssertionError(f"waited {seconds} s")

    monkeypatch.setattr(tcp, "_dial", unreachable)
    with pytest.raises(TapError, match="unreachable") as caught:
        tcp.TcpScheme(sleep=sleep).connect("127.0.0.1:9", None)
    assert caught.value.code is Code.LINK_LOST


def test_a_socket_that_reached_itself_is_no_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    def itself(_: socket.socket) -> bool:
        return True

    monkeypatch.setattr(tcp, "reached_itself", itself)
    with closing(tcp.SCHEME.listen("127.0.0.1:0")) as listener, pytest.raises(TapError) as caught:
        tcp.SCHEME.connect(listener.address, 0.0)
    assert caught.value.code is Code.LINK_LOST


def test_a_close_ends_a_connection_whose_peer_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "_LINGER_SECONDS", 0.01)

    async def story() -> None:
        with closing(tcp.bind("127.0.0.1:0")) as silent:
            link = await aio.connect(tcp.format_address(silent), PATIENCE)
            wire = link._wire  # pyright: ignore[reportPrivateUsage]
            wire.transport.write(bytes(1 << 25))
            await link.close()
            assert wire.lost.is_set()

    asyncio.run(story())


class Stuck:
    """An asynchronous link that cannot be closed."""

    max_frame = 100

    async def send(self, frame: bytes) -> None:
        """Send nothing."""

    async def receive(self, timeout: float | None) -> bytes:
        raise TapError(Code.TIMEOUT, f"{timeout}")

    async def close(self) -> None:
        raise OSError("the radio has gone")


def test_a_link_that_cannot_be_closed_gives_its_thread_back() -> None:
    thread = LoopThread()
    with pytest.raises(OSError, match="gone"):
        BlockingLink(Stuck(), thread).close()
    with pytest.raises(TapError) as caught:
        thread.run(asyncio.sleep(0))
    assert caught.value.code is Code.LINK_LOST


class Trickle:
    """A link on which a chunk comes each second; it notes how long it is waited for."""

    max_frame = 20

    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float | None]()
        self.chunks = split(bytes(200), 20)

    def send(self, frame: bytes) -> None:
        """Send nothing."""

    def receive(self, timeout: float | None) -> bytes:
        self.waits.append(timeout)
        if not timeout:
            raise TapError(Code.TIMEOUT)
        self.now += 1
        return self.chunks.pop(0)

    def close(self) -> None:
        """Close nothing."""


def test_a_peer_that_trickles_chunks_gains_no_time() -> None:
    link = Trickle()
    with pytest.raises(TapError) as caught:
        Chunked(link, clock=lambda: link.now).receive(3.0)
    assert (caught.value.code, link.waits) == (Code.TIMEOUT, [3.0, 2.0, 1.0, 0.0])


class Wrong:
    """A card that is no dualtap."""

    released = False

    def transceive(self, apdu: bytes) -> bytes | None:
        return encode_answer(Status.NOT_FOUND)

    def release(self) -> None:
        self.released = True


class Nobody:
    """An issuer that is never reached."""

    def exchange(self, frame: bytes) -> bytes:
        raise AssertionError(frame)


def test_a_card_that_says_nothing_was_not_carried() -> None:
    """§14-21: who left was carried as far as it came; who is silent is told of."""
    near, far = loopback.pair()
    with pytest.raises(TapError) as caught:
        carry(near, Nobody(), 0.0)
    assert caught.value.code is Code.TIMEOUT
    with pytest.raises(TapError) as caught:
        far.receive(PATIENCE)
    assert caught.value.code is Code.LINK_LOST


def test_a_card_that_is_another_application_is_let_go_of() -> None:
    """§18-3: the next card can be read."""
    slot = Wrong()
    with pytest.raises(TapError) as caught:
        opened(slot)
    assert (caught.value.code, slot.released) == (Code.LINK_LOST, True)


class Deaf:
    """A responder of multicast DNS that cannot announce."""

    closed = False

    def register_service(self, info: object, *, cooperating_responders: bool) -> NoReturn:
        raise OSError(f"{info}, {cooperating_responders}")

    def close(self) -> None:
        self.closed = True


def test_a_name_that_cannot_be_announced_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19.1."""
    responder = Deaf()

    def info(*_: object, **__: object) -> str:
        return "a name"

    def load(_: str) -> SimpleNamespace:
        return SimpleNamespace(ServiceInfo=info)

    def opened_at(*_: object) -> Deaf:
        return responder

    monkeypatch.setattr(mdns, "_load", load)
    monkeypatch.setattr(mdns, "_open", opened_at)
    with pytest.raises(OSError, match="a name"):
        mdns.Mdns().announce("x", 7, "127.0.0.1")
    assert responder.closed


class Radio:
    """A Bluetooth stack that advertises, and counts how often it was let go of."""

    address = b""
    closed = 0

    async def start(self, service: UUID, guests: Guests) -> None:
        """Advertise nothing."""

    async def hide(self) -> None:
        """Hide nothing."""

    async def close(self) -> None:
        self.closed += 1


class Near:
    """A central's connection."""

    most = LEAST_VALUE

    async def put(self, value: bytes) -> None:
        """Carry nothing."""

    async def drop(self) -> None:
        """Drop nothing."""


def came(listener: GattListener) -> GattLink | None:
    """Let a central connect and open its link, if it is taken."""
    link = listener.came(Near())
    if link is not None:
        link.arrived(encode_opening(LEAST_VALUE))
    return link


def test_so_many_centrals_wait_and_no_more() -> None:
    """§19: also those who have opened their links, and that nobody has accepted."""

    async def story() -> None:
        listener = GattListener(Radio())
        assert None not in [came(listener) for _ in range(GUESTS)]
        assert came(listener) is None
        assert await listener.accept(PATIENCE)
        assert came(listener)
        await listener.close()

    asyncio.run(story())


def test_a_link_is_accepted_once_whenever_its_time_to_open_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_peripheral, "OPENING_SECONDS", 0.0)

    async def story() -> None:
        listener = GattListener(Radio())
        link = came(listener)
        assert await listener.accept(PATIENCE) is link
        with pytest.raises(TapError) as caught:
            await listener.accept(0.01)
        assert caught.value.code is Code.TIMEOUT
        await listener.close()

    asyncio.run(story())


def test_the_last_link_lets_the_radio_go() -> None:
    async def story() -> None:
        radio = Radio()
        listener = GattListener(radio)
        link = came(listener)
        assert link is await listener.accept(PATIENCE)
        await listener.close()
        assert not radio.closed, "the link lives on"
        assert link is not None
        await link.abandon()
        assert radio.closed

    asyncio.run(story())


def test_a_central_that_is_done_lets_its_radio_go_once() -> None:
    """A dongle of one's own is free for the next tap."""
    freed = list[str]()

    async def disconnect() -> None:
        freed.append("connection")

    async def release() -> None:
        freed.append("radio")

    async def story() -> None:
        client, up = SimpleNamespace(disconnect=disconnect), SimpleNamespace()
        port = CentralPort(cast("BleakClient", client), cast("BleakGATTCharacteristic", up), Radios(release=release))
        await port.drop()
        await port.drop()

    asyncio.run(story())
    assert freed == ["connection", "radio"]
