"""The services of two institutions over one ledger, and the administrative calls about the scheme."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from dualtap import codec, limits
from dualtap.forms import plain, signed
from dualtap.issued import Authority, Carrier, Tier
from dualtap.keystore import sign_with
from dualtap.logcodec import decoder
from dualtap.statements import PresentBody, Scheme
from dualtap.suite import Signer
from dualtap.ties import Restraint
from dualtap_apps.cli import run
from dualtap_apps.keyring import Keyring
from dualtap_apps.schemes import Office, today
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.remote import HttpCarrier, sync_sealed
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import SyncReport
from dualtap_devices.wallet import Wallet
from dualtap_issuer.makers import attest
from tests.support.served import Answer, Service, Town, serving

Row = dict[str, object]


class Two(Town):
    """A scheme whose second institution, north, has a bank called harbour; a service of each."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        assert run(["scheme", "institution", "add", str(folder), "north"]) == 0
        bank = ["scheme", "bank", "add", str(folder), "harbour", "--institution", "north", "--quota", "9"]
        assert run(bank) == 0
        with Office.open(folder) as office:
            office.ledger.date(today())

    @property
    def anchor(self) -> Scheme:
        return self.card.anchor()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    return Two(tmp_path_factory.mktemp("two") / "town")


@pytest.fixture(scope="module")
def north(two: Two) -> Iterator[Service]:
    with serving(two.folder, "--institution", "north") as service:
        yield service


def rows(answer: Answer, name: str) -> list[Row]:
    assert answer.status == 200, answer
    return cast("list[Row]", answer.json[name])


def problem(answer: Answer, status: int, said: str) -> None:
    assert (answer.status, answer.kind) == (status, "application/problem+json"), answer
    assert said in str(answer.json["detail"]), answer.json


def present(two: Two, service: Service, key: MemoryKeystore | Signer) -> Row:
    """Have a key answer a challenge."""
    challenge = str(service.call("POST", "/admin/challenge").json["challenge"])
    public = key.public
    said = signed(two.anchor.id, public, PresentBody(bytes.fromhex(challenge), True, today()))
    proof = sign_with(key, said) if isinstance(key, MemoryKeystore) else key.sign(said.id)
    return {"challenge": challenge, "key": public.hex(), "epoch": today(), "signature": proof.hex()}


def certified(two: Two, service: Service, **more: object) -> Wallet:
    """Return a wallet that calls alone have certified and let join."""
    keystore = MemoryKeystore(two.anchor, two.draw())
    wallet = Wallet(two.anchor, limits.FULL, keystore, MemoryStore.open(1 << 20))
    asked = present(two, service, keystore) | {"carrier": "phone", "tier": 1} | more
    answer = service.call("POST", "/admin/certify", asked)
    assert answer.status == 200, answer
    wallet.write(decoder(two.anchor.id)(bytes.fromhex(str(answer.json["news"]))))
    return wallet


def synced(address: str, wallet: Wallet, deposit: bool = False) -> SyncReport:
    with HttpCarrier(address) as carrier:
        return sync_sealed(wallet, carrier, secrets.token_bytes(32), deposit)


def test_a_customer_of_one_institution_syncs_and_deposits_at_the_other(two: Two, north: Service) -> None:
    wallet = certified(two, north, bank="harbour", category=5411)
    assert wallet.book.certificate.category == 5411
    assert north.call("POST", "/admin/issue", {"owner": wallet.book.key.hex(), "amount": 700}).status == 200
    (till,) = two.wallets(0)
    with serving(two.folder) as first:
        assert synced(first.devices, wallet).funded == 700, "what north issued, first hands out"
        account = {"key": wallet.book.key.hex()}
        assert first.call("POST", "/admin/account", account).json == {"currency": "CNY", "held": 700, "in_doubt": 0}
        tap(wallet, till, 250)
        assert synced(north.devices, till, True).deposited == 250
        for service in (first, north):
            (claim,) = rows(service.call("GET", "/admin/net"), "claims")
            expected: Row = {"currency": "CNY", "creditor": "first", "debtor": "north", "at_risk": 250, "final": 0}
            assert claim == expected
    assert north.call("GET", "/admin/audit").json["banks"] == []


