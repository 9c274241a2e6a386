"""The card's end of the APDU mapping: every answer byte by byte, and what a hostile reader gets."""

from __future__ import annotations

import random

import pytest

from dualtap import limits
from dualtap.errors import Code
from dualtap_transports import apdu
from dualtap_transports.apdu import EXTENDED, SELECT, SHORT, Command, Ins, Status, Window
from dualtap_transports.apdu_card import ROOM, Applet, Session
from dualtap_transports.chunks import MORE, split


class Bench:
    """A card and a hand that types commands; each answer must come at once, or when it is late."""

    def __init__(self, window: Window = SHORT, max_frame: int = limits.MESSAGE) -> None:
        self.applet = Applet(window, max_frame)
        assert self.raw(SELECT)[0] is Status.OK

    @property
    def session(self) -> Session:
        assert self.applet.session is not None
        return self.applet.session

    def raw(self, command: bytes) -> tuple[Status | int, bytes]:
        answer = self.applet.command(command)
        if answer is None:
            answer = self.session.poll(late=True)
        assert answer is not None
        return apdu.decode_answer(answer)

    def give(self, ins: int, counter: int, data: bytes = b"", expected: int = 256) -> tuple[Status | int, bytes]:
        return self.raw(apdu.encode_command(Command(0x80, ins, counter >> 8, counter & 255, data, expected)))

    def refused(self, ins: int, counter: int, data: bytes = b"", expected: int = 256) -> Status | int:
        status, said = self.give(ins, counter, data, expected)
        assert said == b""
        return status


def test_a_frame_goes_in_and_another_comes_out() -> None:
    """§18-6: each answer begins with its command's counter."""
    bench = Bench()
    frame = bytes(range(256)) * 2
    chunks = split(frame, 240)
    assert len(chunks) == 3
    assert bench.give(Ins.EXCHANGE, 0xFFFE, chunks[0]) == (Status.OK, b"\xff\xfe")
    assert bench.give(Ins.EXCHANGE, 0xFFFF, chunks[1]) == (Status.OK, b"\xff\xff")
    assert bench.session.take() is None
    bench.session.offer(frame)
    # §18-5: after 65535 comes 0
    status, said = bench.give(Ins.EXCHANGE, 0, chunks[2])
    assert (status, said[:2]) == (Status.OK, b"\0\0")
    assert bench.session.take() == frame
    # §18-9: 240 bytes with the counter
    assert said[2:] == split(frame, 238)[0]
    assert len(said) == 240
    assert bench.give(Ins.CONTINUE, 1)[1][2:] == split(frame, 238)[1]
    assert bench.give(Ins.CONTINUE, 2)[1][2:] == split(frame, 238)[2]
    assert bench.give(Ins.CONTINUE, 3) == (Status.WAIT, b"\0\3")


@pytest.mark.parametrize("ins", [Ins.EXCHANGE, Ins.CONTINUE, Ins.REPEAT])
def test_a_repeated_command_is_answered_from_memory(ins: Ins) -> None:
    """§18-7: whatever the repetition says, nothing is carried out twice."""
    bench = Bench()
    bench.session.offer(b"one")
    bench.session.offer(b"two")
    [chunk] = split(b"frame", 240)
    first = bench.give(Ins.EXCHANGE, 5, chunk)
    assert bench.give(ins, 5, b"" if ins is not Ins.EXCHANGE else chunk) == first
    assert bench.session.take() == b"frame"
    assert bench.session.take() is None
    assert bench.give(Ins.CONTINUE, 6)[1][2:] == split(b"two", 240)[0]


def test_a_repetition_of_what_never_came_says_so() -> None:
    """§18-7: and the command itself is then carried out."""
    bench = Bench()
    assert bench.give(Ins.REPEAT, 9) == (Status.NOT_SEEN, b"\0\x09")
    assert bench.session.fresh
    bench.give(Ins.EXCHANGE, 9, split(b"a", 240)[0])
    assert bench.give(Ins.REPEAT, 10) == (Status.NOT_SEEN, b"\0\x0a")
    bench.give(Ins.EXCHANGE, 10, split(b"b", 240)[0])
    assert (bench.session.take(), bench.session.take()) == (b"a", b"b")


def test_a_command_repeated_while_it_is_at_work_goes_on() -> None:
    bench = Bench()
    [chunk] = split(b"frame", 240)
    command = apdu.request(Ins.EXCHANGE, 1, chunk, SHORT)
    assert bench.applet.command(command) is None
    assert bench.applet.command(command) is None
    assert bench.applet.command(apdu.request(Ins.REPEAT, 1, b"", SHORT)) is None
    bench.session.offer(b"answer")
    assert bench.session.poll(late=False) == b"\0\1" + split(b"answer", 240)[0] + b"\x90\0"
    assert bench.session.take() == b"frame"
    assert bench.session.take() is None


