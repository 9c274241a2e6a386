"""A cable between a virtual card and vpcd, which is cut at a chosen command: the card is torn out of the reader."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from threading import Thread

from dualtap_transports import tcp


class Cable:
    """Carries vpcd's frames; cut before command ``at`` reaches the card, or with ``heard`` before its answer leaves.

    Controls, of one byte, are not counted, nor are answers to them.
    """

    def __init__(self, address: str, at: int, heard: bool) -> None:
        self._vpcd = tcp.parse_address(address)
        self._at, self._heard = at, heard
        self.commands = 0
        self._listening = tcp.bind("127.0.0.1:0")
        self.address = tcp.format_address(self._listening)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait until the card has gone."""
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with closing(self._listening):
            card = self._listening.accept()[0]
        with closing(card), closing(socket.create_connection(self._vpcd)) as vpcd, suppress(OSError, EOFError):
            for sock in (card, vpcd):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                command = take(vpcd)
                counted = len(command) > 3
                if counted and self.commands == self._at and not self._heard:
                    return
                card.sendall(command)
                if counted or command[2] == 4:
                    answer = take(card)
                    if counted and self.commands == self._at:
                        return
                    vpcd.sendall(answer)
                self.commands += counted


def take(sock: socket.socket) -> bytes:
    """Read one frame, with its length."""
    size = read(sock, 2)
    return size + read(sock, int.from_bytes(size, "big"))


def read(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes. Raises :class:`EOFError`."""
    data = b""
    while len(data) < size:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = sock.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data
