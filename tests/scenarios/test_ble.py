"""Taps over Bluetooth LE: unmodified bleak and Bumble's hosts, over virtual controllers that fail as planned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError
from bumble.core import AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Device

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Report, Result
from dualtap_devices import aio
from dualtap_devices.driver import Driver
from dualtap_devices.wallet import Wallet
from dualtap_transports import ble_bumble_central, ble_central, ble_link, ble_peripheral
from dualtap_transports.ble_dongle import Dongle
from dualtap_transports.ble_peripheral import GUESTS, NAME, GattListener
from dualtap_transports.gatt import DOWN, END, UP, VALUE, WINDOW, encode_opening
from tests.playbook import EPOCH, World
from tests.support.virtual import PATIENCE, Air, Pair, connect, join, listen

if TYPE_CHECKING:
    from bleak.backends.scanner import BaseBleakScanner

T = TypeVar("T")
NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"sixteen bytes..."
SOON = 0.05


def played(story: Callable[[Air], Coroutine[Any, Any, T]]) -> T:
    """Play a story in an air of its own."""

    async def play() -> T:
        return await asyncio.wait_for(story(Air()), 2 * PATIENCE)

    return asyncio.run(play())


async def refusal(work: Awaitable[object]) -> TapError:
    with pytest.raises(TapError) as caught:
        await work
    return caught.value


def drive(world: World, wallet: Wallet, order: Order, starts: bool) -> Driver:
    return Driver(wallet, order, starts, world.suite.ephemeral(world.draw()), world.draw(), clock=lambda: NOW)


class Meeting:
    """A payer and a payee in one world, who tap over the air; the payer is the central or not."""

    def __init__(self, seed: str, payer_central: bool) -> None:
        self.world = World(seed=seed)
        self.payer, self.payee = self.world.wallet(fund=500), self.world.wallet()
        self._payer_central = payer_central

    async def tap(self, pair: Pair) -> tuple[Report, Report]:
        """Tap over a pair; return how payer and payee ended."""
        pays = drive(self.world, self.payer, Pay(), self._payer_central)
        collects = drive(self.world, self.payee, Charge(100, "CNY", BASKET), not self._payer_central)
        near, far = (pays, collects) if self._payer_central else (collects, pays)
        await asyncio.gather(aio.run(near, pair.central, PATIENCE), aio.run(far, pair.peripheral, PATIENCE))
        await pair.close()
        self.world.check()
        return pays.result, collects.result


# A tap, and a tap torn


@pytest.mark.parametrize("payer_central", [True, False], ids=["payer-central", "payee-central"])
def test_a_tap(payer_central: bool) -> None:
    async def story(air: Air) -> None:
        meeting = Meeting("tap", payer_central)
        paid, collected = await meeting.tap(await join(air))
        assert (paid.result, collected.result) == (Result.PAID, Result.COLLECTED)
        assert meeting.payee.book.available(EPOCH) == 100

    played(story)


async def torn_taps(payer_central: bool, heard: bool) -> tuple[int, set[Result]]:
    """Tear a tap at each packet in turn and heal it; return how many were torn, and how the payer took it."""
    at, ends = 0, set[Result]()
    while True:
        air, meeting = Air(), Meeting(f"torn {at}", payer_central)
        pair = await join(air)
        air.space.arm(at, heard)
        torn, _ = await meeting.tap(pair)
        ends.add(torn.result)
        over = air.space.packets <= at
        air.space.arm(None)
        again, _ = await meeting.tap(await join(air))
        assert again.result in (Result.PAID, Result.DONE)
        assert not meeting.payer.book.pending
        assert meeting.payee.book.available(EPOCH) == 100
        if over:
            return at, ends
        at += 1


@pytest.mark.parametrize("heard", [False, True], ids=["packet-lost", "packet-heard"])
@pytest.mark.parametrize("payer_central", [True, False], ids=["payer-central", "payee-central"])
def test_a_tear_at_every_packet_is_healed_by_a_second_tap(payer_central: bool, heard: bool) -> None:
    """§1-4, over SPEC §19: the connection is lost at each packet of data, as the controllers notice it."""
    torn, ends = asyncio.run(torn_taps(payer_central, heard))
    assert torn >= 6, "not every packet was torn"
    assert ends == {Result.NOT_PAID, Result.IN_DOUBT, Result.PAID}


# What is on the air


def heard_by(device: Device) -> list[Advertisement]:
    heard: list[Advertisement] = []
    device.on(Device.EVENT_ADVERTISEMENT, heard.append)
    return heard


async def advertisements(air: Air, listener: GattListener) -> list[Advertisement]:
    """Return what a stranger hears of a listener, asking it for its scan response too."""
    stranger = await air.dongle()
    heard = heard_by(stranger.device)
    await stranger.device.start_scanning(active=True)
    while len(heard) < 3:
        await asyncio.sleep(0.01)
    await stranger.close()
    assert listener.service.version == 4
    return heard


def test_an_advertisement_holds_a_fresh_service_and_nothing_that_identifies() -> None:
    """§19-1: no name but the one that all share, no maker's data, another address and service for each charge."""

    async def story(air: Air) -> None:
        seen: set[tuple[str, str]] = set()
        dongles: list[Dongle] = []
        for _ in range(2):
            dongles.append(await air.dongle())
            listener = await listen(dongles[-1])
            for said in await advertisements(air, listener):
                kinds = {kind for kind, _ in said.data.ad_structures}
                assert kinds <= {
                    AdvertisingData.FLAGS, AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
                }  # fmt: skip
                assert not said.address.is_public
                services = ble_bumble_central.advertised_services(said.data)
                assert set(services) == {str(listener.service)}
                seen |= {(str(said.address), service) for service in services}
            await listener.close()
        assert len(seen) == len({address for address, _ in seen}) == len({service for _, service in seen}) == 2
        for dongle in dongles:
            assert dongle.device.name == NAME

    played(story)


