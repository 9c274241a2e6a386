"""Makes the story of a :class:`~dualtap_testing.machine.TapMachine` that fails as short as it can.

Hypothesis shrinks choices, hundreds of them; here whole steps are left out, and then numbers made small, by playing the
story again: a few dozen times, each time from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import NamedTuple

import pytest
from hypothesis.stateful import RuleBasedStateMachine

FAILURES = (Exception, pytest.fail.Exception)
"""What a story that fails raises: ``pytest.fail``'s is no ``Exception``."""


class Step(NamedTuple):
    """One rule that was played, and with what."""

    name: str
    given: Mapping[str, object]

    def __str__(self) -> str:
        """Show the call."""
        return f"{self.name}({', '.join(f'{name}={_shown(value)}' for name, value in sorted(self.given.items()))})"


class Failure(NamedTuple):
    """How a story fails: the error, and the steps up to it. ``ended`` says that it fails in ``teardown``."""

    error: BaseException
    story: tuple[Step, ...]
    ended: bool

    def lines(self, name: str) -> list[str]:
        """Return the program that fails so."""
        calls = [str(step) for step in self.story] + ["teardown()"] * self.ended
        return [f"state = {name}()", *(f"state.{call}" for call in calls)]


def shortest(machine: Callable[[], RuleBasedStateMachine], story: tuple[Step, ...]) -> Failure | None:
    """Return the shortest failure that is found from this story, or ``None`` if it does not fail when played again.

    Any error of the same type will do: a device that breaks two promises by one bug is told the shorter way.
    """
    best = played(machine, story)
    if best is None:
        return None
    changed = True
    while changed:
        changed = False
        for candidate in _shorter(best.story):
            found = played(machine, candidate)
            if found is not None and type(found.error) is type(best.error):
                best, changed = found, True
                break
    return best


def played(machine: Callable[[], RuleBasedStateMachine], story: tuple[Step, ...]) -> Failure | None:
    """Play a story from the beginning; return how it fails. A step that may not be played now is no failure."""
    state = machine()
    try:
        return _played(state, story)
    finally:
        close = getattr(state, "close", None)
        if close is not None:
            with suppress(*FAILURES):
                close()


def _played(state: RuleBasedStateMachine, story: tuple[Step, ...]) -> Failure | None:
    allowed = {rule.function.__name__: rule.preconditions for rule in state.rules}
    done: list[Step] = []
    for step in story:
        if not all(condition(state) for condition in allowed.get(step.name, ())):
            return None
        done.append(step)
        try:
            getattr(state, step.name)(**step.given)
            _check_invariants(state)
        except FAILURES as error:
            return Failure(error, tuple(done), ended=False)
    try:
        state.teardown()
    except FAILURES as error:
        return Failure(error, tuple(done), ended=True)
    return None


def _check_invariants(state: RuleBasedStateMachine) -> None:
    """Check what a machine's author wrote as Hypothesis's ``@invariant``."""
    for invariant in state.invariants:
        if all(condition(state) for condition in invariant.preconditions):
            invariant.function(state)


def _shorter(story: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Yield simpler stories: without a step but the first, then with a smaller value in one."""
    for place in range(len(story) - 1, 0, -1):
        yield (*story[:place], *story[place + 1 :])
    for place, step in enumerate(story):
        for name, value in step.given.items():
            for smaller in _smaller(name, value):
                yield (*story[:place], Step(step.name, {**step.given, name: smaller}), *story[place + 1 :])


_FROM_ZERO = {"peer", "sale", "which"}


def _smaller(name: str, value: object) -> Iterator[object]:
    if value is True:
        yield False
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from range(0 if name in _FROM_ZERO else 1, value)


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Enum) else repr(value)
