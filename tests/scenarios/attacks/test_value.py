"""Attacks on value: a thief at an honest till shows a transfer that it may not, or cannot, make.

After each of them the thieves upload all that they signed, everybody honest syncs, and the ledger names exactly whom
the row names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from dualtap import limits
from dualtap.errors import Code
from dualtap.evidence import Fraud
from dualtap.statements import Side, Span
from dualtap.wire import TransferMessage
from tests.playbook import EPOCH, SUITE_NAMES
from tests.support.arena import Attack, By, names, payee_side, payer_side
from tests.support.till import Till, swapped

Show: TypeAlias = Callable[[Till], TransferMessage]
Row: TypeAlias = Attack[Show]
FAR = 2**63 - 1
BIG = limits.AMOUNT


def change(t: Till) -> Span:
    """Fifty units of Anna's token that she kept, or gave to somebody else."""
    _, start, end = t.hands[0].body.spans[0]
    return Span(t.anna_token, start - 50, start) if start >= 50 else Span(t.anna_token, end, end + 50)


def twice_by_two_parents(t: Till) -> TransferMessage:
    token = t.keep(t.arena.token(t.mallory.key, 60))
    one, other = (t.give(t.mallory, t.eve, Span(token, 0, 60)) for _ in range(2))
    return t.spend(payee_side(one, 0, 60), payee_side(other, 0, 40))


def conflict_behind(t: Till) -> TransferMessage:
    token = t.keep(t.arena.token(t.mallory.key, 110))
    one, other = t.give(t.mallory, t.eve, Span(token, 0, 60)), t.give(t.mallory, t.eve, Span(token, 50, 110))
    return t.spend(payee_side(one, 0, 50), payee_side(other, 60, 110))


def again(t: Till) -> TransferMessage:
    t.pay(t.own(0, 100))
    return t.spend(t.own(50, 150))


def hand_again(t: Till) -> TransferMessage:
    """What the till was paid comes back as a hand to Eve."""
    token = t.keep(t.arena.token(t.mallory.key, 100))
    t.pay(payee_side(t.give(t.mallory, t.eve, Span(token, 0, 100)), 0, 100))
    return t.spend(payee_side(t.give(t.mallory, t.eve, Span(token, 0, 100)), 0, 100))


def dead_and_token(t: Till) -> TransferMessage:
    return t.spend(payer_side(t.dead(0, 60), 0, 60), t.own(0, 40))


def euros(t: Till, amount: int) -> TransferMessage:
    euro = t.keep(t.arena.token(t.eve.key, 100, "EUR"))
    return t.spend(*([t.own(0, 100 - amount)] if amount < 100 else []), Span(euro, 0, amount))


def billions(t: Till) -> TransferMessage:
    return t.spend(*(Span(t.keep(t.arena.token(t.eve.key, BIG)), 0, BIG) for _ in range(2)))


def over(t: Till) -> TransferMessage:
    message = t.spend(t.own(0, 100))
    return message._replace(spans=((0, 0, BIG + 1),))


def after(t: Till, prev: int, ctr: int) -> TransferMessage:
    """Pay once at (1010, 1020], and once more there."""
    t.pay(t.own(0, 100), prev=1010, ctr=1020)
    return t.spend(t.own(100, 200), prev=prev, ctr=ctr)


def dated(t: Till, hand: int, last: int) -> TransferMessage:
    token = t.keep(t.arena.token(t.mallory.key, 100))
    given = t.give(t.mallory, t.eve, Span(token, 0, 100), epoch=hand)
    return t.spend(payee_side(given, 0, 100), epoch=last)


def expired(t: Till) -> TransferMessage:
    token = t.keep(t.arena.token(t.eve.key, 100, spend_by=EPOCH - 1))
    return t.spend(Span(token, 0, 100), epoch=EPOCH - 1)


def edited(part: str, edit: Callable[[Till, Any], tuple[Any, ...]]) -> Show:
    """Edit one list of the bundle behind a good payment, which Eve signs again."""

    def do(t: Till) -> TransferMessage:
        message = t.all()
        return t.bundled(message, **{part: edit(t, getattr(message.bundle, part))})

    return do


def other_payee(t: Till) -> TransferMessage:
    start = t.bens.body.spans[0].start
    return t.spend(t.got(1, 0, 50), payee_side(t.bens, start, start + 50))


def cycle(t: Till) -> TransferMessage:
    message = t.altered(t.all(), 0, spans=((1, Side.PAYEE, 0, 0, 40),))
    return t.altered(message, 1, spans=((0, Side.PAYEE, 0, 0, 40),))


