"""Mutation testing by hand: ``python fuzz/mutate.py [GROUP ...] --sample 60 --seed 1``.

A mutant is a module with one small mistake in it; it is killed if a test of its group fails, and survives otherwise.
Each file of tests runs in a fork of this process, which has loaded what is slow to load and nothing of ours. The one
that knows the module best runs first; what outlives the quick ones meets the slower. A person judges what survives.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import json
import math
import os
import random
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO, cast

import pytest
from patched import Loop, exchanged, forked

HERE = Path(__file__).parents[1]
CORE, DEVICES = "protocol/dualtap", "devices/dualtap_devices"
OURS = ("dualtap", "dualtap_transports", "dualtap_devices", "dualtap_issuer", "dualtap_conform", "dualtap_apps",
        "dualtap_testing")  # fmt: skip
QUIETLY = ("-q", "-s", "-o", "timeout=0", "-p", "no:cacheprovider", "-p", "no:xdist",
           "-W", "ignore::pytest.PytestAssertRewriteWarning")  # fmt: skip
ENDS = ("killed", "timeout", "survived")
CPU = 120
"""Seconds of computing after which a mutant that never ends counts as killed."""


class Group(NamedTuple):
    """Modules that belong together, tests that are quick, and tests that are not."""

    modules: tuple[str, ...]
    quick: tuple[str, ...]
    slow: tuple[str, ...]


def _core(names: str) -> tuple[str, ...]:
    return tuple(f"{CORE}/{name}.py" for name in names.split())


def _unit(names: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/test_{name}.py" for name in names.split())


GROUPS = {
    "wire": Group(
        _core("codec elements forms compact wire logcodec records issued statements syncmessages ownermessages call "
              "pieces sync limits errors"),
        (*_unit("wire wire_bounds call elements book"), "tests/security/test_bounds.py"),
        (*_unit("sealed_sync owning rules_of_syncs seen taps limits_of_tiers"), "tests/property/test_wire_property.py",
         "tests/vectors"),
    ),
    "value": Group(
        _core("provenance graph select conditions"),
        _unit("provenance conditions book"),
        ("tests/scenarios/attacks/test_value.py", "tests/scenarios/attacks/test_warrants.py",
         "tests/scenarios/test_conditions.py", *_unit("taps"), "tests/vectors"),
    ),
    "trust": Group(
        _core("trust suite"),
        (*_unit("trust suite"), "tests/security/test_certificates.py"),
        (*_unit("provenance makers"), "tests/scenarios/attacks/test_authority.py", "tests/vectors"),
    ),
    "evidence": Group(
        _core("evidence verdict warned seen"),
        _unit("evidence seen"),
        (*_unit("news_by_tap"), "tests/scenarios/test_frauds.py", "tests/vectors"),
    ),
    "store": Group(
        (*(f"{DEVICES}/{name}.py" for name in ("slots", "flash", "keystore", "pin", "disk", "wallet")),
         *_core("keystore pin")),
        _unit("slots keystore disk pin wallet"),
        ("tests/property/test_slots_crash.py", "tests/security/test_nonces.py", *_unit("full_log taps succession"),
         "tests/scenarios/test_power_cut.py"),
    ),
    "machines": Group(
        _core("tap payee payer both outcome heal context states recall timed session telling allowance book account"
              " compaction events"),
        _unit("taps rules_of_taps timed session news_by_tap limits_of_tiers book kept_history"),
        (*_unit("states counter rotation owning provenance full_log"), "tests/scenarios/attacks/test_recall.py",
         "tests/scenarios/test_baskets.py", "tests/scenarios/test_driver.py"),
    ),
    "sessions": Group(
        _core("owning ownerend walletend ties sealedsync renewal standing"),
        _unit("owning sealed_sync renewal standing paid_once"),
        (*_unit("owning_pin rules_of_syncs ledger"), "tests/scenarios/test_owning_links.py",
         "tests/scenarios/test_owning_power.py"),
    ),
}  # fmt: skip
"""Every module of the core, and the devices' storage; tests of a process of its own would not meet the mutant."""

FIRST = {
    "allowance": "limits_of_tiers", "call": "call", "conditions": "conditions", "elements": "elements",
    "logcodec": "book", "records": "book", "book": "book", "account": "book",
    "compaction": "kept_history", "syncmessages": "sealed_sync", "sync": "rules_of_syncs",
    "ownermessages": "owning", "pieces": "news_by_tap", "suite": "suite", "seen": "seen", "pin": "pin", "disk": "disk",
    "keystore": "keystore", "wallet": "wallet", "timed": "timed", "session": "session", "telling": "news_by_tap",
    "recall": "rotation", "context": "rules_of_taps", "sealedsync": "sealed_sync", "renewal": "renewal",
    "standing": "standing", "warned": "news_by_tap",
}  # fmt: skip
"""The test that knows a module best, where it is not the first of its group: most mutants die there."""


class Mutant(NamedTuple):
    """A module with one mistake: its file, the line, what was written there and what is now, and both modules."""

    file: str
    line: int
    before: str
    after: str
    whole: ast.Module
    tree: ast.Module


class Spot(NamedTuple):
    """Where a mistake is made: a module, the way to the node in its tree, and which of the node's mistakes."""

    file: str
    path: tuple[tuple[str, int | None], ...]
    nth: int


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


def spots(file: str) -> list[Spot]:
    """Return where a module may be changed, once for each mistake."""
    tree = _parsed(file)
    return [Spot(file, path, nth) for path in places(tree) if path for nth, _ in enumerate(changed(_at(tree, path)))]


