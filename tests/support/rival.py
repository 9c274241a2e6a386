"""A process of its own that tells random worlds to a ledger, and stops at each dangerous instant until it may go on.

It reads jobs from stdin, one JSON array a line, and says on stdout where it stands: ``stop`` before and after each
commit, also before the last, when all has been looked for; ``done``, or ``error`` and why. A line lets it go on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable
from typing import NamedTuple

from dualtap_issuer.ingest import Ingest
from dualtap_issuer.rows import TodoRow
from dualtap_issuer.store import Store
from tests.property.test_settlement import AUTHORITY, INSTITUTION, play, tell


class Job(NamedTuple):
    """What to tell: a world's items by number, in batches under one epoch each; ``blind``: nobody sees it before the
    end, which is what must go wrong."""

    url: str
    seed: int
    batches: list[tuple[int, list[int]]]
    blind: bool


def say(word: str) -> None:
    """Say where this process stands."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def stop() -> None:
    """Wait until this process may go on."""
    say("stop")
    sys.stdin.readline()


def work(job: Job) -> None:
    """Do a job."""
    items = play(job.seed).items
    store = Store.open(job.url)
    real, last = store.publish, store.finish

    def publish(todo: Iterable[TodoRow] = ()) -> bool:
        stop()
        shown = job.blind or real(todo)
        stop()
        return shown

    def finish(todo: Collection[TodoRow]) -> None:
        last(todo)
        stop()

    store.publish, store.finish = publish, finish  # type: ignore[method-assign]
    try:
        for epoch, numbers in job.batches:
            with store.transaction():
                ingest = Ingest(store, AUTHORITY.trust(), frozenset({INSTITUTION.public}), epoch)
                for number in numbers:
                    tell(ingest, items[number][0])
                ingest.finish()
    finally:
        store.close()


def main() -> None:
    """Do jobs until stdin ends."""
    for line in iter(sys.stdin.readline, ""):
        try:
            work(Job(*json.loads(line)))
        except Exception as error:
            say(f"error {type(error).__name__} {error}")
        else:
            say("done")


if __name__ == "__main__":
    main()
