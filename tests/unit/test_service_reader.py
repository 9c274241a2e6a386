"""What only reads a ledger has a thread and a connection of its own: a long audit holds up no sync."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from dualtap.issued import Authority
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service.admin import Guarded
from dualtap_issuer.service.calls import Fields
from dualtap_issuer.service.clerk import Clerk
from dualtap_issuer.service.journal import Journal
from dualtap_issuer.service.settings import Settings
from dualtap_issuer.store import Store
from tests.mint import EPOCH, TERMS, Mint


def test_who_reads_knows_who_joined_meanwhile_and_the_log_says_what_broke(tmp_path: Path) -> None:
    mint = Mint(path=tmp_path / "ledger.db")
    key = mint.suite.signer(b"another institution's secret key").public
    journal = Journal(tmp_path / "journal")

    @contextmanager
    def opened() -> Generator[Ledger]:
        store = Store.open(tmp_path / "ledger.db")
        yield Ledger(store, mint.authority, TERMS)
        store.close()

    def join(ledger: Ledger) -> int:
        return ledger.admit([mint.authority.root.certify(key, Authority.INSTITUTION, 2, EPOCH + 900)], EPOCH)

    def known(ledger: Ledger) -> int:
        return len(ledger.institutions)

    def breaks(ledger: Ledger, given: Fields) -> Fields:
        raise ZeroDivisionError(ledger, given)

    async def story() -> None:
        guarded = Guarded(Clerk(opened, 4), Clerk(opened, 4), journal, b"t" * 32, Settings())
        try:
            assert await guarded.look(known) == 1
            assert await guarded.clerk.do(join) == 1
            assert await guarded.look(known) == 2
            with pytest.raises(ZeroDivisionError):
                await guarded.carry_out("POST /admin/nothing", {}, breaks)
        finally:
            await guarded.reader.stop()
            await guarded.clerk.stop()

    asyncio.run(story())
    journal.close()
    assert [json.loads(line).get("ended") for line in (tmp_path / "journal").read_text().splitlines()] == [
        None,
        "failed",
    ]
    mint.store.close()


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
