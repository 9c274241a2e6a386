"""``simulate``: a hostile world in a box, from a seed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit
from dualtap_testing.acts import FAULTS
from dualtap_testing.simulate import Found, Options, simulate


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


def options_of(seed: int, taps: int, suite: str, faults: str) -> Options:
    """Return the options that these texts mean; raise ``BAD_INPUT`` for a fault that there is not."""
    chosen = FAULTS if faults == "all" else tuple(part for part in faults.split(",") if part not in {"", "none"})
    unknown = [name for name in chosen if name not in FAULTS]
    if unknown:
        raise TapError(Code.BAD_INPUT, f"no fault is called {unknown[0]}: there are {', '.join(FAULTS)}")
    return Options(seed, taps, suite, tuple(name for name in FAULTS if name in chosen))


def run(as_json: bool, options: Options) -> Exit:
    """Simulate, and print seed, commit and options first, then what was found."""
    begun: dict[str, object] = {
        "seed": options.seed, "commit": commit(), "suite": options.suite, "asked": options.taps,
        "faults": list(options.faults), "python": ".".join(map(str, sys.version_info[:3])),
    }  # fmt: skip
    emit(as_json, begun, f"seed {options.seed}, commit {begun['commit']}, suite {options.suite}, {options.taps} taps")
    found = simulate(options)
    emit(as_json, {**found.fields(), **_failure(found)}, *_text(found))
    return Exit.OK if found.failure is None else Exit.ERROR


def _failure(found: Found) -> dict[str, object]:
    return {} if found.failure is None else {"failure": found.failure.what, "life": found.failure.life}


def _text(found: Found) -> Sequence[str]:
    fields = found.fields()
    lines = [
        f"{found.taps} taps in {found.lives} lives, {found.faults} faults, {fields['taps_per_s']} taps/s",
        ", ".join(f"{name} {fields[name]}" for name in ("value_created", "value_lost", "framed", "missed", "unhealed")),
        f"digest {found.digest}",
    ]
    return lines if found.failure is None else [*lines, f"FAILED in life {found.failure.life}: {found.failure.what}"]
