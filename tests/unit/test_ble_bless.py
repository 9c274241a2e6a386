"""The operating system's peripheral, on a stand-in with the calls and quirks of bless."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import Flag
from importlib import import_module
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from dualtap.errors import Code, TapError
from dualtap_transports import ble_bless, ble_link
from dualtap_transports.ble_bless import BlessPeripheral
from dualtap_transports.ble_link import GattLink
from dualtap_transports.ble_peripheral import NAME, GattListener
from dualtap_transports.gatt import DOWN, UP

PATIENCE = 20.0
bless: Any = import_module("bless")


class Characteristic:
    def __init__(self) -> None:
        self.value = bytearray()


class Server:
    """What bless calls a server; one central can be subscribed to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.write_request_func: Callable[..., None] | None = None
        self.characteristics: dict[str, tuple[str, Flag, object, Flag]] = {}
        self.down = Characteristic()
        self.log: list[str] = []
        self.full = 0
        self.central: GattLink | None = None
        self.broken: Exception | None = None

    async def add_new_service(self, uuid: str) -> None:
        self.log.append(f"service {uuid}")
        if self.broken:
            raise self.broken

    async def add_new_characteristic(self, service: str, uuid: str, does: Flag, value: object, may: Flag) -> None:
        self.characteristics[uuid] = service, does, value, may

    async def start(self) -> None:
        self.log.append("start")

    async def stop(self) -> None:
        self.log.append("stop")
        if self.broken:
            raise self.broken

    def get_characteristic(self, uuid: str) -> Characteristic:
        assert uuid == str(DOWN)
        return self.down

    def update_value(self, service: str, uuid: str) -> bool:
        if self.broken:
            raise self.broken
        if self.full:
            self.full -= 1
            return False
        if self.central is not None:
            self.central.arrived(bytes(self.down.value))
        return True

    async def is_connected(self) -> bool:
        return self.central is not None


class Bless:
    """The module; keeps the server that it made."""

    GATTCharacteristicProperties = bless.GATTCharacteristicProperties
    GATTAttributePermissions = bless.GATTAttributePermissions

    def __init__(self, broken: Exception | None = None) -> None:
        self.server = Server("")
        self.broken = broken

    def BlessServer(self, name: str) -> Server:
        self.server = Server(name)
        self.server.broken = self.broken
        return self.server


class Writes:
    """A central's port: its values reach bless's callback in a thread of the system's, as on macOS."""

    most = 512

    def __init__(self, server: Server) -> None:
        self._server = server

    async def put(self, value: bytes) -> None:
        assert self._server.write_request_func is not None
        call = Thread(target=self._server.write_request_func, args=(None, bytearray(value)))
        call.start()
        call.join()

    async def drop(self) -> None:
        self._server.central = None


def subscribe(server: Server) -> GattLink:
    server.central = GattLink(Writes(server), central=True)
    return server.central


def played(story: Callable[[Bless, GattListener], Coroutine[Any, Any, None]]) -> Bless:
    module = Bless()

    async def play() -> None:
        listener = GattListener(BlessPeripheral(module))
        await listener.start()
        await asyncio.wait_for(story(module, listener), PATIENCE)
        await listener.close()

    asyncio.run(play())
    return module


async def refusal(work: Awaitable[object]) -> TapError:
    with pytest.raises(TapError) as caught:
        await work
    return caught.value


def test_the_service_is_offered_without_a_name_of_ones_own() -> None:
    """§19-1, §19-2: BlueZ and macOS add the name to the advertisement, which all devices share."""
    seen: list[UUID] = []

    async def story(module: Bless, listener: GattListener) -> None:
        server = module.server
        seen.append(listener.service)
        assert server.name == NAME
        assert len(NAME) <= 10, "macOS would leave the service out"
        assert server.log == [f"service {listener.service}", "start"]
        does, may = bless.GATTCharacteristicProperties, bless.GATTAttributePermissions
        service = str(listener.service)
        assert server.characteristics == {
            str(UP): (service, does.write_without_response, None, may.writeable),
            str(DOWN): (service, does.notify, None, may.readable),
        }
        assert listener.radio_address == b""

    assert played(story).server.log[-1] == "stop"
    assert seen[0].version == 4


def test_a_link_begins_with_the_first_value_and_frames_pass() -> None:
    """Also while the system's queue is full now and then: a value that it refuses is not lost."""

    async def story(module: Bless, listener: GattListener) -> None:
        central = subscribe(module.server)
        await central.open()
        link = await listener.accept(PATIENCE)
        await central.send(b"up" * 1000)
        assert await link.receive(PATIENCE) == b"up" * 1000
        module.server.full = 3
        await link.send(b"down" * 1000)
        assert await central.receive(PATIENCE) == b"down" * 1000
        await asyncio.gather(link.close(), central.close())
        again = subscribe(module.server)
        await again.open()
        await again.send(b"the next one")
        assert await (await listener.accept(PATIENCE)).receive(PATIENCE) == b"the next one"
        await again.close()

    played(story)


def test_a_central_that_leaves_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_bless, "POLL_SECONDS", 0.01)

    async def story(module: Bless, listener: GattListener) -> None:
        central = subscribe(module.server)
        await central.open()
        link = await listener.accept(PATIENCE)
        waiting = asyncio.ensure_future(refusal(link.receive(None)))
        await asyncio.sleep(0)
        module.server.central = None
        assert (await waiting).code is Code.LINK_LOST
        await link.close()

    played(story)


def test_a_system_that_fails_is_a_lost_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_link, "LINGER_SECONDS", 0.05)

    async def story(module: Bless, listener: GattListener) -> None:
        central = subscribe(module.server)
        await central.open()
        link = await listener.accept(PATIENCE)
        module.server.broken = OSError("bluetoothd has gone")
        error = await refusal(link.send(b"x"))
        assert (error.code, "bluetoothd has gone" in error.detail) == (Code.LINK_LOST, True)
        await link.close()

    played(story)


def test_writes_after_the_end_are_nobodys() -> None:
    async def story(module: Bless, listener: GattListener) -> None:
        central = subscribe(module.server)
        await listener.close()
        await central.open()
        await asyncio.sleep(0)
        assert (await refusal(listener.accept(0))).code is Code.LINK_LOST

    played(story)


@pytest.mark.parametrize(
    ("broken", "remedy"),
    [
        (Exception("Could not locate bluetooth adapter"), "plug one in"),
        (FileNotFoundError(2, "No such file"), "no D-Bus system bus"),
        (PermissionError(13, "denied"), "join the group"),
    ],
)
def test_a_machine_that_cannot_is_told_what_to_do(broken: Exception, remedy: str) -> None:
    async def run() -> None:
        listener = GattListener(BlessPeripheral(Bless(broken)))
        error = await refusal(listener.start())
        assert (error.code, remedy in error.detail) == (Code.BAD_INPUT, True)

    asyncio.run(run())


def test_bless_itself_has_what_is_used_here() -> None:
    """The stand-in's calls are those of the installed bless; its server needs a system bus, which a test has not."""
    for name in ("add_new_service", "add_new_characteristic", "start", "stop", "get_characteristic", "update_value",
                 "is_connected", "write_request_func"):  # fmt: skip
        assert hasattr(bless.BlessServer, name), name
