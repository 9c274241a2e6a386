"""The README keeps its word: its example runs and prints what it says, its links and folders exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    assert found, f"no {language} block"
    return found[1]


def test_the_example_runs_and_prints_what_it_says() -> None:
    code = block("python")
    said = re.findall(r"# prints: (.*)", code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == said
    assert said, "the example shows what it prints"


def test_the_demo_prints_what_the_readme_says() -> None:
    done = subprocess.run([sys.executable, "-m", "dualtap_apps", "demo"], capture_output=True, text=True, check=True)

    def masked(text: str) -> str:
        return re.sub(r"wallet [0-9a-f]{16}", "wallet ID", text).strip()

    assert masked(done.stdout).endswith(masked(block("text")))


def test_the_example_is_twelve_lines() -> None:
    lines = [line for line in block("python").splitlines() if line.strip() and not line.startswith("# prints")]
    assert len(lines) <= 12


def test_the_first_two_commands_are_the_two_that_do_everything() -> None:
    commands = [line.split("#")[0].strip() for line in block("sh").splitlines() if line.startswith("make")]
    assert commands == ["make demo", "make test"]


def test_links_and_folders_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    for folder in re.findall(r"^\| `([a-z_./]+)/` \|", README, flags=re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_what_is_said_to_be_somewhere_is_there() -> None:
    """Each name in the map is defined in the file that is linked after it."""
    rows = re.findall(r"^\| (?:a |an |any|it )[^|]*\| (.*) \|$", README, flags=re.MULTILINE)
    places = [place for row in rows for place in re.findall(r"`(\w+)` in \[`[\w.]+`\]\(([^)]+)\)", row)]
    assert len(places) >= 16
    for name, file in places:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^ *(?:def|class) {name}\b", source, flags=re.MULTILINE), (name, file)
