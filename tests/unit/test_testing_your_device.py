"""``docs/testing-your-device.md`` keeps its word: its device fails as it says, mended it passes, its links exist."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/testing-your-device.md"
TEXT = GUIDE.read_text(encoding="utf-8")
GADGET, MACHINE, MENDED, *MORE = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
(PRINTED, *_) = re.findall(r"```text\n(.*?)```", TEXT, flags=re.DOTALL)


def loaded(monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> types.ModuleType:
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def test_the_planted_bug_is_found_and_shrunk_as_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, "gadget", GADGET)
    test = loaded(monkeypatch, "test_gadget", MACHINE)
    with pytest.raises(AssertionError) as failed:
        test.test_gadget()
    error = failed.value
    notes = [line for note in error.__notes__ for line in note.splitlines()]
    story = [line for line in notes if line.startswith("state")]
    assert [f"{type(error).__module__}.{type(error).__qualname__}: {error}", *story] == PRINTED.splitlines()


def test_the_mended_device_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    mended = GADGET[: GADGET.index("    def stop(")] + MENDED
    loaded(monkeypatch, "gadget", mended)
    test = loaded(monkeypatch, "test_gadget", MACHINE)
    state = test.GadgetMachine()
    for line in PRINTED.splitlines()[2:]:
        exec(line, {"state": state})


def test_the_links_exist() -> None:
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#:]+)\)", prose)
    assert targets
    for target in targets:
        assert (GUIDE.parent / target).exists(), target
