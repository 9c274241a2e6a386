"""The promises' state machine, whose taps are carried by a stack of a radio."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle

from dualtap_transports.contract import Ends
from dualtap_transports.link import Listener, Scheme
from tests.property.test_promises import Life, live

PATIENCE = 30.0
LANES = 2
"""Taps at the same time, at most."""
Lane = Callable[[], Ends]
"""Opens the link of a tap: a reader, and a card that waits for it."""


def lane(reader: Scheme, where: str, listener: Listener) -> Lane:
    """Return what opens a link: the card is read anew."""

    def join() -> Ends:
        near = reader.connect(where or listener.address, PATIENCE)
        return near, listener.accept(PATIENCE)

    return join


def live_over(open_lanes: Callable[[ExitStack], list[Lane]]) -> None:
    """Live a few lives, the same in every run, whose taps go through lanes, in turn, opened for each life."""
    taps = 0

    class Carried(Life):
        def __init__(self) -> None:
            super().__init__()
            self._stack = ExitStack()
            self._lanes = cycle(open_lanes(self._stack))
            self.town.join_ends = self._join

        def _join(self) -> Ends:
            nonlocal taps
            taps += 1
            near, far = next(self._lanes)()
            for end in (near, far):
                self._stack.callback(end.close)
            return near, far

        def teardown(self) -> None:
            super().teardown()
            self._stack.close()

    live(Carried, 8, 30)
    assert taps > 50
