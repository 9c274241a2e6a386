"""Value for a purpose, and limits, in simulated lives: what is against them is seen, and what is not is not."""

from __future__ import annotations

import hashlib
import random
from contextlib import nullcontext

import pytest

from dualtap import outcome, payee
from dualtap.account import Account
from dualtap.book import Book
from dualtap.owning import Bond, Release, Restrain
from dualtap_testing import owners, purposes, smuggling
from dualtap_testing.binding import RENEWAL, Here
from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.curbed import CURBED
from dualtap_testing.devices import Device
from dualtap_testing.killing import hunt
from dualtap_testing.reading import TOKEN, TRANSFER, Coin, Piece, Word
from dualtap_testing.renewed import check_renewed
from dualtap_testing.scenes import CLEAN, torn
from dualtap_testing.stub import STUB
from dualtap_testing.temper import TIER, Temper
from dualtap_testing.world import World

ROOMY = TIER._replace(payments=99, receipts=99)


def world_of(seed: str, **limits: int) -> tuple[World, dict[str, Device]]:
    world = World(STUB, seed, temper=Temper(tier=ROOMY._replace(**limits)))
    return world, {device.name: device for device in world.devices}


@pytest.mark.parametrize("number", range(20))
def test_no_trick_passes_and_the_checkers_know_each(number: int) -> None:
    """§5.6-1, §5.6-8 to §5.6-10, §5.6-14: refused by who is paid, and unmet by hand too."""
    world, people = world_of(f"trick {number}")
    thief, shop, other = people["thief"], people["kiosk"], people["ben"]
    trick = smuggling.tricks(world, shop, other)[number]
    smuggling.play(world, thief, shop, [trick])
    bag = world.checkers.bag
    tried = [one for one in bag.transfers.values() if one.key == thief.key and one.payee == shop.key]
    assert len(tried) == 1
    assert not bag.accepted(tried[0])
    assert bag.unmet(tried[0], Here(world.epoch + trick.ahead, b"another basket.."))
    world.watch.check()
    world.watch.check_ledger()


@pytest.mark.parametrize("seed", range(8))
def test_what_fits_is_paid(seed: int) -> None:
    """§5.6-1: the same conditions are met by hand."""
    world, people = world_of(f"fits {seed}")
    anna, market = people["anna"], people["market"]
    draw = random.Random(seed)
    purpose, basket = purposes.purpose_of(world, draw, market), draw.randbytes(16)
    named = world.ledger.trust.token_id(world.issue(anna, 30, purpose.conditions))
    granted = [purposes.grant(world, draw, named, market, basket, 30)] if purpose.granted else []
    world.sync(anna)
    amount = min(purpose.most, 4)
    world.tap(anna, market, amount, CLEAN, basket=basket, witness=(*purpose.witness, *granted))
    bag = world.checkers.bag
    paid = [one for one in bag.transfers.values() if one.key == anna.key and bag.accepted(one)]
    assert len(paid) == 1
    assert paid[0].pieces[0].parent[0] == named
    assert not bag.unmet(paid[0], Here(world.epoch, basket))
    assert bag.unmet(paid[0]._replace(witness=(*paid[0].witness, b"idle")))


def _limited(world: World, people: dict[str, Device]) -> None:
    assert owners.session(world, people["ben"], people["anna"], Bond())
    assert owners.session(world, people["ben"], people["anna"], Restrain(payment=5, day=8))
    world.tap(people["anna"], people["kiosk"], 5, CLEAN)


@pytest.mark.parametrize(("amount", "said"), [(6, "more at once than its owner"), (4, "more in a day than its owner")])
def test_who_pays_above_its_owners_limit_is_seen(amount: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """§23-14."""
    world, people = world_of("limited")
    _limited(world, people)
    world.tap(people["anna"], people["kiosk"], 3, CLEAN)
    assert owners.session(world, people["ben"], people["anna"], Release())
    world.tap(people["anna"], people["kiosk"], 6, CLEAN)
    world, people = world_of("limited")
    _limited(world, people)
    monkeypatch.setattr(Account, "check_restraint", _unlimited)
    with pytest.raises(PromiseBroken, match=said):
        world.tap(people["anna"], people["kiosk"], amount, CLEAN)


def test_who_is_frozen_and_pays_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """§23-14: it heals all the same."""
    world, people = world_of("frozen")
    anna, ben, kiosk = people["anna"], people["ben"], people["kiosk"]
    world.tap(anna, kiosk, 2, torn(starts=True, told=True))
    assert owners.session(world, ben, anna, Bond())
    assert owners.session(world, ben, anna, Restrain(frozen=True))
    world.tap(anna, kiosk, 2, CLEAN)
    assert not anna.doubts
    monkeypatch.setattr(Account, "check_restraint", _unlimited)
    with pytest.raises(PromiseBroken, match="while it is frozen"):
        world.tap(anna, kiosk, 2, CLEAN)


def _unlimited(book: Book, amount: int) -> None:
    del book, amount


def test_who_takes_more_than_it_may_hold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """§22-7: what is in doubt is held."""
    world, people = world_of("brimful", balance=20)
    anna, ben, kiosk = people["anna"], people["ben"], people["kiosk"]
    world.tap(anna, kiosk, 18, CLEAN)
    world.tap(kiosk, ben, 9, torn(starts=True, told=False))
    world.tap(anna, kiosk, 2, CLEAN)
    assert kiosk.wallet.book.held() == 20
    for module in (outcome, payee):
        monkeypatch.setattr(module, "check_balance", _unlimited)
    with pytest.raises(PromiseBroken, match="more than its tier lets it hold"):
        world.tap(anna, kiosk, 1, CLEAN)


OFFICE = b"office"
HINT = hashlib.sha256(OFFICE).digest()[:4]
SHOPS = ((3, b""),)


@pytest.mark.parametrize(
    ("fresh", "right"),
    [
        (Coin(b"anna", 8, 30, HINT, 20, 3, b"", SHOPS), True),
        (Coin(b"anna", 8, 30, HINT, 20, 3), False),
        (Coin(b"anna", 8, 31, HINT, 21, 3, b"", SHOPS), False),
        (Coin(b"anna", 9, 30, HINT, 20, 3, b"", SHOPS), False),
    ],
)
def test_what_is_renewed_keeps_its_purpose(fresh: Coin, right: bool) -> None:
    """§14-25."""
    checkers = Checkers(bytes(32), (OFFICE,), STUB.verifier)
    checkers.told.coin(b"old", Coin(b"anna", 8, 30, HINT, 20, 3, b"", SHOPS))
    checkers.issued.add(b"old")
    piece = Piece((b"old", TOKEN, 0), 0, 8)
    checkers.told.word(Word(b"in", TRANSFER, b"anna", OFFICE, (piece,), b"", b"", b"", None, True, 1, RENEWAL))
    checkers.told.coin(b"new", fresh)
    with nullcontext() if right else pytest.raises(PromiseBroken, match="purpose away, or gives it another last day"):
        check_renewed(checkers)


@pytest.mark.parametrize(
    ("bug", "said"),
    [
        ("bound in any hand", "promise 2: an honest wallet refuses value whose conditions are met"),
        ("deposit is bound", "promise 2: a deposit that came in time is not credited"),
        ("frozen, and pays", "promise 2: an honest wallet pays while it is frozen"),
        ("day begins with a sync", "promise 2: a wallet says that it paid another sum today than it did"),
    ],
)
def test_seeded_bugs_of_conditions_and_limits_are_found(bug: str, said: str) -> None:
    assert len(CURBED) >= 25
    assert hunt(bug, lives=3).what.startswith(said)
