"""What an audit finds (SPEC §16-14): rows that are not what the statements say, each with the amount that it is about.

First the facts: while one of them is lost or altered, nothing can be said of what follows from it. Then every row that
follows from facts, and the front door's. What nothing else tells cannot be found: the stamp of a fact where no credit
depends on it, challenges, the names and settings that people gave, and the last row of a sequence that nothing names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from dualtap.errors import Code, TapError
from dualtap.statements import Scheme
from dualtap.trust import Trust
from dualtap_issuer.database import Raw
from dualtap_issuer.facts import (
    Fact,
    FactKind,
    Facts,
    asked_digest,
    authority_fact,
    certificate_fact,
    opening_digest,
)
from dualtap_issuer.roll import Roll
from dualtap_issuer.rules import World
from dualtap_issuer.store import Store


class Wrong(Enum):
    """What is wrong with a row. A question is none of the ledger's: somebody has still to tell, or a bank to answer."""

    ALTERED = "is not what it says"
    MISSING = "is missing"
    UNEXPECTED = "should not be here"
    QUESTION = "is a question"


class Finding(NamedTuple):
    """A row of a table, by its values or its key, what is wrong, and the minor units that it is about."""

    table: str
    row: Raw
    wrong: Wrong
    amount: int = 0
    currency: str = ""

    def __str__(self) -> str:
        """Return it as people read it: table and row first."""
        shown = " ".join(value.hex() if isinstance(value, bytes) else str(value) for value in self.row)
        about = f": {self.amount} {self.currency}".rstrip() if self.amount else ""
        return f"{self.table} {shown} {self.wrong.value}{about}"


def refuse(found: list[Finding]) -> None:
    """Raise ``LEDGER_CORRUPT``, telling the first and how many there are, if anything but questions was found."""
    wrong = [one for one in found if one.wrong is not Wrong.QUESTION]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise TapError(Code.LEDGER_CORRUPT, f"{wrong[0]}{more}")


def read(store: Store, scheme: Scheme) -> tuple[Facts, list[Finding]]:
    """Return all facts whose bytes give their digests, and the others as findings."""
    facts, found = Facts(scheme), list[Finding]()
    rows = store.scan("SELECT digest, kind, body, epoch FROM fact")
    for digest, kind, body, epoch in rows:
        try:
            facts.put(Fact(FactKind(kind), digest, body), epoch)
        except (TapError, ValueError):
            found.append(Finding("fact", (digest,), Wrong.ALTERED))
    return facts, sorted(found, key=str)


def rolled(facts: Facts) -> tuple[Roll | None, list[Finding]]:
    """Return what these facts say of the scheme's authorities; ``None`` where one of them proves nothing."""
    bad = {digest for digest in facts.authorities if not _learns(facts, digest)}
    above = {facts.authorities[digest].hint for digest in bad}
    found = [
        Finding("fact", (digest,), Wrong.ALTERED)
        for digest in sorted(bad)
        if facts.authorities[digest].issuer not in above
    ]
    return (None, found) if found else (Roll.of(facts.scheme, facts.authorities, facts.seen), [])


def _learns(facts: Facts, digest: bytes) -> bool:
    others = {key: one for key, one in facts.authorities.items() if key == digest}
    above = {key: one for key, one in facts.authorities.items() if one.hint == others[digest].issuer}
    try:
        roll = Roll.of(facts.scheme, above | others, facts.seen)
        return authority_fact(roll, others[digest]).digest == digest
    except TapError:
        return False


def ungenuine(facts: Facts, trust: Trust) -> list[Finding]:
    """Return every token, certificate and statement that nobody signed, or that stands under another's digest."""
    bad: set[bytes] = set()
    for digest, token in facts.tokens.items():
        if _fails(trust.check_token, token, digest):
            bad.add(digest)
    for digest, one in facts.certificates.items():
        if _fails(trust.check_genuine, one) or certificate_fact(trust, one).digest != digest:
            bad.add(digest)
    for statement in facts.statements():
        if _fails(trust.verify_statement, statement):
            bad.add(statement.id)
        opening = facts.openings.get(statement.id)
        if opening is not None and opening.tape().commitment() != statement.commitment:
            bad.add(opening_digest(statement.id))
    bad |= {digest for digest, word in facts.words.items() if _fails(trust.verify_statement, word)}
    return [Finding("fact", (digest,), Wrong.ALTERED, *about(facts, digest)) for digest in sorted(bad)]


