"""The pytest plugin: its fixtures tap, a failing test's exchange is shown if asked for, and it costs nothing else.

The same is true of what Hypothesis loads.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from dualtap.context import Pay
from dualtap.errors import Code
from dualtap_testing.overhear import Said
from dualtap_testing.seeded import SeededScheme
from dualtap_testing.trace import Trace

TEST = """
import sys
import pytest

def test_plain():
    # Neither the plugin nor Hypothesis has loaded any of dualtap; and yet its types are known.
    from hypothesis import given, settings, strategies as st

    st.from_type(int).validate()
    loaded = [name for name in sys.modules if name.startswith("dualtap")]
    assert set(loaded) <= {"dualtap_testing", "dualtap_testing.entry", "dualtap_testing.plugin"}
    from dualtap.statements import Transfer

    @given(st.from_type(Transfer))
    @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    def known(transfer):
        assert len(transfer.id) == 32 and len(transfer.key) in (32, 33)

    known()

def test_pays(tap_scheme, tap_wallet, tap_link):
    payer, payee = tap_wallet(500, "watch"), tap_wallet()
    assert tap_scheme.pay(payer, payee, 120).payer.result.value == "paid"
    left, right = tap_link()
    left.send(b"a frame")
    assert right.receive(1) == b"a frame"
    tap_link(3)

@pytest.fixture
def tap_suite():
    return "ed25519"

def test_fails(tap_scheme, tap_wallet):
    tap_scheme.pay(tap_wallet(500, "watch"), tap_wallet(0, "pos"), 120)
    assert tap_scheme.suite.name == "p256"

def test_device():
    from dualtap_testing.candidate import Reference
    from dualtap_testing.counter import Counter
    from dualtap_testing.seeded import SeededScheme

    scheme = SeededScheme("a device")
    story = Counter(scheme, Reference(scheme))
    story.check_paid(story.pay(0, scheme.charge(7), first=False), 7)
"""


def pytester(folder: Path, *more: str) -> str:
    (folder / "test_it.py").write_text(TEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


def test_the_fixtures_tap_and_a_failure_is_shown(tmp_path: Path) -> None:
    out = pytester(tmp_path, "--tap-trace")
    assert "2 failed, 2 passed" in out, f"is dualtap installed as pyproject.toml says? pip install -e . again\n{out}"
    chart, device = out.partition("- taps -")[2].split("- taps -")
    names = re.findall(r"[|<] ?-* ?(Hello|Welcome|Transfer|Receipt)", chart)
    assert names == ["Hello", "Welcome", "Transfer", "Receipt"], chart
    assert "watch 1: paid" in chart
    assert "pos 1: collected" in chart
    assert "tap 1: the device pays 7, spoken to" in device
    assert "Refuse (INSUFFICIENT)" in device
    assert re.search(r"[0-9a-f]{16}", chart) is None, "nothing that looks like a key"


def test_a_chart_shows_what_was_lost_and_who_is_not_watched() -> None:
    scheme = SeededScheme(1, "ed25519")
    scheme.trace = trace = Trace()
    payer, payee = scheme.wallet(5), scheme.wallet()
    pays, collects = scheme.driver(payer, Pay(), True), scheme.driver(payee, scheme.charge(5), False)
    assert not collects.begin()
    (hello,) = pays.begin()
    (welcome,) = collects.receive(hello)
    pays.receive(welcome)
    for one in (pays, collects):
        one.stop(Code.LINK_LOST)
    lines = trace.chart().splitlines()
    assert [line.strip("|<>x- ").partition(",")[0] for line in lines[1:4]] == [
        "Hello (pay)",
        "Welcome (collect) with Request",
        "Transfer",
    ]
    assert lines[3].endswith("x|  lost")
    assert lines[4:] == ["phone 1: in doubt (LINK_LOST)", "phone 2: not paid (LINK_LOST)"]
    trace.came("phone 2", b"?", Said(True, 1, None))
    assert "sealed, and not opened" in trace.chart()
    assert "the other side" in trace.chart()
    assert trace.arrived("phone 2", hello)
    assert "came 2 times" in trace.chart()
