"""Links over TCP: frames by :mod:`.framing`, addresses as ``HOST:PORT`` or ``[IPV6]:PORT``."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from threading import RLock
from typing import TypeAlias

from dualtap import limits
from dualtap.errors import Code, TapError

from .framing import PREFIX, Deframer, encode
from .link import check_frame
from .nearness import NETWORK_SECONDS

Clock: TypeAlias = Callable[[], float]
"""Returns seconds that never run backwards."""
SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What the socket module takes and gives as an address."""

BACKLOG = 16
"""Connections that wait to be accepted: one tap at a time is the rule, so more are strangers."""
RETRY_SECONDS = 0.05
"""Seconds between two attempts to reach a peer that does not listen yet."""
_READ = 64 * 1024
"""Bytes asked of the kernel at once, which bounds what a link holds beyond one frame."""
_DRAINS = 16
"""Reads at most that a close spends on bytes nobody will receive."""


class TcpLink:
    """A connected socket, which it owns."""

    def __init__(self, sock: socket.socket, clock: Clock = time.monotonic) -> None:
        sock.setblocking(False)
        with suppress(OSError):  # some systems refuse this once the peer has gone, which receive will tell
            # A tap is a ping-pong of small frames: to wait for more to send would add a delayed ACK to each.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._clock = clock
        self._inbox = Deframer()
        self._closed = False
        # Held while the socket is in use, so that close cannot free its number under a waiting thread.
        self._sending = RLock()
        self._receiving = RLock()

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return limits.MESSAGE

    def send(self, frame: bytes) -> None:
        """Send one frame; see :meth:`.link.Link.send`. Gives up after ``limits.SESSION_SECONDS``."""
        with self._sending:
            self._check_open()
            check_frame(frame, limits.MESSAGE)
            self._write(encode(frame))

    def tear(self, frame: bytes, at: int) -> None:
        """Announce ``frame`` whole, send its first ``at`` bytes, then close: a fault model's call."""
        with self._sending:
            self._check_open()
            check_frame(frame, limits.MESSAGE)
            self._write(encode(frame)[: PREFIX + at])
        self.close()

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`.link.Link.receive`."""
        deadline = None if timeout is None else self._clock() + timeout
        late = False
        with self._receiving:
            while True:
                self._check_open()
                frame = self._inbox.take()
                if frame is not None:
                    return frame
                # At the deadline one read takes what has arrived: a peer that trickles gains no second one.
                if late:
                    raise _too_late()
                left = _left(deadline, self._clock)
                late = left == 0
                self._read(left)

    def close(self) -> None:
        """End the connection; see :meth:`.link.Link.close`."""
        self._closed = True
        with suppress(OSError):  # closed before, or by the peer
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes threads that wait in send or receive
        with self._sending, self._receiving:
            # Unread bytes at a close make the kernel send a reset, which may overtake frames sent before.
            with suppress(OSError):
                for _ in range(_DRAINS):
                    if not self._sock.recv(_READ):
                        break
            self._sock.close()

    def _check_open(self) -> None:
        if self._closed:
            raise TapError(Code.LINK_LOST, "the link is closed")

    def _read(self, left: float | None) -> None:
        """Take in what has arrived, or wait ``left`` seconds for something to arrive."""
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            if not _wait(self._sock, selectors.EVENT_READ, left):
                raise _too_late() from None
            return
        except OSError as error:
            raise TapError(Code.LINK_LOST, _reason(error)) from error
        if not data:
            cut = "in the middle of a frame" if self._inbox else "between frames"
            raise TapError(Code.LINK_LOST, f"the peer closed {cut}")
        self._inbox.feed(data)

    def _write(self, data: bytes) -> None:
        deadline = self._clock() + limits.SESSION_SECONDS
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                if not _wait(self._sock, selectors.EVENT_WRITE, _left(deadline, self._clock)):
                    self.close()  # half a frame is out: nothing sent after it could be understood
                    raise TapError(Code.TIMEOUT, "the peer reads nothing") from None
            except OSError as error:
                raise TapError(Code.LINK_LOST, _reason(error)) from error


class TcpListener:
    """A listening socket, which it owns."""

    def __init__(self, sock: socket.socket, clock: Clock = time.monotonic) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._clock = clock
        self._address = format_address(sock)
        self._closed = False
        self._accepting = RLock()
        # A shutdown wakes a waiting accept on Linux only; a byte in a second socket does everywhere.
        self._wake, self._woken = socket.socketpair()

    @property
    def address(self) -> str:
        """``HOST:PORT`` as bound: port 0 has become a real one."""
        return self._address

    def accept(self, timeout: float | None) -> TcpLink:
        """Return the next link; see :meth:`.link.Listener.accept`."""
        deadline = None if timeout is None else self._clock() + timeout
        with self._accepting:
            while not self._closed:
                try:
                    return TcpLink(self._sock.accept()[0], self._clock)
                except BlockingIOError:
                    left = _left(deadline, self._clock)
                    if not _wait(self._sock, selectors.EVENT_READ, left, self._woken):
                        raise TapError(Code.TIMEOUT, f"nobody connected within {timeout} s") from None
                except ConnectionAbortedError:
                    continue  # that peer left before its turn
                except OSError as error:
                    raise TapError(Code.LINK_LOST, f"cannot accept: {_reason(error)}") from error
        raise TapError(Code.LINK_LOST, "the listener is closed")

    def close(self) -> None:
        """Stop listening; see :meth:`.link.Listener.close`."""
        self._closed = True
        with suppress(OSError):  # closed before
            self._wake.send(b"\0")
        with self._accepting:
            for sock in (self._sock, self._wake, self._woken):
                sock.close()


@dataclass(frozen=True, slots=True)
class TcpScheme:
    """Opens TCP links. ``clock`` and ``sleep`` take and give seconds; a test passes its own."""

    round_trip = NETWORK_SECONDS

    clock: Clock = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def connect(self, address: str, timeout: float | None) -> TcpLink:
        """Return a link to ``address``; see :meth:`.link.Scheme.connect`.

        The look-up of a name is the system's and is not bounded by ``timeout``.
        """
        candidates = resolve(address)
        deadline = None if timeout is None else self.clock() + timeout
        while True:
            refused: OSError | None = None
            lost: OSError | None = None
            for family, where in candidates:
                try:
                    return TcpLink(_dial(family, where, _left(deadline, self.clock)), self.clock)
                except ConnectionRefusedError as error:
                    refused = error
                except OSError as error:
                    lost = error
            left = _left(deadline, self.clock)
            # Only a refusal may mend itself in a moment; an unreachable network does not.
            if refused is None or left == 0:
                raise cannot_reach(address, refused or lost)
            self.sleep(RETRY_SECONDS if left is None else min(RETRY_SECONDS, left))

    def listen(self, address: str) -> TcpListener:
        """Return a listener at ``address``, port 0 being any free one; see :meth:`.link.Scheme.listen`."""
        return TcpListener(bind(address), self.clock)


SCHEME = TcpScheme()


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; an IPv6 host stands in brackets. Raises ``BAD_INPUT``."""
    host, colon, digits = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise TapError(Code.BAD_INPUT, f"{address!r}: write an IPv6 address in brackets, as in [::1]:7000")
    if not (colon and host):
        raise TapError(Code.BAD_INPUT, f"{address!r} is not HOST:PORT, as in 127.0.0.1:7000")
    # int() alone would take " 7", "+7", "7_0" and the digits of every script.
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= 65535):
        raise TapError(Code.BAD_INPUT, f"{address!r}: a port is a number from 0 to 65535")
    return host, int(digits)


