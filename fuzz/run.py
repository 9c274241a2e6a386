"""Run the fuzz targets: ``python fuzz/run.py [--runs N] [target ...]``; see fuzz/README.md.

Each target runs in a process of its own, with Atheris where it is installed and with a seeded mutator elsewhere, for
its share of ``--runs`` executions. What breaks an invariant is made small, kept, and printed with how to replay it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from engine import CRASH, NAMES, child, load, minimise, replay

HERE = Path(__file__).parent
KEPT = HERE / "crashes"


class Ran(NamedTuple):
    """What came of one target: executions, seconds, and the files of what broke its invariant."""

    name: str
    executions: int
    seconds: float
    broken: list[Path]
    said: str


def run(name: str, runs: int, seconds: int, seed: int, engine: str) -> Ran:
    """Run a target in a process of its own, and make small what it found."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "run.py"), "--child", folder, "--engine", engine, "--runs", str(runs)]
        command += ["--seed", str(seed), "--seconds", str(seconds), name]
        # Sets and dicts of bytes iterate by hash: one seed, one run.
        settings = os.environ | {"PYTHONHASHSEED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
        told = Path(folder, "told.json")
        executions = int(json.loads(told.read_text())["executions"]) if told.exists() else 0
        broken = [keep(name, path) for path in sorted(Path(folder).glob("crash-*"))]
        broken += [keep(name, path) for path in sorted(Path(folder).glob("timeout-*"))]
    failed = done.returncode != 0 or bool(broken)
    return Ran(name, executions, time.monotonic() - began, broken, done.stderr[-3000:] if failed else "")


def keep(name: str, path: Path) -> Path:
    """Make an input small and keep it under the name of its target and of what it breaks."""
    KEPT.mkdir(exist_ok=True)
    command = [sys.executable, str(HERE / "run.py"), "--minimise", str(path), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Path(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 else path.rename(KEPT / path.name)


def engine_of(asked: str = "auto") -> str:
    """Return the engine that is asked for, or of what is installed the better."""
    return ("atheris" if find_spec("atheris") else "mutator") if asked == "auto" else asked


def main(arguments: list[str]) -> int:
    """Do what is asked; return 1 if anything broke."""
    parser = argparse.ArgumentParser(description="Run dualtap's fuzz targets.")
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(NAMES)}; all without one")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions in all, or with one target, of it")
    parser.add_argument("--seconds", type=int, default=0, help="seconds for each target at most; 0: no bound")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--engine", choices=("auto", "atheris", "mutator"), default="auto")
    parser.add_argument("--replay", nargs="+", metavar="FILE", help="run these inputs through one target")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--minimise", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    unknown = set(given.targets) - set(NAMES)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    engine = engine_of(given.engine)
    if given.child:
        return child(given.targets[0], Path(given.child), engine, given.runs, given.seconds, given.seed)
    if given.minimise:
        print(minimise(given.targets[0], Path(given.minimise), KEPT))
        return 0
    if given.replay:
        return replay(given.targets[0], [Path(item) for item in given.replay])
    done = campaign(given.targets or list(NAMES), given.runs, given.seconds, given.seed, given.jobs, engine)
    return 1 if done.failed else 0


class Campaign(NamedTuple):
    """What came of a campaign: executions by target, seconds, and whether anything broke."""

    executions: dict[str, int]
    seconds: float
    failed: bool


def campaign(names: Iterable[str], runs: int, seconds: int, seed: int, jobs: int, engine: str) -> Campaign:
    """Run targets side by side, and print what came of each."""
    shares = {name: load(name).share for name in names}
    print(f"engine {engine}, seed {seed}, {runs:,} executions among {len(shares)} targets", flush=True)
    if engine == "mutator":
        print("Atheris is not installed: a plain seeded mutator runs instead, blind to coverage", flush=True)
    wanted = {name: -(-runs * share // sum(shares.values())) for name, share in shares.items()}
    began, executions, wrong = time.monotonic(), dict[str, int](), False
    order = sorted(wanted, key=lambda name: -load(name).cost * wanted[name])
    with ThreadPoolExecutor(jobs) as pool:
        going = [pool.submit(run, name, wanted[name], seconds, seed, engine) for name in order]
        for future in as_completed(going):
            ran = future.result()
            executions[ran.name] = ran.executions
            short = ran.executions < wanted[ran.name] and not seconds
            wrong = wrong or short or bool(ran.broken) or bool(ran.said)
            rate = ran.executions / ran.seconds
            print(f"{ran.name:12} {ran.executions:>9,} executions {ran.seconds:6.1f} s {rate:8,.0f}/s", flush=True)
            if ran.said or short:
                print(ran.said or f"{ran.name} ended early", flush=True)
            for path in ran.broken:
                print(f"{CRASH} {ran.name}: python fuzz/run.py {ran.name} --replay {path}", flush=True)
    took, total = time.monotonic() - began, sum(executions.values())
    print(f"{total:,} executions, {took:.0f} s, {'FAILED' if wrong else '0 failures'}", flush=True)
    return Campaign(executions, took, wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
