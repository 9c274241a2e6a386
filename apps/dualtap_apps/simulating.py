"""``simulate``: a hostile world in a box, from a seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit
from dualtap_testing.acts import FAULTS
from dualtap_testing.everywhere import everywhere
from dualtap_testing.exhaustive import Counted
from dualtap_testing.many import cores, simulate_many
from dualtap_testing.simulate import Found, Options, Scenario, live, shortened, simulate
from dualtap_testing.tally import Kept, soak
from dualtap_testing.watching import digest_of


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
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607 - whichever git is there
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


def run_many(out: Output, seeds: str, options: Options, jobs: int, twice: bool) -> Exit:
    """Simulate many seeds at once; the digest at the end is over theirs, in order.

    ``twice`` runs them all again, in other processes, in which hashes differ: each digest must be the same.
    """
    jobs, chosen = jobs or cores(), seeds_of(seeds)
    _begin(out, runs=seeds, suite=options.suite, faults=options.faults, asked=options.taps, jobs=jobs, twice=twice)
    began, whole, digest = time.perf_counter(), Found(), hashlib.sha256()
    failed: list[Scenario] = []
    digests: list[str] = []
    for found in simulate_many(
        [*chosen, *(chosen if twice else ())], options.taps, options.suite, options.faults, jobs
    ):
        digests.append(found.digest)
        whole.taps, whole.faults = whole.taps + found.taps, whole.faults + found.faults
        whole.lives += found.lives
        for name, count in asdict(found.tally).items():
            setattr(whole.tally, name, getattr(whole.tally, name) + count)
        digest.update(bytes.fromhex(found.digest))
        failed += [found.failure] if found.failure and found.failure not in failed else []
    whole.seconds, whole.digest = time.perf_counter() - began, digest.hexdigest()
    whole.failure = failed[0] if failed else None
    count = len(chosen)
    differing = [seed for place, seed in enumerate(chosen) if twice and digests[place] != digests[count + place]]
    if differing:
        emit(out.as_json, {"differing": differing}, f"FAILED: seeds that differ the second time: {differing}")
        _end(out, whole, failed)
        return Exit.ERROR
    return _end(out, whole, failed)


def exhaust(out: Output, suite: str, stride: int, singles: bool, jobs: int) -> Exit:
    """Try every single fault in every flow, and every second one while the devices recover."""
    jobs = jobs or cores()
    _begin(out, exhaustive=True, suite=suite, stride=stride, jobs=jobs)
    began, failures, total = time.perf_counter(), list[str](), {"singles": 0, "played": 0, "pairs": 0}
    for found in everywhere(suite, stride, not singles, jobs):
        fields = asdict(found)
        failures += found.failures
        for name in total:
            total[name] += fields[name]
        fields["failures"] = found.failures[:3]
        emit(out.as_json, fields, _flow(found))
    ended: dict[str, object] = {**total, "seconds": round(time.perf_counter() - began), "failures": len(failures)}
    emit(out.as_json, ended, ", ".join(f"{name} {value}" for name, value in ended.items()), *failures[:10])
    return Exit.ERROR if failures else Exit.OK


def _flow(found: Counted) -> str:
    doubles = f", {found.pairs} double faults by {found.played} plays from {found.states} states" if found.pairs else ""
    return f"{found.flow}: {found.singles} single faults{doubles}, {len(found.failures)} failures"


def soak_for(out: Output, minutes: float, tally: Path, options: Options, jobs: int) -> Exit:
    """Simulate new seeds for so long, and add to a kept tally."""
    jobs = jobs or cores()
    _begin(out, minutes=minutes, tally=str(tally), suite=options.suite, faults=options.faults, jobs=jobs)
    failed = soak(tally, minutes, options.taps, options.suite, options.faults, jobs)
    kept = asdict(Kept.load(tally))
    saved = [_saved(out, failure)[1] for failure in failed]
    emit(
        out.as_json, {**kept, "scenarios": saved}, ", ".join(f"{name} {value}" for name, value in kept.items()), *saved
    )
    return Exit.ERROR if failed else Exit.OK


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
    found.digest = digest_of(world).hex()
    if what:
        found.failure = replace(scenario, what=what)
    return _end(Output(out.as_json, out.save, shrink=False), found)


def _end(out: Output, found: Found, failed: Sequence[Scenario] = ()) -> Exit:
    """Print what was found; of the seeds that ``failed``, the first is made short and saved, each is named."""
    fields = found.fields()
    if found.failure is None:
        emit(out.as_json, fields, *_text(found, fields))
        return Exit.OK
    failure, failed = found.failure, failed or (found.failure,)
    saved = ""
    if out.shrink:
        failure, saved = _saved(out, failure)
    fields |= {"failures": len(failed), "failure": failure.what, "seed": failure.seed, "life": failure.life}
    fields |= {"acts": list(failure.acts), "scenario": saved}
    fields |= {"failed": [{"seed": one.seed, "life": one.life, "what": one.what} for one in failed]}
    others = [f"  also seed {one.seed}, life {one.life}: {one.what}" for one in failed[1:]]
    emit(out.as_json, fields, *_text(found, fields), *_failure(failure, saved), *others)
    return Exit.ERROR


def _saved(out: Output, failure: Scenario) -> tuple[Scenario, str]:
    """Make a failure short and save it; return it and its file."""
    failure = shortened(failure)
    path = out.save / f"scenario-{failure.seed}-{failure.life}.json"
    failure.save(path, commit())
    return failure, str(path)


def _text(found: Found, fields: dict[str, object]) -> Iterator[str]:
    yield f"{found.taps} taps in {found.lives} lives, {found.faults} faults, {fields['taps_per_s']} taps/s"
    yield ", ".join(f"{name} {value}" for name, value in asdict(found.tally).items())
    yield f"digest {found.digest}"


def _failure(failure: Scenario, saved: str) -> Sequence[str]:
    lines = [f"FAILED: {failure.what}", f"  seed {failure.seed}, life {failure.life}, {len(failure.acts)} acts"]
    return [*lines, f"  dualtap simulate --replay {saved}"] if saved else lines
