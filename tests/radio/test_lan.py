"""``lan:`` between processes, over multicast DNS as zeroconf speaks it, on the loopback interface only."""

from __future__ import annotations

import importlib
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from dualtap_transports.lan import SCHEME, ident_of
from dualtap_transports.mdns import Mdns
from tests.support.commands import PATIENCE, tap

HOST = "127.0.0.1"


@pytest.mark.parametrize("how", ["typed", "any"])
def test_two_processes_find_each_other_and_pay(town: Path, how: str) -> None:
    """§19.1-4: by the name that is shown, or by whoever is there, and then a person says yes to a code."""
    listen = f"lan:new@{HOST}"
    tapped = tap(town, listen) if how == "typed" else tap(town, listen, f"lan:any@{HOST}", yes=False, told="y\n")
    assert re.fullmatch(rf"lan:[a-z2-7]{{4}}-[a-z2-7]{{4}}-[a-z2-7]{{4}}@{HOST}", tapped.where)
    shown = re.search(r"Code (\d{3} \d{3}):", tapped.till)
    assert shown
    assert (f"whose screen shows code {shown[1]}?" in tapped.payer) is (how == "any")


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
