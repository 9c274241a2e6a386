"""The card's end of ISO-DEP, block by block."""

from __future__ import annotations

import pytest

from dualtap.errors import Code, TapError
from dualtap_transports.iso_dep import ATS, Deliver, IsoDepCard, Leave, Say


def card(fsdi: int = 8) -> IsoDepCard:
    made = IsoDepCard(1000)
    assert made.block(bytes([0xE0, fsdi << 4])) == Say(ATS)
    return made


def test_the_answer_to_rats_is_these_bytes() -> None:
    assert ATS.hex() == "0578808000"


def test_a_command_and_its_answer_take_a_block_each() -> None:
    made = card()
    assert made.block(b"\x02hello") == Deliver(b"hello")
    assert made.answer(b"world") == b"\x02world"
    assert made.block(b"\x03again") == Deliver(b"again")
    assert made.answer(b"well") == b"\x03well"


def test_a_long_command_is_put_together() -> None:
    made = card()
    assert made.block(b"\x12one,") == Say(b"\xa2")
    assert made.block(b"\x13two,") == Say(b"\xa3")
    assert made.block(b"\x02three") == Deliver(b"one,two,three")


@pytest.mark.parametrize(("fsdi", "room"), [(8, 253), (15, 253), (7, 125), (0, 13)])
def test_a_long_answer_is_cut_to_what_the_reader_holds(fsdi: int, room: int) -> None:
    made, answer = card(fsdi), bytes(range(250)) * 2
    made.block(b"\x03x")
    block, got, number = made.answer(answer), b"", 1
    while True:
        assert len(block) <= room + 1
        assert block[0] & 0xEF == 0x02 | number
        got += block[1:]
        if not block[0] & 0x10:
            break
        assert len(block) == room + 1
        number ^= 1
        step = made.block(bytes([0xA2 | number]))
        assert isinstance(step, Say)
        assert step.block is not None
        block = step.block
    assert got == answer


def test_what_was_lost_is_said_again() -> None:
    made = card()
    # the command never came: acknowledge what came before, so that the reader sends it again
    assert made.block(b"\xb2") == Say(b"\xa3")
    assert made.block(b"\x02hello") == Deliver(b"hello")
    assert made.answer(b"world") == b"\x02world"
    for _ in range(3):
        assert made.block(b"\xb2") == Say(b"\x02world")
    assert made.block(b"\x13part") == Say(b"\xa3")
    assert made.block(b"\xb3") == Say(b"\xa3")


def test_a_lost_part_of_a_long_answer_is_said_again() -> None:
    made = card(0)
    made.block(b"\x02x")
    assert made.answer(bytes(20)) == b"\x12" + bytes(13)
    assert made.block(b"\xb2") == Say(b"\x12" + bytes(13))
    assert made.block(b"\xa3") == Say(b"\x03" + bytes(7))
    assert made.block(b"\xb3") == Say(b"\x03" + bytes(7))
    assert made.block(b"\xa2") == Say(None), "nothing is left to say"


def test_time_is_asked_for_and_again_if_that_was_lost() -> None:
    """§18-11: S(WTX)."""
    made = card()
    made.block(b"\x02x")
    assert made.wait() == b"\xf2\x01"
    assert made.is_waiting(b"\xf2\x01")
    assert not made.is_waiting(b"\xb2")
    assert made.block(b"\xb2") == Say(b"\xf2\x01")
    assert made.answer(b"late") == b"\x02late"


def test_a_reader_may_leave_or_ask_for_other_rates() -> None:
    made = card()
    assert made.block(b"\xd0\x11\x00") == Say(b"\xd0")
    assert made.block(b"\xc2") == Leave(b"\xc2")


def test_a_reader_out_of_step_is_followed() -> None:
    made = card()
    made.block(b"\x02one")
    made.answer(b"1")
    assert made.block(b"\x02two") == Deliver(b"two")
    assert made.answer(b"2") == b"\x022"


@pytest.mark.parametrize("block", ["", "e0", "e0801234", "ff", "0a00", "0600ab", "c3", "f2", "aa", "9320", "2600"])
def test_what_is_no_block_is_met_with_silence(block: str) -> None:
    made = card()
    assert made.block(bytes.fromhex(block)) == Say(None)
    assert made.block(b"\x02hello") == Deliver(b"hello")


def test_a_chain_without_end_is_given_up() -> None:
    """§18-10, below the APDUs: memory for one command, and no more."""
    made = card()
    for n in range(20):
        assert made.block(bytes([0x12 | n % 2]) + bytes(50)) == Say(bytes([0xA2 | n % 2]))
    with pytest.raises(TapError) as caught:
        made.block(b"\x12x")
    assert caught.value.code is Code.TOO_LARGE


@pytest.mark.parametrize("block", [b"\x26", b"\x52"])
def test_a_reader_that_begins_anew_ends_what_was(block: bytes) -> None:
    made = card()
    with pytest.raises(TapError) as caught:
        made.block(block)
    assert caught.value.code is Code.LINK_LOST
