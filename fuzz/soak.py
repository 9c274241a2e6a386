"""Tries new seeds for as long as told: half the time simulated taps, half the fuzz targets; what they come to is kept.

``python fuzz/soak.py fuzz/tally.json --minutes 60``. The file counts both, and for each commit what was run on it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine import NAMES
from run import Campaign, campaign, engine_of

from dualtap.errors import Code, TapError
from dualtap_testing.tally import Kept, write

FIRST, MOST = 100_000, 10_000_000
"""Executions of the first round, and of the longest: each has a seed of its own, and twice those of the one before."""
ROOT = Path(__file__).parents[1]


@dataclass
class Fuzzed:
    """What all rounds of the fuzz targets together came to; ``seed`` is the next that was not tried."""

    seed: int = 1_000
    executions: int = 0
    seconds: int = 0
    failures: int = 0
    targets: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def load(cls, path: Path) -> Fuzzed:
        """Return what a file keeps, or nothing yet; raise ``BAD_INPUT`` for a file of something else."""
        try:
            found: dict[str, Any] = json.loads(path.read_text()).get("fuzz", {}) if path.exists() else {}
            return cls(**found)
        except (ValueError, TypeError, AttributeError) as error:
            raise TapError(Code.BAD_INPUT, f"{path}: no tally") from error

    def add(self, ran: Campaign) -> None:
        """Count one round."""
        self.targets = {**Counter(self.targets) + Counter(ran.executions)}
        self.executions = sum(self.targets.values())
        self.seconds += round(ran.seconds)
        self.failures += ran.failed
        self.seed += 1

    def save(self, path: Path) -> None:
        """Write it, whole or not at all; what else the file keeps, of taps, stays."""
        known = json.loads(path.read_text()) if path.exists() else asdict(Kept())
        write(path, {**known, "fuzz": asdict(self)})


def fuzz(path: Path, minutes: float, first: int = FIRST) -> bool:
    """Run the targets until the time is up; keep the tally after every round; return whether anything broke."""
    until, runs, broke = time.monotonic() + 60 * minutes, first, False
    while (left := int(until - time.monotonic())) > 0:
        kept, jobs = Fuzzed.load(path), os.cpu_count() or 1
        # Those that wait for a core have their seconds too.
        ran = campaign(NAMES, runs, max(1, left * jobs // len(NAMES)), kept.seed, jobs, engine_of())
        kept.add(ran)
        kept.save(path)
        runs, broke = min(2 * runs, MOST), broke or ran.failed
    return broke


def simulate(path: Path, minutes: float, suite: str) -> bool:
    """Simulate taps until the time is up; return whether a promise was broken."""
    command = [sys.executable, "-m", "dualtap_apps", "simulate", "--minutes", str(minutes), "--suite", suite]
    command += ["--taps", "1000", "--tally", str(path)]
    return subprocess.run(command, check=False).returncode != 0


def note(path: Path, commit: str, taps: int, executions: int) -> None:
    """Count what was run on a commit."""
    known = json.loads(path.read_text())
    on = known.setdefault("commits", {}).setdefault(commit, {"taps": 0, "executions": 0})
    on["taps"] += taps
    on["executions"] += executions
    write(path, known)


def main(arguments: list[str]) -> int:
    """Do both, one after the other; return 1 if anything broke."""
    parser = argparse.ArgumentParser(description="Try new seeds, and keep count.")
    parser.add_argument("tally", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--suite", default="stub")
    given = parser.parse_args(arguments)
    path: Path = given.tally
    try:
        taps, executions = Kept.load(path).taps, Fuzzed.load(path).executions
    except TapError as error:
        print(error, file=sys.stderr)
        return 2
    broke = [simulate(path, given.minutes / 2, given.suite), fuzz(path, given.minutes / 2)]
    head = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    both = Kept.load(path).taps - taps, Fuzzed.load(path).executions - executions
    note(path, head.stdout.strip() or "no commit", *both)
    print(path.read_text())
    return 1 if any(broke) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
