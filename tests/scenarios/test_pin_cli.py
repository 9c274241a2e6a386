"""A PIN from the command line: set, changed, unblocked, asked for where a payment needs it, and shown nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dualtap import limits
from dualtap.events import Ask
from dualtap.pin import PinCell
from dualtap.statements import Verification
from dualtap_apps.cli import run
from dualtap_apps.pins import Prompt
from dualtap_devices.cues import PROMPTS, Moment
from dualtap_devices.disk import opened
from dualtap_devices.verifying import verified
from tests.playbook import World

PATIENCE = 20.0
RIGHT, WRONG, OTHER, CODE = "4071", "4072", "99887", "20071969"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pins")
    for name, text in (("right", RIGHT), ("wrong", WRONG), ("other", OTHER), ("code", CODE), ("junk", "12a4")):
        (folder / name).write_text(text + "\n")
    assert run(["scheme", "new", str(folder / "town")]) == 0
    for name, carrier in (("shop", "pos"), ("anna", "phone")):
        assert run(["wallet", "new", str(folder / name), "--scheme", str(folder / "town"), "--carrier", carrier,
                    "--name", name]) == 0  # fmt: skip
    assert run(["wallet", "fund", str(folder / "anna"), "100"]) == 0
    return folder


def pin(town: Path, *words: str) -> int:
    """Run a command of `wallet pin`; words with @ name files."""
    return run(["wallet", "pin", *[str(town / word[1:]) if word[0] == "@" else word for word in words]])


def tap(town: Path, verify: str, *more: str) -> int:
    """Pay 1.00 to a till in another process that asks for this verification; return how `pay` ended."""
    command = [sys.executable, "-m", "dualtap_apps", "charge", str(town / "shop"), "1.00", "--verify", verify]
    with subprocess.Popen([*command, "--on", "tcp:127.0.0.1:0"], stderr=subprocess.PIPE, text=True) as charge:
        assert charge.stderr is not None
        where = charge.stderr.readline().rsplit(" on ", 1)[1].strip()
        paid = run(["pay", str(town / "anna"), "--on", where, "--yes", *more])
        charge.communicate(timeout=PATIENCE)
    return paid


def test_a_pin_is_set_asked_for_changed_and_unblocked(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """§22-5, §22-11, §22-15."""
    assert tap(town, "pin", "--pin-file", str(town / "right")) == 1
    assert "UNVERIFIED" in capsys.readouterr().err, "no PIN is set yet"
    assert pin(town, "set", "@anna", "--pin-file", "@junk") == 2
    assert pin(town, "set", "@anna", "--pin-file", "@right", "--code-file", "@code") == 0
    assert pin(town, "set", "@anna", "--pin-file", "@other") == 1
    assert tap(town, "pin", "--pin-file", str(town / "wrong")) == 3
    assert "Wrong PIN, 2 tries left" in capsys.readouterr().err
    assert tap(town, "pin", "--pin-file", str(town / "right")) == 0
    assert pin(town, "change", "@anna", "--pin-file", "@right", "--new-pin-file", "@other") == 0
    for _ in range(limits.PIN_TRIES):
        assert pin(town, "change", "@anna", "--pin-file", "@wrong", "--new-pin-file", "@right") == 1
    assert "PIN_BLOCKED" in capsys.readouterr().err
    assert run(["wallet", "show", str(town / "anna"), "--json"]) == 0
    assert '"pin": "blocked"' in capsys.readouterr().out
    assert pin(town, "unblock", "@anna", "--code-file", "@code", "--new-pin-file", "@right", "--json") == 0
    out = capsys.readouterr()
    for digits in (RIGHT, WRONG, OTHER, CODE):
        assert digits not in out.out + out.err
    with opened(town / "anna") as wallet:
        assert wallet.keystore.pin is not None
        assert not wallet.keystore.pin.cell.verified


def test_bad_input_sets_nothing(town: Path, tmp_path: Path) -> None:
    assert pin(town, "set", "@shop", "--pin-file", str(tmp_path / "missing")) == 2
    assert pin(town, "set", "@shop", "--pin-file", str(tmp_path)) == 2
    assert pin(town, "set", "@shop", "--pin-file", "@right", "--code-file", "@wrong") == 2
    assert pin(town, "unblock", "@shop", "--code-file", "@code", "--new-pin-file", "@right") == 1
    with opened(town / "shop") as wallet:
        assert wallet.keystore.pin is not None
        assert wallet.keystore.pin.cell == PinCell()


def test_without_a_terminal_a_pin_comes_from_a_file(town: Path) -> None:
    """It is not read where it would be seen: the remedy is named, and nothing is set."""
    command = [sys.executable, "-m", "dualtap_apps", "wallet", "pin", "set", str(town / "shop")]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True, check=False
    )
    assert done.returncode == 2
    assert "give it by a file" in done.stderr
    assert "Warning" not in done.stderr


def test_a_person_is_asked_until_it_is_right_or_blocked() -> None:
    """§22-11: what each device shows, speaks and vibrates."""
    wallet = World().wallet()
    assert wallet.keystore.pin is not None
    wallet.keystore.pin.set(RIGHT.encode())
    ask = Ask(1, "CNY", wallet.book.certificate, Verification.PIN)
    said: list[str] = []
    answers = iter([WRONG, "12", RIGHT])

    def typed(question: str, new: bool) -> str:
        assert not new
        said.append(question)
        return next(answers)

    assert verified(ask, wallet.keystore, Prompt(None, typed)) is Verification.PIN
    assert said == ["Enter your PIN", "Wrong PIN, 2 tries left", "A PIN has 4 to 12 digits: enter it again"]
    answers = iter([WRONG] * 9)
    assert verified(ask, wallet.keystore, Prompt(None, typed)) is None
    assert wallet.keystore.pin.cell.blocked
    assert verified(Ask(1, "CNY", wallet.book.certificate), wallet.keystore, Prompt(None, typed)) is (
        Verification.PRESENCE
    )


def test_every_prompt_can_be_seen_heard_and_felt() -> None:
    assert set(PROMPTS) == set(Moment)
    for cue in PROMPTS.values():
        assert all([cue.english.format(tries=2), cue.chinese.format(tries=2), cue.tone, cue.haptic]), cue
        assert ("{tries}" in cue.english) == ("{tries}" in cue.chinese)
    felt = [(cue.tone, cue.haptic) for moment, cue in PROMPTS.items() if moment is not Moment.NO_PIN]
    assert len(set(felt)) == len(felt), "what differs in meaning differs without eyes too"