def format_address(sock: socket.socket) -> str:
    """Return the address to which ``sock`` is bound, as :func:`parse_address` reads it."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def resolve(address: str, *, listening: bool = False) -> list[tuple[int, SocketAddress]]:
    """Return family and socket address of each place that ``address`` names, best first.

    Raises ``BAD_INPUT`` if it names none, ``LINK_LOST`` if names cannot be looked up at the moment.
    """
    host, port = parse_address(address)
    if port == 0 and not listening:
        raise TapError(Code.BAD_INPUT, f"{address!r}: only a listener may ask for port 0")
    flags = socket.AI_PASSIVE if listening else 0
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:
        code = Code.LINK_LOST if error.errno == socket.EAI_AGAIN else Code.BAD_INPUT
        raise TapError(code, f"cannot look up {host!r}: {_reason(error)}") from error
    except ValueError as error:  # a name that no encoding of host names allows
        raise TapError(Code.BAD_INPUT, f"{host!r} is not a host name") from error
    return [(int(family), where) for family, _, _, _, where in found]


def bind(address: str) -> socket.socket:
    """Return a socket that listens at ``address``. Raises ``BAD_INPUT`` if that is not free or not ours."""
    for family, where in (candidates := resolve(address, listening=True)):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                # Lets a shop restart at once on its port; on Windows it would let others take the port over.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(where)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            # A name may stand for an IPv6 address too, which this machine need not have.
            if where == candidates[-1][1]:
                raise TapError(Code.BAD_INPUT, f"cannot listen at tcp:{address}: {_reason(error)}") from error
        else:
            return sock
    raise TapError(Code.BAD_INPUT, f"{address!r} names no place to listen at")


def cannot_reach(address: str, error: OSError | None) -> TapError:
    """Return what to raise when no attempt to connect succeeded, the last of them for ``error``."""
    if error is None or isinstance(error, TimeoutError):
        return TapError(Code.TIMEOUT, f"tcp:{address} does not answer")
    return TapError(Code.LINK_LOST, f"cannot reach tcp:{address}: {_reason(error)}")


def reached_itself(sock: socket.socket) -> bool:
    """Tell whether a socket is connected to itself.

    Dialling a free local port again and again hits, in time, the very port that the system lends to the
    dialling socket, and TCP then joins it to itself.
    """
    return bool(sock.getsockname() == sock.getpeername())


def _dial(family: int, where: SocketAddress, left: float | None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # At the very deadline one attempt is still made; a zero would mean not to wait even for a local peer.
        sock.settimeout(left if left is None else max(left, RETRY_SECONDS))
        sock.connect(where)
        if reached_itself(sock):
            raise ConnectionRefusedError("only this very socket is there")
    except BaseException:
        sock.close()
        raise
    return sock


def _left(deadline: float | None, clock: Clock) -> float | None:
    return None if deadline is None else max(0.0, deadline - clock())


def _wait(sock: socket.socket, event: int, left: float | None, wake: socket.socket | None = None) -> bool:
    """Wait until ``sock`` is ready (or ``wake`` readable) or ``left`` seconds have passed; tell which."""
    with closing(selectors.DefaultSelector()) as selector:
        selector.register(sock, event)
        if wake is not None:
            selector.register(wake, selectors.EVENT_READ)
        return bool(selector.select(left))


def _too_late() -> TapError:
    return TapError(Code.TIMEOUT, "no whole frame in time")


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
