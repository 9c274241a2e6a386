"""Runs simulated worlds: lives of a hundred acts, one after the other, until so many taps are done.

A life is safety first, with faults; then everything heals, and liveness is checked.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from dualtap.errors import Code, TapError
from dualtap.suite import SUITES, Suite
from dualtap_devices.small import parsed_text
from dualtap_testing.acts import FAULTS, happen
from dualtap_testing.checkers import PromiseBroken, Tally
from dualtap_testing.ending import heal, settle_all, wait
from dualtap_testing.remembered import remembering
from dualtap_testing.shrink import shrink
from dualtap_testing.stub import STUB
from dualtap_testing.temper import temper_of
from dualtap_testing.watching import digest_of
from dualtap_testing.world import GRACE, SPEND, World

ACTS = 120
"""Acts in one life."""
CHECK = 6
"""Of so many acts, after one every store is looked at."""
TORN_SHARE = 4
"""Of so many seeds, one has its devices on flash that power cuts tear in the middle of a write."""
SIMULATED: dict[str, Suite] = {**{name: remembering(suite) for name, suite in SUITES.items()}, STUB.name: STUB}
VERSION = 1
"""Of scenario files."""


@dataclass(frozen=True)
class Options:
    """What a simulation is: equal options, equal digest."""

    seed: int
    taps: int = 1_000
    suite: str = "stub"
    faults: tuple[str, ...] = FAULTS


@dataclass(frozen=True)
class Scenario:
    """One life, as it is saved and replayed: its seed, the acts that happen in it, and how it failed."""

    seed: int
    life: int
    suite: str
    faults: tuple[str, ...]
    acts: tuple[int, ...]
    what: str = ""

    @property
    def torn(self) -> bool:
        """Whether its devices are on flash that power cuts tear."""
        return self.seed % TORN_SHARE == 0 and "power" in self.faults

    def save(self, path: Path, commit: str) -> None:
        """Write it to a file."""
        path.write_text(json.dumps({"dualtap scenario": VERSION, "commit": commit, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Scenario:
        """Return the scenario in a file; raise ``BAD_INPUT`` for a file that holds none."""
        try:
            found = cast("dict[str, Any]", parsed_text(path.read_text()))
            if found["dualtap scenario"] != VERSION or found["suite"] not in SIMULATED:
                raise TapError(Code.BAD_INPUT, f"{path}: a scenario of another version")
            acts, faults = tuple(map(int, found["acts"])), tuple(map(str, found["faults"]))
            return cls(int(found["seed"]), int(found["life"]), found["suite"], faults, acts, str(found["what"]))
        except (ValueError, KeyError, TypeError) as error:
            raise TapError(Code.BAD_INPUT, f"{path}: no scenario that `simulate` saved") from error


@dataclass
class Found:
    """What a simulation found; ``failure`` is the first life in which a checker failed, or the code did."""

    taps: int = 0
    faults: int = 0
    lives: int = 0
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    digest: str = ""
    failure: Scenario | None = None

    def fields(self) -> dict[str, object]:
        """Return the figures, as ``--json`` prints them."""
        rate = round(self.taps / self.seconds, 1) if self.seconds else 0.0
        return {
            "taps": self.taps, "taps_per_s": rate, "faults": self.faults, **asdict(self.tally),
            "lives": self.lives, "digest": self.digest,
        }  # fmt: skip

    def add(self, world: World, what: str) -> None:
        """Count one life."""
        self.taps, self.faults, self.lives = self.taps + world.taps, self.faults + world.faults, self.lives + 1
        tally, more = self.tally, world.checkers.tally
        tally.value_created += more.value_created
        tally.value_lost += more.value_lost
        tally.framed += more.framed
        tally.missed += more.missed
        tally.unhealed += more.unhealed
        if what.startswith("promise 4") and not more.unhealed:
            tally.unhealed += 1


Told = Callable[[int, str], None]
"""Hears each act's number and name as it begins."""


def silent(number: int, name: str) -> None:
    """Hear nothing."""
    del number, name


def live(scenario: Scenario, every: int = CHECK, told: Told = silent) -> tuple[World, str]:
    """Live one life; return its world, and what failed in it, if anything did."""
    seed = f"{scenario.seed}/{scenario.life}"
    world = World(SIMULATED[scenario.suite], seed, temper=temper_of(seed), torn=scenario.torn)
    try:
        _play(world, scenario, every, told)
    except PromiseBroken as error:
        return world, str(error)
    except (TapError, AssertionError, LookupError, ValueError, TypeError, AttributeError) as error:
        return world, f"the code failed: {type(error).__name__} {error}"
    return world, ""


def _play(world: World, scenario: Scenario, every: int, told: Told) -> None:
    faults = frozenset(scenario.faults)
    for count, number in enumerate(scenario.acts):
        told(number, happen(world, number, faults))
        if count % every == 0:
            world.watch.check()
    world.watch.check()
    world.begin("the end")
    told(-1, "heal")
    wait(world)
    heal(world)
    settle_all(world)
    world.guild.audit(world, SPEND + GRACE + 2)
    world.faults += world.network.faults


def simulate(options: Options, every: int = CHECK) -> Found:
    """Live lives until ``options.taps`` taps are done, or one fails."""
    found, digest, began = Found(), hashlib.sha256(), time.perf_counter()
    while found.taps < options.taps and found.failure is None:
        scenario = Scenario(options.seed, found.lives, options.suite, options.faults, tuple(range(ACTS)))
        world, what = live(scenario, every)
        found.add(world, what)
        if what:
            found.failure = replace(scenario, what=what)
        digest.update(digest_of(world))
    found.seconds = time.perf_counter() - began
    found.digest = digest.hexdigest()
    return found


def shortened(scenario: Scenario, tries: int = 300) -> Scenario:
    """Return the fewest acts of a failing life that fail in the same way; itself, if it does not fail when looked at.

    In the same way: the same promise, or the same error of the code.
    """

    def failure(acts: Sequence[int]) -> str:
        return live(replace(scenario, acts=tuple(acts)), every=1)[1]

    wanted = _kind(failure(scenario.acts))
    if not wanted:
        return scenario
    acts = shrink(scenario.acts, lambda some: _kind(failure(some)) == wanted, tries)
    return replace(scenario, acts=tuple(acts), what=failure(acts))


def _kind(what: str) -> str:
    """Return what two failures have in common."""
    return " ".join(what.split()[:4]) if what.startswith("the code") else what[:9]
