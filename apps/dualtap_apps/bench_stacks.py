"""The wall time and bytes of a tap over each stack that this machine has, all without a radio."""

from __future__ import annotations

import logging
import secrets
import statistics
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from dualtap.context import Charge, Order, Pay
from dualtap.errors import TapError
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.suite import P256
from dualtap_devices.driver import Driver, run
from dualtap_devices.wallet import Wallet
from dualtap_testing.toyscheme import ToyScheme
from dualtap_transports import apdu_loopback, loopback, nfc, tcp
from dualtap_transports.link import Link, Listener, Scheme

if TYPE_CHECKING:
    from dualtap_transports.ble_dongle import Dongle

PATIENCE = 20.0
_LOCAL = "127.0.0.1:0"
_BLE_DATA = 251
"""Bytes of a data packet that controllers of today take; Bumble's take 27 unless told otherwise."""


class Counted:
    """``link``, with the bytes counted that are sent through it."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.bytes = 0

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        """Count a frame and send it."""
        self.bytes += len(frame)
        self._link.send(frame)

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame."""
        return self._link.receive(timeout)

    def close(self) -> None:
        """Close the link."""
        self._link.close()


@contextmanager
def _loopback() -> Generator[tuple[Link, Link]]:
    yield loopback.pair()


@contextmanager
def _apdu() -> Generator[tuple[Link, Link]]:
    yield apdu_loopback.pair()


@contextmanager
def _by_scheme(scheme: Scheme, where: str) -> Generator[tuple[Link, Link]]:
    with closing(scheme.listen(where)) as listener:
        near = scheme.connect(listener.address, PATIENCE)
        yield near, listener.accept(PATIENCE)


class _Reader:
    """A reader of a pcscd that runs until ``held`` is closed, in which a virtual card of ours stays for all taps."""

    def __init__(self, held: ExitStack) -> None:
        self._held = held
        self._found: tuple[str, Listener] | None = None

    @contextmanager
    def __call__(self) -> Generator[tuple[Link, Link]]:
        """Read the card; raises ``BAD_INPUT`` or ``ImportError`` where there can be no pcscd."""
        from dualtap_transports import pcsc

        name, card = self._found = self._found or self._started()
        near = pcsc.SCHEME.connect(name, PATIENCE)
        yield near, card.accept(PATIENCE)

    def _started(self) -> tuple[str, Listener]:
        from dualtap_transports import foreign, virtual_reader, vpcd

        foreign.scard()
        found = self._held.enter_context(virtual_reader.running())
        return found.names[0], self._held.enter_context(closing(vpcd.SCHEME.listen(found.addresses[0])))


@contextmanager
def _bumble() -> Generator[tuple[Link, Link]]:
    """Join unmodified bleak with Bumble's host, over Bumble's virtual controllers in this process."""
    from bumble.controller import Controller
    from bumble.host import Host
    from bumble.link import LocalLink
    from bumble.transport.common import AsyncPipeSink

    from dualtap_transports import ble_bumble_central, ble_central
    from dualtap_transports.ble_bumble import BumblePeripheral
    from dualtap_transports.ble_dongle import Dongle, make_device
    from dualtap_transports.ble_peripheral import GattListener
    from dualtap_transports.blocking import BlockingLink, LoopThread

    # Its controllers complain of what is still on its way when a link ends.
    logging.getLogger("bumble").setLevel(logging.CRITICAL)
    dongles: list[Dongle] = []

    async def joined() -> tuple[BlockingLink, BlockingLink]:
        air = cast("Callable[[], LocalLink]", LocalLink)()  # Bumble leaves it untyped
        for n in (1, 2):
            controller = Controller(f"C{n}", link=air, public_address=f"F0:00:00:00:00:0{n}")
            controller.le_acl_data_packet_length = _BLE_DATA
            dongles.append(Dongle(make_device(Host(controller, AsyncPipeSink(controller))), None))
            await dongles[-1].device.power_on()
        listener = GattListener(BumblePeripheral(dongles[1]))
        await listener.start()
        radio = ble_bumble_central.radio(dongles[0])
        central = await ble_central.connect(listener.service, listener.radio_address, PATIENCE, radio)
        peripheral = await listener.accept(PATIENCE)
        await listener.close()
        for _ in range(2):
            thread.retain()
        return BlockingLink(central, thread), BlockingLink(peripheral, thread)

    async def off() -> None:
        for dongle in dongles:
            await dongle.close()

    thread = LoopThread()
    try:
        yield thread.run(joined())
        thread.run(off())
    finally:
        thread.release()


def stacks(taps: int) -> list[dict[str, object]]:
    """Return for each stack the median of the wall times of ``taps`` taps, link included, or what is missing for it."""
    toy, found = ToyScheme(P256), list[dict[str, object]]()
    payer, payee = toy.memory_wallet(Carrier.WATCH, 1_000_000), toy.memory_wallet(Carrier.POS)
    with ExitStack() as held:
        kinds: dict[str, Callable[[], AbstractContextManager[tuple[Link, Link]]]] = {
            "loopback": _loopback,
            "tcp": partial(_by_scheme, tcp.SCHEME, _LOCAL),
            "apdu": _apdu,
            "nfc-udp": partial(_by_scheme, nfc.SCHEME, f"udp:{_LOCAL}"),
            "pcsc-vpcd": _Reader(held),
            "ble-bumble": _bumble,
        }
        for name, opened in kinds.items():
            try:
                found.append({"stack": name, **_measured(payer, payee, opened, taps)})
            except (ImportError, TapError) as error:
                found.append({"stack": name, "missing": getattr(error, "detail", "") or str(error)})
    return found


def _measured(
    payer: Wallet, payee: Wallet, opened: Callable[[], AbstractContextManager[tuple[Link, Link]]], taps: int
) -> dict[str, object]:
    """Return the medians of ``taps`` taps over one stack."""
    joins, times, size = list[float](), list[float](), 0
    for _ in range(taps):
        began = time.perf_counter()
        with opened() as ends:
            joins.append(time.perf_counter() - began)
            seconds, size = _tap(payer, payee, ends)
            times.append(seconds)
    link_ms, tap_ms = (round(1000 * statistics.median(item), 1) for item in (joins, times))
    return {"ms": tap_ms, "link_ms": link_ms, "bytes": size, "taps": taps}


def _tap(payer: Wallet, payee: Wallet, ends: tuple[Link, Link]) -> tuple[float, int]:
    """Run one tap, each side in a thread of its own; return seconds until both have ended, and bytes of frames."""
    links = [Counted(end) for end in ends]
    orders: tuple[Order, Order] = Pay(), Charge(5, "CNY", secrets.token_bytes(16))
    pays = Driver.fresh(payer, orders[0], initiator=True)
    collects = Driver.fresh(payee, orders[1], initiator=False)
    with ThreadPoolExecutor(1) as pool:
        began = time.perf_counter()
        other = pool.submit(run, collects, links[1], PATIENCE)
        report = run(pays, links[0], PATIENCE)
        other.result()
        seconds = time.perf_counter() - began
    if report.result is not Result.PAID:
        raise AssertionError(str(report))
    return seconds, sum(link.bytes for link in links)
