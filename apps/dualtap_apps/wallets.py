"""``wallet new|fund|show|history``: a wallet in a folder, and its issuer beside it on this machine."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from dualtap.account import amount_of
from dualtap.conditions import uses
from dualtap.errors import Code, TapError
from dualtap.standing import Standing
from dualtap.ties import FREE, Restraint
from dualtap_apps.exits import Exit
from dualtap_apps.keyring import MAKER, Keyring
from dualtap_apps.money import parse
from dualtap_apps.money import show as money
from dualtap_apps.output import emit, restrained, wallet_id
from dualtap_apps.pins import state as pin_state
from dualtap_apps.purposes import category, parse_conditions
from dualtap_apps.rulings import tier_number
from dualtap_apps.schemes import Joining, Office, check_there, read_scheme, today
from dualtap_devices.cues import NEWS as CUES
from dualtap_devices.disk import Label, created, opened, read_label
from dualtap_devices.models import MODELS
from dualtap_devices.remote import HttpCarrier, is_address
from dualtap_devices.syncing import SyncReport, sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.listing import BANK
from dualtap_issuer.makers import CHIP, attest


class Summary(NamedTuple):
    """What ``wallet show --json`` prints; amounts in minor units."""

    wallet_id: str
    key: str
    name: str
    carrier: str
    currency: str
    available: int
    in_doubt: int
    received_unsettled: int
    payments_left: int
    counter: int
    quarantined: bool
    pin: str
    restraint: Restraint
    uses: list[dict[str, int]]
    """Of each token whose payments are counted: how many are left, of how many, and what is left of it to pay."""


class Options(NamedTuple):
    """How a wallet joins, as it is typed: bank and maker by name, tier by name or number, merchant code."""

    bank: str = ""
    category: str = ""
    tier: str = ""
    maker: str = ""


NONE = Options()


def summary(wallet: Wallet, label: Label) -> Summary:
    """Return what a wallet holds."""
    book = wallet.book
    return Summary(
        wallet_id(book.key),
        book.key.hex(),
        label.name,
        label.model,
        label.currency,
        book.available(max(today(), book.trust.epoch)),
        sum(one.book.in_doubt() for one in (wallet, *wallet.retired)),
        book.received_unsettled(),
        book.payments_left(),
        book.counter,
        wallet.quarantined,
        pin_state(wallet),
        book.ties.restraint(),
        counted(wallet),
    )


def counted(wallet: Wallet) -> list[dict[str, int]]:
    """Return how many uses are left of each token whose payments are counted, and its units that are left."""
    book = wallet.book
    epoch = max(today(), book.trust.epoch)
    return [
        {
            "left": left,
            "of": uses(book.graph.tokens[token]) or 0,
            "amount": sum(held.amount for held in book.holdings if held.token == token and book.spendable(held, epoch)),
        }
        for token, left in book.uses_left(epoch).items()
    ]


def doubts(wallet: Wallet) -> list[str]:
    """Return a sentence for each transfer in doubt: until when, at the latest (SPEC §16)."""
    lines: list[str] = []
    pending = [(one.book, sent) for one in (*wallet.retired, wallet) for sent in one.book.pending.values()]
    for book, sent in pending:
        transfer = sent.transfer
        until = date(1970, 1, 1) + timedelta(days=book.claim_by(transfer))
        amount = money(amount_of(transfer), book.currency(transfer))
        payee = wallet_id(transfer.body.payee)
        lines.append(
            f"{amount} in doubt until wallet {payee} is tapped again or syncs, at the latest {until.isoformat()}"
        )
    return lines


def news(wallet: Wallet) -> list[str]:
    """Return what a wallet's person must be told: that evidence names it, and how what it deposited stands.

    Of doubts that are gone nothing is said.
    """
    lines = list[str]()
    if _is_listed(wallet):
        lines.append("This wallet is on the hotlist: no device pays it, or takes its payments. Ask its institution")
    for line in wallet.book.told.values():
        if line.standing is not Standing.IN_DOUBT:  # of these, the wallet itself knows more: see doubts
            day = date(1970, 1, 1) + timedelta(days=line.epoch)
            amount = money(line.amount, line.currency)
            lines.append(CUES[line.standing].english.format(amount=amount, date=day.isoformat()))
    return lines


def _is_listed(wallet: Wallet) -> bool:
    """Return whether the policy that a wallet knows has it on the hotlist."""
    policy = wallet.book.trust.policy
    return policy is not None and wallet.book.key in policy.hotlist


def standing_of(wallet: Wallet) -> list[dict[str, object]]:
    """Return the same for machines: each transfer, how it stands, until or since which epoch, and its amount."""
    return [
        {**line._asdict(), "transfer": line.transfer.hex(), "standing": line.standing.name.lower()}
        for line in wallet.book.told.values()
    ]


def new(
    folder: Path, scheme_folder: Path, carrier: str, name: str, as_json: bool, issuer: str = "", options: Options = NONE
) -> Exit:
    """Make a key, have it certified, and let it join the scheme. It syncs at the address ``issuer``, or the folder."""
    if not name.strip() or not name.isprintable():
        raise TapError(Code.BAD_INPUT, "a name is one line of text, such as Anna")
    card = read_scheme(scheme_folder)
    if issuer:
        HttpCarrier(issuer).close()  # raises for what is no address
    label = Label(name, carrier, card.currency, card.suite, card.root, issuer or str(scheme_folder.resolve()))
    keyring = Keyring(scheme_folder)
    home = keyring.institution_of(keyring.read(BANK, options.bank).certified.hint) if options.bank else ""
    tier = tier_number(options.tier) if options.tier else 0
    merchant = category(options.category) if options.category else 0
    maker = keyring.read(MAKER, options.maker).signer if options.maker else None
    with Office.open(scheme_folder, institution=home) as office:
        office.check_tier(tier)
        with created(folder, label) as wallet:
            said = b""
            if maker is not None:
                chip, model = secrets.token_bytes(CHIP), MODELS[carrier].carrier
                said = attest(wallet.book.scheme, maker, chip, carrier, model, wallet.book.key)
            office.enrol(wallet, MODELS[carrier].carrier, Joining(options.bank, merchant, tier, said))
            identity = wallet_id(wallet.book.key)
    emit(
        as_json,
        {"wallet_id": identity, "name": name, "carrier": carrier, "currency": card.currency},
        f"{name}: a {carrier}, wallet {identity}, in {folder}",
        f"Next: {_next(shlex.quote(str(folder)), MODELS[carrier].deposits, issuer)}",
    )
    return Exit.OK


def _next(folder: str, deposits: bool, issuer: str) -> str:
    """Return what a person would try with a new wallet."""
    if deposits:
        return f"dualtap charge {folder} 12.50 --on tcp:127.0.0.1:7000"
    if is_address(issuer):
        return f"have its issuer issue to it (POST /admin/issue), then dualtap sync {folder}"
    return f"dualtap wallet fund {folder} 100.00"


def fund(folder: Path, amount: str, as_json: bool, conditions: Sequence[str] = ()) -> Exit:
    """Have the wallet's institution issue a token to it, perhaps for a purpose, and fetch it."""
    label = read_label(folder)
    if is_address(label.scheme):
        call = "POST /admin/issue with the wallet's public key; then `dualtap sync`"
        raise TapError(Code.BAD_INPUT, f"{label.scheme} issues by its administrative call, {call}")
    minor = parse(amount, label.currency)
    bound = parse_conditions(conditions, label.anchor().suite, label.currency)
    with opened(folder) as wallet, home_of(wallet, Path(label.scheme)) as office:
        wallet.check()
        office.issue(wallet.book.key, minor, bound)
        sync(wallet, office, secrets.token_bytes(32), deposit=False)
        available = wallet.book.available(today())
    emit(
        as_json,
        {"funded": minor, "available": available, "currency": label.currency, "conditions": len(bound)},
        f"Funded {money(minor, label.currency)}; {money(available, label.currency)} available",
    )
    return Exit.OK


