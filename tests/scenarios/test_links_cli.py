"""``bridge``, ``card``, ``carry`` and who waits or connects, in one process: each command runs in a thread."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dualtap.call import Call, encode_call
from dualtap.context import Charge
from dualtap.errors import Code, TapError
from dualtap.wire import VERSION, Hello, Want, decode_welcome, encode_hello
from dualtap_apps import hosting
from dualtap_apps.cli import run
from dualtap_apps.linking import waits
from dualtap_apps.schemes import Office
from dualtap_apps.taps import basket_of
from dualtap_devices.disk import opened
from dualtap_devices.driver import Driver
from dualtap_transports.link import Link
from dualtap_transports.loopback import SCHEME

PATIENCE = 30.0


class Town:
    """A scheme with a customer's card, a till and a phone; commands name their folders by @."""

    def __init__(self, folder: Path, pool: ThreadPoolExecutor) -> None:
        self.folder, self.pool = folder, pool

    def start(self, *arguments: str) -> Future[int]:
        """Run a command in a thread; its result is the exit code."""
        return self.pool.submit(run, [str(self.folder / a[1:]) if a.startswith("@") else a for a in arguments])

    def run(self, *arguments: str) -> int:
        """Run a command to its end."""
        return self.start(*arguments).result(PATIENCE)

    def holds(self, name: str) -> int:
        """Return the minor units that a wallet can pay with."""
        with opened(self.folder / name) as wallet:
            return sum(held.amount for held in wallet.book.holdings)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Generator[Town]:
    folder = tmp_path_factory.mktemp("links")
    with ThreadPoolExecutor(4) as pool:
        town = Town(folder, pool)
        assert town.run("scheme", "new", "@town") == 0
        for name, carrier in (("anna", "card"), ("shop", "pos"), ("phone", "phone"), ("card", "card")):
            where = ("--scheme", "@town", "--carrier", carrier, "--name", name)
            assert town.run("wallet", "new", f"@{name}", *where) == 0
        assert town.run("wallet", "fund", "@anna", "1000.00") == 0
        yield town


@contextmanager
def moved(town: Town, amount: int, payer: str = "anna", payee: str = "shop") -> Generator[None]:
    """Check that just this much moves."""
    before = town.holds(payer), town.holds(payee)
    yield
    assert (town.holds(payer), town.holds(payee)) == (before[0] - amount, before[1] + amount)


def test_a_till_reads_a_customers_card(made: Town) -> None:
    with moved(made, 1250):
        card = made.start("card", "@anna", "--on", "loopback:anna")
        assert made.run("charge", "@shop", "12.50", "--on", "loopback:anna", "--as", "reader") == 0
        assert card.result(PATIENCE) == 0


def test_a_payer_is_the_card_that_a_till_reads(made: Town) -> None:
    with moved(made, 100):
        pays = made.start("pay", "@anna", "--on", "loopback:pays", "--as", "card", "--yes")
        assert made.run("charge", "@shop", "1.00", "--on", "loopback:pays", "--as", "reader") == 0
        assert pays.result(PATIENCE) == 0


