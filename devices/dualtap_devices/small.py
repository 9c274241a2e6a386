"""Small files of JSON that anybody may have written: what is in one, or a reason, and no more than a bounded read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

MOST: Final = 1 << 20
"""Bytes of the longest file that is read: a thousand times what any of ours holds."""


def parsed(path: Path) -> object:
    """Return what a file of JSON holds; raise ``OSError``, or ``ValueError`` for what is long, deep or no JSON.

    A pipe that nobody writes to is empty: it is not waited for.
    """
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        data = file.read(MOST + 1) or b""
    if len(data) > MOST:
        raise ValueError(f"more than {MOST} bytes")
    return parsed_text(data.decode("utf-8"))


def parsed_text(text: str | bytes) -> object:
    """Return what JSON says; raise ``ValueError`` for what is no JSON, or nests too deeply to be read."""
    try:
        found: object = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found