def home_of(wallet: Wallet, folder: Path) -> AbstractContextManager[Office]:
    """Open a scheme's folder as the institution of a wallet, where its key is there; else as the first."""
    check_there(folder)
    return Office.open(folder, institution=Keyring(folder).institution_of(wallet.book.certificate.issuer))


def show(folder: Path, as_json: bool) -> Exit:
    """Show what a wallet holds."""
    label = read_label(folder)
    with opened(folder) as wallet:
        found, told = summary(wallet, label), [*doubts(wallet), *news(wallet)]
        standing, listed = standing_of(wallet), _is_listed(wallet)
    currency = label.currency
    emit(
        as_json,
        {**found._asdict(), "restraint": found.restraint._asdict(), "news": standing, "hotlisted": listed},
        f"{label.name}: {label.model}, wallet {found.wallet_id}" + " (QUARANTINED: sync it)" * found.quarantined,
        f"  public key           {found.key}",
        *([f"  {restrained(found.restraint, currency)}"] * (found.restraint != FREE)),
        f"  available            {money(found.available, currency)}",
        f"  in doubt             {money(found.in_doubt, currency)}",
        f"  received, unsettled  {money(found.received_unsettled, currency)}",
        f"  payments left        {found.payments_left}",
        f"  counter              {found.counter}",
        f"  PIN                  {found.pin}",
        *(
            f"  uses left            {one['left']} of {one['of']}, for {money(one['amount'], currency)}"
            for one in found.uses
        ),
        *(f"  {line}" for line in told),
    )
    return Exit.OK


def history(folder: Path, as_json: bool) -> Exit:
    """Show what happened to a wallet, oldest first."""
    read_label(folder)
    with opened(folder) as wallet:
        lines = [line for one in (*wallet.retired, wallet) for line in one.book.history]
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


def synced(report: SyncReport, wallet: Wallet, label: Label, as_json: bool) -> None:
    """Print what a sync did, and what the wallet holds then."""
    found, told = summary(wallet, label), [*doubts(wallet), *news(wallet)]
    emit(as_json, {**asdict(report), **found._asdict()}, *sentences(report, label), *told)


def sentences(report: SyncReport, label: Label) -> list[str]:
    """Return what a sync did, a sentence each."""
    lines = [f"{label.name} is synced"]
    if report.deposited:
        lines.append(f"Deposited {money(report.deposited, label.currency)}: at risk until its tokens' claim date")
    if report.funded:
        lines.append(f"Received {money(report.funded, label.currency)} in fresh tokens")
    if report.renewed:
        lines.append(f"{money(report.renewed, label.currency)} of it in place of restored or far-travelled value")
    if report.healed:
        lines.append(f"{report.healed} transfer{'s' * (report.healed != 1)} no longer in doubt")
    if report.closed:
        lines.append(f"Closed {report.closed} open request{'s' * (report.closed != 1)}")
    return lines
