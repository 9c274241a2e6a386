"""Tests that need more than Python packages, or much time, are collected only where they are asked for.

That is ``make test-radio``, ``make test-postgres`` and ``make security``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

APART = {Path(__file__).parent / name for name in ("radio", "postgres", "security/heavy")}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a folder out of a run that does not name it."""
    asked = {part for argument in config.args for part in Path(str(argument).partition("::")[0]).parts}
    return True if collection_path in APART and collection_path.name not in asked else None
