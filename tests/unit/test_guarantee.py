"""What holders get of a token that was overspent, unit by unit, and to the last unit (SPEC §16-8, §16-15 to §16-18)."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection

import pytest

from dualtap_devices.wallet import Wallet
from dualtap_issuer import settling
from dualtap_issuer.guarantee import EVERYBODY, Caps, Liability, Ruling, Share, backing, claims, shares, short, split
from dualtap_issuer.rules import Leaf, Lot
from tests.mint import EPOCH, TERMS, Mint

LAST = EPOCH + TERMS.spend + TERMS.grace
A, B, C, D = (bytes([number]) * 32 for number in range(1, 5))


@pytest.mark.parametrize("seed", range(50))
def test_a_total_is_split_to_the_last_unit(seed: int) -> None:
    """§16-17."""
    draw = random.Random(seed)
    weights = {draw.randbytes(2): draw.choice([0, 1, 3, 1000, 10**15]) for _ in range(draw.randrange(1, 8))}
    whole = sum(weights.values())
    total = draw.randrange(whole + 1)
    parts = split(total, weights)
    assert sum(parts.values()) == total
    assert all(0 <= parts[key] <= weights[key] for key in weights)
    assert all(abs(parts[key] * whole - total * weights[key]) < whole for key in weights if whole)
    assert split(total, dict(reversed(list(weights.items())))) == parts


def test_what_is_left_goes_to_the_largest_remainder_and_then_to_the_smaller_key() -> None:
    """§16-17."""
    assert split(4, {A: 3, B: 3, C: 4}) == {A: 1, B: 1, C: 2}
    assert split(5, {C: 2, B: 2, A: 2}) == {A: 2, B: 2, C: 1}
    assert split(0, {A: 0}) == {A: 0}


def leaf(start: int, end: int, holder: bytes) -> Leaf:
    return Leaf(D, start, end, holder, Lot.HELD, b"")


@pytest.mark.parametrize("seed", range(50))
def test_what_is_contested_is_what_two_leaves_claim(seed: int) -> None:
    """§16-15: by single units."""
    draw = random.Random(seed)
    leaves = list[Leaf]()
    for _ in range(draw.randrange(1, 7)):
        start = draw.randrange(20)
        leaves.append(leaf(start, start + draw.randrange(1, 9), draw.choice([A, B, C])))
    units = Counter(unit for one in leaves for unit in range(one.start, one.end))
    expected: dict[bytes, list[int]] = defaultdict(lambda: [0, 0])
    for one in leaves:
        for unit in range(one.start, one.end):
            expected[one.holder][units[unit] > 1] += 1
    assert claims(leaves) == {key: tuple(pair) for key, pair in expected.items()}
    amount = len(units)
    for named in (set[bytes](), {A}, {A, B}, {A, B, C}):
        found = backing(amount, leaves, named)
        assert sum(part for _, part in found.values()) == amount
        for key, (claim, part) in found.items():
            assert (expected[key][0] if key not in named else 0) <= part <= claim == sum(expected[key])
        if any(found[key][1] for key in found if key in named):
            assert not short(found, named), "a named holder gets what nobody else lacks"


def test_the_named_come_last() -> None:
    """§16-15."""
    leaves = [leaf(0, 60, B), leaf(0, 60, C), leaf(60, 100, A)]
    assert backing(100, leaves, {A}) == {A: (40, 0), B: (60, 50), C: (60, 50)}
    assert backing(100, leaves, set()) == {A: (40, 40), B: (60, 30), C: (60, 30)}
    assert backing(100, [leaf(0, 60, B), leaf(0, 60, A), leaf(60, 100, A)], {A}) == {A: (100, 40), B: (60, 60)}


def paid(caps: Caps, bound: Collection[bytes], named: Collection[bytes] = (D,)) -> dict[bytes, int]:
    backed = {A: (60, 20), B: (50, 20), C: (30, 20), D: (40, 0)}
    ruling = Ruling(9, caps, frozenset(bound))
    return {share.holder: share.guaranteed for share in shares(D, backed, named, ruling)}


def test_the_guarantee_is_capped_per_payee_and_per_token_and_beyond_it_pro_rata() -> None:
    """§16-9, §16-16."""
    assert paid(Caps(), (A, B, C, D)) == {A: 40, B: 30, C: 10, D: 0}, "nobody named is made whole"
    assert paid(Caps(), (A, C)) == {A: 40, B: 0, C: 10, D: 0}, "nor who is bound to nobody"
    assert paid(Caps(payee=25), (A, B, C)) == {A: 25, B: 25, C: 10, D: 0}
    assert paid(Caps(token=7), (A, B, C)) == {A: 3, B: 3, C: 1, D: 0}
    assert paid(Caps(payee=10, token=10), (A, B, C)) == {A: 4, B: 3, C: 3, D: 0}
    assert paid(Caps(token=0), (A, B, C)) == dict.fromkeys((A, B, C, D), 0)


class Some:
    """A registry that binds some keys, and remembers whom it was asked about."""

    def __init__(self, *bound: bytes) -> None:
        self.keys, self.asked = set(bound), list[bytes]()

    def bound(self, keys: Collection[bytes]) -> Collection[bytes]:
        self.asked += keys
        return self.keys


def robbed(caps: Caps) -> tuple[Mint, Wallet, list[Wallet]]:
    """Return a ledger where a thief spent all of a token at three tills."""
    mint = Mint()
    mint.ledger.terms = TERMS._replace(guarantee=caps)
    thief = mint.wallet(100)
    clones = [thief, mint.clone(thief), mint.clone(thief)]
    shops = [mint.wallet() for _ in clones]
    for clone, shop in zip(clones, shops, strict=True):
        assert mint.pay(clone, shop, 100) == "paid"
        mint.settle_in(shop, deposit=True)
    return mint, thief, shops


def test_overspend_is_booked_and_payees_are_made_whole_once_at_claim_by() -> None:
    """§16-8, §16-9, §16-18."""
    mint, thief, shops = robbed(Caps(token=50))
    people = Some(*(shop.book.key for shop in shops[:2]), thief.book.key, D)
    assert mint.ledger.settle(LAST, people) == 0
    assert settling.all_shares(mint.store) == []
    assert mint.ledger.settle(LAST + 1, people) == 300
    found = settling.all_shares(mint.store)
    assert sorted(people.asked) == sorted(shop.book.key for shop in shops), "asked once, of whom it concerns"
    assert sum(share.backed for share in found) == 100
    by = {share.holder: share for share in found}
    assert [by[shop.book.key].guaranteed for shop in shops] == [25, 25, 0]
    assert {share.claim for share in found} == {100}
    ((token, _),) = mint.ledger.facts().tokens.items()
    assert settling.all_liabilities(mint.store) == [Liability(token, thief.book.key, 200)]
    mint.ledger.terms = TERMS
    assert mint.ledger.settle(LAST + 2, EVERYBODY) == 0
    assert settling.all_shares(mint.store) == found, "computed once"
    mint.ledger.audit()


def test_what_was_not_overspent_has_no_shares() -> None:
    mint = Mint()
    payer, shop = mint.wallet(100), mint.wallet()
    mint.pay(payer, shop, 60)
    mint.settle_in(shop, deposit=True)
    people = Some()
    assert mint.ledger.settle(LAST + 1, people) == 100
    assert (settling.all_shares(mint.store), settling.all_liabilities(mint.store), people.asked) == ([], [], [])


@pytest.mark.parametrize("spans", [1, 3, 10_000])
def test_a_settlement_goes_in_batches_and_on_where_it_was_interrupted(
    monkeypatch: pytest.MonkeyPatch, spans: int
) -> None:
    """Bounded memory; what was committed stays, and no sync before the closed epoch comes in between."""
    monkeypatch.setattr(settling, "SPANS", spans)
    mint, _, _ = robbed(Caps())
    payer, shop = mint.wallet(0), mint.wallet()
    for _ in range(4):
        mint.fund(payer, 10)
        mint.pay(payer, shop, 10)
    mint.settle_in(shop, deposit=True)
    real, left = settling.put, [2]

    def put(*given: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise InterruptedError
        real(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(settling, "put", put)
        with pytest.raises(InterruptedError):
            mint.ledger.settle(LAST + 1)
    first = sum(leaf.amount for leaves in mint.store.settled().values() for leaf in leaves)
    assert (first > 0) == (spans < 10_000)
    assert mint.store.closed_epoch() == LAST + 1
    assert mint.ledger.settle(LAST + 1) + first == 340
    world = mint.ledger.world()
    assert {key: sorted(held) for key, held in mint.store.settled().items()} == {
        key: world.leaves(key, token.claim_by) for key, token in world.facts.tokens.items()
    }
    found = settling.all_shares(mint.store)
    assert {type(share) for share in found} == {Share}
    assert sum(share.backed + share.guaranteed for share in found) == 300


def test_what_another_process_settled_meanwhile_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    mint, _, _ = robbed(Caps(token=50))
    due = [digest for digest, _ in mint.ledger.facts().tokens.items()]
    assert mint.ledger.settle(LAST + 1) == 300
    found = settling.all_shares(mint.store)
    mint.ledger.terms = TERMS

    def listed(*_: object) -> list[bytes]:
        return due

    monkeypatch.setattr(settling, "_due", listed)
    assert mint.ledger.settle(LAST + 1) == 0
    assert settling.all_shares(mint.store) == found
