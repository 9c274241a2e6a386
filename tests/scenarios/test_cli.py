"""The command line as people and scripts use it: folders, JSON, exit codes, and never a traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from dualtap import Charge, Pay
from dualtap_apps.cli import run
from dualtap_apps.taps import pay
from dualtap_devices.disk import opened
from dualtap_devices.driver import Driver

Json = dict[str, object]
DUALTAP = [sys.executable, "-m", "dualtap_apps"]


class Town:
    """A scheme and wallets in a folder, driven only by the command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys
        self.errors = ""

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Run a command in this process; return what it printed on stdout."""
        self.capsys.readouterr()
        code = run([self._path(argument) for argument in arguments])
        captured = self.capsys.readouterr()
        self.errors = captured.err
        assert code == expect, (arguments, code, captured)
        assert "Traceback" not in captured.out + captured.err
        return captured.out

    def json(self, *arguments: str, expect: int = 0) -> Json:
        """Run a command with ``--json``; return its object."""
        return cast("Json", json.loads(self.run(*arguments, "--json", expect=expect)))

    def _path(self, argument: str) -> str:
        return str(self.folder / argument[1:]) if argument.startswith("@") else argument

    def wallet(self, name: str, carrier: str, amount: str = "") -> None:
        """Make a wallet, and fund it."""
        self.run("wallet", "new", f"@{name}", "--scheme", "@town", "--carrier", carrier, "--name", name)
        if amount:
            self.run("wallet", "fund", f"@{name}", amount)

    def tap(
        self, payer: str, payee: str, amount: str, *more: str, by: tuple[str, ...] = ("pay",), apart: bool = False
    ) -> tuple[Json, Json]:
        """Run one tap between two processes; return what payer and payee printed.

        The payer's process is this one, unless they are to be ``apart`` from it both.
        """
        charge = subprocess.Popen(
            [*DUALTAP, "charge", str(self.folder / payee), amount, "--on", "tcp:127.0.0.1:0", "--json", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with charge:
            assert charge.stderr is not None
            ready = charge.stderr.readline()
            where = ready.rsplit(" on ", 1)[1].strip()
            command, *rest = by
            yes = ["--yes"] if command == "pay" else []
            arguments = [command, str(self.folder / payer), *rest, "--on", where, *yes, "--json"]
            paid = self._apart(arguments) if apart else self._here(arguments)
            out, err = charge.communicate(timeout=60)
        assert "Traceback" not in self.errors + err
        return json.loads(paid), json.loads(out)

    def _here(self, arguments: list[str]) -> str:
        self.capsys.readouterr()
        run(arguments)
        captured = self.capsys.readouterr()
        self.errors = captured.err
        return captured.out

    def _apart(self, arguments: list[str]) -> str:
        done = subprocess.run([*DUALTAP, *arguments], capture_output=True, text=True, check=False, timeout=60)
        self.errors = done.stderr
        return done.stdout


@pytest.fixture
def town(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Town:
    town = Town(tmp_path, capsys)
    town.run("scheme", "new", "@town")
    return town


SHOW = {"available", "in_doubt", "received_unsettled", "payments_left", "counter", "currency", "wallet_id"}
AUDIT = {"issued", "settled", "at_risk", "outstanding", "overspend", "conflicts", "banks"}


def test_two_processes_pay_and_every_unit_is_accounted_for(town: Town) -> None:
    town.wallet("anna", "watch", "100.00")
    town.wallet("shop", "pos")
    slowly = ("--pace", "nfc106")
    paid, collected = town.tap("anna", "shop", "12.50", *slowly, by=("pay", *slowly), apart=True)
    assert (paid["result"], collected["result"]) == ("paid", "collected")
    assert paid["amount"] == collected["amount"] == 1250
    assert paid["receipt"] == collected["receipt"]
    shown = town.json("wallet", "show", "@anna")
    assert set(shown) >= SHOW
    assert (shown["available"], shown["in_doubt"], shown["currency"]) == (8750, 0, "CNY")
    assert collected["peer"] == shown["wallet_id"]
    assert town.json("wallet", "show", "@shop")["received_unsettled"] == 1250
    before = town.json("scheme", "audit", "@town", "--wallet", "@anna", "--wallet", "@shop")
    assert (before["accounted"], before["held"], before["settled"]) == (True, 10000, 0)
    assert town.json("sync", "@shop")["deposited"] == 1250
    after = town.json("scheme", "audit", "@town", "--wallet", "@anna", "--wallet", "@shop")
    assert set(after) == AUDIT | {"held", "in_doubt", "unproved", "accounted"}
    assert (after["accounted"], after["held"], after["settled"], after["at_risk"]) == (True, 8750, 1250, 1250)
    assert set(town.json("scheme", "audit", "@town")) == AUDIT


def test_a_clone_pays_at_two_tills_and_is_named_by_evidence_that_stands_alone(town: Town) -> None:
    root = str(town.json("scheme", "new", "@other")["root"])
    town.wallet("thief", "watch", "50.00")
    for till in ("shop", "tea"):
        town.wallet(till, "pos")
    shutil.copytree(town.folder / "thief", town.folder / "clone")
    assert town.tap("thief", "shop", "40.00")[1]["result"] == "collected"
    assert town.tap("clone", "tea", "40.00")[1]["result"] == "collected"
    town.run("sync", "@shop")
    assert town.json("scheme", "audit", "@town")["conflicts"] == []
    town.run("sync", "@tea")
    stores = [item for name in ("thief", "clone", "shop", "tea") for item in ("--wallet", f"@{name}")]
    audit = town.json("scheme", "audit", "@town", *stores, expect=4)
    assert audit["accounted"] is True
    conflicts = cast("list[dict[str, str]]", audit["conflicts"])
    thief = town.json("wallet", "show", "@thief")["wallet_id"]
    assert {item["wallet_id"] for item in conflicts} == {thief}
    assert {item["kind"] for item in conflicts} == {"fork", "tape_fork"}
    card = json.loads((town.folder / "town" / "scheme.json").read_text())
    for item in conflicts:
        verdict = town.json("evidence", "verify", item["evidence"], "--root", f"{card['suite']}:{card['root']}")
        assert (verdict["wallet_id"], verdict["kind"]) == (thief, item["kind"])
        town.run("evidence", "verify", item["evidence"], "--root", root, expect=1)
        assert "dualtap: " in town.errors
    assert "on the hotlist" not in town.run("wallet", "show", "@thief")
    assert "on the hotlist" in town.run("sync", "@thief"), "its person is told why nobody takes its payments"
    assert "on the hotlist" in town.run("wallet", "show", "@thief")
    assert town.json("wallet", "show", "@thief")["hotlisted"] is True


def test_three_transfers_offline_with_exact_change(town: Town) -> None:
    for name, carrier in (("phone", "phone"), ("watch", "watch"), ("card", "card"), ("shop", "pos")):
        town.wallet(name, carrier, "200.00" if name == "phone" else "")
    for payer, payee, amount in (("phone", "watch", "30.00"), ("watch", "card", "20.50"), ("card", "shop", "12.55")):
        assert town.tap(payer, payee, amount)[0]["result"] == "paid"
    stores = [item for name in ("phone", "watch", "card", "shop") for item in ("--wallet", f"@{name}")]
    assert town.json("scheme", "audit", "@town", *stores)["accounted"] is True
    for name in ("card", "phone", "shop", "watch"):
        town.run("sync", f"@{name}")
    end = town.json("scheme", "audit", "@town", *stores)
    assert (end["accounted"], end["settled"], end["held"], end["conflicts"]) == (True, 1255, 20000 - 1255, [])


def test_a_refund_goes_back_to_who_paid_and_not_twice(town: Town) -> None:
    town.wallet("anna", "watch", "20.00")
    town.wallet("shop", "pos")
    receipt = str(town.tap("anna", "shop", "12.50")[1]["receipt"])
    paid, collected = town.tap("shop", "anna", "12.50", by=("refund", receipt))
    assert (paid["result"], collected["result"]) == ("paid", "collected")
    again, _ = town.tap("shop", "anna", "12.50", by=("refund", receipt))
    assert (again["result"], again["error"]) == ("not_paid", "NOT_A_REFUND")
    assert town.json("wallet", "show", "@anna")["available"] == 2000
    history = cast("list[Json]", town.json("wallet", "history", "@shop")["history"])
    assert [line["what"] for line in history] == ["received", "refunded", "accepted"]


def test_a_basket_is_paid_once_and_can_be_cancelled(town: Town) -> None:
    town.wallet("anna", "watch", "50.00")
    town.wallet("shop", "pos")
    assert town.tap("anna", "shop", "12.50", "--basket", "table-5")[0]["result"] == "paid"
    paid, _ = town.tap("anna", "shop", "12.50", "--basket", "table-5")
    assert (paid["result"], paid["error"]) == ("done", "BASKET_PAID")
    assert town.json("wallet", "show", "@anna")["available"] == 3750
    town.run("charge", "@shop", "--cancel", "table-5", expect=3)
    town.run("charge", "@shop", "--cancel", "table-6", expect=2)
    assert "never charged" in town.errors


def test_a_payer_without_enough_declines_and_nothing_moves(town: Town) -> None:
    town.wallet("anna", "watch", "10.00")
    town.wallet("shop", "pos")
    paid, collected = town.tap("anna", "shop", "12.50")
    assert (paid["result"], paid["error"]) == ("not_paid", "INSUFFICIENT")
    assert (collected["result"], collected["error"]) == ("not_paid", "INSUFFICIENT")
    assert town.json("charge", "@shop", "--cancel", str(collected["basket"]))["closed"] == 1
    assert town.json("wallet", "show", "@anna")["available"] == 1000


def test_a_person_who_says_no_pays_nothing(town: Town) -> None:
    town.wallet("anna", "watch", "50.00")
    town.wallet("shop", "pos")
    charge = subprocess.Popen(
        [*DUALTAP, "charge", str(town.folder / "shop"), "5", "--on", "tcp:127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with charge:
        assert charge.stderr is not None
        where = charge.stderr.readline().rsplit(" on ", 1)[1].strip()
        done = subprocess.run(
            [*DUALTAP, "pay", str(town.folder / "anna"), "--on", where],
            input="n\n", capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        charge.communicate(timeout=60)
    assert (done.returncode, charge.returncode) == (3, 3)
    assert "Pay 5.00 CNY" in done.stderr
    assert town.json("wallet", "show", "@anna")["available"] == 5000


ROOT = "p256:036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
"""The generator of P-256: a valid key, of nobody."""
BAD: list[tuple[tuple[str, ...], int, str]] = [
    (("wallet", "show", "@nowhere"), 2, "not a wallet"),
    (("wallet", "fund", "@anna", "1.234"), 2, "write it like 12.50"),
    (("wallet", "fund", "@anna", "0"), 2, "zero"),
    (("wallet", "fund", "@anna", "-5"), 2, "No such option"),
    (("wallet", "fund", "@anna", "٣"), 2, "not an amount"),
    (("wallet", "fund", "@anna", "9" * 16), 2, "too large"),
    (("wallet", "new", "@anna", "--scheme", "@town", "--carrier", "watch", "--name", "Anna"), 2, "exists"),
    (("wallet", "new", "@new", "--scheme", "@nowhere", "--carrier", "watch", "--name", "N"), 2, "scheme new"),
    (("wallet", "new", "@new", "--scheme", "@town", "--carrier", "boat", "--name", "N"), 2, "boat"),
    (("scheme", "new", "@town"), 2, "exists"),
    (("scheme", "new", "@x", "--currency", "Yuan"), 2, "ISO 4217"),
    (("scheme", "audit", "@nowhere"), 2, "no scheme"),
    (("charge", "@anna", "5", "--on", "carrier-pigeon:1"), 2, "known transports"),
    (("charge", "@anna", "5", "--on", "tcp:127.0.0.1:99999"), 2, "99999"),
    (("charge", "@anna", "five", "--on", "tcp:127.0.0.1:0"), 2, "not an amount"),
    (("charge", "@anna"), 2, "charge needs"),
    (("charge", "@anna", "5", "--on", "tcp:127.0.0.1:0", "--timeout", "0.05"), 5, "charge again"),
    (("charge", "@anna", "5", "--cancel", "b"), 2, "--cancel"),
    (("pay", "@anna", "--on", "tcp:127.0.0.1:1", "--yes", "--timeout", "0.05"), 5, "start `dualtap charge`"),
    (("refund", "@anna", "zz", "--on", "tcp:127.0.0.1:1"), 2, "64 hex digits"),
    (("refund", "@anna", "00" * 32, "--on", "tcp:127.0.0.1:1"), 1, "NOT_A_REFUND"),
    (("evidence", "verify", "@nowhere", "--root", ROOT), 2, "cannot be read"),
    (("evidence", "verify", "@town/scheme.json", "--root", ROOT), 1, "no file of evidence"),
    (("evidence", "verify", "@town/scheme.json", "--root", "rsa:02"), 2, "p256:"),
    (("evidence", "verify", "@town/scheme.json", "--root", "p256:02"), 2, "a root key is written like"),
    (("wallet", "new", "@new", "--scheme", "@town", "--carrier", "watch", "--name", "a\nb"), 2, "one line"),
    (("no-such-command",), 2, "No such command"),
]


def test_bad_input_says_what_was_wrong_and_changes_nothing(town: Town) -> None:
    town.wallet("anna", "watch", "10.00")
    before = town.json("wallet", "show", "@anna")
    for arguments, code, text in BAD:
        town.run(*arguments, expect=code)
        assert text in town.errors, (arguments, town.errors)
        assert town.errors.strip(), arguments
    assert town.json("wallet", "show", "@anna") == before
    assert not (town.folder / "new").exists() or not (town.folder / "new" / "wallet.json").exists()


def damage_store(folder: Path) -> None:
    data = bytearray((folder / "store.bin").read_bytes())
    data[600:700] = bytes(100)
    (folder / "store.bin").write_bytes(bytes(data))


def damage_label(folder: Path) -> None:
    (folder / "wallet.json").write_text('{"name": 5}')


def damage_keystore(folder: Path) -> None:
    (folder / "keystore.bin").write_bytes(bytes(16 * 1024))


def lose_store(folder: Path) -> None:
    (folder / "store.bin").unlink()


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (damage_store, "STORE_FAILED"),
    (damage_label, "damaged"),
    (damage_keystore, "no keystore here"),
    (lose_store, "store.bin is missing"),
]


@pytest.mark.parametrize(("damage", "named"), DAMAGES, ids=[act.__name__ for act, _ in DAMAGES])
def test_a_damaged_wallet_is_refused_by_name(town: Town, damage: Callable[[Path], None], named: str) -> None:
    town.wallet("anna", "watch", "10.00")
    damage(town.folder / "anna")
    for command in (("wallet", "show", "@anna"), ("sync", "@anna"), ("wallet", "history", "@anna")):
        code = run([str(town.folder / item[1:]) if item.startswith("@") else item for item in command])
        captured = town.capsys.readouterr()
        assert code in {1, 2}
        assert named in captured.err
        assert "Traceback" not in captured.err


def lose_ledger(folder: Path) -> None:
    (folder / "ledger.sqlite").unlink()


def damage_ledger(folder: Path) -> None:
    (folder / "ledger.sqlite").write_bytes(b"not a database, and never was one" * 100)


@pytest.mark.parametrize("damage", [lose_ledger, damage_ledger], ids=lambda act: act.__name__)
def test_a_lost_or_damaged_ledger_is_never_taken_for_an_empty_one(town: Town, damage: Callable[[Path], None]) -> None:
    town.wallet("anna", "watch", "10.00")
    for file in (town.folder / "town").glob("ledger.sqlite-*"):
        file.unlink()
    damage(town.folder / "town")
    for command in (("scheme", "audit", "@town"), ("sync", "@anna"), ("wallet", "fund", "@anna", "5")):
        town.run(*command, expect=1)
        assert "LEDGER_CORRUPT" in town.errors
    assert town.json("wallet", "show", "@anna")["available"] == 1000


def test_a_wallet_whose_scheme_is_gone_cannot_reach_its_issuer(town: Town) -> None:
    """Who names a folder that is none is told to name another; a wallet's own is out of reach."""
    town.wallet("anna", "watch", "5")
    (town.folder / "town").rename(town.folder / "away")
    for command in (("sync", "@anna"), ("wallet", "fund", "@anna", "5"), ("wallet", "rotate", "@anna")):
        town.run(*command, expect=6)
        assert "where this wallet's issuer should be" in town.errors
    town.run("scheme", "audit", "@town", expect=2)
    (town.folder / "away" / "scheme.json").write_text("{}")
    town.run("scheme", "audit", "@away", expect=2)
    assert "damaged" in town.errors


