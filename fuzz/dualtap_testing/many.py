"""Many seeds at once, in as many processes as there are to spare."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from dualtap_testing.simulate import Found, Options, simulate

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Return how many processes this machine runs at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_OBJECTS = 200_000
"""What a process makes between two looks for rings of garbage: some lives, of which few objects are in rings."""


def steady() -> None:
    """Let this process, which does nothing but simulate, look for garbage seldom, and never among what is loaded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS)


def spread(act: Callable[[T], R], items: Iterable[T], jobs: int) -> Iterator[R]:
    """Yield what ``act`` gives for each item, in order; with more than one job, in new processes."""
    if jobs == 1:
        yield from map(act, items)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=steady) as pool:
        yield from pool.map(act, items)


def simulate_many(seeds: Iterable[int], taps: int, suite: str, faults: tuple[str, ...], jobs: int) -> Iterator[Found]:
    """Yield what each seed found, in order."""
    return spread(simulate, [Options(seed, taps, suite, faults) for seed in seeds], jobs)
