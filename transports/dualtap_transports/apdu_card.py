"""The card's end of the APDU mapping, without I/O: commands in, answers out, frames beside (SPEC §18)."""

from __future__ import annotations

from collections import deque

from dualtap import limits
from dualtap.errors import Code, TapError

from .apdu import (
    AID,
    COUNTER,
    COUNTERS,
    LEAST_DATA,
    SHORT,
    SHORT_DATA,
    Command,
    Ins,
    Status,
    Window,
    decode_command,
    encode_answer,
    encode_selected,
    is_ours,
    is_select,
)
from .chunks import Joiner, split

ROOM = 4 * limits.MESSAGE
"""Bytes of frames that wait here in each direction: four of the longest."""
_OVERHEAD = 64
"""Bytes by which each waiting frame counts for more than its own length, so that many tiny ones are bounded too."""


class Session:
    """One link, from a SELECT to its end.

    Commands come one at a time. One that has no answer yet is *pending*: :meth:`poll` says when it has.
    """

    def __init__(self, window: Window = SHORT, max_frame: int = limits.MESSAGE) -> None:
        self._window = window
        self._joiner = Joiner(max_frame)
        self._inbox: deque[bytes] = deque()
        self._outbox: deque[bytes] = deque()
        self._chunks: deque[bytes] = deque()
        self._last: int | None = None
        self._memory = b""
        self._pending: Command | None = None
        self._closed = False
        self.failed: TapError | None = None
        """Why the session ended by the reader's doing; ``None`` while it lives."""
        self.told = False
        """Whether the reader has been told that this side closed."""

    @property
    def fresh(self) -> bool:
        """Whether no command has come yet: a repeated SELECT is then the same one."""
        return self._last is None and self.failed is None and not self._closed

    @property
    def drained(self) -> bool:
        """Whether nothing is left to say to the reader."""
        return self.failed is not None or self.told

    @property
    def fetched(self) -> bool:
        """Whether the reader has taken every frame that was offered."""
        return not (self._outbox or self._chunks)

    @property
    def room(self) -> bool:
        """Whether :meth:`offer` may be called: what waits is within :data:`ROOM`."""
        return weight(self._outbox) < ROOM

    def take(self) -> bytes | None:
        """Return the next frame that arrived whole."""
        return self._inbox.popleft() if self._inbox else None

    def offer(self, frame: bytes) -> None:
        """Queue a frame of 1 to ``limits.MESSAGE`` bytes for the reader."""
        self._outbox.append(frame)

    def close(self) -> None:
        """End this side: what was offered is still handed out, then the reader is told."""
        self._closed = True
        self._inbox.clear()

    def fail(self, error: TapError) -> None:
        """End the session at once: the reader left, or broke the rules."""
        self.failed = self.failed or error
        self._pending = None
        self._outbox.clear()
        self._chunks.clear()

    def command(self, command: Command) -> bytes | None:
        """Take a command of this mapping's class; return its answer, or ``None`` if that is not ready yet."""
        if self.failed is not None:
            return encode_answer(Status.NOT_SELECTED)
        seen = command.counter == self._last
        if command.ins == Ins.REPEAT and not seen:
            return self._answer(command, Status.NOT_SEEN)
        if seen:
            # Executed before, whatever it now says: from memory, or still at work.
            return None if self._pending is not None else self._memory
        if command.ins not in set(Ins):
            return self._refuse(Status.WRONG_INS, Code.MALFORMED)
        if self._last is not None and command.counter != (self._last + 1) % COUNTERS:
            return self._refuse(Status.WRONG_COUNTER, Code.MALFORMED)
        if command.expected and command.expected < LEAST_DATA:
            return self._refuse(Status.WRONG_LENGTH, Code.MALFORMED)
        self._last = command.counter
        if command.ins == Ins.END:
            self.fail(TapError(Code.LINK_LOST, "the reader ended the link"))
            return self._answer(command, Status.OK)
        self._pending = command
        return self.poll(late=False)

    def poll(self, *, late: bool) -> bytes | None:
        """Return the pending command's answer, or ``None`` while there is none; ``late``: there must be one now."""
        command = self._pending
        if command is None:
            return None if self.failed is None else encode_answer(Status.NOT_SELECTED)
        if command.ins == Ins.EXCHANGE:
            if not self._closed and weight(self._inbox) >= ROOM:
                return self._settle(command, Status.BUSY) if late else None
            try:
                whole = self._join(command.data)
            except TapError as error:
                status = Status.TOO_LONG if error.code is Code.TOO_LARGE else Status.BAD_CHUNK
                return self._refuse(status, error.code, error.detail)
            if not whole:
                return self._settle(command, Status.ENDED if self._over() else Status.OK)
            # Taken: what is left of this command is to wait for something to say.
            self._pending = command = Command(command.cla, Ins.CONTINUE, command.p1, command.p2, b"", command.expected)
        if not self._chunks and self._outbox:
            self._chunks.extend(split(self._outbox.popleft(), self._answer_room(command)))
        if self._chunks:
            return self._settle(command, Status.OK, self._chunks.popleft())
        if self._closed:
            self.told = True
            return self._settle(command, Status.ENDED)
        return self._settle(command, Status.WAIT) if late else None

    def _over(self) -> bool:
        # A reader in the middle of a long frame hears of the end at once, unless frames wait for it.
        self.told = self._closed and self.fetched
        return self.told

    def _join(self, chunk: bytes) -> bool:
        frame = self._joiner.feed(chunk)
        if frame is not None and not self._closed:
            self._inbox.append(frame)
        return frame is not None

    def _answer_room(self, command: Command) -> int:
        # Chunks of one frame are cut alike, though a reader may ask for fewer bytes later: it asked for these.
        return min(self._window.answer, command.expected or SHORT_DATA) - COUNTER

    def _settle(self, command: Command, status: Status, chunk: bytes = b"") -> bytes:
        self._pending = None
        self._memory = self._answer(command, status, chunk)
        return self._memory

    def _answer(self, command: Command, status: Status, chunk: bytes = b"") -> bytes:
        return encode_answer(status, command.counter.to_bytes(COUNTER, "big") + chunk)

    def _refuse(self, status: Status, code: Code | int, detail: str = "") -> bytes:
        self.fail(TapError(code, detail or f"the reader was refused with {status:04X}"))
        return encode_answer(status)


