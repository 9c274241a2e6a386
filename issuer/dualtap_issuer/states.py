"""What people are told of their money (SPEC §16-12): ``received → at risk → final``, or in doubt until a date.

How to call it, for a reply to an upload by ``key``::

    told = states(ledger.store, ledger.scheme, key, upload.pending)

What a deposit was paid by fresh tokens (SPEC §14-23), it is not paid again.

It asks a bounded number of questions, however many transfers there are, and tells a wallet of its own transfers alone.
Nothing is stored: a state follows from the rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple, cast

from dualtap.errors import Code, TapError
from dualtap.issued import Token
from dualtap.statements import Scheme
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.guarantee import split
from dualtap_issuer.renewals import renewed_in
from dualtap_issuer.rows import AskedRow, SpanRow
from dualtap_issuer.rules import Lot
from dualtap_issuer.settling import done
from dualtap_issuer.store import Store


class Standing(IntEnum):
    """How far a transfer has come, for who signed it.

    ``RECEIVED``: a deposit is kept, but something behind it is missing. ``AT_RISK``: it is credited, provisionally.
    ``FINAL``: all its tokens are settled, and nothing changes any more. ``IN_DOUBT``: a payment whose payee has told
    nothing. ``ANSWERED``: a payment whose outcome is here; a reply carries it. ``RENEWED``: fresh tokens have taken a
    deposit's place.
    """

    RECEIVED = 1
    AT_RISK = 2
    FINAL = 3
    IN_DOUBT = 4
    ANSWERED = 5
    RENEWED = 6


class State(NamedTuple):
    """A transfer's standing, its amount in minor units, and the last epoch in which that can change.

    ``amount`` is what is credited: provisionally, or for good where ``FINAL``; else what the transfer hands over.
    ``until`` is the greatest ``claim_by`` of its tokens. Both are 0 where the ledger lacks what the transfer is cut
    from: then its signer, who knows its tokens, knows the date as well.
    """

    transfer: bytes
    standing: Standing
    amount: int
    until: int


def states(store: Store, scheme: Scheme, key: bytes, transfers: Iterable[bytes]) -> list[State]:
    """Return the states of those of these transfers that ``key`` signed, in order of their ids.

    Transfers that the ledger does not know, or that another key signed, are left out. Raises ``LEDGER_CORRUPT`` where
    a row names a token that is no fact.

    SPEC §16-12.
    """
    mine = {found: row for found, row in store.hands(transfers).items() if row.key == key}
    spans: dict[bytes, list[SpanRow]] = defaultdict(list)
    for span in store.spans(mine):
        spans[span.transfer].append(span)
    tokens = {span.token for cut in spans.values() for span in cut}
    claims, settled = _claims(store, scheme, tokens), done(store, tokens)
    asked, amounts, final = store.asked(mine), _credits(store, spans), paid(store, scheme, key, settled)
    # What answers a request is a payment, also to an institution, unless that was shown too late (SPEC §16-28).
    payments = {row.transfer for row in asked} - amounts.keys()
    credited = {row.transfer: bool(row.credited) for row in store.deposits(mine) if row.transfer not in payments}
    answered, renewed = _answered(store, asked), renewed_in(store, scheme, {one for one in mine if credited.get(one)})
    found: list[State] = []
    for transfer in sorted(mine):
        cut = spans.get(transfer, [])
        until = max((claims[span.token] for span in cut), default=0)
        given = sum(span.end - span.start for span in cut)
        if transfer in renewed:
            found.append(State(transfer, Standing.RENEWED, amounts.get(transfer, 0), until))
        elif cut and all(span.token in settled for span in cut):
            found.append(State(transfer, Standing.FINAL, sum(final.get(transfer, NOTHING)), until))
        elif credited.get(transfer):
            found.append(State(transfer, Standing.AT_RISK, amounts.get(transfer, 0), until))
        elif transfer in credited or not cut:
            found.append(State(transfer, Standing.RECEIVED, given, until))
        else:
            standing = Standing.ANSWERED if transfer in answered else Standing.IN_DOUBT
            found.append(State(transfer, standing, given, until))
    return found


def _claims(store: Store, scheme: Scheme, tokens: Collection[bytes]) -> dict[bytes, int]:
    """Return these tokens' ``claim_by``."""
    found = {fact.digest: cast("Token", decode_fact(scheme, fact)).claim_by for fact, _ in store.find(tokens)}
    for token in tokens:
        if token not in found:
            raise TapError(Code.LEDGER_CORRUPT, f"fact {token.hex()} is missing")
    return found


