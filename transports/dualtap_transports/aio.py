"""TCP links for asyncio: frames and addresses of :mod:`.tcp`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from dualtap import limits
from dualtap.errors import Code, TapError

from .arrivals import Arrivals
from .framing import PREFIX, Deframer, encode
from .link import check_frame
from .tcp import (
    BACKLOG,
    RETRY_SECONDS,
    SocketAddress,
    bind,
    cannot_reach,
    format_address,
    reached_itself,
    resolve,
)

_HIGH = PREFIX + limits.MESSAGE
"""Bytes received and not taken at which a link stops reading, so that a peer cannot fill memory."""
_LINGER_SECONDS = 1.0
"""Seconds that a close gives the peer to take what was sent."""


class _Wire(asyncio.Protocol):
    """Feeds a :class:`Deframer` and says when something changed.

    Not asyncio's streams: their reader drops what it buffered when the peer resets the connection.
    """

    def __init__(self, accepted: Callable[[AioLink], None] | None = None) -> None:
        self._accepted = accepted
        self.inbox = Deframer()
        self.ended = False
        self.arrived = asyncio.Event()
        self.writable = asyncio.Event()
        self.lost = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # which sets TCP_NODELAY itself
        self.transport = transport
        # A send is done when the kernel has it all, as with a plain socket.
        transport.set_write_buffer_limits(high=0)
        self.writable.set()
        if self._accepted is not None:
            self._accepted(AioLink(self))

    def data_received(self, data: bytes) -> None:
        self.inbox.feed(data)
        if len(self.inbox) >= _HIGH:
            self.transport.pause_reading()
        self.arrived.set()

    def eof_received(self) -> None:
        self.ended = True
        self.arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.lost.set()
        self.arrived.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def take(self) -> bytes | None:
        frame = self.inbox.take()
        if len(self.inbox) < _HIGH:
            self.transport.resume_reading()  # does nothing unless paused
        return frame


class AioLink:
    """A connection as an :class:`.link.AsyncLink`; made by :func:`connect` and :meth:`AioListener.accept`."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        self._closed = False

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return limits.MESSAGE

    async def send(self, frame: bytes) -> None:
        """Send one frame; see :meth:`.link.Link.send`. Gives up after ``limits.SESSION_SECONDS``."""
        self._check_open()
        if self._wire.transport.is_closing():
            raise TapError(Code.LINK_LOST, "the peer closed")
        check_frame(frame, limits.MESSAGE)
        self._wire.transport.write(encode(frame))
        try:
            async with asyncio.timeout(limits.SESSION_SECONDS):
                await self._wire.writable.wait()
        except TimeoutError:
            self.abandon()
            raise TapError(Code.TIMEOUT, "the peer reads nothing") from None
        self._check_open()

    async def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`.link.Link.receive`."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self._check_open()
                    frame = self._wire.take()
                    if frame is not None:
                        return frame
                    if self._wire.ended:
                        cut = "in the middle of a frame" if self._wire.inbox else "between frames"
                        raise TapError(Code.LINK_LOST, f"the peer closed {cut}")
                    self._wire.arrived.clear()
                    await self._wire.arrived.wait()
        except TimeoutError:
            raise TapError(Code.TIMEOUT, "no whole frame in time") from None

    async def close(self) -> None:
        """End the connection; see :meth:`.link.Link.close`. Waits at most a second for frames in flight."""
        self._closed = True
        self._wire.transport.close()
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._wire.lost.wait()
        except TimeoutError:
            self._wire.transport.abort()
            await self._wire.lost.wait()

    def abandon(self) -> None:
        """End the connection at once, without waiting and without what is in flight."""
        self._closed = True
        self._wire.transport.abort()

    def _check_open(self) -> None:
        if self._closed:
            raise TapError(Code.LINK_LOST, "the link is closed")


class AioListener:
    """A listening socket, which it owns; made by :func:`listen`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._address = format_address(sock)
        self._arrivals = Arrivals[AioLink]()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """``HOST:PORT`` as bound: port 0 has become a real one."""
        return self._address

    async def start(self) -> None:
        """Begin to take connections; :func:`listen` has done so."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Wire(self._put), sock=self._sock, backlog=BACKLOG)

    async def accept(self, timeout: float | None) -> AioLink:
        """Return the next link; see :meth:`.link.Listener.accept`."""
        return await self._arrivals.accept(timeout)

    async def close(self) -> None:
        """Stop listening; see :meth:`.link.Listener.close`."""
        self._arrivals.close()
        if self._server is not None:
            self._server.close()
        self._sock.close()
        for link in self._arrivals.drain():
            link.abandon()

    def _put(self, link: AioLink) -> None:
        # asyncio accepts at once what the kernel would have kept waiting: the bound is ours to keep.
        if self._arrivals.closed or len(self._arrivals) >= BACKLOG:
            link.abandon()
            return
        self._arrivals.put(link)


async def connect(address: str, timeout: float | None) -> AioLink:
    """Return a link to ``address``; see :meth:`.link.Scheme.connect`."""
    refused: OSError | None = None
    try:
        async with asyncio.timeout(timeout if timeout is None else max(timeout, RETRY_SECONDS)):
            candidates = await asyncio.to_thread(resolve, address)
            while True:
                refused, lost = None, None
                for family, where in candidates:
                    try:
                        return await _dial(family, where)
                    except ConnectionRefusedError as error:
                        refused = error
                    except OSError as error:
                        lost = error
                if refused is None:
                    raise cannot_reach(address, lost)
                await asyncio.sleep(RETRY_SECONDS)
    except TimeoutError:
        raise cannot_reach(address, refused) from None


async def listen(address: str) -> AioListener:
    """Return a listener at ``address``, where port 0 is any free one; see :meth:`.link.Scheme.listen`."""
    listener = AioListener(bind(address))
    await listener.start()
    return listener


async def _dial(family: int, where: SocketAddress) -> AioLink:
    loop = asyncio.get_running_loop()
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, where)
        if reached_itself(sock):
            raise ConnectionRefusedError("only this very socket is there")
        _, wire = await loop.create_connection(_Wire, sock=sock)
    except BaseException:
        sock.close()
        raise
    return AioLink(wire)
