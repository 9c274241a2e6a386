"""Two processes tap over TCP, with wallets on disk, and one is killed with SIGKILL at every boundary of the tap.

Then both wallets are opened again, and one clean tap between the two settles whatever was left.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap.issued import Carrier
from dualtap.records import Funded, News
from dualtap_devices.disk import Label, created, opened
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.wallet import Wallet
from tests.playbook import World
from tests.support.devices import BASKET, FUNDS, NOW, PRICES, check_books, payments_for
from tests.support.tapper import LISTEN, NEVER, play

ROOT = Path(__file__).parents[2]
PARTS = ("pay", "collect")
BOUNDARIES = {("pay", "pay"): 12, ("pay", "collect"): 12, ("collect", "pay"): 12, ("collect", "collect"): 15}
"""Boundaries of each side of a tap, by who starts and who is killed."""


@pytest.fixture(scope="module")
def purses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wallets of a payer and of a payee, in folders named by what they do."""
    world, folder = World(seed="kill"), tmp_path_factory.mktemp("purses")
    for part, fund in zip(PARTS, FUNDS, strict=True):
        label = Label(part, "card", "CNY", "ed25519", world.root.public.hex(), "")
        with created(folder / part, label) as wallet:
            certificate = world.certificate(wallet.book.key, Carrier.CARD)
            wallet.write(News(certificate, world.authorities, world.header, world.policy))
            wallet.write(Funded(world.token(wallet.book.key, fund)))
    return folder


class Forked:
    """A child forked from this process."""

    def __init__(self, act: Callable[[Callable[[str], None]], None]) -> None:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of other tests, which the child never needs
            self.pid = os.fork()
        if self.pid == 0:
            status = 1
            with suppress(BaseException):
                os.close(reading)
                with os.fdopen(writing, "w", buffering=1) as out:
                    act(partial(print, file=out))
                status = 0
            os._exit(status)
        os.close(writing)
        self.said: IO[str] = os.fdopen(reading)

    def wait(self) -> int:
        with self.said:
            self.said.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Spawned:
    """A Python of its own."""

    def __init__(self, folder: Path, part: str, address: str, at: int) -> None:
        command = [sys.executable, "-m", "tests.support.tapper", str(folder), part, address, str(at)]
        self._child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        self.said: IO[str] = self._child.stdout

    def wait(self) -> int:
        with self.said:
            self.said.read()
        return self._child.wait()


def start(spawn: bool, folder: Path, part: str, address: str, at: int) -> Forked | Spawned:
    if spawn:
        return Spawned(folder / part, part, address, at)
    return Forked(partial(play, folder / part, part, address, at))


def tap_with_a_kill(folder: Path, starts: str, victim: str, at: int, spawn: bool = False) -> bool:
    """Tap in two processes; return whether the victim was killed. The other one ends by itself."""
    answers = PARTS[starts == "pay"]
    responder = start(spawn, folder, answers, LISTEN, at if victim == answers else NEVER)
    address = responder.said.readline().strip()
    initiator = start(spawn, folder, starts, address, at if victim == starts else NEVER)
    codes = {starts: initiator.wait(), answers: responder.wait()}
    survivor = PARTS[victim == "pay"]
    assert codes[survivor] == 0
    assert codes[victim] in (0, -signal.SIGKILL)
    return codes[victim] != 0


def clean_tap(payer: Wallet, payee: Wallet) -> Result:
    suite = payer.book.scheme.suite
    sides = [
        Driver(wallet, order, order == Pay(), suite.ephemeral(os.urandom(32)), os.urandom(32), clock=lambda: NOW)
        for wallet, order in ((payer, Pay()), (payee, Charge(PRICES[BASKET], "CNY", BASKET)))
    ]
    exchange(*sides)
    return sides[0].result.result


def check_healed(folder: Path) -> None:
    """Both wallets open; value is whole; one clean tap for the same basket pays it exactly once."""
    with opened(folder / "pay") as payer, opened(folder / "collect") as payee:
        assert not payer.quarantined
        assert not payee.quarantined
        check_books(sum(FUNDS), payer.book, payee.book)
        assert clean_tap(payer, payee) in (Result.PAID, Result.DONE)
        check_books(sum(FUNDS), payer.book, payee.book)
    with opened(folder / "pay") as payer, opened(folder / "collect") as payee:
        check_books(sum(FUNDS), payer.book, payee.book)
        assert not payer.book.pending
        assert payments_for(payee.book, BASKET) == 1
        assert sum(held.amount for held in payee.book.holdings) == FUNDS[1] + PRICES[BASKET]


@pytest.mark.parametrize("victim", PARTS)
@pytest.mark.parametrize("starts", PARTS)
def test_a_kill_at_every_boundary_costs_nothing(purses: Path, tmp_path: Path, starts: str, victim: str) -> None:
    at, killed = 0, True
    while killed:
        folder = tmp_path / str(at)
        shutil.copytree(purses, folder)
        killed = tap_with_a_kill(folder, starts, victim, at)
        check_healed(folder)
        at += 1
    assert at > BOUNDARIES[starts, victim], "not every boundary was met"


@pytest.mark.parametrize("victim", PARTS)
@pytest.mark.parametrize("at", [3, 7])
def test_processes_of_their_own_are_killed_as_well(purses: Path, tmp_path: Path, victim: str, at: int) -> None:
    folder = tmp_path / "purses"
    shutil.copytree(purses, folder)
    assert tap_with_a_kill(folder, "pay", victim, at, spawn=True)
    check_healed(folder)


def test_a_wallet_that_is_open_elsewhere_is_refused(purses: Path, tmp_path: Path) -> None:
    folder = tmp_path / "purses"
    shutil.copytree(purses, folder)
    holder = Forked(partial(play, folder / "collect", "collect", LISTEN, NEVER))
    address = holder.said.readline().strip()
    with pytest.raises(TapError) as caught, opened(folder / "collect"):
        pass
    assert caught.value.code is Code.IN_USE
    payer = Forked(partial(play, folder / "pay", "pay", address, NEVER))
    assert (payer.wait(), holder.wait()) == (0, 0)
    check_healed(folder)
