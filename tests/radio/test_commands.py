"""``dualtap charge`` and ``dualtap pay``, two processes, over nfcpy's UDP device and over pcscd."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from dualtap_apps.cli import run
from tests.support.pcscd import Pcscd

DUALTAP = [sys.executable, "-m", "dualtap_apps"]
PATIENCE = 60


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A scheme and the wallets of a till and of a customer."""
    steps = (
        ["scheme", "new", "@town", "--currency", "CNY"],
        ["wallet", "new", "@till", "--scheme", "@town", "--carrier", "pos", "--name", "till"],
        ["wallet", "new", "@anna", "--scheme", "@town", "--carrier", "card", "--name", "anna"],
        ["wallet", "fund", "@anna", "100.00"],
    )
    for step in steps:
        assert run([str(tmp_path / part[1:]) if part.startswith("@") else part for part in step]) == 0
    return tmp_path


def tap(town: Path, listen: str, reader: str) -> tuple[dict[str, object], dict[str, object]]:
    """Charge at ``listen`` and pay there, or at ``reader`` where the card's reader has a name of its own."""
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
    return cast("dict[str, object]", json.loads(paid.stdout)), cast("dict[str, object]", json.loads(out))


@pytest.mark.parametrize("more", ["", "?extended"])
def test_pay_and_charge_over_nfc(town: Path, more: str) -> None:
    paid, collected = tap(town, f"nfc:udp:127.0.0.1:0{more}", "")
    assert (paid["result"], collected["result"]) == ("paid", "collected")
    assert (paid["amount"], collected["amount"]) == (1250, 1250)


@pytest.mark.parametrize("more", ["", "?extended"])
def test_pay_and_charge_over_pcsc(town: Path, pcscd: Pcscd, more: str) -> None:
    paid, collected = tap(town, f"vpcd:{pcscd.addresses[0]}{more}", f"pcsc:{pcscd.readers[0]}{more}")
    assert (paid["result"], collected["result"]) == ("paid", "collected")
    assert (paid["amount"], collected["amount"]) == (1250, 1250)


@pytest.mark.parametrize("address", ["nfc:usb", "nfc:nonsense", "pcsc:no such reader", "vpcd:127.0.0.1:1"])
def test_a_radio_that_is_not_there_is_named(
    town: Path, pcscd: Pcscd, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del pcscd
    command = "charge" if address.startswith("vpcd") else "pay"
    code = run([command, str(town / "anna"), *(["1.00"] if command == "charge" else []), "--on", address])
    said = capsys.readouterr().err
    assert code == 2
    assert "BAD_INPUT" in said
    assert "Traceback" not in said
