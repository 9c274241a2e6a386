"""Mutation testing by hand: ``python fuzz/mutate.py GROUP --sample 60 --seed 1``.

A mutant is a module with one small mistake in it; it is killed if a test of its group fails, and survives otherwise.
Tests run in a fork of this process, which has loaded what is slow to load and nothing of ours. Those that are quick run
first, and what outlives them meets the slower ones. What survives is printed with its line, for a person to judge.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

HERE = Path(__file__).parents[1]
CORE, DEVICES = "protocol/dualtap", "devices/dualtap_devices"
PATIENCE = 300
"""Seconds after which a mutant that never ends counts as killed."""


class Group(NamedTuple):
    """Modules that belong together, tests that are quick, and tests that are not."""

    modules: tuple[str, ...]
    quick: tuple[str, ...]
    slow: tuple[str, ...]


GROUPS = {
    "wire": Group(
        (f"{CORE}/codec.py", f"{CORE}/forms.py", f"{CORE}/compact.py", f"{CORE}/wire.py"),
        ("tests/unit/test_wire.py", "tests/unit/test_call.py", "tests/security/test_bounds.py"),
        ("tests/property/test_wire_property.py", "tests/vectors"),
    ),
    "value": Group(
        (f"{CORE}/provenance.py", f"{CORE}/graph.py", f"{CORE}/pieces.py", f"{CORE}/select.py"),
        ("tests/unit/test_provenance.py", "tests/unit/test_conditions.py", "tests/unit/test_book.py"),
        ("tests/vectors", "tests/scenarios/attacks/test_value.py", "tests/scenarios/attacks/test_warrants.py",
         "tests/scenarios/test_conditions.py", "tests/unit/test_taps.py"),
    ),
    "evidence": Group(
        (f"{CORE}/evidence.py", f"{CORE}/verdict.py"),
        ("tests/unit/test_evidence.py",),
        ("tests/vectors", "tests/scenarios/test_frauds.py"),
    ),
    "store": Group(
        (f"{DEVICES}/slots.py", f"{DEVICES}/flash.py", f"{DEVICES}/keystore.py"),
        ("tests/unit/test_slots.py", "tests/unit/test_keystore.py", "tests/unit/test_disk.py",
         "tests/unit/test_pin.py"),
        ("tests/property/test_slots_crash.py", "tests/security/test_nonces.py", "tests/scenarios/test_kill.py"),
    ),
    "machines": Group(
        tuple(f"{CORE}/{name}.py" for name in
              ("tap", "payee", "payer", "both", "outcome", "heal", "context", "states", "recall", "timed")),
        ("tests/unit/test_taps.py", "tests/unit/test_rules_of_taps.py", "tests/unit/test_timed.py",
         "tests/unit/test_session.py"),
        ("tests/unit/test_states.py", "tests/scenarios/attacks/test_recall.py", "tests/scenarios/test_baskets.py",
         "tests/unit/test_news_by_tap.py", "tests/unit/test_limits_of_tiers.py", "tests/scenarios/test_driver.py"),
    ),
}  # fmt: skip


class Mutant(NamedTuple):
    """A module with one mistake: its file, the line, what was written and what is now, and the whole source."""

    file: str
    line: int
    before: str
    after: str
    source: str


_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.Mod: ast.Mult, ast.LShift: ast.RShift,
}  # fmt: skip


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in a node's place by mistake."""
    other = copy.deepcopy(node)
    match other:
        case ast.Compare(ops=[operator, *_]) if type(operator) in _COMPARED:
            other.ops[0] = _COMPARED[type(operator)]()
            yield other
        case ast.BoolOp(op=operator):
            other.op = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield other
        case ast.UnaryOp(op=ast.Not()):
            yield other.operand
        case ast.BinOp(op=operator) if type(operator) in _COUNTED:
            other.op = _COUNTED[type(operator)]()
            yield other
        case ast.Constant(value=bool()):
            other.value = not other.value
            yield other
        case ast.Constant(value=int(number)):
            other.value = number + 1
            yield other
        case ast.If() | ast.IfExp():
            other.test = ast.UnaryOp(ast.Not(), other.test)
            yield other
        case ast.Raise() | ast.Expr(value=ast.Call()) | ast.AugAssign():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case _:
            return


