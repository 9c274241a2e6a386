"""Plants each seeded bug and says which life of the simulator finds it: ``python -m dualtap_testing.killing``.

``--markdown`` prints the table of docs/simulator.md, whose last column is the checker, or the code, that failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from dualtap_testing.acts import FAULTS
from dualtap_testing.bugs import BUGS, Bug
from dualtap_testing.curbed import CURBED
from dualtap_testing.debts import DEBTS
from dualtap_testing.escapes import ESCAPES
from dualtap_testing.found import FOUND
from dualtap_testing.lapses import LAPSES
from dualtap_testing.many import cores, spread
from dualtap_testing.premiums import PREMIUMS
from dualtap_testing.simulate import ACTS, Scenario, live
from dualtap_testing.slip import Slip
from dualtap_testing.slips import SLIPS

SEEDED: Final[Mapping[str, Bug | Slip]] = {**BUGS, **SLIPS, **ESCAPES, **LAPSES, **DEBTS, **CURBED, **PREMIUMS}
"""Every seeded bug, whoever wrote it, by name."""


class Killed(NamedTuple):
    """A bug, the life of seed 1 that found it, and how; ``what`` is empty if none did.

    ``life`` is ``None`` for one that no life can find; ``what`` then says which other net does.
    """

    bug: str
    life: int | None
    what: str


LIVES = 40
"""In which a bug is looked for."""


def hunt(bug: str, lives: int = LIVES) -> Killed:
    """Plant a bug, and live until something fails, first the life that found it last (:data:`FOUND`).

    One that no life can find is not planted.
    """
    seeded = SEEDED[bug]
    seed = seeded.seed if isinstance(seeded, Slip) else 1
    if isinstance(seeded, Slip) and seeded.elsewhere:
        return Killed(bug, None, seeded.elsewhere)
    known = FOUND.get(bug, 0)
    with seeded.planted():
        for life in (known, *[one for one in range(lives) if one != known]):
            what = live(Scenario(seed, life, "stub", FAULTS, tuple(range(ACTS))), every=2)[1]
            if what:
                return Killed(bug, life, what)
    return Killed(bug, lives, "")


def main(arguments: Sequence[str]) -> int:
    """Hunt every bug, or those named; print a line each; return 1 if one was not found."""
    parser = argparse.ArgumentParser(description="Plant seeded bugs, and see which life finds each.")
    parser.add_argument("bugs", nargs="*", metavar="bug", help="by name; all of them without one")
    parser.add_argument("--slips", action="store_true", help="those of slips.py alone")
    parser.add_argument("--escapes", action="store_true", help="those of escapes.py alone")
    parser.add_argument("--curbed", action="store_true", help="those of curbed.py alone")
    parser.add_argument("--lives", type=int, default=LIVES, help="in which each is looked for")
    parser.add_argument("--jobs", type=int, default=cores())
    parser.add_argument("--markdown", action="store_true", help="print rows of a table")
    given = parser.parse_args(arguments)
    unknown = set(given.bugs) - SEEDED.keys()
    if unknown:
        parser.error(f"no seeded bug is called {', '.join(sorted(unknown))}")
    names: list[str] = given.bugs or list(_table(given))
    alive = 0
    for killed in spread(partial(hunt, lives=given.lives), names, given.jobs):
        alive += not killed.what
        sys.stdout.write(_row(killed) if given.markdown else _line(killed))
        sys.stdout.flush()
    return int(alive > 0)


def _table(given: argparse.Namespace) -> Mapping[str, Bug | Slip]:
    """Return the seeded bugs that are asked for."""
    return SLIPS if given.slips else ESCAPES if given.escapes else CURBED if given.curbed else SEEDED


def _line(killed: Killed) -> str:
    life = "elsewhere" if killed.life is None else killed.life
    return f"{killed.bug:<32} {life:>9}  {killed.what or 'NOT FOUND'}\n"


def _row(killed: Killed) -> str:
    what = killed.what.partition(" b'")[0].partition("\n")[0].partition(" (")[0][:110].replace("|", "/")
    found = "elsewhere" if killed.life is None else killed.life if what else "none"
    return f"| {killed.bug} | {SEEDED[killed.bug].what} | {found} | {what} |\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
