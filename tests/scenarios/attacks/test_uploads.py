"""Attacks by upload: two outcomes, forks, and all that a thief may tell a ledger to cheat or to frame.

A ledger names exactly whom the row names, by evidence that the root key alone checks; an audit finds its books even;
and everybody honest is credited all that it deposits. Last, what a bank is asked to certify.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from dualtap.errors import Code, TapError
from dualtap.evidence import Fraud
from dualtap.forms import signed
from dualtap.issued import Carrier, Role
from dualtap.statements import (
    CloseBody,
    Opening,
    Present,
    PresentBody,
    ReceiptBody,
    Scheme,
    Side,
    Span,
    TapeStatement,
    Transfer,
    TransferBody,
)
from tests.playbook import EPOCH, SUITE_NAMES
from tests.support.arena import Attack, By, Thief, names, payee_side, payer_side
from tests.support.till import Till

FAR = 2**63 - 1
FORK, TAPE, TWICE, DEAD = Fraud.FORK, Fraud.TAPE_FORK, Fraud.TWO_OUTCOMES, Fraud.DEAD_SPENT

Upload: TypeAlias = Callable[[Till], None]
Told: TypeAlias = Attack[Upload]
REQUEST = b"q" * 32


def answer(t: Till, who: Thief, transfer: bytes = b"", request: bytes = REQUEST, reason: int = 10) -> TapeStatement:
    """Sign an outcome of a request."""
    body = ReceiptBody(request, transfer, EPOCH) if transfer else CloseBody(request, reason, EPOCH)
    return t.arena.sign(who.signer, body, t.arena.place(who.signer))


def at(t: Till, prev: int, ctr: int, *spans: Span) -> Transfer:
    """Sign a transfer of Eve's at a place of her choice."""
    opening = Opening(t.arena.draw(16), prev, ctr, request=t.arena.draw())
    return t.arena.sign(t.eve.signer, TransferBody(t.mallory.key, spans, EPOCH, ()), opening)


def several(*steps: Callable[[Till], object]) -> Upload:
    def do(t: Till) -> None:
        for step in steps:
            step(t)

    return do


def places(*pairs: tuple[int, int]) -> Upload:
    """Eve signs disjoint units at these places of her tape, far from where it stands."""

    def do(t: Till) -> None:
        for number, (prev, ctr) in enumerate(pairs):
            at(t, 1000 + prev, min(1000 + ctr, FAR), t.own(number * 10, number * 10 + 10))

    return do


def loops(t: Till) -> None:
    """Eve pays herself, and spends both the payment and what she had paid with."""
    first = t.give(t.eve, t.eve, t.own(0, 100))
    t.give(t.eve, t.mallory, payee_side(first, 0, 100))
    t.give(t.eve, t.mallory, t.own(50, 150))


def both_sides(t: Till) -> None:
    """Eve spends what was restored to her; Mallory, who closed, spends it too."""
    dead = t.dead()
    t.give(t.eve, t.mallory, payer_side(dead, 0, 100))
    t.give(t.mallory, t.eve, payee_side(dead, 0, 100))


def later_hands(t: Till) -> None:
    """Mallory forks behind Ben's back; what he passes on names her alone."""
    token = t.keep(t.arena.token(t.mallory.key, 100))
    one, other = (t.give(t.mallory, t.eve, Span(token, 0, 100)) for _ in range(2))
    t.give(t.eve, t.mallory, payee_side(one, 0, 100))
    t.give(t.eve, t.mallory, payee_side(other, 0, 100))


def as_anna(t: Till) -> None:
    """Anna's key, another span, and Eve's signature."""
    real = t.hands[0]
    (parent, start, end), *_ = real.body.spans
    for body in (real.body._replace(payee=t.mallory.key), real.body._replace(spans=(Span(parent, start, end - 1),))):
        fake = signed(t.arena.scheme.id, real.key, body, real.shown())
        t.arena.loot.append(fake.sealed(t.eve.signer.sign(fake.id)))


