"""The peripheral's role on the operating system's Bluetooth, over bless: Linux (BlueZ) and macOS.

bless tells neither who wrote nor when a central left, so that one link is served at a time: it begins with the
first value written, and it is lost once nobody is subscribed any more. While it advertises, BlueZ calls the adapter
``dualtap`` instead of by its own name; so no name goes out that identifies a person.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import Any
from uuid import UUID

from dualtap.errors import Code, TapError

from .ble_errors import no_radio
from .ble_link import LINGER_SECONDS, GattLink
from .ble_peripheral import NAME, Guests
from .gatt import DOWN, UP, VALUE

POLL_SECONDS = 0.25
"""Seconds between two looks at whether somebody is subscribed: bless has no event for it."""
RETRY_SECONDS = 0.005
"""Seconds after which a notification is tried again that the system's queue had no room for."""


class BlessPeripheral:
    """bless in the peripheral's role; see :class:`.ble_peripheral.Peripheral`.

    ``bless`` is that module, or what stands in for it.
    """

    def __init__(self, bless: Any = None) -> None:
        self._bless: Any = bless if bless is not None else import_module("bless")
        self._server: Any = None
        self._service = ""
        self._guests: Guests | None = None
        self._link: GattLink | None = None
        self._watch: asyncio.Task[None] | None = None
        self._advertised = False

    @property
    def address(self) -> bytes:
        """Nothing: the system chooses its address, and bless does not tell."""
        return b""

    async def start(self, service: UUID, guests: Guests) -> None:
        """Advertise; see :meth:`.ble_peripheral.Peripheral.start`."""
        bless = self._bless
        properties, permissions = bless.GATTCharacteristicProperties, bless.GATTAttributePermissions
        self._guests, self._service = guests, str(service)
        loop = asyncio.get_running_loop()

        def written(characteristic: Any, value: Any, **others: Any) -> None:
            del characteristic, others
            loop.call_soon_threadsafe(self._written, bytes(value))  # macOS calls from a thread of its own

        # Each system fails in its own way, BlueZ without an adapter by a bare Exception.
        try:
            self._server = bless.BlessServer(name=NAME)
            self._server.write_request_func = written
            await self._server.add_new_service(self._service)
            for uuid, does, may in (
                (UP, properties.write_without_response, permissions.writeable),
                (DOWN, properties.notify, permissions.readable),
            ):
                await self._server.add_new_characteristic(self._service, str(uuid), does, None, may)
            await self._server.start()
        except Exception as error:
            raise no_radio(error) from error
        self._advertised = True

    async def hide(self) -> None:
        """Do nothing while a link lives: bless can only stop all at once, which :meth:`close` does."""

    async def close(self) -> None:
        """Stop the server; see :meth:`.ble_peripheral.Peripheral.close`."""
        self.forget()
        if self._advertised:
            self._advertised = False
            with suppress(Exception):  # whatever bluetoothd says now: it also stops when this process ends
                async with asyncio.timeout(LINGER_SECONDS):
                    await self._server.stop()

    async def notify(self, value: bytes) -> None:
        """Notify the central of one value, waiting while the system's queue is full. Raises ``LINK_LOST``."""
        try:
            self._server.get_characteristic(str(DOWN)).value = bytearray(value)
            while not self._server.update_value(self._service, str(DOWN)):
                await asyncio.sleep(RETRY_SECONDS)
        except Exception as error:
            raise TapError(Code.LINK_LOST, f"the Bluetooth connection is lost: {error}") from error

    def forget(self) -> None:
        """Serve the next central: the last link is done."""
        self._link = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _written(self, value: bytes) -> None:
        if self._link is None and self._guests is not None:
            self._link = self._guests.came(BlessPort(self))
            if self._link is not None:
                self._watch = asyncio.ensure_future(self._look_after(self._link))
        if self._link is not None:
            self._link.arrived(value)

    async def _look_after(self, link: GattLink) -> None:
        """Notice that the central has left."""
        while await self._server.is_connected():
            await asyncio.sleep(POLL_SECONDS)
        link.lost("the Bluetooth connection is lost")


class BlessPort:
    """The one central's connection; see :class:`.ble_link.Port`."""

    def __init__(self, peripheral: BlessPeripheral) -> None:
        self._peripheral = peripheral

    @property
    def most(self) -> int:
        """The longest value of all: bless does not tell the MTU, but the central's opening does."""
        return VALUE

    async def put(self, value: bytes) -> None:
        """Notify one value; see :meth:`.ble_link.Port.put`."""
        await self._peripheral.notify(value)

    async def drop(self) -> None:
        """Forget the central, which disconnects by itself when it hears the end: bless cannot make it."""
        self._peripheral.forget()
