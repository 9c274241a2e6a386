"""A Bluetooth controller of one's own, under Bumble: a whole Bluetooth host in Python.

It works without the operating system's stack: on Windows, which gives no peripheral's role to Python, and in tests
without any radio.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from bumble.device import Connection, Device, DeviceConfiguration
from bumble.hci import HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR, Address
from bumble.host import Host
from bumble.transport import open_transport

from .ble_errors import no_dongle
from .ble_link import LINGER_SECONDS
from .ble_peripheral import NAME

if TYPE_CHECKING:
    from bumble.transport.common import Transport

START_SECONDS = 5.0
"""Seconds in which a controller must answer the first commands: real ones take a fraction of one."""
# Bumble tells its log what its callers learn anyway; without a handler, Python prints that on people's terminals.
logging.getLogger("bumble").addHandler(logging.NullHandler())

ATT_HEADER = 3
"""Bytes of a notification, or of a write without response, before its value."""


class Dongle:
    """A controller, opened by Bumble's name for it (``usb:0``, ``serial:/dev/ttyACM0``), and the host upon it."""

    def __init__(self, device: Device, transport: Transport | None) -> None:
        self.device = device
        """The host. Its address is random, and fresh."""
        self._transport = transport

    @classmethod
    async def open(cls, spec: str) -> Dongle:
        """Open the controller that ``spec`` names. Raises ``BAD_INPUT``, with the remedy."""
        transport: Transport | None = None
        try:
            async with asyncio.timeout(START_SECONDS):
                transport = await open_transport(spec)
                host = Host(transport.source, transport.sink)
                dongle = cls(make_device(host), transport)
                await dongle.device.power_on()
                return dongle
        # Each kind of controller fails in its own way, some of them by a bare Exception.
        except Exception as error:
            if transport is not None:
                await transport.close()
            raise no_dongle(spec, error) from error

    async def close(self) -> None:
        """Let the controller go. Never raises."""
        with suppress(Exception):
            async with asyncio.timeout(LINGER_SECONDS):
                await self.device.power_off()
        if self._transport is not None:
            with suppress(Exception):
                await self._transport.close()
            self._transport = None


def fresh_address() -> Address:
    """Return a random static address: fresh for every listener, so that it follows nobody."""
    address = bytearray(secrets.token_bytes(6))
    address[5] |= 0xC0
    return Address(bytes(address), Address.RANDOM_DEVICE_ADDRESS)


def make_device(host: Host) -> Device:
    """Return a Bumble device that says nothing of who it is."""
    config = DeviceConfiguration(name=NAME, address=fresh_address(), keystore=None, classic_enabled=False)
    return Device(config=config, host=host)


async def disconnect(connection: Connection) -> None:
    """End a connection, if it stands. Never raises, and takes a second at most."""
    if connection.device.lookup_connection(connection.handle) is not connection:
        return
    # What a host says of a connection that ends meanwhile differs by when: all of it means that it has ended.
    with suppress(Exception):
        async with asyncio.timeout(LINGER_SECONDS):
            await connection.disconnect(HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)
