"""What a soak comes to is added to what is kept, of taps and of fuzz targets in one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soak
from run import Campaign

from dualtap.errors import Code, TapError
from dualtap_testing.tally import Kept


def test_each_half_keeps_what_the_other_counted(tmp_path: Path) -> None:
    path = tmp_path / "tally.json"
    for seed in (1_001, 1_002):
        kept = soak.Fuzzed.load(path)
        kept.add(Campaign({"wire": 30, "tap": 2}, 1.6, failed=seed == 1_002))
        kept.save(path)
        assert kept.seed == seed
        taps = Kept.load(path)
        taps.taps += 7
        taps.save(path)
    found = json.loads(path.read_text())
    assert found["taps"] == 14
    assert found["fuzz"] == {
        "seed": 1_002, "executions": 64, "seconds": 4, "failures": 1, "targets": {"wire": 60, "tap": 4}
    }  # fmt: skip
    assert Kept.load(path).seed == Kept().seed


def test_what_was_run_on_a_commit_is_counted_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "tally.json"
    soak.Fuzzed().save(path)
    for commit in ("one", "two", "one"):
        soak.note(path, commit, 5, 9)
    assert json.loads(path.read_text())["commits"] == {
        "one": {"taps": 10, "executions": 18}, "two": {"taps": 5, "executions": 9}
    }  # fmt: skip


def test_rounds_go_on_until_the_time_is_up_each_with_a_seed_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = [0.0], list[tuple[int, int]]()

    def fake(_: object, runs: int, seconds: int, seed: int, *__: object) -> Campaign:
        asked.append((runs, seed))
        assert seconds > 0
        now[0] += 25
        return Campaign({"wire": runs}, 25, failed=len(asked) == 2)

    monkeypatch.setattr("soak.time.monotonic", lambda: now[0])
    monkeypatch.setattr(soak, "campaign", fake)
    assert soak.fuzz(tmp_path / "tally.json", 1, first=10)
    assert asked == [(10, 1_000), (20, 1_001), (40, 1_002)]
    assert soak.Fuzzed.load(tmp_path / "tally.json").executions == 70
    assert soak.Fuzzed.load(tmp_path / "tally.json").failures == 1


@pytest.mark.parametrize("text", ["", "[]", '{"fuzz": {"more": 1}}', '{"fuzz": 5}'])
def test_a_file_of_something_else_is_no_tally(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tally.json"
    path.write_text(text)
    with pytest.raises(TapError) as found:
        soak.Fuzzed.load(path)
    assert found.value.code is Code.BAD_INPUT
    assert soak.main([str(path)]) == 2
    assert "no tally" in capsys.readouterr().err
