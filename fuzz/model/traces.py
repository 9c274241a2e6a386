"""Reads what TLC's simulation writes: one behaviour a file, each state as the values of its variables."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

Value: TypeAlias = "str | int | bool | tuple[Value, ...] | frozenset[Value] | Record"
State: TypeAlias = dict[str, Value]

_TOKEN = re.compile(r'"[^"]*"|\|->|<<|>>|:>|@@|-?\d+|[A-Za-z_]\w*|[{}\[\],()]')
_VARIABLE = re.compile(r"^/\\ (\w+) = ", re.MULTILINE)


class Record(tuple[tuple[str, "Value"], ...]):
    """A record, or a function of strings: its fields in the order of their names."""

    __slots__ = ()

    def __getitem__(self, name: object) -> Value:  # type: ignore[override]
        """Return a field."""
        return dict(self)[str(name)]


def record(**fields: Value) -> Record:
    """Return a record with these fields."""
    return Record(sorted(fields.items()))


def states(text: str) -> list[State]:
    """Return the states of one behaviour."""
    found: list[State] = []
    for block in re.split(r"^STATE_\d+ ==", text, flags=re.MULTILINE)[1:]:
        parts = _VARIABLE.split(block.split("\n\n")[0])
        found.append({name: value(body.strip()) for name, body in zip(parts[1::2], parts[2::2], strict=True)})
    return found


@lru_cache(maxsize=1 << 16)
def value(text: str) -> Value:
    """Return the value that a text of TLC's stands for."""
    parser = _Parser(_TOKEN.findall(text))
    found = parser.value()
    parser.end(text)
    return found


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def end(self, text: str) -> None:
        """Raise where something is left."""
        if self._at != len(self._tokens):
            raise ValueError(f"not a value: {text}")

    def value(self) -> Value:
        """Return the value that begins here."""
        found = self._next()
        if found == "{":
            return frozenset(self._items("}"))
        if found == "<<":
            return tuple(self._items(">>"))
        if found == "[":
            return self._fields()
        if found[0] == '"':
            return found[1:-1]
        if found in ("TRUE", "FALSE"):
            return found == "TRUE"
        return int(found)

    def _items(self, closing: str) -> list[Value]:
        found: list[Value] = []
        while self._tokens[self._at] != closing:
            found.append(self.value())
            if self._tokens[self._at] == ",":
                self._at += 1
        self._at += 1
        return found

    def _fields(self) -> Record:
        found: dict[str, Value] = {}
        while True:
            name = self._next()
            self._at += 1  # the arrow
            found[name] = self.value()
            if self._next() == "]":
                return record(**found)
