"""The ledger's rows in SQLite: the one file that knows SQL.

Every table but the few of the front door is keyed so that it distributes by a fact's digest, by token or by tape key;
every write is idempotent, and no constraint refuses a fact: overlap is a query. A store on PostgreSQL offers the same
methods.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, cast

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud
from dualtap.statements import Parent, Side, Transfer
from dualtap_issuer.facts import Fact, FactKind
from dualtap_issuer.rules import Conflict, Credit, Kid, Leaf, Lot

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (digest BLOB PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL,
    epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS span (parent BLOB, side INTEGER, place INTEGER, start INTEGER, "end" INTEGER,
    transfer BLOB, number INTEGER, token BLOB NOT NULL,
    PRIMARY KEY (token, parent, side, place, start, transfer, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS span_from ON span (parent, side, place, start);
CREATE INDEX IF NOT EXISTS span_of ON span (transfer, number);
CREATE TABLE IF NOT EXISTS hand (id BLOB PRIMARY KEY, key BLOB NOT NULL, payee BLOB NOT NULL, epoch INTEGER NOT NULL,
    commitment BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS hand_commitment ON hand (commitment);
CREATE TABLE IF NOT EXISTS asked (payee BLOB, request BLOB, transfer BLOB,
    PRIMARY KEY (payee, request, transfer)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS asked_by ON asked (transfer);
CREATE TABLE IF NOT EXISTS outcome (key BLOB, request BLOB, id BLOB, transfer BLOB NOT NULL,
    PRIMARY KEY (key, request, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tape (key BLOB, prev INTEGER, ctr INTEGER, id BLOB,
    PRIMARY KEY (key, prev, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wait (missing BLOB, transfer BLOB, PRIMARY KEY (missing, transfer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS certified (key BLOB, certificate BLOB, PRIMARY KEY (key, certificate)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS conflict (key BLOB, fraud INTEGER, first BLOB, second BLOB,
    PRIMARY KEY (key, fraud, first, second)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deposit (transfer BLOB PRIMARY KEY, credited INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS credit (token BLOB, transfer BLOB, number INTEGER, key BLOB, amount INTEGER, epoch INTEGER,
    PRIMARY KEY (token, transfer, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (token BLOB PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leaf (token BLOB, start INTEGER, "end" INTEGER, holder BLOB, lot INTEGER, transfer BLOB,
    PRIMARY KEY (token, start, "end", holder, lot, transfer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS delivery (owner BLOB, number INTEGER, token BLOB NOT NULL,
    PRIMARY KEY (owner, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS challenge (challenge BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ordinal (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS policy (version INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS closed (epoch INTEGER PRIMARY KEY);
"""


class Kept(IntEnum):
    """What keeping a fact changed: nothing, its stamp, or the set."""

    KNOWN = 0
    EARLIER = 1
    NEW = 2


class Spend(NamedTuple):
    """A span of a statement: what it is cut from, where, by which transfer's which span, and of which token."""

    parent: Parent
    kid: Kid
    token: bytes


