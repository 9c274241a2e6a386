"""A handover read over NFC, then a tap over Bluetooth: two processes that tap, and the air between them a third."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dualtap_apps.cli import run
from tests.support.pcscd import Pcscd

DUALTAP = [sys.executable, "-m", "dualtap_apps"]
ROOT = Path(__file__).parents[2]
PATIENCE = 60


@contextmanager
def blowing() -> Generator[str]:
    command = [sys.executable, "-m", "tests.support.airserver"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"@tcp-client:127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


@pytest.fixture(scope="module")
def air() -> Iterator[str]:
    with blowing() as controller:
        yield controller


@pytest.fixture
def town(tmp_path: Path) -> Path:
    steps = (
        ["scheme", "new", "@town"],
        ["wallet", "new", "@till", "--scheme", "@town", "--carrier", "pos", "--name", "till"],
        ["wallet", "new", "@anna", "--scheme", "@town", "--carrier", "phone", "--name", "anna"],
        ["wallet", "fund", "@anna", "100.00"],
    )
    for step in steps:
        assert run([str(tmp_path / part[1:]) if part.startswith("@") else part for part in step]) == 0
    return tmp_path


def tap(town: Path, listen: str, reader: str) -> None:
    charge = subprocess.Popen(
        [*DUALTAP, "charge", str(town / "till"), "12.50", "--on", listen, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with charge:
        assert charge.stderr is not None
        where = charge.stderr.readline().rsplit(" on ", 1)[1].strip()
        command = [*DUALTAP, "pay", str(town / "anna"), "--on", reader or where, "--yes", "--json"]
        paid = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        out, err = charge.communicate(timeout=PATIENCE)
    assert (paid.returncode, charge.returncode) == (0, 0), (paid.stderr, err)
    assert (json.loads(paid.stdout)["result"], json.loads(out)["result"]) == ("paid", "collected")


def test_over_nfcpys_device(town: Path, air: str) -> None:
    """§19-16, §19-18."""
    tap(town, f"nfc+ble:udp:127.0.0.1:0{air}", "")


def test_over_pcsc(town: Path, air: str, pcscd: Pcscd) -> None:
    """§19-16, §19-18."""
    tap(town, f"vpcd+ble:{pcscd.addresses[0]}{air}", f"pcsc+ble:{pcscd.readers[0]}{air}")
    pcscd.settle()


def test_a_foreign_reader_reads_the_tag(town: Path, air: str, pcscd: Pcscd) -> None:
    """§19-16: by OpenSC, with the forum's commands: the capability container, and a message that begins with Hs."""
    listen = f"vpcd+ble:{pcscd.addresses[0]}{air}"
    charge = subprocess.Popen(
        [*DUALTAP, "charge", str(town / "till"), "1", "--on", listen, "--timeout", "30"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with charge:
        assert charge.stderr is not None
        charge.stderr.readline()
        pcscd.wait_for(pcscd.readers[0], pcscd.events(pcscd.readers[0]) | 1)
        commands = ["00a4040007d276000085010100", "00a4000c02e103", "00b000000f", "00a4000c02e104", "00b0000210"]
        sent = [part for command in commands for part in ("--send-apdu", command)]
        done = subprocess.run(
            ["opensc-tool", "--reader", "0", *sent], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        charge.kill()
    assert done.returncode == 0, done.stderr
    assert "00 0F 20 00 F0 00 F0 04 06 E1 04 02 00 00 00" in done.stdout
    assert " 48 73 15 " in done.stdout.split("E1 04 02 00 00 00")[1].replace("\n", " "), done.stdout
    pcscd.settle()