def test_a_bridge_between_two_cards(made: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The payee is asked to collect; what the bridge prints is sizes."""
    with moved(made, 300, payee="card"):
        cards = [made.start("card", f"@{name}", "--on", f"loopback:{name}") for name in ("anna", "card")]
        code = made.run(
            "bridge", "--on", "loopback:anna", "--on", "loopback:card", "3.00", "--log-level", "traffic",
        )  # fmt: skip
        assert (code, *(card.result(PATIENCE) for card in cards)) == (0, 0, 0)
    said = capsys.readouterr()
    assert "Handed on" in said.out
    lines = [line.split(maxsplit=4) for line in said.err.splitlines() if line.startswith("to ")]
    assert [(line[1], line[4]) for line in lines] == [
        ("2:", "Call (collect)"), ("1:", "Hello (collect)"), ("2:", "Welcome (pay)"), ("1:", "sealed"),
        ("2:", "sealed"), ("1:", "sealed"),
    ]  # fmt: skip


def test_a_bridge_between_a_card_and_a_till_that_charges(made: Town) -> None:
    """Without an amount the card is asked to pay what the other end charges."""
    with moved(made, 500):
        charge = made.start("charge", "@shop", "5.00", "--on", "loopback:till")
        card = made.start("card", "@anna", "--on", "loopback:anna", "--only", "pay")
        assert made.run("bridge", "--on", "loopback:anna", "--on", "loopback:till") == 0
        assert (charge.result(PATIENCE), card.result(PATIENCE)) == (0, 0)


def test_a_bridge_at_which_a_till_elsewhere_reads_a_card(made: Town) -> None:
    """Nobody is called: who comes to the bridge begins."""
    with moved(made, 200):
        card = made.start("card", "@anna", "--on", "loopback:anna")
        bridge = made.start("bridge", "--at", "loopback:bridge", "--on", "loopback:anna")
        assert made.run("charge", "@shop", "2.00", "--on", "loopback:bridge", "--as", "reader") == 0
        assert (bridge.result(PATIENCE), card.result(PATIENCE)) == (0, 0)


@pytest.mark.parametrize("command", ["sync", "card"])
def test_a_phone_reads_a_card_and_carries_its_sync(made: Town, command: str) -> None:
    with opened(made.folder / "card") as wallet, Office.open(made.folder / "town") as office:
        office.issue(wallet.book.key, 700)
    before = made.holds("card")
    synced = made.start(command, "@card", "--on", "loopback:card")
    assert made.run("carry", "@phone", "--on", "loopback:card", "--as", "reader") == 0
    assert synced.result(PATIENCE) == 0
    assert made.holds("card") == before + 700


def test_a_sync_through_a_bridge(made: Town) -> None:
    """§26-3: any sealed session; the wallet connects, through a bridge, to the phone that carries."""
    carry = made.start("carry", "@phone", "--on", "loopback:phone")
    bridge = made.start("bridge", "--at", "loopback:between", "--on", "loopback:phone")
    assert made.run("sync", "@card", "--via", "loopback:between") == 0
    assert (bridge.result(PATIENCE), carry.result(PATIENCE)) == (0, 0)


def hello(town: Town) -> bytes:
    """Return the Hello of somebody who knows the scheme, as everybody may."""
    with Office.open(town.folder / "town") as office:
        scheme = office.ledger.scheme
    return encode_hello(Hello(scheme.hint, (VERSION,), scheme.suite.ephemeral(bytes(31) + b"\1").public, Want.PAY))


def stranger(town: Town, where: str, how: str) -> Link:
    """Come first to whoever waits, and do no good."""
    link = SCHEME.connect(where, PATIENCE)
    if how == "says garbage":
        link.send(b"GET / HTTP/1.1")
    elif how == "seals garbage":
        link.send(hello(town))
        assert link.receive(PATIENCE)
        link.send(bytes(64))
    elif how == "hangs after Hello":
        link.send(hello(town))
        assert link.receive(PATIENCE)
    elif how == "leaves after Hello":
        link.send(hello(town))
        assert link.receive(PATIENCE)
        link.close()
    elif how == "leaves":
        link.close()
    return link


@pytest.mark.parametrize("how", ["hangs", "leaves", "says garbage", "leaves after Hello", "seals garbage"])
def test_a_stranger_who_comes_first_does_not_use_a_charge_up(
    made: Town, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever hangs keeps nobody waiting: it is still there when the customer has paid."""
    with moved(made, 100):
        charge = made.start("charge", "@shop", "1.00", "--on", "loopback:till")
        link = stranger(made, "till", how)
        assert made.run("pay", "@anna", "--on", "loopback:till", "--yes") == 0
        assert charge.result(PATIENCE) == 0
    said = capsys.readouterr()
    assert ("did not get beyond the handshake" in said.err) is (how != "hangs")
    with pytest.raises(TapError, match="LINK_LOST"):
        link.receive(PATIENCE)


def test_a_hello_that_comes_again_is_answered_by_another_key(made: Town) -> None:
    """Two sessions of one key would seal two Requests under one key and nonce."""
    with moved(made, 100):
        charge = made.start("charge", "@shop", "1.00", "--on", "loopback:till")
        keys: set[bytes] = set()
        for _ in range(2):
            link = SCHEME.connect("till", PATIENCE)
            link.send(hello(made))
            keys.add(decode_welcome(link.receive(PATIENCE)).ephemeral)
            link.close()
        assert made.run("pay", "@anna", "--on", "loopback:till", "--yes") == 0
        assert charge.result(PATIENCE) == 0
    assert len(keys) == 2


def test_a_stranger_does_not_use_a_carrier_or_a_bridge_up(made: Town) -> None:
    carry = made.start("carry", "@phone", "--on", "loopback:phone")
    bridge = made.start("bridge", "--at", "loopback:between", "--on", "loopback:phone")
    for where in ("phone", "between"):
        for how in ("says garbage", "leaves", "hangs"):
            stranger(made, where, how)
    assert made.run("sync", "@card", "--via", "loopback:between") == 0
    assert (bridge.result(PATIENCE), carry.result(PATIENCE)) == (0, 0)


def test_strangers_without_end_do_not_end_a_charge_and_say_little(
    made: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    with moved(made, 100):
        charge = made.start("charge", "@shop", "1.00", "--on", "loopback:till")
        for _ in range(70):
            stranger(made, "till", "leaves")
        assert made.run("pay", "@anna", "--on", "loopback:till", "--yes") == 0
        assert charge.result(PATIENCE) == 0
    said = capsys.readouterr().err
    assert "64 have come that did not get beyond the handshake" in said
    assert said.count("did not get beyond the handshake") == hosting.TOLD + 3


def test_who_says_hello_and_then_nothing_has_to_go_once_another_waits(
    made: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it may think, as a person does who is asked whether to pay."""
    monkeypatch.setattr(hosting, "PATIENCE", 0.05)
    monkeypatch.setattr(hosting, "SLICE", 0.05)
    with moved(made, 100):
        charge = made.start("charge", "@shop", "1.00", "--on", "loopback:till")
        silent = stranger(made, "till", "hangs after Hello")
        assert made.run("pay", "@anna", "--on", "loopback:till", "--yes") == 0
        assert charge.result(PATIENCE) == 0
    with pytest.raises(TapError, match="LINK_LOST"):
        silent.receive(PATIENCE)


def test_who_says_hello_and_then_nothing_uses_time_up(made: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """A charge ends in bounded time, whatever strangers do."""
    with moved(made, 0):
        charge = made.start("charge", "@shop", "1.00", "--on", "loopback:till", "--timeout", "0.3")
        held = [stranger(made, "till", "hangs after Hello")]
        for _ in range(3):
            held.append(SCHEME.connect("till", PATIENCE))
            held[-1].send(hello(made))
        assert charge.result(PATIENCE) == 5
    assert "nobody came to pay within 0.3 s" in capsys.readouterr().err


def test_those_who_have_said_hello_wait_in_bounded_memory(made: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "HELD", 2)
    said = hello(made)
    with moved(made, 100):
        charge = made.start("charge", "@shop", "1.00", "--on", "loopback:till")
        held = [stranger(made, "till", "hangs after Hello")]
        for _ in range(3):
            held.append(SCHEME.connect("till", PATIENCE))
            held[-1].send(said)
        with pytest.raises(TapError, match="LINK_LOST"):
            held[-1].receive(PATIENCE)
        assert not charge.done()
        for link in held:
            link.close()
        assert made.run("pay", "@anna", "--on", "loopback:till", "--yes") == 0
        assert charge.result(PATIENCE) == 0


def torn_charge(town: Town, where: str, amount: int, basket: str) -> None:
    """Charge whoever waits there as a till, and leave when the money is on its way."""
    with opened(town.folder / "shop") as wallet:
        wallet.check()
        driver = Driver.fresh(wallet, Charge(amount, "CNY", basket_of(basket)[1]), initiator=True)
        link = SCHEME.connect(where, PATIENCE)
        for frame in driver.begin():
            link.send(frame)
        for frame in driver.receive(link.receive(PATIENCE)):
            link.send(frame)
        assert link.receive(PATIENCE)
        link.close()
        driver.stop(Code.LINK_LOST)


@pytest.mark.parametrize("command", [("pay", "--as", "card", "--yes"), ("card", "--only", "pay")], ids=["pay", "card"])
def test_a_torn_link_leaves_a_payer_waiting_and_it_pays_once(
    made: Town, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """§1-4: the same till heals it; to another nothing is paid meanwhile."""
    basket = f"torn {command[0]}"
    with moved(made, 100):
        pays = made.start(command[0], "@anna", "--on", "loopback:pays", *command[1:])
        torn_charge(made, "pays", 100, basket)
        assert made.run("charge", "@phone", "1.00", "--on", "loopback:pays", "--as", "reader") == 3
        assert not pays.done()
        again = ("charge", "@shop", "1.00", "--on", "loopback:pays", "--as", "reader", "--basket", basket)
        assert made.run(*again) == 0
        assert pays.result(PATIENCE) == 0
    said = capsys.readouterr()
    assert "another payment needs another command" in said.err
    assert "tap again" in said.err


def test_a_payer_that_nobody_heals_in_time_says_what_is_in_doubt(
    made: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    pays = made.start("pay", "@anna", "--on", "loopback:pays", "--as", "card", "--yes", "--timeout", "1")
    torn_charge(made, "pays", 100, "left")
    assert pays.result(PATIENCE) == 5
    assert "Unsure about 1.00 CNY" in capsys.readouterr().out
    card = made.start("card", "@anna", "--on", "loopback:pays")
    assert made.run("charge", "@shop", "1.00", "--on", "loopback:pays", "--as", "reader", "--basket", "left") == 0
    assert card.result(PATIENCE) == 0


def test_a_torn_sync_leaves_a_card_waiting(made: Town) -> None:
    synced = made.start("sync", "@card", "--on", "loopback:card")
    link = SCHEME.connect("card", PATIENCE)
    link.send(encode_call(Call(Want.SYNC)))
    assert link.receive(PATIENCE)
    link.close()
    assert made.run("carry", "@phone", "--on", "loopback:card", "--as", "reader") == 0
    assert synced.result(PATIENCE) == 0


def test_of_too_many_who_are_silent_the_oldest_has_to_go(made: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "HELD", 2)
    with moved(made, 100):
        charge = made.start("charge", "@shop", "1.00", "--on", "loopback:till")
        first, *_ = [stranger(made, "till", "hangs") for _ in range(3)]
        with pytest.raises(TapError, match="LINK_LOST"):
            first.receive(PATIENCE)
        assert made.run("pay", "@anna", "--on", "loopback:till", "--yes") == 0
        assert charge.result(PATIENCE) == 0


WRONG: dict[str, tuple[tuple[str, ...], int, str]] = {
    "one end": (("bridge", "--on", "loopback:a"), 2, "two ends"),
    "three ends": (("bridge", "--on", "loopback:a", "--on", "loopback:b", "--at", "loopback:c"), 2, "two ends"),
    "a basket of nothing": (("bridge", "--on", "loopback:a", "--on", "loopback:b", "--basket", "x"), 2, "basket"),
    "no amount": (("bridge", "--on", "loopback:a", "--on", "loopback:b", "0"), 2, "zero"),
    "an amount where nobody is called": (("bridge", "--at", "loopback:a", "--on", "loopback:b", "1"), 2, "no amount"),
    "a name without a key": (("bridge", "--at", "lan:new", "--on", "loopback:b"), 2, "names the key that answers"),
    "nobody there": (("bridge", "--on", "loopback:a", "--on", "loopback:b", "--timeout", "0.01"), 5, "hold it there"),
    "nobody comes": (("card", "@anna", "--on", "loopback:a", "--timeout", "0.01"), 5, "nobody came"),
    "no card to charge": (("charge", "@shop", "1", "--on", "loopback:a", "--as", "reader", "--timeout", "0.01"), 5,
                          "no card to charge"),
    "nobody to pay": (("pay", "@anna", "--on", "loopback:a", "--as", "card", "--timeout", "0.01"), 5, "nobody came"),
    "no card to carry for": (("carry", "@phone", "--on", "loopback:a", "--as", "reader", "--timeout", "0.01"), 5,
                             "no card that waits"),
    "a reader that waits": (("card", "@anna", "--on", "pcsc:x"), 2, "only reads"),
    "a card that reads": (("carry", "@phone", "--on", "vpcd:127.0.0.1:1", "--as", "reader"), 2, "pcsc:READER"),
    "two ways": (("sync", "@card", "--on", "loopback:a", "--via", "@phone"), 2, "--via"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_meant_is_said(made: Town, case: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, code, text = WRONG[case]
    assert made.run(*command) == code
    said = capsys.readouterr().err
    assert text in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("on", "otherwise", "expected"),
    [
        ("pcsc:ACR", True, False), ("vpcd:h:1", False, True), ("ble:new", False, True), ("ble:new@usb:0", False, True),
        ("ble:TEXT", True, False), ("tcp:h:1", True, True), ("tcp:h:1", False, False), ("nfc:usb", False, False),
        ("lan:new", False, True), ("lan:any", True, False), ("pcsc+ble:A", True, False), ("vpcd+ble:h:1", False, True),
    ],
)  # fmt: skip
def test_who_waits_follows_from_the_address(on: str, otherwise: bool, expected: bool) -> None:
    assert waits(on, None, otherwise) is expected
    assert waits(on, "card", otherwise)
    assert not waits(on, "reader", otherwise)


def test_a_command_that_is_refused_moves_nothing(made: Town) -> None:
    """A card that only syncs is charged in vain."""
    with moved(made, 0):
        card = made.start("card", "@anna", "--on", "loopback:anna", "--only", "sync", "--timeout", "1")
        assert made.run("charge", "@shop", "2.00", "--on", "loopback:anna", "--as", "reader") == 5
        assert card.result(PATIENCE) == 5
