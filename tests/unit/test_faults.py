"""The fault wrapper does to each frame what its plan says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualtap.errors import Code, TapError
from dualtap_transports.faults import Delay, Drop, Duplicate, Fault, Faulty, Plan, Tear, random_plan
from dualtap_transports.link import Link
from dualtap_transports.loopback import pair
from dualtap_transports.tcp import SCHEME

FRAMES = (b"zero", b"one", b"two", b"three")


def no_sleep(seconds: float) -> None:
    raise AssertionError(f"slept {seconds} s")


def arrived(link: Link) -> list[bytes | Code | int]:
    """Return the frames that wait at ``link``, then the code of the error that ends them."""
    seen: list[bytes | Code | int] = []
    while True:
        try:
            seen.append(link.receive(0))
        except TapError as error:
            return [*seen, error.code]


def play(*faults: Fault, sleep: Callable[[float], None] = no_sleep) -> list[bytes | Code | int]:
    near, far = pair()
    link = Faulty(near, Plan(faults), sleep)
    for frame in FRAMES:
        try:
            link.send(frame)
        except TapError as error:
            assert error.code is Code.LINK_LOST  # noqa: PT017 - only a torn link refuses
            break
    return arrived(far)


def test_an_empty_plan_changes_nothing() -> None:
    assert play() == [*FRAMES, Code.TIMEOUT]


def test_drop() -> None:
    assert play(Drop(1), Drop(3)) == [b"zero", b"two", Code.TIMEOUT]


def test_duplicate() -> None:
    assert play(Duplicate(2)) == [b"zero", b"one", b"two", b"two", b"three", Code.TIMEOUT]


def test_delay_sleeps_before_the_frame_and_keeps_the_order() -> None:
    near, far = pair()
    seen: list[tuple[float, list[bytes | Code | int]]] = []
    link = Faulty(near, Plan((Delay(1, 2.5),)), lambda seconds: seen.append((seconds, arrived(far))))
    link.send(b"zero")
    link.send(b"one")
    link.send(b"two")
    assert seen == [(2.5, [b"zero", Code.TIMEOUT])]
    assert arrived(far) == [b"one", b"two", Code.TIMEOUT]


def test_tear_on_a_message_link_delivers_the_short_frame_then_the_end() -> None:
    assert play(Tear(1, 2)) == [b"zero", b"on", Code.LINK_LOST]
    assert play(Tear(1, 0)) == [b"zero", Code.LINK_LOST]
    assert play(Tear(1, 99)) == [b"zero", b"one", Code.LINK_LOST]


@pytest.mark.parametrize("at", [0, 2])
def test_tear_on_a_byte_stream_is_a_lost_link(at: int) -> None:
    listener = SCHEME.listen("127.0.0.1:0")
    near = SCHEME.connect(listener.address, 5)
    far = listener.accept(5)
    link = Faulty(near, Plan((Tear(1, at),)), no_sleep)
    try:
        link.send(b"zero")
        link.send(b"one")
        assert far.receive(5) == b"zero"
        with pytest.raises(TapError, match="in the middle of a frame") as caught:
            far.receive(5)
        assert caught.value.code is Code.LINK_LOST
        for use in (lambda: link.send(b"two"), lambda: link.receive(0)):
            with pytest.raises(TapError) as caught:
                use()
            assert caught.value.code is Code.LINK_LOST
    finally:
        link.close()
        far.close()
        listener.close()


def test_a_dropped_frame_is_refused_as_the_link_would() -> None:
    near, far = pair(max_frame=4)
    link = Faulty(near, Plan((Drop(0),)), no_sleep)
    assert link.max_frame == 4
    for frame, code in ((b"", Code.MALFORMED), (b"three", Code.TOO_LARGE)):
        with pytest.raises(TapError) as caught:
            link.send(frame)
        assert caught.value.code is code
    link.send(b"drop")  # the refused frames were not counted: this is frame 0
    link.send(b"kept")
    assert arrived(far) == [b"kept", Code.TIMEOUT]
    link.close()
    with pytest.raises(TapError) as caught:
        link.send(b"late")
    assert caught.value.code is Code.LINK_LOST
    assert arrived(far) == [Code.LINK_LOST]


def test_receiving_has_no_faults() -> None:
    near, far = pair()
    far.send(b"zero")
    assert Faulty(near, Plan((Drop(0),)), no_sleep).receive(0) == b"zero"


@pytest.mark.parametrize("faults", [(Drop(0), Tear(0, 1)), (Drop(-1),), (Tear(0, -1),), (Delay(0, -0.5),)])
def test_plans_that_cannot_be_are_refused(faults: tuple[Fault, ...]) -> None:
    with pytest.raises(ValueError, match=r"two faults|negative"):
        Plan(faults)


def test_random_plans_are_named_by_their_seed() -> None:
    plans = [random_plan(seed) for seed in range(200)]
    assert plans == [random_plan(seed) for seed in range(200)]
    assert {type(fault) for plan in plans for fault in plan.faults} == {Drop, Tear, Duplicate, Delay}
    assert Plan() in plans
    assert all(fault.n < 8 for plan in plans for fault in plan.faults)
    assert all(not isinstance(fault, Tear) for plan in plans for fault in plan.faults[:-1])
    # Seeds stand in bug reports: a change to this line makes all of them useless.
    assert random_plan(3) == Plan((Delay(0, 0.7399103330961585), Tear(2, 132)))
