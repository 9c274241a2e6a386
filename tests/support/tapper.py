"""One side of a tap, with a wallet on disk, in a process that may kill itself.

Run as ``python -m tests.support.tapper FOLDER pay|collect TRANSPORT:ADDRESS BOUNDARY``.
Boundaries are counted from 0: one before each effect, one before and one after each frame that is really sent, and
one at the end.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dualtap.context import Charge, Pay
from dualtap.events import Effect
from dualtap.session import ident
from dualtap_devices.disk import opened
from dualtap_devices.driver import Driver, run
from dualtap_transports.handover import handover_of, introduce
from dualtap_transports.link import Link, open_scheme
from tests.support.devices import BASKET, NOW, PRICES

NEVER = -1
LISTEN = "tcp:127.0.0.1:0"
PATIENCE = 20.0


class Killer:
    """Kills this process at a boundary, as kill -9 does."""

    def __init__(self, at: int) -> None:
        self._left = at

    def boundary(self, effect: Effect | None = None) -> None:
        del effect
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


class Watched:
    """A link that meets a boundary before and after each frame that it sends."""

    def __init__(self, link: Link, killer: Killer) -> None:
        self._link, self._killer = link, killer
        self.receive, self.close = link.receive, link.close

    @property
    def max_frame(self) -> int:
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        self._killer.boundary()
        self._link.send(frame)
        self._killer.boundary()


def listens(address: str) -> bool:
    """Tell whether an address is one that only a listener is given."""
    return address.endswith(":0") or address.startswith(("vpcd:", "ble:new"))


def play(folder: Path, part: str, address: str, at: int, say: Callable[[str], None]) -> None:
    """Tap once; say where it listens, then how it ended."""
    killer = Killer(at)
    order = Pay() if part == "pay" else Charge(PRICES[BASKET], "CNY", BASKET)
    with opened(folder) as wallet:
        ephemeral = wallet.book.scheme.suite.ephemeral(secrets.token_bytes(32))
        scheme, place = open_scheme(address)
        if listens(address):
            with closing(scheme.listen(place)) as listener:
                handover = introduce(listener, ident(ephemeral.public))
                say(f"{address.partition(':')[0]}:{listener.address}")
                link: Link = listener.accept(PATIENCE)
        else:
            link = scheme.connect(place, PATIENCE)
            handover = handover_of(link)
        driver = Driver(
            wallet,
            order,
            not listens(address),
            ephemeral,
            secrets.token_bytes(32),
            watch=killer.boundary,
            clock=lambda: NOW,
            handover=handover,
        )
        report = run(driver, Watched(link, killer), PATIENCE)
        killer.boundary()
        say(report.result.value)


def main() -> None:
    folder, part, address, at = sys.argv[1:]

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    play(Path(folder), part, address, int(at), say)


if __name__ == "__main__":
    main()
