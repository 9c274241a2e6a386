"""The front door's rows, compared with what signatures, numbers and facts tell of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from dualtap import codec, forms
from dualtap.errors import TapError
from dualtap.forms import statement_of
from dualtap.issued import Header, Policy
from dualtap.logcodec import BYTES, ITEMS
from dualtap.statements import SuccessorBody
from dualtap.trust import Trust, issued_id
from dualtap_issuer.database import Raw, migrations
from dualtap_issuer.facts import Facts
from dualtap_issuer.findings import Finding, Wrong, about
from dualtap_issuer.store import Store

POLICY: Final = "SELECT version, body FROM policy ORDER BY version"


def front_door(facts: Facts, trust: Trust, store: Store) -> list[Finding]:
    """Return the front door's rows that cannot be, and the gaps in its sequences."""
    return [
        *_policies(trust, store),
        *_dates(trust, store),
        *_ordinals(facts, store),
        *_deliveries(facts, store),
        *_migrations(store),
        *[Finding("todo", (row.digest,), Wrong.UNEXPECTED, *about(facts, row.digest)) for row in store.unfinished()],
        *_renewals(facts, store),
        *_successors(trust, store),
    ]


def _policies(trust: Trust, store: Store) -> list[Finding]:
    rows = store.ask(POLICY)
    found = [Finding("policy", (version,), Wrong.ALTERED) for version, body in rows if not _says(trust, version, body)]
    return found + _gaps("policy", (), [row[0] for row in rows], 1)


def _dates(trust: Trust, store: Store) -> list[Finding]:
    rows = store.ask("SELECT epoch, body FROM dated ORDER BY epoch")
    return [Finding("dated", (epoch,), Wrong.ALTERED) for epoch, body in rows if not _says(trust, epoch, body, Header)]


def _says(trust: Trust, number: int, body: bytes, kind: type[Policy] | type[Header] = Policy) -> bool:
    """Return whether these bytes are a policy of this version, or a date of this epoch, that a policy key signed."""
    try:
        item = forms.issued_check(kind)(codec.unpack(body, BYTES, ITEMS))
        issuer = trust.issuer_key(item.issuer)
        trust.verify(issuer, item.signature, issued_id(trust.scheme, item, issuer))
    except TapError:
        return False
    return number == (item.version if isinstance(item, Policy) else item.epoch)


def _gaps(table: str, prefix: Raw, numbers: list[int], first: int) -> list[Finding]:
    """Return the numbers that a sequence skips."""
    last = max(numbers, default=first - 1)
    skipped = set(range(first, first + len(numbers) + 1)) - set(numbers)
    below = [Finding(table, (*prefix, number), Wrong.UNEXPECTED) for number in numbers if number < first]
    return below + [Finding(table, (*prefix, number), Wrong.MISSING) for number in sorted(skipped) if number < last]


def _ordinals(facts: Facts, store: Store) -> list[Finding]:
    """Return gaps, and as questions where certificates tell otherwise: a bank may have signed elsewhere, or lied."""
    rows = store.ask("SELECT bank, number, key FROM ordinal ORDER BY bank, number")
    given: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    for bank, number, key in rows:
        given[bank][number] = key
    found: list[Finding] = []
    banks = {one.hint: one.key for one in facts.authorities.values()}
    for bank, numbers in given.items():
        found += _gaps("ordinal", (bank,), list(numbers), 0) if bank in banks.values() else []
    found += [Finding("ordinal", (bank,), Wrong.QUESTION) for bank in given if bank not in banks.values()]
    for certificate in facts.certificates.values():
        bank = banks.get(certificate.issuer, b"")
        known = given[bank].get(certificate.ordinal) if bank in given else certificate.key
        if known is None:
            found.append(Finding("ordinal", (bank, certificate.ordinal, certificate.key), Wrong.QUESTION))
        elif known != certificate.key:
            found.append(Finding("ordinal", (bank, certificate.ordinal, known), Wrong.QUESTION))
    return sorted(set(found), key=str)


def _deliveries(facts: Facts, store: Store) -> list[Finding]:
    rows = store.ask("SELECT owner, number, token FROM delivery ORDER BY owner, number")
    queues: dict[bytes, list[int]] = defaultdict(list)
    found: list[Finding] = []
    seen: set[bytes] = set()
    for owner, number, token in rows:
        known = facts.tokens.get(token)
        if known is not None and known.owner == owner:
            queues[owner].append(number)
        if known is None or known.owner != owner or token in seen:
            found.append(Finding("delivery", (owner, number, token), Wrong.ALTERED, *about(facts, token)))
        seen.add(token)
    for owner, numbers in queues.items():
        found += _gaps("delivery", (owner,), numbers, 1)
    return found


def _migrations(store: Store) -> list[Finding]:
    there = {number for number, _ in migrations("sqlite")}
    here = {row[0] for row in store.ask("SELECT number FROM migration")}
    found = [Finding("migration", (number,), Wrong.MISSING) for number in sorted(there - here)]
    return found + [Finding("migration", (number,), Wrong.UNEXPECTED) for number in sorted(here - there)]


def _renewals(facts: Facts, store: Store) -> list[Finding]:
    """Return what waits to be renewed and is no deposit: a transfer that is not known."""
    rows = store.ask("SELECT transfer FROM renewal ORDER BY transfer")
    return [Finding("renewal", row, Wrong.UNEXPECTED) for row in rows if row[0] not in facts.transfers]


def _successors(trust: Trust, store: Store) -> list[Finding]:
    """Return the links to a next key that the key before did not sign."""
    found: list[Finding] = []
    for key, heir, body in store.ask("SELECT key, successor, body FROM successor ORDER BY key, successor"):
        try:
            named = statement_of(trust.scheme.id, SuccessorBody)(codec.unpack(body, BYTES, ITEMS))
            trust.verify_statement(named)
            said = (named.key, named.body.successor)
        except TapError:
            said = (b"", b"")
        if said != (key, heir):
            found.append(Finding("successor", (key, heir), Wrong.ALTERED))
    return found