class Store:
    """The rows of one ledger, in a file or in ``":memory:"``. Not for two threads at once."""

    def __init__(self, path: str | Path = ":memory:", *, create: bool = True) -> None:
        """Open a file; raise ``LEDGER_CORRUPT`` if it is no ledger, or is missing and not to be created."""
        try:
            if create:
                self._db = sqlite3.connect(path, isolation_level=None, cached_statements=256)
            else:
                there = f"{Path(path).resolve().as_uri()}?mode=rw"
                self._db = sqlite3.connect(there, uri=True, isolation_level=None, cached_statements=256)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise TapError(Code.LEDGER_CORRUPT, f"{path}: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Make everything inside durable at once, or change nothing if it raises."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Facts

    def put(self, fact: Fact, epoch: int) -> Kept:
        """Keep a fact with its smallest stamp; return whether it, or that stamp, is new."""
        row = (fact.digest, fact.kind, fact.body, epoch)
        if self._db.execute("INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?)", row).rowcount > 0:
            return Kept.NEW
        query = "UPDATE fact SET epoch = ?1 WHERE digest = ?2 AND epoch > ?1"
        earlier = self._db.execute(query, (epoch, fact.digest)).rowcount > 0
        return Kept.EARLIER if earlier else Kept.KNOWN

    def has(self, digest: bytes) -> bool:
        """Return whether a fact is known."""
        return self._db.execute("SELECT 1 FROM fact WHERE digest = ?", (digest,)).fetchone() is not None

    def fact(self, digest: bytes) -> tuple[Fact, int] | None:
        """Return a fact and its stamp."""
        row = self._db.execute("SELECT kind, body, epoch FROM fact WHERE digest = ?", (digest,)).fetchone()
        return (Fact(FactKind(row[0]), digest, row[1]), row[2]) if row else None

    def facts(self) -> Iterator[tuple[Fact, int]]:
        """Yield every fact and its stamp."""
        for key, kind, body, epoch in self._db.execute("SELECT digest, kind, body, epoch FROM fact"):
            yield Fact(FactKind(kind), key, body), epoch

    # What spends what

    def put_hand(self, transfer: Transfer) -> None:
        """Index a transfer, whether or not it is a statement."""
        body = transfer.body
        row = (transfer.id, transfer.key, body.payee, body.epoch, transfer.commitment)
        self._db.execute("INSERT OR IGNORE INTO hand VALUES (?, ?, ?, ?, ?)", row)

    def hand(self, transfer: bytes) -> tuple[bytes, bytes, int] | None:
        """Return a transfer's payer, payee and epoch."""
        query = "SELECT key, payee, epoch FROM hand WHERE id = ?"
        return cast("tuple[bytes, bytes, int] | None", self._db.execute(query, (transfer,)).fetchone())

    def hands(self, commitment: bytes) -> list[tuple[bytes, bytes]]:
        """Return the transfers with this commitment, and their payees."""
        return self._db.execute("SELECT id, payee FROM hand WHERE commitment = ?", (commitment,)).fetchall()

    def put_span(self, spend: Spend) -> None:
        """Index a span of a statement."""
        parent, kid, token = spend
        row = (*parent, kid.start, kid.end, kid.transfer, kid.place, token)
        self._db.execute("INSERT OR IGNORE INTO span VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def span(self, transfer: bytes, number: int) -> Spend | None:
        """Return one span of a transfer, if that is a statement."""
        row = self._db.execute(
            'SELECT parent, side, place, start, "end", transfer, number, token FROM span '
            "WHERE transfer = ? AND number = ?",
            (transfer, number),
        ).fetchone()
        return _spend(row) if row else None

    def overlapping(self, parent: Parent, start: int, end: int) -> list[bytes]:
        """Return the transfers that spend any of these units of a parent."""
        rows = self._db.execute(
            "SELECT DISTINCT transfer FROM span WHERE parent = ? AND side = ? AND place = ? "
            'AND start < ? AND "end" > ?',
            (*parent, end, start),
        )
        return [row[0] for row in rows]

    def payee_kids(self, transfer: bytes) -> list[bytes]:
        """Return the transfers that spend the payee's side of this one."""
        query = "SELECT DISTINCT transfer FROM span WHERE parent = ? AND side = ?"
        return [row[0] for row in self._db.execute(query, (transfer, Side.PAYEE))]

    def put_wait(self, missing: bytes, transfer: bytes) -> None:
        """Remember that a transfer cannot be judged before something behind it arrives."""
        self._db.execute("INSERT OR IGNORE INTO wait VALUES (?, ?)", (missing, transfer))

    def take_waiting(self, arrived: bytes) -> list[bytes]:
        """Return, and forget, the transfers that waited for this."""
        query = "DELETE FROM wait WHERE missing = ? RETURNING transfer"
        return [row[0] for row in self._db.execute(query, (arrived,)).fetchall()]

    # Requests and outcomes

    def put_asked(self, payee: bytes, request: bytes, transfer: bytes) -> None:
        """Index which request a transfer answers."""
        self._db.execute("INSERT OR IGNORE INTO asked VALUES (?, ?, ?)", (payee, request, transfer))

    def asked(self, transfer: bytes) -> tuple[bytes, bytes] | None:
        """Return the payee and the request of a transfer, if they are known."""
        query = "SELECT payee, request FROM asked WHERE transfer = ?"
        return cast("tuple[bytes, bytes] | None", self._db.execute(query, (transfer,)).fetchone())

    def answering(self, payee: bytes, request: bytes) -> list[bytes]:
        """Return the transfers that answer a request."""
        query = "SELECT transfer FROM asked WHERE payee = ? AND request = ?"
        return [row[0] for row in self._db.execute(query, (payee, request))]

    def put_outcome(self, key: bytes, request: bytes, outcome: bytes, transfer: bytes) -> None:
        """Index an outcome; ``transfer`` is what it accepts, empty for a Close."""
        self._db.execute("INSERT OR IGNORE INTO outcome VALUES (?, ?, ?, ?)", (key, request, outcome, transfer))

    def outcomes(self, key: bytes, request: bytes) -> list[tuple[bytes, bytes]]:
        """Return a request's outcomes, and what each accepts; the smallest id first."""
        query = "SELECT id, transfer FROM outcome WHERE key = ? AND request = ? ORDER BY id"
        return self._db.execute(query, (key, request)).fetchall()

    # Tapes, certificates, conflicts

    def put_tape(self, key: bytes, prev: int, ctr: int, statement: bytes) -> None:
        """Index a statement's place on its tape."""
        self._db.execute("INSERT OR IGNORE INTO tape VALUES (?, ?, ?, ?)", (key, prev, ctr, statement))

    def tape_overlapping(self, key: bytes, prev: int, ctr: int) -> list[bytes]:
        """Return the statements of a key whose places meet ``(prev, ctr]``. An empty place meets nothing."""
        query = "SELECT id FROM tape WHERE key = ? AND prev < ? AND ctr > ? AND prev < ctr"
        return [row[0] for row in self._db.execute(query, (key, ctr, prev))] if prev < ctr else []

    def put_certificate(self, key: bytes, certificate: bytes) -> None:
        """Index a certificate by the key that it is for."""
        self._db.execute("INSERT OR IGNORE INTO certified VALUES (?, ?)", (key, certificate))

    def certificates(self, key: bytes) -> list[bytes]:
        """Return the digests of a key's certificates, the smallest first."""
        query = "SELECT certificate FROM certified WHERE key = ? ORDER BY certificate"
        return [row[0] for row in self._db.execute(query, (key,))]

    def index(self) -> dict[str, set[tuple[object, ...]]]:
        """Return the rows of every index that follows from facts alone, by table: an audit recomputes them."""
        queries = {
            "span": 'SELECT token, parent, side, place, start, "end", transfer, number FROM span',
            "hand": "SELECT id, key, payee, epoch, commitment FROM hand",
            "asked": "SELECT payee, request, transfer FROM asked",
            "outcome": "SELECT key, request, id, transfer FROM outcome",
            "tape": "SELECT key, prev, ctr, id FROM tape",
            "certified": "SELECT key, certificate FROM certified",
            "deposit": "SELECT transfer, credited FROM deposit",
        }
        return {table: set(self._db.execute(query)) for table, query in queries.items()}

    def put_conflict(self, conflict: Conflict) -> bool:
        """Keep a conflict; return whether it is new."""
        return self._db.execute("INSERT OR IGNORE INTO conflict VALUES (?, ?, ?, ?)", conflict).rowcount > 0

    def is_named(self, key: bytes) -> bool:
        """Return whether a conflict names this key."""
        return self._db.execute("SELECT 1 FROM conflict WHERE key = ? LIMIT 1", (key,)).fetchone() is not None

    def conflicts(self) -> list[Conflict]:
        """Return every conflict, in an order that depends on nothing but themselves."""
        rows = self._db.execute("SELECT key, fraud, first, second FROM conflict ORDER BY key, fraud, first, second")
        return [Conflict(key, Fraud(fraud), first, second) for key, fraud, first, second in rows]

    # Deposits and settlement

    def put_deposit(self, transfer: bytes) -> None:
        """Remember a deposit whose provenance may not be whole yet."""
        self._db.execute("INSERT OR IGNORE INTO deposit VALUES (?, 0)", (transfer,))

    def deposits(self, *, uncredited: bool = False) -> list[bytes]:
        """Return the deposits, or those that are not credited yet."""
        query = "SELECT transfer FROM deposit WHERE credited <= ?"
        return [row[0] for row in self._db.execute(query, (0 if uncredited else 1,))]

    def is_credited(self, transfer: bytes) -> bool:
        """Return whether a deposit was credited."""
        query = "SELECT 1 FROM deposit WHERE transfer = ? AND credited = 1"
        return self._db.execute(query, (transfer,)).fetchone() is not None

    def put_credits(self, transfer: bytes, credits: Iterable[Credit]) -> None:
        """Replace what a deposit credits, because it is whole now or was seen earlier than thought."""
        self._db.execute("UPDATE deposit SET credited = 1 WHERE transfer = ?", (transfer,))
        self._db.execute("DELETE FROM credit WHERE transfer = ?", (transfer,))
        for one in credits:
            row = (one.token, one.transfer, one.number, one.key, one.amount, one.epoch)
            self._db.execute("INSERT INTO credit VALUES (?, ?, ?, ?, ?, ?)", row)

    def credits(self) -> list[Credit]:
        """Return what deposits credit."""
        rows = self._db.execute("SELECT transfer, number, token, key, amount, epoch FROM credit")
        return [Credit(*row) for row in rows]

    def put_settled(self, token: bytes, epoch: int, leaves: Iterable[Leaf]) -> None:
        """Keep who is credited at a token's ``claim_by``."""
        self._db.execute("INSERT INTO settled VALUES (?, ?)", (token, epoch))
        self._db.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?)", leaves)

    def settled(self) -> dict[bytes, list[Leaf]]:
        """Return the settled tokens, and who was credited."""
        found: dict[bytes, list[Leaf]] = {row[0]: [] for row in self._db.execute("SELECT token FROM settled")}
        for row in self._db.execute('SELECT token, start, "end", holder, lot, transfer FROM leaf'):
            found[row[0]].append(Leaf(row[0], row[1], row[2], row[3], Lot(row[4]), row[5]))
        return found

    def close_epoch(self, epoch: int) -> None:
        """Remember that everything claimable before this epoch was settled."""
        self._db.execute("INSERT OR IGNORE INTO closed VALUES (?)", (epoch,))

    def closed_epoch(self) -> int:
        """Return the epoch of the last settlement; 0 before the first."""
        return int(self._db.execute("SELECT coalesce(max(epoch), 0) FROM closed").fetchone()[0])

    # The front door

    def put_delivery(self, owner: bytes, token: bytes) -> None:
        """Queue a token for its owner, under that owner's next number."""
        self._db.execute(
            "INSERT INTO delivery SELECT ?, coalesce(max(number), 0) + 1, ? FROM delivery WHERE owner = ?",
            (owner, token, owner),
        )

    def deliveries(self, owner: bytes, after: int) -> list[tuple[int, bytes]]:
        """Return the numbers and tokens that an owner has not taken."""
        query = "SELECT number, token FROM delivery WHERE owner = ? AND number > ? ORDER BY number"
        return self._db.execute(query, (owner, after)).fetchall()

    def put_challenge(self, challenge: bytes) -> None:
        """Remember a challenge until it is answered."""
        self._db.execute("INSERT OR IGNORE INTO challenge VALUES (?)", (challenge,))

    def take_challenge(self, challenge: bytes) -> bool:
        """Forget a challenge; return whether it was open."""
        return self._db.execute("DELETE FROM challenge WHERE challenge = ?", (challenge,)).rowcount > 0

    def ordinal(self, key: bytes, quota: int) -> int | None:
        """Return a key's ordinal, taking the next below ``quota`` for a new key; ``None`` if there is none left.

        It is durable when this returns, and never another key's.

        SPEC §4.3-6.
        """
        with self.transaction():
            row = self._db.execute("SELECT number FROM ordinal WHERE key = ?", (key,)).fetchone()
            if row:
                return int(row[0])
            number = int(self._db.execute("SELECT coalesce(max(number) + 1, 0) FROM ordinal").fetchone()[0])
            if number >= quota:
                return None
            self._db.execute("INSERT INTO ordinal VALUES (?, ?)", (number, key))
            return number

    def put_policy(self, version: int, body: bytes) -> None:
        """Keep a version of the policy."""
        self._db.execute("INSERT INTO policy VALUES (?, ?)", (version, body))

    def policy(self) -> bytes | None:
        """Return the last policy."""
        row = self._db.execute("SELECT body FROM policy ORDER BY version DESC LIMIT 1").fetchone()
        return row[0] if row else None


def _spend(row: tuple[bytes, int, int, int, int, bytes, int, bytes]) -> Spend:
    parent = Parent(row[0], Side(row[1]), row[2])
    return Spend(parent, Kid(row[3], row[4], row[5], row[6]), row[7])