def tap(payer: Wallet, payee: Wallet, amount: int) -> None:
    from dualtap import Charge, Pay
    from dualtap_devices.driver import Driver, exchange

    order = Charge(amount, "CNY", basket=secrets.token_bytes(16))
    paying = Driver.fresh(payer, Pay(), initiator=True)
    exchange(paying, Driver.fresh(payee, order, initiator=False))
    assert paying.result.result.value == "paid"


def test_who_signs_is_told_and_taken_in(two: Two, north: Service) -> None:
    found = north.call("GET", "/admin/scheme")
    assert [row["name"] for row in rows(found, "institutions")][:2] == ["first", "north"]
    root = Keyring(two.folder).root()
    public = two.suite.signer(two.draw()).public
    certificate = root.certify(public, Authority.INSTITUTION, 9, two.card.expires)
    text = codec.pack(plain(certificate)).hex()
    for admitted in (1, 0):
        answer = north.call("POST", "/admin/authorities", {"certificates": [text]})
        assert answer.json == {"admitted": admitted}
    forged = codec.pack(plain(certificate._replace(number=10))).hex()
    problem(north.call("POST", "/admin/authorities", {"certificates": [forged]}), 422, "expires no earlier")
    problem(north.call("POST", "/admin/authorities", {"certificates": ["c0"]}), 422, "MALFORMED")
    assert 9 in [row["number"] for row in rows(north.call("GET", "/admin/scheme"), "institutions")]


def test_a_bank_with_a_host_of_its_own_is_certified(two: Two, north: Service) -> None:
    """§3-15: it shows that it holds its key, which never leaves it."""
    signer = two.suite.signer(two.draw())
    asked = present(two, north, signer) | {"name": "upriver", "quota": 10, "days": 100}
    problem(north.call("POST", "/admin/banks", asked | {"signature": "00" * 64}), 403, "signature")
    problem(north.call("POST", "/admin/banks", asked | {"name": "harbour"}), 422, "another bank's name")
    answer = north.call("POST", "/admin/banks", asked)
    assert answer.status == 200, answer
    problem(north.call("POST", "/admin/banks", asked | {"days": 101}), 409, "challenge")
    (row,) = [row for row in rows(north.call("GET", "/admin/scheme"), "banks") if row["name"] == "upriver"]
    assert (row["institution"], row["quota"], row["key"]) == ("north", 10, signer.public.hex())
    keystore = MemoryKeystore(two.anchor, two.draw())
    given = present(two, north, keystore) | {"carrier": "phone", "tier": 1, "bank": "upriver"}
    problem(north.call("POST", "/admin/certify", given), 422, "holds no key of a bank")


def test_a_maker_is_registered_and_its_word_demanded(two: Two, north: Service) -> None:
    maker = two.suite.signer(two.draw())
    given = {"name": "chipworks", "key": maker.public.hex()}
    assert north.call("POST", "/admin/makers", given).status == 200
    assert north.call("POST", "/admin/makers", given).status == 200, "again"
    problem(north.call("POST", "/admin/makers", given | {"name": "other"}), 422, "registered for another")
    problem(north.call("POST", "/admin/attested", {"attested": ["phone"]}), 422, "none of")
    assert north.call("POST", "/admin/attested", {"attested": ["card", "card"]}).json == {"attested": ["card"]}
    keystore = MemoryKeystore(two.anchor, two.draw())
    asked = present(two, north, keystore) | {"carrier": "card", "tier": 1}
    problem(north.call("POST", "/admin/certify", asked), 422, "must attest")
    said = attest(two.anchor, maker, bytes(16), "J3R180", Carrier.CARD, keystore.public)
    other = attest(two.anchor, maker, bytes(16), "J3R180", Carrier.WATCH, keystore.public)
    problem(north.call("POST", "/admin/certify", asked | {"attestation": other.hex()}), 422, "another carrier")
    assert north.call("POST", "/admin/certify", asked | {"attestation": said.hex()}).status == 200, (
        "a refusal costs no challenge"
    )
    assert north.call("POST", "/admin/attested", {"attested": []}).status == 200
    assert north.call("GET", "/admin/scheme").json["attested"] == []


