"""Bluetooth by address, where there is none: each machine is told in one line what it lacks, and what to do."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
    BleakError,
)

from dualtap.errors import Code, TapError
from dualtap_apps.output import show_code
from dualtap_transports import ble
from dualtap_transports.ble_errors import no_dongle, no_radio
from dualtap_transports.blocking import LoopThread
from dualtap_transports.handover import Offer, to_text
from dualtap_transports.link import Scheme, open_scheme

TEXT = to_text(Offer(UUID(int=1), bytes(16)))


def refused(call: Callable[[], object]) -> TapError:
    with pytest.raises(TapError) as caught:
        call()
    assert caught.value.code is Code.BAD_INPUT
    assert "\n" not in caught.value.detail
    return caught.value


def test_the_scheme_is_installed() -> None:
    assert open_scheme(f"ble:{TEXT}@usb:0") == (ble.SCHEME, f"{TEXT}@usb:0")
    assert isinstance(ble.SCHEME, Scheme)


@pytest.mark.parametrize("address", ["hello", "any", "NEW", TEXT, "@usb:0", "", "new@@usb:0"])
def test_a_listener_listens_at_new(address: str) -> None:
    """Where the address is right, this machine has no such controller."""
    error = refused(lambda: ble.SCHEME.listen(address))
    assert ("ble:new" in error.detail) == (not address.startswith("new"))


@pytest.mark.parametrize("address", ["new", "hello", TEXT[:-1], f"{TEXT} {TEXT}", "", "@usb:0"])
def test_a_payer_connects_to_what_is_shown(address: str) -> None:
    """§19-13."""
    assert "copy all of it" in refused(lambda: ble.SCHEME.connect(address, 0)).detail


@pytest.mark.parametrize(
    ("controller", "remedy"),
    [
        ("tcp-client:127.0.0.1:1", "name a controller"),
        ("smoke:0", "name a controller"),
        ("serial:/dev/no-such-port", "serial:/dev/ttyACM0"),
        ("usb:FFFF:FFFF", "plug in a Bluetooth dongle"),
    ],
)
def test_a_controller_that_is_not_there_is_named(controller: str, remedy: str) -> None:
    calls = (
        lambda: ble.SCHEME.listen(f"new@{controller}"),
        lambda: ble.SCHEME.connect(f"{TEXT}@{controller}", 0),
    )
    for call in calls:
        detail = refused(call).detail
        assert controller in detail
        assert remedy in detail


Reason = BleakBluetoothNotAvailableReason


class DBusError(Exception):
    """An error as dbus_next's: it names what is wrong in ``type``."""

    type = "org.freedesktop.DBus.Error.ServiceUnknown"


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (FileNotFoundError(2, "No such file or directory"), "systemctl start dbus"),
        (ConnectionRefusedError(111, "refused"), "systemctl start dbus"),
        (PermissionError(13, "Permission denied"), "join the group `bluetooth`"),
        (BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["x"]), "systemctl start bluetooth"),
        (DBusError("The name org.bluez was not provided"), "systemctl start bluetooth"),
        (BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["x"]), "join the group `bluetooth`"),
        (BleakDBusError("org.bluez.Error.NotReady", ["x"]), "bluetoothctl power on"),
        (BleakDBusError("org.bluez.Error.NotPermitted", ["x"]), "bluetoothctl show"),
        (BleakDBusError("org.bluez.Error.Odd", ["something else"]), "something else"),
        (Exception("Could not locate bluetooth adapter"), "plug one in"),
        (BleakError("whatever\nit says"), "whatever it says"),
        (BleakError(), "BleakError"),
        *((BleakBluetoothNotAvailableError("x", reason), said) for reason, said in {
            Reason.NO_BLUETOOTH: "plug one in", Reason.NO_BLE_CENTRAL_ROLE: "use another",
            Reason.POWERED_OFF: "turn it on", Reason.DENIED_BY_USER: "privacy settings",
            Reason.DENIED_BY_SYSTEM: "administrator", Reason.DENIED_BY_UNKNOWN: "allow it",
            Reason.UNKNOWN: "x",
        }.items()),
    ],
)  # fmt: skip
def test_what_a_system_lacks_is_told_with_the_remedy(error: Exception, remedy: str) -> None:
    told = no_radio(error)
    assert (told.code, "\n" in told.detail) == (Code.BAD_INPUT, False)
    assert remedy in told.detail


class UsbErrorAccess(Exception):
    """An error as libusb's without permission."""


