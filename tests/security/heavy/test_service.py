"""Beside an issuer's service, a day leaves no secret either: in its logs, metrics, journal, pages and ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dualtap.suite import SUITES
from tests.support.served import serving
from tests.support.tour import touring
from tests.support.watching import leaks, watched


@pytest.mark.parametrize("suite", SUITES)
def test_a_service_writes_no_secret(tmp_path: Path, suite: str) -> None:
    """§17-5."""
    with watched() as watch, touring(tmp_path, suite) as tour:
        tour.play()
        with serving(tour.folder / "town") as service:
            for name in ("anna", "shop", "card"):
                tour.run("sync", f"@{name}", "--issuer", service.devices, "--log-level", "traffic")
            tour.run("wallet", "rotate", "@card", "--issuer", service.devices)
            pages = [service.call("GET", page).body for page in ("/metrics", "/admin/audit", "/openapi.json")]
            token = service.token.encode()
    for path in (tour.folder / "town" / "keys").glob("*.json"):
        watch.secret("a key of the issuer", bytes.fromhex(json.loads(path.read_text())["secret"]))
    watch.secret("the administration's token", token)
    places = [(name, data) for name, data in tour.places() if name != "town/admin.token"]
    assert {"town/service.log", "town/admin.log"} <= set(dict(places))
    assert "the administration's token in town/admin.token" in leaks(watch.secrets, tour.places())
    assert leaks(watch.secrets, [*places, *((f"page {at}", page) for at, page in enumerate(pages))]) == set()
    assert watch.repeated() == []
