"""``--log-level traffic``: every frame that this device sends or receives, with its length and what it is.

A sealed frame is named once this device's own channel has sealed or opened it. Names and sizes are told, and an error
that a Refuse carries; nothing else of what a frame holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import click

from dualtap import wire
from dualtap.call import decode_call, is_call
from dualtap.errors import TapError
from dualtap_apps.metered import seen_by
from dualtap_apps.output import note
from dualtap_devices.frames import plain_name, wants
from dualtap_devices.remote import Carrier
from dualtap_devices.wallet import Wallet
from dualtap_transports.link import Link

TRAFFIC = "traffic"
LOG_LEVEL = click.option(
    "--log-level",
    type=click.Choice(["normal", TRAFFIC]),
    default="normal",
    show_default=True,
    help="With traffic, print each frame's direction, length and name on stderr.",
)


class Traffic:
    """Tells of the frames of one session; ``say`` is given a line each. To be made before the session's channel is."""

    def __init__(self, wallet: Wallet, say: Callable[[str], None] = note) -> None:
        self._say = say
        self._count = 0
        self._names: dict[bytes, str] = {}
        self._unopened: tuple[bytes, str] | None = None
        scheme = wallet.book.scheme
        wallet.book.scheme = replace(scheme, suite=seen_by(scheme.suite, self._seen))

    def sent(self, frame: bytes) -> None:
        """Tell of a frame that goes out."""
        self.settle()
        text, sealed = self._plain(frame)
        self._say(_line("sent", frame, text + self._names.get(sealed, "")))

    def received(self, frame: bytes) -> None:
        """Tell of a frame that came in: at once if it can be read, else when it has been opened."""
        self.settle()
        text, sealed = self._plain(frame)
        if sealed:
            self._unopened = sealed, _line("received", frame, text)
        else:
            self._say(_line("received", frame, text))

    def settle(self) -> None:
        """Tell of the last frame if this device never opened it."""
        if self._unopened is not None:
            _, line = self._unopened
            self._unopened = None
            self._say(f"{line}sealed, and not opened")

    def _seen(self, sealed: bytes, plain: bytes) -> None:
        self._names[sealed] = name = f"{plain_name(plain)}, sealed"
        if self._unopened is not None and self._unopened[0] == sealed:
            _, line = self._unopened
            self._unopened = None
            self._say(line + name)

    def _plain(self, frame: bytes) -> tuple[str, bytes]:
        """Return what may be read of a frame before anything is opened, and its sealed part."""
        if self._count == 0 and is_call(frame):
            return _call(frame), b""
        place, self._count = self._count, self._count + 1
        try:
            match place:
                case 0:
                    return f"Hello ({wants(wire.decode_hello(frame).want)})", b""
                case 1:
                    welcome = wire.decode_welcome(frame)
                    return f"Welcome ({wants(welcome.want)})" + " with " * bool(welcome.sealed), welcome.sealed
                case _:
                    return "", frame
        except TapError as error:
            return f"unreadable ({getattr(error.code, 'name', error.code)})", b""


class TrafficLink:
    """``link``, which it owns, its frames told of."""

    def __init__(self, link: Link, traffic: Traffic) -> None:
        self._link, self._traffic = link, traffic

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        """Tell of a frame and send it."""
        self._traffic.sent(frame)
        self._link.send(frame)

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame, told of."""
        frame = self._link.receive(timeout)
        self._traffic.received(frame)
        return frame

    def close(self) -> None:
        """Close the link."""
        self._traffic.settle()
        self._link.close()


class TrafficCarrier:
    """``carrier``, the frames of its sync told of."""

    def __init__(self, carrier: Carrier, traffic: Traffic) -> None:
        self._carrier, self._traffic = carrier, traffic

    def exchange(self, frame: bytes) -> bytes:
        """Exchange frames, both told of."""
        self._traffic.sent(frame)
        answer = self._carrier.exchange(frame)
        self._traffic.received(answer)
        return answer


def told(link: Link, wallet: Wallet, log_level: str) -> Link:
    """Return ``link``, its frames told of if the level says so."""
    return TrafficLink(link, Traffic(wallet)) if log_level == TRAFFIC else link


def told_carrier(carrier: Carrier, wallet: Wallet, log_level: str) -> Carrier:
    """Return ``carrier``, its frames told of if the level says so."""
    return TrafficCarrier(carrier, Traffic(wallet)) if log_level == TRAFFIC else carrier


def _call(frame: bytes) -> str:
    try:
        return f"Call ({wants(decode_call(frame).want)})"
    except TapError as error:
        return f"unreadable Call ({getattr(error.code, 'name', error.code)})"


def _line(direction: str, frame: bytes, text: str) -> str:
    return f"{direction:<8} {len(frame):>5} bytes  {text}"
