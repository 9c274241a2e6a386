"""Our card passes ``dualtap conform`` over Bluetooth, as payer and as payee: bleak is the tester, Bumble the device."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from dualtap import limits
from dualtap.states import Part
from dualtap.suite import P256
from dualtap_conform.personal import personalise
from dualtap_conform.tester import Verdict, checks_for, examine
from dualtap_transports.blocking import BlockingLink, BlockingListener, LoopThread
from dualtap_transports.link import Link, Listener
from tests.scenarios.test_conform import bench
from tests.support.commands import PATIENCE
from tests.support.virtual import Air, connect, listen

QUIET = 0.1
"""Seconds in which nothing should come: a round trip here takes one millisecond."""


class Heard(BlockingListener):
    """What the device listens on; its service is known to the central at once."""

    address = "in this process"


class Aloft:
    """A central and a peripheral in one air; a connection for each tap."""

    def __init__(self) -> None:
        self._thread = LoopThread()
        air = Air()
        self._near, far = self._thread.run(air.dongle()), self._thread.run(air.dongle())
        self._listener = self._thread.run(listen(far))

    def connect(self) -> Link:
        self._thread.retain()
        return BlockingLink(self._thread.run(connect(self._near, self._listener)), self._thread)

    def listen(self) -> Listener:
        return Heard(self._listener, self._thread)


@pytest.mark.parametrize("part", list(Part))
def test_our_card_passes_over_bluetooth(part: Part) -> None:
    """§19."""
    with bench(personalise(P256, part, limits.CARD), part, quiet=QUIET, doorway=Aloft) as found:
        outcome = examine(found, checks_for(part))
    assert outcome.findings == []
    assert outcome.skipped == {}
    assert set(outcome.clauses.values()) == {Verdict.PASS}
    assert found.memory.sessions > 100


def test_conform_drives_a_device_in_another_process(tmp_path: Path, air: str) -> None:
    """§19: as ``dualtap conform run --on ble:TEXT`` does with a dongle."""

    def dualtap(*words: str) -> list[str]:
        return [sys.executable, "-m", "dualtap_apps", "conform", *words]

    subprocess.run(dualtap("setup", "card.json", "--profile", "card"), cwd=tmp_path, check=True, capture_output=True)
    device = subprocess.Popen(
        dualtap("device", "card.json", "--on", f"ble:new{air}"),
        cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with device:
        assert device.stderr is not None
        shown = re.search(r" on (ble:[A-Z2-7]+)$", device.stderr.readline().strip())
        assert shown
        for clause in ("11.3-10", "11.3-12"):
            run = dualtap("run", "card.json", "--on", shown[1] + air, "--only", clause)
            done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            assert f"PASS  §{clause}" in done.stdout
        device.communicate()
    assert device.returncode == 0