def with_annas_signature(t: Till) -> None:
    """Anna's own signature under another place: her tape would fork, if a place were not part of the id."""
    real = t.hands[0]
    for prev, ctr in ((0, FAR), (real.shown().prev, real.shown().ctr + 1)):
        fake = signed(t.arena.scheme.id, real.key, real.body, real.shown()._replace(prev=prev, ctr=ctr))
        t.arena.loot.append(fake.sealed(real.signature))


def repeated(t: Till) -> None:
    """Anna's own statement again, without its opening, and once more with it."""
    real = t.hands[0]
    t.arena.loot += [real._replace(opening=None, place=None), real, real]


def spends_annas(t: Till) -> None:
    """Eve signs for units that are Anna's: of her token, and of what she gave."""
    _, start, end = t.hands[0].body.spans[0]
    for span in (Span(t.anna_token, start, end), Span(t.anna_token, 0, 1000), payer_side(t.hands[0], start, end)):
        t.give(t.eve, t.mallory, span)


def spends_bens(t: Till) -> None:
    _, start, end = t.bens.body.spans[0]
    t.give(t.eve, t.mallory, payee_side(t.bens, start, end))


def overlaps_itself(t: Till) -> None:
    """Two transfers that conflict, but neither of which is a statement."""
    for _ in range(2):
        t.give(t.eve, t.mallory, t.own(0, 60), t.own(59, 99))


def grounded_on_nothing(t: Till) -> None:
    """A statement cut from a transfer that is no statement, twice."""
    false = t.give(t.mallory, t.eve, t.own(0, 100))
    for _ in range(2):
        t.give(t.eve, t.mallory, payee_side(false, 0, 100))


def answers_annas(t: Till) -> None:
    """Outcomes of requests that Anna answered with payments, by a key that never made them."""
    for request in (list(t.till.book.questions)[-1], t.hands[0].shown().request):
        answer(t, t.mallory, request=request)
        answer(t, t.mallory, bytes(32), request=request)


def receipt_twice(t: Till) -> None:
    for _ in range(2):
        answer(t, t.mallory, bytes(32))


def closes_what_it_took(t: Till) -> None:
    """Eve closes the request for which Anna has her Receipt."""
    answer(t, t.eve, request=t.hands[0].shown().request)


def closes_and_spends(t: Till) -> None:
    closes_what_it_took(t)
    t.give(t.eve, t.mallory, t.got(0, 0, 100))


def twin_fork(t: Till) -> None:
    """The second spend is signed in another scheme with the same key: there it may be honest."""
    other = Scheme.of(t.arena.suite, t.arena.suite.signer(b"another root".ljust(32)).public)
    real = t.give(t.eve, t.mallory, t.own(0, 100))
    fake = signed(t.arena.scheme.id, t.eve.key, real.body, t.arena.place(t.eve.signer, REQUEST))
    there = signed(other.id, t.eve.key, real.body, fake.shown())
    t.arena.loot.append(fake.sealed(t.eve.signer.sign(there.id)))


def future(t: Till) -> None:
    for payee in (t.eve, t.mallory):
        t.give(t.eve, payee, t.own(0, 100), epoch=EPOCH + 5000)


def foreign_side(t: Till) -> None:
    """A parent that names a side which a token does not have, and a place that a hand does not have."""
    t.give(t.eve, t.mallory, Span(t.mine._replace(side=Side.PAYER), 0, 10), Span(t.mine._replace(place=3), 0, 10))
    t.give(t.eve, t.mallory, payee_side(t.hands[0], *t.got(0, 0, 100)[1:], 9))