def test_a_listener_that_closed_is_not_heard() -> None:
    async def story(air: Air) -> None:
        listener = await listen(await air.dongle())
        await listener.close()
        stranger = await air.dongle()
        heard = heard_by(stranger.device)
        await stranger.device.start_scanning()
        await asyncio.sleep(0.1)
        assert not heard
        await stranger.close()

    played(story)


# Who is there, and who is not


def test_nobody_advertises() -> None:
    async def story(air: Air) -> None:
        radio = ble_bumble_central.radio(await air.dongle())
        error = await refusal(ble_central.connect(uuid4(), b"", 0, radio))
        assert error.code is Code.LINK_LOST
        assert "nobody advertises" in error.detail

    played(story)


def test_a_central_connects_to_its_offers_service_and_address_only() -> None:
    """§19-15: another service beside ours, and ours from another address."""

    async def story(air: Air) -> None:
        ours, theirs = await listen(await air.dongle()), await listen(await air.dongle())
        near = await air.dongle()
        radio = replace(ble_bumble_central.radio(near), release=None)
        wrong = await refusal(ble_central.connect(ours.service, theirs.radio_address, 0, radio))
        assert wrong.code is Code.LINK_LOST
        link = await ble_central.connect(ours.service, ours.radio_address, PATIENCE, radio)
        accepted = await ours.accept(PATIENCE)
        assert (await refusal(theirs.accept(SOON))).code is Code.TIMEOUT
        for end in (link, accepted, ours, theirs, near):
            await end.close()

    played(story)


def test_a_device_that_advertises_the_service_and_has_it_not() -> None:
    async def story(air: Air) -> None:
        far, near, service = await air.dongle(), await air.dongle(), uuid4()
        structure = (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, service.bytes[::-1])
        far.device.advertising_data = bytes(AdvertisingData([structure]))
        await far.device.start_advertising(advertising_interval_min=30, advertising_interval_max=30)
        error = await refusal(ble_central.connect(service, b"", PATIENCE, ble_bumble_central.radio(near)))
        assert error.code is Code.LINK_LOST
        assert "does not offer it" in error.detail
        await far.close()

    played(story)


@pytest.mark.parametrize("at", [0, 1, 3, 6])
def test_a_connection_lost_while_it_is_made(at: int) -> None:
    """Nothing hangs: the central says so, and the listener waits for the next."""

    async def story(air: Air) -> None:
        listener = await listen(await air.dongle())
        air.space.arm(at)
        error = await refusal(connect(await air.dongle(), listener))
        assert error.code is Code.LINK_LOST
        air.space.arm(None)
        link = await connect(await air.dongle(), listener)
        accepted = await listener.accept(PATIENCE)
        for end in (link, accepted, listener):
            await end.close()

    played(story)


