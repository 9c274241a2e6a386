"""What links two taps of one wallet: nothing before the channel stands; after it, what SPEC §17 says, and no more.

Two wallets that differ in all that a wallet can differ in tap many times, and every byte in the clear is compared: a
byte that stays the same for each of them, but not between them, would tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

import pytest

from dualtap import limits, wire
from dualtap.issued import Carrier
from dualtap.limits import Profile
from dualtap.statements import Opening
from dualtap.wire import TransferMessage
from dualtap_devices.wallet import Wallet
from tests.playbook import SUITE_NAMES, Meeting, World

TAPS = 24
SPAN = 8
"""Bytes, none of them the same in all greetings, that come again only if somebody meant it."""


class Clear(NamedTuple):
    """What crosses in the clear in one tap: a greeting of one side, without what is sealed in it."""

    greeting: bytes


def greetings(world: World, wallet: Wallet, peer: Wallet, *, pays: bool, starts: bool) -> Iterator[Clear]:
    """Tap many times, and yield what a wallet said in the clear."""
    for _ in range(TAPS):
        payer, payee = (wallet, peer) if pays else (peer, wallet)
        meeting = world.meet(payer, payee, 1, payer_starts=starts == pays).run()
        first, second = meeting.frames[:2]
        yield Clear(first if starts else wire.encode_welcome(wire.decode_welcome(second)._replace(sealed=b"")))


def telling(one: list[bytes], two: list[bytes]) -> set[str]:
    """Return what tells two speakers apart: bytes that are constant for each and differ, lengths, bytes that recur."""
    found: set[str] = set()
    if {len(said) for said in one} != {len(said) for said in two}:
        found.add("length")
    for place in range(min(map(len, one + two))):
        mine, theirs = {said[place] for said in one}, {said[place] for said in two}
        if len(mine) == len(theirs) == 1 and mine != theirs:
            found.add(f"byte {place}")
    varies = {place for place in range(min(map(len, one + two))) if len({said[place] for said in one + two}) > 1}
    places = [at for at in varies if varies.issuperset(range(at, at + SPAN))]
    if any(len({said[at : at + SPAN] for said in one}) < len(one) for at in places):
        found.add("bytes that come again")
    return found


@pytest.mark.parametrize("pays", [True, False], ids=["payer", "payee"])
@pytest.mark.parametrize("starts", [True, False], ids=["initiator", "responder"])
def test_nothing_in_the_clear_tells_two_wallets_apart(starts: bool, pays: bool) -> None:
    """§6-14, §17-1."""
    world = World("p256", seed=f"linking {starts} {pays}")
    small: Profile = limits.CARD
    wallets = (
        world.wallet(Carrier.CARD, (60, 70), profile=small, expires=world.epoch + 5, hops=2),
        world.wallet(Carrier.POS, 500_000, expires=world.epoch + 299),
    )
    said = [
        [clear.greeting for clear in greetings(world, wallet, world.wallet(fund=500), pays=pays, starts=starts)]
        for wallet in wallets
    ]
    assert telling(*said) == set()
    assert telling(*said[::-1]) == set()


def test_control_what_stays_with_a_wallet_is_found() -> None:
    names = [bytes([7, name, *range(at, at + 8)]) for name in (1, 2) for at in range(0, 240, 10)]
    assert telling(names[:24], names[24:]) == {"byte 1"}
    assert telling([b"one" + bytes([at]) * 5 for at in range(9)], [b"one" + bytes(6)] * 9) == {"length"}
    again = [b"abcdefgh1", b"ABCDEFGH2", b"abcdefgh3"]
    assert telling(again, [b"qrstuvwx4", b"QRSTUVWX5", b"12345678x"]) == {"bytes that come again"}


# What a later hand can link


def leaves(value: object, path: str = "") -> Iterator[tuple[str, bytes | int]]:
    """Yield each field of a message, by its name."""
    if isinstance(value, bytes | int) and not isinstance(value, bool):
        yield path, value
    elif isinstance(value, tuple):
        items = cast("tuple[object, ...]", value)
        names: Iterable[str] = getattr(items, "_fields", [""] * len(items))
        for name, item in zip(names, items, strict=True):
            yield from leaves(item, f"{path}.{name}" if name else path)


def shown_to(meeting: Meeting) -> TransferMessage:
    return next(seen.message for seen in meeting.heard if isinstance(seen.message, TransferMessage))


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_what_a_later_hand_can_link_is_what_the_specification_says(suite: str) -> None:
    """§17-1: Anna pays Ben and Carl, who both pay Dora. What do the two bundles have in common of Anna?"""
    world = World(suite, seed="later hand")
    anna, ben, carl, dora = (world.wallet(fund=fund) for fund in ((900, 900), (), (), ()))
    other, eve = world.wallet(fund=900), world.wallet()
    told: list[dict[tuple[str, bytes | int], None]] = []
    for payer, middle in ((anna, ben), (anna, carl), (other, eve)):
        world.pay(payer, middle, 700)
        bundle = shown_to(world.meet(middle, dora, 300).run()).bundle
        told.append(dict.fromkeys(leaves(bundle)))
    both = {found for found in told[0] if found in told[1]}
    of_anna = {name for name, value in both if (name, value) not in told[2] and isinstance(value, bytes)}
    assert of_anna == {".certificates.key", ".certificates.signature"}, "Anna's key and certificate, and no more"
    # What is hers alone and hidden from later hands: places on her tape, seeds, requests.
    hidden: set[bytes] = set()
    for entry in anna.book.tape:
        opening: Opening = entry.shown()
        hidden |= {opening.seed, opening.request} - {b""}
    assert len(hidden) == 4
    for bundle_told in told[:2]:
        assert not hidden & {value for _, value in bundle_told if isinstance(value, bytes)}
        assert not {".transfers.prev", ".transfers.ctr"} & {name for name, _ in bundle_told}


def test_two_spends_of_one_token_are_linked_by_it() -> None:
    """§17-1: dates and the whole amount of each token are told, so that its serial links what is cut from it."""
    world = World(seed="one token")
    anna, ben, carl, dora = (world.wallet(fund=fund) for fund in (900, (), (), ()))
    serials: list[set[bytes]] = []
    for middle in (ben, carl):
        world.pay(anna, middle, 100)
        bundle = shown_to(world.meet(middle, dora, 50).run()).bundle
        serials.append({token.serial for token in bundle.tokens})
    assert serials[0] == serials[1]
