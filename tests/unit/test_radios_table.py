"""Every cell of the table in ``docs/radios.md`` names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "radios.md").read_text(encoding="utf-8")
SAME = ("as in one process", "as TCP")


def rows() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_no_cell_is_empty_and_each_names_what_is_there() -> None:
    assert len(rows()) >= 8
    for stack, *cells in rows():
        assert len(cells) == 6, stack
        for cell in cells:
            if cell in SAME:
                continue
            found = re.fullmatch(r"\[shown\]\(\.\./(tests/[\w/]+\.py)#(\w+)\)", cell)
            assert found, (stack, cell)
            assert re.search(rf"^(def|class) {found[2]}\b", (ROOT / found[1]).read_text(encoding="utf-8"), re.M), cell


def test_only_what_the_same_code_carries_is_left_to_another_row() -> None:
    left = {stack for stack, *cells in rows() if {*SAME} & {*cells}}
    assert left == {"`lan`", "the same, three processes", "`nfc+ble`, a handover"}
