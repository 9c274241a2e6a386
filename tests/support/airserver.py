"""The air between two processes: virtual controllers, each behind a TCP port of its own.

Run as ``python -m tests.support.airserver COUNT``: prints the ports in one line, and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from bumble.controller import Controller
from bumble.transport.common import Transport
from bumble.transport.tcp_server import open_tcp_server_transport_with_socket

from tests.support.virtual import DATA_LENGTH, Space


async def serve(count: int) -> None:
    space, ports = Space(), list[int]()
    transports, controllers = list[Transport](), list[Controller]()
    for i in range(count):
        # The protocol named here is what makes asyncio turn Nagle's algorithm off.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.bind(("127.0.0.1", 0))
        ports.append(sock.getsockname()[1])
        transport = await open_tcp_server_transport_with_socket(sock)
        controller = Controller(f"C{i}", transport.source, transport.sink, space, f"F0:00:00:00:00:{i + 1:02X}")
        controller.le_acl_data_packet_length = DATA_LENGTH
        transports.append(transport)
        controllers.append(controller)
    sys.stdout.write(" ".join(map(str, ports)) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
