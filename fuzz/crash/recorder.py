"""SQLite as production opens it, over a VFS that keeps the log of the disk: APSW in the place of ``sqlite3``.

Python's ``sqlite3`` links a library of its own, to which no VFS can be given. What is stood in for is that binding
alone: the store's statements, pragmas and transactions are production's.
"""

# APSW is imported where it is installed; nothing is known of its types.
# pyright: reportUntypedBaseClass=false, reportUnknownMemberType=false

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

from crash.disk import Create, Delete, Operation, Sync, Truncate, Write
from dualtap_issuer import sqlite

apsw: Any = import_module("apsw")
Row = tuple[Any, ...]


class Recorder:
    """A VFS, registered under a name of its own, that writes down what reaches the files."""

    def __init__(self, name: str, hear: Callable[[Operation], None]) -> None:
        self.name, self._hear = name, hear
        recorder = self

        class File(apsw.VFSFile):  # type: ignore[misc]
            """A file whose changes are told, under the last part of its path."""

            def __init__(self, path: Any, flags: list[int]) -> None:
                self._path = path if isinstance(path, str) else path.filename()
                missing = not os.path.exists(self._path)
                super().__init__("", path, flags)
                if missing:
                    recorder.tell(Create(_last(self._path)))

            def xWrite(self, data: bytes, offset: int) -> None:
                super().xWrite(data, offset)
                recorder.tell(Write(_last(self._path), offset, bytes(data)))

            def xTruncate(self, size: int) -> None:
                super().xTruncate(size)
                recorder.tell(Truncate(_last(self._path), size))

            def xSync(self, flags: int) -> None:
                super().xSync(flags)
                recorder.tell(Sync(_last(self._path)))

        class Vfs(apsw.VFS):  # type: ignore[misc]
            """The default one, with files of ours."""

            def __init__(self) -> None:
                super().__init__(name, "")

            def xOpen(self, path: Any, flags: list[int]) -> Any:
                return File(path, flags)

            def xDelete(self, path: str, sync: bool) -> None:
                super().xDelete(path, sync)
                recorder.tell(Delete(_last(path)))

        self._vfs = Vfs()

    def tell(self, operation: Operation) -> None:
        """Write down an operation."""
        self._hear(operation)


def _last(path: str) -> str:
    return os.path.basename(path)


class Changed:
    """What production uses of ``sqlite3.Cursor``."""

    rowcount = -1

    def __init__(self, database: Any) -> None:
        self._database = database

    def execute(self, query: str, values: Sequence[object] = ()) -> Changed:
        """Run a statement; ``rowcount`` has how many rows it changed."""
        self._database.execute(query, values)
        self.rowcount = int(self._database.changes())
        return self


class Connection:
    """What production uses of ``sqlite3.Connection``."""

    def __init__(self, database: Any, pragmas: dict[str, str]) -> None:
        self._database, self._pragmas = database, pragmas

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return bool(self._database.in_transaction)

    def execute(self, query: str, values: Sequence[object] = ()) -> Any:
        """Run a statement; a pragma may be another than production's, for a control."""
        return self._database.execute(self._pragmas.get(query, query), values)

    def executemany(self, query: str, rows: Iterable[Row]) -> Any:
        """Run a statement for each row."""
        return self._database.executemany(query, rows)

    def cursor(self) -> Changed:
        """Return what runs statements and counts the rows that they change."""
        return Changed(self._database)

    def create_function(self, name: str, narg: int, func: Callable[..., object], *, deterministic: bool) -> None:
        """Give queries a function."""
        self._database.create_scalar_function(name, func, narg, deterministic=deterministic)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class Binding:
    """What production uses of the module ``sqlite3``."""

    Error = apsw.Error
    OperationalError = apsw.BusyError

    def __init__(self, vfs: str, pragmas: dict[str, str]) -> None:
        self._vfs, self._pragmas = vfs, pragmas

    def connect(self, target: object, **options: object) -> Connection:
        """Open a file as production asks."""
        del options
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        return Connection(apsw.Connection(str(target), flags=flags, vfs=self._vfs), self._pragmas)


@contextmanager
def recording(hear: Callable[[Operation], None], name: str, pragmas: dict[str, str]) -> Generator[None]:
    """Have production open its ledgers through a recorder; ``pragmas`` replace production's, word by word."""
    recorder = Recorder(name, hear)
    with patch.object(sqlite, "sqlite3", Binding(recorder.name, pragmas)):
        yield
