"""What was said in a test, as a sequence chart: who sent what, how long it was, and what became of it.

Names of messages, lengths and outcomes are shown, and nothing else of what a frame holds: no key, no amount that
crossed sealed, no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dualtap.events import Event, Received, Report
from dualtap_devices.driver import Driver
from dualtap_devices.frames import said_name
from dualtap_testing.overhear import Ear, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualtap.context import Order
    from dualtap.suite import Ephemeral
    from dualtap_devices.driver import Person, Watch
    from dualtap_devices.wallet import Wallet

WIDTH = 56
"""Columns between the two sides."""
STRANGER = "the other side"
LAST = 8
"""Taps of a long story that are shown: its last ones."""


@dataclass
class Arrow:
    """One frame: from whom, to whom if it arrived, what it is, and how often it came."""

    sender: str
    receiver: str
    text: str
    frame: bytes
    arrived: int = 0
    fate: str = ""
    """What became of it on the way, where whoever carried it says so."""


@dataclass
class Began:
    """A tap begins, as whoever carries its frames tells it: who is shown left, and who right."""

    text: str
    sides: tuple[str, str]


@dataclass
class Ended:
    """How a tap ended for one side."""

    who: str
    text: str


def attach(error: BaseException, chart: str) -> None:
    """Let an error carry a chart, for :mod:`.plugin`; the first that it is given stays."""
    error.__dict__.setdefault("tap_chart", chart)


class Trace:
    """Keeps what crossed between wallets that tap here; ``chart`` shows it."""

    def __init__(self) -> None:
        self.told: list[Arrow | Began | Ended] = []
        self.carried = False
        """Whether whoever carries the frames of this tap tells of them: then its drivers do not."""
        self._names: dict[bytes, str] = {}
        self._sides = ("", "")

    def name(self, wallet: Wallet) -> str:
        """Return what a wallet is called: what it is, and the number of its kind here."""
        key = wallet.book.key
        if key not in self._names:
            kind = wallet.book.certificate.carrier.name.lower()
            number = 1 + sum(name.startswith(f"{kind} ") for name in self._names.values())
            self._names[key] = f"{kind} {number}"
        return self._names[key]

    def began(self, text: str, left: str, right: str) -> None:
        """Begin a tap between these two."""
        self._sides = (left, right)
        self.told.append(Began(text, self._sides))

    def crossed(self, from_left: bool, said: Said, arrived: int, fate: str) -> None:
        """Keep a frame that somebody carried in the tap that began last, and what became of it."""
        left, right = self._sides
        text = f"{said_name(said.message, said.inner)}, {said.length} bytes"
        ends = (left, right) if from_left else (right, left)
        self.told.append(Arrow(*ends, text, b"", arrived, fate))

    def sent(self, who: str, frame: bytes, said: Said) -> None:
        """Keep a frame that goes out."""
        self.told.append(Arrow(who, "", f"{said_name(said.message, said.inner)}, {len(frame)} bytes", frame))

    def arrived(self, who: str, frame: bytes) -> bool:
        """Note that a frame came in; return whether it is known who sent it."""
        for arrow in reversed(self.told):
            if isinstance(arrow, Arrow) and arrow.frame == frame and arrow.sender != who:
                arrow.receiver, arrow.arrived = who, arrow.arrived + 1
                return True
        return False

    def came(self, who: str, frame: bytes, said: Said) -> None:
        """Keep a frame of somebody who is not watched here."""
        text = f"{said_name(said.message, said.inner)}, {len(frame)} bytes"
        self.told.append(Arrow(STRANGER, who, text, frame, 1))

    def ended(self, who: str, report: Report) -> None:
        """Keep how a tap ended."""
        why = "" if report.code is None else f" ({getattr(report.code, 'name', report.code)})"
        self.told.append(Ended(who, f"{report.result.value.replace('_', ' ')}{why}"))

    def chart(self, taps: int = LAST) -> str:
        """Return the chart; empty if nothing was said. Of taps that were told as such, the last ``taps``."""
        places = [place for place, item in enumerate(self.told) if isinstance(item, Began)]
        return self._chart(self.told[places[-taps] :] if len(places) > taps else self.told)

    def _chart(self, told: Iterable[Arrow | Began | Ended]) -> str:
        lines: list[str] = []
        sides: tuple[str, str] | None = None
        for item in told:
            if isinstance(item, Began):
                sides = item.sides
                lines += ["", item.text, _heading(sides)]
                continue
            if isinstance(item, Ended):
                lines.append(f"{item.who}: {item.text}")
                continue
            other = item.receiver or self._other(item)
            if sides is None or {item.sender, other} - {*sides}:
                sides = (item.sender, other)
                lines += ["", _heading(sides)]
            lines.append(_arrow(item, forward=item.sender == sides[0]))
        return "\n".join(lines).strip("\n")

    def _other(self, arrow: Arrow) -> str:
        """Return to whom a frame went that never arrived: who was spoken with last, or next."""
        place = self.told.index(arrow)
        for item in (*reversed(self.told[:place]), *self.told[place + 1 :]):
            if isinstance(item, Arrow) and arrow.sender in (item.sender, item.receiver):
                found = item.receiver if item.sender == arrow.sender else item.sender
                if found:
                    return found
        return STRANGER


def _heading(sides: tuple[str, str]) -> str:
    return f"{sides[0]:<{WIDTH // 2}}{sides[1]:>{WIDTH // 2}}"


def _arrow(arrow: Arrow, *, forward: bool) -> str:
    fate = arrow.fate or {0: "lost", 1: ""}.get(arrow.arrived, f"came {arrow.arrived} times")
    fate = f"  {fate}" if fate else ""
    text = f" {arrow.text} "
    if forward:
        return f"|{text:->{max(len(text), WIDTH - 4)}}{'x|' if not arrow.arrived else '>|'}{fate}".rstrip()
    return f"|{'x' if not arrow.arrived else '<'}{text:-<{max(len(text), WIDTH - 4)}}|{fate}".rstrip()


class TracedDriver(Driver):
    """A driver whose frames are kept in a :class:`Trace`."""

    def __init__(
        self,
        trace: Trace,
        wallet: Wallet,
        order: Order,
        initiator: bool,
        ephemeral: Ephemeral,
        entropy: bytes,
        person: Person,
        watch: Watch,
        clock: Callable[[], float],
    ) -> None:
        """As :class:`~dualtap_devices.driver.Driver`, and the trace."""
        super().__init__(wallet, order, initiator, ephemeral, entropy, person, watch, clock)
        self._trace, self._who, self._initiator = trace, trace.name(wallet), initiator
        self._ear = Ear(wallet.book.scheme, ephemeral, initiator)

    def feed(self, event: Event) -> list[bytes]:
        """Take an event; keep what came in and what goes out."""
        if self._trace.carried:
            return super().feed(event)
        if isinstance(event, Received):
            known, said = self._trace.arrived(self._who, event.frame), self._ear.hear(not self._initiator, event.frame)
            if not known:
                self._trace.came(self._who, event.frame, said)
        before = len(self.reports)
        frames = super().feed(event)
        for frame in frames:
            self._trace.sent(self._who, frame, self._ear.hear(self._initiator, frame))
        for report in self.reports[before:]:
            self._trace.ended(self._who, report)
        return frames
