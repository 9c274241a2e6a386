"""The bytes of APDUs."""

from __future__ import annotations

import pytest

from dualtap.errors import Code, TapError
from dualtap_transports import apdu
from dualtap_transports.apdu import EXTENDED, SHORT, Command, Status, Window


def test_select_and_its_answer_are_these_bytes() -> None:
    """§18-1, §18-2: what a Java Card or a phone must be written to, byte by byte."""
    assert apdu.SELECT.hex() == "00a4040008f06475616c74617000"
    assert apdu.encode_selected(SHORT).hex() == "6f118408f06475616c746170a5050100f000f0"


HEX = {
    "case 1": ("80120007", Command(0x80, 0x12, 0, 7)),
    "case 2, 256": ("8012000700", Command(0x80, 0x12, 0, 7, b"", 256)),
    "case 2, 16": ("8012000710", Command(0x80, 0x12, 0, 7, b"", 16)),
    "case 3": ("8010000702abcd", Command(0x80, 0x10, 0, 7, b"\xab\xcd")),
    "case 4": ("8010000702abcdf0", Command(0x80, 0x10, 0, 7, b"\xab\xcd", 240)),
    "case 4, 256": ("8010000702abcd00", Command(0x80, 0x10, 0, 7, b"\xab\xcd", 256)),
    "case 2, extended": ("80120007000101", Command(0x80, 0x12, 0, 7, b"", 257)),
    "case 2, extended, 65536": ("80120007000000", Command(0x80, 0x12, 0, 7, b"", 65536)),
    "case 3, extended": ("80100007000100" + "ab" * 256, Command(0x80, 0x10, 0, 7, b"\xab" * 256)),
    "case 4, extended": ("80100007000100" + "ab" * 256 + "0101", Command(0x80, 0x10, 0, 7, b"\xab" * 256, 257)),
    "case 4, extended, 65536": ("80100007000001ab0000", Command(0x80, 0x10, 0, 7, b"\xab", 65536)),
}


@pytest.mark.parametrize("name", HEX)
def test_commands_in_all_seven_cases(name: str) -> None:
    text, command = HEX[name]
    assert apdu.decode_command(bytes.fromhex(text)) == command
    assert apdu.encode_command(command).hex() == text
    assert command.counter == 7


@pytest.mark.parametrize(
    "text",
    [
        *("", "80", "801200", "8010000702ab", "8010000702abcd0000", "8012000700ff", "80100007000002ab"),
        *("80100007000001ab00", "8010000700000000", "80100007000001abffffff"),
    ],
)
def test_commands_that_contradict_themselves(text: str) -> None:
    with pytest.raises(TapError) as caught:
        apdu.decode_command(bytes.fromhex(text))
    assert caught.value.code is Code.MALFORMED


@pytest.mark.parametrize("window", [SHORT, EXTENDED, Window(16, 65535)])
def test_a_window_is_announced_and_read(window: Window) -> None:
    said = apdu.encode_selected(window)
    assert apdu.decode_selected(said) == window
    assert apdu.decode_selected(said + b"later versions may say more") == window


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("a50501", "a50502", Code.WRONG_VERSION),
        ("a50501", "a50401", Code.MALFORMED),
        ("f064", "f065", Code.MALFORMED),
        ("00f000f0", "00f0000f", Code.MALFORMED),
        ("00f000f0", "00f000", Code.MALFORMED),
    ],
)
def test_answers_to_select_of_others(old: str, new: str, code: Code) -> None:
    """§18-2: another version, and what is no answer of this application, is refused."""
    said = apdu.encode_selected(SHORT).hex()
    assert old in said
    with pytest.raises(TapError) as caught:
        apdu.decode_selected(bytes.fromhex(said.replace(old, new)))
    assert caught.value.code is code


def test_answers_have_a_status_word_of_two_bytes() -> None:
    assert apdu.decode_answer(apdu.encode_answer(Status.OK, b"data")) == (Status.OK, b"data")
    assert apdu.decode_answer(b"\x12\x34") == (0x1234, b"")
    for short in (b"", b"\x90"):
        with pytest.raises(TapError):
            apdu.decode_answer(short)


def test_each_status_word_is_an_error_of_the_table_or_none() -> None:
    """§18-14: an unknown status word is MALFORMED."""
    assert apdu.refusal(Status.NOT_FOUND).code is Code.LINK_LOST
    assert apdu.refusal(Status.TOO_LONG).code is Code.TOO_LARGE
    assert apdu.refusal(0x6F00).code is Code.MALFORMED
    assert apdu.refusal(Status.WAIT).code is Code.MALFORMED
    assert "6F00" in apdu.refusal(0x6F00).detail


def test_windows_that_no_apdu_has() -> None:
    for window in ((15, 240), (240, 65536)):
        with pytest.raises(ValueError, match="16 to 65535"):
            Window(*window)
    assert SHORT & EXTENDED == SHORT
