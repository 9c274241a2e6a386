"""What is between two of nfcpy's UDP devices in two processes: a proxy that drops, delays and tears, by datagram."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from heapq import heappop, heappush

HOST = "127.0.0.1"
FIELD_GONE = b"RFOFF"


@dataclass(frozen=True)
class Weather:
    """What befalls datagram ``at``, counted from 0 both ways: it is dropped, delayed, doubled, garbled or the last."""

    kind: str = "calm"
    at: int = -1
    seconds: float = 0.0


class Ether:
    """Carries datagrams between the card at ``port`` and whoever sends to it. Runs in a process of its own."""

    def __init__(self, port: int, weather: Weather, say: Callable[[str], None]) -> None:
        self._card = HOST, port
        self._weather = weather
        self._say = say
        self._reader: tuple[str, int] | None = None
        self._count = 0
        self._torn = False
        self._late: list[tuple[float, int, bool, bytes]] = []

    def run(self) -> None:
        """Say where a reader must send to, and carry for ever."""
        with (
            closing(socket.socket(type=socket.SOCK_DGRAM)) as near,
            closing(socket.socket(type=socket.SOCK_DGRAM)) as far,
        ):
            near.bind((HOST, 0))
            far.bind((HOST, 0))
            self._say(f"nfc:udp:{HOST}:{near.getsockname()[1]}")
            with selectors.DefaultSelector() as selector:
                selector.register(near, selectors.EVENT_READ, True)
                selector.register(far, selectors.EVENT_READ, False)
                while True:
                    self._deliver(near, far)
                    wait = max(0.0, self._late[0][0] - time.monotonic()) if self._late else None
                    for key, _ in selector.select(wait):
                        data, sender = (near if key.data else far).recvfrom(2048)
                        if key.data:
                            self._reader = sender
                        self._meet(to_card=key.data, data=data)

    def _meet(self, *, to_card: bool, data: bytes) -> None:
        n, self._count = self._count, self._count + 1
        self._say(f"{'>' if to_card else '<'} {len(data)}")
        now = time.monotonic()
        if self._torn:
            return
        if n != self._weather.at:
            heappush(self._late, (now, n, to_card, data))
            return
        match self._weather.kind:
            case "drop":
                pass
            case "delay":
                heappush(self._late, (now + self._weather.seconds, n, to_card, data))
            case "double":
                heappush(self._late, (now, n, to_card, data))
                heappush(self._late, (now, n, to_card, data))
            case "garble":
                # As a wrong checksum: an odd number of hex digits, of which nfcpy makes nothing.
                heappush(self._late, (now, n, to_card, data[:-1]))
            case "tear":
                # The field goes: the card feels that, the reader hears nothing more.
                self._torn = True
                heappush(self._late, (now, n, True, FIELD_GONE))
            case other:
                raise AssertionError(other)

    def _deliver(self, near: socket.socket, far: socket.socket) -> None:
        while self._late and self._late[0][0] <= time.monotonic():
            _, _, to_card, data = heappop(self._late)
            if to_card:
                far.sendto(data, self._card)
            elif self._reader is not None:
                near.sendto(data, self._reader)


def carry(port: int, weather: Weather, say: Callable[[str], None]) -> None:
    """Be the ether until this process is killed."""
    Ether(port, weather, say).run()
