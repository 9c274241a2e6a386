"""The ledger's rows: one interface, over SQLite or PostgreSQL (:mod:`dualtap_issuer.sqlite`, ``.postgres``).

What both say in the same SQL stands here. Everything is asked and written in bulk, so that an upload costs a bounded
number of queries. Every write is idempotent, and no constraint refuses a fact: overlap is a query. Every table but
the few of the front door distributes by a fact's digest, by token or by tape key: :data:`DISTRIBUTION`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud
from dualtap.statements import Side
from dualtap_issuer import naming
from dualtap_issuer.door import Door, Raw
from dualtap_issuer.facts import Fact, FactKind, asked_digest, hand_of, request_of
from dualtap_issuer.marks import Mark
from dualtap_issuer.rows import (
    AskedRow,
    AuthorityRow,
    CertifiedRow,
    DepositRow,
    HandRow,
    Kept,
    OutcomeRow,
    PlaceRow,
    SpanRow,
    TodoRow,
    WaitRow,
    WordRow,
)
from dualtap_issuer.rules import Conflict, Credit, Leaf, Lot

Row = (
    PlaceRow | OutcomeRow | AskedRow | CertifiedRow | AuthorityRow | SpanRow | WaitRow | DepositRow
    | Mark | Leaf | WordRow
)  # fmt: skip

DISTRIBUTION: Final = MappingProxyType({
    "fact": "digest", "todo": "batch", "wait": "missing", "deposit": "transfer",
    "renewal": "transfer", "span": "token", "credit": "transfer", "settled": "token", "leaf": "token",
    "share": "token", "liability": "token", "payout": "token",
    "tape": "key", "outcome": "key", "asked": "payee", "certified": "key", "mark": "key", "delivery": "owner",
    "authority": "hint", "successor": "key", "word": "wallet",
})  # fmt: skip
"""The column by which each table distributes: the first of its primary key."""
FRONT_DOOR: Final = frozenset({
    "challenge", "ordinal", "policy", "dated", "closed", "party", "setting", "migration",
})  # fmt: skip
"""Tables that the front door alone reads and writes."""

_TABLES: Final[dict[type[Any], str]] = {
    PlaceRow: "tape", OutcomeRow: "outcome", AskedRow: "asked", CertifiedRow: "certified",
    SpanRow: "span", WaitRow: "wait", DepositRow: "deposit", Mark: "mark", Leaf: "leaf",
    AuthorityRow: "authority", WordRow: "word",
}  # fmt: skip
_INDEX: Final[tuple[type[Any], ...]] = (
    SpanRow, AskedRow, OutcomeRow, PlaceRow, CertifiedRow, AuthorityRow, DepositRow, WordRow,
)  # fmt: skip


class Store(Door, ABC):
    """The rows of one ledger. Not for two threads at once; on PostgreSQL, many processes may share one ledger.

    Methods raise ``ISSUER_UNREACHABLE`` or ``LEDGER_CORRUPT`` where the database itself fails.
    """

    LOCK: ClassVar[str] = ""
    """What makes a SELECT lock its rows, where there are other writers."""

    @staticmethod
    def open(where: str | Path = ":memory:", *, create: bool = True) -> Store:
        """Open ``sqlite:///path``, a path, ``":memory:"`` or ``postgresql://…``, and bring its tables up to date.

        Raises ``LEDGER_CORRUPT`` for what is no ledger, or is missing and not to be created; ``ISSUER_UNREACHABLE``
        for a server that does not answer; ``BAD_INPUT`` for another kind of URL, or where PostgreSQL's driver is not
        installed.
        """
        scheme, found, rest = str(where).partition("://")
        if not found:
            return _maker("sqlite", "SqliteStore")(where, create)
        match scheme:
            case "sqlite":
                return _maker("sqlite", "SqliteStore")(rest, create)
            case "postgresql" | "postgres":
                return _maker("postgres", "PostgresStore")(str(where), create)
            case _:
                raise TapError(Code.BAD_INPUT, f"{scheme}:// is no store; use sqlite:///path or postgresql://…")

    # What a database must offer

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def transaction(self, *, alone: bool = False) -> AbstractContextManager[None]:
        """Make everything inside durable, or, up to the last :meth:`publish`, change nothing if it raises.

        ``alone`` waits until no other process is inside one, and keeps them out.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Read, inside, everything as it is at one instant, between other processes' transactions, and hold none up."""

    @abstractmethod
    def publish(self, todo: Iterable[TodoRow] = ()) -> bool:
        """Show other processes what was written so far; return whether there may be others.

        Whoever publishes first and looks then, misses no pair: of two processes, the later to publish sees what the
        earlier wrote. ``todo`` stays behind if this process dies before :meth:`finish`.
        """

    @abstractmethod
    def pending(self, digests: Collection[bytes]) -> list[TodoRow]:
        """Return those of these facts of which what follows may not be written, by a process that died or is busy."""

    @abstractmethod
    def unfinished(self) -> list[TodoRow]:
        """Return every such fact."""

    @abstractmethod
    def finish(self, todo: Collection[TodoRow]) -> None:
        """Forget them: what follows is written."""

    @abstractmethod
    def lock(self, name: str) -> None:
        """Keep other processes' holders of this name out until the transaction ends."""

    @abstractmethod
    def ask(self, query: str, wanted: Sequence[Raw] | None = None, values: Sequence[object] = ()) -> list[Raw]:
        """Return a query's rows; ``{wanted}`` in it is a table ``w`` of the wanted rows, columns a, b, c …"""

    @abstractmethod
    def scan(self, query: str) -> Iterator[Raw]:
        """Yield a query's rows, without holding all of them."""

    @abstractmethod
    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Raw]) -> set[object]:
        """Insert rows, in the order of their keys, where they are missing; return the new ones' first column."""

    # Facts

    def put_facts(
        self, facts: Collection[Fact], epoch: int, likely: Collection[bytes] | None = None
    ) -> dict[bytes, Kept]:
        """Keep facts with their smallest stamps; return, by digest, whether each, or its stamp, is new.

        Only those that are ``likely`` known, or all, are asked for before they are inserted: most are new, and
        inserting tells. Inserting and comparing are two statements: one alone does not see what a rival has just
        committed.
        """
        known = self.stamps([fact.digest for fact in facts if likely is None or fact.digest in likely])
        rows = [(fact.digest, int(fact.kind), fact.body, epoch) for fact in facts if fact.digest not in known]
        new = self.insert("fact", ("digest", "kind", "body", "epoch"), sorted(rows))
        known |= self.stamps([row[0] for row in rows if row[0] not in new])
        earlier = sorted(digest for digest, stamp in known.items() if stamp > epoch)
        self.ask(
            "UPDATE fact SET epoch = %s WHERE epoch > %s AND digest IN (SELECT f.digest FROM {wanted} CROSS JOIN "
            f"fact f WHERE f.digest = w.a ORDER BY f.digest{self.LOCK}) RETURNING digest",
            [(digest,) for digest in earlier],
            (epoch, epoch),
        )
        kept = dict.fromkeys(known, Kept.KNOWN) | dict.fromkeys(earlier, Kept.EARLIER)
        return kept | {row[0]: Kept.NEW for row in rows if row[0] in new}

    def stamps(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """Return the stamps of those of these facts that are known."""
        query = "SELECT f.digest, f.epoch FROM {wanted} CROSS JOIN fact f WHERE f.digest = w.a"
        return dict(self.ask(query, _ones(digests)))

    def find(self, digests: Iterable[bytes]) -> list[tuple[Fact, int]]:
        """Return those of these facts that are known, with their stamps."""
        query = "SELECT f.digest, f.kind, f.body, f.epoch FROM {wanted} CROSS JOIN fact f WHERE f.digest = w.a"
        return [_fact(row) for row in self.ask(query, _ones(digests))]

    def fact(self, digest: bytes) -> tuple[Fact, int] | None:
        """Return a fact and its stamp."""
        found = self.find([digest])
        return found[0] if found else None

    def has(self, digest: bytes) -> bool:
        """Return whether a fact is known."""
        return bool(self.stamps([digest]))

    def facts(self) -> Iterator[tuple[Fact, int]]:
        """Yield every fact and its stamp."""
        return map(_fact, self.scan("SELECT digest, kind, body, epoch FROM fact"))

    # What follows from facts

    def put(self, rows: Iterable[Row]) -> None:
        """Keep rows of one kind; those that are there already change nothing."""
        found = sorted(set(rows))
        if found:
            kind = type(found[0])
            self.insert(_TABLES[kind], columns_of(kind), found)

    def hands(self, transfers: Iterable[bytes]) -> dict[bytes, HandRow]:
        """Return these transfers, by id."""
        found = map(hand_of, (fact for fact, _ in self.find(transfers)))
        return {row.id: row for row in found if row is not None}

    def spans(self, transfers: Iterable[bytes]) -> list[SpanRow]:
        """Return the spans of these transfers, as far as those are statements."""
        query = f"SELECT {_named('s', SpanRow)} FROM {{wanted}} CROSS JOIN span s WHERE s.transfer = w.a"
        return [SpanRow(*row) for row in self.ask(query, _ones(transfers))]

    def payee_kids(self, transfers: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Return each of these transfers with each one that spends its payee's side."""
        query = (
            "SELECT DISTINCT w.a, s.transfer FROM {wanted} CROSS JOIN span p CROSS JOIN span s WHERE p.transfer = w.a "
            f"AND s.token = p.token AND s.parent = w.a AND s.side = {int(Side.PAYEE)} AND s.place = p.number"
        )
        return [(row[0], row[1]) for row in self.ask(query, _ones(transfers))]

    def behind(self, transfers: Iterable[bytes]) -> set[bytes]:
        """Return these and all that they are cut from, as far as they are statements: transfers and tokens."""
        query = (
            "WITH RECURSIVE up(id) AS (SELECT w.a FROM {wanted} UNION SELECT s.parent FROM up CROSS JOIN span s "
            "WHERE s.transfer = up.id) SELECT id FROM up"
        )
        return {row[0] for row in self.ask(query, _ones(transfers))}

    def waiting(self, arrived: Iterable[bytes]) -> list[WaitRow]:
        """Return the transfers that wait, or waited, for these."""
        query = "SELECT t.missing, t.transfer FROM {wanted} CROSS JOIN wait t WHERE t.missing = w.a"
        return [WaitRow(*row) for row in self.ask(query, _ones(arrived))]

    def asked(self, transfers: Iterable[bytes]) -> list[AskedRow]:
        """Return which requests these transfers answer, as far as that is known: the facts tell it."""
        hands = [(asked_digest(row.commitment), row) for row in self.hands(transfers).values()]
        shown = {fact.digest: request_of(fact) for fact, _ in self.find(digest for digest, _ in hands)}
        return [AskedRow(row.payee, shown[digest], row.id) for digest, row in hands if digest in shown]

    def answering(self, requests: Iterable[tuple[bytes, bytes]]) -> list[AskedRow]:
        """Return the transfers that answer these requests, each named by its payee and itself."""
        query = (
            "SELECT t.payee, t.request, t.transfer FROM {wanted} CROSS JOIN asked t "
            "WHERE t.payee = w.a AND t.request = w.b"
        )
        return [AskedRow(*row) for row in self.ask(query, sorted(set(requests)))]

    def outcomes(self, requests: Iterable[tuple[bytes, bytes]]) -> list[OutcomeRow]:
        """Return the outcomes of these requests; the smallest id first."""
        query = (
            "SELECT o.key, o.request, o.id, o.transfer FROM {wanted} CROSS JOIN outcome o "
            "WHERE o.key = w.a AND o.request = w.b ORDER BY o.id"
        )
        return [OutcomeRow(*row) for row in self.ask(query, sorted(set(requests)))]

    def certificates(self, keys: Iterable[bytes]) -> list[CertifiedRow]:
        """Return the digests of these keys' certificates, the smallest first."""
        query = (
            "SELECT c.key, c.certificate FROM {wanted} CROSS JOIN certified c WHERE c.key = w.a ORDER BY c.certificate"
        )
        return [CertifiedRow(*row) for row in self.ask(query, _ones(keys))]

    def certified(self) -> Iterator[bytes]:
        """Yield every wallet's key that a bank counted here, or whose certificate came with a sync, in no order."""
        yield from (row[0] for row in self.scan("SELECT key FROM certified UNION SELECT key FROM ordinal"))

    def authorities(self) -> list[bytes]:
        """Return the digests of all authorities' certificates."""
        return [row[0] for row in self.ask("SELECT certificate FROM authority ORDER BY certificate")]

    def words_said(self, pairs: Iterable[tuple[bytes, bytes]]) -> list[WordRow]:
        """Return what was signed of these wallets' ties by these keys: pairs of both, in order."""
        query = (
            "SELECT t.wallet, t.id, t.key FROM {wanted} CROSS JOIN word t WHERE t.wallet = w.a AND t.key = w.b "
            "ORDER BY 1, 2"
        )
        return [WordRow(*row) for row in self.ask(query, sorted(set(pairs)))]

    def words_by(self, keys: Iterable[bytes]) -> list[WordRow]:
        """Return all that these keys signed of ties, in order."""
        query = "SELECT t.wallet, t.id, t.key FROM {wanted} CROSS JOIN word t WHERE t.key = w.a ORDER BY 1, 2"
        return [WordRow(*row) for row in self.ask(query, _ones(keys))]

    def paid(self, payees: Iterable[bytes]) -> list[bytes]:
        """Return the transfers to these keys. There is no index: it is for the day on which an authority joins."""
        wanted = set(payees)
        # In a statement's bytes two keys stand at fixed places: its signer's, and, in a transfer, its payee's.
        query = (
            "SELECT f.digest, f.kind, f.body, f.epoch FROM {wanted} CROSS JOIN fact f "
            f"WHERE f.kind = {int(FactKind.STATEMENT)} AND substr(f.body, length(w.a) + 8, length(w.a)) = w.a"
        )
        found = map(hand_of, (_fact(row)[0] for row in self.ask(query, _ones(wanted))))
        return sorted(row.id for row in found if row is not None and row.payee in wanted)

    def index(self) -> dict[str, set[Raw]]:
        """Return the rows of every index that follows from facts alone, by table: an audit recomputes them."""
        return {_TABLES[kind]: set(self.ask(f"SELECT {_named('t', kind)} FROM {_TABLES[kind]} t")) for kind in _INDEX}

    def is_named(self, keys: Iterable[bytes]) -> bool:
        """Return whether a mark names any of these keys."""
        query = "SELECT m.key FROM {wanted} CROSS JOIN mark m WHERE m.key = w.a LIMIT 1"
        return bool(self.ask(query, _ones(keys)))

    def named(self) -> list[bytes]:
        """Return every key that a mark names."""
        return [row[0] for row in self.ask("SELECT DISTINCT key FROM mark ORDER BY key")]

    def marks(self) -> list[Mark]:
        """Return the mark of every statement that stands against another, in order."""
        rows = self.ask("SELECT key, fraud, statement FROM mark ORDER BY key, fraud, statement")
        return [Mark(key, Fraud(fraud), statement) for key, fraud, statement in rows]

    def conflicts(self) -> list[Conflict]:
        """Return pairs that prove every mark: see :func:`dualtap_issuer.naming.conflicts`."""
        return naming.conflicts(self)

    # Deposits and settlement

    def deposits(self, transfers: Iterable[bytes] | None = None) -> list[DepositRow]:
        """Return all deposits, or those of these transfers that are deposits."""
        if transfers is None:
            return [DepositRow(*row) for row in self.ask("SELECT transfer, credited FROM deposit")]
        query = "SELECT d.transfer, d.credited FROM {wanted} CROSS JOIN deposit d WHERE d.transfer = w.a"
        return [DepositRow(*row) for row in self.ask(query, _ones(transfers))]

    def put_credits(
        self, deposits: Collection[bytes], credits: Iterable[Credit], renewals: Collection[bytes] = ()
    ) -> None:
        """Keep what these deposits credit: their provenance is whole. A smaller epoch replaces a greater one.

        Those that are new among ``renewals`` wait for :meth:`take_renewals`: each once, whoever else credits it too.
        """
        new = self.ask(
            "UPDATE deposit SET credited = 1 WHERE transfer IN (SELECT d.transfer FROM {wanted} CROSS JOIN deposit d "
            f"WHERE d.transfer = w.a AND d.credited = 0 ORDER BY d.transfer{self.LOCK}) RETURNING transfer",
            _ones(deposits),
        )
        self.ask(
            "INSERT INTO credit (transfer, number, token, key, amount, epoch) SELECT w.a, w.b, w.c, w.d, w.e, w.f "
            "FROM {wanted} WHERE true ORDER BY w.a, w.b ON CONFLICT (transfer, number) "
            "DO UPDATE SET epoch = excluded.epoch WHERE credit.epoch > excluded.epoch RETURNING number",
            sorted(credits),
        )
        self.insert("renewal", ("transfer",), sorted((row[0],) for row in new if row[0] in renewals))

    def take_renewals(self, institution: bytes) -> list[bytes]:
        """Return the credited deposits to an institution that ask for fresh tokens, and forget them.

        Of its processes, one gets each, and issues what it asks for, or leaves the credit as it is, before anything
        else is published. Deposits to another institution wait for that one.
        """
        mine = [row.id for row in self.hands(row[0] for row in self.ask("SELECT transfer FROM renewal")).values()
                if row.payee == institution]  # fmt: skip
        found = "SELECT r.transfer FROM {wanted} CROSS JOIN renewal r WHERE r.transfer = w.a ORDER BY r.transfer"
        rows = self.ask(found + self.LOCK, _ones(mine))
        query = "DELETE FROM renewal WHERE transfer IN (SELECT w.a FROM {wanted}) RETURNING transfer"
        return sorted(row[0] for row in self.ask(query, _ones(row[0] for row in rows)))

    def credits(self) -> list[Credit]:
        """Return what deposits credit."""
        return [Credit(*row) for row in self.ask("SELECT transfer, number, token, key, amount, epoch FROM credit")]

    def settled(self) -> dict[bytes, list[Leaf]]:
        """Return the settled tokens, and who was credited."""
        found: dict[bytes, list[Leaf]] = {row[0]: [] for row in self.ask("SELECT token FROM settled")}
        for row in self.ask(f"SELECT {_named('t', Leaf)} FROM leaf t"):
            found[row[0]].append(Leaf(row[0], row[1], row[2], row[3], Lot(row[4]), row[5]))
        return found

    def close_epoch(self, epoch: int) -> None:
        """Remember that everything claimable before this epoch was settled."""
        self.insert("closed", ("epoch",), [(epoch,)])

    def closed_epoch(self) -> int:
        """Return the epoch of the last settlement; 0 before the first."""
        return int(self.ask("SELECT coalesce(max(epoch), 0) FROM closed")[0][0])

    # The front door

    def put_delivery(self, owner: bytes, token: bytes) -> None:
        """Queue a token for its owner, under that owner's next number."""
        self.lock("delivery " + owner.hex())
        taken = self.ask("SELECT coalesce(max(number), 0) FROM delivery WHERE owner = %s", values=(owner,))
        self.insert("delivery", ("owner", "number", "token"), [(owner, taken[0][0] + 1, token)])

    def deliveries(self, owner: bytes, after: int) -> list[tuple[int, bytes]]:
        """Return the numbers and tokens that an owner has not taken."""
        query = "SELECT number, token FROM delivery WHERE owner = %s AND number > %s ORDER BY number"
        return [(row[0], row[1]) for row in self.ask(query, values=(owner, after))]

    # The catalogue

    @abstractmethod
    def size(self) -> int:
        """Return the bytes that this ledger takes on disk."""

    @abstractmethod
    def catalogue(self) -> dict[str, tuple[str, ...]]:
        """Return every table with the columns of its primary key, as the database itself tells it."""


def _maker(module: str, name: str) -> Callable[[str | Path, bool], Store]:
    """Return a store's class, loaded only where it is asked for."""
    found: Callable[[str | Path, bool], Store] = getattr(import_module(f"dualtap_issuer.{module}"), name)
    return found


def columns_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the columns of a kind of row, quoted where SQL needs it."""
    fields: tuple[str, ...] = kind._fields
    return tuple(['"end"' if field == "end" else field for field in fields])


def _named(table: str, kind: type[Any]) -> str:
    return ", ".join(f"{table}.{column}" for column in columns_of(kind))


def _ones(items: Iterable[bytes]) -> list[Raw]:
    return [(item,) for item in sorted(set(items))]


def _fact(row: Raw) -> tuple[Fact, int]:
    return Fact(FactKind(row[1]), row[0], row[2]), row[3]


def migrations(kind: str) -> list[tuple[int, list[str]]]:
    """Return the numbered migrations of one kind of store, in order, each as its statements."""
    folder = files("dualtap_issuer") / "migrations" / kind
    texts = sorted((one.name, one.read_text(encoding="utf-8")) for one in folder.iterdir() if one.name.endswith(".sql"))
    return [(int(name[:4]), [part for part in text.split(";") if part.strip()]) for name, text in texts]


@contextmanager
def explained(where: str, gone: type[Exception], failed: type[Exception]) -> Generator[None]:
    """Turn a driver's errors into typed ones: ``gone`` means that the server, or the disk, does not answer."""
    try:
        yield
    except gone as error:
        raise TapError(Code.ISSUER_UNREACHABLE, f"{where}: {_first_line(error)}") from error
    except failed as error:
        raise TapError(Code.LEDGER_CORRUPT, f"{where}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
