"""What every transport owes its users, as checks that anybody's tests can run.

``CONTRACT`` maps each duty's name to its check, which is given a function that opens a new pair of joined links and
raises :class:`AssertionError` where the duty is not kept. With pytest::

    @pytest.mark.parametrize("duty", CONTRACT)
    def test_contract(duty):
        with ExitStack() as stack:
            CONTRACT[duty](opener(my_open, stack))

``docs/writing-a-transport.md`` has the whole example.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeAlias

from dualtap import limits
from dualtap.errors import Code, TapError

from .link import Link

Ends: TypeAlias = tuple[Link, Link]
"""Two joined links, open."""
Join: TypeAlias = Callable[[], Ends]
"""Opens a new pair; links that it opened before stay as they are."""

PATIENCE = 30.0
"""Seconds to wait for what must come. Only a broken transport waits so long."""
_SIZES = (1, 2, 255, 256, 16 * 1024)
_AT_ONCE = (0, 0.001, -1)
_MANY = 100


def opener(join: Join, stack: ExitStack) -> Join:
    """Return ``join``, its links closed when ``stack`` is left."""

    def opened() -> Ends:
        ends = join()
        for end in ends:
            stack.callback(end.close)
        return ends

    return opened


def refusal(call: Callable[[], object]) -> Code | int:
    """Return the code of the error that ``call`` raises; raise :class:`AssertionError` if it raises none."""
    try:
        result = call()
    except TapError as error:
        return error.code
    raise AssertionError(f"not refused; it returned {result!r}")


def _same(found: object, wanted: object) -> None:
    # Not an assert: those are gone under python -O.
    if found != wanted:
        raise AssertionError(f"{_short(found)} where {_short(wanted)} was due")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def frames_arrive_in_order_in_both_directions(join: Join) -> None:
    """What was sent first arrives first, whatever the other direction does."""
    left, right = join()
    for i in range(20):
        left.send(b"there %d" % i)
        right.send(b"back %d" % i)
    _same([right.receive(PATIENCE) for _ in range(20)], [b"there %d" % i for i in range(20)])
    _same([left.receive(PATIENCE) for _ in range(20)], [b"back %d" % i for i in range(20)])


def every_size_up_to_max_frame_passes_and_no_other(join: Join) -> None:
    """From one byte to ``max_frame``; a longer frame is ``TOO_LARGE``."""
    left, right = join()
    for size in _SIZES:
        frame = bytes(i * 7 % 251 for i in range(size))
        if size > left.max_frame:
            _same(refusal(lambda: left.send(frame)), Code.TOO_LARGE)  # noqa: B023 - called at once
            frame = frame[: left.max_frame]
        left.send(frame)
        right.send(frame)
        _same(right.receive(PATIENCE), frame)
        _same(left.receive(PATIENCE), frame)


def what_no_frame_may_be_is_refused_before_sending(join: Join) -> None:
    """An empty or too long frame is refused, and the link lives on."""
    left, right = join()
    if not 1 <= left.max_frame <= limits.MESSAGE:
        raise AssertionError(f"max_frame is {left.max_frame}, not 1 to {limits.MESSAGE}")
    _same(refusal(lambda: left.send(b"x" * (left.max_frame + 1))), Code.TOO_LARGE)
    _same(refusal(lambda: left.send(b"")), Code.MALFORMED)
    left.send(b"next")
    _same(right.receive(PATIENCE), b"next")


def a_long_exchange_passes_both_ways_at_once(join: Join) -> None:
    """A hundred of the longest frames each way, two threads at each end."""
    ends = join()
    frames = [bytes([i]) * ends[0].max_frame for i in range(_MANY)]

    def send_all(link: Link) -> None:
        for frame in frames:
            link.send(frame)

    def receive_all(link: Link) -> list[bytes]:
        return [link.receive(PATIENCE) for _ in frames]

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(send_all, end) for end in ends]
        got = [pool.submit(receive_all, end) for end in ends]
        for job in jobs:
            job.result()
        for found in got:
            _same(found.result(), frames)


def a_timeout_loses_nothing(join: Join) -> None:
    """After ``TIMEOUT``, also of no time at all, a later call gets the frame."""
    left, right = join()
    for timeout in _AT_ONCE:
        _same(refusal(lambda: right.receive(timeout)), Code.TIMEOUT)  # noqa: B023 - called at once
        left.send(b"after the timeout")
        _same(right.receive(PATIENCE), b"after the timeout")
        _same(refusal(lambda: right.receive(timeout)), Code.TIMEOUT)  # noqa: B023 - called at once
        right.send(b"the other way")
        _same(left.receive(PATIENCE), b"the other way")


def frames_received_together_need_no_waiting(join: Join) -> None:
    """Frames that came together are all there, and then the peer's close is."""
    left, right = join()
    for frame in (b"one", b"two"):
        left.send(frame)
    left.close()
    _same(right.receive(PATIENCE), b"one")
    _same(right.receive(None), b"two")
    _same(refusal(lambda: right.receive(None)), Code.LINK_LOST)


