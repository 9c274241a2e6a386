"""bleak over Bumble: the backend that lets unmodified bleak code use a dongle of one's own.

Pass the classes as ``backend=`` to bleak's scanner and client, and the open dongle as ``dongle=`` to the scanner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Connection, Device, Peer

from .ble_central import Radio
from .ble_dongle import ATT_HEADER, Dongle, disconnect

if TYPE_CHECKING:
    from bleak.backends.descriptor import BleakGATTDescriptor
    from bumble.gatt_client import CharacteristicProxy, ServiceProxy

MTU = 517
"""What we ask for: the MTU at which a value of 512 bytes fits."""


def radio(dongle: Dongle) -> Radio:
    """Return what makes :mod:`.ble_central` use ``dongle``, and let it go in the end."""
    return Radio({"backend": BumbleScanner, "dongle": dongle}, {"backend": BumbleClient}, dongle.close)


class BumbleScanner(BaseBleakScanner):
    """Finds advertisers; see bleak's ``BaseBleakScanner``."""

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str,
        *,
        dongle: Dongle,
        **others: Any,
    ) -> None:
        del scanning_mode, others
        super().__init__(detection_callback, service_uuids)
        self._device = dongle.device

    async def start(self) -> None:
        """Begin to scan."""
        self.seen_devices = {}
        self._device.on(Device.EVENT_ADVERTISEMENT, self._advertised)
        await _asked(self._device.start_scanning(filter_duplicates=False))

    async def stop(self) -> None:
        """Scan no more."""
        cast("Any", self._device).remove_listener(Device.EVENT_ADVERTISEMENT, self._advertised)
        await _asked(self._device.stop_scanning())

    def _advertised(self, advertisement: Advertisement) -> None:
        uuids = advertised_services(advertisement.data)
        if not self.is_allowed_uuid(uuids):
            return
        seen = AdvertisementData(None, {}, {}, uuids, None, advertisement.rssi, ())
        address = advertisement.address.to_string(with_type_qualifier=False)
        device = self.create_or_update_device(address, address, None, (self._device, advertisement.address), seen)
        self.call_detection_callbacks(device, seen)


class BumbleClient(BaseBleakClient):
    """One connection to a peripheral; see bleak's ``BaseBleakClient``. No pairing, no reading, no descriptors."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        services: set[str] | None = None,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        **others: Any,
    ) -> None:
        del others
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        if not isinstance(address_or_ble_device, BLEDevice):
            raise BleakError("this backend connects to a device that its scanner found")
        self._device, self._target = address_or_ble_device.details
        self._wanted = services
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """The address: names are not asked for."""
        return self.address

    @property
    def mtu_size(self) -> int:
        """The MTU agreed upon, in bytes."""
        return self._connected().att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect, agree on the MTU and discover the services asked for."""
        del pair, kwargs
        async with asyncio.timeout(self._timeout):
            connection = cast("Connection", await _asked(self._device.connect_le(self._target, timeout=None)))
            self._connection = connection
            connection.on(connection.EVENT_DISCONNECTION, self._disconnected)
            await _asked(self._discover(Peer(connection)))

    async def disconnect(self) -> None:
        """End the connection."""
        if self._connection is not None:
            await disconnect(self._connection)

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Refuse: a tap needs none."""
        raise BleakError("this backend does not pair")

    async def unpair(self) -> None:
        """Refuse: a tap needs none."""
        raise BleakError("this backend does not pair")

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Read a value."""
        del use_cached, kwargs
        return bytearray(await _asked(self._proxy(characteristic).read_value()))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        """Refuse: descriptors are not discovered."""
        raise BleakError("this backend knows no descriptors")

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: Any, response: bool) -> None:
        """Write a value; without response, wait until the controller has it."""
        connection = self._connected()
        await _asked(self._proxy(characteristic).write_value(bytes(data), with_response=response))
        await _asked(connection.drain())

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: Any) -> None:
        """Refuse: descriptors are not discovered."""
        raise BleakError("this backend knows no descriptors")

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        """Subscribe to a characteristic."""
        del kwargs
        self._connected()

        def notified(value: bytes) -> None:
            callback(bytearray(value))

        await _asked(self._proxy(characteristic).subscribe(notified))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe from a characteristic."""
        await _asked(cast("Any", self._proxy(characteristic)).unsubscribe())

    async def _discover(self, peer: Peer) -> None:
        await peer.request_mtu(MTU)
        if self._wanted is None:
            found = await peer.discover_services()
        else:
            found = [service for uuid in self._wanted for service in await peer.discover_service(uuid)]
        services = BleakGATTServiceCollection()
        for service in found:
            await self._describe(services, service)
        self.services = services

    async def _describe(self, services: BleakGATTServiceCollection, service: ServiceProxy) -> None:
        described = BleakGATTService(service, service.handle, service.uuid.to_hex_str("-").lower())
        services.add_service(described)
        found: list[CharacteristicProxy[bytes]] = await cast("Any", service).discover_characteristics()
        for proxy in found:
            characteristic = BleakGATTCharacteristic(
                proxy,
                proxy.handle,
                proxy.uuid.to_hex_str("-").lower(),
                list(gatt_char_props_to_strs(int(proxy.properties))),
                lambda: self.mtu_size - ATT_HEADER,
                described,
            )
            services.add_characteristic(characteristic)

    def _disconnected(self, reason: int) -> None:
        del reason
        self._connection = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    def _connected(self) -> Connection:
        if self._connection is None:
            raise BleakError("not connected")
        return self._connection

    def _proxy(self, characteristic: BleakGATTCharacteristic) -> CharacteristicProxy[bytes]:
        self._connected()
        return cast("CharacteristicProxy[bytes]", characteristic.obj)


def advertised_services(data: AdvertisingData) -> list[str]:
    """Return the 128-bit services that an advertisement names, as bleak writes them."""
    found: list[str] = []
    for kind in (
        AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
        AdvertisingData.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    ):
        for value in data.get_all(kind, raw=True):
            found += [UUID.from_bytes(value[i : i + 16]).to_hex_str("-").lower() for i in range(0, len(value) - 15, 16)]
    return found


async def _asked(work: Any) -> Any:
    """Await what Bumble does; raise its errors as bleak's."""
    try:
        return await work
    except BaseBumbleError as error:
        raise BleakError(str(error) or type(error).__name__) from error
    except asyncio.CancelledError:
        # Bumble cancels what waits on a connection that ends; a cancelled caller must stay cancelled.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BleakError("the connection was lost") from None
