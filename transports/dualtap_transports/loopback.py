"""Links inside one process: for tests, demos and simulators."""

from __future__ import annotations

from collections import deque
from threading import Condition

from dualtap import limits
from dualtap.errors import Code, TapError

from .link import check_frame
from .nearness import LOCAL_SECONDS


class _Pipe:
    """One direction of a pair."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._changed = Condition()
        self._ended = False

    def put(self, frame: bytes, max_frame: int) -> None:
        with self._changed:
            if self._ended:
                raise TapError(Code.LINK_LOST, "the link is closed")
            check_frame(frame, max_frame)
            self._frames.append(bytes(frame))
            self._changed.notify_all()

    def get(self, timeout: float | None) -> bytes:
        with self._changed:
            if not self._changed.wait_for(lambda: self._frames or self._ended, timeout):
                raise TapError(Code.TIMEOUT, f"no frame within {timeout} s")
            if not self._frames:
                raise TapError(Code.LINK_LOST, "the link is closed")
            return self._frames.popleft()

    def end(self, *, discard: bool) -> None:
        with self._changed:
            self._ended = True
            if discard:
                self._frames.clear()
            self._changed.notify_all()


class LoopbackLink:
    """One end of a :func:`pair`."""

    def __init__(self, inward: _Pipe, outward: _Pipe, max_frame: int) -> None:
        self._inward = inward
        self._outward = outward
        self._max_frame = max_frame

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._max_frame

    def send(self, frame: bytes) -> None:
        """Queue one frame for the other end; see :meth:`.link.Link.send`. Never waits."""
        self._outward.put(frame, self._max_frame)

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`.link.Link.receive`."""
        return self._inward.get(timeout)

    def close(self) -> None:
        """End both directions: the peer still gets what was sent, this end gets nothing more."""
        self._outward.end(discard=False)
        self._inward.end(discard=True)


def pair(max_frame: int = limits.MESSAGE) -> tuple[LoopbackLink, LoopbackLink]:
    """Return two joined links that carry frames of up to ``max_frame`` bytes (at most ``limits.MESSAGE``)."""
    if not 1 <= max_frame <= limits.MESSAGE:
        raise ValueError(f"max_frame must be 1 to {limits.MESSAGE} bytes")
    there, back = _Pipe(), _Pipe()
    return LoopbackLink(back, there, max_frame), LoopbackLink(there, back, max_frame)


class LoopbackScheme:
    """Named listeners, known to this object only; ``SCHEME`` is the process-wide one."""

    round_trip = LOCAL_SECONDS

    def __init__(self) -> None:
        self._changed = Condition()
        self._listeners: dict[str, LoopbackListener] = {}

    def connect(self, address: str, timeout: float | None) -> LoopbackLink:
        """Return a link to the listener of that name, once there is one; see :meth:`.link.Scheme.connect`."""
        _check_name(address)
        with self._changed:
            if not self._changed.wait_for(lambda: address in self._listeners, timeout):
                raise TapError(Code.LINK_LOST, f"nobody listens at loopback:{address}")
            mine, theirs = pair()
            self._listeners[address].waiting.append(theirs)
            self._changed.notify_all()
        return mine

    def listen(self, address: str) -> LoopbackListener:
        """Return a listener of that name. Raises ``BAD_INPUT`` if the name is empty or taken."""
        _check_name(address)
        with self._changed:
            if address in self._listeners:
                raise TapError(Code.BAD_INPUT, f"loopback:{address} is in use; choose another name")
            listener = LoopbackListener(address, self._changed, self._listeners)
            self._listeners[address] = listener
            self._changed.notify_all()
        return listener


class LoopbackListener:
    """A named listener; made by :meth:`LoopbackScheme.listen`, whose lock and table it shares."""

    def __init__(self, address: str, changed: Condition, listeners: dict[str, LoopbackListener]) -> None:
        self._address = address
        self._changed = changed
        self._listeners = listeners
        self.waiting: deque[LoopbackLink] = deque()
        """Links that connected and were not accepted yet; touched under the scheme's lock only."""

    @property
    def address(self) -> str:
        """The name, as given."""
        return self._address

    def accept(self, timeout: float | None) -> LoopbackLink:
        """Return the next link; see :meth:`.link.Listener.accept`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.waiting or not self._open(), timeout):
                raise TapError(Code.TIMEOUT, f"nobody connected within {timeout} s")
            if not self._open():
                raise TapError(Code.LINK_LOST, "the listener is closed")
            return self.waiting.popleft()

    def close(self) -> None:
        """Free the name and end the links that were not accepted."""
        with self._changed:
            if not self._open():
                return
            del self._listeners[self._address]
            for link in self.waiting:
                link.close()
            self.waiting.clear()
            self._changed.notify_all()

    def _open(self) -> bool:
        return self._listeners.get(self._address) is self


def _check_name(name: str) -> None:
    if not name:
        raise TapError(Code.BAD_INPUT, "a loopback address is a name, as in loopback:shop")


SCHEME = LoopbackScheme()
