"""Two processes sync wallets that renew and deposit, some of it twice: each conflict and each fresh token is there
once.

They are stopped and let go at every dangerous instant, as in :mod:`tests.postgres.test_rivals`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator
from contextlib import closing

import pytest

from dualtap_issuer import settling
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.marks import Mark
from dualtap_issuer.renewals import fresh_tokens, hands_behind, renewals
from dualtap_issuer.store import Store
from dualtap_testing.forging import SETTLED, authority_over
from dualtap_testing.planting import TERMS
from tests.postgres.test_rivals import Rival, race
from tests.support.postgres import Postgres
from tests.support.renewing_rival import Errand, Story, tell

STORIES = 4


@pytest.fixture(scope="module")
def rivals(postgres: Postgres) -> Generator[tuple[Rival, Rival]]:
    module = "tests.support.renewing_rival"
    pair = (Rival("one", postgres, module), Rival("other", postgres, module))
    yield pair
    for rival in pair:
        rival.close()


@pytest.mark.timeout(400)
def test_conflicting_deposits_and_renewals_race(postgres: Postgres, rivals: tuple[Rival, Rival]) -> None:
    """§1-5, §14-24, §14-26, §16-3, §16-8."""
    given: Counter[str] = Counter()
    for seed in range(STORIES):
        where, draw, story = postgres.place(), random.Random(seed), tell(seed)
        with closing(Store.open(where)) as store:
            Ledger(store, authority_over("ed25519", store), TERMS)
        errands: list[Errand] = []
        tellers = [draw.choice([{0}, {1}, {0, 1}]) for _ in story.quarter.parcels]
        for process in (0, 1):
            parcels = [number for number, teller in enumerate(tellers) if process in teller]
            draw.shuffle(parcels)
            errands.append(Errand(where, seed, parcels, process))
        race(rivals, errands, draw)
        with closing(Store.open(where)) as store:
            check(Ledger(store, authority_over("ed25519", store), TERMS), story, given)
    assert min(given["honest"], given["stolen"], given["kept"]) > 0, given


def check(ledger: Ledger, story: Story, given: Counter[str]) -> None:
    """Each conflict is marked and each renewal given, once; the books are even before and after settlement."""
    quarter, store = story.quarter, ledger.store
    planted = {Mark(plant.key, plant.fraud, mark) for plant in quarter.plants for mark in plant.marks}
    assert set(store.marks()) == planted
    assert store.unfinished() == []
    assert ledger.audit().overspend == sum(quarter.liable.values())
    world = ledger.world()
    renewed = renewals(world)
    named = {plant.key for plant in quarter.plants}
    for deposit in story.honest:
        if not hands_behind(world, deposit) & named:
            assert deposit in renewed
            given["honest"] += 1
    given["stolen"] += sum(deposit in renewed for deposit in story.stolen)
    given["kept"] += sum(deposit not in renewed for deposit in story.stolen)
    for deposit, tokens in renewed.items():
        fresh = fresh_tokens(world, deposit, quarter.day)
        assert [world.facts.tokens[token].amount for token in tokens] == [one.amount for one in fresh]
    rows = Counter(row[0] for row in store.ask("SELECT token FROM delivery"))
    assert rows == Counter(token for tokens in renewed.values() for token in tokens)
    ledger.settle(SETTLED + TERMS.spend + TERMS.grace)
    owed = {(one.key, one.token): one.amount for one in settling.all_liabilities(store)}
    assert owed == dict(quarter.liable)
    found = ledger.audit()
    assert (found.outstanding, found.at_risk) == (0, 0)
