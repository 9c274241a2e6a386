"""A merchant's day at the command line: shifts, Z-total, payout, export."""

from __future__ import annotations

import csv
import io
import json
from typing import cast

from tests.scenarios import test_cli
from tests.scenarios.test_cli import Town

town = test_cli.town


def test_a_merchants_day(town: Town) -> None:
    """§16-12: the Z-total is what was deposited, and the payout says that it is at risk."""
    town.wallet("anna", "watch", "50.00")
    town.wallet("shop", "pos")
    assert town.run("pos", "report", "@shop", expect=2) == ""
    assert "no shift yet" in town.errors
    assert town.json("pos", "open", "@shop") == {"shift": 1, "open": True}
    town.run("pos", "open", "@shop", expect=2)
    receipt = str(town.tap("anna", "shop", "12.50")[1]["receipt"])
    town.tap("anna", "shop", "7.50")
    day = town.json("pos", "close", "@shop")
    (total,) = cast("list[dict[str, object]]", day["totals"])
    assert (day["open"], total["payments"], total["sum"], total["net"]) == (False, 2, 2000, 2000)
    assert day["payouts"] == []
    assert town.json("sync", "@shop")["deposited"] == 2000
    (payout,) = cast("list[dict[str, object]]", town.json("pos", "report", "@shop")["payouts"])
    assert (payout["deposited"], payout["at_risk"], payout["final"], payout["lost"]) == (2000, 2000, 0, 0)
    assert town.json("scheme", "audit", "@town")["at_risk"] == 2000
    rows = list(csv.DictReader(io.StringIO(town.run("pos", "report", "@shop", "--shift", "1", "--csv"))))
    taken = [row for row in rows if row["what"] == "received"]
    assert [row["amount"] for row in taken] == ["1250", "750"]
    assert taken[0]["receipt"] == receipt
    lines = [json.loads(line) for line in town.run("pos", "report", "@shop", "--shift", "1", "--jsonl").splitlines()]
    assert [line["what"] for line in lines] == ["opened", "received", "received", "closed"]
    assert all(type(line["amount"]) is int for line in lines)
    assert "Z-total" in town.run("pos", "report", "@shop", "--shift", "1")
    town.run("pos", "report", "@shop", "--csv", "--json", expect=2)
    town.run("pos", "report", "@shop", "--shift", "9", expect=2)
    town.run("pos", "report", "@anna", expect=2)
    assert "only a till" in town.errors
