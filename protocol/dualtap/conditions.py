"""The conditions that a token may carry (SPEC §5.6): which of them are understood here. In this version, none."""

from __future__ import annotations

from dualtap.errors import Code, TapError
from dualtap.statements import Condition


def understood(conditions: tuple[Condition, ...]) -> bool:
    """Return whether value under these conditions can be issued, paid and accepted here."""
    return not conditions


def check_conditions(conditions: tuple[Condition, ...]) -> None:
    """Raise ``UNKNOWN_CONDITION`` unless all are understood."""
    if not understood(conditions):
        raise TapError(Code.UNKNOWN_CONDITION, f"code {conditions[0].code}")
