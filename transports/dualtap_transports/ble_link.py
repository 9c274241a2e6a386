"""A link over two GATT characteristics, for asyncio: :mod:`.gatt` says what the values mean.

Central and peripheral are alike from here on; what differs between the stacks is a :class:`Port`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from dualtap import limits
from dualtap.errors import Code, TapError

from .chunks import split
from .gatt import END, GRANT, Duplex, encode_opening
from .link import check_frame

LINGER_SECONDS = 1.0
"""Seconds that a close waits for the peer to have taken what was sent; a peer answers within two round trips."""


class Port(Protocol):
    """One connection of one Bluetooth stack, as seen from either side. Used in one event loop."""

    @property
    def most(self) -> int:
        """The longest value, in bytes, that :meth:`put` takes."""
        ...

    async def put(self, value: bytes) -> None:
        """Write or notify one value, waiting while the stack has no room. Raises ``LINK_LOST``."""
        ...

    async def drop(self) -> None:
        """Disconnect and free what the connection held. Never raises; to drop again does nothing."""
        ...


class GattLink:
    """One end of a link; see :class:`.link.AsyncLink`. It owns ``port``.

    The stack hands it each value by :meth:`arrived` and the end of the connection by :meth:`lost`, both in the
    event loop.
    """

    def __init__(self, port: Port, *, central: bool, max_frame: int = limits.MESSAGE) -> None:
        self._port = port
        self._max_frame = min(max_frame, limits.MESSAGE)
        self._duplex = Duplex(port.most, central=central, max_frame=self._max_frame)
        self._lost: str | None = None
        self._closed = False
        self._said_end = False
        self._sending = asyncio.Lock()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self.on_opened: Callable[[], None] | None = None
        """Called once when the peer has opened the link, or failed to: the peripheral's listener waits for it."""

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._max_frame

    @property
    def opened(self) -> bool:
        """Whether the central has opened the link, as it must before anything else."""
        return self._duplex.opened

    def arrived(self, value: bytes) -> None:
        """Take in one value from the stack."""
        if self._lost is not None:
            return
        if not self._duplex.opened:
            self._duplex.most = self._port.most  # the MTU has been agreed upon since the connection was made
        self._duplex.feed(value)
        if self._duplex.ended:
            self._spawn(self._say_end())
        self._settle()
        self._notify()

    def lost(self, reason: str) -> None:
        """Note that the connection is gone."""
        if self._lost is None:
            self._lost = reason
        self._settle()
        self._notify()

    async def open(self) -> None:
        """Say the central's first value. Raises ``LINK_LOST``."""
        await self._port.put(encode_opening(self._duplex.most))

    async def send(self, frame: bytes) -> None:
        """Send one frame; see :meth:`.link.Link.send`. Gives up after ``limits.SESSION_SECONDS``."""
        self._check_sendable()
        check_frame(frame, self._max_frame)
        started = False
        try:
            async with asyncio.timeout(limits.SESSION_SECONDS), self._sending:
                for chunk in split(frame, self._duplex.most):
                    await self._until(partial(self._has_room, len(chunk)))
                    self._check_sendable()
                    self._duplex.room -= len(chunk)
                    started = True
                    await self._put(chunk)
        except TimeoutError:
            self._abandon()
            raise TapError(Code.TIMEOUT, "the other device reads nothing") from None
        except asyncio.CancelledError:
            if started:
                self._abandon()  # half a frame may be out: nothing sent after it could be understood
            raise

    async def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`.link.Link.receive`."""
        try:
            async with asyncio.timeout(timeout):
                await self._until(lambda: bool(self._closed or self._duplex or self._over()))
        except TimeoutError:
            raise TapError(Code.TIMEOUT, "no whole frame in time") from None
        if self._closed:
            raise TapError(Code.LINK_LOST, "the link is closed")
        if self._duplex:
            frame, grant = self._duplex.take()
            if grant:
                self._spawn(self._say(GRANT))
            return frame
        failed = self._duplex.failed
        if failed is not None:
            raise TapError(failed.code, failed.detail)
        raise TapError(Code.LINK_LOST, self._why_lost())

    async def close(self) -> None:
        """End the link; see :meth:`.link.Link.close`. Waits at most a second for what was sent to be taken."""
        self._closed = True
        self._notify()
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._end(LINGER_SECONDS))
        await asyncio.shield(self._closing)

    async def abandon(self) -> None:
        """End the link at once, without what is in flight."""
        self._abandon()
        assert self._closing is not None
        await asyncio.shield(self._closing)

    def _abandon(self) -> None:
        self._closed = True
        self._notify()
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._end(0))

    async def _end(self, linger: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(linger):
                await self._say_end()
                await self._until(lambda: self._lost is not None or self._duplex.ended or bool(self._duplex.failed))
        await self._port.drop()
        self.lost("the link is closed")
        for task in list(self._tasks):
            task.cancel()

    async def _say_end(self) -> None:
        if not self._said_end and self._lost is None:
            self._said_end = True
            await self._say(END)

    async def _say(self, control: bytes) -> None:
        with suppress(TapError):  # which receive tells
            await self._put(control)

    async def _put(self, value: bytes) -> None:
        try:
            await self._port.put(value)
        except TapError as error:
            self.lost(error.detail)
            raise

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _over(self) -> bool:
        return self._closed or self._lost is not None or self._duplex.ended or self._duplex.failed is not None

    def _has_room(self, size: int) -> bool:
        return self._over() or self._duplex.room >= size

    def _check_sendable(self) -> None:
        if self._closed:
            raise TapError(Code.LINK_LOST, "the link is closed")
        if self._over():
            raise TapError(Code.LINK_LOST, self._why_lost())

    def _why_lost(self) -> str:
        reason = "the other device closed" if self._duplex.ended else self._lost
        if reason is None:
            reason = "the other device broke the rules of the link"
        return reason + (" in the middle of a frame" if self._duplex.torn else "")

    def _settle(self) -> None:
        if self.on_opened is not None:
            opened, self.on_opened = self.on_opened, None
            opened()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            await self._changed.wait()
