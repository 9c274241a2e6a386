"""The simulator: equal seeds, equal digests, in any process; a promise that is broken is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dualtap.errors import Code, TapError
from dualtap.statements import Scheme
from dualtap.suite import SUITES
from dualtap_apps.cli import run as cli
from dualtap_testing.simulate import Options, simulate
from dualtap_testing.stub import STUB


def run(*arguments: str, hashing: str = "0") -> tuple[int, list[dict[str, object]]]:
    done = subprocess.run(
        [sys.executable, "-m", "dualtap_apps", "simulate", *arguments, "--json"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": hashing},
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_equal_seeds_have_equal_digests_in_any_process() -> None:
    """§1-1 to §1-7, by sample: `make simulate` runs more."""
    code, (begun, ended) = run("--seed", "5", "--taps", "60", hashing="1")
    assert code == 0
    assert begun["seed"] == 5
    assert begun["commit"]
    found = simulate(Options(5, 60))
    assert found.failure is None
    assert ended["digest"] == found.digest
    assert ended["taps"] == found.taps >= 60
    assert found.faults > 5
    for name in ("value_created", "value_lost", "framed", "missed", "unhealed"):
        assert ended[name] == 0
    assert simulate(Options(6, 60)).digest != found.digest


def test_real_signatures_keep_the_promises_too() -> None:
    found = simulate(Options(3, 40, "p256"))
    assert found.failure is None, found.failure


def test_a_fault_that_there_is_not_is_named() -> None:
    code, _ = run("--faults", "loss,plague")
    assert code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--twice", "--twice is for: --runs"),
        ("--singles", "--singles is for: --exhaustive"),
        ("--stride 4 --seed 3", "--stride is for: --exhaustive"),
        ("--runs 1-2 --tally kept.json", "--tally is for: --minutes"),
        ("--exhaustive --runs 1-2", "--runs and --exhaustive exclude each other"),
    ],
)
def test_what_would_not_be_heeded_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["simulate", *words.split()]) == 2
    assert said in capsys.readouterr().err


def test_the_stub_is_no_suite_of_a_real_scheme() -> None:
    assert STUB not in SUITES.values()
    assert STUB.number not in {suite.number for suite in SUITES.values()}
    key = STUB.signer(bytes(32)).public
    for suite in SUITES.values():
        with pytest.raises(TapError, match=Code.BAD_KEY.name):
            Scheme.of(STUB, suite.signer(bytes(32)).public)
        with pytest.raises(TapError, match=Code.BAD_KEY.name):
            suite.verifier(key)