def made(spot: Spot) -> Mutant:
    """Return the module with the mistake at a spot."""
    whole = _parsed(spot.file)
    tree = _parsed(spot.file)
    parent, (name, at) = _at(tree, spot.path[:-1]), spot.path[-1]
    node = _at(tree, spot.path)
    other = list(changed(node))[spot.nth]
    if at is None:
        setattr(parent, name, other)
    else:
        getattr(parent, name)[at] = other
    ast.fix_missing_locations(tree)
    before, after = (ast.unparse(item).splitlines()[0] for item in (node, other))
    return Mutant(spot.file, getattr(node, "lineno", 0), before, after, whole, tree)


def _parsed(file: str) -> ast.Module:
    return ast.parse((HERE / file).read_text(encoding="utf-8"))


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module as a mutant."""

    def __init__(self, mutant: Mutant) -> None:
        self._tree = mutant.tree
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
        exec(compile(self._tree, self._file, "exec", dont_inherit=True), module.__dict__)


def run(mutant: Mutant | None, test: str) -> str:
    """Run a file of tests in a fork, on a mutant or on none; return ``killed``, ``timeout`` or ``survived``."""
    return forked(lambda: _tests(mutant, test), CPU)


def tests_of(group: Group, mutant: Mutant) -> list[str]:
    """Return the tests of a mutant's group, those first that find it soonest."""
    best = FIRST.get(Path(mutant.file).stem)
    return list(dict.fromkeys([*(_unit(best) if best else ()), *group.quick, *group.slow]))


class Judge:
    """Runs tests on mutants; a test counts if it passes on what is unchanged, which is tried when it first kills."""

    def __init__(self, loop: Loop, *, quick: bool) -> None:
        self._loop, self._quick = loop, quick
        self._whole: dict[str, bool] = {}

    def judge(self, group: Group, mutant: Mutant) -> tuple[str, str]:
        """Return what became of a mutant, and at which test. What outlives an exchange of code is imported anew."""
        with contextlib.suppress(LookupError):
            codes = exchanged(mutant.whole, mutant.tree)
            for test in tests_of(group, mutant):
                if not self._loop.has(test):
                    continue
                how = self._loop.run(test, codes)
                if how != "survived" and self._passes(test, lambda test: self._loop.run(test, {})):
                    return how, test
        for test in tests_of(group, mutant):
            if self._quick and not self._loop.has(test):
                continue
            how = run(mutant, test)
            if how != "survived" and self._passes(test, lambda test: run(None, test)):
                return how, test
        return "survived", ""

    def _passes(self, test: str, unchanged: Callable[[str], str]) -> bool:
        if test not in self._whole:
            self._whole[test] = unchanged(test) == "survived"
            if not self._whole[test]:
                print(f"not counted, as it fails without a mutant: {test}", file=sys.stderr)
        return self._whole[test]


def _tests(mutant: Mutant | None, test: str) -> int:
    """Run tests in a fork that has loaded nothing of ours but what a judge needs: forget it first."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", *OURS)]:
        del sys.modules[name]
    if mutant is not None:
        sys.meta_path.insert(0, Finder(mutant))
    return int(pytest.main([*QUIETLY, "-x", test]))


def main() -> None:
    """Print what became of each mutant as a line of JSON, and of each group how many were killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all without one")
    parser.add_argument("--sample", type=int, default=0, help="how many of each group's mutants; 0 for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help="leave out slow tests: what survives is to meet them later"
    )
    parser.add_argument("--seconds", type=float, default=0, help="begin no more after so long; 0 for no end")
    given = parser.parse_args()
    if unknown := set(given.groups) - set(GROUPS):
        parser.error(f"no group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    os.chdir(HERE)
    os.environ["CI"] = "true"
    sys.path.insert(0, str(HERE))
    with contextlib.suppress(ImportError):
        for name in ("pytest", "hypothesis", "cryptography.hazmat.primitives.asymmetric.ec", "msgpack", "jsonschema"):
            importlib.import_module(name)
    ends = time.monotonic() + given.seconds if given.seconds else math.inf
    names = given.groups or list(GROUPS)
    said = os.fdopen(os.dup(1), "w")  # the tests' own output is not ours
    loop = Loop(lambda loop: sampled(Judge(loop, quick=given.quick), said, names, given.sample, given.seed, ends), CPU)
    quick = dict.fromkeys([*(test for name in names for test in GROUPS[name].quick), *_unit(" ".join(FIRST.values()))])
    with said:
        code = pytest.main([*QUIETLY, *quick], plugins=[loop])
    sys.exit(int(code))


def sampled(judge: Judge, said: TextIO, names: Sequence[str], sample: int, seed: int, ends: float) -> None:
    """Try a sample of each group, in turn, until a time: print each mutant's end, and at last how many were killed."""
    found = {name: [spot for file in GROUPS[name].modules for spot in spots(file)] for name in names}
    chosen = {
        name: random.Random(seed).sample(found[name], min(sample or len(found[name]), len(found[name])))
        for name in names
    }
    ended: dict[str, dict[str, int]] = {name: dict.fromkeys(ENDS, 0) for name in names}
    for turn in itertools.zip_longest(*chosen.values()):
        for name, spot in zip(names, turn, strict=True):
            if spot is None or time.monotonic() > ends:
                continue
            mutant = made(spot)
            how, test = judge.judge(GROUPS[name], mutant)
            ended[name][how] += 1
            told = {"group": name, "how": how, "file": mutant.file, "line": mutant.line, "before": mutant.before}
            print(json.dumps({**told, "after": mutant.after, "test": test}), file=said, flush=True)
    for name in names:
        tried = sum(ended[name].values())
        total = {"group": name, "seed": seed, "all": len(found[name]), "tried": tried, **ended[name]}
        print(json.dumps(total), file=said, flush=True)


if __name__ == "__main__":
    main()
