"""A relay between two devices on TCP, which are other processes: it hands frames on, and tears one tap at a frame."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle

from dualtap.errors import TapError
from dualtap_transports.tcp import SCHEME, TcpListener

PATIENCE = 20.0
"""Seconds after which a device that is silent is broken."""


@dataclass
class Relay:
    """One tap's relay to ``till``.

    After ``frames`` frames the link is torn: the next frame is lost or, if ``half``, arrives in half.
    """

    till: str
    frames: int = 1000
    half: bool = False
    listener: TcpListener = field(default_factory=lambda: SCHEME.listen("127.0.0.1:0"))
    carried: int = 0
    torn: bool = False

    def carry(self) -> None:
        """Carry one connection's frames. A tap is half-duplex: the sides alternate (SPEC §6-1)."""
        card = self.listener.accept(PATIENCE)
        till = SCHEME.connect(self.till, PATIENCE)
        with suppress(TapError):  # one side has ended the tap
            for source, sink in cycle(((card, till), (till, card))):
                frame = source.receive(PATIENCE)
                if self.carried == self.frames:
                    self.torn = True
                    if self.half:
                        sink.tear(frame, len(frame) // 2)
                    break
                self.carried += 1
                sink.send(frame)
        card.close()
        till.close()


@contextmanager
def relay(till: str, frames: int = 1000, half: bool = False) -> Generator[Relay]:
    """Run a relay in a thread; at the end its one tap is over."""
    made = Relay(till, frames, half)
    thread = threading.Thread(target=made.carry)
    thread.start()
    try:
        yield made
    finally:
        made.listener.close()
        thread.join()
