"""A disk's log, and every state in which a power cut may leave the disk: a model, without SQLite.

A write is durable once its file was synced after it. Until then each of its sectors may be on the disk or not, alone.
A file's name appears and goes in the order of the log; syncing a file makes its name, and all before it, durable.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

SECTOR = 512


class Write(NamedTuple):
    """Bytes at an offset of a file."""

    name: str
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file ends here."""

    name: str
    size: int


class Sync(NamedTuple):
    """A file's writes are durable."""

    name: str


class Create(NamedTuple):
    """A file is made, empty."""

    name: str


class Delete(NamedTuple):
    """A file's name is gone."""

    name: str


class Begun(NamedTuple):
    """Somebody asked for a change: the number of those that were acknowledged before."""

    done: int


class Acknowledged(NamedTuple):
    """A change was acknowledged; ``done`` of them are."""

    done: int


Operation: TypeAlias = Write | Truncate | Sync | Create | Delete | Begun | Acknowledged
Keep: TypeAlias = Callable[["Write | Truncate"], "list[Write | Truncate]"]
"""What of a write that waits is on the disk."""
Image: TypeAlias = dict[str, bytes]
"""Files by name."""


@dataclass
class _File:
    durable: bytearray = field(default_factory=bytearray)
    waiting: list[Write | Truncate] = field(default_factory=list["Write | Truncate"])

    def sync(self) -> None:
        for item in self.waiting:
            _apply(self.durable, item)
        self.waiting.clear()


def _apply(data: bytearray, item: Write | Truncate) -> None:
    if isinstance(item, Truncate):
        del data[item.size :]
        data.extend(bytes(item.size - len(data)))
        return
    end = item.offset + len(item.data)
    data.extend(bytes(max(0, end - len(data))))
    data[item.offset : end] = item.data


class Disk:
    """What is durable, and what waits."""

    def __init__(self) -> None:
        self.files: dict[str, _File] = {}
        self._names: dict[str, _File] = {}
        self._moves: list[tuple[str, _File | None]] = []

    def take(self, operation: Operation) -> None:
        """Go on by one operation."""
        match operation:
            case Write(name) | Truncate(name):
                self.files[name].waiting.append(operation)
            case Sync(name):
                found = self.files[name]
                found.sync()
                self._settle(found)
            case Create(name):
                self.files[name] = _File()
                self._moves.append((name, self.files[name]))
            case Delete(name):
                self.files.pop(name, None)
                self._moves.append((name, None))
            case Begun() | Acknowledged():
                pass

    def _settle(self, synced: _File) -> None:
        """Make names durable, up to the one of a file that was synced."""
        places = [place for place, (_, file) in enumerate(self._moves) if file is synced]
        for name, file in self._moves[: places[-1] + 1 if places else 0]:
            _name(self._names, name, file)
        del self._moves[: places[-1] + 1 if places else 0]

    @property
    def waits(self) -> bool:
        """Whether a power cut may leave more than one state."""
        return bool(self._moves) or any(file.waiting for file in self.files.values())

    def states(self, rng: random.Random, torn: int) -> Iterator[Image]:
        """Yield what a power cut may leave: nothing of what waits, all of it, and so many mixtures."""
        yield self._image(0, _nothing)
        if not self.waits:
            return
        yield self._image(len(self._moves), _everything)
        for _ in range(torn):
            kept, likely = rng.randint(0, len(self._moves)), rng.choice((0.1, 0.5, 0.9, 0.98))

            def some(item: Write | Truncate, likely: float = likely) -> list[Write | Truncate]:
                return [part for part in _sectors(item) if rng.random() < likely]

            yield self._image(kept, some)

    def _image(self, moves: int, keep: Keep) -> Image:
        names = dict(self._names)
        for name, file in self._moves[:moves]:
            _name(names, name, file)
        found: Image = {}
        for name, file in names.items():
            data = bytearray(file.durable)
            for item in file.waiting:
                for part in keep(item):
                    _apply(data, part)
            found[name] = bytes(data)
        return found


def _nothing(item: Write | Truncate) -> list[Write | Truncate]:
    del item
    return []


def _everything(item: Write | Truncate) -> list[Write | Truncate]:
    return [item]


def _name(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _sectors(item: Write | Truncate) -> list[Write | Truncate]:
    """Return a write as the sectors that a disk writes alone."""
    if isinstance(item, Truncate):
        return [item]
    found: list[Write | Truncate] = []
    at = item.offset
    while at < item.offset + len(item.data):
        end = min((at // SECTOR + 1) * SECTOR, item.offset + len(item.data))
        found.append(Write(item.name, at, item.data[at - item.offset : end - item.offset]))
        at = end
    return found
