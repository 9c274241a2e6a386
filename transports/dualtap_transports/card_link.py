"""A card's links: what a reader's commands become for the device behind them.

The lower layer (nfcpy's listening, vpcd, a test) hands each command to :meth:`CardEnd.respond` from one thread; the
device takes links from :meth:`CardEnd.accept` in another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Condition

from dualtap import limits
from dualtap.errors import Code, TapError

from .apdu import SHORT, Status, Window, encode_answer
from .apdu_card import Applet, Session
from .link import check_frame

HOLD_SECONDS = 0.1
"""Seconds for which a command may wait for the device's answer; then the reader is told to ask again."""
LINGER_SECONDS = 1.0
"""Seconds that a close waits for the reader to fetch what was sent; a reader asks far more often."""


class CardEnd:
    """One card: its applet, and the lock and condition that all its links share.

    ``clock`` returns seconds that never run backwards.
    """

    def __init__(
        self,
        window: Window = SHORT,
        max_frame: int = limits.MESSAGE,
        hold: float = HOLD_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changed = Condition()
        """Guards everything here; notified at every change."""
        self.max_frame = min(max_frame, limits.MESSAGE)
        self.finished = False
        """Whether the lower layer has let go of what it held."""
        self._applet = Applet(window, self.max_frame)
        self.hold = hold
        self._clock = clock
        self._due = 0.0
        self._forgotten_at: float | None = None
        self._waiting: CardLink | None = None
        self._serving = True

    @property
    def serving(self) -> bool:
        """Whether commands may still come: the listener is open, or a link is not done."""
        with self.changed:
            session = self._applet.session
            forgotten = self._forgotten_at is not None and self._clock() >= self._forgotten_at
            return self._serving or (session is not None and not session.drained and not forgotten)

    def respond(self, apdu: bytes, wait: float | None = None) -> bytes | None:
        """Take a command; return its answer, or ``None`` if it has none within ``wait`` seconds: see :meth:`more`.

        Without ``wait`` there is an answer, after :data:`HOLD_SECONDS` at the latest.
        """
        with self.changed:
            before = self._applet.session
            answer = self._applet.command(apdu)
            session = self._applet.session
            if session is not before and session is not None:
                if self._waiting is not None:
                    self._waiting.end()
                self._waiting = CardLink(self, session)
                self._forgotten_at = None
            self.changed.notify_all()
            self._due = self._clock() + self.hold
            return answer if answer is not None else self._poll(wait)

    def more(self, wait: float | None = None) -> bytes | None:
        """Return the answer to the command that :meth:`respond` took, as it does."""
        with self.changed:
            return self._poll(wait)

    def reset(self, reason: str) -> None:
        """The reader took the field or the power away, or fell silent: end the link."""
        with self.changed:
            self._applet.reset(reason)
            self.changed.notify_all()

    def accept(self, timeout: float | None) -> CardLink:
        """Return the link of the next reader; see :meth:`.link.Listener.accept`."""
        with self.changed:
            if not self.changed.wait_for(lambda: self._waiting is not None or not self._serving, timeout):
                raise TapError(Code.TIMEOUT, f"no reader came within {timeout} s")
            link, self._waiting = self._waiting, None
            if link is None:
                raise TapError(Code.LINK_LOST, "the listener is closed")
            return link

    def stop(self) -> None:
        """Take no more links; one that was accepted lives on. Waits a moment for the lower layer if none is left."""
        with self.changed:
            self._serving = False
            self._applet.open_to_links = False
            if self._waiting is not None:
                self._waiting.end()
                self._waiting = None
            self.changed.notify_all()
        self.settle()

    def forget(self) -> None:
        """Serve a link that its device closed no longer than ``limits.SESSION_SECONDS`` from now."""
        with self.changed:
            self._forgotten_at = self._clock() + limits.SESSION_SECONDS

    def settle(self) -> None:
        """Where nothing is left to serve, wait a moment for the lower layer to let go."""
        with self.changed:
            if not self.serving:
                self.changed.wait_for(lambda: self.finished, LINGER_SECONDS)

    def finish(self, reason: str) -> None:
        """The lower layer has let go of what it held: no command comes any more."""
        with self.changed:
            self._applet.reset(reason)
            self._serving = False
            self.finished = True
            self.changed.notify_all()

    def _poll(self, wait: float | None) -> bytes | None:
        """Wait for the pending command's answer, until it is due or ``wait`` seconds have passed."""
        now = self._clock()
        until = now + wait if wait is not None else None
        while True:
            session = self._applet.session
            if session is None:
                return encode_answer(Status.NOT_SELECTED)
            now = self._clock()
            answer = session.poll(late=now >= self._due)
            if answer is not None:
                self.changed.notify_all()
                return answer
            if until is not None and now >= until:
                return None
            self.changed.wait(min(self._due, self._due if until is None else until) - now)


class CardListener:
    """What waits for readers at ``end``; a subclass has the thread that serves it, and what that needs."""

    def __init__(self, address: str, end: CardEnd) -> None:
        self._address = address
        self._end = end

    @property
    def address(self) -> str:
        """Where the card is: an NFC device as a reader over the same medium names it, or where vpcd was found."""
        return self._address

    def accept(self, timeout: float | None) -> CardLink:
        """Return the link of the next reader that selects dualtap; see :meth:`.link.Listener.accept`."""
        return self._end.accept(timeout)

    def close(self) -> None:
        """Stop being a card once the link that was accepted is done."""
        self._end.stop()


class CardLink:
    """The device's end of one link; see :class:`.link.Link`."""

    def __init__(self, end: CardEnd, session: Session) -> None:
        self._end = end
        self._session = session
        self._closed = False

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._end.max_frame

    def send(self, frame: bytes) -> None:
        """Queue one frame until the reader asks for it; see :meth:`.link.Link.send`.

        Where many wait, gives up after ``limits.SESSION_SECONDS``.
        """
        with self._end.changed:
            self._check_open()
            check_frame(frame, self.max_frame)
            if not self._end.changed.wait_for(lambda: self._session.room or self._over(), limits.SESSION_SECONDS):
                self.end()
                raise TapError(Code.TIMEOUT, "the reader fetches nothing")
            self._check_open()
            if self._session.failed is not None:
                raise TapError(Code.LINK_LOST, self._session.failed.detail)
            self._session.offer(bytes(frame))
            self._end.changed.notify_all()

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`.link.Link.receive`."""
        with self._end.changed:
            frame: bytes | None = None

            def ready() -> bool:
                nonlocal frame
                if not self._closed and frame is None:
                    frame = self._session.take()
                return frame is not None or self._over()

            if not self._end.changed.wait_for(ready, timeout):
                raise TapError(Code.TIMEOUT, "no whole frame in time")
            self._check_open()
            if frame is None:
                failed = self._session.failed
                raise TapError(failed.code, failed.detail) if failed else TapError(Code.LINK_LOST, "the link is closed")
            self._end.changed.notify_all()  # there is room again
            return frame

    def close(self) -> None:
        """End the link, giving the reader a moment to fetch what was sent; see :meth:`.link.Link.close`."""
        with self._end.changed:
            if not self._closed:
                self.end()
                session = self._session
                self._end.changed.wait_for(lambda: session.drained or session.fetched, LINGER_SECONDS)
                # A reader that waits for more hears of the end; one that is idle need not be waited for.
                self._end.changed.wait_for(lambda: session.drained, 2 * self._end.hold)
        self._end.settle()

    def end(self) -> None:
        """End the link without waiting for the reader."""
        with self._end.changed:
            if not self._closed:
                self._closed = True
                self._session.close()
                self._end.forget()
            self._end.changed.notify_all()

    def _over(self) -> bool:
        return self._closed or self._session.failed is not None

    def _check_open(self) -> None:
        if self._closed:
            raise TapError(Code.LINK_LOST, "the link is closed")