def other_hand(t: Till) -> TransferMessage:
    """A genuine hand that is not behind the payment is slipped in."""
    message = t.all()
    token = t.keep(t.arena.token(t.eve.key, 9))
    junk = t.give(t.eve, t.mallory, Span(token, 0, 9))
    shown = t.message(t.arena.hand(t.eve.signer, t.till.book.key, payee_side(junk, 0, 9), request=t.request))
    return t.bundled(
        message,
        tokens=(*message.bundle.tokens, *shown.bundle.tokens),
        transfers=(
            *message.bundle.transfers,
            shown.bundle.transfers[0]._replace(payee=t.mallory.key, spans=((2, 0, 9),)),
        ),
    )


def replayed(t: Till) -> TransferMessage:
    message = t.spend(t.own(0, 100))
    t.show(message)
    del t.__dict__["meeting"]
    return message


def resumed(t: Till, request: bytes) -> TransferMessage:
    return t.signed(t.spend(t.own(0, 100))._replace(request=request))


def of_ben(t: Till) -> TransferMessage:
    """A transfer that Anna made to Ben, shown to the till by Eve as if it were for the till."""
    message = t.all()
    return message._replace(signature=t.bens.signature)


def card(t: Till, pieces: int) -> TransferMessage:
    t.replace(limits.CARD)
    size = 100 // pieces
    return t.spend(*(t.own(n * size, (n + 1) * size) for n in range(pieces)))


def relay(t: Till, count: int, hops: int = 7) -> TransferMessage:
    return t.spend(t.chain(*(t.thief(f"hand {n}") for n in range(count)), hops=hops))


FORK, TAPE = Fraud.FORK, Fraud.TAPE_FORK
EVE, MALLORY = names(("eve", FORK)), names(("mallory", FORK))
OWNER, OVERLAP, OUTSIDE, BROKEN = Code.NOT_OWNER, Code.SPANS_OVERLAP, Code.SPAN_OUTSIDE, Code.BROKEN_PROVENANCE
AMOUNT, SIGNATURE, FORKED = Code.WRONG_AMOUNT, Code.BAD_SIGNATURE, Code.TAPE_FORKED