@pytest.mark.parametrize("counter", [3, 6, 0x8004, 0x0304])
def test_a_counter_out_of_order_ends_the_link(counter: int) -> None:
    """§18-5: neither the last nor the next."""
    bench = Bench()
    bench.give(Ins.CONTINUE, 3)
    bench.give(Ins.CONTINUE, 4)
    assert bench.refused(Ins.CONTINUE, counter) is Status.WRONG_COUNTER
    assert bench.session.failed is not None
    assert bench.refused(Ins.CONTINUE, 5) is Status.NOT_SELECTED


def test_an_unknown_application_or_class_disturbs_nobody() -> None:
    """§18-1: what other programs ask of every card."""
    bench = Bench()
    bench.give(Ins.CONTINUE, 0)
    for other in ("00a4040007d276000085010100", "00a4040000", "00a40400", "00a4040009f06475616c7461700100"):
        assert bench.raw(bytes.fromhex(other)) == (Status.NOT_FOUND, b"")
    assert bench.raw(bytes.fromhex("00b0000000")) == (Status.WRONG_CLASS, b"")
    assert bench.give(Ins.CONTINUE, 1) == (Status.WAIT, b"\0\1")


def test_a_select_opens_one_link_and_a_later_one_another() -> None:
    """§18-4."""
    bench = Bench()
    first = bench.session
    assert bench.raw(SELECT)[0] is Status.OK
    assert bench.session is first
    bench.give(Ins.CONTINUE, 7)
    assert bench.raw(SELECT)[0] is Status.OK
    assert bench.session is not first
    assert first.failed is not None
    assert first.failed.code is Code.LINK_LOST
    assert bench.give(Ins.CONTINUE, 0x1234)[0] is Status.WAIT


def test_a_card_that_takes_no_links_is_not_found() -> None:
    bench = Bench()
    bench.applet.open_to_links = False
    assert bench.raw(SELECT)[0] is Status.OK, "the link that is there is the same one"
    bench.give(Ins.CONTINUE, 0)
    assert bench.raw(SELECT) == (Status.NOT_FOUND, b"")
    assert bench.give(Ins.CONTINUE, 1)[0] is Status.WAIT
    bench.applet.reset("the field went")
    assert bench.refused(Ins.CONTINUE, 2) is Status.NOT_SELECTED
    assert bench.raw(SELECT) == (Status.NOT_FOUND, b"")


def test_a_closed_card_hands_out_what_it_said_and_then_says_so() -> None:
    """§18-12."""
    bench = Bench()
    bench.session.offer(b"x" * 300)
    bench.session.offer(b"last")
    bench.session.close()
    assert not bench.session.drained
    assert [bench.give(Ins.CONTINUE, n)[0] for n in range(3)] == [Status.OK] * 3
    assert bench.session.fetched
    assert not bench.session.told
    assert bench.give(Ins.CONTINUE, 3) == (Status.ENDED, b"\0\3")
    assert bench.session.drained


def test_a_reader_in_the_middle_of_a_frame_hears_of_the_end() -> None:
    """§18-12: at once where nothing waits for it, else after that."""
    chunks = split(b"x" * 700, 240)
    bench = Bench()
    bench.session.offer(b"before")
    bench.session.close()
    assert bench.give(Ins.EXCHANGE, 0, chunks[0])[0] is Status.OK
    assert bench.give(Ins.EXCHANGE, 1, chunks[1])[0] is Status.OK
    assert bench.give(Ins.EXCHANGE, 2, chunks[2])[1][2:] == split(b"before", 240)[0]
    assert bench.give(Ins.EXCHANGE, 3, chunks[0])[0] is Status.ENDED


def test_a_reader_that_ends_is_answered_and_gone() -> None:
    bench = Bench()
    bench.give(Ins.EXCHANGE, 0, split(b"frame", 240)[0])
    assert bench.give(Ins.END, 1) == (Status.OK, b"\0\1")
    assert bench.session.failed is not None
    assert bench.session.failed.code is Code.LINK_LOST
    assert bench.session.take() == b"frame", "what arrived before is still given out"