def test_a_torn_tap_says_until_when_it_is_in_doubt(town: Town) -> None:
    town.wallet("anna", "watch", "10.00")
    town.wallet("shop", "pos")
    with opened(town.folder / "anna") as anna, opened(town.folder / "shop") as shop:
        left = Driver.fresh(anna, Pay(), initiator=True)
        right = Driver.fresh(shop, Charge(600, "CNY", bytes(16), person=True), initiator=False)
        right.begin()
        (hello,) = left.begin()
        (request,) = right.receive(hello)
        left.receive(request)
    text = town.run("sync", "@anna")
    assert "6.00 CNY in doubt until wallet" in text
    assert "at the latest 20" in text
    town.run("sync", "@shop")
    assert "in doubt until" not in town.run("sync", "@anna")
    assert town.json("wallet", "show", "@anna")["available"] == 1000


def test_a_yes_after_the_till_has_gone_signs_nothing(town: Town) -> None:
    town.wallet("anna", "watch", "10.00")
    town.wallet("shop", "pos")
    charge = subprocess.Popen(
        [*DUALTAP, "charge", str(town.folder / "shop"), "5", "--on", "tcp:127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with charge:
        assert charge.stderr is not None
        where = charge.stderr.readline().rsplit(" on ", 1)[1].strip()

        def thinks_until_the_till_is_gone(question: str) -> bool:
            assert "Pay 5.00 CNY" in question
            charge.kill()
            charge.wait()
            return True

        assert pay(town.folder / "anna", where, thinks_until_the_till_is_gone, 30, True) == 3
        charge.communicate(timeout=60)
    assert town.json("wallet", "show", "@anna")["available"] == 1000


def test_a_store_older_than_its_keystore_can_only_sync(town: Town) -> None:
    town.wallet("anna", "watch", "100.00")
    town.wallet("shop", "pos")
    old = (town.folder / "anna" / "store.bin").read_bytes()
    for _ in range(2):
        assert town.tap("anna", "shop", "5.00")[0]["result"] == "paid"
    (town.folder / "anna" / "store.bin").write_bytes(old)
    assert town.json("wallet", "show", "@anna")["quarantined"] is True
    town.run("pay", "@anna", "--on", "tcp:127.0.0.1:1", "--yes", expect=1)
    assert "QUARANTINED" in town.errors
    town.run("sync", "@anna")
    town.run("sync", "@shop")
    assert town.json("scheme", "audit", "@town")["conflicts"] == []


def test_a_wallet_that_is_open_is_not_opened_twice(town: Town) -> None:
    town.wallet("shop", "pos")
    charge = subprocess.Popen(
        [*DUALTAP, "charge", str(town.folder / "shop"), "5", "--on", "tcp:127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with charge:
        assert charge.stderr is not None
        charge.stderr.readline()
        town.run("wallet", "show", "@shop", expect=1)
        assert "IN_USE" in town.errors
        charge.kill()
        charge.communicate(timeout=60)
    town.run("wallet", "show", "@shop")


def test_the_demo_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--json"]) == 0
    end = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(end) == AUDIT | {"held", "in_doubt", "unproved", "accounted", "planted", "named", "framed"}
    assert (end["accounted"], end["planted"], end["named"], end["framed"]) == (True, 1, 1, 0)
    assert end["overspend"] > 0


def test_help_begins_with_examples(town: Town) -> None:
    for command in ((), ("charge",), ("wallet",), ("wallet", "fund"), ("scheme", "audit"), ("bench", "tap")):
        assert town.run(*command, "--help").startswith("Examples:")


def test_bench_prints_its_keys(town: Town) -> None:
    figures = town.json("bench", "tap", "--taps", "20")
    assert set(figures) >= {
        "ratio", "taps_per_s", "floor_taps_per_s", "bytes_first_hop_cached", "bytes_first_hop_sent", "bytes_per_hop",
        "disk_taps_per_s",
    }  # fmt: skip
    assert cast("int", figures["bytes_first_hop_cached"]) <= 800
    assert cast("int", figures["bytes_first_hop_sent"]) <= 1050
    assert cast("int", figures["bytes_per_hop"]) <= 250
    assert town.json("bench", "import")["unwanted_modules"] == []


def test_a_wallet_rotates_and_pays_on(town: Town) -> None:
    """§20-6, §20-9. The new key has the money; the old one answers for the past, and the audit counts both."""
    town.wallet("watch", "watch", "50.00")
    town.wallet("shop", "pos")
    town.tap("watch", "shop", "10.00")
    before = town.json("wallet", "show", "@watch")["wallet_id"]
    report = town.json("wallet", "rotate", "@watch")
    assert (report["retired"], report["available"], report["funded"]) == (before, 4000, 4000)
    assert report["wallet_id"] != before
    paid, _ = town.tap("watch", "shop", "15.00")
    assert paid["result"] == "paid"
    lines = cast("list[Json]", town.json("wallet", "history", "@watch")["history"])
    assert [line["what"] for line in lines if line["what"] == "sent"] == ["sent", "sent"]
    for name in ("watch", "shop"):
        town.run("sync", f"@{name}")
    audit = town.json("scheme", "audit", "@town", "--wallet", "@watch", "--wallet", "@shop")
    assert (audit["accounted"], audit["conflicts"], audit["held"]) == (True, [], 2500)
    town.run("wallet", "rotate", "@watch", "--issuer", "http://127.0.0.1:1", expect=6)
    assert town.json("wallet", "show", "@watch")["available"] == 2500, "who cannot reach the issuer keeps its key"
