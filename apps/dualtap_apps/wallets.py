"""``wallet new|fund|show|history`` and ``sync``: a wallet in a folder, and its issuer beside it on this machine."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from dualtap import limits
from dualtap_apps.exits import Exit
from dualtap_apps.money import parse
from dualtap_apps.money import show as money
from dualtap_apps.output import emit, note, wallet_id
from dualtap_apps.schemes import Office, read_scheme
from dualtap_devices.disk import Label, created, opened, read_label
from dualtap_devices.models import MODELS
from dualtap_devices.syncing import SyncReport, sync
from dualtap_devices.wallet import Wallet


def today() -> int:
    """Return this machine's epoch: whole days since 1970."""
    return int(time.time()) // limits.EPOCH_SECONDS


def new(folder: Path, scheme_folder: Path, carrier: str, name: str, as_json: bool) -> Exit:
    """Make a key, have it certified, and let it join the scheme."""
    card = read_scheme(scheme_folder)
    label = Label(name, carrier, card.currency, card.suite, card.root, str(scheme_folder.resolve()))
    with Office.open(scheme_folder) as office, created(folder, label) as wallet:
        office.enrol(wallet, MODELS[carrier].carrier)
        identity = wallet_id(wallet.book.key)
    emit(
        as_json,
        {"wallet_id": identity, "name": name, "carrier": carrier, "currency": card.currency},
        f"{name}: a {carrier}, wallet {identity}, in {folder}",
        f"Next: dualtap wallet fund {folder} 100.00",
    )
    return Exit.OK


def fund(folder: Path, amount: str, as_json: bool) -> Exit:
    """Have the institution issue a token to this wallet, and fetch it."""
    label = read_label(folder)
    minor = parse(amount, label.currency)
    with opened(folder) as wallet, Office.open(Path(label.scheme)) as office:
        wallet.check()
        office.issue(wallet.book.key, minor)
        sync(wallet, office, secrets.token_bytes(32), deposit=False)
        available = wallet.book.available(today())
    emit(
        as_json,
        {"funded": minor, "available": available, "currency": label.currency},
        f"Funded {money(minor, label.currency)}; {money(available, label.currency)} can be paid offline",
    )
    return Exit.OK


def show(folder: Path, as_json: bool) -> Exit:
    """Show what a wallet holds."""
    label = read_label(folder)
    with opened(folder) as wallet:
        fields = summary(wallet, label)
    currency = label.currency
    emit(
        as_json,
        fields,
        f"{label.name}: {label.model}, wallet {fields['wallet_id']}"
        + (" (QUARANTINED: sync it)" if fields["quarantined"] else ""),
        f"  available            {money(_int(fields['available']), currency)}",
        f"  in doubt             {money(_int(fields['in_doubt']), currency)}",
        f"  received, unsettled  {money(_int(fields['received_unsettled']), currency)}",
        f"  payments left        {fields['payments_left']}",
        f"  counter              {fields['counter']}",
    )
    if fields["in_doubt"]:
        note("Tap the same device again, or sync: that settles what is in doubt.")
    return Exit.OK


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def summary(wallet: Wallet, label: Label) -> dict[str, object]:
    """Return what ``wallet show --json`` prints."""
    book = wallet.book
    return {
        "wallet_id": wallet_id(book.key),
        "name": label.name,
        "carrier": label.model,
        "currency": label.currency,
        "available": book.available(max(today(), book.trust.epoch)),
        "in_doubt": book.in_doubt(),
        "received_unsettled": book.received_unsettled(),
        "payments_left": book.payments_left(),
        "counter": book.counter,
        "quarantined": wallet.quarantined,
    }


def history(folder: Path, as_json: bool) -> Exit:
    """Show what happened to a wallet, oldest first."""
    read_label(folder)
    with opened(folder) as wallet:
        lines = list(wallet.book.history)
    fields = [
        {
            "what": line.what,
            "amount": line.amount,
            "currency": line.currency,
            "peer": wallet_id(line.peer),
            "receipt": line.transfer.hex(),
            "epoch": line.epoch,
        }
        for line in lines
    ]
    rows = [
        f"{line.what:<10} {money(line.amount, line.currency):>16}  {wallet_id(line.peer) or '-':<16}  "
        f"{line.transfer.hex()}"
        for line in lines
    ]
    emit(as_json, {"history": fields}, *(rows or ["Nothing yet"]))
    return Exit.OK


def sync_wallet(folder: Path, as_json: bool) -> Exit:
    """Sync a wallet with the issuer in its scheme's folder."""
    label = read_label(folder)
    with opened(folder) as wallet, Office.open(Path(label.scheme)) as office:
        report = sync(wallet, office, secrets.token_bytes(32), label.device.deposits)
        fields = summary(wallet, label)
    emit(as_json, {**_synced(report), **fields}, *_sentences(report, label))
    return Exit.OK


def _synced(report: SyncReport) -> dict[str, object]:
    return {
        "closed": report.closed,
        "deposited": report.deposited,
        "funded": report.funded,
        "healed": report.healed,
    }


def _sentences(report: SyncReport, label: Label) -> list[str]:
    lines = [f"{label.name} is synced"]
    if report.deposited:
        lines.append(f"Deposited {money(report.deposited, label.currency)}: at risk until its tokens' claim date")
    if report.funded:
        lines.append(f"Received {money(report.funded, label.currency)} in fresh tokens")
    if report.healed:
        lines.append(f"{report.healed} transfer{'s' * (report.healed != 1)} no longer in doubt")
    if report.closed:
        lines.append(f"Closed {report.closed} open request{'s' * (report.closed != 1)}")
    return lines
