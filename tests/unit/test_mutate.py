"""Mutation testing leaves out no module of the core, and names no test that is gone."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

import mutate
import pytest
from patched import exchanged, put

NOTHING = ast.Module([], [])
GROUPED = Counter(file for group in mutate.GROUPS.values() for file in group.modules)


def test_every_module_of_the_core_is_in_one_group() -> None:
    core = {path.relative_to(mutate.HERE).as_posix() for path in (mutate.HERE / mutate.CORE).glob("*.py")}
    assert core - {f"{mutate.CORE}/__init__.py"} <= set(GROUPED)
    assert set(GROUPED.values()) == {1}
    assert all((mutate.HERE / file).is_file() for file in GROUPED)


@pytest.mark.parametrize("name", mutate.GROUPS)
def test_the_tests_of_a_group_are_there(name: str) -> None:
    group = mutate.GROUPS[name]
    for test in {
        test
        for file in group.modules
        for test in mutate.tests_of(group, mutate.Mutant(file, 1, "", "", NOTHING, NOTHING))
    }:
        assert (mutate.HERE / test).exists(), test


def test_what_knows_a_module_best_is_of_a_module_that_is_mutated() -> None:
    assert set(mutate.FIRST) <= {Path(file).stem for file in GROUPED}


def test_a_mutant_is_another_program_that_can_run() -> None:
    found = mutate.spots(f"{mutate.CORE}/timed.py")
    assert found
    for spot in found:
        mutant = mutate.made(spot)
        assert ast.dump(mutant.tree) != ast.dump(mutant.whole)
        compile(mutant.tree, mutant.file, "exec")


def test_a_mutant_takes_the_place_of_what_is_loaded() -> None:
    source = "from __future__ import annotations\n\n\ndef two():\n    return [n for n in range(2)]\n\n\nHALF = 2\n"
    loaded: dict[str, object] = {}
    exec(source, loaded)
    mistaken = ast.parse(source.replace("range(2)", "range(3)"))
    assert put(exchanged(ast.parse(source), mistaken)) == 1
    assert cast("Callable[[], list[int]]", loaded["two"])() == [0, 1, 2]


def test_a_mistake_in_what_runs_at_import_asks_for_an_import() -> None:
    source = "HALF = 2\n\n\ndef half(whole=HALF):\n    return whole // HALF\n"
    with pytest.raises(LookupError):
        exchanged(ast.parse(source), ast.parse(source.replace("HALF = 2", "HALF = 3")))
    with pytest.raises(LookupError):
        exchanged(ast.parse(source), ast.parse(source))
