"""Runs checks against a device, and says for each clause what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from dualtap.errors import TapError
from dualtap.states import Part
from dualtap_conform.bench import Bench
from dualtap_conform.check import Check
from dualtap_conform.checks import CHECKS
from dualtap_conform.clauses import OTHERS
from dualtap_conform.puppet import Failure, NotHereError


class Verdict(Enum):
    """What came of a clause."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    ADVICE = "ADVICE"
    """A SHOULD that is not kept."""
    OPEN = "OPEN"
    """The checks that decide it could not be made, or stopped before they came to it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One failure: in which check, under which clause, what was expected, and what came."""

    check: str
    clause: str
    title: str
    expected: str
    got: str


@dataclass(slots=True)
class Outcome:
    """What came of a run: checks that ran to their end, failures, and why some checks could not be made."""

    passed: list[Check] = field(default_factory=list[Check])
    findings: list[Finding] = field(default_factory=list[Finding])
    advice: list[Finding] = field(default_factory=list[Finding])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    clauses: dict[str, Verdict] = field(default_factory=dict[str, Verdict])

    @property
    def failed(self) -> frozenset[str]:
        """The clauses that failed."""
        return frozenset(clause for clause, verdict in self.clauses.items() if verdict is Verdict.FAIL)


def checks_for(part: Part, only: str = "") -> tuple[Check, ...]:
    """Return the checks of a part, in order; ``only`` those that decide one clause."""
    return tuple(item for item in CHECKS if item.part in {None, part} and (not only or only in item.clauses))


def examine(
    bench: Bench, checks: Iterable[Check], watch: Callable[[Check, list[Finding]], None] | None = None
) -> Outcome:
    """Make these checks, one after another, and return what came of them.

    ``watch`` is told of each when it is done. Where no channel ever stood, nothing passes: to say nothing is right in
    many checks, and proves nothing of a device that says nothing at all.

    Raises ``LINK_LOST`` or ``TIMEOUT`` if the device cannot be reached.
    """
    outcome = Outcome()
    others = OTHERS[bench.scheme.suite.name]
    for item in checks:
        for clause in item.clauses:
            if clause not in others:
                outcome.clauses.setdefault(clause, Verdict.OPEN)
        found = _made(bench, item, outcome)
        (outcome.advice if item.advice else outcome.findings).extend(found)
        if watch is not None:
            watch(item, found)
    for item in outcome.passed if _speaks(bench, outcome) else ():
        for clause in item.clauses:
            if clause not in others:
                outcome.clauses[clause] = Verdict.PASS
    for finding in outcome.advice:
        outcome.clauses[finding.clause] = Verdict.ADVICE
    for finding in outcome.findings:
        outcome.clauses[finding.clause] = Verdict.FAIL
    return outcome


def _speaks(bench: Bench, outcome: Outcome) -> bool:
    """Tell whether the device ever greeted; if no check had it do so, it is greeted now."""
    if outcome.passed and not bench.memory.sessions:
        with suppress(Failure, TapError), bench.tap():
            pass
    return bench.memory.sessions > 0


def _made(bench: Bench, item: Check, outcome: Outcome) -> list[Finding]:
    """Make one check; return what failed in it."""
    bench.failures = []
    if bench.gone:
        outcome.skipped[item.name] = bench.gone
        return []
    try:
        item.run(bench)
        outcome.passed.append(item)
    except Failure as failure:
        bench.failures.append(failure)
    except TapError as error:
        if not bench.memory.sessions:
            raise
        bench.failures.append(Failure("a device that can be met", str(error)))
    except NotHereError as reason:
        outcome.skipped[item.name] = str(reason)
    return [
        Finding(item.name, failure.clause or item.clauses[0], item.title, failure.expected, failure.got)
        for failure in bench.failures
    ]
