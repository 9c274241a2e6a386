"""How a command that listens meets a device: strangers may come first, and do not use its waiting up.

Whoever comes is heard at once, several at a time, so that one who connects and says nothing keeps nobody waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TypeAlias

from dualtap.errors import Code, TapError
from dualtap.session import NO_HANDOVER
from dualtap_apps.linking import Door, Fail, Met
from dualtap_apps.output import note
from dualtap_devices.passive import Again
from dualtap_transports.link import Link, Listener

HELD = 8
"""Links that may be silent at the same time; one more, and the oldest is closed."""
STRANGERS = 64
"""Devices that may come and not get beyond the handshake, before a command gives up."""

Check: TypeAlias = Callable[[bytes], None]
"""Raises if a first frame is none of those for which a command waits."""
Serve: TypeAlias = Callable[[Met], TapError | None]
"""Serves a device to the end; returns why it did not get beyond the handshake, or ``None`` if it did."""


class Guests:
    """Those who come to ``listener``, which it owns, each with the first frame that it says, or why it said none."""

    def __init__(self, listener: Listener, timeout: float) -> None:
        """``timeout`` is in seconds, for the first frame of each."""
        self._listener, self._timeout = listener, timeout
        self._lock, self._silent, self._closed = Lock(), list[Link](), False
        self._heard: SimpleQueue[tuple[Link | None, bytes | TapError]] = SimpleQueue()
        Thread(target=self._accept, name="dualtap guests", daemon=True).start()

    def next(self, timeout: float) -> tuple[Link, bytes | TapError]:
        """Return the next who has spoken, or will not; raise ``TIMEOUT``, or as the listener does."""
        try:
            link, said = self._heard.get(timeout=max(0.0, timeout))
        except Empty:
            raise TapError(Code.TIMEOUT) from None
        if link is not None:
            return link, said
        assert isinstance(said, TapError)
        raise said

    def close(self) -> None:
        """Listen no more, and close the links of all who have not been returned."""
        self._listener.close()
        with self._lock:
            self._closed = True
            left, self._silent = self._silent, []
        while not self._heard.empty():
            link, _ = self._heard.get()
            left += [] if link is None else [link]
        for link in left:
            link.close()

    def _accept(self) -> None:
        try:
            for _ in range(STRANGERS + 1):
                link = self._listener.accept(None)
                with self._lock:
                    self._silent.append(link)
                    late = self._silent.pop(0) if self._closed or len(self._silent) > HELD else None
                if late is not None:
                    late.close()
                Thread(target=self._hear, args=(link,), name="dualtap guest", daemon=True).start()
        except TapError as error:
            self._heard.put((None, error))

    def _hear(self, link: Link) -> None:
        said: bytes | TapError
        try:
            said = link.receive(self._timeout)
        except TapError as error:
            said = error
        with self._lock:
            if link in self._silent:
                self._silent.remove(link)
            if not self._closed:
                self._heard.put((link, said))
                return
        link.close()


def host(door: Door, timeout: float, fail: Fail, check: Check, serve: Serve) -> None:
    """Serve one device that comes to a door, which is closed then: the first that gets beyond the handshake.

    The others are told of on stderr. Waits ``timeout`` seconds in all; raises what ``fail`` makes of ``TIMEOUT``, and
    ``LINK_LOST`` after :data:`STRANGERS` of them. A key that the door has named answers once only: where it has, who
    did not get beyond the handshake was the last.
    """
    guests, left, strangers = Guests(door.listener, timeout), timeout, 0
    ephemeral = door.ephemeral
    try:
        while True:
            began = time.monotonic()
            try:
                link, said = guests.next(left)
            except TapError as error:
                raise fail(error) from error
            left -= time.monotonic() - began
            why = _unfit(said, check)
            if why is None and isinstance(said, bytes):
                met = door.met(link, ephemeral, Again(link, said))
                ephemeral, named = None, met.handover != NO_HANDOVER
                if named:
                    guests.close()
                why = serve(met)
                if why is None or named:
                    return
            link.close()
            strangers += 1
            if why is not None and strangers == STRANGERS:
                text = f"{strangers} came, and none got beyond the handshake; the last: {why}"
                raise TapError(Code.LINK_LOST, text) from why
            note(f"Somebody came and did not get beyond the handshake ({why}): still waiting")
    finally:
        guests.close()


def _unfit(said: bytes | TapError, check: Check) -> TapError | None:
    if isinstance(said, TapError):
        return said
    try:
        check(said)
    except TapError as error:
        return error
    return None
