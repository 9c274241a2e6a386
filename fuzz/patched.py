"""Puts a mutant into what is loaded: the code of its functions is exchanged, so that nothing is imported again.

It does for what a module does when it is called. A mistake in what a module does while it is imported (a constant, a
table, the body of a class) asks for a new import, and :func:`exchanged` says so.
"""

from __future__ import annotations

import ast
import gc
import os
import resource
import signal
import types
from collections.abc import Callable, Iterator, Sequence

import pytest

LOST = 113


def nested(code: types.CodeType) -> list[types.CodeType]:
    """Return the codes of what is defined directly in a code, in order."""
    return [item for item in code.co_consts if isinstance(item, types.CodeType)]


def _own(code: types.CodeType) -> tuple[object, ...]:
    constants = [repr(item) for item in code.co_consts if not isinstance(item, types.CodeType)]
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants


def _runs_at_import(code: types.CodeType) -> bool:
    """Return whether a code is a module's or a class's body: these have no fast locals."""
    return not code.co_flags & 0x02


def _pairs(one: types.CodeType, other: types.CodeType) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    """Yield what is what in two forms of a module. Raises :class:`LookupError` if import itself would differ."""
    if _runs_at_import(one) and _own(one) != _own(other):
        raise LookupError("a mistake in what is run at import")
    if len(nested(one)) != len(nested(other)):
        raise LookupError("not the same functions")
    yield one, other
    for inner, changed in zip(nested(one), nested(other), strict=True):
        yield from _pairs(inner, changed)


def exchanged(whole: ast.Module, mistaken: ast.Module) -> dict[types.CodeType, types.CodeType]:
    """Return which codes of a module become which. Raises :class:`LookupError` if that does not make the mutant."""
    pairs = list(_pairs(*(compile(tree, "", "exec", dont_inherit=True) for tree in (whole, mistaken))))
    found = {one: other for one, other in pairs if one != other and not _runs_at_import(one)}
    if not found or len({one for one, _ in pairs}) != len(pairs):
        raise LookupError("no function differs, or two cannot be told apart")
    return found


def put(codes: dict[types.CodeType, types.CodeType]) -> int:
    """Exchange the codes of every function that is alive; return of how many."""
    count = 0
    gc.unfreeze()  # a command that ran in this process before may have frozen what was loaded: it would not be found
    for item in gc.get_objects():
        if isinstance(item, types.FunctionType) and item.__code__ in codes:
            item.__code__ = codes[item.__code__]
            count += 1
    return count


class Loop:
    """A plugin of pytest: it collects tests once, hands itself to who judges, and runs tests in forks."""

    def __init__(self, judge: Callable[[Loop], None], seconds: int) -> None:
        self._judge, self._seconds = judge, seconds
        self._items: dict[str, list[pytest.Item]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge, in the place of running the tests."""
        for item in session.items:
            self._items.setdefault(item.path.relative_to(session.config.rootpath).as_posix(), []).append(item)
        self._judge(self)
        return True

    def has(self, file: str) -> bool:
        """Return whether a file's tests were collected."""
        return file in self._items

    def run(self, file: str, codes: dict[types.CodeType, types.CodeType]) -> str:
        """Run a file's tests with codes exchanged; return ``killed``, ``timeout`` or ``survived``.

        Raises:
            LookupError: the file was not collected, or no function that is alive has such a code.

        """
        items = self._items[file]
        found = forked(lambda: LOST if codes and not put(codes) else _failed(items), self._seconds)
        if found == "lost":
            raise LookupError("nothing alive has such a code")
        return found


def _failed(items: Sequence[pytest.Item]) -> int:
    session = items[0].session
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def forked(act: Callable[[], int], seconds: int) -> str:
    """Act in a fork, for so many seconds of computing; return by what it returns or how it ends what became of it."""
    child = os.fork()
    if child == 0:
        _in_child(act, seconds)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ends = {0: "survived", LOST: "lost", -signal.SIGXCPU: "timeout", -signal.SIGALRM: "timeout"}
    return ends.get(code, "killed")


def _in_child(act: Callable[[], int], seconds: int) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nowhere, number)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        signal.alarm(20 * seconds)  # what waits for ever computes nothing
        code = act()
    finally:
        os._exit(code)