def test_the_guarantees_caps_are_set(two: Two, north: Service) -> None:
    """§16-16: for the settlements of every service over this ledger."""
    problem(north.call("POST", "/admin/guarantee", {"payee": -1, "token": 5}), 422, "payee")
    problem(north.call("POST", "/admin/guarantee", {"payee": 1}), 422, "token")
    caps = {"payee": 100, "token": 5000}
    assert north.call("POST", "/admin/guarantee", caps).json == caps
    assert north.call("GET", "/admin/policy").json["guarantee"] == caps
    with Office.open(two.folder) as office:
        assert office.ledger.guarantee._asdict() == caps


def test_what_an_institution_orders_of_a_wallet_comes_with_its_sync(two: Two, north: Service) -> None:
    """§23-12, §16-22."""
    wallet, other = certified(two, north), certified(two, north)
    key, to = wallet.book.key.hex(), other.book.key.hex()
    free = {"owner": "", "bind": 0, "frozen": "no", "lost": "no", "payment": limits.AMOUNT, "day": limits.AMOUNT,
            "heir": ""}  # fmt: skip
    assert north.call("POST", "/admin/wallet", {"key": key}).json == free
    for given, said in (
        ({"errand": "unbind"}, "no owner"), ({"errand": "move"}, "MOVE names"), ({"errand": "lost", "to": to}, "MOVE"),
        ({"errand": "lost", "payment": 5}, "limits have no place"), ({"errand": "move", "to": key}, "another wallet"),
        ({"errand": "fund"}, "none of"),
    ):  # fmt: skip
        problem(north.call("POST", "/admin/orders", {"wallet": key, **given}), 422, said)
    problem(north.call("POST", "/admin/orders", {"wallet": "00" * 33, "errand": "lost"}), 422, "key")
    given = {"wallet": key, "errand": "restrain", "frozen": "yes", "payment": 500}
    assert north.call("POST", "/admin/orders", given).json["number"] == 1
    assert north.call("POST", "/admin/orders", {"wallet": key, "errand": "move", "to": to}).json["number"] == 2
    found = north.call("POST", "/admin/wallet", {"key": key}).json
    assert found == free | {"frozen": "yes", "payment": 500, "heir": to}
    synced(north.devices, wallet)
    assert wallet.book.ties.restraint() == Restraint(True, 500)


def test_an_anonymous_wallet_is_redeemed(two: Two, north: Service) -> None:
    """§16-23: nothing of it has expired here, and its person's is refused."""
    purse, known = certified(two, north, tier=3), certified(two, north)
    for wallet in (purse, known):
        synced(north.devices, wallet)
    keystore = cast("MemoryKeystore", purse.keystore)
    asked = present(two, north, keystore)
    problem(north.call("POST", "/admin/redeem", asked | {"signature": "00" * 64}), 403, "signature")
    assert north.call("POST", "/admin/redeem", asked).json == {"redeemed": 0}
    problem(north.call("POST", "/admin/redeem", asked), 409, "challenge")
    theirs = present(two, north, cast("MemoryKeystore", known.keystore))
    problem(north.call("POST", "/admin/redeem", theirs), 422, "person's account")


def test_policies_and_dates_are_signed(two: Two, north: Service) -> None:
    before = north.call("GET", "/admin/policy").json
    tiers = cast("list[dict[str, int]]", before["tiers"])
    problem(north.call("POST", "/admin/tiers", {"tiers": tiers[::-1]}), 422, "in order")
    problem(north.call("POST", "/admin/tiers", {"tiers": []}), 422, "1 to 64")
    problem(north.call("POST", "/admin/tiers", {"tiers": [{**tiers[0], "payments": 2**40}]}), 422, "too large")
    more = [*tiers, Tier(9, 1, 2, 3, 4)._asdict()]
    answer = north.call("POST", "/admin/tiers", {"tiers": more})
    assert cast("int", answer.json["version"]) == cast("int", before["version"]) + 1
    after = north.call("GET", "/admin/policy").json
    assert (after["tiers"], after["hotlist"]) == (more, before["hotlist"])
    dated = north.call("POST", "/admin/date")
    assert (dated.json["epoch"], dated.json["policy"]) == (today(), after["version"])
    assert north.call("GET", "/admin/scheme").json["dated"] == today()
