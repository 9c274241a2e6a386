"""A timed round over unmodified bleak and Bumble, whose controllers wait for connection events as a radio does."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.events import Result
from dualtap_apps.modelled_round import FRAME
from dualtap_devices.driver import Driver, run
from dualtap_transports import ble
from dualtap_transports.blocking import BlockingLink, LoopThread
from dualtap_transports.link import Link
from dualtap_transports.nearness import NFC_SECONDS, round_trip_of
from tests.playbook import TIER, World
from tests.support.virtual import PATIENCE, Air, Space, join

if TYPE_CHECKING:
    from bumble.controller import Controller
    from bumble.core import PhysicalTransport
    from bumble.hci import Address

CAP = 1_000
INTERVAL = 0.05
"""Seconds between connection events: the longest that systems choose by themselves."""


class Intervals(Space):
    """Packets of data wait for the next connection event, once it is told how far these are apart."""

    interval = 0.0

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        send = super().send_acl_data
        if not self.interval:
            send(sender_controller, destination_address, transport, data)
            return
        loop = asyncio.get_running_loop()
        event = self.interval * math.ceil(loop.time() / self.interval)
        self.packets += 1  # in their order: each a little after the last
        loop.call_at(event + self.packets * 1e-6, send, sender_controller, destination_address, transport, data)


class Watched:
    """A link that notes when its Pings went and their Pongs came."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.close = link.close
        self.sent = 0.0
        self.rounds: list[float] = []

    @property
    def max_frame(self) -> int:
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        self.sent = time.monotonic() if len(frame) == FRAME else 0.0
        self._link.send(frame)

    def receive(self, timeout: float | None) -> bytes:
        frame = self._link.receive(timeout)
        if self.sent and len(frame) == FRAME:
            self.rounds.append(time.monotonic() - self.sent)
        return frame


def tap(amount: int, within: float | None) -> tuple[Driver, Watched]:
    """Pay over a link with this interval; return the payer, and the times of its rounds."""
    world = World(tiers=(TIER._replace(untimed=CAP),))
    payer, payee = world.wallet(fund=10_000), world.wallet()
    pays = Driver.fresh(payer, Pay(), initiator=True, within=within)
    collects = Driver.fresh(payee, Charge(amount, "CNY", bytes(16)), initiator=False)
    with ExitStack() as stack:
        thread = LoopThread()
        stack.callback(thread.release)
        air = Air()
        air.space = space = Intervals()
        pair = thread.run(join(air))
        stack.callback(lambda: thread.run(pair.close()))
        space.interval = INTERVAL
        for _ in range(2):
            thread.retain()
        near = Watched(BlockingLink(pair.central, thread))
        other = threading.Thread(target=run, args=(collects, BlockingLink(pair.peripheral, thread), PATIENCE))
        other.start()
        run(pays, near, PATIENCE)
        other.join()
        space.interval = 0.0
    world.check()
    return pays, near


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worlds of these tests are dated; a driver's clock goes on from there."""
    monkeypatch.setattr("time.time", lambda: World().epoch * 86_400.0)


def test_an_honest_link_with_round_trips_of_60_to_100_ms_is_near() -> None:
    """§24-3: by Bluetooth's own threshold."""
    pays, near = tap(CAP + 1, round_trip_of(ble.SCHEME))
    assert pays.result.result is Result.PAID, pays.result
    assert INTERVAL < min(near.rounds) < 0.15


def test_what_is_near_on_bluetooth_is_too_far_for_nfc() -> None:
    """§24-3, §24-4: the threshold is the link's kind's. Up to the cap nobody measures."""
    pays, near = tap(CAP + 1, INTERVAL - 0.001)
    assert (pays.result.result, pays.result.code) == (Result.NOT_PAID, Code.TOO_FAR)
    assert len(near.rounds) == 4
    assert min(near.rounds) > INTERVAL
    assert max(near.rounds) > NFC_SECONDS
    less, unmeasured = tap(CAP, None)
    assert less.result.result is Result.PAID
    assert unmeasured.rounds == []
