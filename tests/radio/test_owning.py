"""An owner's phone reads its card over each stack by which a card is read: bound by a press, then looked at without."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dualtap import limits
from dualtap.issued import Carrier
from dualtap.ownerend import OwnerEnd
from dualtap.owning import Bond, Look, Told
from dualtap.wire import Want
from dualtap_devices.owning import Session, declined, fresh, pressed
from dualtap_devices.owning import run as serve
from dualtap_devices.passive import Waiting, attend
from dualtap_transports.contract import Ends
from tests.playbook import EPOCH, World

PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)


@pytest.mark.parametrize("name", ["nfc-udp", "pcscd", "ble", "nfc+ble"])
def test_an_owner_binds_and_reads_its_card(join_over: Callable[[str], Ends], name: str) -> None:
    """§23-5, §23-10."""
    world = World(seed="owner")
    phone, card = world.wallet(), world.wallet(Carrier.CARD, 500, profile=limits.CARD)
    told: list[Told] = []
    for wish, press in ((Bond(), pressed), (Look(1), declined)):
        near, far = join_over(name)
        with ThreadPoolExecutor(1) as pool:
            waiting = Waiting(Want.OWN | Want.PAY, clock=lambda: NOW, press=press)
            job = pool.submit(attend, card, far, waiting, PATIENCE)
            session = Session(phone, OwnerEnd(phone.book, wish, fresh(phone)), clock=lambda: NOW)
            told.append(serve(session, near, PATIENCE))
            assert isinstance(job.result(PATIENCE), Told)
    assert card.book.ties.owner == phone.book.key
    state = told[1].state
    assert state is not None
    assert (state.bind, state.balance, state.available) == (1, 500, 500)