def _passed_over(node: ast.AST) -> bool:
    """Return whether nothing in a node matters to what the program does: texts of errors, types, reprs."""
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__repr__", "__str__")
    if isinstance(node, ast.Raise):
        return True  # left out as a whole, and its text is for people
    named = isinstance(node, ast.ImportFrom | ast.Import | ast.JoinedStr | ast.Assert)
    return named or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))


def places(
    node: ast.AST, path: tuple[tuple[str, int | None], ...] = ()
) -> Iterator[tuple[tuple[str, int | None], ...]]:
    """Yield the way to each node that may be changed."""
    yield path
    if _passed_over(node):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        if isinstance(value, ast.AST):
            yield from places(value, (*path, (name, None)))
        elif isinstance(value, list):
            for at, item in enumerate(cast("list[object]", value)):
                if isinstance(item, ast.AST):
                    yield from places(item, (*path, (name, at)))


def _at(tree: ast.AST, path: Sequence[tuple[str, int | None]]) -> ast.AST:
    for name, at in path:
        value = getattr(tree, name)
        tree = value if at is None else value[at]
    return tree


def mutants(file: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    for path in list(places(tree)):
        if not path:
            continue
        node = _at(tree, path)
        for other in changed(node):
            whole = copy.deepcopy(tree)
            parent, (name, at) = _at(whole, path[:-1]), path[-1]
            if at is None:
                setattr(parent, name, other)
            else:
                getattr(parent, name)[at] = other
            before, after = (ast.unparse(item).splitlines()[0] for item in (node, other))
            yield Mutant(file, getattr(node, "lineno", 0), before, after, ast.unparse(ast.fix_missing_locations(whole)))


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from a mutant's source."""

    def __init__(self, mutant: Mutant) -> None:
        self._source = mutant.source
        self._file = str(HERE / mutant.file)
        self._name = ".".join(Path(mutant.file).with_suffix("").parts[1:])

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Return where the mutant is loaded from."""
        del path, target
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._file, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """Make it as any other."""
        del spec
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the mutant."""
        exec(compile(self._source, self._file, "exec"), module.__dict__)


def run(mutant: Mutant | None, tests: Sequence[str]) -> str:
    """Run tests on a mutant, or on nothing changed, in a fork; return ``killed``, ``timeout`` or ``survived``."""
    child = os.fork()
    if child == 0:
        _in_child(lambda: _tests(mutant, tests))
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _in_child(act: Callable[[], int]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        code = act()
    finally:
        os._exit(code)


def _tests(mutant: Mutant | None, tests: Sequence[str]) -> int:
    import pytest

    if mutant is not None:
        sys.meta_path.insert(0, Finder(mutant))
    return int(
        pytest.main(
            [
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:xdist",
                "-W",
                "ignore::pytest.PytestAssertRewriteWarning",
                *tests,
            ]
        )
    )


def main() -> None:
    """Print each survivor as a line of JSON, and at last how many were killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--sample", type=int, default=0, help="how many of all mutants; 0 for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="begin no more after so long; 0 for no end")
    given = parser.parse_args()
    os.chdir(HERE)
    os.environ["CI"] = "true"
    sys.path.insert(0, str(HERE))
    with contextlib.suppress(ImportError):
        for name in ("pytest", "hypothesis", "cryptography.hazmat.primitives.asymmetric.ec", "msgpack", "jsonschema"):
            importlib.import_module(name)
    group = GROUPS[given.group]
    found = [mutant for file in group.modules for mutant in mutants(file)]
    chosen = random.Random(given.seed).sample(found, min(given.sample or len(found), len(found)))
    for tests in (group.quick, group.slow):
        if run(None, tests) != "survived":
            sys.exit(f"these fail as they are: {' '.join(tests)}")
    began = time.monotonic()
    ended: dict[str, int] = dict.fromkeys(("killed", "timeout", "survived"), 0)
    for mutant in chosen:
        if given.seconds and time.monotonic() - began > given.seconds:
            break
        how = run(mutant, group.quick)
        if how == "survived":
            how = run(mutant, group.slow)
        ended[how] += 1
        if how == "survived":
            print(json.dumps(mutant._replace(source="")._asdict()), flush=True)
    tried = sum(ended.values())
    print(
        json.dumps({"group": given.group, "seed": given.seed, "all": len(found), "tried": tried, **ended}), flush=True
    )


if __name__ == "__main__":
    main()
