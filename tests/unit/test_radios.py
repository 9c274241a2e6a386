"""``dualtap radios`` with each thing missing: one line that says what to do, and never a traceback."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dualtap.errors import Code, TapError
from dualtap_apps.cli import run
from dualtap_transports import survey
from dualtap_transports.foreign import LIBUSB
from dualtap_transports.survey import Finding, State


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux with every package, libusb, a D-Bus, an adapter, and no USB device."""
    for name in ("bus", "adapters/hci0", "usb"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dbus").touch()
    for constant, path in (("_DBUS", "dbus"), ("_ADAPTERS", "adapters"), ("_USB", "usb"), ("_PCSCD_SOCKET", "pcscd")):
        monkeypatch.setattr(survey, constant, tmp_path / path)
    monkeypatch.setattr(survey, "_SYSTEM", "linux")
    monkeypatch.setattr(survey, "has_libusb", lambda: True)
    return tmp_path


def everything(package: str) -> bool:
    return True


def yes(path: object, mode: int) -> bool:
    return True


def no(path: object, mode: int) -> bool:
    return False


def found(name: str) -> Finding:
    findings = [item for item in survey.survey() if item.name == name]
    assert len(findings) == 1, findings
    return findings[0]


def missing(name: str) -> tuple[str, str]:
    item = found(name)
    assert item.state is State.MISSING
    assert item.remedy
    assert "\n" not in item.detail + item.remedy
    return item.detail, item.remedy


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [
        ("nfc", "nfc", "nfc"),
        ("smartcard", "pcsc", "pcsc"),
        ("bleak", "ble", "ble"),
        ("bless", "ble-peripheral", "ble-peripheral"),
        ("bumble", "bumble", "bumble"),
        ("zeroconf", "lan", "lan"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    linux: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str, extra: str
) -> None:
    real = importlib.util.find_spec

    def without(wanted: str) -> object:
        return None if wanted == package else real(wanted)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert missing(name)[1] == f"pip install 'dualtap[{extra}]'"


@pytest.mark.parametrize("name", ["ble", "ble-peripheral"])
def test_what_bluetooth_lacks_is_told_from_the_bus_down(
    linux: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(survey, "installed", everything)
    assert found(name).state is State.READY
    (linux / "adapters/hci0").rmdir()
    assert missing(name)[0] == "no Bluetooth adapter"
    with monkeypatch.context() as denied:
        denied.setattr(os, "access", no)
        assert missing(name)[0] == "no permission for D-Bus"
    (linux / "dbus").unlink()
    assert missing(name)[0] == "no D-Bus system bus"
    monkeypatch.setattr(survey, "_SYSTEM", "darwin")
    assert found(name).state is State.READY


def test_windows_is_told_to_pay_or_to_take_a_dongle(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_SYSTEM", "win32")
    assert "ble:new@usb:0" in missing("ble-peripheral")[1]


def plug_in(linux: Path, vendor: str, product: str, driver: str = "") -> None:
    device = linux / "usb/1-1"
    (device / "1-1:1.0").mkdir(parents=True)
    for name, value in (("idVendor", vendor), ("idProduct", product), ("busnum", "1"), ("devnum", "7")):
        (device / name).write_text(value + "\n")
    if driver:
        (linux / driver).mkdir()
        (device / "1-1:1.0/driver").symlink_to(linux / driver)


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", yes)


def test_no_nfc_device_names_those_that_work(linux: Path) -> None:
    plug_in(linux, "1234", "5678")
    assert missing("nfc")[0] == "no USB device that nfcpy drives"


@pytest.mark.usefixtures("allowed")
def test_an_nfc_device_that_is_free_is_ready(linux: Path) -> None:
    plug_in(linux, "054c", "06c3", "usbfs")
    assert found("nfc") == Finding("nfc", "nfc:usb:054c:06c3", State.READY, "RC-S380")


@pytest.mark.usefixtures("allowed")
def test_an_nfc_device_without_libusb_says_what_to_install(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "has_libusb", lambda: False)
    assert missing("nfc")[0] == "no USB device that nfcpy drives"
    plug_in(linux, "054c", "06c3")
    assert missing("nfc") == ("the library libusb-1.0 is not installed", LIBUSB)


@pytest.mark.usefixtures("allowed")
def test_an_nfc_device_in_the_kernels_hands_is_to_be_unloaded(linux: Path) -> None:
    plug_in(linux, "04cc", "2533", "pn533_usb")
    assert missing("nfc") == ("PN533 is claimed by the kernel's pn533_usb", "sudo modprobe -r pn533_usb")


@pytest.mark.usefixtures("allowed")
def test_a_reader_that_pcscd_holds_is_to_be_used_through_it(linux: Path) -> None:
    plug_in(linux, "072f", "2200")
    assert found("nfc").state is State.READY
    (linux / "pcscd").touch()
    assert missing("nfc")[0] == "ACR122U is claimed by pcscd"


def test_a_device_without_permission_wants_a_rule(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", no)
    plug_in(linux, "054c", "06c3")
    assert "udev" in missing("nfc")[1]


class Service:
    """PC/SC as it answers where something is wrong."""

    SCARD_S_SUCCESS, SCARD_SCOPE_USER, SCARD_E_NO_READERS_AVAILABLE = 0, 0, 46

    def __init__(self, establish: int = 0, listed: int = 0, readers: tuple[str, ...] = ()) -> None:
        self._establish, self._listed, self._readers = establish, listed, list(readers)
        self.open = 0

    def SCardEstablishContext(self, scope: int) -> tuple[int, int]:
        self.open += self._establish == 0
        return self._establish, 1

    def SCardReleaseContext(self, context: int) -> int:
        self.open -= 1
        return 0

    def SCardListReaders(self, context: int, groups: list[str]) -> tuple[int, list[str]]:
        return self._listed, self._readers

    def SCardGetErrorMessage(self, code: int) -> str:
        return f"error {code}"


@pytest.mark.parametrize(
    ("service", "detail"),
    [
        (Service(establish=29), "PC/SC does not answer (error 29)"),
        (Service(listed=46), "PC/SC runs, and has no reader"),
        (Service(listed=7), "error 7"),
    ],
)
def test_what_pcsc_lacks_is_told(monkeypatch: pytest.MonkeyPatch, service: Any, detail: str) -> None:
    monkeypatch.setattr(survey, "installed", everything)
    (item,) = survey.pcsc(lambda: service)
    assert (item.state, item.detail) == (State.MISSING, detail)
    assert item.remedy
    assert service.open == 0


def test_each_pcsc_reader_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "installed", everything)
    service: Any = Service(readers=("ACS 1", "Identiv 2"))
    assert [item.address for item in survey.pcsc(lambda: service)] == ["pcsc:ACS 1", "pcsc:Identiv 2"]


def test_pcsc_whose_library_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "installed", everything)

    def absent() -> NoReturn:
        raise TapError(Code.BAD_INPUT, "libpcsclite.so.1 is not there")

    (item,) = survey.pcsc(absent)
    assert item.detail == "libpcsclite.so.1 is not there"


def test_a_virtual_reader_that_listens_is_seen_and_not_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(survey, "_VPCD_PORT", server.getsockname()[1])
        assert found("vpcd").state is State.READY
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    missing("vpcd")


def test_a_driver_that_fails_in_a_way_of_its_own_is_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(package: str) -> NoReturn:
        raise ZeroDivisionError("in\ntwo lines")

    monkeypatch.setattr(survey, "installed", burst)
    assert missing("bumble")[0] == "in two lines"
    assert found("tcp").state is State.READY


def test_the_command_says_the_same_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["radios", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)["radios"]
    assert {item["name"] for item in out} >= {"tcp", "nfc", "pcsc", "vpcd", "ble", "ble-peripheral", "bumble"}
    assert all(item["ready"] or item["remedy"] for item in out)
    assert run(["radios"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(out)
    assert all(line.startswith(("ready ", "missing ")) for line in lines)


@pytest.mark.parametrize("command", ["charge", "pay", "refund"])
def test_help_names_the_transports_whose_packages_are_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def but_nfc(package: str) -> bool:
        return package != "nfc"

    monkeypatch.setattr(survey, "installed", but_nfc)
    assert run([command, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Installed here: ble, lan, pcsc, pcsc+ble, tcp, vpcd, vpcd+ble." in text
