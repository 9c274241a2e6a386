"""A store that is already large, for the issuer's benchmark: as many payments as are asked for, in every table.

The rows have the number, the keys, the relations and about the sizes of real ones, but nobody signed them: what is
measured on top of them is the store, and it never reads them as statements.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from dualtap_issuer.store import Store

_BODIES = ((1, "token", 180), (2, "certificate", 150), (3, "paid", 290), (4, "opening", 130), (5, "asked", 140),
           (3, "receipt", 250), (4, "place", 130))  # fmt: skip
"""The facts of one payment: kind, column, bytes."""
_NEAR = {"opening": "paid", "place": "receipt"}
"""The digest of an opening begins as the id of its statement does."""
_DIGESTS = ("token", "certificate", "paid", "opening", "asked", "receipt", "place", "payer", "commitment", "request")
_TILL = 100
"""Payments of one till."""


def _inserts(body: str, near: str) -> list[str]:
    """Return the statements that fill every table from ``base``.

    ``body`` makes as many bytes; ``near`` a digest of one column that begins as another's.
    """
    facts = " UNION ALL ".join(
        f"SELECT {near.format(column, _NEAR[column]) if column in _NEAR else column} AS digest, {kind} AS kind, "
        f"{body.format(size)} AS body, 19000 AS epoch FROM base"
        for kind, column, size in _BODIES
    )
    return [
        f"INSERT INTO fact SELECT * FROM ({facts}) f ORDER BY digest",
        "INSERT INTO tape SELECT payer, 0, 1, paid FROM base ORDER BY payer",
        "INSERT INTO tape SELECT till, i, i + 1, receipt FROM base ORDER BY till, i",
        "INSERT INTO outcome SELECT till, request, receipt, paid FROM base ORDER BY till, request",
        "INSERT INTO asked SELECT till, request, paid FROM base ORDER BY till, request",
        "INSERT INTO certified SELECT payer, certificate FROM base ORDER BY payer",
        "INSERT INTO span SELECT token, token, 0, 0, 0, 100, paid, 0 FROM base ORDER BY token",
        "INSERT INTO span SELECT token, paid, 1, 0, 0, 100, deposit, i FROM base ORDER BY token, paid",
        "INSERT INTO deposit SELECT DISTINCT deposit, 1 FROM base ORDER BY deposit",
        "INSERT INTO credit (transfer, number, token, key, amount, epoch) "
        "SELECT deposit, i, token, till, 100, 19000 FROM base ORDER BY deposit, i",
    ]


def preload(where: str, payments: int) -> None:
    """Fill an empty ledger."""
    Store.open(where).close()
    if where.startswith("postgresql"):
        _postgres(where, payments)
    else:
        _sqlite(Path(where.partition("://")[2]), payments)


def _sqlite(path: Path, payments: int) -> None:
    rows = sqlite3.connect(path, isolation_level=None)
    rows.execute("PRAGMA synchronous = OFF")
    rows.execute("BEGIN")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)"
    rows.execute(
        f"CREATE TEMP TABLE tills AS {numbers} SELECT i, randomblob(33) AS till, randomblob(32) AS deposit FROM n",
        (payments // _TILL + 1,),
    )
    rows.execute("CREATE UNIQUE INDEX temp.till ON tills (i)")
    drawn = ", ".join(f"randomblob(32) AS {name}" for name in _DIGESTS)
    rows.execute(
        f"CREATE TEMP TABLE base AS {numbers} SELECT n.i, till, deposit, {drawn} "
        f"FROM n CROSS JOIN tills t WHERE t.i = n.i / {_TILL}",
        (payments,),
    )
    for statement in _inserts("zeroblob({})", "CAST(substr({1}, 1, 16) || substr({0}, 1, 16) AS BLOB)"):
        rows.execute(statement)
    rows.execute("COMMIT")
    rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    rows.close()


def _postgres(where: str, payments: int) -> None:
    import psycopg

    def drawn(name: str, number: str = "i") -> str:
        return f"sha256(convert_to('{name}' || {number}, 'UTF8')) AS {name}"

    names = ", ".join(drawn(name) for name in _DIGESTS)
    tills = ", ".join(drawn(name, f"i / {_TILL}") for name in ("till", "deposit"))
    with psycopg.connect(where) as rows:
        statements = [
            f"CREATE TEMP TABLE base AS SELECT i, {tills}, {names} FROM generate_series(0, {payments - 1}) i",
            *_inserts("decode(repeat('00', {}), 'hex')", "substr({1}, 1, 16) || substr({0}, 1, 16)"),
        ]
        for statement in statements:
            rows.execute(statement.encode())
    with psycopg.connect(where, autocommit=True) as rows:
        rows.execute("ANALYZE")
        rows.execute("CHECKPOINT")
