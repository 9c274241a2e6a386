"""Cut the ledger's power everywhere: ``python fuzz/crash/run.py [--states N]``.

A story is recorded once. Then, for every place in the disk's log, states are built in which what was not synced is
kept, lost or torn; production opens each, and what it then holds must be what was acknowledged, or that and the one
change that was being made. ``synchronous = NORMAL`` is the control: it loses what it acknowledged, and must be caught.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from crash.disk import Acknowledged, Begun, Disk, Image, Operation
from crash.recorder import recording
from crash.story import FILE, Story, open_ledger, tell
from dualtap.errors import Code, TapError
from dualtap_issuer.sqlite import SqliteStore

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
"""Where files cost no disk."""
FULL, NORMAL = "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"
LONG, SHORT = "PRAGMA wal_autocheckpoint = 20000", "PRAGMA wal_autocheckpoint = 24"
FLAVOURS: dict[str, dict[str, str]] = {
    "production": {},
    "checkpoints": {LONG: SHORT},
    "normal": {FULL: NORMAL},
}
"""What is recorded: production's pragmas, those with a checkpoint every few commits, and the control."""


class Recorded(NamedTuple):
    """The disk's log; the ledger's digest, and how many uploads it had taken, after each acknowledged change."""

    log: list[Operation]
    digests: list[str]
    taken: list[int]
    uploads: list[tuple[bytes, int]]


class Found(NamedTuple):
    """What came of some states: how many, how many different ledgers came back, and what was wrong."""

    states: int
    ledgers: int
    wrong: list[str]


def record(flavour: str, folder: Path) -> Recorded:
    """Play the story over a recorder."""
    recorded = Recorded([], [], [], [])

    def begin() -> None:
        recorded.log.append(Begun(len(recorded.digests)))

    def done(story: Story) -> None:
        recorded.digests.append(story.ledger.digest().hex())
        recorded.taken.append(len(story.uploads))
        recorded.log.append(Acknowledged(len(recorded.digests)))

    with recording(recorded.log.append, f"recorder {flavour}", FLAVOURS[flavour]):
        story = Story(folder, begin, done)
        for _ in tell(story):
            pass
        story.ledger.store.close()
    recorded.uploads.extend(story.uploads)
    return recorded


def rows(path: Path) -> str:
    """Return a digest of every row of a ledger's file, and check the file itself."""
    database = sqlite3.connect(path)
    try:
        verdict = database.execute("PRAGMA integrity_check").fetchall()
        assert verdict == [("ok",)], verdict[:3]
        digest = hashlib.sha256()
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        for (table,) in tables:
            found = sorted(map(repr, database.execute(f"SELECT * FROM {table}")))
            digest.update(repr((table, found)).encode())
        return digest.hexdigest()
    finally:
        database.close()


class Checker:
    """Opens states of one recording, in a folder of its own."""

    def __init__(self, recorded: Recorded, folder: Path) -> None:
        self._recorded, self._folder = recorded, folder
        self._known: dict[str, str] = {}
        self.states = 0

    @property
    def ledgers(self) -> int:
        """How many different ledgers came back."""
        return len(self._known)

    def content(self, image: Image, done: int) -> str:
        """Return what production finds in a state: a digest of all rows. Raises what production raises.

        ``done`` changes were acknowledged. A ledger that was not seen before is audited, and told again what it took.
        """
        self.states += 1
        path = self._written(image)
        SqliteStore(path, create=not done).close()
        found = rows(path)
        if done and found not in self._known:
            self._known[found] = self._examined(path, done)
        return found

    def digest(self, content: str) -> str:
        """Return the ledger's digest of its statements, by its content."""
        return self._known[content]

    def _written(self, image: Image) -> Path:
        for old in self._folder.iterdir():
            old.unlink()
        for name, data in image.items():
            (self._folder / name).write_bytes(data)
        return self._folder / FILE

    def _examined(self, path: Path, done: int) -> str:
        ledger = open_ledger(path, create=False)
        try:
            ledger.audit()
            digest = ledger.digest().hex()
            for upload, epoch in self._recorded.uploads[: self._recorded.taken[done - 1]]:
                try:
                    ledger.sync(upload, epoch)
                except TapError as error:
                    assert error.code in {Code.REPLAYED_REQUEST, Code.BAD_INPUT}, error
                else:
                    raise AssertionError("an acknowledged sync is taken a second time")
            assert ledger.digest().hex() == digest
            return digest
        finally:
            ledger.store.close()


