"""No acknowledged record is lost: exhaustively on one schedule, then on random ones.

A schedule is played on a device whose power is cut at some operation and whose syncs may fail; every state in
which the medium can then be is opened again, and opening is itself cut short and made to fail.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualtap.errors import Code, TapError
from dualtap_devices.flash import CrashFlash, Faults, Keep, PowerCut
from dualtap_devices.slots import ALIGN, SlotStore

Records = tuple[bytes, ...]
Step = tuple[str, Records]

SIZE = 2 * 6 * ALIGN
FORMAT = 4
"""Operations that format a blank device."""
OPEN = 6
"""Operations that open any other device."""
COARSE = (1, 9, 30, 53, 60, 300, 511)
SCRIPT: tuple[Step, ...] = (
    ("append", (b"first",)),
    ("append", (b"second", b"", b"third")),
    ("append", (bytes(range(256)) * 2 + b"over two sectors",)),
    ("compact", (b"third", b"kept" * 150)),
    ("append", (b"fourth",)),
    ("reopen", ()),
    ("append", (b"fifth", b"sixth")),
)


def reopen(flash: CrashFlash) -> SlotStore:
    """Open as often as syncs fail: the page cache survives this, the power does not go."""
    for _ in range(5):
        try:
            return SlotStore.open(flash)
        except TapError as error:
            if error.code is not Code.STORE_FAILED:
                raise
    raise AssertionError("the store does not open")


def play(flash: CrashFlash, steps: tuple[Step, ...]) -> frozenset[Records]:
    """Play steps until they end or the power does; return all that the store may then rightly hold."""
    sure: Records = ()
    maybe = sure
    try:
        store = reopen(flash)
        for kind, records in steps:
            maybe = {"append": sure + records, "compact": records, "reopen": sure}[kind]
            try:
                if kind == "append":
                    store.append(records)
                elif kind == "compact":
                    store.compact(records)
                else:
                    store = reopen(flash)
            except TapError as error:
                if error.code is not Code.STORE_FAILED:
                    raise
                with pytest.raises(TapError, match="STORE_FAILED"):
                    store.append((b"refused",))
                store = reopen(flash)
                assert store.records in (sure, maybe)
                maybe = store.records
            sure = maybe
            assert store.records == sure
    except PowerCut:
        return frozenset((sure, maybe))
    return frozenset((sure,))


def survivals(flash: CrashFlash, tears: tuple[int, ...], garbage: bool = False) -> Iterator[bytes]:
    """Yield each distinct state of the medium: subsets of the unsynced pieces, and one piece torn."""
    pieces = range(len(flash.pieces))
    everything = frozenset(pieces)
    if len(pieces) <= 4:
        wholes = [frozenset[int](some) for size in range(5) for some in itertools.combinations(pieces, size)]
    else:
        wholes = [frozenset[int](), everything, *(everything - {index} for index in pieces)]
    keeps = [Keep(whole) for whole in wholes]
    for torn, others in itertools.product(pieces, (frozenset[int](), everything)):
        for byte in tears:
            if byte < len(flash.pieces[torn].data):
                keeps.append(Keep(others - {torn}, torn, byte))
                if garbage:
                    keeps.append(Keep(others - {torn}, torn, byte, garbage=True))
    yield from dict.fromkeys(flash.crash(keep).medium for keep in keeps)


class Checker:
    """Opens states of the medium, each once, and counts them."""

    def __init__(self) -> None:
        self.seen: set[tuple[bytes, frozenset[Records]]] = set()
        self.deep: set[tuple[bytes, frozenset[Records]]] = set()

    def check(self, image: bytes, allowed: frozenset[Records]) -> None:
        if (image, allowed) in self.seen:
            return
        self.seen.add((image, allowed))
        flash = CrashFlash(SIZE, image=image)
        store = SlotStore.open(flash)
        opened = store.records
        assert opened in allowed
        # What was shown once stays, through a second cut that loses all that it can.
        again = SlotStore.open(flash.crash())
        assert again.records == opened
        store.append((b"probe",))
        assert SlotStore.open(flash.crash()).records == (*opened, b"probe")

    def check_deep(self, image: bytes, allowed: frozenset[Records]) -> None:
        """Check a state, and those that opening it leaves behind when it is cut, or fails and is cut."""
        if (image, allowed) in self.deep:
            return
        self.deep.add((image, allowed))
        self.check(image, allowed)
        for failing in ((), (0,), (1,), (2,)):
            for cut in range(2 * OPEN):
                flash = CrashFlash(SIZE, Faults(cut, failing=frozenset(failing)), image)
                try:
                    reopen(flash)
                except PowerCut:
                    for after in survivals(flash, (60,)):
                        self.check(after, allowed)
                else:
                    break


def total() -> int:
    flash = CrashFlash(SIZE)
    play(flash, SCRIPT)
    return flash.operations


def test_every_cut_at_every_byte() -> None:
    """§12-4."""
    checker = Checker()
    for cut in range(total() + 1):
        flash = CrashFlash(SIZE, Faults(cut))
        allowed = play(flash, SCRIPT)
        for image in survivals(flash, tuple(range(1, ALIGN)), garbage=cut > FORMAT):
            checker.check(image, allowed)
    assert len(checker.seen) > 3000


def test_a_cut_in_the_middle_of_a_write() -> None:
    for cut, byte in itertools.product(range(total()), (1, 53, 511, 512, 600)):
        flash = CrashFlash(SIZE, Faults(cut, byte))
        allowed = play(flash, SCRIPT)
        for keep in (Keep(), Keep(frozenset(range(len(flash.pieces))))):
            assert SlotStore.open(flash.crash(keep)).records in allowed


def test_two_cuts_and_a_failing_sync_between() -> None:
    checker = Checker()
    for cut in range(total() + 1):
        flash = CrashFlash(SIZE, Faults(cut))
        allowed = play(flash, SCRIPT)
        for image in survivals(flash, COARSE):
            checker.check_deep(image, allowed)
    assert len(checker.seen) > 900


@pytest.mark.parametrize("width", [1, 2, 3])
def test_failing_syncs_then_two_cuts(width: int) -> None:
    """Let ``width`` syncs in a row fail: an append, then the move meant to save it, then the reopening. §12-11."""
    checker = Checker()
    for first in range(total() // 2):
        failing = frozenset(range(first, first + width))
        for cut in range(total() + 4 * OPEN):
            flash = CrashFlash(SIZE, Faults(cut, failing=failing))
            allowed = play(flash, SCRIPT)
            # Tears and cuts of the recovery only where the failures still matter, to be quick.
            near = 0 < flash.syncs - first <= width + 3
            for image in survivals(flash, COARSE if near else ()):
                checker.check(image, allowed)
            if near:
                for image in survivals(flash, (60,)):
                    checker.check_deep(image, allowed)
            if flash.operations <= cut:
                break
    assert len(checker.seen) > 300


RECORD = st.binary(max_size=40) | st.integers(400, 600).map(lambda size: b"\x45" * size)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "append", "compact", "reopen"]),
        st.lists(RECORD, min_size=1, max_size=3).map(tuple),
    ),
    max_size=8,
).map(tuple)


def fitting(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Drop the steps for which a store of this size would have no room."""
    held: Records = ()
    used = ALIGN
    kept: list[Step] = []
    for kind, records in steps:
        size = SlotStore.open(CrashFlash(SIZE)).cost(records)
        if kind == "append" and used + size <= SIZE // 2 - ALIGN:
            held, used = held + records, used + size
        elif kind == "compact" and size <= SIZE // 2 - ALIGN:
            held, used = records, size
        elif kind != "reopen":
            continue
        kept.append((kind, records))
    return tuple(kept)


@settings(max_examples=150, deadline=None, database=None)
@given(
    steps=STEPS,
    cuts=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    failing=st.frozensets(st.integers(0, 24), max_size=4),
    data=st.data(),
)
def test_random_schedules(
    steps: tuple[Step, ...], cuts: list[int], failing: frozenset[int], data: st.DataObject
) -> None:
    flash = CrashFlash(SIZE, Faults(cuts[0], failing=failing))
    allowed = play(flash, fitting(steps))
    for cut in cuts[1:]:
        image = data.draw(st.sampled_from(list(survivals(flash, COARSE))))
        flash = CrashFlash(SIZE, Faults(cut % (2 * OPEN), failing=failing), image)
        try:
            allowed = frozenset((reopen(flash).records,)) & allowed
        except PowerCut:
            continue
        assert allowed
    checker = Checker()
    for image in survivals(flash, COARSE):
        checker.check(image, allowed)