EVE, MALLORY, PAYEES, HANDS = By.PAYER, By.PAYEE, By.PAYEE, By.HAND
UPLOADS: tuple[Told, ...] = (
    # Who cheated is named, for what it did, and nobody beside it
    Told("a Receipt and a Close", PAYEES, "a payee tells each what it likes to hear", "§4.1-9",
         several(lambda t: answer(t, t.mallory, bytes(32)), lambda t: answer(t, t.mallory)), None,
         names(("mallory", TWICE))),
    Told("two Receipts", PAYEES, "one basket is paid twice", "§4.1-9",
         several(lambda t: answer(t, t.mallory, bytes(32)), lambda t: answer(t, t.mallory, b"1" * 32)), None,
         names(("mallory", TWICE))),
    Told("a Receipt twice is honest", PAYEES, "two places of one outcome are two outcomes", "§4.1-12", receipt_twice,
         None),
    Told("two Closes for two reasons are honest", PAYEES, "a reason makes another outcome", "§4.1-12",
         several(lambda t: answer(t, t.mallory, reason=10), lambda t: answer(t, t.mallory, reason=81)), None),
    Told("a Close of what was received", PAYEES, "the payer's money comes back, and the payee's stays", "§4.1-9",
         closes_what_it_took, None, names(("eve", TWICE))),
    Told("a Close of what was received and spent", PAYEES, "only the outcomes are compared", "§15-5", closes_and_spends,
         None, names(("eve", TWICE), ("eve", DEAD))),
    Told("both sides spent", PAYEES, "the honest payer of a liar is named with it", "§15-5", both_sides, None,
         names(("mallory", DEAD))),
    Told("a loop through one's own key", EVE, "a transfer to oneself hides a fork", "§15-5", loops, None,
         names(("eve", FORK))),
    Told("a fork behind other hands", HANDS, "later hands are named for what came before them", "§15-1", later_hands,
         None, names(("mallory", FORK))),
    Told("a fork of the future", EVE, "dates excuse", "§15-9", future, None, names(("eve", FORK))),
    # The tape
    Told("two places that overlap", EVE, "only equal counters are compared", "§15-5", places((10, 20), (19, 25)), None,
         names(("eve", TAPE))),
    Told("one place within another", EVE, "only borders are compared", "§15-5", places((10, 20), (12, 13)), None,
         names(("eve", TAPE))),
    Told("the whole tape at once", EVE, "2**63-1 overflows a ledger's column", "§15-5",
         places((0, FAR), (FAR - 2000, FAR - 1999)), None, names(("eve", TAPE))),
    Told("places out of order accuse nobody", EVE, "honest order on a slow link is named", "§15-10",
         places((20, 30), (10, 20), (30, 31)), None),
    Told("a gap accuses nobody", EVE, "counters that skip are missing entries", "§15-10",
         places((0, 1), (100, 101), (5000, 5001)), None),
    Told("an empty place accuses nobody", EVE, "an interval of nothing meets its neighbours", "§4.2-1",
         places((16, 16), (10, 20), (15, 15)), None),
    Told("a place backwards accuses nobody", EVE, "an inverted interval meets everything, and no verifier agrees",
         "§4.2-1", places((60, 50), (0, 90), (40, 30), (95, 0)), None),
    # Nobody is framed
    Told("Anna's name under Eve's signature", EVE, "a statement is believed for the key in it", "§15-4", as_anna, None),
    Told("Anna's signature under another place", EVE, "a place is not part of the id", "§4.2-2", with_annas_signature,
         None),
    Told("Anna's statement again, open and closed", EVE, "a repeated fact conflicts with itself", "§16-4", repeated,
         None),
    Told("Anna's units spent by Eve", EVE, "who does not own a unit conflicts with who does", "§5.3-7", spends_annas,
         None),
    Told("what Ben was given, spent by Eve", EVE, "who does not own a unit conflicts with who does", "§5.3-8",
         spends_bens, None),
    Told("transfers that are no statements", EVE, "what is no statement names", "§5.3-7", overlaps_itself, None),
    Told("statements cut from what is none", HANDS, "ownership is believed at the first step", "§5.3-2",
         grounded_on_nothing, None),
    Told("outcomes of requests that were put to others", MALLORY, "anybody kills anybody's payment", "§8.2-4",
         answers_annas, None, names(("mallory", TWICE))),
    Told("a fork across two schemes", EVE, "a statement of one scheme accuses in another", "§3-16", twin_fork, None),
    Told("sides and places that do not exist", EVE, "a parent is found by its id alone", "§5.3-2", foreign_side, None),
)  # fmt: skip


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("attack", UPLOADS, ids=lambda attack: attack.name)
def test_an_attack_by_upload(attack: Told, suite: str) -> None:
    """§3-16, §4.1-9, §4.1-12, §4.2-1, §4.2-2, §5.3-2, §5.3-7, §5.3-8, §8.2-4, §15-1, §15-4, §15-5, §15-9, §15-10,
    §16-4."""
    t = Till(suite)
    t.arena.pay(t.anna, t.till, 50)
    attack.do(t)
    t.arena.upload(t.graph.tokens.values(), t.graph.warrants.items())
    t.arena.judge(attack.named, t.anna, t.ben, t.till)