@pytest.mark.parametrize(
    ("error", "spec", "remedy"),
    [
        (PermissionError(13, "denied"), "serial:/dev/ttyACM0", "udev rule"),
        (UsbErrorAccess(), "usb:0", "udev rule"),
        (ModuleNotFoundError("No module named 'grpc'", name="grpc"), "android-netsim", "brings grpc"),
        (TimeoutError(), "serial:/dev/ttyUSB0", "name the port"),
    ],
)
def test_what_a_dongle_lacks_is_told_with_the_remedy(error: Exception, spec: str, remedy: str) -> None:
    assert remedy in no_dongle(spec, error).detail


@pytest.mark.parametrize(
    ("missing", "call", "said"),
    [
        ("bleak", f"connect('{TEXT}', 0)", "pip install 'dualtap[ble]'"),
        ("bless", "listen('new')", "pip install 'dualtap[ble-peripheral]'"),
        ("dbus_next", "listen('new')", "pip install 'dualtap[ble-peripheral]'"),
        ("bumble", f"connect('{TEXT}@usb:0', 0)", "pip install 'dualtap[bumble]'"),
        ("bumble", "listen('new@usb:0')", "pip install 'dualtap[bumble]'"),
        ("pyee", "listen('new@usb:0')", "does not load here"),
    ],
)
def test_a_missing_extra_is_named(missing: str, call: str, said: str) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from dualtap.errors import TapError\n"
        "from dualtap_transports import ble\n"
        f"try: ble.SCHEME.{call}\n"
        "except TapError as error: print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (said in ended.stdout, ended.stdout.count("\n"), ended.stderr) == (True, 1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is where Linux keeps its Bluetooth")
@pytest.mark.parametrize("call", ["listen('new')", f"connect('{TEXT}', 0)"])
def test_linux_without_a_system_bus_is_told_what_to_do(tmp_path: Path, call: str) -> None:
    """bleak and bless themselves, on a machine whose system bus is not there."""
    program = f"from dualtap_transports import ble\ntry: ble.SCHEME.{call}\nexcept Exception as error: print(error)"
    env = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert ("systemctl start dbus" in ended.stdout, ended.stdout.count("\n"), ended.stderr) == (True, 1, "")


def test_windows_is_told_that_it_cannot_charge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert "name a dongle" in refused(lambda: ble.SCHEME.listen("new")).detail


# What a till shows


class Terminal(io.StringIO):
    def __init__(self, is_terminal: bool = True) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def test_a_code_fits_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """§19-13: the longest text, as a QR code of 80 by 24 at most; nothing but a terminal gets one."""
    longest = "ble:" + to_text(Offer(UUID(int=1), bytes(16), bytes(6)))
    terminal, file = Terminal(), Terminal(is_terminal=False)
    for out in (terminal, file):
        monkeypatch.setattr(sys, "stderr", out)
        show_code(longest)
    monkeypatch.setitem(sys.modules, "segno", None)
    monkeypatch.setattr(sys, "stderr", bare := Terminal())
    show_code(longest)
    lines = terminal.getvalue().splitlines()
    assert 15 < len(lines) <= 24
    assert 30 < max(map(len, lines)) <= 80
    assert file.getvalue() == bare.getvalue() == ""


# The loop in a thread


def test_a_loop_that_has_ended_says_so() -> None:
    thread = LoopThread()
    thread.release()
    with pytest.raises(TapError) as caught:
        thread.run(asyncio.sleep(0))
    assert caught.value.code is Code.LINK_LOST


def test_what_still_runs_is_cancelled_with_its_loop() -> None:
    thread, ended = LoopThread(), list[str]()

    async def run_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def start() -> asyncio.Task[None]:
        task = asyncio.ensure_future(run_on())
        await asyncio.sleep(0)
        return task

    task = thread.run(start())
    thread.retain()
    thread.release()
    assert not ended
    thread.release()
    assert (ended, task.cancelled()) == (["cancelled"], True)


def test_an_interrupted_wait_cancels_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C while a phone waits for a till: nothing goes on behind."""
    thread, ended = LoopThread(), list[str]()

    async def run_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    class Interrupted:
        def __init__(self, future: Future[None]) -> None:
            self.cancel = future.cancel

        def result(self) -> None:
            raise KeyboardInterrupt

    real = asyncio.run_coroutine_threadsafe

    def interrupted(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> Interrupted:
        future = real(work, loop)
        real(asyncio.sleep(0), loop).result()  # by now the work has begun
        return Interrupted(future)

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        thread.run(run_on())
    monkeypatch.undo()
    for _ in range(2):
        thread.run(asyncio.sleep(0))
    assert ended == ["cancelled"], "and not only with the loop's end"
    thread.release()
