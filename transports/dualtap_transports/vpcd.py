"""A virtual card for pcscd's vpcd: ``vpcd:HOST:PORT``. This machine's PC/SC programs see it in a reader.

The card connects to vpcd, which then gives commands: a length of two bytes, big-endian, then the command. One of a
single byte is a control: 0 power off, 1 power on, 2 reset, 4 the ATR, which alone is answered.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread

from dualtap.errors import Code, TapError

from .apdu import split_address
from .card_link import CardEnd, CardListener
from .link import Link
from .nearness import NFC_SECONDS
from .tcp import parse_address

ATR = bytes.fromhex("3B84800144544150") + bytes([0x84 ^ 0x80 ^ 0x01 ^ 0x44 ^ 0x54 ^ 0x41 ^ 0x50])
"""T=0 and T=1, as PC/SC gives contactless cards; historical bytes "DTAP"; then the check byte."""
CONNECT_SECONDS = 5.0
_LOOK_SECONDS = 0.2
"""Seconds between two looks at whether anybody still needs this card."""
_POWER_OFF, _POWER_ON, _RESET, _ASK_ATR = 0, 1, 2, 4


class VpcdListener(CardListener):
    """A card in vpcd's reader; it owns its connection and the thread that serves it."""

    def __init__(self, sock: socket.socket, address: str, end: CardEnd) -> None:
        sock.settimeout(_LOOK_SECONDS)
        self._sock = sock
        super().__init__(address, end)
        Thread(target=self._work, name="dualtap vpcd", daemon=True).start()

    def _work(self) -> None:
        reason = "the card was taken out of the reader"
        try:
            while self._end.serving and (command := self._command()) is not None:
                answer = self._answered(command)
                if answer is not None:
                    self._sock.sendall(len(answer).to_bytes(2, "big") + answer)
        except OSError as error:
            reason = f"vpcd has gone: {error.strerror or error}"
        finally:
            self._sock.close()
            self._end.finish(reason)

    def _answered(self, command: bytes) -> bytes | None:
        match command:
            case bytes() if len(command) != 1:
                return self._end.respond(command)
            case bytes() if command[0] == _ASK_ATR:
                return ATR
            case bytes() if command[0] in (_POWER_OFF, _POWER_ON, _RESET):
                self._end.reset("the reader took the power away")
                return None
            case _:
                return None

    def _command(self) -> bytes | None:
        """Return the next command; ``None`` once nobody needs this card any more."""
        size = self._read(2)
        return None if size is None else self._read(int.from_bytes(size, "big"))

    def _read(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            if hasattr(socket, "TCP_QUICKACK"):
                # vpcd sends length and command apart and waits for the first to be acknowledged: 44 ms each time.
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            try:
                part = self._sock.recv(size - len(data))
            except TimeoutError:
                if not self._end.serving:
                    return None
                continue
            if not part:
                raise ConnectionResetError("vpcd closed the connection")
            data += part
        return data


@dataclass(frozen=True, slots=True)
class VpcdScheme:
    """Puts cards into vpcd's reader."""

    round_trip = NFC_SECONDS

    clock: Callable[[], float] = time.monotonic

    def connect(self, address: str, timeout: float | None) -> Link:
        """Refuse with ``BAD_INPUT``: who reads a virtual card is a PC/SC program."""
        raise TapError(Code.BAD_INPUT, f"vpcd:{address} is where a card listens; to read it use pcsc:READER")

    def listen(self, address: str) -> VpcdListener:
        """Put a card into the reader of the vpcd at ``address``; see :meth:`.link.Scheme.listen`."""
        return self.present(address, CardEnd(split_address(address)[1], clock=self.clock))

    def present(self, address: str, end: CardEnd) -> VpcdListener:
        """Put the card that ``end`` is into the reader, until the listener is closed."""
        where = split_address(address)[0]
        host, port = parse_address(where)
        try:
            sock = socket.create_connection((host, port), CONNECT_SECONDS)
        except OSError as error:
            raise TapError(
                Code.BAD_INPUT,
                f"no vpcd at {where} ({error}): install vsmartcard-vpcd, start pcscd, and try port 35963",
            ) from error
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return VpcdListener(sock, address, end)


SCHEME = VpcdScheme()
