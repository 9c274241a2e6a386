"""What is wrong with this machine's Bluetooth, in one line with the remedy."""

from __future__ import annotations

from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError

from dualtap.errors import Code, TapError

_DONGLE = "or name a dongle of your own, as in ble:…@usb:0"
_REASONS = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: f"no Bluetooth adapter: plug one in, {_DONGLE}",
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: f"this adapter has no Bluetooth LE: use another, {_DONGLE}",
    BleakBluetoothNotAvailableReason.POWERED_OFF: "Bluetooth is off: turn it on (Linux: `bluetoothctl power on`)",
    BleakBluetoothNotAvailableReason.DENIED_BY_USER: "Bluetooth is denied: allow it in the system's privacy settings",
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: "Bluetooth is denied by this system: ask its administrator",
    BleakBluetoothNotAvailableReason.DENIED_BY_UNKNOWN: "Bluetooth is denied: allow it in the system's settings",
}
_DBUS = {
    "ServiceUnknown": "bluetoothd does not run: install BlueZ and start it (`systemctl start bluetooth`)",
    "AccessDenied": "no permission for Bluetooth: log in at this machine, or join the group `bluetooth`",
    "NotReady": "Bluetooth is off: turn it on (`bluetoothctl power on`)",
    "NotPermitted": "Bluetooth refuses: `bluetoothctl show` tells whether the adapter can do this",
}


def reason(error: BaseException) -> str:
    """Return in a few words what a stack said went wrong."""
    said = error.strerror if isinstance(error, OSError) else ""
    return (said or str(error) or type(error).__name__).replace("\n", " ")


def no_radio(error: Exception) -> TapError:
    """Return what to raise where the system's Bluetooth cannot be used: ``BAD_INPUT``, with the remedy."""
    return TapError(Code.BAD_INPUT, f"no Bluetooth here: {_remedy(error)}")


def no_dongle(spec: str, error: Exception) -> TapError:
    """Return what to raise where the controller that ``spec`` names cannot be used: ``BAD_INPUT``, with the remedy."""
    kind = spec.partition(":")[0]
    if isinstance(error, PermissionError) or "ACCESS" in type(error).__name__.upper():
        remedy = "no permission: add a udev rule for the dongle, or run as an administrator"
    elif isinstance(error, ModuleNotFoundError):
        remedy = f"install the Python package that brings {error.name}"
    elif kind in ("usb", "pyusb"):
        remedy = "plug in a Bluetooth dongle that no other driver holds (Windows: give it WinUSB by Zadig)"
    elif kind == "serial":
        remedy = "name the port of an HCI controller, as in serial:/dev/ttyACM0"
    else:
        remedy = "name a controller, as in usb:0 or serial:/dev/ttyACM0"
    return TapError(Code.BAD_INPUT, f"cannot open {spec} ({reason(error)}): {remedy}")


def _remedy(error: Exception) -> str:
    if isinstance(error, BleakBluetoothNotAvailableError):
        return _REASONS.get(error.reason, reason(error))
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"no D-Bus system bus: start it (`systemctl start dbus`), {_DONGLE}"
    if isinstance(error, PermissionError):
        return _DBUS["AccessDenied"]
    name = error.dbus_error if isinstance(error, BleakDBusError) else str(getattr(error, "type", ""))
    if name:
        return _DBUS.get(name.rpartition(".")[2], reason(error))
    if "adapter" in str(error):  # bless says it in a bare Exception
        return _REASONS[BleakBluetoothNotAvailableReason.NO_BLUETOOTH]
    return reason(error)
