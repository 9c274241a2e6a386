"""The promises' state machine, whose taps are carried by nfcpy's UDP device, and by a PC/SC reader of pcscd.

Over Bluetooth it is in ``test_ble_processes.py``. Frames that a story loses are lost before they reach the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from dualtap_transports import nfc, pcsc, vpcd
from dualtap_transports.contract import Ends
from dualtap_transports.link import Listener, Scheme
from tests.property.test_promises import Life
from tests.support.pcscd import Pcscd

PATIENCE = 30.0
LANES = 2
"""Taps at the same time, at most."""


class Carried(Life):
    """The town, whose taps go through lanes: each a reader, and a card that waits for it."""

    taps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._lanes = cycle(self.open_lanes(self._stack))
        self.town.join_ends = self._join

    def open_lanes(self, stack: ExitStack) -> list[Callable[[], Ends]]:
        """Return what opens the links of taps, in turn."""
        raise NotImplementedError

    def _join(self) -> Ends:
        type(self).taps += 1
        near, far = next(self._lanes)()
        for end in (near, far):
            self._stack.callback(end.close)
        return near, far

    def teardown(self) -> None:
        super().teardown()
        self._stack.close()


def lane(reader: Scheme, where: str, listener: Listener) -> Callable[[], Ends]:
    """Return what opens a link: the card is read anew."""

    def join() -> Ends:
        near = reader.connect(where or listener.address, PATIENCE)
        return near, listener.accept(PATIENCE)

    return join


def live(kind: type[Carried], examples: int, steps: int) -> None:
    """Live so many lives, the same in every run."""
    kind.taps = 0
    few = settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=examples,
        stateful_step_count=steps,
        print_blob=False,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
    )
    run_state_machine_as_test(kind, settings=few)
    assert kind.taps > 50


def test_the_promises_hold_over_nfc() -> None:
    """§1-1, §1-2, §1-3, §1-4, §1-7, over SPEC §18: every frame of every tap goes through nfcpy, as ISO-DEP."""

    class Fields(Carried):
        def open_lanes(self, stack: ExitStack) -> list[Callable[[], Ends]]:
            listeners = [nfc.SCHEME.listen("udp:127.0.0.1:0") for _ in range(LANES)]
            for listener in listeners:
                stack.callback(listener.close)
            return [lane(nfc.SCHEME, "", listener) for listener in listeners]

    live(Fields, 8, 30)


def test_the_promises_hold_in_a_reader(pcscd: Pcscd) -> None:
    """§1-1, §1-2, §1-3, §1-4, §1-7, over SPEC §18: every frame of every tap goes through PC/SC, pcscd and vpcd."""
    with ExitStack() as cards:
        listeners = [vpcd.SCHEME.listen(address) for address in pcscd.addresses]
        for listener in listeners:
            cards.callback(listener.close)
        lanes = [lane(pcsc.SCHEME, *each) for each in zip(pcscd.readers, listeners, strict=True)]

        class Readers(Carried):
            def open_lanes(self, stack: ExitStack) -> list[Callable[[], Ends]]:
                del stack
                return lanes

        live(Readers, 8, 30)
