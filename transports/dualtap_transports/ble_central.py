"""The central's side of Bluetooth LE, over bleak and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError

from dualtap.errors import Code, TapError

from .ble_errors import no_radio, reason
from .ble_link import LINGER_SECONDS, GattLink
from .gatt import DOWN, LEAST_VALUE, UP, VALUE

if TYPE_CHECKING:
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

SCAN_SECONDS = 0.5
"""Seconds for which a peripheral is looked for at least: a few advertising intervals."""
CONNECT_SECONDS = 20.0
"""Seconds at most between finding a peripheral and an open link: connecting takes about one, on a bad day ten."""


@dataclass(frozen=True, slots=True)
class Radio:
    """Keyword arguments for bleak's scanner and client, such as another backend; empty: the system's own.

    ``release`` is awaited once the connection is over; it never raises.
    """

    scanner: dict[str, Any] = field(default_factory=dict[str, Any])
    client: dict[str, Any] = field(default_factory=dict[str, Any])
    release: Callable[[], Awaitable[None]] | None = None

    async def free(self) -> None:
        """Let go of what the connection needed."""
        if self.release is not None:
            await self.release()


SYSTEM = Radio()
"""The operating system's Bluetooth."""


class CentralPort:
    """A connection that bleak made; see :class:`.ble_link.Port`."""

    def __init__(self, client: BleakClient, up: BleakGATTCharacteristic, radio: Radio) -> None:
        self._client = client
        self._radio = radio
        self._up = up
        self._dropped = False

    @property
    def most(self) -> int:
        """The longest value, in bytes: what bleak says, since its MTU is not true on BlueZ."""
        return min(max(self._up.max_write_without_response_size, LEAST_VALUE), VALUE)

    async def put(self, value: bytes) -> None:
        """Write one value without response; see :meth:`.ble_link.Port.put`."""
        try:
            await self._client.write_gatt_char(self._up, value, response=False)
        except (OSError, EOFError, BleakError) as error:
            raise TapError(Code.LINK_LOST, f"the Bluetooth connection is lost: {reason(error)}") from error

    async def drop(self) -> None:
        """Disconnect; see :meth:`.ble_link.Port.drop`."""
        if not self._dropped:
            self._dropped = True
            await _disconnect(self._client)
            await self._radio.free()


async def connect(service: UUID, address: bytes, timeout: float | None, radio: Radio) -> GattLink:
    """Return an open link to whoever advertises ``service``; see :meth:`.link.Scheme.connect`.

    ``address`` (six bytes, or none) is the advertiser's, if a handover told it. Raises ``BAD_INPUT`` if this machine
    has no Bluetooth to use, with the remedy. ``radio`` is let go if this fails.
    """
    try:
        return await _connect(service, address, timeout, radio)
    except BaseException:
        await radio.free()
        raise


async def _connect(service: UUID, address: bytes, timeout: float | None, radio: Radio) -> GattLink:
    bound = None if timeout is None else max(timeout, SCAN_SECONDS) + CONNECT_SECONDS
    try:
        async with asyncio.timeout(bound):
            device = await _find(service, address, timeout, radio)
    except TimeoutError:
        raise TapError(Code.TIMEOUT, "this machine's Bluetooth does not answer; turn it off and on") from None
    except (OSError, EOFError, BleakError) as error:
        raise no_radio(error) from error
    if device is None:
        raise TapError(Code.LINK_LOST, f"nobody advertises {service} here")
    links: list[GattLink] = []

    def gone(_: BleakClient) -> None:
        for link in links:
            link.lost("the Bluetooth connection is lost")

    client = BleakClient(
        device, disconnected_callback=gone, services=[str(service)], timeout=CONNECT_SECONDS, **radio.client
    )
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await client.connect()
            up, down = _characteristics(client, service)
            link = GattLink(CentralPort(client, up, radio), central=True)
            links.append(link)
            await client.start_notify(down, lambda _, value: link.arrived(bytes(value)))
            await link.open()
    except BaseException as error:
        await _disconnect(client)
        if isinstance(error, TimeoutError):
            raise TapError(Code.TIMEOUT, f"the device that advertises {service} does not answer") from None
        if isinstance(error, (OSError, EOFError, BleakError)):
            raise TapError(Code.LINK_LOST, f"cannot connect to {service}: {reason(error)}") from error
        raise
    return link


async def _find(service: UUID, address: bytes, timeout: float | None, radio: Radio) -> BLEDevice | None:
    wanted = ":".join(f"{byte:02X}" for byte in address)

    def ours(device: BLEDevice, seen: AdvertisementData) -> bool:
        # macOS shows no addresses, but identifiers of its own, which are longer.
        same = not wanted or len(device.address) != len(wanted) or device.address.upper() == wanted
        return same and str(service) in seen.service_uuids

    scanner = BleakScanner(None, [str(service)], **radio.scanner)
    found: BLEDevice | None = None
    async with scanner, aclosing(scanner.advertisement_data()) as advertisements:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout if timeout is None else max(timeout, SCAN_SECONDS)):
                async for device, seen in advertisements:
                    if ours(device, seen):
                        found = device
                        break
    return found


def _characteristics(client: BleakClient, service: UUID) -> tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
    offered = client.services.get_service(service)
    up, down = (offered.get_characteristic(uuid) if offered else None for uuid in (UP, DOWN))
    if up is None or down is None:
        raise TapError(Code.LINK_LOST, f"the device that advertises {service} does not offer it")
    return up, down


async def _disconnect(client: BleakClient) -> None:
    with suppress(TimeoutError, OSError, EOFError, BleakError):
        async with asyncio.timeout(LINGER_SECONDS):
            await client.disconnect()
