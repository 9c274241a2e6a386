"""What a ledger credits, counted a second time from its statements, by rules written down here anew (SPEC §5.3, §16).

It shares no code with the ledger's own judgement: only the decoder of facts.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from typing import NamedTuple

from dualtap.statements import Parent, ReceiptBody, Side, Transfer
from dualtap_issuer.facts import Facts
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.rules import Credit


class Units(NamedTuple):
    """Units of a token, and to whom a place in a history gives them."""

    token: bytes
    start: int
    end: int
    owner: bytes
    epoch: int


def check_credits(ledger: Ledger, credits: Collection[Credit]) -> None:
    """Each credit is of units that its deposit's history gives; a unit credited twice names somebody (SPEC §1-1)."""
    facts, office = ledger.facts(), ledger.authority.office.key
    counted: list[tuple[bytes, Units]] = []
    for credit in credits:
        deposit = facts.transfers[credit.transfer]
        assert deposit.body.payee == office, "a credit without a deposit"
        given = statement_of(facts, deposit)[credit.number]
        assert (given.token, given.end - given.start) == (credit.token, credit.amount), "another amount is credited"
        assert credit.key == deposit.key, "somebody else is credited"
        counted.append((credit.transfer, given))
    for (one, a), (other, b) in combinations(counted, 2):
        if one != other and a.token == b.token and a.start < b.end and b.start < a.end:
            assert ledger.store.named(), "a unit is credited twice, and nobody is named"


def statement_of(facts: Facts, transfer: Transfer) -> list[Units]:
    """Return what each span of a transfer takes; fail unless its signer owns that, once, and all behind it is so."""
    found: list[Units] = []
    for parent, start, end in transfer.body.spans:
        above = given_by(facts, parent)
        assert above.owner == transfer.key, "spent by another than its owner"
        assert above.start <= start < end <= above.end, "more than there was"
        assert above.epoch <= transfer.body.epoch, "spent before it was there"
        for other in found:
            assert other.token != above.token or other.end <= start or end <= other.start, "a unit twice"
        found.append(above._replace(start=start, end=end))
    return found


def given_by(facts: Facts, parent: Parent) -> Units:
    """Return what a parent gives, all of it."""
    if parent.side is Side.TOKEN:
        assert parent.place == 0, "a token has one place"
        token = facts.tokens[parent.id]
        return Units(parent.id, 0, token.amount, token.owner, 0)
    transfer = facts.transfers[parent.id]
    span = statement_of(facts, transfer)[parent.place]._replace(epoch=transfer.body.epoch)
    if parent.side is Side.PAYEE:
        return span._replace(owner=transfer.body.payee)
    assert is_dead(facts, transfer), "value is taken back from a transfer that is not dead"
    return span._replace(owner=transfer.key)


def is_dead(facts: Facts, transfer: Transfer) -> bool:
    """Return whether the request of a transfer has another outcome than its Receipt."""
    asked = facts.asked.get(transfer.commitment)
    if asked is None:
        return False
    answers = [one for one in facts.outcomes.values() if one.key == transfer.body.payee]
    bodies = [one.body for one in answers if one.body.request == asked.request]
    return any(not isinstance(body, ReceiptBody) or body.transfer != transfer.id for body in bodies)
