"""One pcscd for all tests that need it; an air, and a town whose wallets are on disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from dualtap_transports import ble, nfc, pcsc, tcp, vpcd
from dualtap_transports.contract import Ends
from dualtap_transports.handover import introduce
from dualtap_transports.lan import LanScheme
from dualtap_transports.link import Link, Listener, Scheme
from dualtap_transports.loopback import LoopbackScheme
from dualtap_transports.nfc_handover import NFC
from tests.support.air import blowing
from tests.support.commands import move_in
from tests.support.directory import LOCAL, MemoryDirectory
from tests.support.pcscd import Pcscd, running

PATIENCE = 20.0


SHARED = ("pcscd", "lan")
"""What a machine has one of: the tests that use it run in one process, one after another."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that share a daemon, or the network on which devices are announced."""
    for item in items:
        words = {*re.split(r"\W|_", item.nodeid), *getattr(item, "fixturenames", ())}
        for shared in SHARED:
            if shared in words:
                item.add_marker(pytest.mark.xdist_group(shared))


@pytest.fixture(scope="session")
def daemon() -> Iterator[Pcscd]:
    with running() as pcscd:
        yield pcscd


@pytest.fixture
def pcscd(daemon: Pcscd) -> Pcscd:
    """The daemon, with both readers empty."""
    daemon.settle()
    return daemon


@pytest.fixture(scope="module")
def air() -> Iterator[str]:
    """What stands for a controller in an air between processes, after an address."""
    with blowing() as controller:
        yield controller


@pytest.fixture
def people() -> tuple[tuple[str, str], ...]:
    """Who is in the town, and on what carrier; anna has money."""
    return (("till", "pos"), ("anna", "phone"))


@pytest.fixture
def town(tmp_path: Path, people: tuple[tuple[str, str], ...]) -> Path:
    """A scheme, and a wallet for each of the people."""
    return move_in(tmp_path, people)


@pytest.fixture
def join_over(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Ends]]:
    """Opens links over a stack, by its name: the end that connects, then the one that waits."""
    with ExitStack() as stack:

        def opened(name: str) -> Ends:
            connect: Callable[[], Link]
            if name == "pcscd":
                pcscd: Pcscd = request.getfixturevalue("pcscd")
                pcscd.settle()
                listener: Listener = vpcd.SCHEME.listen(pcscd.addresses[0])
                connect = partial(pcsc.SCHEME.connect, pcscd.readers[0], PATIENCE)
            else:
                air: str = request.getfixturevalue("air") if "ble" in name else ""
                places: dict[str, tuple[Scheme, str]] = {
                    "loopback": (LoopbackScheme(), "till"),
                    "tcp": (tcp.SCHEME, "127.0.0.1:0"),
                    "lan": (LanScheme(MemoryDirectory()), f"new@{LOCAL}"),
                    "nfc-udp": (nfc.SCHEME, "udp:127.0.0.1:0"),
                    "ble": (ble.SCHEME, ble.NEW + air),
                    "nfc+ble": (NFC, f"udp:127.0.0.1:0{air}"),
                }
                scheme, place = places[name]
                listener = scheme.listen(place)
                if name == "lan":
                    introduce(listener, bytes(16))
                connect = partial(scheme.connect, listener.address + (air if name == "ble" else ""), PATIENCE)
            near = connect()
            far = listener.accept(PATIENCE)
            listener.close()
            for end in (near, far):
                stack.callback(end.close)
            return near, far

        yield opened
