"""A device as a Type 4 tag that holds one NDEF message, both ends without I/O (NFC Forum, Type 4 Tag 2.0; SPEC §19-16).

A handover is read from it: :class:`Tag` is the card's end, :func:`read_message` the reader's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

from dualtap.errors import Code, TapError

from . import ndef
from .apdu import SHORT_DATA, Command, decode_command, encode_command

AID = bytes.fromhex("D2760000850101")
"""The application of NDEF tags."""
CONTAINER, FILE = 0xE103, 0xE104
"""Files: what the tag can do, and its message behind two bytes of length."""
ROOM = ndef.MESSAGE
"""Bytes of the file."""
_OK, _NO_FILE, _NO_APPLICATION = 0x9000, 0x6A82, 0x6985
_WRONG_LENGTH, _WRONG_OFFSET, _WRONG_DATA, _WRONG_INS, _WRONG_CLASS = 0x6700, 0x6B00, 0x6A80, 0x6D00, 0x6E00
_NOT_WRITABLE, _WRONG_PLACE = 0x6982, 0x6A86
_SELECT, _READ, _UPDATE = 0xA4, 0xB0, 0xD6
_BY_NAME, _BY_FILE = 0x04, 0x00
_ATTEMPTS = 4
"""Times that one answer is asked for: to read or write the same again changes nothing."""

Talk: TypeAlias = Generator[bytes, "bytes | None", bytes]
"""Yields commands, is sent answers (``None``: lost); returns a message."""


def container() -> bytes:
    """Return the file that tells what the tag can do: read and write the one file of a message, 240 bytes at once."""
    size = SHORT_DATA.to_bytes(2, "big")
    return b"\x00\x0f\x20" + size + size + b"\x04\x06" + FILE.to_bytes(2, "big") + ROOM.to_bytes(2, "big") + b"\0\0"


class Tag:
    """The card's end. ``take`` judges a message that the reader has written: it raises for any that is not taken."""

    def __init__(self, message: bytes, take: Callable[[bytes], None]) -> None:
        if len(message) > ROOM - 2:
            raise ValueError("a message that no tag holds")
        self._held = len(message).to_bytes(2, "big") + message
        self._take = take
        self._written = bytearray(ROOM)
        self._selected = False
        self._file = 0
        self.request = b""
        """What the reader has written since it selected this tag; empty: nothing."""
        self.read = False
        """Whether the reader has read the message to its end."""

    @property
    def selected(self) -> bool:
        """Whether commands are this application's."""
        return self._selected

    def command(self, apdu: bytes) -> bytes | None:
        """Take a command APDU; return its answer, or ``None`` if it is for another application."""
        try:
            command = decode_command(apdu)
        except TapError:
            return _status(_WRONG_LENGTH) if self._selected else None
        by_name = (command.cla, command.ins, command.p1) == (0, _SELECT, _BY_NAME)
        if by_name:
            self._selected = command.data == AID
            self._file, self.request, self.read = 0, b"", False
            return _status(_OK) if self._selected else None
        return self._answer(command) if self._selected else None

    def reset(self) -> None:
        """The reader has left: forget what is selected. What it wrote and read has happened."""
        self._selected, self._file = False, 0

    def _answer(self, command: Command) -> bytes:
        if command.cla:
            return _status(_WRONG_CLASS)
        match command.ins:
            case 0xA4:
                return self._choose(command)
            case 0xB0:
                return self._show(command)
            case 0xD6:
                return self._update(command)
            case _:
                return _status(_WRONG_INS)

    def _choose(self, command: Command) -> bytes:
        if command.p1 != _BY_FILE or len(command.data) != 2:
            return _status(_WRONG_PLACE)
        file = int.from_bytes(command.data, "big")
        self._file = file if file in (CONTAINER, FILE) else 0
        return _status(_OK if self._file else _NO_FILE)

    def _show(self, command: Command) -> bytes:
        if not self._file:
            return _status(_NO_APPLICATION)
        data = container() if self._file == CONTAINER else self._held
        if command.counter >= len(data):
            return _status(_WRONG_OFFSET)
        end = command.counter + min(command.expected or SHORT_DATA, SHORT_DATA)
        self.read = self.read or (self._file == FILE and end >= len(self._held))
        return data[command.counter : end] + _status(_OK)

    def _update(self, command: Command) -> bytes:
        """Write into the file: a message counts once its length is written, which is done last."""
        if self._file != FILE:
            return _status(_NOT_WRITABLE)
        end = command.counter + len(command.data)
        if end > ROOM:
            return _status(_WRONG_OFFSET)
        if not 0 < len(command.data) <= SHORT_DATA:
            return _status(_WRONG_LENGTH)
        self._written[command.counter : end] = command.data
        size = int.from_bytes(self._written[:2], "big")
        self.request, self.read = b"", False
        if command.counter or not size:
            return _status(_OK)
        message = bytes(self._written[2 : 2 + size])
        try:
            self._take(message)
        except TapError:
            self._written = bytearray(ROOM)
            return _status(_WRONG_DATA)
        self.request = message
        return _status(_OK)


