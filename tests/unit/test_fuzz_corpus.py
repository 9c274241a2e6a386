"""Every input of the fuzzer's corpus keeps its target's invariant: what was mended stays mended."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from engine import NAMES, corpus_of, load, mutated, replay, shrunk, why

FUZZ = Path(__file__).parents[2] / "fuzz"


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_replays(name: str) -> None:
    target = load(name)
    files = corpus_of(name)
    assert files, "a target without a corpus"
    for path in files:
        target.one(path.read_bytes())


def test_each_corpus_has_a_target_and_is_small() -> None:
    folders = {path.name for path in (FUZZ / "corpus").iterdir()}
    assert folders == set(NAMES)
    assert sum(path.stat().st_size for path in (FUZZ / "corpus").rglob("*")) < 300_000
    assert {path.stem for path in FUZZ.glob("*.dict")} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_target_says_its_invariant_in_one_line(name: str) -> None:
    lines = (FUZZ / "targets" / f"{name}.py").read_text().splitlines()
    assert lines[0].startswith('"""')
    assert lines[0].rstrip('"').endswith(".")


def _broken(data: bytes) -> None:
    if b"\x07" in data and b"\x09" in data:
        raise ValueError("a planted bug")


def test_what_is_found_is_made_small() -> None:
    data = random.Random(5).randbytes(400) + b"\x09"
    assert why(_broken, data) is not None
    small = shrunk(_broken, data)
    assert sorted(small) == [7, 9]
    assert why(_broken, b"") is None


def test_a_mutant_is_the_same_for_the_same_seed() -> None:
    def some(seed: int) -> list[bytes]:
        rng = random.Random(seed)
        return [mutated(rng, [b"abc", b"defgh"], [b"word"]) for _ in range(50)]

    assert some(1) == some(1) != some(2)


def test_a_replay_says_what_broke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"")
    assert replay("wire", [good]) == 0
    assert replay("wire", [tmp_path / "missing"]) == 1
    assert "FileNotFoundError" in capsys.readouterr().err
