"""Plants each seeded bug and says which seed of the simulator finds it: ``python -m dualtap_testing.killing``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

from dualtap_testing.acts import FAULTS
from dualtap_testing.bugs import BUGS
from dualtap_testing.many import cores, spread
from dualtap_testing.simulate import ACTS, Scenario, live


class Killed(NamedTuple):
    """A bug, in how many lives it was looked for, and how it was found; nothing if it was not."""

    bug: str
    lives: int
    what: str


LIVES = 10
"""In which a bug is looked for."""


def hunt(bug: str, lives: int = LIVES, first: int = 1) -> Killed:
    """Plant a bug, and live until something fails."""
    with BUGS[bug].planted():
        for life in range(lives):
            what = live(Scenario(first, life, "stub", FAULTS, tuple(range(ACTS))), every=2)[1]
            if what:
                return Killed(bug, life + 1, what)
    return Killed(bug, lives, "")


def main(arguments: Sequence[str]) -> int:
    """Hunt every bug, or those named; print a line each; return 1 if one was not found."""
    alive = 0
    for killed in spread(hunt, arguments or list(BUGS), cores()):
        alive += not killed.what
        sys.stdout.write(f"{killed.bug:<24} {killed.lives:>3}  {killed.what or 'NOT FOUND'}\n")
        sys.stdout.flush()
    return int(alive > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
