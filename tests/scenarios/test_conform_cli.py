"""``dualtap conform`` as people use it: a setup, a device in another process, verdicts, and a signed report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dualtap.errors import Code, TapError
from dualtap_apps.cli import run
from dualtap_conform.report import check_overwrite, read_key, sign_report
from dualtap_conform.setup import Json, Object
from dualtap_transports.link import Link, open_scheme

DUALTAP = [sys.executable, "-m", "dualtap_apps"]


class Desk:
    """A folder, and the command line in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        self.errors = ""

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        """Run ``dualtap conform``; return what it printed."""
        self.capsys.readouterr()
        code = run(["conform", *arguments])
        captured = self.capsys.readouterr()
        self.errors = captured.err
        assert code == expect, (arguments, code, captured)
        assert "Traceback" not in captured.out + captured.err
        return captured.out

    def json(self, *arguments: str, expect: int = 0) -> dict[str, Any]:
        """Run ``dualtap conform`` with ``--json``; return its object."""
        return cast("dict[str, Any]", json.loads(self(*arguments, "--json", expect=expect)))

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


@contextmanager
def started(setup: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Our device in another process, and its address."""
    command = [*DUALTAP, "conform", "device", setup, "--on", "tcp:127.0.0.1:0"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stderr is not None
            yield process, process.stderr.readline().rsplit(" on ", 1)[1].strip()
        finally:
            process.kill()


@contextmanager
def device(setup: str) -> Generator[str]:
    """The address of our device in another process, which ends with its stdin."""
    with started(setup) as (process, address):
        yield address
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == "Ended, since stdin ended\n"


def test_a_payer_over_tcp_and_its_report(desk: Desk) -> None:
    setup, report, key = desk.path("payer.json"), desk.path("report.json"), desk.path("key")
    made = desk.json("setup", setup)
    public = desk("key", key).strip()
    with device(setup) as address:
        fields = desk.json("run", setup, "--on", address, "--report", report, "--key", key)
        one = desk("run", setup, "--on", address, "--only", "§6-3")
        again = desk("run", setup, "--on", address, "--only", "11.3-10", expect=1)
        vectors = desk.json("vectors", "--on", address, "--file", "digests")
    assert (fields["part"], fields["suite"], fields["device"]) == ("payer", "p256", made["key"])
    assert fields["failures"] == []
    assert fields["taps"] > 100
    assert fields["used"] is False
    assert fields["clauses"]["11.4-7"] == "PASS"
    assert one.startswith("PASS  §6-3")
    assert "make it ready anew" in again
    assert (vectors["wrong"], vectors["not_offered"]) == ([], 0)
    assert desk.json("check", report, "--key", public) == fields
    check_overwrite(Path(report))  # signed or not, a report may be replaced by a later one
    Path(report).write_text(json.dumps(fields))
    check_overwrite(Path(report))
    Path(report).write_text(json.dumps(sign_report(fields, read_key(Path(key)))))
    stranger = desk("key", desk.path("other")).strip()
    desk("check", report, "--key", stranger, expect=1)
    assert "BAD_SIGNATURE" in desk.errors
    altered = Path(report).read_text().replace('"PASS"', '"FAIL"', 1)
    Path(report).write_text(altered)
    desk("check", report, "--key", public, expect=1)
    assert "BAD_SIGNATURE" in desk.errors


def test_a_payee_over_tcp_with_vectors_in_its_report(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from dualtap_conform import questions

    few = questions.all_files()
    monkeypatch.setattr(questions, "all_files", lambda: {"channel": few["channel"]})
    setup, report = desk.path("till.json"), desk.path("report.json")
    desk("setup", setup, "--part", "payee", "--suite", "ed25519", "--profile", "card")
    with device(setup) as address:
        text = desk("run", setup, "--on", address, "--vectors", "--report", report)
    assert "0 fail" in text
    assert "not tested live" in text
    assert "make it ready anew" not in text
    assert " right, 0 wrong, 0 not offered" in text
    fields = json.loads(Path(report).read_text())
    assert fields["vectors"]["wrong"] == []
    assert len(fields["vectors"]["digest"]) == 64


def signed_by(desk: Desk, **changes: Json) -> tuple[str, ...]:
    """The arguments of a check of a report that a key signed: of a good run, but for changes."""
    fields: Object = {
        "version": 1, "part": "payer", "suite": "p256", "device": "00", "taps": 3, "used": False,
        "clauses": {"6-1": "PASS", "6-2": "PASS"}, "vectors": None,
    }  # fmt: skip
    fields.update(changes)
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    report = desk.folder / "report.json"
    report.write_text(json.dumps(sign_report(fields, key)))
    return ("check", str(report), "--key", key.public_key().public_bytes_raw().hex())


@pytest.mark.parametrize("kept", ["my notes", "[1]", '{"clauses": {}}'])
def test_a_report_overwrites_nothing_but_a_report(desk: Desk, kept: str) -> None:
    """Nor is a device met before this is known."""
    setup, report = desk.path("payer.json"), desk.path("report.json")
    desk("setup", setup)
    Path(report).write_text(kept)
    desk("run", setup, "--on", "tcp:127.0.0.1:1", "--report", report, expect=2)
    assert "is no report: it is not overwritten" in desk.errors
    assert Path(report).read_text() == kept


def test_a_report_is_verified_as_the_readme_says(desk: Desk) -> None:
    """protocol/vectors/README.md, "A report"."""
    command = signed_by(desk, failures=[{"got": '\x7f§ \U0001f4b3 \n\x01/"'}])
    whole = json.loads(Path(command[1]).read_text())
    text = json.dumps(whole["report"], sort_keys=True, separators=(",", ":"))
    assert '[{"got":"\\u007f\\u00a7 \\ud83d\\udcb3 \\n\\u0001/\\""}]' in text
    domain = b"dualtap conform report 1\n"
    assert len(domain) == 25
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(command[3]))
    key.verify(bytes.fromhex(whole["signature"]), domain + text.encode())


def asked(*wrong: Json) -> Object:
    return {"right": 7, "wrong": list(wrong), "not_offered": 2, "does_not_fit": 1}


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, 0, "2 clauses hold, 0 fail, 0 stay open; 3 taps"),
        ({"clauses": {"6-1": "PASS", "6-2": "OPEN"}}, 0, "open  §6-2"),
        ({"clauses": {"6-1": "FAIL", "6-2": "OPEN"}}, 1, "0 clauses hold, 1 fail, 1 stay open"),
        ({"clauses": {"6-1": "FAIL", "6-3": "FAIL"}}, 1, "FAIL  §6-1, §6-3"),
        ({"vectors": asked()}, 0, "vectors: 7 right, 0 wrong, 2 not offered, 1 too long for this link"),
        ({"vectors": asked("this")}, 1, "vectors: 7 right, 1 wrong, 2 not offered"),
        ({"taps": 0}, 1, "never greeted"),
        ({"used": True}, 0, "make it ready anew"),
        ({"version": 9}, 2, "format version 9"),
        ({"taps": None}, 2, "cannot read"),
        ({"clauses": []}, 2, "cannot read"),
    ],
)
def test_a_report_is_checked_as_its_run_was_judged(desk: Desk, changes: Object, code: int, said: str) -> None:
    assert said in desk(*signed_by(desk, **changes), expect=code) + desk.errors


def test_a_failure_is_said_with_what_came(desk: Desk) -> None:
    """A payee where a payer should be."""
    setup, till = desk.path("payer.json"), desk.path("till.json")
    desk("setup", setup)
    desk("setup", till, "--part", "payee")
    with device(till) as address:
        text = desk("run", setup, "--on", address, "--only", "6-9", expect=1)
    assert "FAIL  §6-" in text
    assert "expected " in text
    assert "got      " in text


@contextmanager
def hanging_up() -> Generator[str]:
    """The address of what takes every connection and closes it."""
    scheme, where = open_scheme("tcp:127.0.0.1:0")
    listener = scheme.listen(where)

    def hang_up() -> None:
        with suppress(TapError):
            while True:
                listener.accept(None).close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        yield f"tcp:{listener.address}"
    finally:
        listener.close()
        thread.join()


@pytest.mark.parametrize("only", [(), ("--only", "6-6")])
def test_a_device_that_never_greets_holds_nothing(desk: Desk, only: tuple[str, ...]) -> None:
    """§6-6: to hang up is no proof of silence."""
    setup = desk.path("till.json")
    desk("setup", setup, "--part", "payee")
    with hanging_up() as address:
        text = desk("run", setup, "--on", address, *only, expect=1)
    assert "the device never greeted: wrong part, scheme or address?" in text
    assert "open  §6-6" in text
    assert "payee, p256: 0 clauses hold" in text
    assert "PASS" not in text


def test_a_clause_is_told_by_the_check_that_is_about_it(desk: Desk) -> None:
    """§6-2, §6-7: the first checks that touch them are about more."""
    setup = desk.path("payer.json")
    desk("setup", setup)
    with device(setup) as address:
        version = desk("run", setup, "--on", address, "--only", "6-7")
    assert "PASS  §6-7     A Hello that offers newer versions too is welcome" in version
    assert "PASS  §6-9     The Welcome has its form" in version


def open_link(address: str) -> Link:
    scheme, where = open_scheme(address)
    return scheme.connect(where, 5.0)


@pytest.mark.parametrize("talking", [False, True], ids=["connected", "in a tap"])
def test_a_device_that_is_told_to_stop_ends(desk: Desk, talking: bool) -> None:
    setup = desk.path("payer.json")
    desk("setup", setup)
    with started(setup) as (process, address), closing(open_link(address)) as link:
        if talking:
            link.send(b'{"tcId": 1, "op": "none", "suite": "p256", "in": {}}')
            assert json.loads(link.receive(30.0)) == {"tcId": 1, "out": None}  # so it waits for what we say next
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0  # without the signal it would wait for ever
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize("question", [b"{}", b"{", b'{"tcId": 1, "op": "taps", "suite": "p256", "in": 0}'])
def test_a_question_that_is_none_ends_the_connection_alone(desk: Desk, question: bytes) -> None:
    setup = desk.path("payer.json")
    desk("setup", setup)
    with device(setup) as address:
        with closing(open_link(address)) as link:
            link.send(question)
            with pytest.raises(TapError) as error:
                link.receive(5.0)
        assert error.value.code is Code.LINK_LOST
        assert desk("run", setup, "--on", address, "--only", "6-3").startswith("PASS")


def test_a_payer_and_a_payee_made_so_can_pay_each_other(desk: Desk) -> None:
    """§11.3-2: nobody pays its own key."""
    keys = {desk.json("setup", desk.path(part), "--part", part)["key"] for part in ("payer", "payee")}
    assert len(keys) == 2
    assert {json.loads(Path(desk.path(part)).read_text())["part"] for part in ("payer", "payee")} == {"payer", "payee"}


def test_a_setup_says_its_part(desk: Desk) -> None:
    setup, bare = desk.path("till.json"), Path(desk.path("bare.json"))
    desk("setup", setup, "--part", "payee")
    nowhere = ("--on", "tcp:127.0.0.1:1", "--timeout", "0.05")
    for command in (("run", setup, *nowhere), ("device", setup, "--on", "tcp:127.0.0.1:0")):
        desk(*command, "--part", "payer", expect=2)
        assert "is for a payee" in desk.errors
    fields = json.loads(Path(setup).read_text())
    del fields["part"]
    bare.write_text(json.dumps(fields))
    desk("run", str(bare), *nowhere, expect=2)
    assert "--part" in desk.errors
    desk("run", str(bare), *nowhere, "--part", "payee", expect=5)
    bare.write_text(json.dumps(fields | {"part": "broker"}))
    desk("run", str(bare), *nowhere, expect=2)
    assert "broker" in desk.errors


def test_clauses_say_how_they_are_tested(desk: Desk) -> None:
    text = desk("clauses", "--part", "payee")
    assert "§8.3-1   live: " in text
    assert "§13-9    not by conform" in text
    assert desk.json("clauses")["3-6"]["vectors"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "@none.json", "--on", "tcp:127.0.0.1:1"), "none.json"),
        (("run", "@setup.json", "--on", "tcp:127.0.0.1:1", "--only", "99-9"), "no check decides"),
        (("run", "@setup.json", "--on", "tcp:127.0.0.1:1", "--key", "@setup.json"), "--report"),
        (("run", "@setup.json", "--on", "tcp:127.0.0.1:1", "--key", "@setup.json", "--report", "@r"), "is no key"),
        (("key", "@setup.json"), "there already"),
        (("check", "@setup.json", "--key", "00" * 32), "not a signed report"),
        (("check", "@setup.json", "--key", "zz"), "64 hexadecimal digits"),
        (("check", "@setup.json", "--key", "a" * 300), "64 hexadecimal digits"),
        (("check", "@setup.json", "--key", "@setup.json"), "is a file: --key takes the public key itself"),
        (("check", "@bare.json", "--key", "00" * 32), "not signed: run with --key"),
        (("run", "@no/setup.json", "--on", "tcp:127.0.0.1:1"), "@no/setup.json: No such file or directory"),
        (("run", "@setup.json", "--on", "tcp:127.0.0.1:1", "--report", "@no/r"), "@no/r: No such file or directory"),
        (("run", "@setup.json", "--on", "tcp:127.0.0.1:1", "--report", "@"), "Is a directory"),
        (("run", "@poem", "--on", "tcp:127.0.0.1:1"), "@poem: no JSON"),
        (("run", "@setup.json", "--on", "tcp:127.0.0.1:1", "--key", "@no", "--report", "@r"), "@no: No such file"),
        (("setup", "@no/setup.json"), "@no/setup.json: No such file or directory"),
        (("setup", "@"), "Is a directory"),
        (("setup", "@bare.json"), "is there already, and is no setup"),
        (("setup", "@poem"), "is there already, and is no setup"),
        (("key", "@no/key"), "@no/key: No such file or directory"),
        (("check", "@poem", "--key", "00" * 32), "@poem: no JSON"),
        (("check", "@none.json", "--key", "00" * 32), "none.json"),
        (("vectors", "--on", "tcp:127.0.0.1:1", "--file", "poems"), "poems"),
    ],
)
def test_bad_input_is_named(desk: Desk, arguments: tuple[str, ...], said: str) -> None:
    desk("setup", desk.path("setup.json"))
    bare, poem = desk.folder / "bare.json", desk.folder / "poem"
    bare.write_text('{"version": 1, "clauses": {}}')
    poem.write_text("a rose")
    desk(*(desk.path(item[1:]) if item.startswith("@") else item for item in arguments), expect=2)
    assert said.replace("@", f"{desk.folder}/") in desk.errors
    assert desk.errors.count(desk.path("")) <= 1, "a name once"
    assert "Errno" not in desk.errors
    assert (bare.read_text()[:10], poem.read_text()) == ('{"version"', "a rose")
    assert sorted(item.name for item in desk.folder.iterdir()) == ["bare.json", "poem", "setup.json"]


def test_a_setup_is_made_anew_in_the_place_of_a_setup(desk: Desk) -> None:
    one = desk.json("setup", desk.path("setup.json"), "--part", "payee")
    assert one != desk.json("setup", desk.path("setup.json"))


def test_verdicts_are_said_before_the_report_is_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: object) -> None:
        raise TapError(Code.BAD_INPUT, f"{path}: No space left on device")

    setup = desk.path("payer.json")
    desk("setup", setup)
    monkeypatch.setattr("dualtap_apps.conform.write_json", full)
    with device(setup) as address:
        text = desk("run", setup, "--on", address, "--only", "6-3", "--report", desk.path("report.json"), expect=2)
    assert text.startswith("PASS  §6-3")
    assert "No space left" in desk.errors


def test_another_key_and_an_altered_report_are_told_apart(desk: Desk) -> None:
    command = signed_by(desk)
    desk(*command[:3], "00" * 32, expect=1)
    assert f"another key signed it: {command[3]}" in desk.errors
    report = Path(command[1])
    report.write_text(report.read_text().replace("PASS", "OPEN"))
    desk(*command, expect=1)
    assert "altered after it was signed" in desk.errors


def test_a_device_that_is_not_there_is_a_lost_peer(desk: Desk) -> None:
    desk("setup", desk.path("setup.json"))
    for command in (("run", desk.path("setup.json")), ("vectors",)):
        desk(*command, "--on", "tcp:127.0.0.1:1", "--timeout", "0.05", expect=5)
        assert "Connection refused: start the device, or check --on" in desk.errors
