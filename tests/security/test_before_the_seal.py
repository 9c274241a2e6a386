"""Nothing links two taps of one device before the channel is sealed, on any link: SPEC §17-1, §18, §19.

A device taps twice with each of two others, changes its key, and does so again, in either part and at either end. Every
byte that it shows a stranger until then, its link's own included, is compared with those of a second device of the same
kind: nothing may come again in two of its taps that the other does not show as well.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations

import pytest

from dualtap import session, wire
from dualtap.issued import Carrier
from tests.playbook import World
from tests.support.eavesdrop import LINKS, Greeting, Shown

GRAM, CHARACTERS = 4, 7
"""Bytes that do not come again by chance, as two taps show some hundreds; and characters of 5 bits, as in a name."""
DEVICES = ("one", "another")
ENDS = [(starts, pays) for starts in (True, False) for pays in (True, False)]


def greetings(starts: bool, pays: bool) -> dict[str, list[Greeting]]:
    """Return what is said in the clear in four taps of each of two devices, the last two by a fresh key."""
    world = World("p256", seed=f"before the seal {starts} {pays}")
    others = [world.wallet(fund=500), world.wallet(Carrier.POS, fund=500)]
    found: dict[str, list[Greeting]] = {}
    funds: tuple[int | tuple[int, ...], ...] = ((300, 40), 700)
    for name, fund in zip(DEVICES, funds, strict=True):
        wallet = world.wallet(Carrier.WATCH, fund)
        for fresh in (False, True):
            if fresh:
                former, wallet = wallet, world.wallet(Carrier.WATCH, fund)
                world.succeed(former, wallet)
            for other in others:
                payer, payee = (wallet, other) if pays else (other, wallet)
                meeting = world.meet(payer, payee, 3, payer_starts=starts == pays).run()
                assert meeting.payee.report.transfer
                hello, second = meeting.frames[:2]
                welcome = wire.decode_welcome(second)._replace(sealed=b"")
                said = Greeting(hello, wire.encode_welcome(welcome), session.ident(welcome.ephemeral))
                found.setdefault(name, []).append(said)
    return found


@pytest.fixture(scope="module")
def spoken() -> dict[tuple[bool, bool], dict[str, list[Greeting]]]:
    return {(starts, pays): greetings(starts, pays) for starts, pays in ENDS}


def shown(link: str, said: list[Greeting], starts: bool, seeds: Iterator[int]) -> list[Shown]:
    """Return what a device shows over a link in each of these taps."""
    return [LINKS[link](one, random.Random(next(seeds)))[0 if starts else 1] for one in said]


def telling(mine: list[Shown], theirs: list[Shown], gram: int = GRAM) -> set[str]:
    """Return what links a device's taps to each other: lengths; bytes that stay the same for each of the devices and
    differ between them; and what recurs, of bytes that are not the same for all, in two taps and in none of the
    other's."""
    lengths = {tuple(map(len, one)) for one in (*mine, *theirs)}
    if len(lengths) > 1:
        return {"lengths"}
    here, there = ([b"".join(one) for one in some] for some in (mine, theirs))
    found, varies = set[str](), list[bool]()
    for place, column in enumerate(zip(*here, *there, strict=True)):
        ours, others = set(column[: len(here)]), set(column[len(here) :])
        varies.append(len(ours | others) > 1)
        if len(ours) == len(others) == 1 and ours != others:
            found.add(f"byte {place}")
    free = [at for at in range(len(varies)) if all(varies[at : at + gram]) and at + gram <= len(varies)]

    def grams(said: bytes) -> set[bytes]:
        return {said[at : at + gram] for at in free}

    known = set[bytes]().union(*map(grams, there))
    return found | {again.hex() for one, two in combinations(here, 2) for again in (grams(one) & grams(two)) - known}


@pytest.mark.parametrize(
    ("link", "starts", "pays"),
    [
        *[("tcp", *end) for end in ENDS],
        *[(link, starts, True) for link in LINKS if link != "tcp" for starts in (True, False)],
    ],
)
def test_nothing_links_two_taps_of_a_device(
    spoken: dict[tuple[bool, bool], dict[str, list[Greeting]]], link: str, starts: bool, pays: bool
) -> None:
    """§17-1, §18-2, §18-5, §19-1: over each link, through a change of key; a link does not know who pays."""
    seeds = iter(range(100))
    one, another = (shown(link, spoken[starts, pays][name], starts, seeds) for name in DEVICES)
    assert sum(map(len, one[0])) > 40
    gram = CHARACTERS if link == "lan" else GRAM
    assert telling(one, another, gram) == set()
    assert telling(another, one, gram) == set()


@pytest.mark.parametrize("link", [link for link in LINKS if link != "ble"])
@pytest.mark.parametrize("starts", [True, False], ids=["initiator", "responder"])
def test_control_a_device_that_says_the_same_again_is_found(
    spoken: dict[tuple[bool, bool], dict[str, list[Greeting]]], link: str, starts: bool
) -> None:
    said = spoken[starts, True]
    one = shown(link, [said["one"][0]] * 2, starts, iter((1, 1)))
    another = shown(link, [said["another"][0]] * 2, starts, iter((2, 2)))
    assert telling(one, another)


def test_control_a_radio_that_keeps_its_address_is_found(
    spoken: dict[tuple[bool, bool], dict[str, list[Greeting]]],
) -> None:
    """Its keys are fresh, and its address and service are not."""
    said = spoken[False, True]
    one = shown("ble", said["one"][:2], False, iter((1, 1)))
    another = shown("ble", said["another"][:2], False, iter((2, 3)))
    assert telling(one, another)


def test_control_a_constant_is_found_however_short() -> None:
    draw = random.Random(1)

    def said(name: bytes) -> list[Shown]:
        return [[draw.randbytes(40), draw.randbytes(20) + name + draw.randbytes(9)] for _ in range(4)]

    moving = [[draw.randbytes(at) + b"anna" + draw.randbytes(30 - at)] for at in range(4)]
    assert telling(moving, [[draw.randbytes(34)] for _ in range(4)]) == {b"anna".hex()}
    assert telling(said(b"1"), said(b"2")) == {"byte 60"}
    assert telling(said(b"1"), said(b"22")) == {"lengths"}
    assert telling(said(b"same"), said(b"same")) == set()
