"""How a command that listens meets a device: strangers may come first, and do not use its waiting up.

Whoever comes is heard at once, several at a time, so that one who connects and says nothing keeps nobody waiting.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Lock, Thread
from typing import TypeAlias

from dualtap.errors import TABLE as ERRORS
from dualtap.errors import Code, Fault, TapError
from dualtap.session import NO_HANDOVER
from dualtap_apps.linking import Door, Fail, Met
from dualtap_apps.output import note
from dualtap_devices.driver import Driver
from dualtap_devices.passive import Again
from dualtap_transports.link import Link, Listener

HELD = 8
"""Links that may be silent at the same time, and as many that have spoken and wait for their turn; of one more silent
one the oldest is closed, of one more that has spoken that one."""
PATIENCE = 15.0
"""Seconds for which who has said a first frame may say nothing more while somebody else waits: a person thinks."""
SLICE = 0.5
"""Seconds after which it is looked again whether somebody else waits."""
TOLD = 8
"""Strangers that are told of one by one on stderr; then only when they have doubled, so that a flood says little."""

Check: TypeAlias = Callable[[bytes], None]
"""Raises if a first frame is none of those for which a command waits."""
Serve: TypeAlias = Callable[[Met], TapError | None]
"""Serves a device to the end. Returns ``None`` if that is done, :class:`Torn` if another try may bring it about, any
other error if the device did not get beyond the handshake."""


class Torn(TapError):
    """A session was torn after the handshake: the same device may come again."""


def in_vain(driver: Driver) -> TapError | None:
    """Return why a tap leaves its command waiting, as :data:`Serve` does: a stranger, or a link that was torn.

    What this device itself or its scheme does not allow ends it: waiting on would not help.
    """
    report = driver.result
    if report.code is None or not isinstance(report.code, Code):
        return None
    fault = ERRORS[report.code].fault
    if not driver.tap.joined:
        return TapError(report.code, report.detail) if fault in (Fault.LINK, Fault.PEER) else None
    return Torn(report.code, report.detail) if fault is Fault.LINK else None


class Strangers:
    """Tells of those who came in vain, on stderr, and not without end."""

    def __init__(self) -> None:
        self._lock, self._count = Lock(), 0

    def tell(self, why: TapError) -> None:
        """Tell of one more."""
        if isinstance(why, Torn):
            note(f"The link was torn ({why}): still waiting, tap again")
            return
        with self._lock:
            self._count += 1
            count = self._count
        if count <= TOLD:
            note(f"Somebody came and did not get beyond the handshake ({why}): still waiting")
        elif count & (count - 1) == 0:
            note(f"{count} have come that did not get beyond the handshake, the last: {why}; still waiting")


class Guests:
    """Those who come to ``listener``, which it owns, and say a first frame that ``check`` takes. The others are closed.

    At most :data:`HELD` are silent and as many wait at a time: what strangers do takes no more memory than that.
    """

    def __init__(self, listener: Listener, timeout: float, check: Check, strangers: Strangers) -> None:
        """``timeout`` is in seconds, for the first frame of each."""
        self._listener, self._timeout, self._check, self._strangers = listener, timeout, check, strangers
        self._changed, self._silent, self._closed = Condition(), list[Link](), False
        self._ready, self._ended = deque[tuple[Link, bytes]](), list[TapError]()
        Thread(target=self._accept, name="dualtap guests", daemon=True).start()

    def next(self, timeout: float) -> tuple[Link, bytes]:
        """Return the next who has spoken, with what was said; raise ``TIMEOUT``, or as the listener does."""
        with self._changed:
            if timeout <= 0 or not self._changed.wait_for(lambda: self._ready or self._ended, timeout):
                raise TapError(Code.TIMEOUT)
            if not self._ready:
                raise self._ended[0]
            return self._ready.popleft()

    def waiting(self) -> bool:
        """Return whether somebody has spoken who has not been returned."""
        return bool(self._ready)

    def close(self) -> None:
        """Listen no more, and close the links of all who have not been returned."""
        self._listener.close()
        with self._changed:
            self._closed = True
            left = [*self._silent, *(link for link, _ in self._ready)]
            self._silent.clear()
            self._ready.clear()
        for link in left:
            link.close()

    def _accept(self) -> None:
        try:
            while not self._closed:
                link = self._listener.accept(None)
                with self._changed:
                    self._silent.append(link)
                    late = self._silent.pop(0) if self._closed or len(self._silent) > HELD else None
                if late is not None:
                    late.close()
                Thread(target=self._hear, args=(link,), name="dualtap guest", daemon=True).start()
        except TapError as error:
            with self._changed:
                self._ended.append(error)
                self._changed.notify()

    def _hear(self, link: Link) -> None:
        why: TapError | None = None
        said = b""
        try:
            said = link.receive(self._timeout)
            self._check(said)
        except TapError as error:
            why = error
        with self._changed:
            if link in self._silent:
                self._silent.remove(link)
            welcome = why is None and not self._closed and len(self._ready) < HELD
            if welcome:
                self._ready.append((link, said))
                self._changed.notify()
        if not welcome:
            link.close()
            if not self._closed:
                self._strangers.tell(why or TapError(Code.LINK_LOST, "too many wait already"))


class Guest:
    """``link``, which it owns, of one who has spoken: who then says nothing has to go once somebody else waits."""

    def __init__(self, link: Link, said: bytes, crowded: Callable[[], bool]) -> None:
        self._link, self._crowded, self._frames = Again(link, said), crowded, 0
        self.send, self.close = link.send, link.close

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes, of the link beneath."""
        return self._link.max_frame

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; raise ``TIMEOUT`` sooner in place of the second, if somebody else waits."""
        frame = self._second(timeout) if self._frames == 1 else self._link.receive(timeout)
        self._frames += 1
        return frame

    def _second(self, timeout: float | None) -> bytes:
        began, most = time.monotonic(), float("inf") if timeout is None else timeout
        while True:
            passed = time.monotonic() - began
            step = PATIENCE - passed if passed < PATIENCE else SLICE
            try:
                return self._link.receive(max(0.0, min(step, most - passed)))
            except TapError as error:
                passed = time.monotonic() - began
                if error.code is not Code.TIMEOUT or passed >= most or (passed >= PATIENCE and self._crowded()):
                    raise


def host(door: Door, timeout: float, fail: Fail, check: Check, serve: Serve) -> None:
    """Serve those who come to a door, which is closed then, until one of them is served.

    The others are told of on stderr. Waits ``timeout`` seconds, those included that were spent with others; raises
    what ``fail`` makes of ``TIMEOUT``. A key that the door has named answers once only: where it has, who was not
    served was the last.
    """
    strangers = Strangers()
    guests, until = Guests(door.listener, timeout, check, strangers), time.monotonic() + timeout
    ephemeral = door.ephemeral
    try:
        while True:
            try:
                link, said = guests.next(until - time.monotonic())
            except TapError as error:
                raise fail(error) from error
            met = door.met(link, ephemeral, Guest(link, said, guests.waiting))
            ephemeral, named = None, met.handover != NO_HANDOVER
            if named:
                guests.close()
            why = serve(met)
            if why is None or named:
                return
            link.close()
            strangers.tell(why)
    finally:
        guests.close()
