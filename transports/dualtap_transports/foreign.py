"""The border to the untyped libraries of the extras ``nfc`` and ``pcsc``: what is used of each, with its types.

Neither is imported before a transport of its own is opened, and a missing one is named with its extra.
"""
# ruff: noqa: D102 - the methods are the libraries', which document them

from __future__ import annotations

import errno
import importlib
import socket
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol, cast

from dualtap.errors import Code, TapError

LIBUSB = "install libusb (Debian: apt install libusb-1.0-0; macOS: brew install libusb)"
"""What to do where nfcpy finds no libusb: pip does not bring it."""
_SPEAKS_ISO_DEP = 0x20
"""In SAK, the answer to select (ISO/IEC 14443-3)."""


class Frontend(Protocol):
    """nfcpy's ``ContactlessFrontend``."""

    @property
    def max_send_data_size(self) -> int: ...
    @property
    def max_recv_data_size(self) -> int: ...
    def sense(self, *targets: object, iterations: int, interval: float) -> object | None: ...
    def listen(self, target: object, timeout: float) -> LocalTarget | None: ...
    def exchange(self, send_data: bytes | None, timeout: float) -> bytearray | None: ...
    def close(self) -> None: ...


class LocalTarget(Protocol):
    """nfcpy's ``LocalTarget``: what a listening device was activated with; absent attributes are ``None``."""

    rats_res: bytearray | None
    tt4_cmd: bytearray | None


class Tag(Protocol):
    """nfcpy's ``Type4Tag``."""

    def transceive(self, data: bytes) -> bytes | bytearray: ...


class Exchanger(Protocol):
    """What nfcpy's tags need of a frontend."""

    @property
    def max_send_data_size(self) -> int: ...
    @property
    def max_recv_data_size(self) -> int: ...
    def exchange(self, send_data: bytes | None, timeout: float) -> bytearray | None: ...


class Nfcpy:
    """nfcpy, as far as it is used here."""

    def __init__(self) -> None:
        self._nfc = _load("nfc", "nfc")
        self._tt4 = _load("nfc.tag.tt4", "nfc")
        self._udp = _load("nfc.clf.udp", "nfc")
        clf = self._nfc.clf
        self.communication_error = cast("type[Exception]", clf.CommunicationError)
        self.timeout_error = cast("type[Exception]", clf.TimeoutError)
        self.transmission_error = cast("type[Exception]", clf.TransmissionError)
        self.broken_link_error = cast("type[Exception]", clf.BrokenLinkError)
        self.unsupported_error = cast("type[Exception]", clf.UnsupportedTargetError)
        self.tag_error = cast("type[Exception]", self._tt4.Type4TagCommandError)
        self._usb_error = cast("type[Exception]", _load("usb1", "nfc").USBError)

    def open(self, path: str) -> Frontend:
        """Open a device. Raises :class:`OSError` or :class:`ValueError` as nfcpy does, ``BAD_INPUT`` without libusb."""
        if path.partition(":")[0] == "usb":
            _need_libusb()
        try:
            return cast("Frontend", self._nfc.ContactlessFrontend(path))
        except self._usb_error as error:
            # nfcpy lets those through that libusb has before a device is looked for: a container without USB, say.
            raise OSError(errno.EIO, f"USB failed: {error}") from error

    def open_udp_card(self, host: str, port: int) -> tuple[Frontend, int]:
        """Open nfcpy's UDP device to listen at ``host`` (port 0: any), and return it with its port.

        By itself it would bind to all addresses, and anew for each activation.
        """
        device = self._udp.init(host, port)
        sock = cast("socket.socket", device.socket)
        try:
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        device.addr = sock.getsockname()
        device._bind_socket = _bound
        device.mute = lambda: None
        device.close = sock.close
        device._path = f"udp:{host}:{device.addr[1]}"
        frontend = self._nfc.ContactlessFrontend()
        frontend.device = device
        return cast("Frontend", frontend), cast("int", device.addr[1])

    def remote_target(self) -> object:
        """Return what to sense: cards of type A at 106 kbit/s."""
        return cast("object", self._nfc.clf.RemoteTarget("106A"))

    def local_target(self, sens: bytes, sdd: bytes, sel: bytes, ats: bytes) -> object:
        """Return what to listen as."""
        target = self._nfc.clf.LocalTarget(
            "106A", sens_res=bytearray(sens), sdd_res=bytearray(sdd), sel_res=bytearray(sel)
        )
        target.rats_res = bytearray(ats)
        return cast("object", target)

    def activate(self, through: Exchanger, target: object) -> Tag | None:
        """Return the tag that was sensed, if it speaks ISO-DEP. Talks to it ``through`` a stand-in for the frontend."""
        selected = cast("bytes | None", getattr(target, "sel_res", None))
        if not selected or not selected[0] & _SPEAKS_ISO_DEP:
            return None  # such as a sticker, for which nfcpy would want more of its frontend
        return cast("Tag | None", self._tt4.activate(through, target))


