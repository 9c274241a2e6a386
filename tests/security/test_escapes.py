"""What mutation testing found untested (``fuzz/mutate.py``): a test for each mutant that lived."""

from __future__ import annotations

import pytest

from dualtap.errors import Code
from tests.playbook import World


@pytest.mark.parametrize("payer_starts", [True, False])
def test_a_wallet_shows_nothing_to_its_own_copy(payer_starts: bool) -> None:
    """§8.1-7: a copied chip collects from its original; the payer sees its own key before it shows any value."""
    world = World(seed="own copy")
    wallet = world.wallet(fund=100)
    meeting = world.meet(wallet, world.cloned(wallet), 10, payer_starts=payer_starts).run()
    assert meeting.payer.report.code is Code.SELF_PAYMENT
    assert not {"Transfer", "Present"} & {type(seen.message).__name__.removesuffix("Message") for seen in meeting.heard}
    assert not wallet.book.pending
