"""The payouts of a ledger, compared with what facts tell of them: which tokens, of what amount, to whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from dualtap.issued import key_hint
from dualtap_issuer import netting
from dualtap_issuer.findings import Finding, Wrong, about
from dualtap_issuer.lines import line_of
from dualtap_issuer.payouts import PayoutRow, payout_serial
from dualtap_issuer.people import People
from dualtap_issuer.rules import Lot, World
from dualtap_issuer.store import Store


def payouts(
    world: World, store: Store, held: dict[bytes, dict[bytes, int]], on_account: Collection[tuple[bytes, bytes]]
) -> list[Finding]:
    """Return the rows that are missing, those that no token bears out, and those of another amount or another's.

    ``held`` has what settlements paid for what was not deposited, by token and holder; what is ``on_account``, by token
    and holder, is not paid out as well (SPEC §16-25).
    """
    facts = world.facts
    rows = {PayoutRow(*row) for row in store.ask("SELECT token, holder, epoch, fresh FROM payout")}
    expected = _expected(world, held, {row.token for row in rows} - held.keys(), rows)
    wrong = [Finding("payout", tuple(row), Wrong.MISSING, *about(facts, row.fresh)) for row in expected - rows]
    wrong += [Finding("payout", tuple(row), Wrong.UNEXPECTED, *about(facts, row.fresh)) for row in rows - expected]
    people = People(facts.words.values(), facts.seen, world.institutions)
    for row in rows & expected:
        fresh, amount = facts.tokens[row.fresh], held.get(row.token, {}).get(row.holder)
        home = world.trust.issuer_key(fresh.issuer)
        heirs = {*line_of(store, people.heir(row.holder, home, row.epoch - 1)), *line_of(store, row.holder)}
        twice = (row.token, row.holder) in on_account
        if twice or (amount is not None and fresh.amount != amount) or fresh.owner not in heirs:
            wrong.append(Finding("payout", tuple(row), Wrong.ALTERED, *about(facts, row.fresh)))
    return sorted(wrong, key=str)


def _expected(
    world: World, held: dict[bytes, dict[bytes, int]], others: Iterable[bytes], rows: Collection[PayoutRow]
) -> set[PayoutRow]:
    """Return the payouts that were made: there is a token with the serial of each, of who keeps the holder's account.

    Serials are short enough for two payouts to share one: then ``rows`` tell which token is whose.
    """
    facts = world.facts
    by_serial: dict[bytes, set[bytes]] = defaultdict(set)
    for digest, issued in facts.tokens.items():
        by_serial[issued.serial].add(digest)
    whose: dict[bytes, set[tuple[bytes, bytes]]] = defaultdict(set)
    for row in rows:
        whose[row.fresh].add((row.token, row.holder))
    holders = {token: set(amounts) for token, amounts in held.items()}
    for token in others:  # what was settled and its row lost
        known = facts.tokens.get(token)
        leaves = world.leaves(token, known.claim_by) if known is not None else []
        holders[token] = {leaf.holder for leaf in leaves if leaf.lot is not Lot.DEPOSITED}
    home = netting.homes(facts, world.trust) if holders else {}
    found: set[PayoutRow] = set()
    for token, keys in holders.items():
        for holder in keys & home.keys():
            found.update(
                PayoutRow(token, holder, facts.seen[fresh], fresh)
                for fresh in by_serial.get(payout_serial(token, holder), ())
                if ((token, holder) in whose[fresh])
                or (not whose[fresh] and facts.tokens[fresh].issuer == key_hint(home[holder]))
            )
    return found