def _credits(store: Store, spans: dict[bytes, list[SpanRow]]) -> dict[bytes, int]:
    """Return what each transfer, as a deposit, credits."""
    query = "SELECT c.transfer, c.amount FROM {wanted} CROSS JOIN credit c WHERE c.transfer = w.a AND c.number = w.b"
    wanted = sorted((span.transfer, span.number) for cut in spans.values() for span in cut)
    found: dict[bytes, int] = defaultdict(int)
    for transfer, amount in store.ask(query, wanted):
        found[transfer] += amount
    return found


class Paid(NamedTuple):
    """What a transfer brought its signer for good, in minor units: by the token, and by the guarantee."""

    backed: int
    guaranteed: int


NOTHING = Paid(0, 0)


def paid(store: Store, scheme: Scheme, key: bytes, tokens: Collection[bytes]) -> dict[bytes, Paid]:
    """Return what ``key`` got of these settled tokens, by transfer; under empty bytes, of the tokens that it owned.

    Where a token was overspent, what its holder got is divided among the holder's claims (SPEC §16-17). What was
    renewed is none of them.
    """
    query = (
        'SELECT l.token, l.transfer, l."end" - l.start, l.lot FROM {wanted} CROSS JOIN leaf l '
        "WHERE l.token = w.a AND l.holder = w.b"
    )
    wanted = sorted((token, key) for token in tokens)
    claimed: dict[bytes, dict[bytes, int]] = defaultdict(lambda: defaultdict(int))
    leaves = store.ask(query, wanted)
    renewed = renewed_in(store, scheme, {row[1] for row in leaves if row[3] == Lot.DEPOSITED})
    for token, transfer, amount, lot in leaves:
        if lot != Lot.DEPOSITED or transfer not in renewed:
            claimed[token][transfer] += amount
    query = (
        "SELECT s.token, s.backed, s.guaranteed FROM {wanted} CROSS JOIN share s WHERE s.token = w.a AND s.holder = w.b"
    )
    shares = {row[0]: Paid(row[1], row[2]) for row in store.ask(query, wanted)}
    found: dict[bytes, Paid] = {}
    for token, claims in claimed.items():
        parts = divided(claims, shares.get(token, Paid(sum(claims.values()), 0)))
        for transfer, part in parts.items():
            had = found.get(transfer, NOTHING)
            found[transfer] = Paid(had.backed + part.backed, had.guaranteed + part.guaranteed)
    return found


def divided(claims: Mapping[bytes, int], whole: Paid) -> dict[bytes, Paid]:
    """Divide what a holder got of a token among its claims, by transfer (SPEC §16-17)."""
    backed = split(whole.backed, claims)
    added = split(whole.guaranteed, {transfer: claim - backed[transfer] for transfer, claim in claims.items()})
    return {transfer: Paid(backed[transfer], added[transfer]) for transfer in claims}


def _answered(store: Store, asked: Collection[AskedRow]) -> set[bytes]:
    """Return the transfers whose requests, as they are ``asked``, have an outcome here."""
    given = {(row.key, row.request) for row in store.outcomes((one.payee, one.request) for one in asked)}
    return {one.transfer for one in asked if (one.payee, one.request) in given}
