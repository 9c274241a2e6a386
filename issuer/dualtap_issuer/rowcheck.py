"""Every row that follows from the facts, compared with what follows: missing and unexpected rows, each by itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, cast

from dualtap.errors import Code, TapError
from dualtap.graph import Origin, check_origins
from dualtap.statements import Parent, Scheme, Side, Transfer
from dualtap_issuer.audit import index_of
from dualtap_issuer.database import Raw
from dualtap_issuer.doorcheck import front_door
from dualtap_issuer.facts import asked_digest
from dualtap_issuer.findings import (
    Finding,
    Wrong,
    about,
    currency_of,
    lost,
    missing_authorities,
    read,
    refuse,
    rolled,
    ungenuine,
    valued,
)
from dualtap_issuer.following import death, introduction, lacking
from dualtap_issuer.guarantee import Caps, Ruling, parted
from dualtap_issuer.marks import FAR, marks_of, overspent
from dualtap_issuer.payoutcheck import payouts
from dualtap_issuer.payouts import undeposited
from dualtap_issuer.renewals import renewals, replaced
from dualtap_issuer.roll import charter
from dualtap_issuer.rules import World, gaps, union
from dualtap_issuer.settling import keepers, settled_of
from dualtap_issuer.store import Store


def examine(store: Store, scheme: Scheme) -> tuple[World | None, list[Finding]]:
    """Return the world of a store's facts and all that is wrong with its rows; no world where a fact is wrong.

    To be called inside a snapshot or a transaction of the store.
    """
    facts, found = read(store, scheme)
    index = store.index()
    found = found or missing_authorities(facts, index["authority"])
    roll, bad = rolled(facts)
    found = found or bad
    if roll is None or found:
        return None, valued(facts, index["span"], found)
    found = ungenuine(facts, roll)
    if found:
        return None, valued(facts, index["span"], found)
    world = World(facts, roll.institutions, roll)
    found = lost(world, index, store.ask("SELECT owner, number, token FROM delivery"))
    if found:
        return None, found
    return world, [*following(world, store, index), *front_door(facts, roll, store), *gaps_of(world)]


def gaps_of(world: World) -> list[Finding]:
    """Return, as questions, the counters that each tape leaves out: the key, and the interval ``(prev, ctr]``."""
    tapes: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for statement in world.facts.statements():
        opening = world.facts.openings.get(statement.id)
        if opening is not None:
            tapes[statement.key].append((opening.prev, opening.ctr))
    return [
        Finding("tape", (key, *gap), Wrong.QUESTION)
        for key, places in sorted(tapes.items())
        for gap in gaps(union(places, 0, FAR), 0, max(ctr for _, ctr in places))
    ]


def check_rows(world: World, store: Store) -> None:
    """Raise ``LEDGER_CORRUPT``, naming a row, unless the store's rows are what these facts imply."""
    refuse(following(world, store, store.index()))


def following(world: World, store: Store, index: dict[str, set[Raw]]) -> list[Finding]:
    """Return every difference between the rows that follow from the facts and those of a store."""
    found: list[Finding] = []
    for table, rows in index_of(world).items():
        found += differences(world, table, rows, index[table])
    found += differences(world, "mark", marks_of(world), store.marks())
    found += differences(world, "credit", world.credits(), store.credits())
    found += [*_renewed(world), *_waits(world, store), *settlement(world, store)]
    return found


def differences(world: World, table: str, expected: Iterable[Raw], stored: Iterable[Raw]) -> list[Finding]:
    """Return the rows that one of both has and the other lacks, in order."""
    there, here = set(expected), set(stored)
    found = [Finding(table, tuple(row), Wrong.MISSING, *_amount(world, table, row)) for row in sorted(there - here)]
    found += [Finding(table, tuple(row), Wrong.UNEXPECTED, *_amount(world, table, row)) for row in sorted(here - there)]
    return found


