"""What commands tell, ask and let go of at the edges: exit codes, former keys, PINs, strangers, key files."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import click
import pytest

from dualtap.errors import Code, TapError
from dualtap.events import Ask, Consent, Decline, Report, Result
from dualtap.ownerend import errand_of
from dualtap.owning import Look
from dualtap.pin import Pin
from dualtap.records import Told, ToldLine
from dualtap.session import NO_HANDOVER
from dualtap.standing import Standing
from dualtap.statements import Errand
from dualtap.states import Part, State
from dualtap_apps import audits, carrying, cli, owners, pins, pos, schemes, taps, wallets
from dualtap_apps.__main__ import main
from dualtap_apps.dates import parse_day
from dualtap_apps.exits import Exit, exit_of, exit_of_report
from dualtap_apps.hosting import Guests, Strangers, host
from dualtap_apps.keyring import FIRST, Key, Keyring
from dualtap_apps.linking import Door, Met, saying
from dualtap_apps.output import wallet_id
from dualtap_apps.owners import Where, keep
from dualtap_apps.parties import add_bank
from dualtap_apps.paying_once import PayingOnce
from dualtap_devices.disk import Label, opened
from dualtap_devices.driver import Driver, always
from dualtap_devices.shifts import Entry
from dualtap_devices.wallet import Wallet
from dualtap_transports import loopback
from tests.mint import EPOCH
from tests.playbook import World
from tests.unit.test_full_log import squeeze
from tests.unit.test_succession import House

PATIENCE = 20.0


# How a command ends


def test_a_command_that_was_stopped_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a script does next, it must not take Control-C for a payment."""

    def stopped(*_: object, **__: object) -> NoReturn:
        raise click.Abort

    monkeypatch.setattr(cli.cli, "main", stopped)
    assert cli.run(["pay", "anna"]) == Exit.DECLINED
    assert capsys.readouterr().out == ""
    assert cli.run(["pay", "anna", "--json"]) == Exit.DECLINED
    assert json.loads(capsys.readouterr().out)["error"] == "STOPPED"


def test_a_command_may_be_stopped_before_it_has_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Much of its time goes on imports: Control-C there showed a traceback."""

    def loading(_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", loading)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == Exit.DECLINED
    assert capsys.readouterr().err == "dualtap: stopped\n"


@pytest.mark.parametrize("joined", [False, True])
def test_a_peer_that_hung_up_before_it_greeted_is_told_of(joined: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """§6-10: it must not say why; to tap again, as after a lost link, would never help."""
    lost = Report(Result.NOT_PAID, 0, "CNY", bytes(32), bytes(32), Code.LINK_LOST)
    driver = SimpleNamespace(reports=[lost], tap=SimpleNamespace(part=Part.PAYER, joined=joined))
    assert taps.tell(cast("Driver", driver), lost, as_json=False) == Exit.LOST
    assert ("another scheme" in capsys.readouterr().err) is not joined


def test_a_tap_that_paid_nothing_is_no_success_whatever_it_says() -> None:
    assert exit_of_report(Report(Result.NOT_PAID)) is Exit.ERROR
    assert exit_of_report(Report(Result.DONE)) is Exit.OK


@pytest.mark.parametrize("code", [Code.DOUBLE_SPENT, Code.TAPE_FORKED])
def test_a_cheat_that_was_met_has_an_exit_code_of_its_own(code: Code) -> None:
    assert exit_of(code) is Exit.DOUBLE_SPEND


# Strangers, and who pays once


def takes(_: bytes) -> None:
    """Take every first frame."""


def test_who_still_waits_when_a_command_ends_is_told_so() -> None:
    scheme = loopback.LoopbackScheme()
    guests = Guests(scheme.listen("shop"), PATIENCE, takes, Strangers())
    with closing(scheme.connect("shop", PATIENCE)) as silent, closing(scheme.connect("shop", PATIENCE)) as ready:
        ready.send(b"hello")
        link, said = guests.next(PATIENCE)
        assert said == b"hello"
        ready_again = scheme.connect("shop", PATIENCE)
        ready_again.send(b"hello too")
        while not guests.waiting():
            pass
        with pytest.raises(TapError) as caught:
            guests.next(0.0)
        assert caught.value.code is Code.TIMEOUT, "whoever waits, the time is up"
        guests.close()
        for one in (silent, ready_again):
            with pytest.raises(TapError) as caught:
                one.receive(PATIENCE)
            assert caught.value.code is Code.LINK_LOST
        link.close()


def test_a_stranger_is_let_go_of_before_the_next_is_served() -> None:
    """Whoever comes first: it hears at once that it was in vain."""
    scheme, served = loopback.LoopbackScheme(), list[Met]()
    door = Door(scheme, scheme.listen("shop"), None, NO_HANDOVER)
    with closing(scheme.connect("shop", PATIENCE)) as stranger, closing(scheme.connect("shop", PATIENCE)) as customer:
        stranger.send(b"hello")

        def serve(met: Met) -> TapError | None:
            served.append(met)
            if len(served) == 2:
                met.link.close()
                return None
            customer.send(b"hello")
            return TapError(Code.LINK_LOST)

        host(door, PATIENCE, saying("nobody came"), takes, serve)
        assert len(served) == 2
        with pytest.raises(TapError) as caught:
            stranger.receive(0.0)
        assert caught.value.code is Code.LINK_LOST


@pytest.mark.parametrize("reached", [True, False])
def test_who_leaves_before_a_frame_was_carried_was_not_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reached: bool
) -> None:
    """Nor where the issuer cannot be reached; the card's link is closed in either case."""
    near, far = loopback.pair()

    def reach(*_: object) -> Met:
        return Met(near, True, loopback.SCHEME)

    @contextmanager
    def issuer_at(where: str) -> Generator[SimpleNamespace]:
        if not reached:
            raise TapError(Code.ISSUER_UNREACHABLE, where)
        far.close()
        yield SimpleNamespace()

    monkeypatch.setattr(carrying, "reach", reach)
    monkeypatch.setattr(carrying, "issuer_at", issuer_at)
    if reached:
        assert carrying.carry_one(tmp_path, "pcsc:a card", "somewhere", PATIENCE, as_json=True) is Exit.LOST
        assert json.loads(capsys.readouterr().out) == {"result": "carried", "frames": 0}
    else:
        with pytest.raises(TapError, match="somewhere"):
            carrying.carry_one(tmp_path, "pcsc:a card", "somewhere", PATIENCE, as_json=True)
    with pytest.raises(TapError) as caught:
        near.send(b"late")
    assert caught.value.code is Code.LINK_LOST


