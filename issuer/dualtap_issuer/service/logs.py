"""Logs: one JSON object a line on stderr. What devices said, keys, tokens and session names are never in them."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import TypeAlias

Say: TypeAlias = Callable[..., None]
"""``say(event, **fields)`` writes one line."""


def to_stderr(event: str, **fields: object) -> None:
    """Write one line."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(json.dumps({"at": at, "event": event, **fields}) + "\n")
    sys.stderr.flush()


class Forward(logging.Handler):
    """Passes on what the HTTP server says of itself: its message, and of an error the type alone."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[0] if record.exc_info else None
        kind = error.__name__ if error is not None else ""
        self._say("server", level=record.levelname.lower(), text=record.getMessage()[:200], error=kind)
