"""What only reads a ledger has a thread and a connection of its own: a long audit holds up no sync."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service.admin import Guarded
from dualtap_issuer.service.clerk import Clerk
from dualtap_issuer.service.journal import Journal
from dualtap_issuer.service.settings import Settings
from dualtap_issuer.store import Store
from tests.mint import TERMS, Mint


def test_who_reads_holds_up_nobody_and_sees_what_was_written(tmp_path: Path) -> None:
    mint = Mint(path=tmp_path / "ledger.db")
    owner = mint.wallet().book.key
    journal = Journal(tmp_path / "journal")
    begun, gate = Event(), Event()

    @contextmanager
    def opened() -> Generator[Ledger]:
        store = Store.open(tmp_path / "ledger.db")
        yield Ledger(store, mint.authority, TERMS)
        store.close()

    def slow(ledger: Ledger) -> int:
        begun.set()
        assert gate.wait(10), "the other thread never came"
        return ledger.audit().issued

    def write(ledger: Ledger) -> int:
        assert begun.wait(10), "nobody reads"
        amount = ledger.issue(owner, 70, mint.epoch, bytes(8)).amount
        gate.set()
        return amount

    async def both() -> list[int]:
        guarded = Guarded(Clerk(opened, 4), Clerk(opened, 4), journal, b"t" * 32, Settings())
        try:
            return list(await asyncio.gather(guarded.look(slow), guarded.clerk.do(write)))
        finally:
            await guarded.reader.stop()
            await guarded.clerk.stop()

    assert asyncio.run(both()) == [70, 70]
    journal.close()
    mint.store.close()
