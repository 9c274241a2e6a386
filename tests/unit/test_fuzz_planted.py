"""A bug that fuzz/planted.py plants is in today's code: one that no longer applies would prove nothing."""

from __future__ import annotations

import planted
import pytest


@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.what)
def test_a_planted_bug_changes_one_place_of_todays_code(bug: planted.Bug) -> None:
    text = (planted.ROOT / bug.file).read_text(encoding="utf-8")
    assert text.count(bug.old) == 1
    compile(text.replace(bug.old, bug.new), bug.file, "exec")
