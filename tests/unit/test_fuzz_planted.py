"""A bug that fuzz/planted.py plants is in today's code: one that no longer applies would prove nothing."""

from __future__ import annotations

import gc
import types
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import planted
import pytest
from engine import Target, load
from patched import nested, put

from dualtap_transports import apdu_card

FULL = bytes([0, 0, 2, 0, 0]) + bytes([5, 0, 0, 1]) + bytes([0, 0, 255])
"""A reader's story for the target ``apdu``: the longest frames are taken, SELECT, and five of them at once."""


STORIES = {
    "an introduction has two texts": [bytes([6])],
    "a reader believes a tag's size": [bytes([5, 2 * 5, 1])],
    "a history that spends a unit twice": [bytes([n >> 8, n & 255, 1]) for n in range(440)],
    "any message is taken in any state": [bytes([0, 0, 0, 0, 0, 0, 0, 2, n]) for n in range(64)],
    "a payment accepted twice from one history": [bytes([1, 0x2E, 0, 0, 0, 0, 0, 0, 3, 128 + 16])],
}
"""Stories of which one at least shows the bug: the last letter of a text; a tag that is honest for five answers and
then says nothing; the vectors' payments, all signatures believed; a word out of turn; a payment of other units."""


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


def _functions(text: str, path: Path) -> dict[str, types.CodeType]:
    """The path too is what it is elsewhere: what is put back serves later tests, which may look for its source."""
    found: dict[str, types.CodeType] = {}
    left = [compile(text, str(path), "exec", dont_inherit=True)]
    while left:
        code = left.pop()
        found[code.co_qualname] = code
        left += nested(code)
    return found


@contextmanager
def _planted(bug: planted.Bug) -> Generator[None]:
    path = planted.ROOT / bug.file
    text = path.read_text(encoding="utf-8")
    whole, broken = _functions(text, path), _functions(text.replace(bug.old, bug.new), path)
    codes = {code: broken[name] for name, code in whole.items() if name in broken and code != broken[name]}
    assert put(codes)
    try:
        yield
    finally:
        put({code: before for before, code in codes.items()})


@pytest.mark.parametrize("what", STORIES)
def test_a_story_shows_a_planted_bug_and_is_quiet_without_it(what: str) -> None:
    (bug,) = [bug for bug in planted.BUGS if bug.what == what]
    target = load(bug.target)
    gc.freeze()  # as commands do that may have run in this process: what is frozen is found all the same
    _play(target, STORIES[what])
    with _planted(bug), pytest.raises((AssertionError, AttributeError)):
        _play(target, STORIES[what])


def _play(target: Target, stories: list[bytes]) -> None:
    for story in stories:
        target.one(story)
