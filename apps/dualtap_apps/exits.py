"""The exit codes of the command line. They are stable: scripts branch on them."""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

from dualtap.errors import TABLE, Code, Fault
from dualtap.events import Report, Result


class Exit(IntEnum):
    """Why a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    DECLINED = 3
    DOUBLE_SPEND = 4
    LOST = 5
    ISSUER_UNREACHABLE = 6


_SPECIAL: dict[Code, Exit] = {
    Code.BAD_INPUT: Exit.USAGE,
    Code.DOUBLE_SPENT: Exit.DOUBLE_SPEND,
    Code.TAPE_FORKED: Exit.DOUBLE_SPEND,
    Code.ISSUER_UNREACHABLE: Exit.ISSUER_UNREACHABLE,
    Code.DECLINED: Exit.DECLINED,
    Code.INSUFFICIENT: Exit.DECLINED,
    Code.OVER_LIMIT: Exit.DECLINED,
    Code.QUOTA_USED: Exit.DECLINED,
    Code.NOT_ATTESTED: Exit.DECLINED,
    Code.BASKET_PAID: Exit.DECLINED,
    Code.BASKET_WAITS: Exit.DECLINED,
}


def exit_of(code: Code | int | None) -> Exit:
    """Return the exit code of an error."""
    if code is None:
        return Exit.OK
    if not isinstance(code, Code):
        return Exit.ERROR
    if code in _SPECIAL:
        return _SPECIAL[code]
    return Exit.LOST if TABLE[code].fault is Fault.LINK else Exit.ERROR


def exit_of_report(report: Report) -> Exit:
    """Return the exit code of a tap: in doubt counts as a lost peer, whatever the error was."""
    if report.result in {Result.PAID, Result.COLLECTED, Result.HEALED_PAID, Result.HEALED_RESTORED}:
        return Exit.OK
    if report.result is Result.DONE:
        return exit_of(report.code)
    if report.result is Result.IN_DOUBT:
        return Exit.LOST
    return exit_of(report.code) or Exit.ERROR


def end(code: Exit) -> NoReturn:
    """End the command with this exit code."""
    raise SystemExit(int(code))
