"""Rotations, over PostgreSQL."""

from __future__ import annotations

import pytest

from tests.unit import test_rotation as rotations

pytestmark = pytest.mark.usefixtures("moved")
mint = rotations.mint
TESTS = {name: test for name, test in vars(rotations).items() if name.startswith("test_") and "power" not in name}
globals().update(TESTS)


def test_the_rotations_tests_are_here() -> None:
    assert len(TESTS) > 20
