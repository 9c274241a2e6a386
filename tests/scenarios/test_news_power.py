"""The power goes at every operation of the store of a device that is told news: it has all of them or none."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from dualtap.events import Result
from dualtap.records import News, Warned
from dualtap_devices.flash import Faults, PowerCut
from tests.playbook import TIER
from tests.support.devices import Bench, Device, Session, coarse, faults_of
from tests.unit.test_news_by_tap import warned


class Town(NamedTuple):
    """Two devices to be, and evidence against a third."""

    bench: Bench
    warned: Warned


@pytest.fixture(scope="module")
def town() -> Town:
    bench = Bench()
    till, thief = warned(bench.world)
    return Town(bench, Warned(thief, till.book.warned[thief]))


def told(town: Town, payer_is_told: bool) -> tuple[Session, Device]:
    """Return two devices, of which one knows a newer policy and a cheat; and the one that does not."""
    pair = town.bench.pair()
    knows, learns = (pair.payee, pair.payer) if payer_is_told else (pair.payer, pair.payee)
    knows.wallet.write(News(None, (), None, town.bench.world.ruled(2, (TIER,))), town.warned)
    return Session(pair), learns


def state(device: Device) -> tuple[int, int]:
    book = device.wallet.book
    assert book.trust.policy is not None
    assert book.trust.blocked == book.warned.keys()
    return book.trust.policy.version, len(book.warned)


@pytest.mark.parametrize("payer_is_told", [True, False])
def test_news_is_there_whole_or_not_at_all(town: Town, payer_is_told: bool) -> None:
    """§21-3, §21-6 and §12-4: the payment is not touched, and the next tap brings what is missing."""
    seen: set[tuple[int, int]] = set()
    operation = 0
    while True:
        session, learns = told(town, payer_is_told)
        faults_of("store", Faults(operation), learns)
        operation += 1
        try:
            report = session.tap()
        except PowerCut:
            pass
        else:
            assert report.result is Result.PAID
            break
        keeps = list(coarse(learns.store))
        for number, keep in enumerate(keeps):
            again, subject = told(town, payer_is_told)
            faults_of("store", Faults(operation - 1), subject)
            with pytest.raises(PowerCut):
                again.tap()
            subject.crash(keep)
            assert not subject.wallet.quarantined
            seen.add(state(subject))
            if number == 0:
                again.tap(b"the basket after", 3)
                assert state(subject) == (2, 1)
    assert state(learns) == (2, 1)
    assert seen == {(1, 0), (2, 1)}
