"""``conform``: make a device ready, drive it through checks and vectors, and leave a signed report."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dualtap.errors import Code, TapError
from dualtap.limits import CARD, FULL
from dualtap.states import Part
from dualtap.suite import SUITES
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit, note
from dualtap_conform.bench import Bench
from dualtap_conform.check import Check
from dualtap_conform.clauses import OTHERS, bound, ordered
from dualtap_conform.paths import read_json, try_to_write, write_json
from dualtap_conform.personal import check_overwrite, personalise, read_file, to_file
from dualtap_conform.report import check_overwrite as may_report_to
from dualtap_conform.report import check_report, read_key, read_public, report_of, sign_report, write_key
from dualtap_conform.summary import summary, tally
from dualtap_conform.tester import Outcome, Verdict, checks_for, examine
from dualtap_transports.link import Link, open_scheme
from dualtap_transports.nearness import round_trip_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dualtap_conform.questions import Answers

PROFILES = {"card": CARD, "full": FULL}
_STDIN_ENDED, _SERVED = b"\0", b"\xff"
"""Why a device ends, where it is no signal."""
_MARK = {Verdict.PASS: "PASS", Verdict.FAIL: "FAIL", Verdict.ADVICE: "note", Verdict.OPEN: "open"}


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where the verdicts go: a report's file, the key that signs it, and whether JSON is printed."""

    report: Path | None
    key: Path | None
    as_json: bool

    def signer(self) -> Ed25519PrivateKey | None:
        """Return the key that signs; raise ``BAD_INPUT``."""
        if self.key is None:
            return None
        if self.report is None:
            raise TapError(Code.BAD_INPUT, "--key signs a report: say where by --report")
        return read_key(self.key)


def setup(path: Path, part: str, suite: str, profile: str, as_json: bool) -> Exit:
    """Write the file by which a device is made ready."""
    check_overwrite(path)
    made = personalise(SUITES[suite], Part(part), PROFILES[profile])
    write_json(path, to_file(made, Part(part)))
    key = made.certificate.key.hex()
    emit(as_json, {"setup": str(path), "part": part, "suite": suite, "key": key}, f"{part} {key}: {path}")
    return Exit.OK


def device(path: Path, on: str, part: str) -> Exit:
    """Serve as the reference device until stdin ends or the process is told to stop, be it in a tap or not."""
    from dualtap_conform.device import Device, serve

    scheme, address = open_scheme(on)
    served = Device(*read_file(path, part))
    served.within = round_trip_of(scheme)
    listener = scheme.listen(address)
    # A socket, which a signal wakes whatever the main thread does: a handler that runs as it begins to wait would not.
    told, tell = socket.socketpair()
    tell.setblocking(False)

    def wait() -> None:
        # Not by sys.stdin, whose lock a thread that reads would still hold when the interpreter ends.
        while os.read(0, 4096):
            pass
        tell.send(_STDIN_ENDED)

    def attend() -> None:
        serve(served, listener)
        tell.send(_SERVED)

    def stop(*_: object) -> None:
        """Nothing more: its number is in the socket by now."""

    signal.signal(signal.SIGTERM, stop)
    signal.set_wakeup_fd(tell.fileno())
    note(f"Ready: {served.part.value} on {on.partition(':')[0]}:{listener.address}")
    for work in (wait, attend):
        threading.Thread(target=work, daemon=True).start()
    why = told.recv(1)
    listener.close()
    if why == _STDIN_ENDED:
        note("Ended, since stdin ended")
    return Exit.OK


def run(
    path: Path,
    on: str,
    part: str,
    *,
    only: str,
    vectors: bool,
    timeout: float,
    reporting: Reporting,
) -> Exit:
    """Make all checks; print a verdict per clause. ``ERROR`` if one failed, a vector was wrong, or none could hold."""
    signer = reporting.signer()
    if reporting.report is not None:
        may_report_to(reporting.report)
        try_to_write(reporting.report)
    started = int(time.time())
    made, plays = read_file(path, part)
    bench = Bench(made, plays, connector(on, timeout), secrets.token_bytes(8), timeout, min(timeout, 0.5))
    checks = checks_for(bench.part, only.removeprefix("§"))
    if not checks:
        raise TapError(Code.BAD_INPUT, f"no check decides clause {only!r}; see `dualtap conform clauses`")
    outcome = examine(bench, checks)
    asked = None
    if vectors:
        from dualtap_conform.questions import ask_all

        asked = ask_all(bench.connect, timeout)
    fields = report_of(
        bench,
        outcome,
        None if asked is None else asked.to_json(),
        tool=f"dualtap {version('dualtap')}",
        address=on,
        started=started,
    )
    found = summary(fields)
    lines = _lines(bench, checks, outcome, only) + ([] if asked is None else wrong_answers(asked)) + found.sums()
    emit(reporting.as_json, cast("dict[str, object]", fields), *lines)
    if reporting.report is not None:
        write_json(reporting.report, fields if signer is None else sign_report(fields, signer))
    return Exit.OK if found.good else Exit.ERROR


