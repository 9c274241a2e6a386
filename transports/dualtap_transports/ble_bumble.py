"""The peripheral's role under Bumble: on a dongle of one's own, or on Bumble's virtual controllers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID as Uuid

from bumble.att import Attribute, AttributeValue
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.gatt import Characteristic, Service

from dualtap.errors import Code, TapError

from .ble_dongle import ATT_HEADER, START_SECONDS, Dongle, disconnect
from .ble_errors import reason
from .ble_link import GattLink
from .ble_peripheral import Guests
from .gatt import DOWN, UP, VALUE

if TYPE_CHECKING:
    from bumble.device import Connection

ADVERTISING_MS = 30.0
"""Milliseconds between two advertisements: a person waits, and a tap is short."""
FLAGS = bytes([0x06])
"""General discoverable, no classic Bluetooth."""


class BumblePeripheral:
    """Bumble in the peripheral's role; see :class:`.ble_peripheral.Peripheral`. It owns ``dongle``."""

    def __init__(self, dongle: Dongle) -> None:
        self._dongle = dongle
        self._down: Characteristic[bytes] | None = None
        self._guests: Guests | None = None
        self._links: dict[Connection, GattLink] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._hidden = False
        self._changing = asyncio.Lock()

    @property
    def address(self) -> bytes:
        """The random address that advertises."""
        return bytes(reversed(bytes(self._dongle.device.random_address)))

    async def start(self, service: Uuid, guests: Guests) -> None:
        """Advertise; see :meth:`.ble_peripheral.Peripheral.start`."""
        device = self._dongle.device
        self._guests = guests
        up: Characteristic[bytes] = Characteristic(
            UUID(str(UP)),
            Characteristic.Properties.WRITE_WITHOUT_RESPONSE,
            Attribute.WRITEABLE,
            AttributeValue(write=self._written),
        )
        self._down = Characteristic(UUID(str(DOWN)), Characteristic.Properties.NOTIFY, Attribute.READABLE, b"")
        device.add_service(Service(UUID(str(service)), [up, self._down]))
        device.on(device.EVENT_CONNECTION, self._connected)
        device.advertising_data = bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, FLAGS),
                    (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, bytes(UUID(str(service)))),
                ]
            )
        )
        device.scan_response_data = b""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._advertise()
        except (BaseBumbleError, TimeoutError) as error:
            raise TapError(Code.BAD_INPUT, f"this controller does not advertise: {reason(error)}") from error

    async def hide(self) -> None:
        """Advertise no more; see :meth:`.ble_peripheral.Peripheral.hide`."""
        self._hidden = True
        async with self._changing:
            with suppress(BaseBumbleError):
                await self._dongle.device.stop_advertising()

    async def close(self) -> None:
        """Let the controller go; see :meth:`.ble_peripheral.Peripheral.close`."""
        self._hidden = True
        await self._dongle.close()

    async def notify(self, connection: Connection, value: bytes) -> None:
        """Notify one central of one value, waiting while much is in flight. Raises ``LINK_LOST``."""
        if connection not in self._links or self._down is None:
            raise TapError(Code.LINK_LOST, "the Bluetooth connection is lost")
        try:
            await self._dongle.device.notify_subscriber(connection, self._down, value)
            await connection.drain()
        except (BaseBumbleError, ValueError) as error:
            raise TapError(Code.LINK_LOST, f"the Bluetooth connection is lost: {error}") from error

    async def _advertise(self) -> None:
        await self._dongle.device.start_advertising(
            advertising_interval_min=ADVERTISING_MS, advertising_interval_max=ADVERTISING_MS
        )

    async def _advertise_again(self) -> None:
        # A controller stops at each connection, and a stranger's must not keep a customer out. Some cannot advertise
        # while connected: they do so once it ends.
        async with self._changing:
            if not self._hidden:
                with suppress(BaseBumbleError):
                    await self._advertise()

    def _connected(self, connection: Connection) -> None:
        self._spawn(self._advertise_again())
        link = self._guests.came(BumblePort(self, connection)) if self._guests else None
        if link is None:
            self._spawn(disconnect(connection))
            return
        self._links[connection] = link

        def gone(reason: int) -> None:
            del reason
            self._disconnected(connection)

        connection.on(connection.EVENT_DISCONNECTION, gone)

    def _disconnected(self, connection: Connection) -> None:
        link = self._links.pop(connection, None)
        if link is not None:
            link.lost("the Bluetooth connection is lost")
        self._spawn(self._advertise_again())

    def _written(self, connection: Connection, value: bytes) -> None:
        link = self._links.get(connection)
        if link is not None:
            link.arrived(value)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class BumblePort:
    """One central's connection; see :class:`.ble_link.Port`."""

    def __init__(self, peripheral: BumblePeripheral, connection: Connection) -> None:
        self._peripheral = peripheral
        self._connection = connection

    @property
    def most(self) -> int:
        """The longest value, in bytes. A central asks for its MTU before it opens the link, if it does at all."""
        return min(self._connection.att_mtu - ATT_HEADER, VALUE)

    async def put(self, value: bytes) -> None:
        """Notify one value; see :meth:`.ble_link.Port.put`."""
        await self._peripheral.notify(self._connection, value)

    async def drop(self) -> None:
        """Disconnect; see :meth:`.ble_link.Port.drop`."""
        await disconnect(self._connection)
