"""``dualtap charge`` and ``dualtap pay``, two processes, over nfcpy's UDP device and over pcscd."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualtap_apps.cli import run
from tests.support.commands import tap
from tests.support.pcscd import Pcscd


@pytest.fixture
def people() -> tuple[tuple[str, str], ...]:
    return (("till", "pos"), ("anna", "card"))


@pytest.mark.parametrize("more", ["", "?extended"])
def test_pay_and_charge_over_nfc(town: Path, more: str) -> None:
    tap(town, f"nfc:udp:127.0.0.1:0{more}")


@pytest.mark.parametrize("more", ["", "?extended"])
def test_pay_and_charge_over_pcsc(town: Path, pcscd: Pcscd, more: str) -> None:
    tap(town, f"vpcd:{pcscd.addresses[0]}{more}", f"pcsc:{pcscd.readers[0]}{more}")


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
