"""The peripheral's side of Bluetooth LE: who advertises, and which links come of it.

A stack is one :class:`Peripheral`: :mod:`.ble_bless` for what the operating system has, :mod:`.ble_bumble` for a
dongle of one's own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol
from uuid import UUID, uuid4

from .arrivals import Arrivals
from .ble_link import LINGER_SECONDS, GattLink, Port

GUESTS = 4
"""Links held that nobody accepted: one tap at a time is the rule, so more are strangers."""
OPENING_SECONDS = 5.0
"""Seconds in which a central that connected must open its link; silence must not keep others out."""
NAME = "dualtap"
"""What a device is called on the air: the same for all, and short, so that macOS advertises the service too."""


class Guests(Protocol):
    """Whoever takes the links that a peripheral's centrals bring."""

    def came(self, port: Port) -> GattLink | None:
        """Take a central's connection; return its link, or ``None`` if there is no room: then drop it."""
        ...


class Peripheral(Protocol):
    """One Bluetooth stack in the peripheral's role. Used in one event loop."""

    @property
    def address(self) -> bytes:
        """The address that advertises, six bytes, most significant first; empty if the stack does not tell."""
        ...

    async def start(self, service: UUID, guests: Guests) -> None:
        """Advertise ``service``, with nothing that identifies the device, and offer it. Raises ``BAD_INPUT``."""
        ...

    async def hide(self) -> None:
        """Advertise no more; connections live on. Never raises."""
        ...

    async def close(self) -> None:
        """Free the radio. Never raises; to close again does nothing."""
        ...


class GattListener:
    """Links that centrals open; see :class:`.link.Listener`, whose methods are awaited here.

    It owns ``peripheral``, which outlives it for as long as a link does.
    """

    def __init__(self, peripheral: Peripheral) -> None:
        self._peripheral = peripheral
        self._service = uuid4()
        self._held: set[_HeldPort] = set()
        self._strangers: dict[GattLink, asyncio.TimerHandle] = {}
        self._arrivals = Arrivals[GattLink]()
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def service(self) -> UUID:
        """The service that is advertised: fresh for every listener."""
        return self._service

    @property
    def radio_address(self) -> bytes:
        """The address that advertises; see :attr:`Peripheral.address`."""
        return self._peripheral.address

    async def start(self) -> None:
        """Begin to advertise. Raises ``BAD_INPUT``; the radio is free again then."""
        try:
            await self._peripheral.start(self._service, self)
        except BaseException:
            self._arrivals.close()
            await self._peripheral.close()
            raise

    async def accept(self, timeout: float | None) -> GattLink:
        """Return the next link; see :meth:`.link.Listener.accept`."""
        return await self._arrivals.accept(timeout)

    async def close(self) -> None:
        """Stop advertising; see :meth:`.link.Listener.close`."""
        if self._arrivals.closed:
            return
        self._arrivals.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._peripheral.hide()
        for link in [*self._strangers, *self._arrivals.drain()]:
            self._forget(link)
            await link.abandon()
        await self._free()

    def came(self, port: Port) -> GattLink | None:
        """Take a central's connection; see :meth:`Guests.came`."""
        if self._arrivals.closed or len(self._strangers) + len(self._arrivals) >= GUESTS:
            return None
        held = _HeldPort(port, self)
        self._held.add(held)
        link = GattLink(held, central=False)
        link.on_opened = lambda: self._settle(link)
        loop = asyncio.get_running_loop()
        self._strangers[link] = loop.call_later(OPENING_SECONDS, self._settle, link)
        return link

    async def released(self, port: _HeldPort) -> None:
        """Note that a link is gone; the last one after the listener's end frees the radio."""
        self._held.discard(port)
        if self._arrivals.closed:
            await self._free()

    def _settle(self, link: GattLink) -> None:
        """A link is open, or will not be."""
        self._forget(link)
        if link.opened:
            self._arrivals.put(link)
        else:
            ending = asyncio.ensure_future(link.abandon())
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    def _forget(self, link: GattLink) -> None:
        link.on_opened = None
        timer = self._strangers.pop(link, None)
        if timer is not None:
            timer.cancel()

    async def _free(self) -> None:
        if not self._held:
            await self._peripheral.close()


class _HeldPort:
    """A port that tells its listener when it is dropped."""

    def __init__(self, port: Port, listener: GattListener) -> None:
        self._port = port
        self._listener = listener

    @property
    def most(self) -> int:
        return self._port.most

    async def put(self, value: bytes) -> None:
        await self._port.put(value)

    async def drop(self) -> None:
        await self._port.drop()
        await self._listener.released(self)
