"""What a report comes to: read alike by who made the run and by who is handed its report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from dualtap.errors import Code, TapError
from dualtap_conform.setup import Json, Object


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of a report. ``vectors`` are right, wrong, not offered, unfit; or ``None`` if they were not asked."""

    part: str
    suite: str
    device: str
    holds: int
    fails: tuple[str, ...]
    open: tuple[str, ...]
    taps: int
    used: bool
    vectors: tuple[int, int, int, int] | None

    @property
    def good(self) -> bool:
        """Whether the device greeted, no clause failed and no vector was answered wrongly."""
        return bool(self.taps) and not self.fails and not (self.vectors and self.vectors[1])

    def sums(self) -> list[str]:
        """Return what stands at the end of a run and of a check of its report."""
        lines: list[str] = []
        if not self.taps:
            lines.append("note: the device never greeted: wrong part, scheme or address?")
        if self.used:
            lines.append("note: the device seems to have been used: make it ready anew before each run")
        lines.append(
            f"{self.part}, {self.suite}: {self.holds} clauses hold, {len(self.fails)} fail, "
            f"{len(self.open)} stay open; {self.taps} taps"
        )
        return lines if self.vectors is None else [*lines, tally(*self.vectors)]


def tally(right: int, wrong: int, absent: int, unfit: int) -> str:
    """Return the line that counts answers to vectors."""
    return f"vectors: {right} right, {wrong} wrong, {absent} not offered, {unfit} too long for this link"


def summary(report: Object) -> Summary:
    """Return what a report comes to; raise ``BAD_INPUT`` if a member of it is missing or of another type."""
    try:
        clauses = list(cast("Object", report["clauses"]).items())
        asked = cast("Object | None", report["vectors"])
        return Summary(
            str(report["part"]),
            str(report["suite"]),
            str(report["device"]),
            [verdict for _, verdict in clauses].count("PASS"),
            tuple(clause for clause, verdict in clauses if verdict == "FAIL"),
            tuple(clause for clause, verdict in clauses if verdict == "OPEN"),
            _count(report["taps"]),
            bool(report["used"]),
            None if asked is None else _answers(asked),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise TapError(Code.BAD_INPUT, f"a report that this dualtap cannot read: {error}") from error


def _answers(asked: Object) -> tuple[int, int, int, int]:
    right, absent, unfit = (_count(asked[name]) for name in ("right", "not_offered", "does_not_fit"))
    return right, len(cast("list[Json]", asked["wrong"])), absent, unfit


def _count(value: Json) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} where a number should be")
    return value
