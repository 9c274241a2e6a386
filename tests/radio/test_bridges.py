"""``bridge``, ``carry`` and ``charge`` as readers, each device a process, over two slots of pcscd and nfcpy's UDP."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest

from dualtap.call import Call
from dualtap.events import Result
from dualtap_apps.schemes import Office
from dualtap_devices.disk import opened
from dualtap_transports import nfc
from dualtap_transports.link import Link
from tests.playbook import EPOCH
from tests.scenarios.test_bridge import COLLECT, PAY, Cards
from tests.support.commands import PATIENCE, done, said, started
from tests.support.pcscd import Pcscd


@pytest.fixture
def people() -> tuple[tuple[str, str], ...]:
    return (("anna", "card"), ("ben", "card"), ("till", "pos"), ("phone", "phone"))


def bridged(town: Path, places: tuple[str, str], readers: tuple[str, str]) -> None:
    """Two cards pay through a bridge, there and back."""
    for amount, payer, payee in (("12.50", "anna", "ben"), ("2.50", "ben", "anna")):
        with (
            started("card", str(town / payer), "--on", places[0]) as (first, pays),
            started("card", str(town / payee), "--on", places[1]) as (second, collects),
        ):
            on = (readers[0] or first, readers[1] or second)
            known = done("bridge", "--on", on[0], "--on", on[1], amount)
            paid, collected = said(pays), said(collects)
        assert (paid["result"], collected["result"]) == ("paid", "collected")
        assert collected["amount"] == int(float(amount) * 100)
        assert known["ended"] == "LINK_LOST"
    assert done("wallet", "show", str(town / "ben"))["available"] == 1000


def test_two_cards_in_two_slots_of_pcscd_pay_each_other(town: Path, pcscd: Pcscd) -> None:
    places = (f"vpcd:{pcscd.addresses[0]}", f"vpcd:{pcscd.addresses[1]}")
    readers = (f"pcsc:{pcscd.readers[0]}", f"pcsc:{pcscd.readers[1]}")
    bridged(town, places, readers)
    pcscd.settle()


def test_two_cards_over_two_of_nfcpys_devices_pay_each_other(town: Path) -> None:
    bridged(town, ("nfc:udp:127.0.0.1:0", "nfc:udp:127.0.0.1:0"), ("", ""))


def test_a_till_reads_a_card_and_a_phone_carries_its_sync_over_pcsc(town: Path, pcscd: Pcscd) -> None:
    place, reader = f"vpcd:{pcscd.addresses[0]}", f"pcsc:{pcscd.readers[0]}"
    with started("pay", str(town / "anna"), "--on", place, "--yes") as (_, pays):
        assert done("charge", str(town / "till"), "7.00", "--on", reader)["result"] == "collected"
        assert said(pays)["result"] == "paid"
    pcscd.settle()
    with opened(town / "anna") as wallet, Office.open(town / "town") as office:
        office.issue(wallet.book.key, 300)
    with started("sync", str(town / "anna"), "--on", place) as (_, syncs):
        assert cast("int", done("carry", str(town / "phone"), "--on", reader)["frames"]) >= 4
        assert said(syncs)["available"] == 9600
    pcscd.settle()


def test_a_till_reads_a_card_over_nfc(town: Path) -> None:
    with started("pay", str(town / "anna"), "--on", "nfc:udp:127.0.0.1:0", "--as", "card", "--yes") as (where, pays):
        assert done("charge", str(town / "till"), "7.00", "--on", where, "--as", "reader")["result"] == "collected"
        assert said(pays)["result"] == "paid"


@pytest.mark.parametrize("heard", [False, True], ids=["frame-lost", "frame-heard"])
@pytest.mark.parametrize("call", [COLLECT, PAY], ids=["payee-called", "payer-called"])
def test_torn_at_every_frame_over_two_of_nfcpys_devices_and_the_next_bridge_heals(call: Call, heard: bool) -> None:
    """§26-4."""
    with ExitStack() as stack:

        def join() -> tuple[Link, Link]:
            listener = nfc.SCHEME.listen("udp:127.0.0.1:0")
            stack.callback(listener.close)
            reader = nfc.SCHEME.connect(listener.address, PATIENCE)
            return reader, listener.accept(PATIENCE)

        at, over = -1, False
        while not over:
            at += 1
            cards = Cards(seed=f"radio {at}", join=join)
            cards.tap(call, at, heard)
            over = len(cards.frames) <= at
            again, _, _ = cards.tap(call)
            assert again.result in (Result.PAID, Result.DONE)
            assert not cards.payer.book.pending
            assert (cards.payee.book.available(EPOCH), cards.payer.book.available(EPOCH)) == (120, 380)
        assert at >= 4