class Scard(Protocol):
    """pyscard's ``smartcard.scard``: PC/SC as it is, each call returning its result code first."""

    SCARD_S_SUCCESS: int
    SCARD_SCOPE_USER: int
    SCARD_SHARE_EXCLUSIVE: int
    SCARD_PROTOCOL_T0: int
    SCARD_PROTOCOL_T1: int
    SCARD_PCI_T0: int
    SCARD_PCI_T1: int
    SCARD_UNPOWER_CARD: int
    SCARD_STATE_UNAWARE: int
    SCARD_STATE_PRESENT: int
    SCARD_E_NO_SERVICE: int
    SCARD_E_NO_READERS_AVAILABLE: int
    SCARD_E_SHARING_VIOLATION: int
    SCARD_E_NOT_TRANSACTED: int
    SCARD_F_COMM_ERROR: int

    def SCardEstablishContext(self, scope: int, /) -> tuple[int, int]: ...
    def SCardReleaseContext(self, context: int, /) -> int: ...
    def SCardListReaders(self, context: int, groups: list[str], /) -> tuple[int, list[str]]: ...
    def SCardGetStatusChange(
        self, context: int, timeout: int, states: Sequence[tuple[str, int]], /
    ) -> tuple[int, list[tuple[str, int, list[int]]]]: ...
    def SCardConnect(self, context: int, reader: str, mode: int, protocols: int, /) -> tuple[int, int, int]: ...
    def SCardDisconnect(self, card: int, disposition: int, /) -> int: ...
    def SCardTransmit(self, card: int, pci: int, apdu: list[int], /) -> tuple[int, list[int]]: ...
    def SCardGetErrorMessage(self, code: int, /) -> str: ...


def nfcpy() -> Nfcpy:
    """Return nfcpy. Raises ``BAD_INPUT`` naming the extra where it is not installed."""
    return Nfcpy()


def scard() -> Scard:
    """Return PC/SC. Raises ``BAD_INPUT`` naming the extra where pyscard is not installed."""
    return cast("Scard", _load("smartcard.scard", "pcsc"))


def _bound(until: float) -> bool:
    """Tell nfcpy that its socket is bound: it was, once for all."""
    del until
    return True


def has_libusb() -> bool:
    """Whether libusb can be loaded. Raises ``BAD_INPUT`` if the extra ``nfc`` is missing."""
    try:
        _load("usb1", "nfc").loadLibrary()
    except OSError:
        return False
    return True


def _need_libusb() -> None:
    # Without it nfcpy would say that no device is plugged in.
    if not has_libusb():
        raise TapError(Code.BAD_INPUT, f"USB needs the library libusb-1.0: {LIBUSB}")


def _load(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TapError(
            Code.BAD_INPUT, f"this needs the extra {extra!r}: pip install 'dualtap[{extra}]' ({error})"
        ) from error