def test_a_peer_that_answers_nothing_while_a_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19-9."""
    monkeypatch.setattr(ble_central, "CONNECT_SECONDS", 0.3)

    async def story(air: Air) -> None:
        listener = await listen(await air.dongle())
        air.space.silent = True
        assert (await refusal(connect(await air.dongle(), listener))).code is Code.TIMEOUT
        await listener.close()

    played(story)


def test_a_link_lost_is_noticed_by_both_at_once() -> None:
    async def story(air: Air) -> None:
        pair = await join(air)
        waiting = [asyncio.ensure_future(refusal(end.receive(None))) for end in (pair.central, pair.peripheral)]
        await asyncio.sleep(0)
        air.space.cut()
        for error in await asyncio.gather(*waiting):
            assert (error.code, error.detail) == (Code.LINK_LOST, "the Bluetooth connection is lost")
        for end in (pair.central, pair.peripheral):
            assert (await refusal(end.send(b"x"))).code is Code.LINK_LOST
        await pair.close()

    played(story)


@pytest.mark.parametrize("payer_central", [True, False], ids=["payer-central", "payee-central"])
def test_a_peer_whose_host_died_costs_the_time_allowed_and_nothing_else(payer_central: bool) -> None:
    """§19-9: the controllers go on; no supervision time-out tells."""

    async def story(air: Air) -> None:
        meeting = Meeting("dead", payer_central)
        pair = await join(air)
        air.space.silent = True
        survivor = pair.central if payer_central else pair.peripheral
        side = drive(meeting.world, meeting.payer, Pay(), payer_central)
        report = await aio.run(side, survivor, SOON)
        assert (report.result, report.code) == (Result.NOT_PAID, Code.TIMEOUT)
        await pair.close()
        air.space.silent = False
        paid, _ = await meeting.tap(await join(air))
        assert paid.result is Result.PAID

    played(story)


class Hung(ble_bumble_central.BumbleScanner):
    """A stack that does not even begin to scan."""

    async def start(self) -> None:
        await asyncio.Event().wait()


class Broken(ble_bumble_central.BumbleScanner):
    """A stack that fails when it should scan."""

    async def start(self) -> None:
        raise BleakError("the radio is on fire")


@pytest.mark.parametrize(
    ("backend", "code", "said"),
    [(Hung, Code.TIMEOUT, "does not answer"), (Broken, Code.BAD_INPUT, "the radio is on fire")],
)
def test_a_stack_that_cannot_scan_is_told(
    monkeypatch: pytest.MonkeyPatch, backend: type[BaseBleakScanner], code: Code, said: str
) -> None:
    """§19-9."""
    monkeypatch.setattr(ble_central, "CONNECT_SECONDS", SOON)
    monkeypatch.setattr(ble_central, "SCAN_SECONDS", SOON)

    async def story(air: Air) -> None:
        radio = ble_bumble_central.radio(await air.dongle())
        radio.scanner["backend"] = backend
        error = await refusal(ble_central.connect(uuid4(), b"", 0, radio))
        assert (error.code, said in error.detail) == (code, True)

    played(story)


def test_a_controller_that_does_not_advertise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(air: Air) -> None:
        dongle = await air.dongle()

        async def refuse(**options: object) -> None:
            raise BaseBumbleError("no such command")

        monkeypatch.setattr(dongle.device, "start_advertising", refuse)
        error = await refusal(listen(dongle))
        assert (error.code, "no such command" in error.detail) == (Code.BAD_INPUT, True)

    played(story)


# Hostile peers


class Stranger:
    """A central that says whatever it likes, through bleak."""

    def __init__(self, client: BleakClient) -> None:
        self.client = client
        self.heard: list[bytes] = []

    @classmethod
    async def of(cls, air: Air, listener: GattListener) -> Stranger:
        radio = ble_bumble_central.radio(await air.dongle())
        wanted = [str(listener.service)]
        device = await BleakScanner.find_device_by_filter(
            lambda _, seen: wanted == seen.service_uuids, PATIENCE, service_uuids=wanted, **radio.scanner
        )
        assert device is not None
        stranger = cls(BleakClient(device, services=wanted, **radio.client))
        await stranger.client.connect()
        await stranger.client.start_notify(DOWN, lambda _, value: stranger.heard.append(bytes(value)))
        return stranger

    def gone(self) -> bool:
        return not self.client.is_connected

    async def say(self, *values: bytes) -> None:
        for value in values:
            await self.client.write_gatt_char(UP, value, response=False)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not done():
            await asyncio.sleep(0.005)


OPENING = encode_opening(VALUE)
HOSTILE: dict[str, tuple[list[bytes], Code]] = {
    "garbage": ([b"\x7e\x42garbage"], Code.MALFORMED),
    "an unknown control": ([b"\x02"], Code.MALFORMED),
    "an empty value": ([b""], Code.MALFORMED),
    "a length beyond all": ([b"\x80\xff\xff" + b"x" * 100], Code.TOO_LARGE),
    "endless chaining": (
        [b"\x80\x40\x00" + b"x" * 509, *(bytes([0x80 | i]) + b"x" * 511 for i in range(1, 40))], Code.MALFORMED),
    "a flood of short frames": ([b"\x00\x00\x0d" + b"x" * 13] * (WINDOW // 16 + 10), Code.TOO_LARGE),
    "grants for nothing": ([b"\x01"] * 3, Code.MALFORMED),
    "a chunk, then the end": ([b"\x80\x00\x05x", END], Code.LINK_LOST),
}  # fmt: skip


@pytest.mark.parametrize("values", [pytest.param(*case[0:1], id=name) for name, case in HOSTILE.items()])
def test_a_hostile_central_ends_its_own_tap_and_nothing_else(values: list[bytes]) -> None:
    """§19-6, §19-7: in bounded time and memory, with a typed error; the next customer pays."""
    code = next(code for said, code in HOSTILE.values() if said is values)

    async def story(air: Air) -> None:
        meeting = Meeting("hostile", payer_central=True)
        listener = await listen(await air.dongle())
        stranger = await Stranger.of(air, listener)
        await stranger.say(OPENING)
        link = await listener.accept(PATIENCE)
        if len(values) > 1000:
            await stranger.say(*values)  # before anybody reads
        else:
            saying = asyncio.ensure_future(stranger.say(*values))
            saying.add_done_callback(lambda done: done.exception())
        side = drive(meeting.world, meeting.payee, Charge(100, "CNY", BASKET), False)
        report = await aio.run(side, link, PATIENCE)
        assert report.result is Result.NOT_PAID
        assert report.code in (code, Code.MALFORMED)
        await listener.close()
        await stranger.client.disconnect()
        paid, _ = await meeting.tap(await join(air))
        assert paid.result is Result.PAID

    played(story)


def test_a_central_that_begins_otherwise_is_dropped_unheard() -> None:
    """§19-3, §19-10: nothing is notified to it, and no tap is spent on it."""

    async def story(air: Air) -> None:
        listener = await listen(await air.dongle())
        for first in (b"hello", END, b"\x02\x02\x00"):
            stranger = await Stranger.of(air, listener)
            await stranger.say(first)
            await until(stranger.gone)
            assert set(stranger.heard) <= {END}
        customer = await connect(await air.dongle(), listener)
        await customer.send(b"I pay")
        assert await (await listener.accept(PATIENCE)).receive(PATIENCE) == b"I pay"
        await customer.close()
        await listener.close()

    played(story)


def test_a_silent_central_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19-10: a customer comes in while strangers say nothing, and they are dropped after a while."""
    monkeypatch.setattr(ble_peripheral, "OPENING_SECONDS", 1.0)

    async def story(air: Air) -> None:
        listener = await listen(await air.dongle())
        strangers = [await Stranger.of(air, listener) for _ in range(GUESTS - 1)]
        customer = await connect(await air.dongle(), listener)
        accepted = await listener.accept(PATIENCE)
        await until(lambda: all(stranger.gone() for stranger in strangers))
        await customer.send(b"still here")
        assert await accepted.receive(PATIENCE) == b"still here"
        for end in (customer, accepted, listener):
            await end.close()

    played(story)