ATTACKS: tuple[Row, ...] = (
    # Nothing is wrong: what follows fails for what it alters, and for nothing else.
    Row("an honest payment is taken", By.PAYER, "none", "§8.1-1", Till.all, None),
    # Stolen provenance
    Row("another wallet's change", By.PAYER, "the owner of a token is not compared with the signer", "§5.3-3",
        lambda t: t.spend(t.got(0, 0, 50), change(t)), OWNER),
    Row("another wallet's token", By.PAYER, "a token is bearer value for whoever shows it", "§5.4-3",
        lambda t: t.spend(Span(t.keep(t.arena.token(t.ben.book.key, 100)), 0, 100)), BROKEN),
    Row("what another payee was given", By.PAYER, "a hand behind the value is taken for the signer's own", "§5.3-3",
        other_payee, OWNER),
    Row("the payer's side, by its payee", By.PAYER, "sides of a transfer are not told apart", "§5.3-3",
        lambda t: t.spend(payer_side(t.hands[0], *t.got(0, 0, 100)[1:])), OWNER),
    Row("a token relabelled", By.PAYER, "the owner on the wire is believed before the signature", "§5.4-4",
        edited("tokens", lambda t, part: (part[0]._replace(owner=0), *part[1:])), SIGNATURE),
    Row("a hand relabelled", By.PAYER, "the payee of a hand is not under its signature", "§5.4-4",
        lambda t: t.altered(t.all(), 0, payee=0), SIGNATURE),
    Row("a transfer to somebody else", By.PAYER, "the payee key is not part of what is signed", "§5.2-4",
        lambda t: t.spend(t.own(0, 100), payee=t.ben.book.key), SIGNATURE),
    Row("another wallet's signature", By.PAYER, "a signature is verified over something else than what is shown",
        "§4.1-1", of_ben, SIGNATURE),
    # Spans
    Row("a unit twice by one parent", By.PAYER, "spans are summed without looking for overlaps", "§5.3-6",
        lambda t: t.spend(t.own(0, 60), t.own(59, 99)), OVERLAP),
    Row("a unit twice by two parents", By.HAND, "overlaps are looked for under one parent only", "§5.3-6",
        twice_by_two_parents, OVERLAP, MALLORY),
    Row("a restored unit and the token's", By.PAYER, "a dead transfer's units count beside the token's", "§5.3-6",
        dead_and_token, OVERLAP),
    Row("a double spend inside the proof", By.HAND, "hands are checked one by one, never against each other", "§8.3-1",
        conflict_behind, Code.DOUBLE_SPENT, MALLORY),
    Row("the same units to the same till", By.PAYER, "what was accepted before is not remembered", "§8.3-1", again,
        Code.DOUBLE_SPENT, EVE),
    Row("a hand's double spend to the same till", By.HAND, "only the direct payer's spends are remembered", "§8.3-5",
        hand_again, Code.DOUBLE_SPENT, MALLORY),
    Row("an empty span", By.PAYER, "start < end is not checked", "§5.3-4",
        lambda t: t.spend(t.own(0, 100), t.own(200, 200)), OUTSIDE),
    Row("a span backwards", By.PAYER, "a negative span offsets a larger one", "§5.3-4",
        lambda t: t.spend(t.own(0, 200), t.own(400, 300)), OUTSIDE),
    Row("a span beyond its token", By.PAYER, "the end is not compared with the token's amount", "§5.3-4",
        lambda t: t.spend(t.own(950, 1050)), OUTSIDE),
    Row("a span beyond what was given", By.PAYER, "a hand's span is compared with the token, not with the hand",
        "§5.3-4", lambda t: t.spend(t.got(0, 301, 401)), OUTSIDE),
    Row("a place that a hand does not have", By.PAYER, "an index into a hand's spans is not bounded", "§5.3-2",
        lambda t: t.signed(t.spend(t.got(0, 0, 100))._replace(spans=((0, Side.PAYEE, 15, 0, 100),))), BROKEN),
    # Amounts
    Row("less than asked", By.PAYER, "any payment settles the request", "§8.1-14", lambda t: t.spend(t.own(0, 99)),
        AMOUNT),
    Row("more than asked", By.PAYER, "tolerance makes a channel for laundering", "§8.1-14",
        lambda t: t.spend(t.own(0, 101)), AMOUNT),
    Row("another currency", By.PAYER, "units are compared without their currency", "§8.1-12", lambda t: euros(t, 100),
        Code.WRONG_CURRENCY),
    Row("half in another currency", By.PAYER, "only the first span's currency is compared", "§8.1-12",
        lambda t: euros(t, 50), Code.WRONG_CURRENCY),
    Row("a sum that overflows", By.PAYER, "sums wrap at 2**53 or 2**64", "§8.1-14", billions, AMOUNT),
    Row("an amount above 2**53-1", By.PAYER, "numbers on the wire are not bounded", "§5.1-7", over, Code.MALFORMED),
    # Dates
    Row("dated ahead", By.PAYER, "a future date makes hands look old enough", "§8.1-6",
        lambda t: t.spend(t.own(0, 100), epoch=EPOCH + 1), Code.EPOCH_AHEAD),
    Row("dated before its hand", By.PAYER, "back-dating escapes a hotlist or an expiry", "§5.3-5",
        lambda t: t.spend(t.got(0, 0, 100), epoch=EPOCH - 1), Code.EPOCH_BACKWARDS),
    Row("back-dated into the token's life", By.PAYER, "expiry is judged by the statement's own date", "§8.1-12",
        expired, Code.TOKEN_EXPIRED),
    Row("a hand of the future", By.HAND, "only the last date is compared", "§5.3-5",
        lambda t: dated(t, EPOCH + 1, EPOCH), Code.EPOCH_BACKWARDS),
    Row("all of the future", By.HAND, "dates that agree with each other are believed", "§8.1-6",
        lambda t: dated(t, EPOCH + 1, EPOCH + 1), Code.EPOCH_AHEAD),
    # The tape
    Row("an empty place", By.PAYER, "an interval that overlaps nothing hides a fork", "§4.2-1",
        lambda t: t.spend(t.own(0, 100), prev=5, ctr=5), Code.MALFORMED),
    Row("a place backwards", By.PAYER, "ctr < prev makes overlaps vanish", "§4.2-1",
        lambda t: t.spend(t.own(0, 100), prev=9, ctr=3), Code.MALFORMED),
    Row("a place taken before", By.PAYER, "tapes are not compared", "§8.3-3", lambda t: after(t, 1010, 1020), FORKED,
        names(("eve", TAPE))),
    Row("a place that overlaps", By.PAYER, "only equal counters are compared", "§8.3-3", lambda t: after(t, 1019, 1025),
        FORKED, names(("eve", TAPE))),
    Row("a place around another", By.PAYER, "an interval that holds another is not an overlap", "§8.3-3",
        lambda t: after(t, 1000, FAR), FORKED, names(("eve", TAPE))),
    Row("a place before another's is taken: a gap accuses nobody", By.PAYER, "honest order on a slow link is named",
        "§15-10", lambda t: after(t, 1005, 1010), None),
    Row("the last place of a tape is taken", By.PAYER, "2**63-1 overflows a ledger's column", "§5.1-7",
        lambda t: t.spend(t.own(0, 100), prev=FAR - 1, ctr=FAR), None),
    Row("a place above 2**63-1", By.PAYER, "counters on the wire are not bounded", "§5.1-7",
        lambda t: t.spend(t.own(0, 100))._replace(ctr=FAR + 1), Code.MALFORMED),
    # What is behind
    Row("a hand is missing", By.PAYER, "what is not shown is taken for granted", "§5.4-2",
        edited("transfers", lambda t, part: part[:-1]), BROKEN),
    Row("a token is missing", By.PAYER, "a parent that is not shown is worth what is claimed", "§5.4-2",
        edited("tokens", lambda t, part: part[:-1]), BROKEN),
    Row("a certificate is missing", By.PAYER, "a hand without a certificate is anybody's", "§5.4-3",
        edited("certificates", lambda t, part: part[:-1]), BROKEN),
    Row("hands out of order", By.PAYER, "references are resolved before what they point at is checked", "§5.4-2",
        edited("transfers", lambda t, part: swapped(part, 0, 1)), BROKEN),
    Row("a hand before itself", By.PAYER, "a cycle of references grounds value in itself", "§5.4-2",
        lambda t: t.altered(t.all(), 0, spans=((0, Side.PAYEE, 0, 0, 40),)), BROKEN),
    Row("two hands before each other", By.PAYER, "a longer cycle is not seen", "§5.4-2", cycle, BROKEN),
    Row("a certificate of nobody here", By.PAYER, "strangers' certificates fill a card's memory", "§5.4-3",
        edited("certificates", lambda t, part: (*part, t.mallory.certificate)), BROKEN),
    Row("two certificates of one key", By.BANK, "a second certificate overrides the first", "§5.4-3",
        edited("certificates", lambda t, part: (*part, t.arena.certificate(t.eve.key))), BROKEN),
    Row("a hand that is not behind", By.PAYER, "what is stored and passed on was never paid with", "§8.3-6", other_hand,
        BROKEN),
    Row("a hand twice", By.PAYER, "a message that says a thing twice fills a card's memory", "§5.4-1",
        edited("transfers", lambda t, part: (*part, part[-1])), BROKEN),
    Row("a token twice", By.PAYER, "a message that says a thing twice fills a card's memory", "§5.4-1",
        edited("tokens", lambda t, part: (*part, part[-1])), BROKEN),
    # Replay
    Row("a Transfer of an earlier session", By.PEER, "a transfer is not bound to its request", "§6-12", replayed,
        SIGNATURE),
    Row("a Resume of a request never made", By.PEER, "ignorance is answered by a Close", "§11.4-3",
        lambda t: resumed(t, b"?" * 32), Code.UNKNOWN_REQUEST),
    # Limits
    Row("more hands than a till takes", By.HAND, "hops are counted by the payer", "§8.2-1", lambda t: relay(t, 7),
        Code.TOO_MANY_HOPS),
    Row("as many hands as a till takes are taken", By.HAND, "none", "§8.2-1", lambda t: relay(t, 6), None),
    Row("more hands than the token allows", By.HAND, "the token's own limit is forgotten", "§8.2-1",
        lambda t: relay(t, 2, 2), Code.TOO_MANY_HOPS),
    Row("restored too often", By.PAYER, "restorations, being no hops, are unlimited", "§8.2-2",
        lambda t: t.spend(t.restored(3)), Code.TOO_MANY_WARRANTS),
    Row("restored as often as allowed is taken", By.PAYER, "none", "§8.2-2", lambda t: t.spend(t.restored(2)), None),
    Row("more spans than a card takes", By.PAYER, "a card's limits are the payer's to keep", "§8.1-11",
        lambda t: card(t, 5), Code.TOO_LARGE),
    Row("as many spans as a card takes are taken", By.PAYER, "none", "§8.1-11", lambda t: card(t, 4), None),
)  # fmt: skip


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_on_value(attack: Row, suite: str) -> None:
    """§4.1-1, §4.2-1, §5.1-7, §5.2-4, §5.3-2, §5.3-3, §5.3-4, §5.3-5, §5.3-6, §5.4-1, §5.4-2, §5.4-3, §5.4-4,
    §6-12, §8.1-1, §8.1-6, §8.1-11, §8.1-12, §8.1-14, §8.2-1, §8.2-2, §8.3-1, §8.3-3, §8.3-5, §8.3-6, §11.4-3,
    §15-10."""
    Till(suite).judge(attack)
