"""What this machine has of each transport, and what is missing, with the remedy: nothing here raises.

Looks only: sends nothing on any radio, and claims no reader for longer than it takes to see that it is there.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dualtap.errors import TapError

from .foreign import LIBUSB, Scard, has_libusb, scard
from .link import known_schemes


class State(Enum):
    """Whether something can be used."""

    READY = "ready"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One way to reach another device: the address it is named by, whether it works here, and why or what to do."""

    name: str
    address: str
    state: State
    detail: str
    remedy: str = ""


_SYSTEM: str = sys.platform
_DBUS = Path("/run/dbus/system_bus_socket")
_ADAPTERS = Path("/sys/class/bluetooth")
_USB = Path("/sys/bus/usb/devices")
_NFC_DEVICES = {
    ("054c", "02e1"): "RC-S330",
    ("054c", "06c1"): "RC-S380",
    ("054c", "06c3"): "RC-S380",
    ("04cc", "2533"): "PN533",
    ("04e6", "5591"): "PN533 (SCL3711)",
    ("072f", "2200"): "ACR122U",
}
"""USB identities that nfcpy drives."""
_PCSCD_SOCKET = Path("/run/pcscd/pcscd.comm")
_VPCD_PORT = 35963


def survey() -> list[Finding]:
    """Return what is there of each kind, in the order in which a person would try it."""
    kinds: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("tcp", _tcp), ("lan", _lan), ("nfc", _nfc), ("pcsc", pcsc), ("vpcd", _vpcd), ("ble", _ble),
        ("ble-peripheral", _peripheral), ("bumble", _bumble),
    )  # fmt: skip
    found: list[Finding] = []
    for name, look in kinds:
        try:
            found += look()
        except Exception as error:
            # A driver may fail in any way, and the rest is still worth telling.
            reason = str(error) or type(error).__name__
            found.append(_missing(name, f"{name}:…", reason.replace("\n", " "), "report this: it is not known"))
    for name in known_schemes():
        if name not in {"tcp", "lan", "nfc", "pcsc", "vpcd", "ble", "loopback", "nfc+ble", "pcsc+ble", "vpcd+ble"}:
            found.append(Finding(name, f"{name}:…", State.READY, "installed by another package"))
    return found


_PACKAGES = {"nfc": "nfc", "pcsc": "smartcard", "ble": "bleak", "lan": "zeroconf"}
"""What each transport needs beside dualtap itself."""


def usable() -> list[str]:
    """Return the names of the transports whose packages are installed, without those of one process only."""
    return [
        name
        for name in known_schemes()
        if name != "loopback" and all(installed(_PACKAGES.get(part, "dualtap")) for part in name.split("+"))
    ]


def installed(package: str) -> bool:
    """Tell whether a Python package is there, without importing it."""
    return importlib.util.find_spec(package) is not None


def _missing(name: str, address: str, detail: str, remedy: str) -> Finding:
    return Finding(name, address, State.MISSING, detail, remedy)


def _extra(name: str, address: str, package: str, extra: str) -> Finding:
    return _missing(name, address, f"the package {package} is not installed", f"pip install 'dualtap[{extra}]'")


def _tcp() -> list[Finding]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError as error:
            return [_missing("tcp", "tcp:HOST:PORT", f"no network: {error.strerror}", "bring up an interface")]
    return [Finding("tcp", "tcp:HOST:PORT", State.READY, "two machines on one network need no radio")]


def _lan() -> list[Finding]:
    if not installed("zeroconf"):
        return [_extra("lan", "lan:new", "zeroconf", "lan")]
    return [Finding("lan", "lan:new", State.READY, "finds the other machine by multicast DNS, if the network lets it")]


def _nfc() -> list[Finding]:
    if not installed("nfc"):
        return [_extra("nfc", "nfc:usb", "nfcpy", "nfc")]
    if _SYSTEM != "linux":
        return [Finding("nfc", "nfc:usb", State.READY, "nfcpy is installed; it looks for devices when it is used")]
    devices = _nfc_devices()
    if not devices:
        remedy = "plug in a PN532, PN533 or RC-S380; nfc:tty:USB0:pn532 names one on a serial port"
        return [_missing("nfc", "nfc:usb", "no USB device that nfcpy drives", remedy)]
    if not has_libusb():
        return [_missing("nfc", "nfc:usb", "the library libusb-1.0 is not installed", LIBUSB)]
    return [_nfc_device(name, identity, node, driver) for name, identity, node, driver in devices]


def _nfc_device(name: str, identity: str, node: Path, driver: str) -> Finding:
    address = f"nfc:usb:{identity}"
    if driver:
        return _missing("nfc", address, f"{name} is claimed by the kernel's {driver}", f"sudo modprobe -r {driver}")
    if not os.access(node, os.R_OK | os.W_OK):
        return _missing(
            "nfc", address, f"no permission for {name} at {node}", "add a udev rule for it, or join its group"
        )
    if name == "ACR122U" and _PCSCD_SOCKET.exists():
        return _missing("nfc", address, f"{name} is claimed by pcscd", "use pcsc:ACR122, or stop pcscd")
    return Finding("nfc", address, State.READY, name)