class Applet:
    """What answers a reader: SELECT makes a session, and the rest goes to it.

    ``open_to_links`` says whether a SELECT may make a session now.
    """

    def __init__(self, window: Window = SHORT, max_frame: int = limits.MESSAGE) -> None:
        self._window = window
        self._max_frame = max_frame
        self._longest = window.command + 12
        self.open_to_links = True
        self.session: Session | None = None

    def command(self, apdu: bytes) -> bytes | None:
        """Take any command APDU; return its answer, or ``None`` if :meth:`Session.poll` has it later."""
        if len(apdu) > self._longest:
            return self._broken(Status.TOO_LONG, Code.TOO_LARGE)
        try:
            command = decode_command(apdu)
        except TapError:
            return self._broken(Status.WRONG_LENGTH, Code.MALFORMED)
        if is_select(command):
            return self._select(command)
        if not is_ours(command):
            return encode_answer(Status.WRONG_CLASS)
        if self.session is None:
            return encode_answer(Status.NOT_SELECTED)
        return self.session.command(command)

    def reset(self, reason: str) -> None:
        """End the session because the reader took the field or the power away, or fell silent."""
        if self.session is not None:
            self.session.fail(TapError(Code.LINK_LOST, reason))
            self.session = None

    def _select(self, command: Command) -> bytes:
        if command.data != AID:
            return encode_answer(Status.NOT_FOUND)
        if self.session is None or not self.session.fresh:
            if not self.open_to_links:
                return encode_answer(Status.NOT_FOUND)
            self.reset("the reader selected again")
            self.session = Session(self._window, self._max_frame)
        return encode_answer(Status.OK, encode_selected(self._window))

    def _broken(self, status: Status, code: Code) -> bytes:
        if self.session is not None:
            self.session.fail(TapError(code, "a command APDU cannot be read"))
        return encode_answer(status)


def weight(frames: deque[bytes]) -> int:
    """Return the bytes for which waiting frames count."""
    return sum(len(frame) + _OVERHEAD for frame in frames)
