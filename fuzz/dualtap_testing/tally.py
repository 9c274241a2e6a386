"""Simulates new seeds for as long as told, and adds what came of it to a kept file."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap_testing.many import simulate_many
from dualtap_testing.simulate import Found, Scenario


@dataclass
class Kept:
    """What all soaks together came to; ``seed`` is the next that was not tried."""

    seed: int = 1_000_000
    taps: int = 0
    faults: int = 0
    lives: int = 0
    seconds: int = 0
    failures: int = 0

    @classmethod
    def load(cls, path: Path) -> Kept:
        """Return what a file keeps, or nothing yet; raise ``BAD_INPUT`` for a file of something else."""
        if not path.exists():
            return cls()
        try:
            found = json.loads(path.read_text())
            return cls(**{field.name: int(found[field.name]) for field in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise TapError(Code.BAD_INPUT, f"{path}: no tally") from error

    def add(self, found: Found) -> None:
        """Count one seed."""
        self.taps, self.faults, self.lives = (
            self.taps + found.taps,
            self.faults + found.faults,
            self.lives + found.lives,
        )
        self.failures += found.failure is not None
        self.seed += 1

    def save(self, path: Path) -> None:
        """Write it, whole or not at all; what else the file keeps, of fuzz targets, stays."""
        known: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
        write(path, {**known, **asdict(self)})


def write(path: Path, kept: object) -> None:
    """Write a tally, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(kept, indent=1) + "\n")
    draft.replace(path)


BATCH = 4
"""Seeds that each process tries before the clock is looked at."""


def soak(path: Path, minutes: float, taps: int, suite: str, faults: tuple[str, ...], jobs: int) -> list[Scenario]:
    """Simulate until the time is up; keep the tally after every batch; return the failures."""
    kept, failed, began = Kept.load(path), list[Scenario](), time.monotonic()
    spent = kept.seconds
    while time.monotonic() - began < 60 * minutes:
        seeds = range(kept.seed, kept.seed + BATCH * jobs)
        for found in simulate_many(seeds, taps, suite, faults, jobs):
            kept.add(found)
            failed += [found.failure] if found.failure else []
        kept.seconds = spent + int(time.monotonic() - began)
        kept.save(path)
    return failed
