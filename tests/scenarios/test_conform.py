"""The tester is tested: our device passes, and each device that breaks one rule is caught under that rule's clause."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

import pytest

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.limits import Profile
from dualtap.states import Part
from dualtap.suite import P256, SUITES, Drbg, sha256
from dualtap_conform import device
from dualtap_conform.bench import Bench
from dualtap_conform.checks import CHECKS
from dualtap_conform.clauses import SECTIONS, all_clauses, ordered
from dualtap_conform.device import Device, serve
from dualtap_conform.personal import personalise
from dualtap_conform.port import answer_frame
from dualtap_conform.questions import ask_all
from dualtap_conform.setup import Setup
from dualtap_conform.stage import Stage
from dualtap_conform.tester import Outcome, Verdict, checks_for, examine
from dualtap_transports import apdu_loopback
from dualtap_transports.card_link import CardLink
from dualtap_transports.link import Link, Listener
from dualtap_transports.loopback import LoopbackScheme, pair
from tests.support.broken_devices import BROKEN, Broken

SPEC = Path(__file__).parents[2] / "protocol" / "SPEC.md"
PATIENCE = 5.0
QUIET = 0.5
LATE = 0.05
"""Seconds that a Pong takes which comes too late; a device in this process allows half of it."""


class Doorway(Protocol):
    """Where a device is met: what the tester opens, and what the device listens on."""

    def connect(self) -> Link: ...

    def listen(self) -> Listener: ...


class Loopback:
    """Frames in memory."""

    def __init__(self) -> None:
        self._scheme = LoopbackScheme()

    def connect(self) -> Link:
        return self._scheme.connect("device", PATIENCE)

    def listen(self) -> Listener:
        return self._scheme.listen("device")


class Apdus:
    """A reader and a card in memory: every APDU of a tap, and no radio."""

    address = "apdu"

    def __init__(self) -> None:
        self._cards: SimpleQueue[CardLink | None] = SimpleQueue()

    def connect(self) -> Link:
        reader, card = apdu_loopback.pair()
        self._cards.put(card)
        return reader

    def listen(self) -> Listener:
        return self

    def accept(self, timeout: float | None) -> Link:
        card = self._cards.get(timeout=timeout)
        if card is None:
            raise TapError(Code.LINK_LOST, "closed")
        return card

    def close(self) -> None:
        self._cards.put(None)


@contextmanager
def bench(
    setup: Setup,
    part: Part,
    make: Callable[[Setup, Part], Device] = Device,
    patience: float = PATIENCE,
    quiet: float = QUIET,
    doorway: Callable[[], Doorway] = Loopback,
    late: float = LATE,
) -> Generator[Bench]:
    """A device that is served in a thread, and the bench on which it is tested."""
    door = doorway()
    listener = door.listen()
    made = make(setup, part)
    made.within = made.within or late / 2
    made.draw = Drbg(sha256(b"the device's chance")).take
    thread = threading.Thread(target=serve, args=(made, listener))
    thread.start()
    try:
        yield Bench(setup, part, door.connect, b"test run", patience, quiet, late)
    finally:
        listener.close()
        thread.join()


def examined(
    setup: Setup,
    part: Part,
    make: Callable[[Setup, Part], Device] = Device,
    doorway: Callable[[], Doorway] = Loopback,
) -> Outcome:
    """All that the tester finds out about a device."""
    with bench(setup, part, make, doorway=doorway) as found:
        return examine(found, checks_for(part))


@pytest.mark.parametrize("part", list(Part))
def test_our_card_passes_by_apdus(part: Part) -> None:
    """§18: the tester is the reader."""
    outcome = examined(personalise(P256, part, limits.CARD), part, doorway=Apdus)
    assert outcome.findings == []
    assert outcome.skipped == {}
    assert set(outcome.clauses.values()) == {Verdict.PASS}


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("suite", list(SUITES))
@pytest.mark.parametrize("profile", [limits.CARD, limits.FULL], ids=["card", "full"])
def test_our_device_passes(suite: str, part: Part, profile: Profile) -> None:
    setup = personalise(SUITES[suite], part, profile)
    assert setup.profile == profile or part is Part.PAYEE
    outcome = examined(setup, part)
    assert outcome.findings == []
    assert outcome.advice == []
    assert set(outcome.clauses.values()) == {Verdict.PASS} or profile == limits.FULL
    assert set(outcome.skipped) == ({"long_frames"} if profile == limits.FULL else set[str]())
    assert {clause for clause, verdict in outcome.clauses.items() if verdict is not Verdict.PASS} <= {"5.2-3"}


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_a_broken_device_is_caught_under_its_clause(case: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    make = case.break_it(monkeypatch)
    outcome = examined(personalise(SUITES[case.suite], case.part, limits.FULL), case.part, make)
    assert ordered(outcome.failed) == ordered(case.fails), [
        (item.clause, item.check, item.expected, item.got) for item in outcome.findings
    ]
    noted = {clause for clause, verdict in outcome.clauses.items() if verdict is Verdict.ADVICE}
    assert noted == case.notes, outcome.advice


class Hanging(Device):
    """Takes a Hello and says nothing, until the tester has gone."""

    def attend(self, link: Link, timeout: float | None = None) -> None:
        with suppress(TapError):
            while True:
                link.receive(timeout)
        link.close()


class Closing(Device):
    """Closes every connection at once."""

    def attend(self, link: Link, timeout: float | None = None) -> None:
        link.close()


@pytest.mark.parametrize("make", [Hanging, Closing])
@pytest.mark.parametrize("part", list(Part))
def test_a_device_that_says_nothing_fails_and_is_given_up(make: type[Device], part: Part) -> None:
    """§6-1."""
    with bench(personalise(P256, part, limits.FULL), part, make, patience=0.05, quiet=0.05) as found:
        outcome = examine(found, checks_for(part))
    assert "6-1" in outcome.failed
    assert Verdict.PASS not in outcome.clauses.values()
    assert outcome.clauses["6-6"] is Verdict.OPEN
    assert outcome.skipped[checks_for(part)[-1].name] == "the device gave no Welcome 4 times"


@pytest.mark.parametrize(
    ("make", "verdict"), [(Device, Verdict.PASS), (Closing, Verdict.OPEN), (Hanging, Verdict.OPEN)]
)
def test_silence_counts_only_of_a_device_that_can_speak(make: type[Device], verdict: Verdict) -> None:
    """§6-6."""
    patience = PATIENCE if make is Device else 0.05
    setup = personalise(P256, Part.PAYER, limits.FULL)
    with bench(setup, Part.PAYER, make, patience=patience, quiet=0.05) as found:
        outcome = examine(found, checks_for(Part.PAYER, "6-6"))
    assert outcome.clauses["6-6"] is verdict
    assert outcome.findings == []
    assert found.memory.sessions == (1 if make is Device else 0)


def test_a_device_that_goes_away_did_not_come_back() -> None:
    scheme = LoopbackScheme()
    setup = personalise(P256, Part.PAYER, limits.FULL)
    once = [True]

    def connect() -> Link:
        return found.connect() if once and once.pop() else scheme.connect("nobody", 0.0)

    with bench(setup, Part.PAYER) as found:
        outcome = examine(Bench(setup, Part.PAYER, connect, b"test run"), checks_for(Part.PAYER))
    assert outcome.skipped[checks_for(Part.PAYER)[-1].name] == "the device did not come back"


def test_a_device_that_is_not_there_is_no_verdict() -> None:
    scheme = LoopbackScheme()
    setup = personalise(P256, Part.PAYER, limits.FULL)
    nobody = Bench(setup, Part.PAYER, lambda: scheme.connect("nobody", 0.0), b"test run")
    with pytest.raises(TapError) as error:
        examine(nobody, checks_for(Part.PAYER))
    assert error.value.code is Code.LINK_LOST


def test_a_setup_of_another_scheme_is_refused() -> None:
    setup = replace(personalise(P256, Part.PAYER, limits.FULL), root=Stage(P256).key("another root"))
    with pytest.raises(TapError) as error:
        Bench(setup, Part.PAYER, lambda: pair()[0], b"test run")
    assert error.value.code is Code.BAD_INPUT


def test_one_clause_is_tested_alone() -> None:
    """§11.4-7."""
    with bench(personalise(P256, Part.PAYER, limits.FULL), Part.PAYER) as found:
        outcome = examine(found, checks_for(Part.PAYER, "11.4-7"))
    assert outcome.clauses["11.4-7"] is Verdict.PASS
    assert found.memory.sessions < 30


@pytest.mark.parametrize("name", ["signatures", "channel", "keystore"])
def test_our_device_answers_the_vectors(name: str) -> None:
    with bench(personalise(P256, Part.PAYER, limits.FULL), Part.PAYER) as found:
        answers = ask_all(found.connect, PATIENCE, (name,))
    assert answers.wrong == []
    assert answers.right > 10
    assert set(answers.clauses.values()) == {True}


def test_a_wrong_answer_and_one_that_is_not_offered_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(frame: bytes) -> bytes:
        number = json.loads(frame)["tcId"]
        return json.dumps({"tcId": number, "out": None if number == 1 else {"error": "DECLINED"}}).encode()

    monkeypatch.setattr(device, "answer_frame", answer)
    with bench(personalise(P256, Part.PAYER, limits.FULL), Part.PAYER) as found:
        answers = ask_all(found.connect, PATIENCE, ("signatures",))
    assert (answers.right, answers.absent, answers.unfit) == (0, 1, 0)
    assert answers.wrong[0]["tcId"] == 2
    assert not any(answers.clauses.values())


class Narrow:
    """A link that carries short frames only."""

    def __init__(self, link: Link, max_frame: int) -> None:
        self._link, self.max_frame = link, max_frame
        self.send, self.receive, self.close = link.send, link.receive, link.close


def test_a_question_that_does_not_fit_is_not_held_against_the_device() -> None:
    with bench(personalise(P256, Part.PAYER, limits.FULL), Part.PAYER) as found:
        whole = ask_all(found.connect, PATIENCE, ("channel",))
        narrow = ask_all(lambda: Narrow(found.connect(), 600), PATIENCE, ("channel",))
    assert (whole.absent, whole.unfit) == (0, 0)
    assert narrow.absent == 0
    assert narrow.unfit > 5
    assert narrow.right + narrow.unfit == whole.right
    assert narrow.to_json()["does_not_fit"] == narrow.unfit


def test_a_device_without_a_test_port_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(frame: bytes) -> bytes:
        raise TapError(Code.LINK_LOST, "no test port")

    monkeypatch.setattr(device, "answer_frame", gone)
    with bench(personalise(P256, Part.PAYER, limits.FULL), Part.PAYER) as found, pytest.raises(TapError) as error:
        ask_all(found.connect, PATIENCE, ("signatures",))
    assert error.value.code is Code.LINK_LOST


def test_one_question_that_is_not_answered_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def shy(frame: bytes) -> bytes:
        if json.loads(frame)["tcId"] == 3:
            raise TapError(Code.LINK_LOST, "no answer")
        return answer_frame(frame)

    monkeypatch.setattr(device, "answer_frame", shy)
    with bench(personalise(P256, Part.PAYER, limits.FULL), Part.PAYER) as found:
        answers = ask_all(found.connect, PATIENCE, ("signatures",))
    assert [item["tcId"] for item in answers.wrong] == [3]
    assert answers.right > 10


def test_vectors_that_do_not_exist_are_bad_input() -> None:
    with pytest.raises(TapError) as error:
        ask_all(lambda: pair()[0], PATIENCE, ("poems",))
    assert error.value.code is Code.BAD_INPUT


def test_many_rules_are_broken_one_by_one() -> None:
    assert len(BROKEN) >= 20
    assert len({clause for case in BROKEN for clause in case.fails}) >= 30


def test_clauses_are_those_of_the_specification() -> None:
    """§2.1-1."""
    labels = re.findall(r"\*\*§([0-9.]+-\d+)\*\*", SPEC.read_text(encoding="utf-8"))
    assert dict(Counter(label.rpartition("-")[0] for label in labels)) == SECTIONS
    assert ordered(labels) == list(all_clauses())
    for item in CHECKS:
        assert set(item.clauses) <= set(labels), item.name
        assert item.title, item.name
