"""Links over Bluetooth LE by address: a charge listens as peripheral, a payment connects as central.

Listen at ``ble:new``; connect to the text that the listener shows, ``ble:TEXT``. Either may end in ``@CONTROLLER``,
such as ``@usb:0``: then Bumble runs that dongle, instead of the operating system's Bluetooth.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dualtap.errors import Code, TapError
from dualtap.session import Handover

from .blocking import BlockingLink, BlockingListener, LoopThread
from .handover import Offer, agreed, from_text, to_text
from .nearness import BLE_SECONDS

if TYPE_CHECKING:
    from .ble_link import GattLink
    from .ble_peripheral import GattListener, Peripheral

NEW = "new"
"""Where a listener listens: at a service of its own, made up for it."""
_EXTRAS = {"bleak": "ble", "bless": "ble-peripheral", "bumble": "bumble", "dbus_next": "ble-peripheral"}
"""The extra of this distribution that brings each package."""


class BleLink(BlockingLink):
    """A link to a device that a handover introduced; see :class:`.handover.Introduced`."""

    def __init__(self, link: GattLink, thread: LoopThread, handover: Handover) -> None:
        super().__init__(link, thread)
        self._handover = handover

    @property
    def handover(self) -> Handover:
        """What introduced the device."""
        return self._handover


class BleListener(BlockingListener):
    """A listener whose address is an offer; see :class:`.handover.Introduces`."""

    def __init__(self, listener: GattListener, thread: LoopThread) -> None:
        super().__init__(listener, thread)
        self._offer = Offer(listener.service, b"", listener.radio_address)

    @property
    def address(self) -> str:
        """The text of the offer: what a peer's ``connect`` takes, and what a QR code shows."""
        return to_text(self._offer)

    def introduce(self, ident: bytes) -> Handover:
        """Name the key that will answer, before anybody is told the address."""
        self._offer = replace(self._offer, ident=ident)
        return agreed(self._offer)


@dataclass(frozen=True, slots=True)
class BleScheme:
    """Opens Bluetooth links; see :class:`.link.Scheme`."""

    round_trip = BLE_SECONDS

    def connect(self, address: str, timeout: float | None) -> BleLink:
        """Return a link to the device that shows ``address``; see :meth:`.link.Scheme.connect`."""
        text, _, controller = address.partition("@")
        offer = from_text(text)
        thread = LoopThread()
        try:
            link = thread.run(_connect(offer, controller, timeout))
        except BaseException:
            thread.release()
            raise
        return BleLink(link, thread, agreed(offer))

    def listen(self, address: str) -> BleListener:
        """Return a listener with a new service; see :meth:`.link.Scheme.listen`."""
        text, _, controller = address.partition("@")
        if text != NEW:
            raise TapError(
                Code.BAD_INPUT, f"ble:{address}: whoever charges listens at ble:{NEW}, or at ble:{NEW}@usb:0"
            )
        thread = LoopThread()
        try:
            return BleListener(thread.run(_listen(controller)), thread)
        except BaseException:
            thread.release()
            raise


async def _connect(offer: Offer, controller: str, timeout: float | None) -> GattLink:
    try:
        from . import ble_central  # noqa: PLC0415 - an extra

        radio = ble_central.SYSTEM
        if controller:
            from . import ble_bumble_central, ble_dongle  # noqa: PLC0415 - an extra

            radio = ble_bumble_central.radio(await ble_dongle.Dongle.open(controller))
    except ImportError as error:
        raise _missing(error) from error
    return await ble_central.connect(offer.service, offer.address, timeout, radio)


async def _listen(controller: str) -> GattListener:
    try:
        from .ble_peripheral import GattListener  # noqa: PLC0415 - asyncio loads where it is used

        peripheral = await _peripheral(controller)
    except ImportError as error:
        raise _missing(error) from error
    listener = GattListener(peripheral)
    await listener.start()
    return listener


async def _peripheral(controller: str) -> Peripheral:
    if controller:
        from . import ble_bumble, ble_dongle  # noqa: PLC0415 - an extra

        return ble_bumble.BumblePeripheral(await ble_dongle.Dongle.open(controller))
    if sys.platform == "win32":
        raise TapError(
            Code.BAD_INPUT, f"Windows lets nobody charge over Bluetooth; name a dongle, as in ble:{NEW}@usb:0, or pay"
        )
    from . import ble_bless  # noqa: PLC0415 - an extra

    return ble_bless.BlessPeripheral()


def _missing(error: ImportError) -> TapError:
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    if extra is None:
        return TapError(Code.BAD_INPUT, f"Bluetooth does not load here: {error}")
    return TapError(Code.BAD_INPUT, f"Bluetooth needs {package}: pip install 'dualtap[{extra}]'")


SCHEME = BleScheme()
