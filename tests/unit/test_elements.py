"""Long data is held against what it claims before it is decoded: a stranger's upload claims no memory (SPEC §5.1-9)."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from dualtap import codec, limits
from dualtap.elements import BYTES_EACH, check_elements
from dualtap.errors import Code, TapError

SIZE = 100_000
ITEMS = 1_000_000


def claimed(count: int) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big")


HOSTILE = {
    "empty arrays": claimed(SIZE) + b"\x90" * SIZE,
    "empty maps": claimed(SIZE) + b"\x80" * SIZE,
    "negatives": claimed(SIZE) + b"\xe0" * SIZE,
    "short texts": claimed(SIZE // 2) + b"\xa1\xc3" * (SIZE // 2),
    "arrays of arrays": claimed(SIZE // 6) + b"\x92\x90\x90" * (SIZE // 6),
    "announced, nested": claimed(ITEMS) * 200 + bytes(SIZE),
    "behind bytes": b"\x92\xc6" + SIZE.to_bytes(4, "big") + bytes(SIZE) + claimed(SIZE) + b"\x90" * SIZE,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_claims_memory_is_refused_before_it_is_allocated(what: str) -> None:
    """§5.1-9: it took up to 72 bytes a byte."""
    data = HOSTILE[what]
    tracemalloc.start()
    try:
        with pytest.raises(TapError) as caught:
            codec.unpack(data, len(data), ITEMS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code is Code.MALFORMED
    assert peak < 100_000


def test_the_bound_is_where_it_says() -> None:
    """§5.1-9: an element more is refused; in what is no longer than a message none is counted."""
    count = SIZE // BYTES_EACH
    filled = b"\xc6" + (SIZE - 5 - 5 - (count - 1)).to_bytes(4, "big")
    for more, fine in ((0, True), (1, False)):
        data = claimed(count + more) + b"\x01" * (count + more - 1) + filled
        data += bytes(SIZE - len(data))
        assert len(data) == SIZE
        if fine:
            check_elements(data)
            continue
        with pytest.raises(TapError):
            check_elements(data)
    codec.unpack(codec.pack(((),) * 64))


def test_every_form_is_walked_as_the_decoder_walks_it() -> None:
    """§5.1-9: what is skipped wrongly would hide what follows, or count content for elements."""
    draw = random.Random(5)
    sizes = (0, 1, 31, 32, 255, 256, 65_535, 65_536)
    forms = [codec.pack(b"\x9f" * size) for size in sizes] + [codec.pack("\x1f" * size) for size in sizes]
    forms += [codec.pack(value) for value in (0, 127, 128, 2**16, 2**32, 2**63, -1, -33, -(2**31) - 1, True, None, 0.5)]
    forms += [bytes.fromhex(ext) for ext in ("c70005", "c7020599ff", "c800030599ffff", "c90000000305ffffff")]
    forms += [bytes([0xD4 + number, 5]) + b"\x9f" * 2**number for number in range(5)]
    for _ in range(50):
        body = claimed(len(forms) + 1) + b"".join(draw.sample(forms, len(forms)))
        room = (len(body) + 5) // BYTES_EACH - len(forms) - 1
        check_elements(body + claimed(room))
        with pytest.raises(TapError):
            check_elements(body + claimed(room + 1))


def test_short_arrays_count_for_what_they_hold() -> None:
    """§5.1-9: most arrays of a message are short, and tell their length in their first byte."""
    value = tuple((number, bytes(40), (bytes(40),)) for number in range(SIZE // 100))
    data = codec.pack(value)
    assert len(data) > limits.MESSAGE
    check_elements(data)