def a_peers_close_delivers_what_was_sent_then_is_a_lost_link(join: Join) -> None:
    """A close loses nothing that was sent before it, even if the closing side left frames unread."""
    left, right = join()
    right.send(b"never read")
    for i in range(5):
        left.send(b"sent %d" % i)
    left.close()
    _same([right.receive(PATIENCE) for _ in range(5)], [b"sent %d" % i for i in range(5)])
    for _ in range(2):
        _same(refusal(lambda: right.receive(PATIENCE)), Code.LINK_LOST)
    _same(refusal(lambda: right.receive(0)), Code.LINK_LOST)


def after_its_own_close_an_end_only_says_so(join: Join) -> None:
    """After its own close a link gives nothing more, not even what had arrived; to close again does nothing."""
    left, right = join()
    right.send(b"waits unread")
    for _ in range(2):
        left.close()
        _same(refusal(lambda: left.receive(0)), Code.LINK_LOST)
        _same(refusal(lambda: left.receive(None)), Code.LINK_LOST)
        _same(refusal(lambda: left.send(b"x")), Code.LINK_LOST)
        # A lost link is named before what is wrong with the frame, as the table of errors ranks them.
        _same(refusal(lambda: left.send(b"")), Code.LINK_LOST)


def sending_to_a_closed_peer_fails_in_the_end_and_only_as_a_lost_link(join: Join) -> None:
    """A peer that has gone is noticed by who goes on sending."""
    left, right = join()
    left.close()
    _same(refusal(lambda: right.receive(PATIENCE)), Code.LINK_LOST)

    def send_on() -> None:
        while True:
            right.send(b"x" * right.max_frame)

    _same(refusal(send_on), Code.LINK_LOST)


def a_close_wakes_a_thread_that_receives(join: Join) -> None:
    """A receive without end ends when another thread closes the link."""
    left, _ = join()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refusal, lambda: left.receive(None))
        left.close()
        _same(waiting.result(PATIENCE), Code.LINK_LOST)


def two_links_at_once_are_independent(join: Join) -> None:
    """Frames and closes of one link are not another's."""
    (left, right), (other_left, other_right) = join(), join()
    left.send(b"first link")
    other_left.send(b"second link")
    _same(other_right.receive(PATIENCE), b"second link")
    _same(right.receive(PATIENCE), b"first link")
    left.close()
    other_right.send(b"still here")
    _same(other_left.receive(PATIENCE), b"still here")
    _same(refusal(lambda: right.receive(PATIENCE)), Code.LINK_LOST)


CONTRACT: dict[str, Callable[[Join], None]] = {
    duty.__name__: duty
    for duty in (
        frames_arrive_in_order_in_both_directions,
        every_size_up_to_max_frame_passes_and_no_other,
        what_no_frame_may_be_is_refused_before_sending,
        a_long_exchange_passes_both_ways_at_once,
        a_timeout_loses_nothing,
        frames_received_together_need_no_waiting,
        a_peers_close_delivers_what_was_sent_then_is_a_lost_link,
        after_its_own_close_an_end_only_says_so,
        sending_to_a_closed_peer_fails_in_the_end_and_only_as_a_lost_link,
        a_close_wakes_a_thread_that_receives,
        two_links_at_once_are_independent,
    )
}
