"""The reader's end of the APDU mapping, against the card's and against cards that break the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import apdu
from dualtap_transports.apdu import EXTENDED, SELECT, SHORT, Command, Ins, Status, Window
from dualtap_transports.apdu_card import Applet
from dualtap_transports.apdu_reader import ATTEMPTS, Reader, Talk

START = 0xFFFE


class Card:
    """A card whose device answers each frame with its reverse; commands and answers may be lost or late."""

    def __init__(self, window: Window = SHORT) -> None:
        self.applet = Applet(window)
        self.heard: list[bytes] = []
        self.commands: list[bytes] = []
        self.lose_command: set[int] = set()
        self.lose_answer: set[int] = set()

    def __call__(self, command: bytes) -> bytes | None:
        n = len(self.commands)
        self.commands.append(command)
        if n in self.lose_command:
            return None
        answer = self.applet.command(command)
        session = self.applet.session
        while session is not None and (frame := session.take()) is not None:
            self.heard.append(frame)
            session.offer(frame[::-1])
        if answer is None:
            assert session is not None
            answer = session.poll(late=True)
        return None if n in self.lose_answer else answer


def carry(talk: Talk, card: Callable[[bytes], bytes | None]) -> bytes | None:
    try:
        command = next(talk)
        while True:
            command = talk.send(card(command))
    except StopIteration as stop:
        frame: bytes | None = stop.value
        return frame


def refused(talk: Talk, card: Callable[[bytes], bytes | None]) -> TapError:
    with pytest.raises(TapError) as caught:
        carry(talk, card)
    return caught.value


def opened(card: Callable[[bytes], bytes | None], window: Window = SHORT) -> Reader:
    reader = Reader(START, window)
    assert carry(reader.select(), card) is None
    return reader


FRAME = bytes(range(256)) * 3


@pytest.mark.parametrize(
    ("mine", "cards", "most"),
    [
        (SHORT, SHORT, 246),
        (EXTENDED, SHORT, 246),
        (SHORT, EXTENDED, 246),
        (EXTENDED, EXTENDED, 780),
        (SHORT, Window(40, 40), 46),
    ],
)
def test_a_frame_is_brought_and_answered(mine: Window, cards: Window, most: int) -> None:
    """§18-3: nobody gets more than it announced; §18-5: every command has the next counter."""
    card = Card(cards)
    reader = opened(card, mine)
    assert carry(reader.exchange(FRAME), card) == FRAME[::-1]
    assert card.heard == [FRAME]
    assert max(len(command) for command in card.commands) == most
    counters = [apdu.decode_command(command).counter for command in card.commands[1:]]
    assert counters == [(START + n) % 65536 for n in range(len(counters))]


def test_asking_alone_brings_what_the_card_has_or_nothing() -> None:
    card = Card()
    reader = opened(card)
    assert carry(reader.exchange(None), card) is None
    assert card.applet.session is not None
    card.applet.session.offer(b"unasked")
    assert carry(reader.exchange(None), card) == b"unasked"


def test_every_single_loss_heals_and_nothing_runs_twice() -> None:
    """§18-8, §18-7: command or answer, at every place of an exchange of several chunks."""
    whole = Card()
    carry(opened(whole).exchange(FRAME), whole)
    for n, in_command in product(range(len(whole.commands)), (True, False)):
        card = Card()
        (card.lose_command if in_command else card.lose_answer).add(n)
        reader = opened(card)
        assert carry(reader.exchange(FRAME), card) == FRAME[::-1]
        assert card.heard == [FRAME]
        repeats = [apdu.decode_command(command).ins for command in card.commands].count(Ins.REPEAT)
        assert repeats == (n > 0)
        assert carry(reader.exchange(b"next"), card) == b"txen"


def test_late_answers_are_recognised_by_their_counter() -> None:
    """§18-6: a card too slow for its reader answers each command with the answer before."""
    card = Card()
    late: list[bytes | None] = [b"\x90\x00", b"\0\0\0\0\4late\x90\x00"]

    def slow(command: bytes) -> bytes | None:
        late.append(card(command))
        return late.pop(0)

    reader = opened(slow)
    for frame in (b"one", FRAME, b"three"):
        assert carry(reader.exchange(frame), slow) == frame[::-1]
    assert card.heard == [b"one", FRAME, b"three"]


def test_a_card_whose_answers_stay_away_is_lost() -> None:
    """§18-8: four attempts at one answer."""
    card = Card()
    reader = opened(card)
    card.lose_answer = set(range(100))
    assert refused(reader.exchange(b"x"), card).code is Code.LINK_LOST
    assert len(card.commands) == 1 + ATTEMPTS == 1 + 4
    assert card.heard == [b"x"]
    silent = Card()
    silent.lose_command = set(range(100))
    assert refused(Reader(0).select(), silent).code is Code.LINK_LOST
    assert silent.commands == [SELECT] * ATTEMPTS


def test_a_card_without_the_application_is_lost() -> None:
    """§18-1."""
    error = refused(Reader(0).select(), lambda _: b"\x6a\x82")
    assert error.code is Code.LINK_LOST
    assert "6A82" in error.detail


def test_a_card_of_another_version_is_refused() -> None:
    """§18-2."""
    said = apdu.encode_selected(SHORT).replace(b"\xa5\5\1", b"\xa5\5\2") + b"\x90\0"
    assert refused(Reader(0).select(), lambda _: said).code is Code.WRONG_VERSION


def test_a_card_that_answers_select_with_something_else_is_lost() -> None:
    for answer in (b"\x90\x00", b"\x00\x07\x91\x20", b"\x90", b""):
        wrong = {SELECT: answer}
        assert refused(Reader(0).select(), wrong.get).code is Code.LINK_LOST


def test_a_card_that_ends_is_a_lost_link() -> None:
    card = Card()
    reader = opened(card)
    assert card.applet.session is not None
    card.applet.session.close()
    assert refused(reader.exchange(FRAME), card).code is Code.LINK_LOST
    assert len(card.commands) == 2, "the first chunk's answer says so"


def test_a_card_without_room_is_given_the_same_chunk_again() -> None:
    """§18-11: under the next counter, until there is room."""
    applet, answers = Applet(SHORT), list[int]()

    def crowded(command: bytes) -> bytes | None:
        answer = applet.command(command)
        session = applet.session
        assert session is not None
        if answer is None:
            answer = session.poll(late=True)
        assert answer is not None
        answers.append(int.from_bytes(answer[-2:], "big"))
        if answers[-3:] == [Status.BUSY] * 3:
            assert session.take() == bytes(limits.MESSAGE)
        return answer

    reader = opened(crowded)
    for _ in range(4):
        assert carry(reader.exchange(bytes(limits.MESSAGE)), crowded) is None
    assert Status.BUSY not in answers
    assert carry(reader.exchange(b"fifth"), crowded) is None
    assert answers[-4:] == [Status.BUSY] * 3 + [Status.WAIT]


def script(*answers: bytes) -> Callable[[bytes], bytes | None]:
    """A card that selects properly and then answers from a script, under the right counter."""
    left: Iterator[bytes] = iter(answers)

    def card(command: bytes) -> bytes | None:
        if command == SELECT:
            return apdu.encode_selected(SHORT) + b"\x90\0"
        return command[2:4] + next(left)

    return card


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([b"\x80\x40\x01x\x90\0"], Code.TOO_LARGE),
        ([b"\x00\x00\x05x\x90\0"], Code.MALFORMED),
        ([b"\x01\x00\x01x\x90\0"], Code.MALFORMED),
        ([b"\x90\0"], Code.MALFORMED),
        ([b"\x80\x00\x05x\x90\0", b"\x91\x20"], Code.MALFORMED),
        ([b"\x80\x00\x05x\x90\0", b"\x91\x40"], Code.LINK_LOST),
        ([b"\x80\x00\x05x\x90\0", b"\x82x\x90\0"], Code.MALFORMED),
        ([bytes(239) + b"\x90\0"], Code.TOO_LARGE),
        ([b"\x12\x34"], Code.MALFORMED),
        ([b"\x6f\x00"], Code.MALFORMED),
        ([b"\x91\x30", b"\x91\x30", b"\x6a\x84"], Code.TOO_LARGE),
    ],
)
def test_what_no_card_may_answer(answers: list[bytes], code: Code) -> None:
    """§18-10, §18-14."""
    card = script(*answers)
    assert refused(opened(card).exchange(b"x"), card).code is code


@pytest.mark.parametrize("answer", [b"", b"\x90"])
def test_what_is_no_answer_at_all(answer: bytes) -> None:
    def card(command: bytes) -> bytes | None:
        return apdu.encode_selected(SHORT) + b"\x90\0" if command == SELECT else answer

    assert refused(opened(card).exchange(b"x"), card).code is Code.MALFORMED


def test_a_card_that_chains_without_end_is_refused() -> None:
    """§18-10: a byte at a time, it is refused where its announced length is full."""
    asked = 0

    def card(command: bytes) -> bytes | None:
        nonlocal asked
        if command == SELECT:
            return apdu.encode_selected(SHORT) + b"\x90\0"
        asked += 1
        chunk = b"\x80\x40\x00x" if asked == 1 else bytes([0x80 | (asked - 1) % 128]) + b"x"
        return command[2:4] + chunk + b"\x90\0"

    assert refused(opened(card).exchange(b"x"), card).code is Code.MALFORMED
    assert asked == limits.MESSAGE


def test_the_end_is_one_command() -> None:
    card = Card()
    reader = opened(card)
    assert carry(reader.end(), card) is None
    assert apdu.decode_command(card.commands[-1]) == Command(0x80, Ins.END, 0xFF, 0xFE, b"", 240)
    assert card.applet.session is not None
    assert card.applet.session.failed is not None
