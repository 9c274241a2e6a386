"""What is said in GATT values: the opening, chunks, grants and the end, whatever a peer sends."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports import gatt
from dualtap_transports.chunks import split
from dualtap_transports.gatt import END, GRANT, GRANTED, VALUE, WINDOW, Duplex, decode_opening, encode_opening

SPEC = (Path(__file__).parents[2] / "protocol" / "SPEC.md").read_text(encoding="utf-8")


def central(**more: int) -> Duplex:
    return Duplex(VALUE, central=True, **more)


def code_of(duplex: Duplex) -> Code | int | None:
    return None if duplex.failed is None else duplex.failed.code


def test_the_specification_names_the_same_characteristics_and_values() -> None:
    """§19-2, §19-3, §19-5, §19-7: numbers that two implementations must share."""
    for text in (str(gatt.UP), str(gatt.DOWN), f"{WINDOW:,}", f"{GRANTED:,}", f"{VALUE} bytes"):
        assert text in SPEC, text
    assert (END, GRANT) == (b"\x00", b"\x01")
    assert encode_opening(244) == b"\x01\x00\xf4"
    assert gatt.UP != gatt.DOWN != UUID(int=0)


@pytest.mark.parametrize("most", [20, 182, 512])
def test_an_opening_says_the_longest_value(most: int) -> None:
    """§19-3, §19-4."""
    assert decode_opening(encode_opening(most)) == most
    peripheral = Duplex(247, central=False)
    opened = [peripheral.opened]
    peripheral.feed(encode_opening(most))
    assert [*opened, peripheral.opened] == [False, True]
    assert peripheral.most == min(most, 247)


def test_an_opening_says_no_more_than_an_attribute_holds() -> None:
    """§19-4: an MTU of 517 would carry 514 bytes, which stacks drop."""
    assert encode_opening(514) == encode_opening(VALUE)


@pytest.mark.parametrize(
    "value",
    [b"", b"\x01", END, b"\x01\x01", b"\x00\x02\x00", b"\x02\x02\x00", b"\x01\x00\x13", b"\x01\x02\x01",
     b"\x01\x02\x00\x00", b"\x00\x00\x01x"],
)  # fmt: skip
def test_a_link_begins_with_its_opening_or_not_at_all(value: bytes) -> None:
    """§19-3: another version, impossible lengths, and whatever else comes first."""
    peripheral = Duplex(VALUE, central=False)
    peripheral.feed(value)
    assert code_of(peripheral) is Code.MALFORMED
    peripheral.feed(encode_opening(100))
    assert not peripheral.opened


@pytest.mark.parametrize("size", [1, 17, 18, 509, 510, limits.MESSAGE])
@pytest.mark.parametrize("most", [20, VALUE])
def test_frames_arrive_whole(size: int, most: int) -> None:
    """§19-5."""
    duplex, frame = central(), bytes(i * 7 % 251 for i in range(size))
    for chunk in split(frame, most):
        assert len(chunk) <= most
        assert not len(duplex)
        duplex.feed(chunk)
    assert duplex.take()[0] == frame
    assert not duplex.torn


def test_a_side_stops_at_the_window_and_goes_on_when_it_is_granted() -> None:
    """§19-7: a grant is due for what was taken, never for what only arrived."""
    duplex, sent, chunks = central(), 0, split(b"x" * limits.MESSAGE, VALUE)
    cost = sum(map(len, chunks))
    while sent + cost <= WINDOW:
        for chunk in chunks:
            duplex.feed(chunk)
        sent += cost
    assert duplex.failed is None
    grants = [duplex.take()[1] for _ in range(len(duplex))]
    assert grants == [False, True, False], "half a window is due as soon as that much was taken"
    for _ in range(GRANTED // cost):
        for chunk in chunks:
            duplex.feed(chunk)
    assert duplex.failed is None


def test_a_peer_that_sends_more_than_was_granted_is_refused_and_holds_no_more_memory() -> None:
    """§19-7: a flood of the shortest frames, which nobody reads."""
    duplex, (chunk,) = central(), split(b"x", VALUE)
    for _ in range(WINDOW // len(chunk) + 100):
        duplex.feed(chunk)
    assert code_of(duplex) is Code.TOO_LARGE
    assert len(duplex) == WINDOW // len(chunk)


def test_endless_chaining_ends_at_the_length_announced() -> None:
    """§19-6: chunks that promise more and more."""
    duplex = central()
    duplex.feed(b"\x80" + limits.MESSAGE.to_bytes(2, "big") + b"x" * 509)
    for i in range(1, limits.MESSAGE // 511 + 1):
        duplex.feed(bytes([0x80 | i % 128]) + b"x" * 511)
    assert code_of(duplex) is Code.MALFORMED


def test_a_length_above_the_limit_is_refused_before_its_bytes_come() -> None:
    """§19-6: also where this device takes less than the protocol's longest frame."""
    duplex = central()
    duplex.feed(b"\x80" + (limits.MESSAGE + 1).to_bytes(2, "big") + b"x")
    assert code_of(duplex) is Code.TOO_LARGE
    small = central(max_frame=limits.CARD_MESSAGE)
    small.feed(b"\x80" + (limits.CARD_MESSAGE + 1).to_bytes(2, "big") + b"x")
    assert code_of(small) is Code.TOO_LARGE


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([b"\x02"], Code.MALFORMED),
        ([b"\xff"], Code.MALFORMED),
        ([b""], Code.MALFORMED),
        ([b"\x01\x00\x01x"], Code.MALFORMED),
        ([b"\x80\x00\x05x", b"\x02xxxx"], Code.MALFORMED),
        ([b"\x00\x00\x05x"], Code.MALFORMED),
        ([b"\x00\x00\x00x"], Code.MALFORMED),
        ([b"\x00" + (510).to_bytes(2, "big") + b"x" * 510], Code.TOO_LARGE),
        ([GRANT], Code.MALFORMED),
    ],
)
def test_what_breaks_the_rules_ends_the_link_for_good(values: list[bytes], code: Code) -> None:
    """§19-5, §19-6, §19-7: unknown controls, chunks out of order, a value too long, a grant for nothing."""
    duplex, good = central(), split(b"good", VALUE)
    for value in [*good, *values, *good]:
        duplex.feed(value)
    assert code_of(duplex) is code
    assert len(duplex) == 1, "what came before stays; nothing comes after"


