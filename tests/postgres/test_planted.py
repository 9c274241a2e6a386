"""Planted frauds, over PostgreSQL."""

from __future__ import annotations

import pytest

from tests.scenarios.test_planted import (
    test_every_planted_fraud_is_found_and_nobody_is_framed,
    test_the_order_of_a_days_syncs_and_repeating_them_change_nothing,
)

pytestmark = pytest.mark.usefixtures("moved")
__all__ = [
    "test_every_planted_fraud_is_found_and_nobody_is_framed",
    "test_the_order_of_a_days_syncs_and_repeating_them_change_nothing",
]
