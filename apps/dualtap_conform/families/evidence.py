"""What evidence proves (SPEC §15): each kind, and all that names nobody."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.suite import SUITES
from dualtap_conform.stage import Stage
from dualtap_conform.value import exhibits, named
from dualtap_conform.vector import Vector


def vectors() -> Iterator[Vector]:
    """Yield the cases of both suites."""
    for suite in SUITES.values():
        stage = Stage(suite)
        yield from named.kinds(stage)
        yield from exhibits.spoilt(stage)
