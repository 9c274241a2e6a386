"""Epochs as people write them: days, such as 2026-11-22."""

from __future__ import annotations

from datetime import date, timedelta

from dualtap.errors import Code, TapError

_START = date(1970, 1, 1)


def day(epoch: int) -> str:
    """Return an epoch as people read it."""
    return (_START + timedelta(days=epoch)).isoformat() if epoch < 2_900_000 else f"day {epoch}"


def parse_day(text: str) -> int:
    """Return the epoch of a day; raise ``BAD_INPUT``."""
    try:
        found = date.fromisoformat(text.strip())
    except ValueError as error:
        raise TapError(Code.BAD_INPUT, f"{text!r} is no day; write it like 2026-11-22") from error
    if found < _START:
        raise TapError(Code.BAD_INPUT, f"{text!r} is before 1970")
    return (found - _START).days
