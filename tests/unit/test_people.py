"""The registry of people: a function of the stamped set of words, whatever a broken wallet or a stranger adds to it."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest

from dualtap import limits
from dualtap.forms import signed
from dualtap.statements import BindBody, Errand, OrderBody, OwnBody, OwnerBody, Word
from dualtap.suite import SUITES, Signer, sha256
from dualtap.ties import FREE, Restraint
from dualtap_issuer.people import People

SUITE = SUITES["ed25519"]
SCHEME = bytes(32)
CARD, ANNA, THIEF, BANK, NORTH, SPARE, OTHER = (SUITE.signer(sha256(bytes([number]))) for number in range(7))
INSTITUTIONS = (BANK.public, NORTH.public)


class Stamped(NamedTuple):
    word: Word
    epoch: int


def say(signer: Signer, body: OwnerBody, epoch: int) -> Stamped:
    """Return what a key said: that it was said is what counts here, and signatures are checked elsewhere."""
    return Stamped(signed(SCHEME, signer.public, body), epoch)


def bound(owner: Signer, epoch: int, number: int = 1, wallet: Signer = CARD) -> list[Stamped]:
    session = sha256(owner.public + bytes([number]))
    return [
        say(wallet, BindBody(owner.public, session, number, epoch), epoch),
        say(owner, OwnBody(wallet.public, session, epoch), epoch),
    ]


def order(
    signer: Signer, errand: Errand, number: int, epoch: int, bind: int = 1, *, frozen: bool = False,
    payment: int = limits.AMOUNT, day: int = limits.AMOUNT, to: bytes = b"",
) -> Stamped:  # fmt: skip
    body = OrderBody(CARD.public, bind, number, errand, frozen, payment, day, 0, to, epoch)
    return say(signer, body, epoch)


def people(*said: list[Stamped] | Stamped) -> People:
    items = [one for part in said for one in (part if isinstance(part, list) else [part])]
    return People([one.word for one in items], {one.word.id: one.epoch for one in items}, INSTITUTIONS)


def owner(found: People, by: int = 99) -> bytes:
    tie = found.tie(CARD.public, by)
    return tie.owner if tie is not None else b""


def test_both_sides_bind_in_one_session() -> None:
    """§16-21: one of both alone, or of another session, is no tie; nor is number 0."""
    bind, own = bound(ANNA, 5)
    _, later = bound(ANNA, 7, 2)
    assert owner(people(bind, own)) == ANNA.public
    assert [owner(people(bind, own), by) for by in (4, 5)] == [b"", ANNA.public]
    none = [people(bind), people(own), people(bind, later), people(bound(ANNA, 5, 0))]
    assert [owner(found) for found in none] == [b""] * 4


def test_no_later_word_of_a_broken_wallet_takes_it_from_its_owner() -> None:
    """§16-21: not under any number, until the owner or an institution unbinds it."""
    mine, theirs = bound(ANNA, 5, 2), [*bound(THIEF, 6, 1), *bound(THIEF, 6, 2), *bound(THIEF, 6, 9)]
    assert owner(people(mine, theirs)) == ANNA.public
    assert owner(people(mine, theirs, order(THIEF, Errand.UNBIND, 1, 7, 2))) == ANNA.public
    assert owner(people(mine, theirs, order(ANNA, Errand.UNBIND, 1, 7, 1))) == ANNA.public, "another binding"
    for signer in (ANNA, BANK):
        found = people(mine, bound(THIEF, 6, 9), order(signer, Errand.UNBIND, 1, 7, 2))
        assert [owner(found, by) for by in (6, 7)] == [ANNA.public, THIEF.public]


def test_the_stricter_of_owner_and_institutions_holds() -> None:
    """§23-14: of each the last; strangers and former owners are not heard."""
    said = [
        *bound(ANNA, 5), order(ANNA, Errand.RESTRAIN, 1, 6, payment=7, day=90),
        order(ANNA, Errand.RESTRAIN, 2, 6, payment=50, day=60),
        order(BANK, Errand.RESTRAIN, 1, 6, 0, payment=40, day=80),
        order(THIEF, Errand.RESTRAIN, 9, 6, frozen=True), order(BANK, Errand.RESTRAIN, 9, 6, 1, frozen=True),
    ]  # fmt: skip
    assert people(said).restraint(CARD.public) == Restraint(False, 40, 60)
    assert people(said).restraint(CARD.public, 5) == FREE
    assert people(said, order(NORTH, Errand.RESTRAIN, 1, 7, 0, frozen=True)).restraint(CARD.public).frozen
    again = people(said, order(ANNA, Errand.UNBIND, 3, 7), bound(ANNA, 8, 2))
    assert [again.restraint(CARD.public, by).day for by in (6, 8)] == [60, 80], "of an earlier binding"
    freed = people(said, order(ANNA, Errand.UNBIND, 3, 7))
    assert freed.restraint(CARD.public) == Restraint(False, 40, 80)


def test_lost_is_lost_until_its_signer_finds_it() -> None:
    """§16-22 and §23-14."""
    lost = [*bound(ANNA, 5), order(ANNA, Errand.LOST, 1, 6)]
    assert [people(lost).is_lost(CARD.public, by) for by in (5, 6)] == [False, True]
    assert people(lost).restraint(CARD.public).frozen
    assert people(lost, order(BANK, Errand.RESTRAIN, 1, 7, 0)).is_lost(CARD.public)
    found = people(lost, order(ANNA, Errand.RESTRAIN, 2, 7))
    assert not found.is_lost(CARD.public)
    assert found.heir(CARD.public, BANK.public) == b""


def test_the_heir_is_whom_it_was_moved_to_or_of_a_lost_wallet_its_owner() -> None:
    """§16-22."""
    tied = bound(ANNA, 5)
    assert people(tied).heir(CARD.public, BANK.public) == b""
    assert people(tied, order(ANNA, Errand.LOST, 1, 6)).heir(CARD.public, BANK.public) == ANNA.public
    assert people(order(BANK, Errand.LOST, 1, 6, 0)).heir(CARD.public, BANK.public) == b"", "bound to nobody"
    assert people(tied, order(BANK, Errand.LOST, 1, 6, 0)).heir(CARD.public, BANK.public) == ANNA.public
    moved = [order(ANNA, Errand.MOVE, 2, 7, to=OTHER.public), order(ANNA, Errand.MOVE, 3, 8, to=SPARE.public)]
    office = order(BANK, Errand.MOVE, 1, 7, 0, to=NORTH.public)
    assert people(tied, moved, office, order(ANNA, Errand.LOST, 1, 6)).heir(CARD.public, BANK.public) == SPARE.public
    assert people(tied, moved, office).heir(CARD.public, BANK.public, 7) == OTHER.public
    assert people(tied, office).heir(CARD.public, BANK.public) == NORTH.public
    assert people(tied, office).heir(CARD.public, NORTH.public) == b"", "another institution's customer"
    assert people(tied, order(THIEF, Errand.MOVE, 9, 6, to=THIEF.public)).heir(CARD.public, BANK.public) == b""


@pytest.mark.parametrize("seed", range(20))
def test_order_and_repetition_of_words_change_nothing(seed: int) -> None:
    """§16-21 and §1-5."""
    draw = random.Random(seed)
    said = list[Stamped]()
    for _ in range(draw.randrange(2, 14)):
        epoch, number = draw.randrange(6), draw.randrange(1, 3)
        if draw.random() < 0.5:
            said += draw.sample(bound(draw.choice([ANNA, THIEF]), epoch, number), draw.choice([1, 2, 2]))
        else:
            who, errand = draw.choice([ANNA, THIEF, BANK, NORTH]), draw.choice([*Errand])
            to = draw.choice([SPARE, OTHER]).public
            said.append(order(who, errand, number, epoch, draw.choice([0, 1, 2]), frozen=draw.random() < 0.3, to=to))
    first = {one.word.id: min(other.epoch for other in said if other.word.id == one.word.id) for one in said}

    def told(words: list[Word]) -> list[object]:
        found = People(words, first, INSTITUTIONS)

        def heir(wallet: bytes, by: int) -> bytes:
            return found.heir(wallet, BANK.public, by)

        asked = (found.tie, found.restraint, found.is_lost, heir)
        return [ask(CARD.public, by) for ask in asked for by in range(7)]

    words = [one.word for one in said]
    expected = told(words)
    for _ in range(4):
        again = draw.sample(words, len(words)) + draw.choices(words, k=3)
        assert told(again) == expected
