"""The air between processes: a TCP port at which every client finds a virtual Bluetooth controller of its own.

Run as ``python -m tests.support.airserver [haunted]``: prints the port, and serves until it is killed. A client that
goes takes its controller along, as when a device loses its power; ``haunted``, the controller lives on, as when only
the host dies.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from itertools import count
from typing import Any, cast

from bumble.controller import Controller
from bumble.transport.common import StreamPacketSource

from tests.support.virtual import DATA_LENGTH, Space


class Client(asyncio.Protocol):
    """One host, and its controller."""

    def __init__(self, space: Space, number: int, haunted: bool) -> None:
        self._space, self._haunted = space, haunted
        self._source: Any = cast("Any", StreamPacketSource)()
        self._controller = Controller(f"C{number}", self._source, self, space, f"F0:00:00:00:00:{number % 256:02X}")
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._controller.le_acl_data_packet_length = DATA_LENGTH

    def data_received(self, data: bytes) -> None:
        self._source.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self._haunted:
            self._space.leave(self._controller)

    def on_packet(self, packet: bytes) -> None:
        """Give the host what its controller says."""
        if self._transport is not None:
            self._transport.write(packet)


async def serve(haunted: bool) -> None:
    space, numbers = Space(), count(1)
    # The protocol named here is what makes asyncio turn Nagle's algorithm off.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(lambda: Client(space, next(numbers), haunted), sock=sock)
    sys.stdout.write(f"{sock.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve("haunted" in sys.argv))
