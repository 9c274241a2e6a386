"""Taps of two wallets whose devices a handover introduces, torn at any frame."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.events import Report, Result
from dualtap.session import ident
from dualtap_devices.driver import Driver, run
from dualtap_devices.wallet import Wallet
from dualtap_transports.handover import handover_of, introduce
from dualtap_transports.link import Scheme
from tests.playbook import EPOCH, World
from tests.scenarios.test_bridge import Seen

PATIENCE = 30.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"sixteen bytes..."


class Shop:
    """A customer and a till; ``payer_starts`` says who connects, and the other one waits at ``place``."""

    def __init__(self, scheme: Scheme, place: str, payer_starts: bool, seed: str) -> None:
        self.scheme, self.place, self.payer_starts = scheme, place, payer_starts
        self.world = World(seed=seed)
        self.payer, self.payee = self.world.wallet(fund=500), self.world.wallet()
        self.frames: list[bytes] = []

    def tap(self, at: int | None = None, heard: bool = True) -> tuple[Report, Report]:
        """Meet anew and tap, torn at frame ``at``, which is ``heard`` or not; return how payer and payee ended."""
        suite, self.frames = self.world.suite, []
        ephemerals = [suite.ephemeral(self.world.draw()) for _ in range(2)]
        with closing(self.scheme.listen(self.place)) as listener, ThreadPoolExecutor(1) as pool:
            told = introduce(listener, ident(ephemerals[0].public))
            _, _, controller = self.place.partition("@")
            on = listener.address + (f"@{controller}" if controller and "@" not in listener.address else "")
            near = self.scheme.connect(on, PATIENCE)
            far = listener.accept(PATIENCE)
            waits = handover_of(far) if handover_of(far).said else told
            handovers = handover_of(near), waits
            assert handovers[0] == handovers[1]
            parts: list[tuple[Wallet, Order]] = [(self.payer, Pay()), (self.payee, Charge(100, "CNY", BASKET))]
            starts, answers = [
                Driver(*part, initiator, ephemeral, self.world.draw(), clock=lambda: NOW, handover=handover)
                for part, initiator, ephemeral, handover in zip(
                    parts if self.payer_starts else parts[::-1], (True, False), ephemerals[::-1], handovers, strict=True
                )
            ]
            job = pool.submit(run, answers, Seen(far, self.frames, at, heard), PATIENCE)
            first, second = run(starts, Seen(near, self.frames, at, heard), PATIENCE), job.result(PATIENCE)
        return (first, second) if self.payer_starts else (second, first)


def tear_everywhere(scheme: Scheme, place: str, payer_starts: bool, heard: bool) -> None:
    """Tear a tap at each of its frames; one more tap between the same two settles it."""
    at, ends = -1, set[Result]()
    while True:
        at += 1
        shop = Shop(scheme, place, payer_starts, f"introduced {at}")
        torn, _ = shop.tap(at, heard)
        ends.add(torn.result)
        whole = len(shop.frames) <= at
        again, _ = shop.tap()
        assert again.result in (Result.PAID, Result.DONE)
        assert not shop.payer.book.pending
        assert (shop.payer.book.available(EPOCH), shop.payee.book.available(EPOCH)) == (400, 100)
        shop.world.check()
        if whole:
            break
    assert at >= 3, "not every frame was torn"
    assert {Result.NOT_PAID, Result.PAID} <= ends
