"""``dualtap`` in processes of their own: one that waits for a tap, one that comes to it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from dualtap_apps.cli import run

DUALTAP = [sys.executable, "-m", "dualtap_apps"]
PATIENCE = 60
Json = dict[str, object]


def move_in(folder: Path, people: Iterable[tuple[str, str]]) -> Path:
    """Make a scheme and a wallet for each name and carrier; ``anna`` has 100.00. Return the folder."""
    steps = [["scheme", "new", "@town", "--currency", "CNY"]]
    for name, carrier in people:
        steps.append(["wallet", "new", f"@{name}", "--scheme", "@town", "--carrier", carrier, "--name", name])
    steps.append(["wallet", "fund", "@anna", "100.00"])
    for step in steps:
        assert run([str(folder / part[1:]) if part.startswith("@") else part for part in step]) == 0
    return folder


@contextmanager
def started(*arguments: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Start a command that waits; yield where."""
    process = subprocess.Popen(
        [*DUALTAP, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().rsplit(" on ", 1)[1].strip(), process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> Json:
    """Wait for the end of a command; return what it printed."""
    return ended(process)[0]


def ended(process: subprocess.Popen[str]) -> tuple[Json, str]:
    """Wait for the end of a command; return what it printed, and what it told people."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return cast("Json", json.loads(out)), err


def done(*arguments: str) -> Json:
    """Run a command to its end."""
    return did(*arguments)[0]


def did(*arguments: str, told: str = "") -> tuple[Json, str]:
    """Run a command to its end, and tell it so much; return what it printed, and what it told people."""
    ran = subprocess.run(
        [*DUALTAP, *arguments, "--json"],
        input=told, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return cast("Json", json.loads(ran.stdout)), ran.stderr


@dataclass(frozen=True)
class Tapped:
    """What the till and the payer told people, and where the till waited."""

    where: str
    till: str
    payer: str


def tap(town: Path, listen: str, reader: str = "", *, yes: bool = True, told: str = "") -> Tapped:
    """Charge 12.50 at ``listen`` and pay there, or at ``reader`` where it has a name of its own."""
    with started("charge", str(town / "till"), "12.50", "--on", listen) as (where, charge):
        paid, payer = did("pay", str(town / "anna"), "--on", reader or where, *["--yes"] * yes, told=told)
        collected, till = ended(charge)
    assert (paid["result"], collected["result"]) == ("paid", "collected")
    assert (paid["amount"], collected["amount"]) == (1250, 1250)
    return Tapped(where, till, payer)
