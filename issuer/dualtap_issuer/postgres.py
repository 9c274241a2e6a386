"""The ledger's rows in PostgreSQL 15 or later, for many processes at once.

**Commit, then look.** At READ COMMITTED, two transactions that insert overlapping rows at the same time each miss the
other. So nobody looks for what its rows meet before those rows are committed (:meth:`PostgresStore.publish`): of two
processes, the one whose commit is later looks after both, and finds the pair; both may find it, and the primary key of
what they write keeps it once. No lock is held while looking, and none is needed: rows of the index are only ever
added, so that what was found stays true. What a process has shown and not yet looked at stands in ``todo``, and is
done again by whoever opens the ledger next, or uploads the same, if that process dies.

**No deadlock.** Each statement takes its rows in the order of their keys, each transaction its tables in one order, and
the advisory locks, of which a transaction takes at most two, come before or after all rows.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import LiteralString, cast

from dualtap.errors import Code, TapError
from dualtap.suite import sha256
from dualtap_issuer.database import Raw, explained, migrations
from dualtap_issuer.rows import TodoRow
from dualtap_issuer.store import Store

try:
    import psycopg
except ImportError as missing:
    raise TapError(
        Code.BAD_INPUT, "PostgreSQL needs its driver, which is not installed: pip install 'dualtap[postgres]'"
    ) from missing

_GATE = 0x6475616C
"""The advisory lock that every transaction shares, and that who wants to be alone takes for itself."""
_SETTINGS = ("jit = off", "enable_hashjoin = off", "enable_mergejoin = off", "enable_seqscan = off")
"""Every question is a walk along an index, however stale the planner's counts of young tables are."""
_COLUMNS = "abcdefgh"
_TODO = 33
"""Bytes of one fact in a batch of ``todo``: its digest, and whether only its stamp changed."""


