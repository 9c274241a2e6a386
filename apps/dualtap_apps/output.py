"""What commands print: people's text by default, one JSON object a line with ``--json``; diagnostics on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from dualtap import limits
from dualtap.events import Report
from dualtap.suite import sha256
from dualtap.ties import Restraint
from dualtap_apps.money import show
from dualtap_devices.cues import CUES


def emit(as_json: bool, fields: Mapping[str, object], *lines: str) -> None:
    """Print fields as JSON, or lines as text, on stdout."""
    text = json.dumps(fields) if as_json else "\n".join(lines)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Print a diagnostic on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def show_code(text: str) -> None:
    """Show a text as a QR code on stderr, if that is a terminal and the extra ``qr`` is installed."""
    if not sys.stderr.isatty():
        return
    try:
        import segno
    except ImportError:
        return
    segno.make(text, micro=False).terminal(sys.stderr, border=2, compact=True)


def wallet_id(key: bytes) -> str:
    """Return the 16 hex digits by which people know a wallet key; empty for none."""
    return sha256(key)[:8].hex() if key else ""


def is_name(text: str) -> bool:
    """Tell whether a text is a wallet's name, and no folder."""
    return len(text) == 16 and all(digit in "0123456789abcdef" for digit in text) and not Path(text).exists()


def restrained(restraint: Restraint, currency: str) -> str:
    """Return what a restraint means to a wallet, as a person reads it: a sentence without its subject."""
    if restraint.frozen:
        return "is turned off: it pays nothing"
    ways = ((restraint.payment, "at once"), (restraint.day, "a day"))
    most = [f"{show(amount, currency)} {when}" for amount, when in ways if amount < limits.AMOUNT]
    return f"pays at most {' and '.join(most)}" if most else "pays as its tier allows"


def report_fields(report: Report) -> dict[str, object]:
    """Return a report as JSON fields. Amounts are in minor units."""
    code = report.code
    return {
        "result": report.result.value,
        "amount": report.amount,
        "currency": report.currency,
        "receipt": report.transfer.hex(),
        "peer": wallet_id(report.peer),
        "error": None if code is None else getattr(code, "name", str(code)),
    }


def report_text(report: Report) -> str:
    """Return a report as a person reads it."""
    return CUES[report.result].english.format(amount=show(report.amount, report.currency))
