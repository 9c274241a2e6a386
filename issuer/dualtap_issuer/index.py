"""Facts with their stamps, and the rows that follow from them: the index in which overlap is a query."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from dualtap.evidence import Fraud
from dualtap.statements import Side
from dualtap_issuer import naming
from dualtap_issuer.database import Database, Raw, ones
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
    WaitRow,
    WordRow,
)
from dualtap_issuer.rules import Conflict, Leaf

Row = (
    PlaceRow | OutcomeRow | AskedRow | CertifiedRow | AuthorityRow | SpanRow | WaitRow | DepositRow
    | Mark | Leaf | WordRow
)  # fmt: skip

_TABLES: Final[dict[type[Any], str]] = {
    PlaceRow: "tape", OutcomeRow: "outcome", AskedRow: "asked", CertifiedRow: "certified",
    SpanRow: "span", WaitRow: "wait", DepositRow: "deposit", Mark: "mark", Leaf: "leaf",
    AuthorityRow: "authority", WordRow: "word",
}  # fmt: skip
_INDEX: Final[tuple[type[Any], ...]] = (
    SpanRow, AskedRow, OutcomeRow, PlaceRow, CertifiedRow, AuthorityRow, DepositRow, WordRow,
)  # fmt: skip


class Index(Database):
    """All facts, who is named by them, and what else they imply."""

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
        return dict(self.ask(query, ones(digests)))

    def find(self, digests: Iterable[bytes]) -> list[tuple[Fact, int]]:
        """Return those of these facts that are known, with their stamps."""
        query = "SELECT f.digest, f.kind, f.body, f.epoch FROM {wanted} CROSS JOIN fact f WHERE f.digest = w.a"
        return [_fact(row) for row in self.ask(query, ones(digests))]

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
            self.insert(_TABLES[kind], _columns_of(kind), found)

    def hands(self, transfers: Iterable[bytes]) -> dict[bytes, HandRow]:
        """Return these transfers, by id."""
        found = map(hand_of, (fact for fact, _ in self.find(transfers)))
        return {row.id: row for row in found if row is not None}

    def spans(self, transfers: Iterable[bytes]) -> list[SpanRow]:
        """Return the spans of these transfers, as far as those are statements."""
        query = f"SELECT {selected('s', SpanRow)} FROM {{wanted}} CROSS JOIN span s WHERE s.transfer = w.a"
        return [SpanRow(*row) for row in self.ask(query, ones(transfers))]

    def payee_kids(self, transfers: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Return each of these transfers with each one that spends its payee's side."""
        query = (
            "SELECT DISTINCT w.a, s.transfer FROM {wanted} CROSS JOIN span p CROSS JOIN span s WHERE p.transfer = w.a "
            f"AND s.token = p.token AND s.parent = w.a AND s.side = {int(Side.PAYEE)} AND s.place = p.number"
        )
        return [(row[0], row[1]) for row in self.ask(query, ones(transfers))]

    def behind(self, transfers: Iterable[bytes]) -> set[bytes]:
        """Return these and all that they are cut from, as far as they are statements: transfers and tokens."""
        query = (
            "WITH RECURSIVE up(id) AS (SELECT w.a FROM {wanted} UNION SELECT s.parent FROM up CROSS JOIN span s "
            "WHERE s.transfer = up.id) SELECT id FROM up"
        )
        return {row[0] for row in self.ask(query, ones(transfers))}

    def waiting(self, arrived: Iterable[bytes]) -> list[WaitRow]:
        """Return the transfers that wait, or waited, for these."""
        query = "SELECT t.missing, t.transfer FROM {wanted} CROSS JOIN wait t WHERE t.missing = w.a"
        return [WaitRow(*row) for row in self.ask(query, ones(arrived))]

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
        return [CertifiedRow(*row) for row in self.ask(query, ones(keys))]

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
        return [WordRow(*row) for row in self.ask(query, ones(keys))]

    def paid(self, payees: Iterable[bytes]) -> list[bytes]:
        """Return the transfers to these keys. There is no index: it is for the day on which an authority joins."""
        wanted = set(payees)
        # In a statement's bytes two keys stand at fixed places: its signer's, and, in a transfer, its payee's.
        query = (
            "SELECT f.digest, f.kind, f.body, f.epoch FROM {wanted} CROSS JOIN fact f "
            f"WHERE f.kind = {int(FactKind.STATEMENT)} AND substr(f.body, length(w.a) + 8, length(w.a)) = w.a"
        )
        found = map(hand_of, (_fact(row)[0] for row in self.ask(query, ones(wanted))))
        return sorted(row.id for row in found if row is not None and row.payee in wanted)

    def index(self) -> dict[str, set[Raw]]:
        """Return the rows of every index that follows from facts alone, by table: an audit recomputes them."""
        return {_TABLES[kind]: set(self.ask(f"SELECT {selected('t', kind)} FROM {_TABLES[kind]} t")) for kind in _INDEX}

    def is_named(self, keys: Iterable[bytes]) -> bool:
        """Return whether a mark names any of these keys."""
        query = "SELECT m.key FROM {wanted} CROSS JOIN mark m WHERE m.key = w.a LIMIT 1"
        return bool(self.ask(query, ones(keys)))

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


def selected(table: str, kind: type[Any]) -> str:
    """Return the columns of a kind of row, as a SELECT from ``table`` names them."""
    return ", ".join(f"{table}.{column}" for column in _columns_of(kind))


def _columns_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the columns of a kind of row, quoted where SQL needs it."""
    fields: tuple[str, ...] = kind._fields
    return tuple(['"end"' if field == "end" else field for field in fields])


def _fact(row: Raw) -> tuple[Fact, int]:
    return Fact(FactKind(row[1]), row[0], row[2]), row[3]