# Certificates that a bank is asked for

Ask: TypeAlias = Callable[[Till, bytes], Present]
Proved: TypeAlias = Attack[Ask]
PROOFS: tuple[Proved, ...] = (
    Proved("a key that the asker does not hold", By.PEER, "a rogue key: Anna's, under Mallory's name", "§3-15",
           lambda t, c: by(t, t.anna.book.key, c), Code.BAD_SIGNATURE),
    Proved("no signature", By.PEER, "proof of possession is left out", "§3-15",
           lambda t, c: by(t, t.mallory.key, c).sealed(bytes(64)), Code.BAD_SIGNATURE),
    Proved("a proof for another challenge", By.PEER, "a proof from a tap, or of another day, is good for a certificate",
           "§3-15", lambda t, _: by(t, t.mallory.key, bytes(32)), Code.REPLAYED_REQUEST),
    Proved("a proof in another scheme", By.PEER, "a key of one scheme is certified in another", "§3-16",
           lambda t, c: by(t, t.mallory.key, c, Scheme.of(t.arena.suite, t.arena.bank.public).id), Code.BAD_SIGNATURE),
    Proved("a key of the other suite", By.PEER, "keys are checked where they are used only", "§3-14",
           lambda t, c: by(t, t.mallory.key + b"0" if len(t.mallory.key) == 32 else t.mallory.key[1:], c),
           Code.BAD_KEY),
    Proved("a key of small order or of no point", By.PEER, "anybody signs for it", "§3-14",
           lambda t, c: by(t, bytes(len(t.mallory.key)), c), Code.BAD_KEY),
)  # fmt: skip


def by(t: Till, key: bytes, challenge: bytes, scheme: bytes = b"") -> Present:
    """Return a proof of possession for this key, signed by Mallory."""
    body = PresentBody(challenge, initiator=False, epoch=EPOCH)
    meant = signed(scheme or t.arena.scheme.id, key, body)
    shown = signed(t.arena.scheme.id, key, body)
    return shown.sealed(t.mallory.signer.sign(meant.id))


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("attack", PROOFS, ids=lambda attack: attack.name)
def test_a_certificate_without_possession(attack: Proved, suite: str) -> None:
    """§3-14, §3-15, §3-16."""
    t = Till(suite)
    ledger = t.arena.ledger
    with pytest.raises(TapError) as caught:
        ledger.certify(attack.do(t, t.arena.challenge()), Carrier.CARD, 1, Role.PAY, EPOCH + 1)
    assert caught.value.code is attack.code, attack.bug
    challenge = t.arena.challenge()
    assert ledger.certify(by(t, t.mallory.key, challenge), Carrier.CARD, 1, Role.PAY, EPOCH + 1).ordinal == 0
