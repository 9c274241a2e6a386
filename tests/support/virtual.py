"""Bluetooth without a radio: Bumble's virtual controllers, in this process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from bumble.controller import Controller
from bumble.hci import HCI_CONNECTION_TIMEOUT_ERROR, Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

from dualtap_transports import ble_bumble_central, ble_central
from dualtap_transports.ble_bumble import BumblePeripheral
from dualtap_transports.ble_dongle import Dongle, make_device
from dualtap_transports.ble_link import GattLink
from dualtap_transports.ble_peripheral import GattListener
from dualtap_transports.blocking import BlockingLink, LoopThread
from dualtap_transports.link import Link

if TYPE_CHECKING:
    from bumble.core import PhysicalTransport

PATIENCE = 20.0
DATA_LENGTH = 251
"""Bytes of a data packet that controllers of today take; Bumble's take 27 unless told otherwise."""


class Space(LocalLink):
    """What virtual controllers hear each other through. It can be cut, or fall silent, at any packet of data."""

    def __init__(self) -> None:
        cast("Any", super()).__init__()
        self.packets = 0
        """Packets of data sent since the last :meth:`arm`."""
        self.silent = False
        """Whether data is lost and nobody is told, as when a host dies and its controller lives."""
        self._cut_at: int | None = None
        self._heard = False

    def arm(self, at: int | None, heard: bool = False) -> None:
        """Count anew, and cut every connection at packet ``at``, which is ``heard`` or not."""
        self.packets, self._cut_at, self._heard = 0, at, heard

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        now = self.packets == self._cut_at
        self.packets += 1
        if not self.silent and (not now or self._heard):
            super().send_acl_data(sender_controller, destination_address, transport, data)
        if now:
            asyncio.get_running_loop().call_soon(self.cut)

    def cut(self) -> None:
        """End every connection as when devices move apart: both controllers notice by their supervision time-out."""
        for controller in self.controllers:
            for connection in list(controller.le_connections.values()):
                controller.on_le_disconnected(connection, HCI_CONNECTION_TIMEOUT_ERROR)

    def leave(self, controller: Controller) -> None:
        """A device loses its power: it falls silent, and those connected to it notice by their time-out."""
        self.remove_controller(controller)
        controller.le_legacy_advertiser.stop()
        for advertising in controller.advertising_sets.values():
            advertising.stop()
        own = {connection.self_address for connection in controller.le_connections.values()}
        for other in self.controllers:
            for connection in [found for found in other.le_connections.values() if found.peer_address in own]:
                other.on_le_disconnected(connection, HCI_CONNECTION_TIMEOUT_ERROR)


class Air:
    """Virtual controllers that hear each other, each with a host; to be used in one event loop."""

    def __init__(self) -> None:
        self.space = Space()
        self._count = 0

    async def dongle(self) -> Dongle:
        """Return a new controller, and the host upon it."""
        self._count += 1
        controller = Controller(f"C{self._count}", link=self.space, public_address=f"F0:00:00:00:00:{self._count:02X}")
        controller.le_acl_data_packet_length = DATA_LENGTH
        dongle = Dongle(make_device(Host(controller, AsyncPipeSink(controller))), None)
        await dongle.device.power_on()
        return dongle


@dataclass
class Pair:
    """A central's and a peripheral's end of one link, and what carries them."""

    central: GattLink
    peripheral: GattLink
    dongles: tuple[Dongle, Dongle]

    async def close(self) -> None:
        await self.central.close()
        await self.peripheral.close()
        for dongle in self.dongles:
            await dongle.close()


async def listen(dongle: Dongle) -> GattListener:
    listener = GattListener(BumblePeripheral(dongle))
    await listener.start()
    return listener


async def connect(dongle: Dongle, listener: GattListener) -> GattLink:
    radio = ble_bumble_central.radio(dongle)
    return await ble_central.connect(listener.service, listener.radio_address, PATIENCE, radio)


async def join(air: Air | None = None) -> Pair:
    """Return two joined ends, over unmodified bleak."""
    air = air or Air()
    near, far = await air.dongle(), await air.dongle()
    async with AsyncExitStack() as stack:
        listener = await listen(far)
        stack.push_async_callback(listener.close)
        central = await connect(near, listener)
        peripheral = await listener.accept(PATIENCE)
    return Pair(central, peripheral, (near, far))


class BleHarness:
    """Two ends for the contract suite, central first unless ``turned``."""

    def __init__(self, turned: bool = False) -> None:
        self._turned = turned

    def open(self, stack: ExitStack) -> tuple[Link, Link]:
        thread = LoopThread()
        stack.callback(thread.release)
        pair = thread.run(join())
        stack.callback(lambda: thread.run(pair.close()))
        ends: list[Link] = []
        for link in (pair.central, pair.peripheral):
            thread.retain()
            ends.append(BlockingLink(link, thread))
        near, far = reversed(ends) if self._turned else ends
        return near, far
