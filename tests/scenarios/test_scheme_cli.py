"""``dualtap scheme`` and what a wallet joins with: who issues, who certifies, what is decided, who owes whom."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import cast

import pytest

from dualtap import limits
from dualtap_apps.cli import run
from dualtap_apps.keyring import Keyring
from dualtap_apps.schemes import Office, create, today
from dualtap_devices.disk import opened

Json = dict[str, object]


class Desk:
    """A scheme's folder, driven by the command line alone; ``@name`` is a folder beside it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys, self.errors = folder, capsys, ""

    def run(self, line: str, expect: int = 0) -> str:
        words = [str(self.folder / word[1:]) if word.startswith("@") else word for word in line.split()]
        self.capsys.readouterr()
        code = run(words)
        said = self.capsys.readouterr()
        self.errors = said.err
        assert code == expect, (line, code, said)
        assert "Traceback" not in said.out + said.err
        return said.out

    def json(self, line: str, expect: int = 0) -> Json:
        return cast("Json", json.loads(self.run(line + " --json", expect)))

    def wallet(self, name: str, more: str = "--carrier phone") -> None:
        self.run(f"wallet new @{name} --scheme @town --name {name} {more}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scheme that tests take a copy of."""
    folder = tmp_path_factory.mktemp("made")
    create(folder / "town", "CNY", "ed25519")
    assert run(["scheme", "institution", "add", str(folder / "town"), "north"]) == 0
    assert (
        run(["scheme", "bank", "add", str(folder / "town"), "harbour", "--institution", "north", "--quota", "2"]) == 0
    )
    return folder


@pytest.fixture
def desk(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    shutil.copytree(made / "town", tmp_path / "town")
    return Desk(tmp_path, capsys)


def rows(found: Json, name: str) -> list[Json]:
    return cast("list[Json]", found[name])


def test_two_institutions_settle_what_their_customers_paid(desk: Desk) -> None:
    desk.wallet("anna", "--carrier watch --bank harbour")
    desk.wallet("shop", "--carrier pos --category 5411")
    desk.run("wallet fund @anna 30.00")
    pay(desk, "anna", "shop", 12_50)
    desk.run("sync @shop")
    found = desk.json("scheme net @town")
    pair = {"currency": "CNY", "creditor": "first", "debtor": "north", "at_risk": 1250, "final": 0}
    assert (found["claims"], found["pairs"]) == ([pair], [pair])
    assert rows(found, "positions") == [
        {"currency": "CNY", "institution": "first", "at_risk": 1250, "final": 0},
        {"currency": "CNY", "institution": "north", "at_risk": -1250, "final": 0},
    ]
    assert "north owes first 0.00 CNY final, 12.50 CNY at risk" in desk.run("scheme net @town")
    shown = desk.json("scheme show @town")
    assert [row["name"] for row in rows(shown, "institutions")] == ["first", "north"]
    assert [(row["name"], row["institution"], row["quota"], row["used"]) for row in rows(shown, "banks")] == [
        ("first", "first", 1_000_000, 1), ("harbour", "north", 2, 1),
    ]  # fmt: skip
    desk.run("scheme show @town")
    with opened(desk.folder / "shop") as till:
        assert till.book.certificate.category == 5411


def pay(desk: Desk, payer: str, payee: str, amount: int) -> None:
    """One tap, in this process."""
    from dualtap import Charge, Pay
    from dualtap_devices.driver import Driver, exchange

    with opened(desk.folder / payer) as one, opened(desk.folder / payee) as other:
        order = Charge(amount, "CNY", basket=bytes(16))
        paying, charging = Driver.fresh(one, Pay(), initiator=True), Driver.fresh(other, order, initiator=False)
        exchange(paying, charging)
        assert paying.result.result.value == "paid", paying.result


def test_an_institution_whose_host_has_no_root_key_issues_and_syncs(desk: Desk) -> None:
    for name in ("root", "policy", "institution-first", "bank-first"):
        Keyring(desk.folder / "town").path(name).unlink()
    desk.run("scheme epoch @town --sign", expect=2)
    assert "policy key is not held here" in desk.errors
    desk.wallet("anna", "--carrier watch")
    desk.run("wallet fund @anna 3.00")
    assert desk.json("wallet show @anna")["available"] == 300
    assert desk.json("sync @anna")["funded"] == 0
    desk.run("scheme institution add @town south", expect=2)
    assert "root" in desk.errors


def test_a_bank_certifies_up_to_its_quota_and_is_certified_for_more(desk: Desk) -> None:
    """§4.3-5."""
    for number in range(2):
        desk.wallet(f"w{number}", "--carrier phone --bank harbour")
    desk.run("wallet new @more --scheme @town --name M --carrier phone --bank harbour", expect=3)
    assert "as many wallets as it may" in desk.errors
    assert not (desk.folder / "more").exists()
    assert desk.json("scheme bank add @town harbour --institution north --quota 3")["used"] == 2
    desk.wallet("more", "--carrier phone --bank harbour")
    assert desk.json("scheme audit @town")["banks"] == []


def test_a_bank_may_count_in_a_place_of_its_own(desk: Desk) -> None:
    """§4.3-6: what it counts there stays counted when it is certified for more."""
    desk.run("scheme bank add @town upriver --quota 1 --register")
    desk.wallet("one", "--carrier phone --bank upriver")
    desk.run("wallet new @two --scheme @town --name T --carrier phone --bank upriver", expect=3)
    assert desk.json("scheme bank add @town upriver --quota 2")["used"] == 1
    desk.wallet("two", "--carrier phone --bank upriver")
    with opened(desk.folder / "two") as wallet:
        assert wallet.book.certificate.ordinal == 1
    (row,) = [row for row in rows(desk.json("scheme show @town"), "banks") if row["name"] == "upriver"]
    assert (row["used"], row["quota"]) == (2, 2)


def test_a_policy_changes_one_tier_and_keeps_the_rest(desk: Desk) -> None:
    before = desk.json("scheme policy show @town")
    after = desk.json("scheme policy set @town wallet --payment 50.00 --payments 7 --day none --unverified 0")
    assert after["version"] == cast("int", before["version"]) + 1
    wallet, till, _ = rows(after, "tiers")
    assert (wallet["payment"], wallet["payments"], wallet["unverified"]) == (5000, 7, 0)
    assert till == rows(before, "tiers")[1]
    assert wallet["receipts"] == rows(before, "tiers")[0]["receipts"]
    made = desk.json("scheme policy set @town anonymous --balance 200.00")
    assert [row["name"] for row in rows(made, "tiers")] == ["wallet", "till", "anonymous"]
    desk.wallet("purse", "--carrier card --tier anonymous")
    with opened(desk.folder / "purse") as purse:
        assert purse.book.certificate.tier == 3
        assert purse.book.trust.tier(3).balance == 20_000
    assert "anonymous" in desk.run("scheme policy show @town")


def test_the_guarantees_caps_are_set_one_by_one_and_kept(desk: Desk) -> None:
    """§16-16."""
    assert "all that is lacking" in desk.run("scheme policy show @town")
    version = desk.json("scheme policy show @town")["version"]
    desk.json("scheme policy set @town --guarantee-token 2000.00")
    after = desk.json("scheme policy set @town --guarantee-payee 0")
    assert (after["guarantee"], after["version"]) == ({"payee": 0, "token": 200_000}, version)
    assert "0.00 CNY to one payee, 2000.00 CNY to all" in desk.run("scheme policy show @town")
    after = desk.json("scheme policy set @town --guarantee-payee none --guarantee-token none")
    assert after["guarantee"] == {"payee": limits.AMOUNT, "token": limits.AMOUNT}


def test_an_institution_orders_and_its_customers_wallet_obeys_after_a_sync(desk: Desk) -> None:
    """§23-12, §23-14: by folder or by key; the wallet hears it at its sync."""
    desk.wallet("anna")
    desk.wallet("spare")
    with opened(desk.folder / "anna") as anna:
        key = anna.book.key.hex()
    shown = desk.json("wallet show @anna")
    assert shown["key"] == key
    assert key in desk.run("wallet show @anna")
    for name in (key, shown["wallet_id"]):
        assert "owned by nobody" in desk.run(f"scheme order @town {name} show")
    assert desk.json("scheme order @town @anna freeze")["frozen"] is True
    desk.run("sync @anna")
    with opened(desk.folder / "anna") as anna:
        assert anna.book.ties.restraint().frozen
    assert "is turned off" in desk.run("wallet show @anna")
    after = desk.json("scheme order @town @anna limit --payment 5.00")
    assert (after["frozen"], after["payment"], after["lost"]) == (False, 500, False)
    moved = desk.json("scheme order @town @anna move --to @spare")
    assert moved["heir"] == desk.json("scheme order @town @spare show")["wallet"]
    assert "goes to" in desk.run("scheme order @town @anna lost")
    assert desk.json("scheme order @town @anna free")["lost"] is False


def test_an_anonymous_wallet_is_presented_and_redeemed(desk: Desk) -> None:
    """§16-23: a known person's is not."""
    desk.wallet("purse", "--carrier card --tier anonymous")
    desk.run("wallet fund @purse 20.00")
    assert desk.json("scheme redeem @town @purse") == {"redeemed": 0}
    assert "nothing" in desk.run("scheme redeem @town @purse")
    desk.wallet("anna")
    desk.run("wallet fund @anna 20.00")
    desk.run("scheme redeem @town @anna", expect=2)
    assert "person's account" in desk.errors


def test_a_chip_is_attested_where_the_scheme_demands_it(desk: Desk) -> None:
    """§7-24."""
    desk.json("scheme maker add @town chipworks")
    assert desk.json("scheme policy set @town --attested card,watch")["attested"] == ["card", "watch"]
    desk.run("wallet new @card --scheme @town --name C --carrier card", expect=3)
    assert "attest" in desk.errors
    assert not (desk.folder / "card").exists()
    desk.wallet("card", "--carrier card --maker chipworks")
    with opened(desk.folder / "card") as card:
        assert len(card.book.certificate.attestation) == 32
    desk.wallet("phone", "--carrier phone")
    assert desk.json("scheme policy set @town --attested none")["attested"] == []
    desk.wallet("plain", "--carrier card")
    assert [row["name"] for row in rows(desk.json("scheme show @town"), "makers")] == ["chipworks"]


def test_the_date_is_shown_signed_and_settled_up_to(desk: Desk) -> None:
    assert desk.json("scheme epoch @town") == {
        "epoch": today(), "day": desk.json("scheme epoch @town")["day"], "dated": None, "closed": 0, "settled": 0,
    }  # fmt: skip
    done = desk.json("scheme epoch @town --sign --settle")
    assert (done["dated"], done["closed"], done["settled"]) == (today(), today(), 0)
    assert "last date signed" in desk.run("scheme epoch @town")


CONDITIONS = (
    ("merchant", [(3, "")]),
    ("category=5411,5812", [(2, "152316b4")]),
    ("cap=20.00", [(4, "00000000000007d0")]),
    ("window=2026-11-01..2026-12-31", [(5, "0000511600005152")]),
    ("preimage=" + "ab" * 32, [(6, "ab" * 32)]),
    ("merchant;cap=1.00", [(3, ""), (4, "0000000000000064")]),
    ("count=3", [(8, "00000003")]),
)


@pytest.mark.parametrize(("text", "expected"), CONDITIONS, ids=[text for text, _ in CONDITIONS])
def test_conditions_as_people_write_them(desk: Desk, text: str, expected: list[tuple[int, str]]) -> None:
    desk.wallet("anna")
    assert desk.json(f"wallet fund @anna 5.00 --conditions {text}")["conditions"] == len(expected)
    with opened(desk.folder / "anna") as anna:
        (token,) = anna.book.graph.tokens.values()
    assert [(code, value.hex()) for code, value in token.conditions] == expected


def test_the_uses_that_are_left_are_shown(desk: Desk) -> None:
    """§5.6-14: of each token whose payments are counted."""
    desk.wallet("anna")
    desk.run("wallet fund @anna 5.00 --conditions count=3")
    desk.run("wallet fund @anna 7.00")
    assert desk.json("wallet show @anna")["uses"] == [{"left": 3, "of": 3, "amount": 500}]
    assert "uses left            3 of 3, for 5.00 CNY" in desk.run("wallet show @anna")


def test_a_payee_is_named_by_its_folder(desk: Desk) -> None:
    desk.wallet("anna")
    desk.wallet("shop", "--carrier pos")
    desk.run(f"wallet fund @anna 5.00 --conditions payee={desk.folder}/shop --conditions signed={desk.folder}/anna")
    with opened(desk.folder / "anna") as anna, opened(desk.folder / "shop") as shop:
        (token,) = anna.book.graph.tokens.values()
        assert token.conditions == ((1, shop.book.key), (7, anna.book.key))


BAD = (
    ("scheme institution add @town North", 2, "no name"),
    ("scheme institution add @town north", 2, "exists"),
    ("scheme institution add @nowhere x", 2, "no scheme"),
    ("scheme bank add @town b --institution south --quota 1", 2, "here are first, north"),
    ("scheme bank add @town harbour --quota 5", 2, "another institution"),
    ("scheme bank add @town b --quota 0", 2, "quota"),
    ("scheme bank add @town ../b --quota 1", 2, "no name"),
    ("scheme bank add @town b", 2, "--quota"),
    ("scheme bank add @town harbour --institution north --quota 9 --register", 2, "counts already"),
    ("scheme maker add @town m --key zz", 2, "hexadecimal"),
    ("scheme maker add @town m --key aabb", 2, "public key"),
    ("scheme policy set @town", 2, "nothing to set"),
    ("scheme policy set @town wallet", 2, "name the limits"),
    ("scheme policy set @town --payment 5.00", 2, "name the tier"),
    ("scheme policy set @town rich --payment 5.00", 2, "no tier"),
    ("scheme policy set @town 256 --payment 5.00", 2, "no tier"),
    ("scheme policy set @town wallet --payment 5.001", 2, "not an amount"),
    ("scheme policy set @town wallet --payments many", 2, "no count"),
    ("scheme policy set @town wallet --payments -1", 2, "no count"),
    ("scheme policy set @town --attested phone", 2, "no secure element"),
    ("scheme policy set @town --guarantee-payee 5.001", 2, "not an amount"),
    ("scheme order @town @anna limit", 2, "say how much"),
    ("scheme order @town @anna unbind", 1, "its binding's number"),
    ("scheme order @town @anna lost --binding 1", 2, "--binding is for"),
    ("scheme order @town @anna freeze --day 5.00", 2, "are for: limit"),
    ("scheme order @town @anna move", 2, "--to is for"),
    ("scheme order @town @anna move --to @anna", 2, "another wallet"),
    ("scheme order @town 00ff show", 2, "'00ff' is no wallet: give its folder, its public key"),
    ("scheme order @town 0123456789abcdef show", 2, "knows no wallet 0123456789abcdef"),
    ("scheme order @town @anna unbind", 1, "no owner of this wallet"),
    ("scheme policy set @town --guarantee-token -1", 2, "not an amount"),
    ("scheme policy set @town wallet --payment 5.00 --attested phone", 2, "no secure element"),
    ("scheme policy set @town wallet --payments 4294967296 --attested card", 2, "no count"),
    ("scheme policy set @town --attested brick", 2, "no carrier"),
    ("scheme policy show @nowhere", 2, "no scheme"),
    ("scheme epoch @nowhere", 2, "no scheme"),
    ("scheme net @town --db mysql://x", 2, "no store"),
    ("wallet new @w --scheme @town --carrier phone --name W --bank nobody", 2, "here are first, harbour"),
    ("wallet new @w --scheme @town --carrier phone --name W --maker nobody", 2, "maker nobody"),
    ("wallet new @w --scheme @town --carrier phone --name W --category 0", 2, "merchant code"),
    ("wallet new @w --scheme @town --carrier phone --name W --category shop", 2, "merchant code"),
    (
        "wallet new @w --scheme @town --carrier phone --name W --tier 9",
        2,
        "dualtap scheme policy set FOLDER 9 --payment",
    ),
    ("wallet new @w --scheme @town --carrier phone --name W --tier rich", 2, "no tier"),
    ("wallet fund @anna 5.00 --conditions colour=red", 2, "no condition"),
    ("wallet fund @anna 5.00 --conditions merchant=yes", 2, "write merchant"),
    ("wallet fund @anna 5.00 --conditions cap", 2, "write cap=20.00"),
    ("wallet fund @anna 5.00 --conditions cap=-1", 2, "not an amount"),
    ("wallet fund @anna 5.00 --conditions category=0", 2, "merchant code"),
    ("wallet fund @anna 5.00 --conditions category=5411,", 2, "merchant code"),
    ("wallet fund @anna 5.00 --conditions category=" + "5411," * 99, 2, "at most"),
    ("wallet fund @anna 5.00 --conditions window=2026-01-01", 2, "no window"),
    ("wallet fund @anna 5.00 --conditions window=2026-01-02..2026-01-01", 2, "is before"),
    ("wallet fund @anna 5.00 --conditions window=tomorrow..2027-01-01", 2, "no day"),
    ("wallet fund @anna 5.00 --conditions preimage=abcd", 2, "64 hexadecimal digits"),
    ("wallet fund @anna 5.00 --conditions payee=abcd", 2, "hexadecimal digits"),
    ("wallet fund @anna 5.00 --conditions signed=" + "00" * 32, 1, "public key"),
    ("wallet fund @anna 5.00 --conditions place=home", 1, "where it is"),
    ("wallet fund @anna 5.00 --conditions quota=5", 1, "across devices"),
    ("wallet fund @anna 5.00 --conditions refund=5", 1, "silence proves nothing"),
    ("wallet fund @anna 5.00 --conditions count=0", 2, "no number of payments"),
    ("wallet fund @anna 5.00 --conditions count=1.5", 2, "write count=3"),
    ("wallet fund @anna 5.00 --conditions count=9999999999", 2, "no number of payments"),
    ("wallet fund @anna 5.00 --conditions ;", 2, "no condition in"),
    ("wallet fund @anna 5.00 --conditions " + "merchant;" * 20, 2, "more than"),
    ("issuer serve @town --institution south", 2, "here are first, north"),
)


@pytest.fixture(scope="module")
def peopled(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peopled")
    shutil.copytree(made / "town", folder / "town")
    new = ["wallet", "new", str(folder / "anna"), "--scheme", str(folder / "town"), "--carrier", "phone", "--name", "A"]
    assert run(new) == 0
    return folder


@pytest.mark.parametrize(("line", "code", "said"), BAD, ids=[line[:70] for line, _, _ in BAD])
def test_bad_input_is_told_and_changes_nothing(
    peopled: Path, capsys: pytest.CaptureFixture[str], line: str, code: int, said: str
) -> None:
    before = state(peopled)
    desk = Desk(peopled, capsys)
    desk.run(line, expect=code)
    assert re.search(said, desk.errors), desk.errors
    assert state(peopled) == before


def state(folder: Path) -> tuple[object, ...]:
    """Return what a refused command must not change."""
    with Office.open(folder / "town") as office:
        ledger = office.ledger
        known = (ledger.digest(), ledger.policy, ledger.store.parties("maker"), ledger.store.setting("attested"))
    return (*known, sorted(path.name for path in (folder / "town" / "keys").iterdir()), sorted(folder.iterdir()))


DAMAGED = (
    "{",
    "[]",
    '{"suite": "p256", "secret": "zz", "certificate": ""}',
    '{"suite": "x", "secret": "", "certificate": ""}',
)


@pytest.mark.parametrize("text", DAMAGED)
@pytest.mark.parametrize("name", ["institution-first.json", "policy.json", "bank-first.json"])
def test_a_damaged_key_file_is_named(desk: Desk, name: str, text: str) -> None:
    (desk.folder / "town" / "keys" / name).write_text(text)
    desk.run("scheme show @town", expect=2)
    assert name in desk.errors


def test_keys_are_for_their_owner_only(desk: Desk) -> None:
    for path in (desk.folder / "town" / "keys").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        assert json.loads(path.read_text())["secret"] not in repr(Keyring(desk.folder / "town").read(path.stem))