def test_a_payment_that_a_second_tap_healed_is_the_commands_only_one() -> None:
    """§11.1-1: it was in doubt, and has arrived: whoever asks again is declined without a question."""
    world = World()
    once = PayingOnce(world.wallet(fund=100))
    ask = cast("Ask", None)

    def tapped(*reports: Report) -> None:
        once.taps.append(cast("Driver", SimpleNamespace(reports=reports)))

    person = once.only(always)
    tapped(Report(Result.IN_DOUBT, transfer=b"one"))
    tapped(Report(Result.HEALED_PAID, transfer=b"another"))
    assert isinstance(person(ask), Consent), "what is healed here was paid by another command"
    tapped(Report(Result.HEALED_PAID, transfer=b"one"))
    assert isinstance(person(ask), Decline)


# What a wallet tells


def test_what_is_in_doubt_under_a_former_key_is_shown() -> None:
    """§20-8."""
    world = World()
    former, present = world.wallet(fund=100), world.wallet()
    meeting = world.meet(former, world.wallet(), 30)
    meeting.until(Part.PAYER, State.AWAIT_OUTCOME)
    meeting.lose()
    world.succeed(former, present)
    label = cast("Label", SimpleNamespace(name="Anna", model="phone", currency="CNY"))
    assert wallets.summary(present, label).in_doubt == 30


def test_the_past_of_a_former_key_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """§20-8."""
    house = House(tmp_path)
    with opened(house.folder) as wallet:
        before = [line.transfer.hex() for line in wallet.book.history]
    house.rotate()
    capsys.readouterr()
    assert wallets.history(house.folder, as_json=True) is Exit.OK
    lines = json.loads(capsys.readouterr().out)["history"]
    assert before == [line["receipt"] for line in lines][: len(before)]
    assert before


def test_the_issuers_word_of_a_doubt_is_not_told_beside_the_wallets_own() -> None:
    """§14-28: it knows more of it than the issuer."""
    wallet = World().wallet()
    wallet.write(Told((ToldLine(bytes(32), Standing.IN_DOUBT, EPOCH, 5, "CNY"),)))
    assert wallets.news(wallet) == []


# What an owner orders


def test_an_order_finds_room_in_a_log_that_holds_only_the_past() -> None:
    """§12-13."""
    wallet = World().wallet(fund=10)
    squeeze(wallet, 100)
    before = wallet.book.ties.next_number(wallet.book.key)
    keep(wallet, errand_of(wallet.book, wallet.book.key, Errand.LOST))
    assert wallet.book.ties.next_number(wallet.book.key) == before + 1


def test_an_owner_speaks_only_to_the_wallet_that_it_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """§23-9: another wallet of the same owner may lie on the reader."""
    world = World()
    owner, card, other = world.wallet(), world.wallet(), world.wallet()
    ties = SimpleNamespace(owned={card.book.key: None, other.book.key: None})
    asked: list[bytes] = []

    def met(*_: object) -> SimpleNamespace:
        return SimpleNamespace(handover=None)

    def end(book: object, wish: object, ephemeral: object, expected: bytes, handover: object) -> NoReturn:
        asked.append(expected)
        raise TapError(Code.LINK_LOST, f"{book} {wish} {ephemeral} {handover}")

    monkeypatch.setattr(owners, "reach", met)
    monkeypatch.setattr(owners, "OwnerEnd", end)
    monkeypatch.setattr(owner.book, "ties", ties)
    for named in (card, other):
        with pytest.raises(TapError):
            owners.carry_out(tmp_path, owner, Look(3), Where(wallet_id(named.book.key), "tcp:127.0.0.1:9"))
    assert asked == [card.book.key, other.book.key]