def _nfc_devices() -> list[tuple[str, str, Path, str]]:
    """Return each USB device that nfcpy drives: name, identity, its node, and the kernel's driver that holds it."""
    found: list[tuple[str, str, Path, str]] = []
    if not _USB.is_dir():
        return found
    for device in sorted(_USB.iterdir()):
        try:
            vendor, product, bus, number = (
                (device / field).read_text().strip() for field in ("idVendor", "idProduct", "busnum", "devnum")
            )
        except OSError:
            continue
        name = _NFC_DEVICES.get((vendor, product))
        if name is None:
            continue
        drivers = [link.resolve().name for link in sorted(device.glob("*:*/driver"))]
        node = Path(f"/dev/bus/usb/{int(bus):03}/{int(number):03}")
        found.append((name, f"{vendor}:{product}", node, next((d for d in drivers if d != "usbfs"), "")))
    return found


def pcsc(load: Callable[[], Scard] = scard) -> list[Finding]:
    """Return each PC/SC reader, or what is missing of PC/SC."""
    if not installed("smartcard"):
        return [_extra("pcsc", "pcsc:READER", "pyscard", "pcsc")]
    try:
        service = load()
    except TapError as error:
        return [_missing("pcsc", "pcsc:READER", error.detail, "install the system's PC/SC library (libpcsclite)")]
    result, context = service.SCardEstablishContext(service.SCARD_SCOPE_USER)
    if result != service.SCARD_S_SUCCESS:
        text = service.SCardGetErrorMessage(result)
        return [_missing("pcsc", "pcsc:READER", f"PC/SC does not answer ({text})", _start_pcsc())]
    try:
        result, readers = service.SCardListReaders(context, [])
    finally:
        service.SCardReleaseContext(context)
    if result not in (service.SCARD_S_SUCCESS, service.SCARD_E_NO_READERS_AVAILABLE):
        return [_missing("pcsc", "pcsc:READER", service.SCardGetErrorMessage(result), "restart pcscd")]
    if not readers:
        return [_missing("pcsc", "pcsc:READER", "PC/SC runs, and has no reader", "plug in a CCID reader")]
    return [Finding("pcsc", f"pcsc:{reader}", State.READY, "reads cards; cannot be one") for reader in readers]


def _start_pcsc() -> str:
    if _SYSTEM == "linux":
        return "install and start pcscd (`systemctl start pcscd`); see polkit's rules if it denies you"
    return "start the system's smart card service"


def _vpcd() -> list[Finding]:
    address = f"vpcd:127.0.0.1:{_VPCD_PORT}"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            # To connect would be to put a card in: an address that cannot be bound is one that is listened at.
            probe.bind(("127.0.0.1", _VPCD_PORT))
        except OSError:
            return [Finding("vpcd", address, State.READY, "a virtual reader waits for a card")]
    remedy = "install vsmartcard-vpcd and start pcscd, to try a card without a reader"
    return [_missing("vpcd", address, "no virtual reader listens here", remedy)]


def _ble() -> list[Finding]:
    if not installed("bleak"):
        return [_extra("ble", "ble:TEXT", "bleak", "ble")]
    missing = _adapter("ble", "ble:TEXT")
    return [missing or Finding("ble", "ble:TEXT", State.READY, "pays, as central")]


def _peripheral() -> list[Finding]:
    if _SYSTEM == "win32":
        remedy = "pay from this machine, or charge through a dongle: ble:new@usb:0"
        return [_missing("ble-peripheral", "ble:new", "Windows lets nobody charge over its own Bluetooth", remedy)]
    if not installed("bless"):
        return [_extra("ble-peripheral", "ble:new", "bless", "ble-peripheral")]
    missing = _adapter("ble-peripheral", "ble:new")
    return [missing or Finding("ble-peripheral", "ble:new", State.READY, "charges, as peripheral")]


def _adapter(name: str, address: str) -> Finding | None:
    """Return what is missing of Linux's Bluetooth; other systems tell only when it is used."""
    if _SYSTEM != "linux":
        return None
    if not _DBUS.exists():
        return _missing(name, address, "no D-Bus system bus", "`systemctl start dbus`, or use a dongle: @usb:0")
    if not os.access(_DBUS, os.R_OK | os.W_OK):
        return _missing(name, address, "no permission for D-Bus", "log in at this machine, or join the group bluetooth")
    if not _ADAPTERS.is_dir() or not any(_ADAPTERS.iterdir()):
        return _missing(name, address, "no Bluetooth adapter", "plug one in")
    return None


def _bumble() -> list[Finding]:
    if not installed("bumble"):
        return [_extra("bumble", "ble:…@usb:0", "bumble", "bumble")]
    return [
        Finding("bumble", "ble:…@usb:0", State.READY, "drives a dongle of its own, as both parts; none is looked for")
    ]