class PostgresStore(Store):
    """One connection to a ledger that other processes may share."""

    LOCK = " FOR UPDATE"

    def __init__(self, where: str, create: bool) -> None:
        self._where = where.rpartition("@")[2]  # a password is nobody's to read in an error
        self._batches_known: dict[bytes, set[TodoRow]] = {}
        with self._explained():
            self._db = psycopg.connect(where, autocommit=True)
        try:
            if self._db.info.server_version < 150000:
                raise TapError(Code.BAD_INPUT, f"{self._where}: PostgreSQL 15 or later is needed")
            for setting in _SETTINGS:
                self._run(f"SET {setting}")
            self._migrate(create)
        except BaseException:
            self._db.close()
            raise

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self._where, psycopg.OperationalError, psycopg.Error)

    def _run(self, query: str, values: Sequence[object] = ()) -> psycopg.Cursor[Raw]:
        with self._explained():
            return self._db.execute(cast("LiteralString", query), values or None, binary=True)

    def _at_once(self, *queries: str) -> None:
        """Run queries without values in one round trip."""
        with self._explained():
            self._db.execute(cast("LiteralString", "; ".join(queries)))

    def _migrate(self, create: bool) -> None:
        if self._missing(create):
            with self.transaction(alone=True):
                for number, statements in self._missing(create):
                    self._run("CREATE TABLE IF NOT EXISTS migration (number bigint PRIMARY KEY)")
                    for statement in statements:
                        self._run(statement)
                    self._run("INSERT INTO migration VALUES (%s)", (number,))

    def _missing(self, create: bool) -> list[tuple[int, list[str]]]:
        """Return the migrations that are to be done; asking keeps nobody out."""
        there = self._run("SELECT to_regclass('migration')::text").fetchone() != (None,)
        if not there and not create:
            raise TapError(Code.LEDGER_CORRUPT, f"{self._where}: there is no ledger")
        done = {row[0] for row in self._run("SELECT number FROM migration")} if there else set[int]()
        return [item for item in migrations("postgres") if item[0] not in done]

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Generator[None]:
        """Make everything inside durable, or, up to the last publish, change nothing if it raises.

        The gate is the session's, not the transaction's: it stays held from one publish to the next.
        """
        shared = "" if alone else "_shared"
        unlock = f"SELECT pg_advisory_unlock{shared}({_GATE})"
        self._batches_known.clear()
        self._at_once(f"SELECT pg_advisory_lock{shared}({_GATE})", "BEGIN")
        try:
            yield
            self._at_once("COMMIT", unlock)
        except BaseException:
            for query in ("ROLLBACK", unlock):
                with suppress(TapError):
                    self._run(query)
            raise

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Read as of one instant, for which alone the others' transactions are kept out."""
        self._run(f"SELECT pg_advisory_lock({_GATE})")
        try:
            self._run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._run("SELECT count(*) FROM migration")  # the instant is that of the first read
        finally:
            with suppress(TapError):
                self._run(f"SELECT pg_advisory_unlock({_GATE})")
        try:
            yield
        finally:
            with suppress(TapError):
                self._run("ROLLBACK")

    def publish(self, todo: Iterable[TodoRow] = ()) -> bool:
        """Commit what was written so far, and go on.

        Only the last commit of a transaction waits for the disk: the log is one sequence, so that it takes all
        earlier ones with it.
        """
        body = b"".join(row.digest + bytes([row.moved]) for row in sorted(todo))
        if body:
            batch = sha256(body)
            self.insert("todo", ("batch", "body"), [(batch, body)])
            self._batches_known[batch] = _rows(body)
        self._at_once("SET LOCAL synchronous_commit = off", "COMMIT", "BEGIN")
        return True

    def pending(self, digests: Collection[bytes]) -> list[TodoRow]:
        """Return those of these facts that are still to be looked at."""
        wanted = set(digests)
        return [row for row in self.unfinished() if row.digest in wanted]

    def unfinished(self) -> list[TodoRow]:
        """Return every fact that is still to be looked at: of the few batches that are being written, or were left."""
        self._batches_known = {batch: _rows(body) for batch, body in self.ask("SELECT batch, body FROM todo")}
        return [row for rows in self._batches_known.values() for row in rows]

    def finish(self, todo: Collection[TodoRow]) -> None:
        """Forget them, as far as this transaction knows of them, except those that another process is forgetting."""
        done = set(todo)
        self.ask(
            "DELETE FROM todo WHERE batch IN (SELECT t.batch FROM {wanted} CROSS JOIN todo t "
            "WHERE t.batch = w.a FOR UPDATE OF t SKIP LOCKED) RETURNING batch",
            sorted((batch,) for batch, rows in self._batches_known.items() if rows <= done),
        )

    def lock(self, name: str) -> None:
        """Take an advisory lock until the transaction ends."""
        number = int.from_bytes(sha256(name.encode())[:8], "big", signed=True)
        self._run("SELECT pg_advisory_xact_lock(%s)", (number,))

    def ask(self, query: str, wanted: Sequence[Raw] | None = None, values: Sequence[object] = ()) -> list[Raw]:
        """Return a query's rows; what is wanted goes as one array a column."""
        if wanted is None:
            found = self._run(query, values)
            return found.fetchall() if found.description else []
        if not wanted:
            return []
        columns, names = _arrays(wanted)
        table = f"unnest({names}) AS w({', '.join(_COLUMNS[: len(columns)])})"
        place = query.partition("{wanted}")[0].count("%s")
        everything = (*values[:place], *columns, *values[place:])
        return self._run(query.replace("{wanted}", table), everything).fetchall()

    def scan(self, query: str) -> Iterator[Raw]:
        """Yield a query's rows, a thousand at a time."""
        with self._db.transaction(), self._db.cursor("scan", binary=True) as rows:
            rows.itersize = 1000
            yield from rows.execute(cast("LiteralString", query))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Raw]) -> set[object]:
        """Insert rows where they are missing, in one order, so that two processes never wait for each other."""
        if not rows:
            return set()
        arrays, names = _arrays(rows)
        listed, order = ", ".join(columns), ", ".join(str(place + 1) for place in range(len(columns)))
        query = (
            f"INSERT INTO {table} ({listed}) SELECT * FROM unnest({names}) ORDER BY {order} "
            f"ON CONFLICT DO NOTHING RETURNING {columns[0]}"
        )
        return {row[0] for row in self._run(query, arrays)}

    def size(self) -> int:
        """Return the bytes of all tables and indices."""
        query = """SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
            WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"""
        return int(self.ask(query)[0][0])

    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Return every table with the columns of its primary key."""
        query = """
            SELECT c.relname::text, coalesce(array_agg(a.attname::text ORDER BY array_position(i.indkey, a.attnum))
                FILTER (WHERE a.attnum IS NOT NULL), '{}')
            FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)
            WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace GROUP BY c.relname
        """
        return {row[0]: tuple(row[1]) for row in self._run(query)}


def _arrays(rows: Sequence[Raw]) -> tuple[list[list[object]], str]:
    """Return rows as one array a column, and the parameters that take them."""
    columns: list[list[object]] = []
    kinds: list[str] = []
    for column in zip(*rows, strict=True):
        binary = isinstance(column[0], bytes)
        columns.append(list(column) if binary else [int(number) for number in column])
        kinds.append("bytea" if binary else "bigint")
    return columns, ", ".join(f"%b::{kind}[]" for kind in kinds)


def _rows(body: bytes) -> set[TodoRow]:
    """Return the facts of a batch of ``todo``."""
    last = _TODO - 1
    return {TodoRow(body[place : place + last], body[place + last]) for place in range(0, len(body), _TODO)}
