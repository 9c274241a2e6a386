"""Cutting frames into chunks and putting them back together."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap_transports.chunks import MIN_CHUNK, Chunked, Joiner, split
from dualtap_transports.loopback import pair


def join(joiner: Joiner, chunks: list[bytes]) -> list[bytes]:
    return [frame for chunk in chunks if (frame := joiner.feed(chunk)) is not None]


def refusal(joiner: Joiner, *chunks: bytes) -> Code | int:
    *good, bad = chunks
    for chunk in good:
        assert joiner.feed(chunk) is None
    with pytest.raises(TapError) as caught:
        joiner.feed(bad)
    return caught.value.code


def test_the_bytes_are_as_specified() -> None:
    assert split(b"abcdefgh", 6) == [b"\x80\x00\x08abc", b"\x01defgh"]
    assert split(b"a", MIN_CHUNK) == [b"\x00\x00\x01a"]


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=3), st.integers(MIN_CHUNK, 800))
def test_what_is_split_is_joined(frames: list[bytes], max_chunk: int) -> None:
    chunks = [chunk for frame in frames for chunk in split(frame, max_chunk)]
    assert all(len(chunk) <= max_chunk for chunk in chunks)
    assert join(Joiner(), chunks) == frames


def test_the_sequence_wraps() -> None:
    frame = bytes(range(256)) * 2
    chunks = split(frame, MIN_CHUNK)
    assert len(chunks) > 128
    assert chunks[128][0] == 0x80
    assert join(Joiner(), chunks) == [frame]


def test_the_longest_frame_passes_and_a_longer_one_does_not() -> None:
    frame = b"x" * limits.MESSAGE
    assert join(Joiner(), split(frame, 20)) == [frame]
    with pytest.raises(TapError) as caught:
        split(frame + b"x", 20)
    assert caught.value.code is Code.TOO_LARGE


def test_split_refuses_what_it_cannot_cut() -> None:
    with pytest.raises(TapError) as caught:
        split(b"", 20)
    assert caught.value.code is Code.MALFORMED
    with pytest.raises(ValueError, match="at least 4"):
        split(b"x", MIN_CHUNK - 1)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param((b"",), id="nothing"),
        pytest.param((b"\x00",), id="header alone"),
        pytest.param((b"\x00\x00\x01",), id="no payload"),
        pytest.param((b"\x01\x00\x01a",), id="first number is not 0"),
        pytest.param((b"\x80\x00\x02a", b"\x02b"), id="a number is missing"),
        pytest.param((b"\x80\x00\x02a", b"\x80\x00\x02a"), id="a number is repeated"),
        pytest.param((b"\x80\x00\x02a", b"\x01"), id="continuation without payload"),
        pytest.param((b"\x80\x00\x02",), id="first of several without payload"),
        pytest.param((b"\x80\x00\x02a", b"\x81"), id="middle without payload"),
        pytest.param((b"\x00\x00\x02a",), id="ends too early"),
        pytest.param((b"\x00\x00\x01ab",), id="more than announced"),
        pytest.param((b"\x80\x00\x01a",), id="complete, yet more announced"),
        pytest.param((b"\x80\x00\x03a", b"\x81bcd"), id="overflows in the middle"),
        pytest.param((b"\x80\x00\x03a", b"\x01b"), id="last chunk falls short"),
        pytest.param((b"\x00\x00\x00a",), id="a frame of length 0"),
    ],
)
def test_malformed_chunks(chunks: tuple[bytes, ...]) -> None:
    assert refusal(Joiner(), *chunks) is Code.MALFORMED


def test_a_length_beyond_the_cap_is_refused_from_the_first_chunk() -> None:
    assert refusal(Joiner(), b"\x80\x40\x01a") is Code.TOO_LARGE
    assert Joiner().feed(b"\x80\x40\x00a") is None
    assert refusal(Joiner(max_frame=1), b"\x80\x00\x02a") is Code.TOO_LARGE
    assert refusal(Joiner(max_frame=10**6), b"\x80\xff\xffa") is Code.TOO_LARGE


def test_a_refusal_is_final() -> None:
    joiner = Joiner()
    assert refusal(joiner, b"\x01\x00\x01a") is Code.MALFORMED
    assert refusal(joiner, b"\x00\x00\x01a") is Code.MALFORMED


def test_a_claimed_length_reserves_nothing() -> None:
    joiners = [Joiner() for _ in range(100)]
    tracemalloc.start()
    try:
        for joiner in joiners:
            joiner.feed(b"\x80\x40\x00a")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100 * 1024


def test_a_timeout_covers_all_chunks_of_a_frame() -> None:
    raw, inner = pair(max_frame=MIN_CHUNK)
    chunks = iter(split(b"x" * 50, MIN_CHUNK))
    seconds = iter(range(1000))

    def clock() -> float:
        # Each look at the clock takes a second; a chunk comes for each until the fifth.
        now = float(next(seconds))
        if now < 5:
            raw.send(next(chunks))
        return now

    link = Chunked(inner, clock=clock)
    with pytest.raises(TapError) as caught:
        link.receive(5.0)
    assert caught.value.code is Code.TIMEOUT
    for chunk in chunks:
        raw.send(chunk)
    assert link.receive(0) == b"x" * 50


def test_a_frame_cut_short_by_the_link_ends_it() -> None:
    class Jammed:
        max_frame = MIN_CHUNK

        def __init__(self) -> None:
            self.closed = False
            self.sent = 0

        def send(self, frame: bytes) -> None:
            self.sent += 1
            if self.sent == 2:
                raise TapError(Code.TIMEOUT, "jammed")

        def receive(self, timeout: float | None) -> bytes:
            raise AssertionError("nothing is received here")

        def close(self) -> None:
            self.closed = True

    jammed = Jammed()
    link = Chunked(jammed)
    with pytest.raises(TapError) as caught:
        link.send(b"abc")
    assert caught.value.code is Code.TIMEOUT
    assert jammed.closed
    with pytest.raises(TapError) as caught:
        link.send(b"a")
    assert caught.value.code is Code.LINK_LOST
    assert jammed.sent == 2


def test_a_link_too_narrow_for_chunks_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        Chunked(pair(max_frame=3)[0])