def test_more_strangers_than_are_held_are_dropped_at_once() -> None:
    """§19-10."""

    async def story(air: Air) -> None:
        listener = await listen(await air.dongle())
        strangers = [await Stranger.of(air, listener) for _ in range(GUESTS)]
        with pytest.raises(BleakError):
            await Stranger.of(air, listener)
        assert all(stranger.client.is_connected for stranger in strangers)
        await listener.close()
        await until(lambda: all(stranger.gone() for stranger in strangers))

    played(story)


def test_a_central_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19-9: it opens its link and says half a frame."""
    monkeypatch.setattr(ble_link, "LINGER_SECONDS", SOON)

    async def story(air: Air) -> None:
        listener = await listen(await air.dongle())
        stranger = await Stranger.of(air, listener)
        await stranger.say(OPENING, b"\x80\x00\x05x")
        link = await listener.accept(PATIENCE)
        assert (await refusal(link.receive(SOON))).code is Code.TIMEOUT
        await link.close()
        assert END in stranger.heard
        await until(stranger.gone)
        await listener.close()

    played(story)


def test_a_peripheral_that_notifies_garbage_ends_the_tap() -> None:
    """§19-6: the central is as careful; and it has said nothing but its Hello."""

    async def story(air: Air) -> None:
        meeting = Meeting("garbage", payer_central=True)
        pair = await join(air)
        peripheral: Any = pair.peripheral
        side = drive(meeting.world, meeting.payer, Pay(), True)
        tapping = asyncio.ensure_future(aio.run(side, pair.central, PATIENCE))
        await pair.peripheral.receive(PATIENCE)
        await peripheral._port.put(b"\x80\xff\xff" + bytes(200))
        report = await tapping
        assert (report.result, report.code) == (Result.NOT_PAID, Code.TOO_LARGE)
        await pair.close()

    played(story)


def test_services_differ_from_charge_to_charge() -> None:
    """§19-1."""
    made: set[UUID] = set()

    async def story(air: Air) -> None:
        for _ in range(3):
            listener = await listen(await air.dongle())
            made.add(listener.service)
            await listener.close()

    played(story)
    assert len(made) == 3
