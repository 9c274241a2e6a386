"""``docs/testing-your-device.md`` keeps its word: its device fails as it says, mended it passes, its links exist."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from dualtap_devices.wallet import Wallet
from dualtap_testing.seeded import SeededScheme
from dualtap_transports.link import Link

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/testing-your-device.md"
TEXT = GUIDE.read_text(encoding="utf-8")
GADGET, MACHINE, MENDED, BESIDE, OWN = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
PRINTED, STORY, DIFFERS, CHART = re.findall(r"```text\n(.*?)```", TEXT, flags=re.DOTALL)
MENDED_GADGET = GADGET[: GADGET.index("    def stop(")] + MENDED


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
    printed = [f"{type(error).__module__}.{type(error).__qualname__}: {error}", *error.__notes__]
    assert printed == PRINTED.splitlines()
    assert vars(error)["tap_chart"].endswith("\n\n" + STORY.rstrip())


def test_the_mended_device_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, "gadget", MENDED_GADGET)
    test = loaded(monkeypatch, "test_gadget", MACHINE)
    state = test.GadgetMachine()
    for line in PRINTED.splitlines()[3:]:
        exec(line, {"state": state})


def test_beside_ours_only_the_mended_device_is_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(monkeypatch, "gadget", GADGET)
    with pytest.raises(AssertionError) as failed:
        loaded(monkeypatch, "test_beside", BESIDE).test_beside_ours()
    error = failed.value
    assert f"{type(error).__module__}.{type(error).__qualname__}: {error}".split() == DIFFERS.split()
    loaded(monkeypatch, "gadget", MENDED_GADGET)
    loaded(monkeypatch, "test_beside", BESIDE).test_beside_ours()


def test_the_tests_of_your_own_pass_and_the_chart_is_what_is_printed(
    monkeypatch: pytest.MonkeyPatch,
    tap_scheme: SeededScheme,
    tap_wallet: Callable[..., Wallet],
    tap_link: Callable[..., tuple[Link, Link]],
) -> None:
    own = loaded(monkeypatch, "test_own", OWN)
    own.test_a_sale(tap_scheme, tap_wallet)
    assert tap_scheme.trace is not None
    masked = [re.sub(r"\d+ bytes|-", "", text) for text in (tap_scheme.trace.chart() + "\n", CHART)]
    assert masked[0] == masked[1]
    own.test_a_link_that_fails(tap_link)
    own.test_no_forgery_is_taken()


def test_the_links_exist() -> None:
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#:]+)\)", prose)
    assert targets
    for target in targets:
        assert (GUIDE.parent / target).exists(), target
