"""A bug that fuzz/planted.py plants is in today's code: one that no longer applies would prove nothing."""

from __future__ import annotations

import planted
import pytest
from engine import load

from dualtap_transports import apdu_card

FULL = bytes([0, 0, 2, 0, 0]) + bytes([5, 0, 0, 1]) + bytes([0, 0, 255])
"""A reader's story for the target ``apdu``: the longest frames are taken, SELECT, and five of them at once."""


@pytest.mark.parametrize("bug", planted.BUGS, ids=lambda bug: bug.what)
def test_a_planted_bug_changes_one_place_of_todays_code(bug: planted.Bug) -> None:
    text = (planted.ROOT / bug.file).read_text(encoding="utf-8")
    assert text.count(bug.old) == 1
    compile(text.replace(bug.old, bug.new), bug.file, "exec")


def _nothing(frames: object) -> int:
    del frames
    return 0


def test_a_card_that_takes_more_than_it_has_room_for_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    target = load("apdu")
    target.one(FULL)
    monkeypatch.setattr(apdu_card, "weight", _nothing)
    with pytest.raises(AssertionError):
        target.one(FULL)
