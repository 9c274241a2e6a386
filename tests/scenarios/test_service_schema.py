"""Schemathesis against the running service: each document is true, whatever it is asked, and nothing breaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served import Town, serving

CONFIG = Path(__file__).parents[1] / "support" / "schemathesis.toml"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("side", ["devices", "admin"])
def test_schemathesis_finds_nothing(tmp_path: Path, side: str) -> None:
    town = Town(tmp_path / "town", suite="p256")
    town.wallets(100)
    with serving(town.folder) as service:
        address = service.devices if side == "devices" else service.admin
        command = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{address}/openapi.json",
            "--max-examples", "12", "--generation-deterministic", "--warnings", "off",
            "--header", f"Authorization: Bearer {service.token}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "No issues found" in done.stdout, done.stdout
        audit = service.call("GET", "/admin/audit")
    assert audit.status == 200
    assert audit.json["conflicts"] == []
