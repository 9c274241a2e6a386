"""Runs simulated worlds: lives of a hundred acts, one after the other, until so many taps are done.

A life is safety first, with faults; then everything heals, and liveness is checked.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from dualtap.errors import TapError
from dualtap.suite import SUITES, Suite
from dualtap_testing.acts import FAULTS, happen
from dualtap_testing.checkers import PromiseBroken, Tally
from dualtap_testing.stub import STUB
from dualtap_testing.world import World

ACTS = 120
"""Acts in one life."""
CHECK = 6
"""Of so many acts, after one every store is looked at."""
SIMULATED: dict[str, Suite] = {**SUITES, STUB.name: STUB}


@dataclass(frozen=True)
class Options:
    """What a simulation is: equal options, equal digest."""

    seed: int
    taps: int = 1_000
    suite: str = "stub"
    faults: tuple[str, ...] = FAULTS


@dataclass
class Failure:
    """A life in which a checker failed, or the code did."""

    seed: int
    life: int
    acts: list[int]
    what: str
    promise: int = 0


@dataclass
class Found:
    """What a simulation found."""

    taps: int = 0
    faults: int = 0
    lives: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    digest: str = ""
    failure: Failure | None = None

    def fields(self) -> dict[str, object]:
        """Return the figures, as ``--json`` prints them."""
        rate = round(self.taps / self.seconds, 1) if self.seconds else 0.0
        return {
            "taps": self.taps, "taps_per_s": rate, "faults": self.faults, **asdict(self.tally),
            "lives": self.lives, "digest": self.digest,
        }  # fmt: skip


def live(options: Options, life: int, acts: Sequence[int] | None = None, every: int = CHECK) -> World:
    """Live one life; raise what a checker raises. ``acts`` are those that happen, by default all."""
    world = World(SIMULATED[options.suite], f"{options.seed}/{life}")
    play(world, range(ACTS) if acts is None else acts, frozenset(options.faults), every)
    return world


def play(world: World, acts: Sequence[int], faults: frozenset[str], every: int = CHECK) -> None:
    """Let these acts happen to a world, then let it heal."""
    for count, number in enumerate(acts):
        happen(world, number, faults)
        if count % every == 0:
            world.check()
    world.check()
    world.begin("the end")
    world.heal()
    world.settle_all()
    world.faults += world.network.faults


def simulate(options: Options, every: int = CHECK) -> Found:
    """Live lives until ``options.taps`` taps are done, or a checker fails."""
    found, digest, began = Found(), hashlib.sha256(), time.perf_counter()
    while found.taps < options.taps and found.failure is None:
        world = World(SIMULATED[options.suite], f"{options.seed}/{found.lives}")
        try:
            play(world, range(ACTS), frozenset(options.faults), every)
        except PromiseBroken as error:
            found.failure = Failure(options.seed, found.lives, list(range(ACTS)), str(error), error.promise)
        except (TapError, AssertionError, LookupError, ValueError, TypeError) as error:
            what = f"the code failed: {type(error).__name__} {error}"
            found.failure = Failure(options.seed, found.lives, list(range(ACTS)), what)
        digest.update(world.digest())
        found.taps, found.faults, found.lives = found.taps + world.taps, found.faults + world.faults, found.lives + 1
        _add(found.tally, world.checkers.tally)
    found.seconds = time.perf_counter() - began
    found.digest = digest.hexdigest()
    return found


def _add(tally: Tally, more: Tally) -> None:
    tally.value_created += more.value_created
    tally.value_lost += more.value_lost
    tally.framed += more.framed
    tally.missed += more.missed
    tally.unhealed += more.unhealed
