"""The bytes of a Call: one form, and no other frame is taken for one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtap import limits, wire
from dualtap.call import Call, Charged, Introduction, decode_call, encode_call, is_call
from dualtap.errors import Code, TapError
from dualtap.wire import Want

some = settings(max_examples=60, deadline=None, derandomize=True)
charged = st.builds(
    Charged, st.integers(1, limits.AMOUNT), st.sampled_from(["CNY", "JPY"]), st.binary(min_size=16, max_size=16),
    st.integers(0, 255),
)  # fmt: skip
told = st.builds(Introduction, st.binary(min_size=64, max_size=64), st.binary(min_size=16, max_size=16))
calls = st.builds(Call, st.sampled_from(list(Want)), st.none() | charged, st.none() | told)


@given(calls, st.data())
@some
def test_a_call_is_read_as_it_was_written_and_a_changed_byte_is_another(call: Call, data: st.DataObject) -> None:
    """§25-1."""
    encoded = encode_call(call)
    assert is_call(encoded)
    assert decode_call(encoded) == call
    changed = bytearray(encoded)
    changed[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(TapError):
        other = decode_call(bytes(changed))
        assert other != call
        assert encode_call(other) == bytes(changed)


@given(st.binary(max_size=200))
@some
def test_random_bytes_are_refused_or_canonical(data: bytes) -> None:
    for frame in (data, b"\x94\x20" + data):
        with suppress(TapError):
            assert encode_call(decode_call(frame)) == frame


def test_no_frame_of_a_session_is_a_call() -> None:
    """§25-1."""
    hello = wire.encode_hello(wire.Hello(b"hint", (1,), bytes(33), Want.PAY))
    welcome = wire.encode_welcome(wire.Welcome(1, bytes(33), Want.PAY, b""))
    for frame in (hello, welcome):
        assert not is_call(frame)
        with pytest.raises(TapError, match=Code.UNEXPECTED_MESSAGE.name):
            decode_call(frame)
    for decode in (wire.decode_hello, wire.decode_welcome):
        with pytest.raises(TapError, match=Code.UNEXPECTED_MESSAGE.name):
            decode(encode_call(Call(Want.PAY)))
