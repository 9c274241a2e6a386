"""Attacks by warrant: value that its payer says was refused, at a till, and what a ledger makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from dualtap.compact import CompactWarrant
from dualtap.errors import Code
from dualtap.evidence import Fraud
from dualtap.statements import (
    ReceiptBody,
    RequestOpening,
    Span,
    Warrant,
)
from dualtap.wire import TransferMessage
from tests.playbook import EPOCH, SUITE_NAMES
from tests.support.arena import Attack, By, names, payee_side, payer_side
from tests.support.till import Till

Show: TypeAlias = Callable[[Till], TransferMessage]
Row: TypeAlias = Attack[Show]
TWICE, DEAD = Fraud.TWO_OUTCOMES, Fraud.DEAD_SPENT


def proof(message: TransferMessage) -> CompactWarrant:
    found = message.bundle.transfers[0].proof
    assert isinstance(found, CompactWarrant)
    return found


def warranted(t: Till, **changed: bytes) -> TransferMessage:
    """Restored value, under a warrant of which something was exchanged."""
    message = t.spend(payer_side(t.dead(), 0, 100))
    return t.altered(message, 0, proof=proof(message)._replace(**changed))  # type: ignore[arg-type]


def stripped(t: Till) -> TransferMessage:
    dead = t.dead()
    return t.altered(t.spend(payer_side(dead, 0, 100)), 0, proof=dead.commitment)


def by_another(t: Till) -> TransferMessage:
    """Eve herself closes the request that Mallory made."""
    dead = t.give(t.eve, t.mallory, t.own(0, 100))
    t.close(t.eve, dead)
    return t.spend(payer_side(dead, 0, 100))


def by_itself(t: Till) -> TransferMessage:
    dead = t.give(t.eve, t.mallory, t.own(0, 100))
    t.close(t.mallory, dead, dead.id)
    return t.spend(payer_side(dead, 0, 100))


def of_another_request(t: Till) -> TransferMessage:
    """Mallory closed another request of hers: its Close, opened as if the transfer had answered it."""
    one, other = t.dead(), t.give(t.eve, t.mallory, t.own(100, 200))
    closed = t.graph.warrants.pop(one.id)
    opening = other.shown().answered()
    t.graph.warrants[other.id] = Warrant(
        RequestOpening(opening.place, opening.salt, closed.opening.request), closed.outcome
    )
    return t.spend(payer_side(other, 100, 200))


def of_another_transfer(t: Till) -> TransferMessage:
    """The warrant of one dead transfer, whole, beside another that is alive."""
    one, other = t.dead(), t.give(t.eve, t.mallory, t.own(100, 200))
    t.graph.warrants[other.id] = t.graph.warrants.pop(one.id)
    return t.spend(payer_side(other, 100, 200))


def added(t: Till) -> TransferMessage:
    """Eve's own Close of what she was paid, beside her spending it."""
    token = t.keep(t.arena.token(t.mallory.key, 100))
    hand = t.give(t.mallory, t.eve, Span(token, 0, 100))
    t.close(t.eve, hand)
    return t.spend(payee_side(hand, 0, 100))


def hidden(t: Till) -> TransferMessage:
    """The same, with the Close kept back: a till cannot know, and the ledger does."""
    message = added(t)
    dead = next(iter(t.graph.warrants))
    return t.altered(message, 0, proof=t.graph.transfers[dead].commitment)


def known_to_be_dead(t: Till) -> TransferMessage:
    """The till holds value restored to Mallory; Eve, who closed it, spends it all the same."""
    token = t.keep(t.arena.token(t.mallory.key, 200))
    dead = t.give(t.mallory, t.eve, Span(token, 0, 200))
    t.close(t.eve, dead)
    restored = t.give(t.mallory, t.eve, payer_side(dead, 0, 200))
    t.pay(payee_side(restored, 0, 100))
    del t.graph.warrants[dead.id]
    return t.spend(payee_side(dead, 100, 200))


