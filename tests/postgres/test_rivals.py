"""Two processes write to one ledger at the same time, stopped and let go at every dangerous instant.

Everything that follows from the whole set is found exactly once, whichever of them wrote its part first, and nobody
waits for ever. Without "commit, then look" the same test fails.
"""

from __future__ import annotations

import json
import random
import select
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from dualtap.errors import TapError
from dualtap_issuer import rowcheck
from dualtap_issuer.facts import Facts
from dualtap_issuer.rules import World
from dualtap_issuer.store import Store
from tests.property.test_settlement import AUTHORITY, INSTITUTION, Played, check_names, play, world_of
from tests.support.postgres import Postgres
from tests.support.renewing_rival import Errand
from tests.support.rival import Job

ROOT = Path(__file__).parents[2]
WORLDS = 60


class Rival:
    """The other end of a rival process."""

    def __init__(self, name: str, postgres: Postgres, module: str = "tests.support.rival") -> None:
        self.name = name
        self.postgres = postgres
        self.stopped = self.ended = False
        self.blocked = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", module], cwd=ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout

    def begin(self, job: Job | Errand) -> None:
        self.ended = False
        self._say(json.dumps((f"{job.url}&application_name={self.name}", *job[1:])))

    def go(self) -> None:
        self._say("go")

    def _say(self, line: str) -> None:
        self._in.write(line + "\n")
        self.stopped = False
        self.hear()

    def hear(self) -> None:
        """Wait until this rival stops, ends, or waits for a row or a lock of the other."""
        while not self.stopped and not self.ended:
            ready, _, _ = select.select([self._out], [], [], 0.02)
            if not ready:
                if self.postgres.waits(self.name):
                    self.blocked += 1
                    return
                continue
            word = self._out.readline().strip()
            assert word in {"stop", "done"}, word
            self.stopped, self.ended = word == "stop", word == "done"

    def close(self) -> None:
        self._in.close()
        self._out.close()
        self._process.wait()


@pytest.fixture(scope="module")
def rivals(postgres: Postgres) -> Generator[tuple[Rival, Rival]]:
    pair = (Rival("one", postgres), Rival("other", postgres))
    yield pair
    for rival in pair:
        rival.close()


Share = list[tuple[int, list[int]]]
"""What one process tells: the numbers of items, in batches under one epoch each."""


def shares(played: Played, draw: random.Random) -> tuple[Share, Share]:
    """Deal a world out to two processes, in some worlds a part of it to both."""
    common = draw.choice([0.0, 0.0, 0.0, 0.1])  # who tells what the other has just told waits until that is shown
    size = draw.choice([4, 100, 100])
    dealt: tuple[Share, Share] = ([], [])
    tellers = [2 if draw.random() < common else draw.randrange(2) for _ in played.items]
    for process in (0, 1):
        mine = [number for number, teller in enumerate(tellers) if teller in {process, 2}]
        draw.shuffle(mine)
        for place in range(0, len(mine), size):
            dealt[process].append((draw.choice([1, 1, 4]), mine[place : place + size]))
    return dealt


def race(rivals: tuple[Rival, Rival], jobs: Sequence[Job | Errand], draw: random.Random) -> None:
    """Run two jobs at once, one step of one at a time, in any order; in most worlds the slower goes first."""
    steps, fair = {rival.name: 0 for rival in rivals}, draw.random() < 0.7
    for rival, job in zip(rivals, jobs, strict=True):
        rival.begin(job)
    while not all(rival.ended for rival in rivals):
        ready = [rival for rival in rivals if rival.stopped]
        if ready:
            slowest = min(steps[rival.name] for rival in ready)
            chosen = draw.choice([rival for rival in ready if not fair or steps[rival.name] == slowest])
            steps[chosen.name] += 1
            chosen.go()
        for rival in rivals:
            rival.hear()


def told(where: str, rivals: tuple[Rival, Rival], seed: int, *, blind: bool) -> None:
    """Tell a world through two processes, and compare the ledger with the whole set."""
    played, draw = play(seed), random.Random(seed)
    dealt = shares(played, draw)
    played.items = [(played.items[number][0], epoch) for share in dealt for epoch, part in share for number in part]
    expected = world_of(played)
    jobs = [Job(where, seed, batches, blind) for batches in dealt]
    race(rivals, jobs, draw)
    with closing(Store.open(where)) as store:
        facts = Facts(AUTHORITY.scheme)
        for fact, epoch in store.facts():
            facts.put(fact, epoch)
        assert facts.digest() == expected.facts.digest()
        rowcheck.check_rows(World(facts, frozenset({INSTITUTION.public}), AUTHORITY.trust()), store)
        check_names(store, expected)
        assert store.unfinished() == []


@pytest.mark.timeout(400)
def test_two_processes_find_everything_once_and_never_wait_for_ever(
    postgres: Postgres, rivals: tuple[Rival, Rival]
) -> None:
    """§1-5, §16-3, §16-13."""
    for seed in range(WORLDS):
        told(postgres.place(), rivals, seed, blind=False)
    assert sum(rival.blocked for rival in rivals) > 0, "they never met"


def test_who_looks_before_others_can_see_misses_conflicts(postgres: Postgres, rivals: tuple[Rival, Rival]) -> None:
    """The test above is worth something: without the scheme, it fails."""
    missed = 0
    for seed in range(20):
        try:
            told(postgres.place(), rivals, seed, blind=True)
        except (AssertionError, TapError):
            missed += 1
    assert missed > 0
