"""APDUs as dualtap uses them (SPEC §18): the bytes of commands and answers, and the one table of status words.

Pure functions. :mod:`.apdu_card` and :mod:`.apdu_reader` are the two ends; neither does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from dualtap import limits
from dualtap.errors import Code, TapError

AID = bytes.fromhex("F06475616C746170")
"""The application's identifier: F0 (not registered, as ISO 7816-4 allows), then "dualtap"."""
VERSION = 1
"""Of this mapping, as the answer to SELECT says it."""
COUNTER = 2
"""Bytes of the counter in P1 P2 of each command, and at the start of each answer."""
COUNTERS = 1 << (8 * COUNTER)
"""Counters before they start again from 0."""
SHORT_DATA = 240
"""Bytes of data in a short command or answer: the least buffer that common readers have, less what they add."""
LEAST_DATA = 16
"""Bytes: a card or reader that takes fewer cannot carry the chunks."""
_SELECT_HEADER = bytes.fromhex("00A40400")
_PROPRIETARY = 0x80
_SHORT_MOST = 255


class Ins(IntEnum):
    """The commands after SELECT, all of class 80 (SPEC §18)."""

    EXCHANGE = 0x10
    CONTINUE = 0x12
    REPEAT = 0x14
    END = 0x16


class Status(IntEnum):
    """Status words. Those from 9000 up come with the counter; the others end the session and have no data."""

    OK = 0x9000
    WAIT = 0x9120
    BUSY = 0x9130
    ENDED = 0x9140
    NOT_SEEN = 0x9150
    WRONG_LENGTH = 0x6700
    NOT_SELECTED = 0x6985
    BAD_CHUNK = 0x6A80
    NOT_FOUND = 0x6A82
    TOO_LONG = 0x6A84
    WRONG_COUNTER = 0x6A86
    WRONG_INS = 0x6D00
    WRONG_CLASS = 0x6E00


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status word means, and the error that it is to the reader; ``None``: no error."""

    code: Code | None
    text: str


MEANINGS: dict[Status, Meaning] = {
    Status.OK: Meaning(None, "done; a chunk may follow the counter"),
    Status.WAIT: Meaning(None, "nothing to say yet: ask again with CONTINUE"),
    Status.BUSY: Meaning(None, "no room yet, the chunk was not taken: send it again under the next counter"),
    Status.ENDED: Meaning(Code.LINK_LOST, "the card has ended the link"),
    Status.NOT_SEEN: Meaning(None, "the command with this counter never arrived: send it again"),
    Status.WRONG_LENGTH: Meaning(Code.MALFORMED, "the lengths in a command contradict each other"),
    Status.NOT_SELECTED: Meaning(Code.LINK_LOST, "the application is not selected, or was reset"),
    Status.BAD_CHUNK: Meaning(Code.MALFORMED, "a chunk is malformed or out of order"),
    Status.NOT_FOUND: Meaning(Code.LINK_LOST, "no such application, or it takes no link now"),
    Status.TOO_LONG: Meaning(Code.TOO_LARGE, "a frame or command is longer than this card takes"),
    Status.WRONG_COUNTER: Meaning(Code.MALFORMED, "the counter is neither the last nor the next"),
    Status.WRONG_INS: Meaning(Code.MALFORMED, "no such command"),
    Status.WRONG_CLASS: Meaning(Code.MALFORMED, "no such class of command"),
}


@dataclass(frozen=True, slots=True)
class Window:
    """The most bytes of data in one command, and in one answer (its counter included, its status word not)."""

    command: int
    answer: int

    def __post_init__(self) -> None:
        """Refuse with :class:`ValueError` sizes that no APDU has or no chunk fits."""
        if not all(LEAST_DATA <= size <= 0xFFFF for size in (self.command, self.answer)):
            raise ValueError(f"an APDU carries {LEAST_DATA} to 65535 bytes")

    def __and__(self, other: Window) -> Window:
        """Return what both sides can carry."""
        return Window(min(self.command, other.command), min(self.answer, other.answer))


SHORT = Window(SHORT_DATA, SHORT_DATA)
EXTENDED = Window(limits.MESSAGE + 16, limits.MESSAGE + 16)
"""One APDU for any frame, where card, reader and what is between them all take extended length."""

_EXTENDED_SUFFIX = "?extended"


def split_address(address: str) -> tuple[str, Window]:
    """Return an address without the ``?extended`` that may end it, and the window that this side offers."""
    if address.endswith(_EXTENDED_SUFFIX):
        return address.removesuffix(_EXTENDED_SUFFIX), EXTENDED
    return address, SHORT


@dataclass(frozen=True, slots=True)
class Command:
    """A command APDU. ``expected`` is the most bytes of data wanted in the answer; 0: Le was absent."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    expected: int = 0

    @property
    def counter(self) -> int:
        """P1 P2 as one number."""
        return self.p1 << 8 | self.p2