def restored_after(t: Till) -> TransferMessage:
    """The other way round: the till took it from Eve, and Mallory's restored units come back through her."""
    token = t.keep(t.arena.token(t.mallory.key, 200))
    dead = t.give(t.mallory, t.eve, Span(token, 0, 200))
    t.pay(payee_side(dead, 0, 100))
    t.close(t.eve, dead)
    return t.spend(payee_side(t.give(t.mallory, t.eve, payer_side(dead, 0, 200)), 100, 200))


def both_outcomes(t: Till) -> TransferMessage:
    dead = t.dead()
    body = ReceiptBody(dead.shown().request, dead.id, EPOCH)
    t.arena.sign(t.mallory.signer, body, t.arena.place(t.mallory.signer))
    return t.spend(payer_side(dead, 0, 100))


def receipt_of_another(t: Till) -> TransferMessage:
    dead = t.give(t.eve, t.mallory, t.own(0, 100))
    t.close(t.mallory, dead, b"x" * 32)
    return t.spend(payer_side(dead, 0, 100))


BROKEN, SIGNATURE = Code.BROKEN_PROVENANCE, Code.BAD_SIGNATURE
WARRANTS: tuple[Row, ...] = (
    Row("restored value with its warrant is taken", By.PAYER, "none", "§8.2-5",
        lambda t: t.spend(payer_side(t.dead(), 0, 100)), None),
    Row("restored by a Receipt of another transfer is taken", By.PAYEE, "none", "§8.2-4", receipt_of_another, None),
    Row("no warrant", By.PAYER, "whoever paid may take it back", "§8.2-5",
        lambda t: t.spend(payer_side(t.give(t.eve, t.mallory, t.own(0, 100)), 0, 100)), BROKEN),
    Row("a warrant stripped", By.PAYER, "a warrant once shown is remembered for ever", "§8.2-5", stripped, BROKEN),
    Row("a warrant by another key", By.PAYER, "anybody closes anybody's request", "§8.2-4", by_another, SIGNATURE),
    Row("a Receipt of the transfer itself", By.PAYEE, "any outcome is a warrant", "§8.2-4", by_itself, BROKEN),
    Row("a Close of another request", By.PAYEE, "a warrant is not bound to the transfer's request", "§8.2-4",
        of_another_request, SIGNATURE),
    Row("a warrant of another transfer", By.PAYEE, "a warrant is not bound to its transfer", "§8.2-4",
        of_another_transfer, SIGNATURE),
    Row("a warrant with another place", By.PAYER, "the opening is not compared with the commitment", "§4.2-2",
        lambda t: warranted(t, place=bytes(32)), SIGNATURE),
    Row("a warrant with another salt", By.PAYER, "the opening is not compared with the commitment", "§4.2-2",
        lambda t: warranted(t, salt=bytes(32)), SIGNATURE),
    Row("a warrant with another signature", By.PAYER, "the outcome's signature is not verified", "§8.2-4",
        lambda t: warranted(t, signature=bytes(64)), SIGNATURE),
    Row("a warrant added to live value", By.PAYEE, "a payee spends what it refused", "§8.2-6", added, BROKEN,
        names(("eve", DEAD))),
    Row("a warrant kept back is taken, and names who closed", By.PAYEE, "a payee spends what it refused", "§15-5",
        hidden, None, names(("eve", DEAD))),
    Row("a payee's side that the till knows to be dead", By.PAYEE, "what is known is not looked up", "§8.3-2",
        known_to_be_dead, Code.DOUBLE_SPENT, names(("eve", DEAD))),
    Row("a payer's side whose payee's side the till holds", By.HAND, "a Close after a Receipt doubles value", "§8.3-2",
        restored_after, Code.DOUBLE_SPENT, names(("eve", DEAD))),
    Row("two outcomes: a till takes either, and the payee is named", By.PAYEE, "a payee keeps what it told it refused",
        "§4.1-9", both_outcomes, None, names(("mallory", TWICE))),
)  # fmt: skip


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("attack", WARRANTS, ids=lambda attack: attack.name)
def test_an_attack_by_warrant(attack: Row, suite: str) -> None:
    """§4.1-9, §4.2-2, §8.2-4, §8.2-5, §8.2-6, §8.3-2, §15-5."""
    Till(suite).judge(attack)
