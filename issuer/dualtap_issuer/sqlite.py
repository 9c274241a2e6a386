"""The ledger's rows in one SQLite file: the default, with one writer at a time. WAL, and every commit synchronous."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap.suite import sha256
from dualtap_issuer.database import Raw, explained, migrations
from dualtap_issuer.rows import TodoRow
from dualtap_issuer.store import Store

_COLUMNS = "abcdefgh"
_WAIT = 60.0
"""Seconds to wait for another process that writes."""
_FEW = 8
"""Wanted rows that stand in the query itself: one statement in place of three."""
_STATEMENTS = 512
"""Statements that a connection keeps prepared: every query of a ledger, for each count of a few wanted rows."""


@cache
def _inlined(query: str, count: int, width: int) -> str:
    """Return a query with so many wanted rows of so many columns in it."""
    first = ", ".join(f"? AS {column}" for column in _COLUMNS[:width])
    more = f" UNION ALL SELECT {', '.join('?' * width)}" * (count - 1)
    return query.replace("{wanted}", f"(SELECT {first}{more}) w")


class SqliteStore(Store):
    """A file, or ``":memory:"``. A transaction is all or nothing, and there are no others beside it."""

    def __init__(self, path: str | Path, create: bool) -> None:
        self._where = str(path)
        if Path(path).exists() and not Path(path).is_file():
            # SQLite would open a pipe, and wait until somebody writes to it.
            raise TapError(Code.LEDGER_CORRUPT, f"{path} is no file")
        try:
            target, uri = (path, False) if create else (f"{Path(path).resolve().as_uri()}?mode=rw", True)
            self._db = sqlite3.connect(
                target, timeout=_WAIT, uri=uri, isolation_level=None, cached_statements=_STATEMENTS
            )
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "temp_store = MEMORY",
                "cache_size = -262144",
                "wal_autocheckpoint = 20000",
            ):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.create_function("sha256", 1, sha256, deterministic=True)
            self._migrate()
            self._db.execute(f"CREATE TEMP TABLE wanted ({', '.join(_COLUMNS)})")
        except sqlite3.Error as error:
            raise TapError(Code.LEDGER_CORRUPT, f"{path}: {error}") from error

    def _migrate(self) -> None:
        with self.transaction():
            self._db.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY)")
            done = {row[0] for row in self._db.execute("SELECT number FROM migration")}
            for number, statements in migrations("sqlite"):
                if number not in done:
                    for statement in statements:
                        self._db.execute(statement)
                    self._db.execute("INSERT INTO migration VALUES (?)", (number,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Generator[None]:
        """Make everything inside durable at once, or change nothing if it raises. One writer is always alone."""
        del alone
        self._run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk has ended it already
                self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Read as of one instant: writers of a write-ahead log go on beside a reader."""
        self._run("BEGIN DEFERRED")
        try:
            self._run("SELECT count(*) FROM migration")  # the instant is that of the first read
            yield
        finally:
            if self._db.in_transaction:
                self._run("ROLLBACK")

    def _run(self, query: str, values: Sequence[object] = ()) -> list[Raw]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error:
            with explained(self._where, sqlite3.OperationalError, sqlite3.Error):
                raise

    def _write(self, query: str, rows: Sequence[Raw]) -> None:
        try:
            self._db.executemany(query, rows)
        except sqlite3.Error:
            with explained(self._where, sqlite3.OperationalError, sqlite3.Error):
                raise

    def publish(self, todo: Iterable[TodoRow] = ()) -> bool:
        """Do nothing: no other process writes until this transaction ends."""
        del todo
        return False

    def pending(self, digests: Collection[bytes]) -> list[TodoRow]:
        """Return nothing: a transaction leaves nothing half done."""
        del digests
        return []

    def unfinished(self) -> list[TodoRow]:
        """Return nothing."""
        return []

    def finish(self, todo: Collection[TodoRow]) -> None:
        """Do nothing."""

    def lock(self, name: str) -> None:
        """Do nothing: the transaction is the lock."""

    def ask(self, query: str, wanted: Sequence[Raw] | None = None, values: Sequence[object] = ()) -> list[Raw]:
        """Return a query's rows; a few that are wanted stand in it, more go through a temporary table in memory."""
        if wanted is None:
            return self._run(query.replace("%s", "?"), values)
        if not wanted:
            return []
        width = len(wanted[0])
        if len(wanted) <= _FEW and not values:
            return self._run(_inlined(query, len(wanted), width), [item for row in wanted for item in row])
        text = query.replace("%s", "?")
        marks = ", ".join("?" * width)
        self._write(f"INSERT INTO wanted ({', '.join(_COLUMNS[:width])}) VALUES ({marks})", wanted)
        try:
            return self._run(text.replace("{wanted}", "wanted w"), values)
        finally:
            self._run("DELETE FROM wanted")

    def scan(self, query: str) -> Iterator[Raw]:
        """Yield a query's rows."""
        with explained(self._where, sqlite3.OperationalError, sqlite3.Error):
            yield from self._db.execute(query)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Raw]) -> set[object]:
        """Insert rows where they are missing; return the new ones' first column."""
        query = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        with explained(self._where, sqlite3.OperationalError, sqlite3.Error):
            insert = self._db.cursor().execute
            return {row[0] for row in rows if insert(query, row).rowcount}

    def size(self) -> int:
        """Return the bytes of the file's pages that are in use."""
        names = ("page_count", "freelist_count", "page_size")
        pages, free, each = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return int((pages - free) * each)

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Return every table with the columns of its primary key."""
        tables = [row[0] for row in self._db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        keys = {table: self._db.execute(f"PRAGMA table_info({table})").fetchall() for table in tables}
        return {
            table: tuple([name for _, name in sorted((row[5], row[1]) for row in rows if row[5])])
            for table, rows in keys.items()
        }
