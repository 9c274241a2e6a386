"""What institutions owe in the end: the checker passes what adds up, and stops at each thing that does not."""

from __future__ import annotations

import pytest

from dualtap_testing.acts import FAULTS
from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.dues import Cut, Dues, Paid
from dualtap_testing.killing import hunt
from dualtap_testing.reading import TOKEN, TRANSFER, Coin, Piece, Word
from dualtap_testing.simulate import ACTS, Scenario, live
from dualtap_testing.stub import STUB

ONE, TWO, ANNA, BEN = (bytes([place]) * 33 for place in (1, 2, 3, 4))
COIN, SPENT, HANDED = b"coin", b"coin that is spent twice", b"a deposit"
Claims = dict[tuple[bytes, bytes], tuple[int, int]]
OWED: Claims = {(TWO, ONE): (0, 4)}


def dues(payee: bytes = ONE) -> Dues:
    """Anna is a customer of the first institution, Ben of the second; Ben hands in 4 of 10 of the first one's token."""
    checkers = Checkers(bytes(32), (ONE, TWO), STUB.verifier)
    checkers.told.coin(COIN, Coin(BEN, 10, 30, b"1", 20, 3))
    checkers.issued.add(COIN)
    checkers.told.word(
        Word(HANDED, TRANSFER, BEN, payee, (Piece((COIN, TOKEN, 0), 0, 4),), b"", b"", b"", None, False, 1)
    )
    found = Dues(checkers, {b"1": ONE, b"2": TWO})
    found._homes.update({ANNA: ONE, BEN: TWO})  # pyright: ignore[reportPrivateUsage]
    return found


PAID = (Paid(COIN, BEN, HANDED, 4), Paid(COIN, ANNA, b"", 6))


def test_what_adds_up_is_passed() -> None:
    dues().check(PAID, (), OWED, {ONE: (0, -4), TWO: (0, 4)})


@pytest.mark.parametrize(
    ("paid", "claims", "positions", "said"),
    [
        ((*PAID, PAID[1]), OWED, {}, "more is paid of a token"),
        (PAID[:1], OWED, {}, "less is paid of a token"),
        (PAID, {}, {}, "another sum than was paid"),
        (PAID, {(ONE, TWO): (0, 4)}, {}, "another sum than was paid"),
        (PAID, {(TWO, ONE): (4, 0)}, {}, "still at risk"),
        (PAID, OWED, {ONE: (0, 4)}, "position is not what it is owed"),
    ],
)
def test_what_does_not_add_up_is_found(
    paid: tuple[Paid, ...], claims: Claims, positions: dict[bytes, tuple[int, int]], said: str
) -> None:
    with pytest.raises(PromiseBroken, match=said):
        dues().check(paid, (), claims, positions)


def test_value_is_handed_in_to_who_issued_it() -> None:
    with pytest.raises(PromiseBroken, match="did not issue it"):
        dues(TWO).check(PAID, (), OWED, {})


def test_what_nobody_asked_to_issue_replaces_something() -> None:
    found = dues()
    found._checkers.told.coin(SPENT, Coin(BEN, 3, 30, b"1", 20, 3))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(PromiseBroken, match="renewed another sum"):
        found.check((*PAID, Paid(SPENT, BEN, b"", 3)), (), {(TWO, ONE): (0, 7)}, {})


def test_of_an_overspent_token_is_owed_what_was_paid() -> None:
    """§16-15, §16-20: Ben's token is handed in twice over; it backs 10, the guarantee adds 2."""
    found = dues()
    told = found._checkers.told  # pyright: ignore[reportPrivateUsage]
    again = Word(b"again", TRANSFER, BEN, ONE, (Piece((COIN, TOKEN, 0), 0, 10),), b"", b"", b"", None, False, 1)
    told.word(again)
    assert told.overspent()
    paid = (Paid(COIN, BEN, HANDED, 4), Paid(COIN, BEN, b"again", 10))
    found.check(paid, (Cut(COIN, BEN, 10, 2),), {(TWO, ONE): (0, 12)}, {})
    with pytest.raises(PromiseBroken, match="more is paid"):
        found.check(paid, (), {(TWO, ONE): (0, 14)}, {})


def test_lives_of_two_institutions_find_who_owes_wrongly() -> None:
    assert hunt("nobody owes anybody", lives=8).what.startswith("promise 2: institutions owe each other another sum")


def test_some_lives_have_two_institutions() -> None:
    """Customers of both, and what they settle in the end is audited by either."""
    world, what = live(Scenario(1, 6, "stub", FAULTS, tuple(range(ACTS))))
    assert not what
    assert len(world.guild.ledgers) == 2
    one, two = (one.net() for one in world.guild.ledgers)
    assert one.claims == two.claims != ()
