"""Fields of a message stay within the bounds that the specification gives them; mutants of the decoder showed these."""

from __future__ import annotations

import pytest

from dualtap import codec, limits, wire
from dualtap.errors import Code, TapError

WALLET: list[object] = [b"\x02" * 33, 2, 1, 3, 5411, b"", 9, 3, bytes(4), bytes(64)]
REQUEST: list[object] = [3, False, 1, "CNY", bytes(16), 0, b"", 7, 16, 1024, 0, 1, bytes(64), WALLET, [], 0]


def test_a_request_at_its_bounds_is_read() -> None:
    for place, most in ((5, 255), (7, 255), (8, 255), (9, limits.MESSAGE)):
        whole = [*REQUEST]
        whole[place] = most
        assert wire.encode(wire.decode(codec.pack(whole))) == codec.pack(whole)


@pytest.mark.parametrize(("place", "more"), [(5, 256), (7, 256), (8, 256), (9, limits.MESSAGE + 1), (10, 99)])
def test_a_request_beyond_its_bounds_is_refused(place: int, more: int) -> None:
    """§5.1-7."""
    whole = [*REQUEST]
    whole[place] = more
    with pytest.raises(TapError) as caught:
        wire.decode(codec.pack(whole))
    assert caught.value.code is Code.MALFORMED


@pytest.mark.parametrize("count", [0, 4])
def test_an_array_of_too_few_or_too_many_is_refused(count: int) -> None:
    """§5.1-7."""
    check = codec.list_of(codec.boolean, 3, 1)
    assert check([True]) == (True,)
    assert check([True] * 3) == (True,) * 3
    with pytest.raises(TapError) as caught:
        check([True] * count)
    assert caught.value.code is Code.MALFORMED
