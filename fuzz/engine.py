"""What runs one target in one process: Atheris, or a seeded mutator; and what makes a found input small."""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
NAMES = tuple(sorted(path.stem for path in (HERE / "targets").glob("[a-z]*.py")))
"""Every target."""
OURS = ("dualtap", "dualtap_transports", "dualtap_devices", "dualtap_issuer", "targets")
CRASH = "BROKEN"
PATIENCE = 10
"""Seconds that one input may take: ten thousand times what it should."""
MEMORY_MIB = 2048
_TRIES = 3_000


class Target(NamedTuple):
    """What a module of a target says of itself; ``share`` is its part of 1,000 executions, ``cost`` about
    0.1 ms of each."""

    one: Callable[[bytes], None]
    share: int
    length: int
    cost: int


def load(name: str) -> Target:
    """Return a target."""
    module = import_module(f"targets.{name}")
    return Target(module.one, module.SHARE, module.LENGTH, module.COST)


def corpus_of(name: str) -> list[Path]:
    """Return the files of a target's corpus, in order."""
    return sorted(path for path in (CORPUS / name).glob("*") if path.is_file())


def child(name: str, folder: Path, engine: str, runs: int, seconds: int, seed: int) -> int:
    """Fuzz one target in this process; what is found, and how much was run, goes into a folder."""
    if engine == "atheris":
        return _atheris(name, folder, runs, seconds, seed)
    return _mutator(name, folder, runs, seconds, seed)


def _atheris(name: str, folder: Path, runs: int, seconds: int, seed: int) -> int:
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=list(OURS), enable_loader_override=False):
        target = load(name)
    done, until = 0, time.monotonic() + seconds if seconds else None

    def counted(data: bytes) -> None:
        nonlocal done
        if until is not None and time.monotonic() > until:
            told()
            os._exit(0)  # libFuzzer's own end of time ends the process before anything can be told
        done += 1
        target.one(data)

    def told() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)  # libFuzzer's, which would end this process once nobody hears it
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        (folder / "told.json").write_text(json.dumps({"executions": done}))

    grown = folder / "grown"
    grown.mkdir()
    arguments = [name, f"-atheris_runs={runs}", f"-seed={seed}", f"-max_len={target.length}", f"-timeout={PATIENCE}"]
    arguments += ["-len_control=0"]  # a story is long from the start
    arguments += [f"-artifact_prefix={folder}/", f"-rss_limit_mb={MEMORY_MIB}", "-print_final_stats=1"]
    words = HERE / f"{name}.dict"
    arguments += [f"-dict={words}"] if words.exists() else []
    (CORPUS / name).mkdir(exist_ok=True)
    atheris.Setup([*arguments, str(grown), str(CORPUS / name)], counted)
    atexit.register(told)
    atheris.Fuzz()
    return 0


class _TooLong(Exception):
    """An input took longer than any may."""


def _late(number: int, frame: object) -> None:
    del number, frame
    raise _TooLong(f"more than {PATIENCE} s")


def _mutator(name: str, folder: Path, runs: int, seconds: int, seed: int) -> int:
    """Run the corpus, then mutants of it, blind to what they reach: for where Atheris does not install."""
    target, rng = load(name), random.Random(f"{seed} {name}")  # noqa: S311 - repeated on purpose
    seeds = [path.read_bytes() for path in corpus_of(name)] or [b""]
    words = _words(HERE / f"{name}.dict") or [b"\0"]
    until, done = time.monotonic() + seconds if seconds else None, 0
    signal.signal(signal.SIGALRM, _late)
    while done < runs and (until is None or time.monotonic() < until):
        data = seeds[done] if done < len(seeds) else mutated(rng, seeds, words)[: target.length]
        done += 1
        signal.alarm(PATIENCE)
        try:
            target.one(data)
        except Exception:
            traceback.print_exc()
            (folder / f"crash-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
            break
        finally:
            signal.alarm(0)
    (folder / "told.json").write_text(json.dumps({"executions": done}))
    return 0


def mutated(rng: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Return a seed after one to six changes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        end = min(len(data), at + rng.randint(1, 16))
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                data[at:at] = rng.choice(words)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[at:end]
            case 5:
                data[at:] = rng.choice(seeds)[at:]
            case _:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
    return bytes(data)


def _words(path: Path) -> list[bytes]:
    """Return the entries of a dictionary in libFuzzer's form."""
    lines = path.read_text().splitlines() if path.exists() else []
    quoted = [line[line.index('"') + 1 : line.rindex('"')] for line in lines if line and line[0] != "#"]
    return [item.encode().decode("unicode_escape").encode("latin-1") for item in quoted]


# What was found


def why(one: Callable[[bytes], None], data: bytes) -> tuple[str, str] | None:
    """Return what an input breaks: the kind of exception, and the last line of ours; ``None`` if it breaks nothing."""
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(PATIENCE)
    try:
        one(data)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return type(error).__name__, f"{Path(last.filename).name}:{last.lineno}"
    finally:
        signal.alarm(0)
    return None


def shrunk(one: Callable[[bytes], None], data: bytes) -> bytes:
    """Return a shorter and plainer input that breaks the same."""
    wanted, tries = why(one, data), 0
    size = max(1, len(data) // 2)
    while size and tries < _TRIES:
        at = 0
        while at < len(data) and tries < _TRIES:
            tries += 1
            shorter = data[:at] + data[at + size :]
            if why(one, shorter) == wanted:
                data = shorter
            else:
                at += size
        size //= 2
    for at in range(len(data)):
        plain = data[:at] + b"\0" + data[at + 1 :]
        if tries < _TRIES and data[at] and why(one, plain) == wanted:
            data = plain
        tries += 1
    return data


def minimise(name: str, path: Path, into: Path) -> Path:
    """Make an input small; keep it by the name of its target and of what it breaks; return where."""
    target, data = load(name), path.read_bytes()
    found = why(target.one, data)
    if found is not None and found[0] != _TooLong.__name__:
        data = shrunk(target.one, data)
    what = found[0] if found else "passes-alone"
    kept = into / f"{name}-{what}-{hashlib.sha256(data).hexdigest()[:8]}"
    kept.write_bytes(data)
    return kept


def replay(name: str, paths: Sequence[Path]) -> int:
    """Run inputs through a target; show what each breaks, and return 1 if any does."""
    target, broken = load(name), 0
    for path in paths:
        try:
            target.one(path.read_bytes())
        except Exception:
            broken += 1
            print(f"{CRASH} {name} {path}\n{traceback.format_exc()}", file=sys.stderr)
    print(f"{len(paths)} inputs, {broken} broken")
    return 1 if broken else 0