@pytest.mark.parametrize(
    ("chunk", "max_frame", "status", "code"),
    [
        (b"", 1024, Status.BAD_CHUNK, Code.MALFORMED),
        (b"\0\0\1", 1024, Status.BAD_CHUNK, Code.MALFORMED),
        (b"\1\0\1x", 1024, Status.BAD_CHUNK, Code.MALFORMED),
        (b"\0\0\2x", 1024, Status.BAD_CHUNK, Code.MALFORMED),
        (b"\0\0\1xx", 1024, Status.BAD_CHUNK, Code.MALFORMED),
        (b"\x80\x04\x01x", 1024, Status.TOO_LONG, Code.TOO_LARGE),
        (b"\x80\xff\xffx", limits.MESSAGE, Status.TOO_LONG, Code.TOO_LARGE),
        (b"\x80\x40\x01x", limits.MESSAGE, Status.TOO_LONG, Code.TOO_LARGE),
    ],
)
def test_chunks_that_no_reader_may_send(chunk: bytes, max_frame: int, status: Status, code: Code) -> None:
    """§18-10: refused at the first chunk, before anything is kept."""
    bench = Bench(max_frame=max_frame)
    assert bench.refused(Ins.EXCHANGE, 0, chunk) is status
    assert bench.session.failed is not None
    assert bench.session.failed.code is code


def test_endless_chaining_ends() -> None:
    """§18-10: a chain longer than it announced, byte by byte, and one whose numbers never end."""
    bench = Bench()
    assert bench.give(Ins.EXCHANGE, 0, b"\x80\x40\x00x")[0] is Status.OK
    taken = 1
    while bench.give(Ins.EXCHANGE, taken, bytes([MORE | taken % 128]) + b"x")[0] is Status.OK:
        taken += 1
    assert taken == 16 * 1024 - 1, "the last byte must say that it is the last"
    assert bench.session.failed is not None


def test_a_flood_of_frames_is_held_off() -> None:
    """§18-13, §18-11: 9130 until there is room, and then the same chunk is taken."""
    for size in (1, 200):
        bench = Bench()
        counter = kept = 0
        [chunk] = split(b"x" * size, 240)
        while bench.give(Ins.EXCHANGE, counter, chunk)[0] is Status.WAIT:
            counter, kept = counter + 1, kept + size
        assert 0 < kept <= ROOM
        assert counter < 1200, "tiny frames are bounded in number too"
        assert bench.give(Ins.REPEAT, counter)[0] is Status.BUSY
        assert bench.session.take() is not None
        assert bench.give(Ins.EXCHANGE, counter + 1, chunk)[0] is Status.WAIT
        assert bench.give(Ins.EXCHANGE, counter + 2, chunk)[0] is Status.BUSY


def test_room_for_frames_of_the_device_is_bounded() -> None:
    """§18-13."""
    session = Session()
    offered = 0
    while session.room:
        session.offer(b"x" * limits.MESSAGE)
        offered += 1
    assert offered == 4


def test_commands_are_answered_whatever_they_are() -> None:
    """§18-14: garbage of every length gets a status word and no more than a session's memory."""
    source = random.Random(18)
    for seed in range(3000):
        bench = Bench()
        size = source.choice([0, 1, 3, 4, 5, 6, 7, 20, 252, 253, 300])
        garbage = source.randbytes(size)
        if seed % 2:
            garbage = bytes([0x80, source.choice([*Ins, 0x11])]) + garbage
        status, said = bench.raw(garbage)
        assert isinstance(status, Status)
        assert len(said) <= 240


def test_what_is_too_long_to_be_a_command_is_not_read() -> None:
    """§18-14, §18-3: a card that takes short commands only says so."""
    bench = Bench()
    assert bench.raw(b"\x80\x10\0\0\0\xff\xff" + bytes(65535)) == (Status.TOO_LONG, b"")
    assert bench.session.failed is not None
    assert bench.session.failed.code is Code.TOO_LARGE


@pytest.mark.parametrize(
    ("ins", "expected", "status"), [(0x11, 256, Status.WRONG_INS), (0x12, 15, Status.WRONG_LENGTH)]
)
def test_commands_that_are_not_in_the_table(ins: int, expected: int, status: Status) -> None:
    bench = Bench()
    assert bench.refused(ins, 0, b"", expected) is status
    assert bench.refused(Ins.CONTINUE, 1) is Status.NOT_SELECTED


def test_an_answer_is_as_short_as_the_reader_asks() -> None:
    for expected, size in ((16, 16), (100, 100), (0, 240), (256, 240)):
        bench = Bench()
        bench.session.offer(bytes(1000))
        status, said = bench.give(Ins.CONTINUE, 0, b"", expected)
        assert (status, len(said)) == (Status.OK, size)


def test_a_card_may_announce_extended_length() -> None:
    """§18-3: then a whole message is one command and one answer; a reader of short ones is served too."""
    bench = Bench(EXTENDED)
    frame = bytes(limits.MESSAGE)
    bench.session.offer(frame)
    bench.session.offer(frame)
    [chunk] = split(frame, EXTENDED.command)
    status, said = bench.give(Ins.EXCHANGE, 0, chunk, EXTENDED.answer)
    assert (status, said[2:]) == (Status.OK, split(frame, EXTENDED.answer)[0])
    assert bench.session.take() == frame
    assert len(bench.give(Ins.CONTINUE, 1)[1]) == 256