def encode_command(command: Command) -> bytes:
    """Return the APDU: short where lengths allow it, else extended."""
    header = bytes([command.cla, command.ins, command.p1, command.p2])
    size, expected = len(command.data), command.expected
    if size <= _SHORT_MOST and expected <= _SHORT_MOST + 1:
        lc = bytes([size]) if size else b""
        return header + lc + command.data + (bytes([expected % 256]) if expected else b"")
    lc = b"\0" + size.to_bytes(2, "big") if size else b""
    le = (expected % 0x10000).to_bytes(2, "big") if expected else b""
    return header + lc + command.data + (le if size or not expected else b"\0" + le)


def decode_command(apdu: bytes) -> Command:
    """Return a command APDU's parts, in any of the seven cases of ISO 7816-3. Raises ``MALFORMED``."""
    if len(apdu) < 4:
        raise TapError(Code.MALFORMED, "a command APDU has four bytes at least")
    head, body = apdu[:4], apdu[4:]
    match body:
        case b"":
            return _command(head)
        case bytes() if len(body) == 1:
            return _command(head, expected=body[0] or 256)
        case bytes() if body[0]:
            return _with_data(head, body[0], body[1:], 1)
        case bytes() if len(body) == 3:
            return _command(head, expected=int.from_bytes(body[1:], "big") or 0x10000)
        case bytes() if len(body) > 3 and any(body[1:3]):
            return _with_data(head, int.from_bytes(body[1:3], "big"), body[3:], 2)
        case _:
            raise TapError(Code.MALFORMED, "the length of a command APDU")


def _with_data(head: bytes, size: int, rest: bytes, width: int) -> Command:
    le = rest[size:]
    if len(rest) < size or len(le) not in (0, width):
        raise TapError(Code.MALFORMED, f"{len(rest)} bytes where Lc says {size}")
    return _command(head, rest[:size], (int.from_bytes(le, "big") or 1 << (8 * width)) if le else 0)


def _command(head: bytes, data: bytes = b"", expected: int = 0) -> Command:
    return Command(head[0], head[1], head[2], head[3], data, expected)


def encode_answer(status: Status, data: bytes = b"") -> bytes:
    """Return an answer APDU."""
    return data + int(status).to_bytes(2, "big")


def decode_answer(apdu: bytes) -> tuple[Status | int, bytes]:
    """Return an answer's status word (a bare ``int`` if unknown) and data. Raises ``MALFORMED`` if it has none."""
    if len(apdu) < 2:
        raise TapError(Code.MALFORMED, "an answer APDU has two bytes at least")
    word = int.from_bytes(apdu[-2:], "big")
    try:
        return Status(word), apdu[:-2]
    except ValueError:
        return word, apdu[:-2]


def refusal(status: Status | int) -> TapError:
    """Return the error that an answer's status word is to the reader."""
    if not isinstance(status, Status):
        return TapError(Code.MALFORMED, f"the card answered with the unknown status word {status:04X}")
    meaning = MEANINGS[status]
    return TapError(meaning.code or Code.MALFORMED, f"the card says {status:04X}: {meaning.text}")


SELECT = _SELECT_HEADER + bytes([len(AID)]) + AID + b"\0"
"""The APDU that opens a link."""


def is_select(command: Command) -> bool:
    """Tell whether a command is a SELECT by name of some application."""
    return (command.cla, command.ins, command.p1) == tuple(_SELECT_HEADER[:3])


def is_ours(command: Command) -> bool:
    """Tell whether a command is of this mapping's class."""
    return command.cla == _PROPRIETARY


def request(ins: Ins, counter: int, data: bytes, window: Window) -> bytes:
    """Return the APDU of one of this mapping's commands; it asks for as many bytes as ``window`` allows."""
    return encode_command(Command(_PROPRIETARY, ins, counter >> 8, counter & 0xFF, data, window.answer))


def encode_selected(window: Window) -> bytes:
    """Return the data of the answer to SELECT: FCI template, the AID, then version and window."""
    own = bytes([VERSION]) + window.command.to_bytes(2, "big") + window.answer.to_bytes(2, "big")
    fields = bytes([0x84, len(AID)]) + AID + bytes([0xA5, len(own)]) + own
    return bytes([0x6F, len(fields)]) + fields


def decode_selected(data: bytes) -> Window:
    """Return the window that a card announced. Raises ``MALFORMED``, or ``WRONG_VERSION`` for another mapping."""
    model = encode_selected(SHORT)
    end = len(model) - 4
    if len(data) < len(model) or data[: end - 1] != model[: end - 1]:
        raise TapError(Code.MALFORMED, "the answer to SELECT is not this application's")
    if data[end - 1] != VERSION:
        raise TapError(Code.WRONG_VERSION, f"the card speaks version {data[end - 1]} of the APDU mapping")
    try:
        return Window(int.from_bytes(data[end : end + 2], "big"), int.from_bytes(data[end + 2 : end + 4], "big"))
    except ValueError as error:
        raise TapError(Code.MALFORMED, f"the answer to SELECT: {error}") from error
