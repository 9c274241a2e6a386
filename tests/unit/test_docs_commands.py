"""The pages' commands run as they are written, in order, in a folder where nothing else is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from dualtap_apps.cli import run

ROOT = Path(__file__).parents[2]
ELSEWHERE = ("--on", "--issuer", "--via", "serve")
"""What only works with a second terminal, a radio or a service beside it: tested where these are."""


def commands(page: str) -> Iterator[list[str]]:
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
        for line in re.findall(r"^\$ (dualtap .*)$", block, flags=re.MULTILINE):
            words = " ".join(shlex.quote(word) for word in shlex.split(line, comments=True))
            for command in words.split(" '&&' "):
                found = shlex.split(command)[1:]
                if not set(found) & set(ELSEWHERE):
                    yield found


@pytest.mark.parametrize(
    ("page", "least"), [("README.md", 8), ("docs/owning-cards.md", 20), ("docs/running-a-scheme.md", 19)]
)
def test_a_page_keeps_its_word(page: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = list(commands(page))
    assert len(told) >= least, "most of the page is run"
    for command in told:
        if command[0] != "conform":
            assert run(command) == 0, command


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)(#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
