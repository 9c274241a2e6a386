"""Every rule of SPEC.md has a number, a test that exercises it, and no citation names a rule that is not there.

A test cites a clause by its number with the sign before it: in its docstring, in a comment of its own, or in its
table of cases. What a citation claims, that the test fails when the rule is broken, no program can check: it is
reviewed.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import pytest

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "protocol" / "SPEC.md").read_text(encoding="utf-8")
FOLDERS = ("protocol", "transports", "devices", "issuer", "apps", "fuzz", "tests", "benchmarks", "docs")
LABEL = re.compile(r"(?:- )?\*\*§(\d+(?:\.\d+)*)-(\d+)\*\*")
CITED = re.compile(r"§(\d+(?:\.\d+)*-\d+)")
HEADING = re.compile(r"#+ (?:§(\d+(?:\.\d+)*) )?")


@dataclass(frozen=True)
class Block:
    """A paragraph or bullet outside tables, figures and formulas, and the section that it stands in."""

    section: str
    text: str

    @property
    def label(self) -> str:
        """The clause's number, such as 8.2-3; empty if this block has none."""
        found = LABEL.match(self.text)
        return f"{found[1]}-{found[2]}" if found else ""

    @property
    def must(self) -> bool:
        """Whether an implementer has to do, or not to do, what it says."""
        return re.search(r"\bMUST\b", self.text) is not None


def blocks(text: str) -> Iterator[Block]:
    """Yield every block below the first numbered heading."""
    section, lines, fenced = "", list[str](), False
    for line in [*text.splitlines(), ""]:
        if line.startswith("```"):
            fenced = not fenced
        skipped = fenced or line[:1] in ("|", "#", "`") or line.startswith("    ") or not line.strip()
        if lines and (skipped or line.startswith("- ")):
            yield Block(section, " ".join(lines))
            lines = []
        heading = None if fenced else HEADING.match(line)
        if heading:
            section = heading[1] or section
        if section and not skipped:
            lines.append(line.strip())


def check_labels(text: str) -> None:
    """Labels are dense from 1 and in order, each under its own heading and at the head of its block."""
    last: dict[str, int] = {}
    for block in blocks(text):
        assert len(re.findall(r"\*\*§", block.text)) == bool(block.label), f"a label inside: {block.text}"
        if block.label:
            section, number = block.label.split("-")
            assert section == block.section, f"{block.label} stands under §{block.section}"
            assert int(number) == last.get(section, 0) + 1, f"{block.label} follows {last.get(section, 0)}"
            last[section] = int(number)
    labelled = [line for line in text.splitlines() if re.search(r"\*\*§\d", line)]
    assert len(labelled) == sum(last.values()), "a label in a table, a figure or a formula"


def check_musts(text: str) -> None:
    """What somebody must do has a number."""
    assert not [block.text for block in blocks(text) if block.must and not block.label]


def clauses(text: str) -> dict[str, Block]:
    """Return the clauses by number."""
    return {block.label: block for block in blocks(text) if block.label}


# Who cites what


def bodies_of_tests(source: str) -> Iterator[str]:
    """Yield the text of each test, with its decorators, and of each table of cases: there alone a citation counts."""
    lines, tree = source.splitlines(), ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *[mark.lineno for mark in node.decorator_list]])
            yield "\n".join(lines[first - 1 : node.end_lineno])
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield "\n".join(lines[node.lineno - 1 : node.end_lineno])


def vectors() -> Iterator[tuple[str, str]]:
    """Yield each clause that a test vector names, and the vector's file."""
    for path in sorted((ROOT / "protocol" / "vectors").glob("**/*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            item: object = json.loads(line)
            if isinstance(item, dict):
                for label in cast("dict[str, list[str]]", item).get("clauses", ()):
                    yield label, path.name


@cache
def exercised() -> frozenset[str]:
    """Return the clauses that a test or a vector cites."""
    paths = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    found = {
        label for path in paths for test in bodies_of_tests(path.read_text("utf-8")) for label in CITED.findall(test)
    }
    return frozenset(found | {label for label, _ in vectors()})


@cache
def cited() -> frozenset[tuple[str, str]]:
    """Return every citation in code, tests, documents, vectors and the specification itself, with its file."""
    paths = [path for folder in FOLDERS for kind in ("py", "md") for path in (ROOT / folder).rglob(f"*.{kind}")]
    paths += sorted(ROOT.glob("*.md"))
    found = set(vectors())
    for path in paths:
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            found |= {(label, str(path.relative_to(ROOT))) for label in CITED.findall(text)}
    return frozenset(found)


def uncited(text: str, by: frozenset[str]) -> list[str]:
    """Return the clauses with MUST that nothing exercises."""
    return [label for label, block in clauses(text).items() if block.must and label not in by]


def unknown(text: str, by: frozenset[tuple[str, str]]) -> list[str]:
    """Return the citations that name no clause, with their files."""
    known = clauses(text)
    return sorted(f"{path}: {label}" for label, path in by if label not in known)


def check_numbers(text: str) -> None:
    check_labels(text)
    check_musts(text)


def test_every_rule_has_a_number_of_its_own() -> None:
    check_numbers(SPEC)


def test_every_must_is_exercised() -> None:
    assert uncited(SPEC, exercised()) == []


def test_every_citation_names_a_clause() -> None:
    assert unknown(SPEC, cited()) == []


# Each of these is a mistake that somebody might make


def test_a_lost_citation_is_noticed() -> None:
    musts = [label for label, block in clauses(SPEC).items() if block.must]
    assert len(musts) > 200
    for label in musts:
        assert label in uncited(SPEC, exercised() - {label})


@pytest.mark.parametrize("wrong", ["8.2-99", "8.7-1", "99-1", "8.2-0"])
def test_a_wrong_citation_is_noticed(wrong: str) -> None:
    assert unknown(SPEC, frozenset({("8.2-3", "a file"), (wrong, "some file")})) == [f"some file: {wrong}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("**§8.2-3**", "**§8.2-2**"),
        ("**§8.2-3**", "**§8.2-4**"),
        ("**§8.2-3**", "**§8.3-3**"),
        ("- **§8.2-3** ", "- "),
        ("- **§8.2-3** A deposit", "- A deposit **§8.2-3**"),
        ("| `LINK_LOST` |", "| **§9-3** `LINK_LOST` |"),
        ("## §10 Limits\n", "## §10 Limits\n\nA device MUST guess.\n"),
        ("## §10 Limits\n", "## §10 Limits\n\n- **§10-1** A device guesses.\n"),
    ],
)
def test_a_wrong_label_is_noticed(old: str, new: str) -> None:
    assert SPEC.count(old) == 1
    text = SPEC.replace(old, new)
    with pytest.raises(AssertionError):
        check_numbers(text)


def test_a_citation_counts_only_in_a_test_or_in_its_cases() -> None:
    source = '"""§1-1"""\n# §1-2\nX = [\n    case("§1-3"),\n]\n\n'
    source += '@mark  # §1-4\ndef test_x() -> None:\n    """§1-5."""\n    pass  # §1-6\n'
    source += "\n\ndef helper() -> None:\n    # §1-7\n    pass\n"
    found = {label for test in bodies_of_tests(source) for label in CITED.findall(test)}
    assert found == {"1-3", "1-4", "1-5", "1-6"}


def test_the_lists_above_are_not_empty() -> None:
    assert len(clauses(SPEC)) > 250
    assert {"8.2-3", "16-14", "1-7"} <= clauses(SPEC).keys()
