"""``lan:`` between processes, over multicast DNS as zeroconf speaks it, on the loopback interface only."""

from __future__ import annotations

import importlib
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dualtap_apps.cli import run
from dualtap_transports.lan import SCHEME, ident_of
from dualtap_transports.mdns import Mdns

DUALTAP = [sys.executable, "-m", "dualtap_apps"]
PATIENCE = 60
HOST = "127.0.0.1"


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


@pytest.mark.parametrize("how", ["typed", "any"])
def test_two_processes_find_each_other_and_pay(town: Path, how: str) -> None:
    """§19.1-4: by the name that is shown, or by whoever is there, and then a person says yes to a code."""
    charge = subprocess.Popen(
        [*DUALTAP, "charge", str(town / "till"), "12.50", "--on", f"lan:new@{HOST}", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with charge:
        assert charge.stderr is not None
        where = charge.stderr.readline().rsplit(" on ", 1)[1].strip()
        assert re.fullmatch(rf"lan:[a-z2-7]{{4}}-[a-z2-7]{{4}}-[a-z2-7]{{4}}@{HOST}", where)
        on, said = (where, "") if how == "typed" else (f"lan:any@{HOST}", "y\n")
        yes = ["--yes"] if how == "typed" else []
        paid = subprocess.run(
            [*DUALTAP, "pay", str(town / "anna"), "--on", on, *yes, "--json"],
            input=said, capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        out, err = charge.communicate(timeout=PATIENCE)
    assert (paid.returncode, charge.returncode) == (0, 0), (paid.stderr, err)
    assert json.loads(paid.stdout)["result"] == "paid"
    assert json.loads(out)["result"] == "collected"
    shown = re.search(r"Code (\d{3} \d{3}):", err)
    assert shown
    assert (f"whose screen shows code {shown[1]}?" in paid.stderr) is (how == "any")


def test_what_is_announced_names_nobody_and_is_taken_back() -> None:
    """§19.1-1: a stranger who looks finds the name, the port, the address and no text."""
    zeroconf: Any = importlib.import_module("zeroconf")
    listener = SCHEME.listen(f"new@{HOST}")
    listener.introduce(bytes(range(16)))
    try:
        (name,) = Mdns().look(HOST, bool, PATIENCE)
        assert ident_of(name) == bytes(range(16))
        responder = zeroconf.Zeroconf(interfaces=[HOST])
        try:
            info = responder.get_service_info("_dualtap._tcp.local.", f"{name}._dualtap._tcp.local.", 3000)
        finally:
            responder.close()
        assert info is not None
        assert info.server == f"{name}.local."
        assert info.text in (None, b"", b"\0")
        assert socket.gethostname() not in f"{info}"
    finally:
        listener.close()
    assert Mdns().look(HOST, bool, 0.5) == ()
