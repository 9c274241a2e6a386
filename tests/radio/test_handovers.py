"""A handover read over NFC, then a tap over Bluetooth: two processes that tap, and the air between them a third."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.commands import PATIENCE, started, tap
from tests.support.pcscd import Pcscd


def test_over_nfcpys_device(town: Path, air: str) -> None:
    """§19-16, §19-18."""
    tap(town, f"nfc+ble:udp:127.0.0.1:0{air}")


def test_over_pcsc(town: Path, air: str, pcscd: Pcscd) -> None:
    """§19-16, §19-18."""
    tap(town, f"vpcd+ble:{pcscd.addresses[0]}{air}", f"pcsc+ble:{pcscd.readers[0]}{air}")
    pcscd.settle()


def test_a_foreign_reader_reads_the_tag(town: Path, air: str, pcscd: Pcscd) -> None:
    """§19-16: by OpenSC, with the forum's commands: the capability container, and a message that begins with Hs."""
    listen = f"vpcd+ble:{pcscd.addresses[0]}{air}"
    with started("charge", str(town / "till"), "1", "--on", listen, "--timeout", "30"):
        pcscd.wait_for(pcscd.readers[0], pcscd.events(pcscd.readers[0]) | 1)
        commands = ["00a4040007d276000085010100", "00a4000c02e103", "00b000000f", "00a4000c02e104", "00b0000210"]
        sent = [part for command in commands for part in ("--send-apdu", command)]
        done = subprocess.run(
            ["opensc-tool", "--reader", "0", *sent], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    assert done.returncode == 0, done.stderr
    assert "00 0F 20 00 F0 00 F0 04 06 E1 04 02 00 00 00" in done.stdout
    assert " 48 73 15 " in done.stdout.split("E1 04 02 00 00 00")[1].replace("\n", " "), done.stdout
    pcscd.settle()
