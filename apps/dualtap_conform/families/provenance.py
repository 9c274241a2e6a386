"""What a payee accepts (SPEC §5.3, §5.4, §7, §8): value of every honest shape, and all that is wrong with others."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.suite import SUITES
from dualtap_conform.stage import Stage
from dualtap_conform.value import bundles, conflicts, dead, good, proofs, spans, tiers
from dualtap_conform.vector import Vector


def vectors() -> Iterator[Vector]:
    """Yield the cases of both suites."""
    for suite in SUITES.values():
        stage = Stage(suite)
        yield from good.accepted(stage)
        yield from spans.refused(stage)
        yield from bundles.refused(stage)
        yield from dead.refused(stage)
        yield from proofs.refused(stage)
        yield from conflicts.refused(stage)
        yield from tiers.judged(stage)
