"""All exhaustive flows, one job each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dualtap_testing.exhaustive import FLOWS, Counted, exhaust
from dualtap_testing.exhaustive_binds import TIES, exhaust_tie
from dualtap_testing.exhaustive_syncs import ACTS, exhaust_sync
from dualtap_testing.many import spread

SYNC_STRIDE = 4
"""Of the second faults of a sync or a change of key, every how many-th is tried: each has a ledger of its own."""


class Job(NamedTuple):
    """One flow, and how much of it."""

    flow: str
    suite: str
    stride: int
    doubles: bool


def work(job: Job) -> Counted:
    """Exhaust one flow."""
    if job.flow in ACTS:
        return exhaust_sync(job.flow, job.suite, SYNC_STRIDE * job.stride, job.doubles)
    for tie in TIES:
        if tie.name == job.flow:
            return exhaust_tie(tie, job.suite, job.stride, job.doubles)
    flow = next(one for one in FLOWS if one.name == job.flow)
    return exhaust(flow, job.suite, job.stride, job.doubles)


def everywhere(suite: str, stride: int, doubles: bool, jobs: int) -> Iterator[Counted]:
    """Yield what each flow came to."""
    names = [*ACTS, *[flow.name for flow in FLOWS], *[tie.name for tie in TIES]]
    return spread(work, [Job(name, suite, stride, doubles) for name in names], jobs)
