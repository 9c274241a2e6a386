"""A vector: one question that has one right answer, as one line of JSON (protocol/vectors/README.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dualtap.errors import Code
from dualtap_conform.setup import Json, Object


@dataclass(frozen=True, slots=True)
class Vector:
    """An operation, what goes in, and what must come out: values, or ``{"error": NAME}``.

    ``clauses`` are those of SPEC that decide it, ``flags`` the classes of bug that it finds.
    """

    op: str
    suite: str
    clauses: tuple[str, ...]
    flags: tuple[str, ...]
    comment: str
    given: Object
    gives: Object

    @property
    def valid(self) -> bool:
        """Whether the right answer is no error."""
        return "error" not in self.gives

    def to_json(self, number: int) -> Object:
        """Return the object of one line; ``number`` is its place in its file, from 1."""
        clauses: list[Json] = list(self.clauses)
        flags: list[Json] = list(self.flags)
        return {
            "tcId": number,
            "op": self.op,
            "suite": self.suite,
            "clauses": clauses,
            "flags": flags,
            "comment": self.comment,
            "in": self.given,
            "out": self.gives,
            "result": "valid" if self.valid else "invalid",
        }


def error(code: Code) -> Object:
    """Return the answer that refuses by this code."""
    return {"error": code.name}


def lines(vectors: Iterable[Vector]) -> Iterator[str]:
    """Yield the lines of a vector file, each with its end."""
    for number, vector in enumerate(vectors, 1):
        yield json.dumps(vector.to_json(number), separators=(",", ":"), ensure_ascii=True) + "\n"
