"""Three processes: two devices that tap over Bluetooth, each with a host of its own, and the air between them.

The devices reach their controllers as they would reach a dongle; the air is the only thing that is not real.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap_transports import ble
from dualtap_transports.contract import Ends
from tests.contract import test_transport_contract as suite
from tests.scenarios.test_kill import BOUNDARIES, PARTS, Forked, Spawned, check_healed, purses
from tests.support import tapper, virtual
from tests.support.air import blowing
from tests.support.lanes import live_over
from tests.support.tapper import NEVER, play
from tests.support.virtual import BleHarness

_ = purses, virtual  # imported here once, so that forked children need not
PATIENCE = 30.0
TESTS = {
    name: test
    for name, test in vars(suite).items()
    if name.startswith("test_") and "join" in inspect.signature(test).parameters
}
globals().update(TESTS)


@pytest.fixture
def folder(purses: Path, tmp_path: Path) -> Path:
    shutil.copytree(purses, tmp_path / "purses")
    return tmp_path / "purses"


@pytest.fixture(params=["central", "peripheral"])
def join(request: pytest.FixtureRequest, air: str) -> Iterator[Callable[[], Ends]]:
    """Opens pairs of ends, by address, and closes them after the test."""
    with ExitStack() as stack:

        def opened() -> Ends:
            listener = ble.SCHEME.listen(ble.NEW + air)
            stack.callback(listener.close)
            near = ble.SCHEME.connect(listener.address + air, PATIENCE)
            stack.callback(near.close)
            far = listener.accept(PATIENCE)
            stack.callback(far.close)
            return (near, far) if request.param == "central" else (far, near)

        yield opened


def test_the_whole_contract_is_here() -> None:
    assert len(TESTS) == 11


# Taps


def tap(folder: Path, starts: str, victim: str, at: int, air: str, spawn: bool = False) -> tuple[bool, list[str]]:
    """Tap once; return whether the victim was killed, and what each side said of its end."""
    answers = PARTS[starts == "pay"]
    children: dict[str, Forked | Spawned] = {}
    said: dict[str, str] = {}
    for part, address in ((answers, f"ble:new{air}"), (starts, "")):
        where = address or children[answers].said.readline().strip() + air
        boundary = at if part == victim else NEVER
        children[part] = (
            Spawned(folder / part, part, where, boundary)
            if spawn
            else Forked(partial(play, folder / part, part, where, boundary))
        )
    for part, child in children.items():
        said[part] = child.said.readline().strip()
    codes = {part: child.wait() for part, child in children.items()}
    assert codes[PARTS[victim == "pay"]] == 0
    assert codes[victim] in (0, -signal.SIGKILL)
    return codes[victim] != 0, [said[part] for part in PARTS]


@pytest.mark.parametrize("starts", PARTS)
def test_processes_of_their_own_tap(folder: Path, air: str, starts: str) -> None:
    assert tap(folder, starts, starts, NEVER, air, spawn=True) == (False, ["paid", "collected"])
    check_healed(folder)


@pytest.mark.parametrize("victim", PARTS)
@pytest.mark.parametrize("starts", PARTS)
def test_a_kill_at_every_boundary_costs_nothing(
    purses: Path, tmp_path: Path, air: str, starts: str, victim: str
) -> None:
    """§1-4, over SPEC §19: SIGKILL, and the connection is lost as when a device loses its power."""
    at, killed = 0, True
    while killed:
        folder = tmp_path / str(at)
        shutil.copytree(purses, folder)
        killed, _ = tap(folder, starts, victim, at, air)
        check_healed(folder)
        at += 1
    assert at > BOUNDARIES[starts, victim], "not every boundary was met"


@pytest.mark.parametrize("victim", PARTS)
def test_a_host_that_dies_while_its_controller_lives_costs_the_time_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    """§19-9: the survivor is told by nobody."""
    monkeypatch.setattr(tapper, "PATIENCE", 2.0)
    with blowing("haunted") as air:
        killed, _ = tap(folder, "pay", victim, 5, air)
    assert killed
    check_healed(folder)


@pytest.mark.timeout(15)
def test_a_dongle_pulled_out_is_a_lost_link() -> None:
    """Both hosts are told by their transports; nothing that they still ask for hangs."""
    with blowing() as air:
        listener = ble.SCHEME.listen(ble.NEW + air)
        near = ble.SCHEME.connect(listener.address + air, PATIENCE)
        far = listener.accept(PATIENCE)
        near.send(b"still there")
        assert far.receive(PATIENCE) == b"still there"
    for end in (near, far):
        with pytest.raises(TapError) as caught:
            end.receive(PATIENCE)
        assert caught.value.code is Code.LINK_LOST
        end.close()
    listener.close()


# The promises


def test_the_promises_hold_over_bluetooth() -> None:
    """§1-1, §1-2, §1-3, §1-4, §1-7, over SPEC §19: every frame of every tap goes through bleak and Bumble."""

    live_over(lambda stack: [partial(BleHarness().open, stack)])


# The command line


def dualtap(cwd: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dualtap_apps", *words]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_charge_and_pay_over_bluetooth(tmp_path: Path, air: str) -> None:
    """§19-14: the text that charge shows is all that pay needs, and it names the key that answers."""
    for words in (
        "scheme new town", "wallet new anna --scheme town --carrier watch --name Anna",
        "wallet new shop --scheme town --carrier pos --name Shop", "wallet fund anna 100.00",
    ):  # fmt: skip
        child = dualtap(tmp_path, *words.split())
        child.communicate(timeout=PATIENCE)
        assert child.returncode == 0
    charge = dualtap(tmp_path, "charge", "shop", "12.50", "--on", f"ble:new{air}", "--json")
    assert charge.stderr is not None
    found = re.search(r" on (ble:[A-Z2-7]{66})\n", charge.stderr.readline())
    assert found
    pay = dualtap(tmp_path, "pay", "anna", "--on", found[1] + air, "--yes", "--json")
    for child, result in ((pay, "paid"), (charge, "collected")):
        out, err = child.communicate(timeout=PATIENCE)
        assert (child.returncode, err) == (0, "")
        assert (json.loads(out)["result"], json.loads(out)["amount"]) == (result, 1250)
