"""Several institutions and their banks, over PostgreSQL."""

from __future__ import annotations

import pytest

from tests.scenarios import test_institutions as suite

ON_FILES = {"test_the_ordinals_of_an_older_ledger_are_its_banks"}
"""It makes a file of SQLite's; the contract of the stores has its like."""
TESTS = {name: test for name, test in vars(suite).items() if name.startswith("test_") and name not in ON_FILES}
globals().update(TESTS)
pytestmark = pytest.mark.usefixtures("moved")
