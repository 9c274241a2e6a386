"""A card in memory is torn away at every APDU of a tap: one more tap between the same two settles it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Result
from dualtap_devices.driver import Driver, run
from dualtap_devices.wallet import Wallet
from dualtap_transports.apdu_loopback import MemorySlot
from dualtap_transports.card_link import CardEnd
from dualtap_transports.reader_link import opened
from tests.playbook import EPOCH, World

PATIENCE = 20.0
NOW = float(EPOCH * limits.EPOCH_SECONDS)
BASKET = b"sixteen bytes..."
NEVER = 1000


class Torn(MemorySlot):
    """A slot whose card is torn away at command ``at``: before the card hears it, or before its answer is heard."""

    def __init__(self, end: CardEnd, at: int, heard: bool) -> None:
        super().__init__(end)
        self.left, self.heard = at, heard
        self.commands = 0

    def transceive(self, apdu: bytes) -> bytes | None:
        self.left -= 1
        if self.left < 0 and not (self.heard and self.left == -1):
            raise TapError(Code.LINK_LOST, "torn")
        answer = super().transceive(apdu)
        self.commands += 1
        if self.left < 0:
            raise TapError(Code.LINK_LOST, "torn")
        return answer


def drive(world: World, wallet: Wallet, order: Order, starts: bool) -> Driver:
    return Driver(wallet, order, starts, world.suite.ephemeral(world.draw()), world.draw(), clock=lambda: NOW)


class Lossy(Torn):
    """A slot that loses command ``at``, or its answer, and nothing else."""

    def transceive(self, apdu: bytes) -> bytes | None:
        self.left -= 1
        if self.left != -1:
            self.commands += 1
            return MemorySlot.transceive(self, apdu)
        if self.heard:
            MemorySlot.transceive(self, apdu)
        return None


def tap(
    world: World, payer: Wallet, payee: Wallet, payer_reads: bool, at: int, heard: bool, kind: type[Torn] = Torn
) -> tuple[Result, int]:
    """Tap once; return how the payer's side ended and how many commands the card heard."""
    drivers = drive(world, payer, Pay(), payer_reads), drive(world, payee, Charge(100, "CNY", BASKET), not payer_reads)
    reads, answers = drivers if payer_reads else drivers[::-1]
    end = CardEnd()
    slot = kind(end, at, heard)
    with ThreadPoolExecutor() as threads:
        try:
            link = opened(slot)
        except TapError:
            return Result.NOT_PAID, slot.commands
        end.finished = True
        card = threads.submit(run, answers, end.accept(PATIENCE), PATIENCE)
        run(reads, link, PATIENCE)
        card.result(PATIENCE)
    return drivers[0].result.result, slot.commands


@pytest.mark.parametrize("heard", [False, True], ids=["command-lost", "answer-lost"])
@pytest.mark.parametrize("payer_reads", [True, False], ids=["payer-reads", "payee-reads"])
def test_a_tear_at_every_apdu_is_healed_by_a_second_tap(payer_reads: bool, heard: bool) -> None:
    """§1-4, over SPEC §18."""
    at, ends = 0, set[Result]()
    while True:
        world = World(seed=f"torn {at}")
        payer, payee = world.wallet(fund=500), world.wallet()
        result, commands = tap(world, payer, payee, payer_reads, at, heard)
        world.check()
        ends.add(result)
        again, _ = tap(world, payer, payee, payer_reads, NEVER, heard)
        assert again in (Result.PAID, Result.DONE)
        assert not payer.book.pending
        assert payee.book.available(EPOCH) == 100
        world.check()
        if commands < at:
            break
        at += 1
    assert at >= 6, "not every command was torn"
    assert ends == {Result.NOT_PAID, Result.IN_DOUBT, Result.PAID}


@pytest.mark.parametrize("heard", [False, True], ids=["command-lost", "answer-lost"])
@pytest.mark.parametrize("payer_reads", [True, False], ids=["payer-reads", "payee-reads"])
def test_a_loss_at_every_apdu_costs_nothing(payer_reads: bool, heard: bool) -> None:
    """§18-7, §18-8: the tap goes on as if nothing had been."""
    for at in range(6):
        world = World(seed=f"lossy {at}")
        payer, payee = world.wallet(fund=500), world.wallet()
        assert tap(world, payer, payee, payer_reads, at, heard, Lossy)[0] is Result.PAID
        assert payee.book.available(EPOCH) == 100
        world.check()