def _amount(world: World, table: str, row: Any) -> tuple[int, str]:
    """Return the minor units, and their currency, that a row is about."""
    facts = world.facts
    match table:
        case "span" | "leaf":
            start, end = (row[4], row[5]) if table == "span" else (row[1], row[2])
            return end - start, currency_of(facts, row[0])
        case "credit":
            return row[4], currency_of(facts, row[2])
        case "share" | "liability":
            return row[2], currency_of(facts, row[0])
        case "deposit":
            return about(facts, row[0])
        case "outcome":
            return about(facts, row[3])
        case "settled":
            return about(facts, row[0])
        case "tape":
            return about(facts, row[3])
        case "asked" | "mark":
            return about(facts, row[2])
        case "wait":
            return about(facts, row[1])
        case _:
            return 0, ""


def _renewed(world: World) -> list[Finding]:
    """Return the deposits whose fresh tokens do not replace just what was credited."""
    found: list[Finding] = []
    for deposit, given in renewals(world).items():
        credited = sum(credit.amount for credit in world.credits_of(deposit))
        if replaced(world.facts.tokens, given) != credited:
            found.append(Finding("renewal", (deposit,), Wrong.ALTERED, *about(world.facts, deposit)))
    return found


# Who waits for what


def _waits(world: World, store: Store) -> list[Finding]:
    """Return the rows that nobody can have written, and those that are missing where somebody still waits.

    What a transfer waited for, and has come, stays or not: it depends on the order of arrival.
    """
    stored: dict[bytes, set[bytes]] = defaultdict(set)
    for missing, transfer in store.ask("SELECT missing, transfer FROM wait ORDER BY missing, transfer"):
        stored[transfer].add(missing)
    found: list[Finding] = []
    charters = {charter(one.hint) for one in world.facts.authorities.values()}
    for transfer, rows in stored.items():
        known = world.facts.transfers.get(transfer)
        allowed = charters if known else set[bytes]()
        unknown = [charter(hint) for hint in _foreign(world, transfer)]
        for missing in sorted(_never_missed(world, transfer, rows - allowed - set(unknown))):
            found.append(Finding("wait", (missing, transfer), Wrong.UNEXPECTED, *about(world.facts, transfer)))
    for key, transfer in world.facts.transfers.items():
        if _hides(world, transfer) and asked_digest(transfer.commitment) not in stored[key]:
            row = (asked_digest(transfer.commitment), key)
            found.append(Finding("wait", row, Wrong.MISSING, *about(world.facts, key)))
        if key not in world.shaped:
            gone = _stopped_at(world, transfer)
            if gone and gone not in stored[key]:
                found.append(Finding("wait", (gone, key), Wrong.MISSING, *about(world.facts, key)))
        elif transfer.body.payee in world.institutions:
            first = lacking(world, key)
            if first is not None and first.missing not in stored[key]:
                found.append(Finding("wait", tuple(first), Wrong.MISSING, *about(world.facts, key)))
    return found


def _hides(world: World, transfer: Transfer) -> bool:
    """Return whether a transfer may answer a request that nobody has shown yet."""
    opening = world.facts.openings.get(transfer.id)
    return transfer.commitment not in world.facts.asked and (opening is None or bool(opening.request))


def _stopped_at(world: World, transfer: Transfer) -> bytes:
    """Return what a transfer is cut from that is not here; empty if it is no statement for another reason."""

    def origin(parent: Parent) -> Origin:
        found = world.origins.get(parent)
        if found is not None:
            return found
        if parent.id in world.facts.tokens or parent.id in world.shaped:
            raise TapError(Code.BROKEN_PROVENANCE, "a side or a place that this parent does not have")
        raise LookupError(parent.id)

    try:
        check_origins(transfer, origin, world.trust)
    except LookupError as missing:
        return cast("bytes", missing.args[0])
    except TapError:
        pass
    return b""


def _never_missed(world: World, transfer: bytes, rows: set[bytes]) -> set[bytes]:
    """Return those of these rows for which a transfer can never have waited; what is near is looked at first."""
    left, seen, queue = set(rows), {transfer}, [transfer]
    while queue and left:
        one = world.facts.transfers.get(queue.pop())
        if one is None:
            continue
        left -= {introduction(one.key)} | ({asked_digest(one.commitment)} if one.id == transfer else set())
        for parent, _, _ in one.body.spans:
            left -= {parent.id} if one.id == transfer else set()
            left -= {death(parent.id)} if parent.side is Side.PAYER else set()
            if parent.side is not Side.TOKEN and parent.id not in seen:
                seen.add(parent.id)
                queue.append(parent.id)
    return left


