"""Asks a device's test port every vector, and compares the answers (protocol/vectors/README.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import cast

from dualtap.errors import Code, TapError
from dualtap.suite import sha256
from dualtap_conform.bench import ENOUGH
from dualtap_conform.clauses import ordered
from dualtap_conform.setup import Json, Object
from dualtap_conform.vector import Vector, lines
from dualtap_transports.link import Link


@dataclass(slots=True)
class Answers:
    """What came of the vectors: right, wrong (file, number and both answers), not offered, and unfit.

    Unfit are questions above the longest frame of the link: they say nothing of the device.
    """

    right: int = 0
    wrong: list[Object] = field(default_factory=list[Object])
    absent: int = 0
    unfit: int = 0
    clauses: dict[str, bool] = field(default_factory=dict[str, bool])
    digest: str = ""
    """The hash of all lines asked, which names the set."""

    def to_json(self) -> Object:
        """Return the fields of a report."""
        clauses: Object = {clause: "PASS" if self.clauses[clause] else "FAIL" for clause in ordered(self.clauses)}
        wrong: list[Json] = list(self.wrong)
        return {
            "digest": self.digest,
            "right": self.right,
            "wrong": wrong,
            "not_offered": self.absent,
            "does_not_fit": self.unfit,
            "clauses": clauses,
        }


def all_files() -> dict[str, Callable[[], Iterable[Vector]]]:
    """Return what yields the vectors of each file, by its name."""
    from dualtap_conform.files import FILES

    return dict(FILES)


@cache
def asked_clauses() -> frozenset[str]:
    """Return every clause that some vector asks for."""
    return frozenset(clause for make in all_files().values() for vector in make() for clause in vector.clauses)


def ask_all(connect: Callable[[], Link], patience: float, only: tuple[str, ...] = ()) -> Answers:
    """Ask every vector, or those of these files; ``patience`` is in seconds, for each.

    Raises ``BAD_INPUT`` for a file that does not exist, ``LINK_LOST`` or ``TIMEOUT`` if the device does not answer.
    """
    files = all_files()
    for name in only:
        if name not in files:
            raise TapError(Code.BAD_INPUT, f"no vectors called {name!r}; there are {', '.join(files)}")
    answers, digest = Answers(), b""
    asker = Asker(connect, patience)
    try:
        for name in only or files:
            for vector, line in _numbered(files[name]()):
                digest = sha256(digest + line)
                _ask(asker, name, vector, line, answers)
    finally:
        asker.close()
    answers.digest = digest.hex()
    return answers


class Asker:
    """Asks one question after another, over a new link where the device gave the last one up."""

    def __init__(self, connect: Callable[[], Link], patience: float) -> None:
        self._connect, self._patience = connect, patience
        self._link = connect()
        self._unanswered = 0

    @property
    def max_frame(self) -> int:
        """The longest question, in bytes."""
        return self._link.max_frame

    def close(self) -> None:
        """End."""
        self._link.close()

    def ask(self, frame: bytes) -> bytes:
        """Return the answer, or nothing if none came; raise as the link does if none comes several times running."""
        try:
            self._link.send(frame)
            answer = self._link.receive(self._patience)
        except TapError:
            self._unanswered += 1
            if self._unanswered >= ENOUGH:
                raise
            self._link.close()
            self._link = self._connect()
            return b""
        self._unanswered = 0
        return answer


def _numbered(vectors: Iterable[Vector]) -> Iterator[tuple[Vector, bytes]]:
    kept = list(vectors)
    yield from zip(kept, (line.encode() for line in lines(kept)), strict=True)


def _ask(asker: Asker, name: str, vector: Vector, line: bytes, answers: Answers) -> None:
    question = cast("Object", json.loads(line))
    number, expected = question["tcId"], question.pop("out")
    del question["result"]
    frame = json.dumps(question, separators=(",", ":")).encode()
    if len(frame) > asker.max_frame:
        answers.unfit += 1
        return
    try:
        answer = cast("Json", json.loads(asker.ask(frame)))
    except ValueError:
        answer = None
    got = (
        answer.get("out", "no out") if isinstance(answer, dict) and answer.get("tcId") == number else "no answer to it"
    )
    if got is None:
        answers.absent += 1
        return
    good = got == expected
    for clause in vector.clauses:
        answers.clauses[clause] = answers.clauses.get(clause, True) and good
    if good:
        answers.right += 1
    else:
        answers.wrong.append({"file": name, "tcId": number, "expected": expected, "got": got})