def test_nothing_is_taken_after_the_end() -> None:
    """§19-8."""
    duplex = central()
    for value in (*split(b"before", VALUE), b"\x80\x00\x05x", END, *split(b"after", VALUE)):
        duplex.feed(value)
    assert (duplex.ended, duplex.torn, len(duplex), duplex.failed) == (True, True, 1, None)


def test_a_grant_lets_more_be_sent_up_to_the_window() -> None:
    """§19-7."""
    duplex = central()
    duplex.room -= GRANTED
    duplex.feed(GRANT)
    assert (duplex.room, duplex.failed) == (WINDOW, None)
    duplex.room -= GRANTED - 1
    duplex.feed(GRANT)
    assert code_of(duplex) is Code.MALFORMED
    assert duplex.room == WINDOW - GRANTED + 1, "a refused grant was taken"


@given(st.lists(st.binary(max_size=VALUE + 1), max_size=50), st.booleans())
def test_no_sequence_of_values_does_more_than_fail(values: list[bytes], is_central: bool) -> None:
    """§19-6: bounded memory and one of two codes, whatever comes."""
    duplex = Duplex(VALUE, central=is_central)
    for value in values:
        duplex.feed(value)
    taken = sum(len(duplex.take()[0]) for _ in range(len(duplex)))
    assert taken <= sum(map(len, values)) <= 50 * (VALUE + 1)
    assert code_of(duplex) in (None, Code.MALFORMED, Code.TOO_LARGE)


def test_an_opening_that_cannot_be_is_refused_where_it_is_read() -> None:
    """§19-3."""
    with pytest.raises(TapError) as caught:
        decode_opening(b"\x01\x00\x00")
    assert caught.value.code is Code.MALFORMED
