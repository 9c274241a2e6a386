"""``pos open|close|report``: a merchant's day, from the till's own file of shifts."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from dualtap.errors import Code, TapError
from dualtap_apps.exits import Exit
from dualtap_apps.money import show
from dualtap_apps.output import emit, wallet_id
from dualtap_devices.disk import opened, read_label
from dualtap_devices.shifts import Entry, Shifts, payouts, totals


def _shifts(folder: Path) -> Shifts:
    """Return a till's shifts, with all that its wallet knows; raise ``BAD_INPUT`` for another kind of wallet."""
    label = read_label(folder)
    if not label.device.deposits:
        raise TapError(Code.BAD_INPUT, f"{label.name} is a {label.model}: only a till has shifts")
    with opened(folder):
        pass  # what is new is taken over
    return Shifts(folder)


def begin(folder: Path, as_json: bool) -> Exit:
    """Open a shift."""
    number = _shifts(folder).begin(int(time.time()))
    emit(as_json, {"shift": number, "open": True}, f"Shift {number} is open")
    return Exit.OK


def end(folder: Path, as_json: bool) -> Exit:
    """Close the shift, and print its Z-total."""
    shifts = _shifts(folder)
    number = shifts.end(int(time.time()))
    return _print(shifts, number, as_json)


def report(folder: Path, shift: int | None, as_json: bool, as_csv: bool, as_lines: bool) -> Exit:
    """Print the Z-total and payout of a shift, the last by default, or its lines."""
    shifts = _shifts(folder)
    number = shifts.number if shift is None else shift
    if not shifts.number:
        raise TapError(Code.BAD_INPUT, "this till has had no shift yet; open one with `dualtap pos open`")
    if as_csv:
        sys.stdout.write(_csv(shifts.of(number)))
    elif as_lines:
        sys.stdout.write("".join(json.dumps(_fields(entry)) + "\n" for entry in shifts.of(number)))
    else:
        return _print(shifts, number, as_json)
    return Exit.OK


def _print(shifts: Shifts, number: int, as_json: bool) -> Exit:
    entries = shifts.of(number)
    closed = any(entry.what == "closed" for entry in entries)
    sums, paid = totals(entries, shifts.entries), payouts(entries, shifts.entries)
    lines = [f"Shift {number}, {'closed' if closed else 'open'}"]
    for one in sums:
        lines += [
            f"  {one.payments} payments{'':<9}{show(one.sum, one.currency):>18}",
            f"  {one.refunds} refunds{'':<10}{show(one.refunded, one.currency):>18}",
            f"  Z-total{'':<12}{show(one.net, one.currency):>18}",
            f"  from {_time(one.first)} to {_time(one.last)}",
        ]
    for pay in paid:
        lines.append(f"  deposited {show(pay.deposited, pay.currency)}: "
                     f"waiting {show(pay.waiting, pay.currency)}, received {show(pay.received, pay.currency)}, "
                     f"at risk {show(pay.at_risk, pay.currency)}, final {show(pay.final, pay.currency)}, "
                     f"lost {show(pay.lost, pay.currency)}")  # fmt: skip
    fields = {
        "shift": number,
        "open": not closed,
        "totals": [one._asdict() for one in sums],
        "payouts": [one._asdict() for one in paid],
    }
    emit(as_json, fields, *lines, *([] if sums else ["  nothing was taken"]))
    return Exit.OK


def _fields(entry: Entry) -> dict[str, object]:
    """Return a line as it is exported: amounts in minor units, the other wallet by its id."""
    return {
        "shift": entry.shift, "at": _time(entry.at), "what": entry.what, "amount": entry.amount,
        "currency": entry.currency, "peer": wallet_id(bytes.fromhex(entry.peer)), "receipt": entry.transfer,
        "epoch": entry.epoch,
    }  # fmt: skip


def _csv(entries: list[Entry]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_fields(entries[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_fields, entries))
    return text.getvalue()


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else "-"
