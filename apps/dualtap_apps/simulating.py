"""``simulate``: a hostile world in a box, from a seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit
from dualtap_testing.acts import FAULTS
from dualtap_testing.many import cores, simulate_many
from dualtap_testing.simulate import Found, Options, Scenario, live, shortened, simulate


@dataclass(frozen=True)
class Output:
    """How to print, and where failures are saved."""

    as_json: bool
    save: Path
    shrink: bool = True


def commit() -> str:
    """Return the commit of this code, or its version where there is no git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return version("dualtap")
    return found.stdout.strip()


def faults_of(text: str) -> tuple[str, ...]:
    """Return the faults that a text names; raise ``BAD_INPUT`` for one that there is not."""
    chosen = FAULTS if text == "all" else tuple(part for part in text.split(",") if part not in {"", "none"})
    unknown = [name for name in chosen if name not in FAULTS]
    if unknown:
        raise TapError(Code.BAD_INPUT, f"no fault is called {unknown[0]}: there are {', '.join(FAULTS)}")
    return tuple(name for name in FAULTS if name in chosen)


def seeds_of(text: str) -> range:
    """Return the seeds of ``A-B``, both included; raise ``BAD_INPUT`` for another form."""
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and int(first) <= int(last)):
        raise TapError(Code.BAD_INPUT, "seeds are given as 1-100")
    return range(int(first), int(last) + 1)


def _begin(out: Output, **options: object) -> None:
    python = ".".join(map(str, sys.version_info[:3]))
    begun = {**options, "commit": commit(), "python": python}
    emit(out.as_json, begun, ", ".join(f"{name} {value}" for name, value in begun.items() if name != "faults"))


def run(out: Output, options: Options) -> Exit:
    """Simulate one seed; print seed, commit and options first, then what was found."""
    asked = {name: value for name, value in asdict(options).items() if name != "taps"}
    _begin(out, **asked, asked=options.taps)
    found = simulate(options)
    return _end(out, found)


def run_many(out: Output, seeds: str, taps: int, suite: str, faults: tuple[str, ...], jobs: int) -> Exit:
    """Simulate many seeds at once; the digest at the end is over theirs, in order."""
    jobs = jobs or cores()
    _begin(out, runs=seeds, suite=suite, faults=faults, asked=taps, jobs=jobs)
    began, whole, digest = time.perf_counter(), Found(), hashlib.sha256()
    failed: list[Scenario] = []
    for found in simulate_many(seeds_of(seeds), taps, suite, faults, jobs):
        whole.taps, whole.faults = whole.taps + found.taps, whole.faults + found.faults
        whole.lives += found.lives
        for name, count in asdict(found.tally).items():
            setattr(whole.tally, name, getattr(whole.tally, name) + count)
        digest.update(bytes.fromhex(found.digest))
        failed += [found.failure] if found.failure else []
    whole.seconds, whole.digest = time.perf_counter() - began, digest.hexdigest()
    whole.failure = failed[0] if failed else None
    return _end(out, whole, len(failed))


def replay(out: Output, path: Path) -> Exit:
    """Play a saved scenario again, act by act, and look at every store after each."""
    scenario = Scenario.load(path)
    asked = {name: value for name, value in asdict(scenario).items() if name not in {"acts", "what"}}
    _begin(out, **asked, acts=len(scenario.acts))

    def told(number: int, name: str) -> None:
        emit(out.as_json, {"act": number, "name": name}, f"act {number}: {name}" if number >= 0 else name)

    world, what = live(scenario, every=1, told=told)
    found = Found()
    found.add(world, what)
    found.digest = world.digest().hex()
    if what:
        found.failure = Scenario(**{**asdict(scenario), "what": what})
    return _end(Output(out.as_json, out.save, shrink=False), found)


def _end(out: Output, found: Found, failures: int = 1) -> Exit:
    fields = found.fields()
    if found.failure is None:
        emit(out.as_json, fields, *_text(found, fields))
        return Exit.OK
    failure = found.failure
    saved = ""
    if out.shrink:
        failure = shortened(failure)
        path = out.save / f"scenario-{failure.seed}-{failure.life}.json"
        failure.save(path, commit())
        saved = str(path)
    fields |= {"failures": failures, "failure": failure.what, "seed": failure.seed, "life": failure.life}
    fields |= {"acts": list(failure.acts), "scenario": saved}
    emit(out.as_json, fields, *_text(found, fields), *_failure(failure, saved))
    return Exit.ERROR


def _text(found: Found, fields: dict[str, object]) -> Iterator[str]:
    yield f"{found.taps} taps in {found.lives} lives, {found.faults} faults, {fields['taps_per_s']} taps/s"
    yield ", ".join(f"{name} {value}" for name, value in asdict(found.tally).items())
    yield f"digest {found.digest}"


def _failure(failure: Scenario, saved: str) -> Sequence[str]:
    lines = [f"FAILED: {failure.what}", f"  seed {failure.seed}, life {failure.life}, {len(failure.acts)} acts"]
    return [*lines, f"  dualtap simulate --replay {saved}"] if saved else lines