def _foreign(world: World, transfer: bytes) -> set[bytes]:
    """Return the hints of authorities that a transfer's witnesses may name."""
    known = world.facts.transfers.get(transfer)
    found: set[bytes] = set()
    for witness in known.body.witness if known else ():
        found |= {witness[place : place + 4] for place in range(len(witness) - 3)}
    return found


# Settlement


def settlement(world: World, store: Store) -> list[Finding]:
    """Return every row of a settlement that does not follow from the statements and the caps and people recorded."""
    facts = world.facts
    leaves, owed, given = _by_token(store, "leaf"), _by_token(store, "liability"), _by_token(store, "share")
    rows = store.ask("SELECT token, epoch, payee_cap, token_cap, bound, seal, accounts FROM settled ORDER BY token")
    settled = {row[0] for row in rows}
    proved = overspent(world, marks_of(world), lambda token: facts.tokens[token].claim_by)
    closed, fresh = {row[0] for row in store.ask("SELECT epoch FROM closed")}, renewals(world).keys()
    held: dict[bytes, dict[bytes, int]] = {}
    on_account: set[tuple[bytes, bytes]] = set()
    found: list[Finding] = []
    size = world.trust.scheme.suite.public_size
    for token, epoch, payee, whole, bound, seal, known_to in rows:
        amount, people = about(facts, token), parted(bound, size)
        accounts = None if known_to is None else parted(known_to, size)
        ruling = Ruling(epoch, Caps(payee, whole), people, accounts)
        old = not seal and not given[token] and not owed[token]  # settled before there was a guarantee
        known = facts.tokens.get(token)
        if (
            known is None
            or not known.claim_by < epoch
            or not (old or (min(ruling[0], *ruling[1]) >= 0 and seal == ruling.seal(token)))
        ):
            found.append(
                Finding("settled", (token, epoch, payee, whole, bound, seal, known_to), Wrong.ALTERED, *amount)
            )
            continue
        if epoch not in closed:
            found.append(Finding("closed", (epoch,), Wrong.MISSING, *amount))
        one = settled_of(world, proved.get(token, {}), token, epoch, ruling.caps, people, fresh.__and__)
        if not (accounts or frozenset()) <= keepers(one):
            found.append(Finding("settled", (token,), Wrong.ALTERED, *amount))
        on_account |= {(token, holder) for holder in accounts or ()}
        held[token] = undeposited(one, fresh)
        found += differences(world, "leaf", one.leaves, leaves[token])
        if not old:
            found += differences(world, "liability", one.liabilities, owed[token])
            found += differences(world, "share", one.shares, given[token])
    found += payouts(world, store, held, on_account)
    for token in sorted((leaves.keys() | owed.keys() | given.keys()) - settled):
        found += _unsettled(world, token, leaves[token], owed[token], given[token])
    return sorted(set(found), key=str)


def _unsettled(world: World, token: bytes, leaves: set[Raw], owed: set[Raw], given: set[Raw]) -> list[Finding]:
    """Return what is wrong where a token has rows of a settlement, and was not settled: that row, or those."""
    known = world.facts.tokens.get(token)
    if known is not None and leaves == set(world.leaves(token, known.claim_by)):
        return [Finding("settled", (token,), Wrong.MISSING, known.amount, known.currency)]
    return [
        Finding(table, row, Wrong.UNEXPECTED, *_amount(world, table, row))
        for table, rows in (("leaf", leaves), ("liability", owed), ("share", given))
        for row in sorted(rows)
    ]


_COLUMNS = {"leaf": 'token, start, "end", holder, lot, transfer', "liability": "token, key, amount",
            "share": "token, holder, claim, backed, guaranteed"}  # fmt: skip


def _by_token(store: Store, table: str) -> dict[bytes, set[Raw]]:
    found: dict[bytes, set[Raw]] = defaultdict(set)
    for row in store.ask(f"SELECT {_COLUMNS[table]} FROM {table}"):  # noqa: S608 - names of our own
        found[row[0]].add(tuple(row))
    return found