def read_message(request: bytes) -> Talk:
    """Read a tag's message, having written ``request`` first unless that is empty. Returns the message.

    Raises ``LINK_LOST`` where there is no such tag, or it answers no more, and ``MALFORMED`` for what no tag says.
    """
    yield from _ask(0, _SELECT, _BY_NAME << 8, AID, 256, "this card has no handover")
    yield from _select(CONTAINER)
    found = yield from _read(0, 15)
    model = container()
    if len(found) != 15 or found[:2] != model[:2] or found[2] >> 4 != 2 or found[7:9] != model[7:9]:
        raise TapError(Code.MALFORMED, "the capability container of the tag")
    file, size = int.from_bytes(found[9:11], "big"), min(int.from_bytes(found[11:13], "big"), ROOM)
    most = min(int.from_bytes(found[3:5], "big"), int.from_bytes(found[5:7], "big"), SHORT_DATA)
    if most < 15 or size < 2:
        raise TapError(Code.MALFORMED, "a tag that holds nothing")
    yield from _select(file)
    if request and not found[14]:
        yield from _write(request, most)
    length = int.from_bytes((yield from _read(0, 2)), "big")
    if not 0 < length <= size - 2:
        raise TapError(Code.MALFORMED, f"a message of {length} bytes in a tag of {size}")
    message = b""
    while len(message) < length:
        part = yield from _read(2 + len(message), min(most, length - len(message)))
        if not part:
            raise TapError(Code.MALFORMED, "a tag that says nothing")
        message += part
    return message


def _select(file: int) -> Generator[bytes, bytes | None, None]:
    yield from _ask(0, _SELECT, _BY_FILE << 8 | 0x0C, file.to_bytes(2, "big"), 0, "the tag has no such file")


def _write(message: bytes, most: int) -> Generator[bytes, bytes | None, None]:
    """Write a message: length 0, then its bytes, then its length."""
    steps = [(0, b"\0\0")]
    steps += [(2 + at, message[at : at + most]) for at in range(0, len(message), most)]
    for offset, data in [*steps, (0, len(message).to_bytes(2, "big"))]:
        yield from _ask(0, _UPDATE, offset, data, 0, "the tag takes no request")


def _read(offset: int, size: int) -> Generator[bytes, bytes | None, bytes]:
    found = yield from _ask(0, _READ, offset, b"", size, "the tag cannot be read")
    if len(found) > size:
        raise TapError(Code.MALFORMED, f"{len(found)} bytes where {size} were asked for")
    return found


def _ask(cla: int, ins: int, place: int, data: bytes, expected: int, refused: str) -> Talk:
    command = encode_command(Command(cla, ins, place >> 8, place & 0xFF, data, expected))
    for _ in range(_ATTEMPTS):
        answer = yield command
        if answer is None:
            continue
        if len(answer) < 2:
            raise TapError(Code.MALFORMED, "an answer APDU has two bytes at least")
        if answer[-2:] != _status(_OK):
            raise TapError(Code.LINK_LOST, f"{refused} ({answer[-2:].hex()})")
        return answer[:-2]
    raise TapError(Code.LINK_LOST, "the tag does not answer")


def _status(word: int) -> bytes:
    return word.to_bytes(2, "big")
