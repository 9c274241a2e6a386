"""Whoever is at the other end of a stack may say anything in whole frames: a tap ends with a typed error, and no more.

Those who break a stack's own framing are met in ``tests/scenarios/test_nfc_hostile.py``, ``test_pcsc.py``,
``tests/scenarios/test_ble.py`` and ``tests/contract``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial

import pytest

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.wire import VERSION, Hello, Want, encode_hello
from dualtap_devices.driver import Driver, run
from dualtap_devices.wallet import Wallet
from dualtap_transports.contract import Ends
from dualtap_transports.link import Link
from tests.playbook import EPOCH, World

PATIENCE = 20.0
SOON = 0.5
"""Seconds for which a victim of a stall waits."""
NOW = float(EPOCH * limits.EPOCH_SECONDS)
FLOOD = 300
STACKS = ("loopback", "tcp", "lan", "nfc-udp", "pcscd", "ble", "nfc+ble")
Join = Callable[[], Ends]


@pytest.fixture(params=STACKS)
def join(request: pytest.FixtureRequest, join_over: Callable[[str], Ends]) -> Join:
    """Opens links over a stack: the end that connects, then the one that waits."""
    return partial(join_over, request.param)


def garbage(link: Link, hello: bytes) -> None:
    del hello
    link.send(b"\x7f garbage " * 5)


def flood(link: Link, hello: bytes) -> None:
    del hello
    for _ in range(FLOOD):
        link.send(b"\x7f" * link.max_frame)


def flood_after_hello(link: Link, hello: bytes) -> None:
    link.send(hello)
    for _ in range(FLOOD):
        link.send(bytes(100))


def stall(link: Link, hello: bytes) -> None:
    del hello
    with suppress(TapError):
        while True:
            link.receive(PATIENCE)


ATTACKS: dict[str, Callable[[Link, bytes], None]] = {
    "garbage": garbage,
    "flood": flood,
    "flood after Hello": flood_after_hello,
    "stall": stall,
}


def drive(world: World, wallet: Wallet, order: Order, starts: bool) -> Driver:
    return Driver(wallet, order, starts, world.suite.ephemeral(world.draw()), world.draw(), clock=lambda: NOW)


@pytest.mark.parametrize("connects", [True, False], ids=["victim-connects", "victim-waits"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_peer_costs_a_tap_and_nothing_else(join: Join, attack: str, connects: bool) -> None:
    """In bounded time, with a typed error; the next tap over this stack pays."""
    world = World(seed="hostile")
    payer, payee = world.wallet(fund=500), world.wallet()
    orders: dict[bool, tuple[Wallet, Order]] = {True: (payer, Pay()), False: (payee, Charge(100, "CNY", bytes(16)))}
    hello = encode_hello(Hello(world.scheme.hint, (VERSION,), world.suite.ephemeral(world.draw()).public, Want.PAY))
    near, far = join()
    victim, rogue = (near, far) if connects else (far, near)

    def act() -> None:
        with closing(rogue), suppress(TapError):
            ATTACKS[attack](rogue, hello)
            stall(rogue, hello)

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(act)
        report = run(drive(world, *orders[connects], connects), victim, SOON if attack == "stall" else PATIENCE)
        job.result(PATIENCE)
    assert report.result is Result.NOT_PAID
    assert isinstance(report.code, Code)
    assert (report.code is Code.TIMEOUT) is (attack == "stall"), report
    assert payer.book.available(EPOCH) == 500
    world.check()
    near, far = join()
    with ThreadPoolExecutor(1) as pool:
        charged = pool.submit(run, drive(world, *orders[False], False), far, PATIENCE)
        assert run(drive(world, *orders[True], True), near, PATIENCE).result is Result.PAID
        assert charged.result(PATIENCE).result is Result.COLLECTED
    world.check()