# Schemes


def test_a_bank_keeps_its_number_and_a_tier_is_what_the_policy_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """§7-8: it is certified anew for another quota, after others have joined."""
    town = tmp_path / "town"
    card = schemes.create(town, "CNY", "ed25519")
    told = list[tuple[str, int, int]]()
    for name, quota in (("north", 10), ("south", 10), ("north", 20)):
        assert add_bank(town, name, FIRST, quota, "", as_json=True) is Exit.OK
        fields = json.loads(capsys.readouterr().out)
        told.append((fields["bank"], fields["number"], fields["quota"]))
    assert told == [("north", 2, 10), ("south", 3, 10), ("north", 2, 20)]
    with schemes.Office.open(town) as office:
        office.ledger.set_tiers((*schemes.TIERS, schemes.WALLET_TIER._replace(number=9)), schemes.today())
        office.check_tier(9)
        with pytest.raises(TapError, match="no tier 10"):
            office.check_tier(10)
    with pytest.raises(TapError):
        office.ledger.store.ask("SELECT 1")  # it is closed, and others have it whole
    assert schemes.read_scheme(town) == card
    assert not list(town.glob("*.new"))


@pytest.mark.parametrize("text", ["1969-12-31", "0001-01-01", "tomorrow", "2026-02-30"])
def test_a_day_before_the_first_is_none(text: str) -> None:
    with pytest.raises(TapError) as caught:
        parse_day(text)
    assert caught.value.code is Code.BAD_INPUT
    assert parse_day(" 1970-01-02 ") == 1


def test_an_audit_counts_each_wallet_once_with_all_its_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lists a folder twice, or by two names, asks for it once."""
    town, purse = tmp_path / "town", tmp_path / "purse"
    schemes.create(town, "CNY", "ed25519")
    assert wallets.new(purse, town, "card", "Anna", as_json=True) is Exit.OK
    former, counted = World().wallet(), list[object]()

    @contextmanager
    def with_former(folder: Path) -> Generator[Wallet]:
        with opened(folder) as wallet:
            wallet.retired = (former,)
            yield wallet

    def take(facts: object, trust: object, book: object, epoch: int) -> None:
        counted.append(book)

    monkeypatch.setattr(audits, "opened", with_former)
    monkeypatch.setattr(audits, "take_store", take)
    found = audits.audit_fields(town, [purse, tmp_path / "town" / ".." / "purse"])
    assert (len(counted), counted[1], found.accounted) == (2, former.book, True)


# PINs and keys


def test_a_changed_pin_is_typed_twice_and_pays_nothing_by_itself(tmp_path: Path) -> None:
    """§22-14."""
    house, asked = House(tmp_path), list[tuple[str, bool]]()

    def typed(question: str, new: bool) -> str:
        asked.append((question, new))
        return "4071" if question.startswith("Old") else "4072"

    with opened(house.folder) as wallet:
        pins_of(wallet.keystore).set(b"4071")
    assert pins.change_pin(house.folder, None, None, typed, as_json=True) is Exit.OK
    assert asked == [("Old PIN", False), ("New PIN", True)]
    with opened(house.folder) as wallet:
        pin = pins_of(wallet.keystore)
        assert not pin.cell.verified
        pin.verify(b"4072")


def pins_of(keystore: object) -> Pin:
    return cast("Pin", keystore.pin)  # type: ignore[attr-defined]


def test_a_till_tells_the_time_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says Z: a till in Shanghai and its bank elsewhere mean the same moment."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        text = pos._csv([Entry(1, 1_700_000_000, "received", 5, "CNY")])  # pyright: ignore[reportPrivateUsage]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert ",2023-11-14T22:13:20Z," in text


def test_a_key_is_durable_before_it_has_its_name_and_replaces_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring, durable = Keyring(tmp_path), list[bool]()
    real = os.fsync

    def confirm(file: int) -> None:
        durable.append(keyring.has("bank", "north"))
        real(file)

    monkeypatch.setattr(os, "fsync", confirm)
    keyring.write("bank", "north", Key("ed25519", bytes(32)))
    assert durable == [False, True], "the text, and then its name"
    assert keyring.path("bank", "north").stat().st_mode & 0o777 == 0o600
    with pytest.raises(TapError, match="another name") as caught:
        keyring.write("bank", "north", Key("ed25519", bytes([1]) * 32))
    assert (caught.value.code, keyring.read("bank", "north").secret) == (Code.BAD_INPUT, bytes(32))
