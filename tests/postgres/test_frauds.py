"""Planted frauds, over PostgreSQL."""

from __future__ import annotations

import pytest

from tests.scenarios import test_frauds as frauds

pytestmark = pytest.mark.usefixtures("moved")
mint = frauds.mint
TESTS = {name: test for name, test in vars(frauds).items() if name.startswith("test_")}
globals().update(TESTS)


def test_the_frauds_are_here() -> None:
    assert len(TESTS) == 12
