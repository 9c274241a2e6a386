"""Purpose-bound value (SPEC §5.6): each condition, met and unmet, at its edges."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.suite import SUITES
from dualtap_conform.stage import Stage
from dualtap_conform.value import counts, grants, purposes
from dualtap_conform.vector import Vector


def vectors() -> Iterator[Vector]:
    """Yield the cases of both suites."""
    for suite in SUITES.values():
        stage = Stage(suite)
        yield from purposes.conditions(stage)
        yield from grants.second_signatures(stage)
        yield from counts.counts(stage)
