"""Mutation testing leaves out no module of the core, and names no test that is gone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import mutate
import pytest

GROUPED = Counter(file for group in mutate.GROUPS.values() for file in group.modules)


def test_every_module_of_the_core_is_in_one_group() -> None:
    core = {path.relative_to(mutate.HERE).as_posix() for path in (mutate.HERE / mutate.CORE).glob("*.py")}
    assert core - {f"{mutate.CORE}/__init__.py"} <= set(GROUPED)
    assert set(GROUPED.values()) == {1}
    assert all((mutate.HERE / file).is_file() for file in GROUPED)


@pytest.mark.parametrize("name", mutate.GROUPS)
def test_the_tests_of_a_group_are_there(name: str) -> None:
    group = mutate.GROUPS[name]
    for test in {test for file in group.modules for test in mutate.tests_of(group, mutate.Mutant(file, 1, "", "", ""))}:
        assert (mutate.HERE / test).exists(), test


def test_what_knows_a_module_best_is_of_a_module_that_is_mutated() -> None:
    assert set(mutate.FIRST) <= {Path(file).stem for file in GROUPED}


def test_a_mutant_is_another_program_that_can_run() -> None:
    file = f"{mutate.CORE}/timed.py"
    whole = mutate.ast.unparse(mutate.ast.parse((mutate.HERE / file).read_text()))
    found = mutate.spots(file)
    assert found
    for spot in found:
        mutant = mutate.made(spot)
        assert mutant.source != whole
        compile(mutant.source, file, "exec")