def cut(recorded: Recorded, first: int, last: int, torn: int, seed: int) -> Found:
    """Cut the power at each place of a part of the log, which begins where a change was just acknowledged."""
    rng, disk = random.Random(f"{seed} {first}"), Disk()  # noqa: S311 - repeated on purpose
    for operation in recorded.log[:first]:
        disk.take(operation)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        checker = Checker(recorded, Path(name))
        allowed, done = set[str](), 0
        for place in range(first, last):
            operation = recorded.log[place]
            disk.take(operation)
            lost, *others = list(disk.states(rng, torn if disk.waits else 0))
            whole = others[0] if others else lost
            try:
                if isinstance(operation, Acknowledged):
                    done = operation.done
                    allowed = {checker.content(whole, done)}
                    assert checker.digest(*allowed) == recorded.digests[done - 1], "another set of statements"
                else:
                    allowed.add(checker.content(whole, done))
                for image in (lost, *others[1:]) if others else ():
                    if done:
                        assert checker.content(image, done) in allowed, "an acknowledged change is lost, or half there"
                    else:
                        checker.content(image, done)
            except (AssertionError, TapError, sqlite3.Error) as error:
                wrong.append(f"place {place} of the log, after {done} changes: {error}")
        return Found(checker.states, checker.ledgers, wrong)


def parts(recorded: Recorded, count: int) -> list[tuple[int, int]]:
    """Return parts of the log, about as long as each other; each but the first begins with an acknowledgement."""
    log, found, begun = recorded.log, list[tuple[int, int]](), 0
    for place, operation in enumerate(log):
        if isinstance(operation, Acknowledged) and place - begun > len(log) / count:
            found.append((begun, place))
            begun = place
    return [*found, (begun, len(log))]


def mixtures(recorded: Recorded, states: int) -> int:
    """Return how many mixtures of what waits to try at each place, for so many states in all."""
    disk, waiting = Disk(), 0
    for operation in recorded.log:
        disk.take(operation)
        waiting += disk.waits
    return max(1, math.ceil((states - len(recorded.log)) / max(1, waiting)) - 1)


def campaign(states: int, seed: int, jobs: int) -> int:
    """Cut the power in every flavour; return 1 if anything was wrong, or if the control was not caught."""
    failed, total, began = False, 0, time.monotonic()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name, ProcessPoolExecutor(jobs) as pool:
        for flavour in FLAVOURS:
            folder = Path(name, flavour)
            folder.mkdir()
            recorded = record(flavour, folder)
            control = flavour == "normal"
            torn = 0 if control else mixtures(recorded, states // 2)
            going = [pool.submit(cut, recorded, *part, torn, seed) for part in parts(recorded, 8 * jobs)]
            results = [future.result() for future in going]
            wrong = [line for found in results for line in found.wrong]
            tried = sum(found.states for found in results)
            total += 0 if control else tried
            failed = failed or bool(wrong) != control
            said = f"{len(wrong)} wrong" + (", as it must be" if control and wrong else "")
            print(f"{flavour:12} {len(recorded.log):5,} operations, {len(recorded.digests)} changes, ", end="")
            print(f"{tried:7,} states, {max(found.ledgers for found in results)} ledgers at most: {said}", flush=True)
            for line in wrong[: 3 if control else 20]:
                print(f"  {line}", flush=True)
    short = total < states
    said = "FAILED" if failed or short else "0 failures"
    print(f"seed {seed}: {total:,} states of {states:,}, {time.monotonic() - began:.0f} s, {said}")
    return 1 if failed or short else 0


def main(arguments: list[str]) -> int:
    """Do what is asked."""
    parser = argparse.ArgumentParser(description="Cut the power of the ledger's file everywhere.")
    parser.add_argument("--states", type=int, default=12_000, help="at least so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args(arguments)
    return campaign(given.states, given.seed, given.jobs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
