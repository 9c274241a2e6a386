"""Frauds of every kind, planted among honest wallets: all are found, by kind, statement and amount; nobody is framed.

``DUALTAP_FRAUDS`` says how large the world is: quarters x statements in each x frauds in each (``make frauds``).
"""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import closing

import pytest

from dualtap_issuer.settling import all_shares
from dualtap_testing.frauds import PLOTS
from dualtap_testing.honest import DEEDS
from dualtap_testing.planting import Planted, Size

SIZE = Size(*map(int, os.environ.get("DUALTAP_FRAUDS", f"1x700x{len(PLOTS)}").split("x")))
PROCESSES = 2 if SIZE.quarters > 1 else 1
SUITE = os.environ.get("DUALTAP_FRAUDS_SUITE", "ed25519")


@pytest.mark.timeout(4 * 3600)
def test_every_planted_fraud_is_found_and_nobody_is_framed() -> None:
    """§1-1, §1-3, §5.3-7, §15-10, §16-7, §16-8, §16-10, §16-11, §20-11."""
    began = time.perf_counter()
    world = Planted(SUITE, "planted", SIZE, PROCESSES)
    grown = time.perf_counter()
    assert world.done.keys() == {deed.__name__ for deed in DEEDS}, "something legal was never done"
    with closing((ledger := world.ledger()).store):
        world.tell(ledger)
        told = time.perf_counter()
        report = world.compare(ledger)
    times = [grown - began, told - grown, time.perf_counter() - told]
    told_in = "made, told and compared in " + ", ".join(f"{seconds:.1f}" for seconds in times) + " s"
    sys.stdout.write(
        f"{report.statements} statements, {report.frauds} frauds, {report.overspent} overspent: {told_in}\n"
    )
    assert report.missed == []


def test_the_order_of_a_days_syncs_and_repeating_them_change_nothing() -> None:
    """§1-5, §16-2, §16-4, §16-13."""
    world, told = Planted(SUITE, "order", Size(1, 100, 8)), list[object]()
    for seed in range(2):
        draw = random.Random(seed)
        world.parcels += draw.sample(world.parcels, len(world.parcels) // 3)
        draw.shuffle(world.parcels)
        world.parcels.sort(key=lambda parcel: parcel.day)
        with closing((ledger := world.ledger()).store) as store:
            world.tell(ledger)
            settled = {token: sorted(leaves) for token, leaves in store.settled().items()}
            said = (store.marks(), store.conflicts(), set(store.credits()), set(store.deposits()), all_shares(store))
            told.append((ledger.digest(), said, settled, ledger.policy.hotlist))
    assert told[0] == told[1]
