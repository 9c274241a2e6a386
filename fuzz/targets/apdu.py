"""A card answers any command, a reader bears any answer, and through lost ones frames come once and in order.

The first byte chooses: a hostile reader, a hostile card, both honest on a link that loses, or command APDUs alone.
"""

from __future__ import annotations

from collections.abc import Callable

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports.apdu import (
    AID,
    EXTENDED,
    LEAST_DATA,
    SELECT,
    SHORT,
    Command,
    Ins,
    Window,
    decode_command,
    encode_command,
    encode_selected,
)
from dualtap_transports.apdu_card import ROOM, Applet, Session
from dualtap_transports.apdu_reader import ATTEMPTS, Reader, Talk
from dualtap_transports.chunks import split
from targets._said import Said

SHARE = 55
LENGTH = 1500
COST = 20
FULL = 252
"""From this number on, a reader says as many of the longest frames as fill a card, and one more."""
WINDOWS = (SHORT, EXTENDED, Window(LEAST_DATA, LEAST_DATA), Window(LEAST_DATA, 255))
_BEARABLE = {Code.LINK_LOST, Code.MALFORMED, Code.TOO_LARGE, Code.WRONG_VERSION}


def one(data: bytes) -> None:
    """Play one of the stories."""
    said = Said(data)
    said.pick((_card, _reader, _lossy, _commands))(said)


def _commands(said: Said) -> None:
    """Read a command APDU: what is read says the same when it is written again."""
    apdu = said.rest()
    try:
        command = decode_command(apdu)
    except TapError as error:
        assert error.code is Code.MALFORMED, error
        return
    assert decode_command(encode_command(command)) == command


def _card(said: Said) -> None:
    """Be a reader that says anything, in the counters' order or not."""
    applet = Applet(said.pick(WINDOWS), said.pick((64, limits.CARD_MESSAGE, limits.MESSAGE)))
    counter, taken = said.number(2), list[bytes]()
    while said:
        what = said.below(8)
        session = applet.session
        if what < 3:
            body, times = said.blob() or b"\0", said.byte()
            if times >= FULL:
                counter = _fill(applet, counter, times - FULL + 2)
                continue
            chunks = split(body * (1, 1, 60)[times % 3], SHORT.command)
            for chunk in chunks[: said.pick((1, 2, 99))]:
                _answer(applet, encode_command(_ours(Ins.EXCHANGE, counter, chunk, said.pick((0, 16, 240, 256)))))
                counter = (counter + said.pick((1, 1, 1, 1, 0, 2))) % 65536
        elif what == 3:
            _answer(applet, encode_command(_ours(said.byte(), counter, said.blob(), said.number(2))))
            counter = (counter + said.below(2)) % 65536
        elif what == 4:
            _answer(applet, said.blob())
        elif what == 5:
            _answer(applet, said.pick((SELECT, encode_command(Command(0, 0xA4, 4, said.byte(), AID, 0)))))
        elif session is not None and what == 6:
            frame = session.take()
            taken += [] if frame is None else [frame]
        elif session is not None and session.room and session.failed is None:
            session.offer(said.blob() or b"\0")
        if said.byte() == 0 and session is not None:
            session.close() if said.below(2) else applet.reset("the field is gone")
    assert all(1 <= len(frame) <= limits.MESSAGE for frame in taken)


def _fill(applet: Applet, counter: int, frames: int) -> int:
    """Say some of the longest frames, in order; return the next counter."""
    for chunk in split(b"\0" * limits.MESSAGE, SHORT.command) * frames:
        _answer(applet, encode_command(_ours(Ins.EXCHANGE, counter, chunk, 0)))
        counter = (counter + 1) % 65536
    return counter


def _ours(ins: int, counter: int, data: bytes, expected: int) -> Command:
    return Command(0x80, ins, counter >> 8, counter & 0xFF, data, expected)


def _answer(applet: Applet, apdu: bytes) -> None:
    """Give a command; there is an answer, now or when it is late, and what waits stays within bounds."""
    answer = applet.command(apdu)
    if answer is None:
        assert applet.session is not None
        answer = applet.session.poll(late=True)
        assert answer is not None, "a reader waits for ever"
    assert len(answer) >= 2
    assert applet.session is None or _held(applet.session) < ROOM + limits.MESSAGE


