"""Tests that need more than Python packages are collected only where they are asked for: ``make test-radio``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

RADIO = Path(__file__).parent / "radio"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the folder out of a run that does not name it."""
    asked = any("radio" in Path(str(argument).partition("::")[0]).parts for argument in config.args)
    return True if collection_path == RADIO and not asked else None
