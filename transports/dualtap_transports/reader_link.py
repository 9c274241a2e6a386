"""A reader's link: a thread of its own carries the talks, so that a card that stalls stalls nobody else."""

from __future__ import annotations

import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Protocol

from dualtap import limits
from dualtap.errors import Code, TapError

from .apdu import SHORT, Window
from .apdu_card import weight
from .apdu_reader import Reader, Talk
from .link import check_frame

ROOM = 4 * limits.MESSAGE
"""Bytes of frames that wait here in each direction: four of the longest."""
LINGER_SECONDS = 1.0
"""Seconds that a close waits for what was sent to reach the card."""


class Slot(Protocol):
    """A card in a reader's field. Used by one thread."""

    def transceive(self, apdu: bytes) -> bytes | None:
        """Give a command and return its answer; ``None`` if the answer was lost though the card may still be there.

        Raises ``LINK_LOST`` once the card is gone.
        """
        ...

    def release(self) -> None:
        """Let the card go; never raises."""
        ...


class ReaderLink:
    """The reader's end of one link over ``slot``, which it owns; see :class:`.link.Link`."""

    def __init__(self, slot: Slot, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._slot = slot
        self._clock = clock
        self._give_up_at = math.inf
        self._reader = reader
        self._changed = Condition()
        self._inbox: deque[bytes] = deque()
        self._outbox: deque[bytes] = deque()
        self._wanted = 0
        self._busy = False
        self._closed = False
        self._over: TapError | None = None
        # A daemon: a card may hold a blocking call for ever, and a process must be able to end.
        self._thread = Thread(target=self._work, name="dualtap reader", daemon=True)
        self._thread.start()

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return limits.MESSAGE

    def send(self, frame: bytes) -> None:
        """Queue one frame for the card; see :meth:`.link.Link.send`.

        Where :data:`ROOM` wait, gives up after ``limits.SESSION_SECONDS``.
        """
        with self._changed:
            self._check_open()
            check_frame(frame, limits.MESSAGE)
            room = self._changed.wait_for(lambda: weight(self._outbox) < ROOM or self._ended(), limits.SESSION_SECONDS)
            if not room:
                self._closed, self._give_up_at = True, self._clock()
                self._changed.notify_all()
                raise TapError(Code.TIMEOUT, "the card takes nothing")
            self._check_open()
            if self._over is not None:
                raise TapError(Code.LINK_LOST, self._over.detail)
            self._outbox.append(bytes(frame))
            self._changed.notify_all()

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame, asking the card for it; see :meth:`.link.Link.receive`."""
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()
            try:
                if not self._changed.wait_for(lambda: self._inbox or self._ended(), timeout):
                    raise TapError(Code.TIMEOUT, "no whole frame in time")
            finally:
                self._wanted -= 1
            self._check_open()
            if self._inbox:
                self._changed.notify_all()
                return self._inbox.popleft()
            assert self._over is not None
            raise TapError(self._over.code, self._over.detail)

    def close(self) -> None:
        """End the link once what was sent is with the card, or does not get there; see :meth:`.link.Link.close`."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._give_up_at = self._clock() + LINGER_SECONDS
            self._inbox.clear()
            self._changed.notify_all()
        self._thread.join(LINGER_SECONDS)

    def _ended(self) -> bool:
        return self._closed or self._over is not None

    def _check_open(self) -> None:
        if self._closed:
            raise TapError(Code.LINK_LOST, "the link is closed")

    def _work(self) -> None:
        try:
            while self._step():
                pass
        except TapError as error:
            with self._changed:
                self._over = error
        finally:
            self._slot.release()
            with self._changed:
                self._over = self._over or TapError(Code.LINK_LOST, "the link is closed")
                self._changed.notify_all()

    def _step(self) -> bool:
        """Carry one talk; tell whether there may be another."""
        with self._changed:
            self._changed.wait_for(self._something_to_do)
            frame = self._outbox.popleft() if self._outbox else None
            last = frame is None and self._closed
            talk = self._reader.end() if last else self._reader.exchange(frame)
            self._changed.notify_all()
        said = converse(talk, self._slot, self._watch(self._clock() + limits.SESSION_SECONDS))
        if said is not None:
            with self._changed:
                if not self._closed:
                    self._inbox.append(said)
                    self._changed.notify_all()
        return not last

    def _watch(self, deadline: float) -> Callable[[], None]:
        """Return what raises once a talk has lasted too long: a card may answer for ever and say nothing."""

        def check() -> None:
            if self._clock() >= min(deadline, self._give_up_at):
                raise TapError(Code.TIMEOUT, "the card answers and answers, and comes to no end")

        return check

    def _something_to_do(self) -> bool:
        # While many frames wait here, no more are fetched: a card that talks on must wait.
        if self._closed:
            return True
        return weight(self._inbox) < ROOM and bool(self._outbox or (self._wanted and not self._inbox))


def converse(talk: Talk, slot: Slot, check: Callable[[], None]) -> bytes | None:
    """Carry one talk over a slot; return the frame that the card said, if any. ``check`` is called at each command."""
    try:
        command = next(talk)
        while True:
            check()
            command = talk.send(slot.transceive(command))
    except StopIteration as stop:
        frame: bytes | None = stop.value
        return frame


def opened(slot: Slot, window: Window = SHORT, draw: Callable[[int], int] = secrets.randbelow) -> ReaderLink:
    """Select the application on a card and return the link to it. Lets the card go if that fails.

    ``draw`` gives a random number below its argument. Raises what :meth:`.apdu_reader.Reader.select` does.
    """
    reader = Reader(draw(1 << 16), window)
    try:
        converse(reader.select(), slot, lambda: None)
    except BaseException:
        slot.release()
        raise
    return ReaderLink(slot, reader)