def _held(session: Session) -> int:
    """Return the bytes of frames that wait to be taken; it looks where nobody else may."""
    inbox: list[bytes] = list(vars(session)["_inbox"])
    return sum(map(len, inbox))


def _reader(said: Said) -> None:
    """Be a card that answers anything: the reader ends soon, by a refusal of its own or with a frame within bounds."""
    window = said.pick(WINDOWS)
    most = said.pick((64, limits.CARD_MESSAGE, limits.MESSAGE))
    reader = Reader(said.number(2), window, most)
    talks: list[Callable[[], Talk]] = [reader.select]
    while said and talks:
        talk, asked = talks.pop()(), 0
        try:
            command = next(talk)
            while True:
                asked += 1
                assert len(command) <= window.command + 12, "a command that no card takes"
                assert asked <= 2 * limits.MESSAGE, "a reader asks for ever"
                command = talk.send(_said_by_card(said, command))
        except StopIteration as stop:
            frame: bytes | None = stop.value
            assert frame is None or 1 <= len(frame) <= most, "a frame longer than this reader takes"
        except TapError as error:
            assert error.code in _BEARABLE, error
            return
        talks.append(lambda: reader.exchange(said.blob() or None))


def _said_by_card(said: Said, command: bytes) -> bytes | None:
    counter = command[2:4]
    match said.below(8):
        case 0:
            return None
        case 1:
            return said.blob()
        case 2:
            return encode_selected(SHORT)[:-4] + said.full(4) + b"\x90\0"
        case 3:
            return counter + said.blob() + said.pick((b"\x90\0", b"\x91\x20", b"\x91\x30", b"\x91\x40", b"\x91\x50"))
        case 4:
            return counter + bytes([said.byte()]) + said.number(1).to_bytes(2, "big") + said.blob() + b"\x90\0"
        case 5:
            return said.full(2) + b"\x90\0"
        case _:
            return counter + bytes([said.byte() & 0x81]) + said.blob() + b"\x90\0"


def _lossy(said: Said) -> None:
    """Be a link that loses commands and answers between an honest reader and card: frames come once, and in order."""
    window = said.pick(WINDOWS)
    applet, reader = Applet(window), Reader(said.number(2), said.pick(WINDOWS))
    up, down = list[bytes](), list[bytes]()
    came_up, came_down = list[bytes](), list[bytes]()
    late: list[bytes | None] = [None]
    try:
        _talk(said, applet, reader.select(), late)
        while said:
            session = applet.session
            if session is not None and said.below(2):
                frame = _frame(said, len(down))
                session.offer(frame)
                down.append(frame)
            mine = _frame(said, len(up)) if said.below(2) else None
            up += [] if mine is None else [mine]
            found = _talk(said, applet, reader.exchange(mine), late)
            came_down += [] if found is None else [found]
            while session is not None and (taken := session.take()) is not None:
                came_up.append(taken)
    except TapError as error:
        assert error.code is Code.LINK_LOST, error
        session = applet.session
        while session is not None and (taken := session.take()) is not None:
            came_up.append(taken)
    assert came_down == down[: len(came_down)], "frames of the card are lost, doubled or mixed up"
    assert came_up == up[: len(came_up)], "frames of the reader are lost, doubled or mixed up"


def _frame(said: Said, number: int) -> bytes:
    return bytes([number % 256]) * (1 + said.below(600))


def _talk(said: Said, applet: Applet, talk: Talk, late: list[bytes | None]) -> bytes | None:
    """Carry a talk through losses; an answer may also come late, in the place of the next."""
    try:
        command = next(talk)
        for _ in range(ATTEMPTS * limits.MESSAGE):
            loss = said.below(16)
            answer = applet.command(command) if loss != 1 else None
            if loss != 1 and answer is None and applet.session is not None:
                answer = applet.session.poll(late=True)
            before, late[0] = late[0], answer or late[0]
            command = talk.send(None if loss == 2 else before if loss == 3 else answer)
    except StopIteration as stop:
        found: bytes | None = stop.value
        return found
    raise AssertionError("a talk without end")
