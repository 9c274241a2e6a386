"""The books of random worlds against an oracle that keeps them unit by unit: what is owed, backed and guaranteed.

The oracle knows SPEC §16-8 and §16-15 to §16-17, and nothing of the ledger; some deposits are renewed in its worlds.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection
from contextlib import closing
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from dualtap.renewal import RENEWAL, renewal_serial
from dualtap.statements import Parent, Side
from dualtap_issuer import settling
from dualtap_issuer.guarantee import Caps, Liability, Share
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.roll import Roll
from dualtap_issuer.store import Store
from dualtap_testing.books import Claimant, People, parts_of
from tests.property.test_settlement import AMOUNT, AUTHORITY, INSTITUTION, SIGNERS, Oracle, feed, play

SEEDS = st.integers(min_value=0, max_value=2**32)


class Books(Oracle):
    """What follows at ``claim_by``."""

    def claims(self, parent: Parent, unit: int, holder: bytes, by: int) -> list[tuple[bytes, bytes]]:
        """Return who claims a unit, each with the deposit by which it does, if any."""
        kids = self.kids(parent, unit, by)
        found = [] if kids else [(holder, b"")]
        for key, place in kids:
            deed, there = self.deeds[key], Parent(key, Side.PAYEE, place)
            spent = bool(self.kids(there, unit, by))
            if deed.payee == INSTITUTION.public:
                found.append((deed.payer, key))
                continue
            dead = self.dead_at(key) <= by
            if dead:
                found += self.claims(Parent(key, Side.PAYER, place), unit, deed.payer, by)
            if spent or (not dead and self.accepted_at(key) <= by):
                found += self.claims(there, unit, deed.payee, by)
            elif not dead:
                found.append((deed.payer, b""))
        return found

    def claims_of(self, token: bytes) -> list[tuple[bytes, bytes]]:
        """Return the claims on all units of a token."""
        known = self.tokens[token]
        root = Parent(token, Side.TOKEN, 0)
        return [claim for unit in range(AMOUNT) for claim in self.claims(root, unit, known.owner, known.claim_by)]

    def marks(self) -> set[tuple[bytes, int, bytes]]:
        """Return each statement that stands against another: key, fraud's number, statement."""
        found = {(key, fraud, one) for key, fraud, both in self.names() if fraud != 4 for one in both}
        for key in self.shaped:
            for parent, _, _ in self.deeds[key].spans:
                if parent.side is Side.PAYEE and self.dead_at(parent.id) < 99:
                    found.add((self.deeds[key].payer, 4, key))
        return found

    def owed(self) -> dict[tuple[bytes, bytes], int]:
        """Return what each key owes of each token, by its statements that were whole by ``claim_by``."""
        cuts: dict[tuple[bytes, Parent, int], set[bytes]] = defaultdict(set)
        for key in self.shaped:
            for parent, start, end in self.deeds[key].spans:
                token = self.owner(parent)[1]
                if self.whole_at(key) <= self.tokens[token].claim_by:
                    for unit in range(start, end):
                        cuts[token, parent, unit].add(key)
        found: Counter[tuple[bytes, bytes]] = Counter()
        for (token, parent, _), keys in cuts.items():
            signer = self.deeds[min(keys)].payer
            found[token, signer] += len(keys) - 1
            if parent.side is Side.PAYEE and self.dead_at(parent.id) <= self.tokens[token].claim_by:
                found[token, signer] += 1
        return {key: units for key, units in found.items() if units}

    def shares(self, token: bytes, renewed: Collection[bytes], bound: Collection[bytes], caps: Caps) -> list[Share]:
        """Return what each holder of an overspent token gets."""
        named = {key for name, key in self.owed() if name == token}
        if not named:
            return []
        known = self.tokens[token]
        root = Parent(token, Side.TOKEN, 0)
        claims = [self.claims(root, unit, known.owner, known.claim_by) for unit in range(AMOUNT)]
        units = [[Claimant(holder, deposit in renewed) for holder, deposit in claim] for claim in claims]
        return [Share(token, *part) for part in parts_of(units, named, bound, caps)]


def renew(store: Store, oracle: Books, draw: random.Random) -> set[bytes]:
    """Give fresh tokens for some credited deposits that ask for them; return these."""
    asking = {key for key, deed in oracle.deeds.items() if deed.witness == (RENEWAL,)}
    credited = sorted(row.transfer for row in store.deposits(asking) if row.credited)
    chosen = {key for key in credited if draw.random() < 0.7}
    ingest = Ingest(store, AUTHORITY.trust(), frozenset({INSTITUTION.public}), 5)
    with store.transaction():
        for key in sorted(chosen):
            owner = oracle.deeds[key].payer
            fresh = AUTHORITY.token(renewal_serial(key, 0), 1, "CNY", owner, 5, 50, 60)
            store.put_delivery(owner, AUTHORITY.trust().token_id(fresh))
            ingest.token(fresh)
        ingest.finish()
    return chosen


class Met(NamedTuple):
    """What a world had of interest: overspent tokens, guaranteed units, renewed deposits that claim them."""

    overspent: int
    guaranteed: int
    renewed: int


def check_books(seed: int) -> Met:
    """Tell a world to a ledger, settle it, and compare names, holders and all that is paid."""
    draw, played = random.Random(seed), play(seed, steps=45, renewing=True)
    oracle, caps = Books(played), Caps(draw.randrange(4), draw.randrange(7))
    bound = {signer.public for signer in SIGNERS if draw.random() < 0.7}
    with closing(feed(played, draw)) as store:
        assert {(mark.key, int(mark.fraud), mark.statement) for mark in store.marks()} == oracle.marks()
        renewed = renew(store, oracle, draw)
        roll = Roll(AUTHORITY.scheme)
        roll.learn(AUTHORITY.authorities)
        store.close_epoch(99)
        settling.settle(store, roll, 99, caps, People(bound))
        settled = store.settled()
        units = {
            (token, unit): sorted(leaf.holder for leaf in settled[token] if leaf.start <= unit < leaf.end)
            for token in played.tokens
            for unit in range(AMOUNT)
        }
        assert units == oracle.units()
        owed = oracle.owed()
        assert settling.all_liabilities(store) == [Liability(*key, count) for key, count in sorted(owed.items())]
        shares = [one for token in sorted(played.tokens) for one in oracle.shares(token, renewed, bound, caps)]
        assert settling.all_shares(store) == shares
    overspent = {token for token, _ in owed}
    handed = {deposit for token in overspent for _, deposit in oracle.claims_of(token)}
    return Met(len(overspent), sum(one.guaranteed for one in shares), len(renewed & handed))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_the_books_are_the_oracles(seed: int) -> None:
    """§14-26, §16-8, §16-9, §16-10, §16-15, §16-16, §16-17."""
    check_books(seed)


def test_the_books_are_worth_keeping() -> None:
    """The worlds above have what they are for."""
    met = [check_books(seed) for seed in (*range(12), 74, 114)]
    assert min(map(sum, zip(*met, strict=True))) > 0, met
