"""A phone that owns a card, at the command line: in folders, over a link, through a bridge, and by syncs."""

from __future__ import annotations

import json
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dualtap import limits
from dualtap_apps.cli import run
from dualtap_apps.output import is_name, wallet_id
from dualtap_devices.disk import opened

PATIENCE = 30.0


class Home:
    """A scheme, a phone with 100.00, a card with 50.00, and a shop; commands name their folders by @."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.pool, self.capsys = folder, pool, capsys
        assert self.run("scheme", "new", "@town", "--suite", "ed25519") == 0
        for name, carrier in (("phone", "phone"), ("other", "phone"), ("card", "card"), ("shop", "pos")):
            where = ("--scheme", "@town", "--carrier", carrier, "--name", name)
            assert self.run("wallet", "new", f"@{name}", *where) == 0
        assert self.run("wallet", "fund", "@phone", "100.00") == 0
        assert self.run("wallet", "fund", "@card", "50.00") == 0

    def start(self, *words: str) -> Future[int]:
        return self.pool.submit(run, [str(self.folder / word[1:]) if word[:1] == "@" else word for word in words])

    def run(self, *words: str) -> int:
        return self.start(*words).result(PATIENCE)

    def told(self, *words: str) -> dict[str, Any]:
        """Run a command with --json; return what it printed last."""
        self.capsys.readouterr()
        assert self.run(*words, "--json") == 0
        found: dict[str, Any] = json.loads(self.capsys.readouterr().out.splitlines()[-1])
        return found

    def said(self, code: int, *words: str) -> str:
        """Run a command that ends so; return all that it said."""
        self.capsys.readouterr()
        assert self.run(*words) == code
        found = self.capsys.readouterr()
        return found.out + found.err

    def name(self, wallet: str) -> str:
        with opened(self.folder / wallet) as found:
            return wallet_id(found.book.key)

    def pay(self, amount: str) -> int:
        """Let the card pay the shop; return how it ended for the shop."""
        card = self.start("card", "@card", "--on", "loopback:till", "--only", "pay")
        code = self.run("charge", "@shop", amount, "--on", "loopback:till", "--as", "reader")
        card.result(PATIENCE)
        return code


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Generator[Home]:
    with ThreadPoolExecutor(4) as pool:
        yield Home(tmp_path, pool, capsys)


def test_a_phone_binds_limits_and_turns_off_a_card(home: Home) -> None:
    """§23: each command says in words what happened, and the card keeps to it."""
    card, phone = home.name("card"), home.name("phone")
    assert f"Wallet {card} is bound to phone, wallet {phone}" in home.said(0, "wallet", "bind", "@phone", "@card")
    assert "bound" in home.said(1, "wallet", "bind", "@other", "@card")
    told = home.said(0, "wallet", "limit", "@phone", "@card", "--payment", "5.00", "--day", "8.00")
    assert "pays at most 5.00 CNY at once and 8.00 CNY a day" in told
    assert home.pay("5.01") == 3
    assert home.pay("5.00") == 0
    assert home.pay("3.01") == 3
    assert home.said(0, "wallet", "freeze", "@phone", "@card").count("turned off") == 1
    assert home.pay("1.00") == 1
    assert "turned off" in home.said(0, "wallet", "look", "@phone")
    assert home.run("wallet", "freeze", "@phone", "@card", "--off") == 0
    assert home.run("wallet", "limit", "@phone", "@card", "--day", "none") == 0
    assert home.pay("3.01") == 0
    state = home.told("wallet", "look", "@phone", "@card")
    assert (state["wallet"], state["balance"], state["payment"], state["bound"]) == (card, 4199, 500, True)
    assert [line["amount"] for line in state["history"] if line["what"] in ("sent", "funded")] == [301, 500, 5000]
    assert "bound" in home.said(1, "wallet", "rotate", "@card"), "§23-17"
    assert "BOUND" in home.said(1, "wallet", "rotate", "@phone")
    assert home.run("wallet", "unbind", "@phone", "@card") == 0
    assert home.pay("6.00") == 0
    assert "Owns no wallet" in home.said(0, "wallet", "look", "@phone")
    assert "owns no wallet" in home.said(1, "wallet", "lost", "@phone")


def test_over_a_link_and_through_a_bridge(home: Home) -> None:
    """§23-5, §26-3: the card waits; it is bound by who started it for that, and then read by its owner alone."""
    card = home.start("card", "@card", "--on", "loopback:one")
    assert home.run("wallet", "bind", "@phone", "--on", "loopback:one") == 3, "nobody pressed"
    assert card.result(PATIENCE) == 3
    card = home.start("card", "@card", "--on", "loopback:one", "--only", "own")
    assert home.run("wallet", "bind", "@phone", "--on", "loopback:one") == 0
    assert card.result(PATIENCE) == 0
    card = home.start("card", "@card", "--on", "loopback:two")
    assert home.run("wallet", "look", "@other", "--on", "loopback:two") == 1
    assert card.result(PATIENCE) == 1
    card = home.start("card", "@card", "--on", "loopback:card", "--log-level", "traffic")
    home.capsys.readouterr()
    phone = home.start("wallet", "look", "@phone", "--on", "loopback:phone", "--as", "card")
    bridged = home.run("bridge", "--on", "loopback:phone", "--on", "loopback:card", "--own", "--log-level", "traffic")
    assert (bridged, phone.result(PATIENCE), card.result(PATIENCE)) == (0, 0, 0)
    seen = home.capsys.readouterr()
    assert "50.00 CNY can be paid, of 50.00 CNY held" in seen.out
    assert "Call (own)" in seen.err
    for name in ("Hello (own)", "Claim, sealed", "State, sealed", "Done, sealed"):
        assert name in seen.err
    card = home.start("card", "@card", "--on", "loopback:card", "--only", "collect")
    assert home.run("wallet", "recharge", "@phone", "2.50", "--on", "loopback:card") == 0
    assert card.result(PATIENCE) == 0
    assert home.told("wallet", "look", "@phone", "@card")["balance"] == 5250
    assert home.told("wallet", "show", "@phone")["available"] == 9750


def test_who_is_away_is_limited_and_reported_lost_by_syncs(home: Home) -> None:
    """§23-16: told at the owner's sync, and heard at the wallet's."""
    assert home.run("wallet", "recharge", "@phone", "10.00", "@card") == 3, "it pays only what it owns"
    assert home.run("wallet", "bind", "@phone", "@card") == 0
    assert home.run("wallet", "recharge", "@phone", "1.00", "@phone") == 1
    assert home.run("wallet", "recharge", "@phone", "10.00", "@card") == 0
    name = home.name("card")
    assert "once this wallet has synced" in home.said(0, "wallet", "limit", "@phone", name, "--payment", "4.00")
    assert home.run("sync", "@phone") == 0
    assert home.pay("4.01") == 0, "it has not heard of it"
    assert home.run("sync", "@card") == 0
    assert home.pay("4.01") == 3
    assert home.run("wallet", "move", "@phone", name, "--to", name) == 2
    assert home.name("phone") in home.said(0, "wallet", "move", "@phone", "--to", "@phone")
    assert f"dualtap sync {home.folder / 'phone'}" in home.said(0, "wallet", "lost", "@phone")
    assert home.run("sync", "@phone") == 0
    assert home.run("sync", "@card") == 0
    assert home.pay("1.00") == 1
    assert home.run("scheme", "audit", "@town") == 0


def test_what_is_reported_lost_stays_so_until_it_is_found(home: Home) -> None:
    """§16-22: a later restraint takes LOST back, and with it the payout; so none is given unasked."""
    assert home.run("wallet", "bind", "@phone", "@card") == 0
    name = home.name("card")
    assert home.run("wallet", "lost", "@phone", "@card") == 0, "its folder is a name as good"
    assert "is reported lost" in home.said(0, "wallet", "look", "@phone")
    assert home.told("wallet", "look", "@phone")["owns"][0]["lost"] is True
    for words in (("limit", "@phone", name, "--day", "4.00"), ("freeze", "@phone", name)):
        assert f"freeze {home.folder / 'phone'} {name} --off" in home.said(2, "wallet", *words)
    assert home.told("wallet", "look", "@phone")["owns"][0]["lost"] is True
    assert home.run("sync", "@phone") == 0
    assert home.told("scheme", "order", "@town", name, "show")["lost"] is True
    assert home.run("wallet", "freeze", "@phone", name, "--off") == 0
    assert home.run("wallet", "limit", "@phone", name, "--day", "4.00") == 0
    assert home.told("wallet", "look", "@phone")["owns"][0] == {
        "wallet": name, "frozen": False, "payment": limits.AMOUNT, "day": 400, "lost": False
    }  # fmt: skip
    assert home.run("sync", "@phone") == 0
    assert home.told("scheme", "order", "@town", name, "show")["lost"] is False


def test_a_wallet_in_hand_is_moved_at_once_by_taps(home: Home) -> None:
    """Within its limits, by as few taps as they allow; nothing is left to order."""
    assert home.run("wallet", "bind", "@phone", "@card") == 0
    assert home.run("wallet", "limit", "@phone", "@card", "--payment", "20.00") == 0
    moved = home.told("wallet", "move", "@phone", "@card", "--to", "@other")
    assert (moved["tapped"], moved["left"], moved["ordered"]) == (5000, 0, False)
    assert (home.told("wallet", "show", "@other")["available"], home.told("wallet", "show", "@card")["available"]) == (
        5000, 0,
    )  # fmt: skip
    assert home.told("wallet", "show", "@card")["counter"] > 0
    assert "unbind" in home.said(0, "wallet", "move", "@phone", "@card", "--to", "@phone")
    for name in ("other", "card", "phone"):
        assert home.run("sync", f"@{name}") == 0
    stores = [word for name in ("phone", "other", "card", "shop") for word in ("--wallet", f"@{name}")]
    assert home.run("scheme", "audit", "@town", *stores) == 0


def test_what_cannot_be_tapped_is_told_and_left_to_the_order(home: Home) -> None:
    """To the owner itself too; a limit of the day stops the taps, and a wallet that is turned off makes none."""
    assert home.run("wallet", "bind", "@phone", "@card") == 0
    assert home.run("wallet", "limit", "@phone", "@card", "--day", "30.00") == 0
    moved = home.told("wallet", "move", "@phone", "@card", "--to", "@phone")
    assert (moved["tapped"], moved["left"], moved["ordered"]) == (3000, 2000, True)
    assert home.told("wallet", "show", "@phone")["available"] == 13000
    assert home.run("wallet", "freeze", "@phone", "@card") == 0
    said = home.said(0, "wallet", "move", "@phone", "@card", "--to", "@other")
    assert "20.00 CNY could not be tapped: FROZEN" in said
    assert f"dualtap sync {home.folder / 'phone'}" in said
    assert home.run("sync", "@phone") == 0
    assert home.told("scheme", "order", "@town", home.name("card"), "show")["heir"] == home.name("other")


def test_a_recharge_that_the_card_does_not_ask_for_says_why(home: Home) -> None:
    assert home.run("scheme", "policy", "set", "@town", "wallet", "--payment", "80.00", "--balance", "60.00") == 0
    assert home.run("wallet", "bind", "@phone", "@card") == 0
    assert home.run("sync", "@card") == 0
    said = home.said(3, "wallet", "recharge", "@phone", "70.00", "@card")
    assert "OVER_LIMIT" in said
    assert "LINK_LOST" not in said


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("bind", "@phone"), 2), (("bind", "@phone", "@phone"), 1), (("bind", "@phone", "@nowhere"), 2),
        (("limit", "@phone", "@card"), 2), (("limit", "@phone", "@card", "--day", "much"), 2),
        (("freeze", "@phone", "@card"), 1), (("unbind", "@phone", "@card"), 1), (("unbind", "@phone"), 2),
        (("lost", "@phone", "0123456789abcdef"), 1), (("bind", "@phone", "--on", "lan:any"), 2),
        (("recharge", "@phone", "1.00", "0123456789abcdef", "--on", "loopback:nobody"), 1),
    ],
)  # fmt: skip
def test_bad_input_is_named(town: Home, words: tuple[str, ...], code: int) -> None:
    said = town.said(code, "wallet", *words)
    assert said.strip()
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("wallet", "unbind", "@phone"), 2, "BAD_INPUT"), (("wallet", "look", "@phone", "--lines=99"), 2, "BAD_INPUT"),
        (("wallet", "lost", "@phone"), 1, "NOT_BOUND"), (("scheme", "new", "/proc/w"), 1, "OS_ERROR"),
    ],
)  # fmt: skip
def test_with_json_an_error_is_an_object_too(town: Home, words: tuple[str, ...], code: int, error: str) -> None:
    town.capsys.readouterr()
    assert town.run(*words, "--json") == code
    (line,) = town.capsys.readouterr().out.splitlines()
    assert json.loads(line)["error"] == error


@pytest.fixture(scope="module")
def made() -> list[Home]:
    return []


@pytest.fixture
def town(made: list[Home], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Generator[Home]:
    """Return one home for all that change nothing."""
    with ThreadPoolExecutor(4) as pool:
        if not made:
            made.append(Home(tmp_path, pool, capsys))
        made[0].pool, made[0].capsys = pool, capsys
        yield made[0]


def test_a_name_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_name("0123456789abcdef")
    assert not is_name("0123456789abcdeg")
    (tmp_path / "0123456789abcdef").mkdir()
    assert not is_name("0123456789abcdef")