def connector(on: str, timeout: float) -> Callable[[], Link]:
    """Return what opens links to a device."""
    scheme, address = open_scheme(on)
    reached = False

    def connect() -> Link:
        nonlocal reached
        try:
            link = scheme.connect(address, timeout)
        except TapError as error:
            if reached or error.code not in {Code.LINK_LOST, Code.TIMEOUT}:
                raise
            raise TapError(error.code, f"{error.detail}: start the device, or check --on") from error
        reached = True
        return link

    return connect


def _lines(bench: Bench, checks: tuple[Check, ...], outcome: Outcome, only: str) -> list[str]:
    """Return what a person reads: each clause, then what failed."""
    lines: list[str] = []
    others = OTHERS[bench.scheme.suite.name]
    clauses = outcome.clauses if only else ({*bound(bench.part)} - others) | {*outcome.clauses}
    for tested, group in groupby(ordered(clauses), lambda clause: clause in outcome.clauses):
        if not tested:
            untested = [f"§{clause}" for clause in group]
            lines.append(f"   —  {untested[0]}{f' … {untested[-1]}' if len(untested) > 1 else ''}  not tested live")
            continue
        for clause in group:
            narrow = sorted((item for item in checks if clause in item.clauses), key=lambda item: len(item.clauses))
            titles = [item.title for item in narrow]
            titles += [item.title for item in outcome.findings if item.clause == clause]  # met on the way to another
            title = titles[0]
            lines.append(f"{_MARK[outcome.clauses[clause]]}  §{clause:<8}{title}")
    lines.extend(f"note: {name}: {why}" for name, why in outcome.skipped.items())
    for mark, findings in (("note", outcome.advice), ("FAIL", outcome.findings)):
        for item in findings:
            lines += [f"{mark}  §{item.clause}  {item.title} ({item.check})"]
            lines += [f"      expected {item.expected}", f"      got      {item.got}"]
    return lines


def make_key(path: Path, as_json: bool) -> Exit:
    """Write a key that signs reports."""
    public = write_key(path, secrets.token_bytes(32)).hex()
    emit(as_json, {"key": str(path), "public": public}, public)
    return Exit.OK


def check(path: Path, public: str, as_json: bool) -> Exit:
    """Check a report's signature, and say what it says. ``ERROR`` where the run that made it ended so."""
    report = check_report(read_json(path), read_public(public))
    found = summary(report)
    marked = [(_MARK[Verdict.FAIL], found.fails), (_MARK[Verdict.OPEN], found.open)]
    lines = [f"{mark}  {', '.join(f'§{clause}' for clause in named)}" for mark, named in marked if named]
    emit(as_json, cast("dict[str, object]", report), f"device {found.device}", *lines, *found.sums())
    return Exit.OK if found.good else Exit.ERROR


def vectors(on: str, files: tuple[str, ...], timeout: float, as_json: bool) -> Exit:
    """Ask a device's test port the vectors."""
    from dualtap_conform.questions import ask_all

    answers = ask_all(connector(on, timeout), timeout, files)
    sum_ = tally(answers.right, len(answers.wrong), answers.absent, answers.unfit)
    emit(as_json, cast("dict[str, object]", answers.to_json()), *wrong_answers(answers), sum_)
    return Exit.ERROR if answers.wrong else Exit.OK


def wrong_answers(answers: Answers) -> list[str]:
    """Return what a person reads of the vectors that were answered wrongly."""
    return [
        f"FAIL  {item['file']} {item['tcId']}: expected {item['expected']}, got {item['got']}" for item in answers.wrong
    ]


def clauses(part: str, as_json: bool) -> Exit:
    """List the clauses that bind a part, and how each is tested."""
    from dualtap_conform.questions import asked_clauses

    live = checks_for(Part(part))
    asked = asked_clauses()
    checks = {
        clause: [item.name for item in live if clause in item.clauses] for item in live for clause in item.clauses
    }
    fields: dict[str, object] = {}
    lines: list[str] = []
    for clause in ordered({*bound(Part(part)), *checks}):
        how = [f"live: {', '.join(checks[clause])}"] if clause in checks else []
        how += ["vectors"] if clause in asked else []
        fields[clause] = {"live": checks.get(clause, []), "vectors": clause in asked}
        lines.append(f"§{clause:<8}{'; '.join(how) or 'not by conform'}")
    emit(as_json, fields, *lines)
    return Exit.OK