def _fails(check: Callable[..., object], *given: object) -> bool:
    try:
        check(*given)
    except TapError:
        return True
    return False


def valued(facts: Facts, spans: set[Raw], found: list[Finding]) -> list[Finding]:
    """Return findings of facts with the amounts that the index still tells: of a transfer's spans, or a token's."""
    amounts: dict[object, int] = defaultdict(int)
    currencies: dict[object, str] = {}
    for token, _, _, _, start, end, transfer, _ in spans:
        amounts[transfer] += end - start
        amounts[token] = max(amounts[token], end)
        currencies[transfer] = currency_of(facts, token)
    return [
        one if one.amount else one._replace(amount=amounts[one.row[0]], currency=currencies.get(one.row[0], ""))
        for one in found
    ]


def about(facts: Facts, digest: bytes) -> tuple[int, str]:
    """Return the minor units, and their currency, that a token or a transfer is about."""
    token = facts.tokens.get(digest)
    if token is not None:
        return token.amount, token.currency
    transfer = facts.transfers.get(digest)
    if transfer is None:
        return 0, ""
    amount = sum(end - start for _, start, end in transfer.body.spans)
    return amount, next((currency_of(facts, span.parent.id) for span in transfer.body.spans), "")


def currency_of(facts: Facts, parent: bytes) -> str:
    """Return the currency of what is cut from a token or a transfer; empty where its history is not here."""
    seen: set[bytes] = set()
    while parent in facts.transfers and parent not in seen:
        seen.add(parent)
        parent = facts.transfers[parent].body.spans[0].parent.id
    token = facts.tokens.get(parent)
    return "" if token is None else token.currency


def missing_authorities(facts: Facts, rows: set[Raw]) -> list[Finding]:
    """Return the certificates of authorities that a row tells of and that are not here."""
    return _untold({(one.hint, digest) for digest, one in facts.authorities.items()}, rows, facts)


def _untold(expected: set[Raw], stored: set[Raw], facts: Facts) -> list[Finding]:
    """Return the facts behind rows of a key and a digest, where no row of that key was altered instead."""
    altered = {key for key, _ in expected - stored}
    return [
        Finding("fact", (digest,), Wrong.MISSING)
        for key, digest in sorted(stored - expected)
        if digest not in facts.seen and key not in altered
    ]


def lost(world: World, index: dict[str, set[Raw]], deliveries: Iterable[Raw]) -> list[Finding]:
    """Return the facts that several rows tell of and that are not here."""
    facts = world.facts
    told: dict[bytes, set[str]] = defaultdict(set)
    amounts: dict[bytes, tuple[int, str]] = {}
    for table, digest, amount in _told(index, deliveries):
        if digest not in facts.seen:
            told[digest].add(table)
            amounts[digest] = (max(amount, amounts.get(digest, (0, ""))[0]), "")
    found = [Finding("fact", (key,), Wrong.MISSING, *amounts[key]) for key, tables in told.items() if len(tables) > 1]
    for payee, _, transfer in index["asked"]:
        known = facts.transfers.get(transfer)
        if known is not None and known.body.payee == payee and asked_digest(known.commitment) not in facts.seen:
            found.append(Finding("fact", (asked_digest(known.commitment),), Wrong.MISSING, *about(facts, transfer)))
    for key, _, _, statement in index["tape"]:
        signed = facts.transfers.get(statement) or facts.outcomes.get(statement)
        if signed is not None and signed.key == key and opening_digest(statement) not in facts.seen:
            found.append(Finding("fact", (opening_digest(statement),), Wrong.MISSING, *about(facts, statement)))
    certified: set[Raw] = {(one.key, digest) for digest, one in facts.certificates.items()}
    found += _untold(certified, index["certified"], facts)
    return sorted(set(found), key=str)


def _told(index: dict[str, set[Raw]], deliveries: Iterable[Raw]) -> Iterator[tuple[str, bytes, int]]:
    """Yield each table, each digest that a row of it tells of, and the amount that the row tells."""
    for table, place in (("outcome", 2), ("tape", 3), ("deposit", 0), ("asked", 2)):
        for row in index[table]:
            yield table, row[place], 0
    for token, parent, side, _, start, end, transfer, _ in index["span"]:
        yield "span", transfer, end - start
        yield ("span", token, end) if side == 0 and parent == token else ("span", token, 0)
    for _, _, token in deliveries:
        yield "delivery", token, 0
