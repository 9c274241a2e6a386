"""The reader's end of the APDU mapping, without I/O: generators that yield commands and are sent answers (SPEC §18).

``None`` is sent where an answer was lost.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from dualtap import limits
from dualtap.errors import Code, TapError

from .apdu import (
    COUNTER,
    COUNTERS,
    SELECT,
    SHORT,
    Ins,
    Status,
    Window,
    decode_answer,
    decode_selected,
    refusal,
    request,
)
from .chunks import Joiner, split

ATTEMPTS = 4
"""Times that one answer is asked for before the link counts as lost."""

Talk: TypeAlias = Generator[bytes, "bytes | None", "bytes | None"]
"""Yields commands, is sent answers; returns the frame that the card said, if any."""


class Reader:
    """A link's state at the reader. One talk at a time; a talk that raised was the last.

    ``start`` is the first counter, 0 to 65535: a random one, so that no answer left from another link fits.
    """

    def __init__(self, start: int, window: Window = SHORT, max_frame: int = limits.MESSAGE) -> None:
        self._counter = start % COUNTERS
        self._window = window
        self._joiner = Joiner(max_frame)

    def select(self) -> Talk:
        """Open the link; always returns ``None``.

        Raises ``LINK_LOST`` if there is no such application, ``WRONG_VERSION`` or ``MALFORMED`` if it is another.
        """
        for _ in range(ATTEMPTS):
            answer = yield SELECT
            if answer is None or len(answer) < 2:
                continue
            status, data = decode_answer(answer)
            if status is not Status.OK:
                if isinstance(status, Status) and status >= Status.OK:
                    continue  # left from another link
                raise refusal(status)
            try:
                self._window = self._window & decode_selected(data)
            except TapError as error:
                if error.code is not Code.MALFORMED:
                    raise
                continue
            return None
        raise TapError(Code.LINK_LOST, "the card does not answer SELECT")

    def exchange(self, frame: bytes | None) -> Talk:
        """Bring a frame (``None``: only ask) and return the card's next one, or ``None`` if it has none yet.

        Raises ``LINK_LOST`` once the card has ended or its answers stay away; ``MALFORMED`` or ``TOO_LARGE`` for
        what no card may answer.
        """
        if frame is None:
            status, chunk = yield from self._ask(Ins.CONTINUE, b"")
        else:
            status, chunk = yield from self._bring(frame)
        if status is Status.WAIT and not chunk:
            return None
        while status is Status.OK:
            whole = self._joiner.feed(chunk)
            if whole is not None:
                return whole
            status, chunk = yield from self._ask(Ins.CONTINUE, b"")
        raise refusal(status)

    def end(self) -> Talk:
        """Tell the card that this side has closed; always returns ``None``."""
        yield request(Ins.END, self._next(), b"", self._window)
        return None

    def _bring(self, frame: bytes) -> Generator[bytes, bytes | None, tuple[Status | int, bytes]]:
        chunks = split(frame, self._window.command)
        last = len(chunks) - 1
        for n, chunk in enumerate(chunks):
            status, said = yield from self._ask(Ins.EXCHANGE, chunk)
            while status is Status.BUSY:
                status, said = yield from self._ask(Ins.EXCHANGE, chunk)
            if n == last:
                return status, said
            if status is not Status.OK or said:
                raise refusal(status)
        raise AssertionError("no frame is without chunks")

    def _ask(self, ins: Ins, data: bytes) -> Generator[bytes, bytes | None, tuple[Status | int, bytes]]:
        """Give one command, asking again for an answer that was lost or belongs to another command."""
        counter = self._next()
        wanted = counter.to_bytes(COUNTER, "big")
        command = request(ins, counter, data, self._window)
        again = request(Ins.REPEAT, counter, b"", self._window)
        apdu = command
        for _ in range(ATTEMPTS):
            answer = yield apdu
            apdu = again
            if answer is None:
                continue
            status, body = decode_answer(answer)
            if not isinstance(status, Status) or status < Status.OK:
                raise refusal(status)
            if body[:COUNTER] != wanted:
                continue
            if status is Status.NOT_SEEN:
                apdu = command
                continue
            if len(body) > self._window.answer:
                raise TapError(Code.TOO_LARGE, f"an answer of {len(body)} bytes where {self._window.answer} fit")
            return status, body[COUNTER:]
        raise TapError(Code.LINK_LOST, f"no answer to command {counter} in {ATTEMPTS} attempts")

    def _next(self) -> int:
        counter, self._counter = self._counter, (self._counter + 1) % COUNTERS
        return counter
