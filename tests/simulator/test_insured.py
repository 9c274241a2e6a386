"""What the guarantee adds: the checker passes what the caps allow, and stops at each other sum."""

from __future__ import annotations

import pytest

from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.insured import Given, Most, check_guarantee

TOKEN, ANNA, BEN, THIEF = b"token", b"anna", b"ben", b"thief"
NAMED = {(TOKEN, THIEF)}


def given(anna: int, ben: int, thief: int = 0) -> list[Given]:
    """Anna lacks 4, Ben 2 and the thief 7."""
    return [
        Given(TOKEN, ANNA, 10, 6, anna),
        Given(TOKEN, BEN, 3, 1, ben),
        Given(TOKEN, THIEF, 7, 0, thief),
    ]


@pytest.mark.parametrize(
    ("most", "anna", "ben"),
    [
        (Most(), 4, 2),
        (Most(3, 9), 3, 2),
        (Most(9, 3), 2, 1),
        (Most(2, 3), 2, 1),
        (Most(2, 3), 1, 2),
        (Most(0, 0), 0, 0),
    ],
)
def test_who_was_cheated_is_made_whole_up_to_the_caps(most: Most, anna: int, ben: int) -> None:
    """§16-16, §16-17."""
    check_guarantee(given(anna, ben), NAMED, most)


@pytest.mark.parametrize(
    ("most", "anna", "ben", "thief", "said"),
    [
        (Most(), 4, 2, 1, "more than a payee lacks"),
        (Most(), 5, 2, 0, "more than a payee lacks"),
        (Most(3, 9), 4, 2, 0, "or than its cap"),
        (Most(), 4, 1, 0, "less than a payee lacks"),
        (Most(9, 5), 4, 2, 0, "another sum than its cap"),
        (Most(9, 5), 3, 1, 0, "another sum than its cap"),
        (Most(9, 3), 1, 2, 0, "not divided by what each payee lacks"),
    ],
)
def test_another_sum_is_found(most: Most, anna: int, ben: int, thief: int, said: str) -> None:
    with pytest.raises(PromiseBroken, match=said):
        check_guarantee(given(anna, ben, thief), NAMED, most)
