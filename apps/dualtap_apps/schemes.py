"""``scheme new|audit`` and ``evidence verify``: a scheme in a folder, with its keys and its ledger.

``scheme.json`` says what the scheme is, ``secrets.json`` holds its keys (for trials: a bank keeps them in hardware),
``ledger.sqlite`` is the ledger, ``evidence/`` the proofs that audits wrote.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.evidence import verify_evidence
from dualtap.keystore import sign_with
from dualtap.statements import Carrier, PresentBody, Role, Tier
from dualtap.suite import SUITES, sha256
from dualtap.wire import signed
from dualtap_apps.exits import Exit
from dualtap_apps.money import show
from dualtap_apps.output import emit, wallet_id
from dualtap_devices.disk import opened
from dualtap_devices.wallet import Wallet
from dualtap_issuer.audit import account, take_store
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.rules import World
from dualtap_issuer.store import Store

QUOTA = 1_000_000
"""Wallets that the partner bank may certify."""
SPEND, GRACE = 365, 90
"""Epochs (days) in which a token can be spent offline, and then claimed."""
WALLET_TIER = Tier(1, payment=500_000, payments=100, receipts=500, received=10_000_000)
TILL_TIER = Tier(2, payment=500_000, payments=1_000, receipts=100_000, received=limits.AMOUNT)


@dataclass(frozen=True, slots=True)
class Card:
    """What ``scheme.json`` says: suite, root key (hex), currency, and when the authorities expire."""

    suite: str
    root: str
    currency: str
    expires: int


def today() -> int:
    """Return this machine's epoch: whole days since 1970."""
    return int(time.time()) // limits.EPOCH_SECONDS


def read_scheme(folder: Path) -> Card:
    """Return a folder's card; raise ``ISSUER_UNREACHABLE`` if there is no scheme."""
    try:
        found: object = json.loads((folder / "scheme.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TapError(Code.ISSUER_UNREACHABLE, f"no scheme in {folder}; make one with `dualtap scheme new`") from error
    fields = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    suite, root, currency, expires = (fields.get(name) for name in ("suite", "root", "currency", "expires"))
    if not (isinstance(suite, str) and isinstance(root, str) and isinstance(currency, str)) or suite not in SUITES:
        raise TapError(Code.ISSUER_UNREACHABLE, f"{folder}/scheme.json is damaged")
    return Card(suite, root, currency, expires if isinstance(expires, int) else 0)


def create(folder: Path, currency: str, suite: str) -> Card:
    """Make a scheme in a new folder; raise ``BAD_INPUT`` if something is there, or for no currency."""
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise TapError(Code.BAD_INPUT, f"{currency!r} is not an ISO 4217 code; write it like CNY")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TapError(Code.BAD_INPUT, f"{folder} exists; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    keys = Secrets(*(secrets.token_bytes(32) for _ in range(4)))
    root = SUITES[suite].signer(keys.root).public
    card = Card(suite, root.hex(), currency, today() + 20 * 365)
    path = folder / "secrets.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump([key.hex() for key in keys], file)
    Store(folder / "ledger.sqlite").close()
    # Written last: a folder without a card is no scheme, so that a cut leaves none half made.
    (folder / "scheme.json").write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    return card


class Office:
    """An open scheme: its ledger, with this machine's clock and randomness. It is a wallet's issuer."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Generator[Office]:
        """Open the scheme in a folder; raise ``ISSUER_UNREACHABLE``."""
        card = read_scheme(folder)
        try:
            keys = [bytes.fromhex(key) for key in json.loads((folder / "secrets.json").read_text(encoding="utf-8"))]
            held = Secrets(*keys)
        except (OSError, ValueError, TypeError) as error:
            raise TapError(Code.ISSUER_UNREACHABLE, f"{folder} has lost its keys") from error
        store = Store(folder / "ledger.sqlite")
        try:
            authority = SchemeAuthority(SUITES[card.suite], held, store, card.expires, QUOTA)
            terms = Terms(card.currency, SPEND, GRACE, limits.HOPS, (WALLET_TIER, TILL_TIER))
            yield cls(Ledger(store, authority, terms))
        finally:
            store.close()

    def challenge(self) -> bytes:
        """Return 32 fresh bytes, good for one answer."""
        return self.ledger.challenge(secrets.token_bytes(32))

    def sync(self, signed_upload: bytes) -> bytes:
        """Take an upload, stamped today, and return the reply's bytes."""
        return self.ledger.sync(signed_upload, today())

    def issue(self, owner: bytes, amount: int) -> None:
        """Issue a token to a wallet key, to be fetched by its next sync."""
        self.ledger.issue(owner, amount, today(), secrets.token_bytes(8))

    def enrol(self, wallet: Wallet, carrier: Carrier) -> None:
        """Certify the key of a new wallet, which proves that it holds it, and let it join."""
        book, challenge = wallet.book, self.challenge()
        present = signed(book.scheme.id, book.key, PresentBody(challenge, True, today()))
        proof = present.sealed(sign_with(wallet.keystore, present))
        tier = TILL_TIER if carrier is Carrier.POS else WALLET_TIER
        expires = today() + SPEND
        certificate = self.ledger.certify(proof, carrier, tier.number, Role.PAY | Role.COLLECT, expires)
        wallet.write(self.ledger.news(today(), certificate))


def new(folder: Path, currency: str, suite: str, as_json: bool) -> Exit:
    """Make a scheme, and print its root key."""
    card = create(folder, currency.upper(), suite)
    root = f"{suite}:{card.root}"
    emit(
        as_json,
        {"scheme": str(folder), "root": root, "currency": card.currency, "suite": suite},
        f"A scheme in {folder}, in {card.currency}",
        f"Root key {root}",
        f"Next: dualtap wallet new anna --scheme {folder} --carrier watch --name Anna",
    )
    return Exit.OK


@dataclass(frozen=True, slots=True)
class AuditFields:
    """What an audit found, in minor units; the last four are known only with the wallets' stores."""

    issued: int
    settled: int
    at_risk: int
    outstanding: int
    overspend: int
    conflicts: list[dict[str, str]]
    held: int = 0
    in_doubt: int = 0
    accounted: bool | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the fields, without those that are not known."""
        fields: dict[str, object] = asdict(self)
        if self.accounted is None:
            for name in ("held", "in_doubt", "accounted"):
                del fields[name]
        return fields


def audit_fields(folder: Path, wallets: Sequence[Path]) -> AuditFields:
    """Audit a ledger, write the evidence files, and count the stores of these wallets.

    ``settled`` is then what the stores' own count settles. Raises ``LEDGER_CORRUPT``.
    """
    with Office.open(folder) as office, ExitStack() as stack:
        ledger = office.ledger
        audit = ledger.audit()
        conflicts = [
            {"wallet_id": named.wallet_id, "kind": named.kind, "evidence": str(_write(folder, named.evidence))}
            for named in audit.conflicts
        ]
        fields = AuditFields(audit.issued, audit.settled, audit.at_risk, audit.outstanding, audit.overspend, conflicts)
        if not wallets:
            return fields
        everything = ledger.facts()
        for path in wallets:
            wallet = stack.enter_context(opened(path))
            if wallet.book.scheme.id != ledger.scheme.id:
                raise TapError(Code.WRONG_SCHEME, f"{path} belongs to another scheme")
            take_store(everything, ledger.trust, wallet.book, today())
        count = account(
            ledger.world(),
            ledger.conflicts(),
            ledger.store.settled(),
            World(everything, ledger.institutions),
            audit.currency,
        )
        accounted = count.issued + count.overspend == count.held + count.in_doubt + count.settled
        return AuditFields(
            audit.issued,
            audit.settled,
            audit.at_risk,
            audit.outstanding,
            audit.overspend,
            conflicts,
            count.held,
            count.in_doubt,
            accounted,
        )


def _write(folder: Path, evidence: bytes) -> Path:
    """Write evidence under its digest, and return its path. The same evidence is one file."""
    place = folder / "evidence"
    place.mkdir(exist_ok=True)
    path = place / f"{sha256(evidence)[:16].hex()}.evidence"
    path.write_bytes(evidence)
    return path


def audit(folder: Path, wallets: Sequence[Path], as_json: bool) -> Exit:
    """Print an audit; exit code 4 if anybody is named."""
    currency = read_scheme(folder).currency
    found = audit_fields(folder, wallets)
    lines = [
        f"issued      {show(found.issued, currency)}",
        f"settled     {show(found.settled, currency)} (at risk {show(found.at_risk, currency)})",
        f"outstanding {show(found.outstanding, currency)}",
        f"overspend   {show(found.overspend, currency)}",
    ]
    if found.accounted is not None:
        lines.append(f"held        {show(found.held, currency)}; in doubt {show(found.in_doubt, currency)}")
        verdict = "every unit is accounted for" if found.accounted else "NOT every unit is accounted for"
        lines.append(
            f"{verdict} (a wallet that is not listed, or has not synced, is missing)" * (not found.accounted) or verdict
        )
    lines += [f"named: wallet {item['wallet_id']} ({item['kind']}), {item['evidence']}" for item in found.conflicts]
    if not found.conflicts:
        lines.append("nobody is named")
    emit(as_json, found.as_dict(), *lines)
    return Exit.DOUBLE_SPEND if found.conflicts else Exit.OK


def verify(file: Path, root: str, as_json: bool) -> Exit:
    """Verify a file of evidence with nothing but the root key."""
    suite, _, digits = root.rpartition(":")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if not key or (suite and suite not in SUITES):
        raise TapError(Code.BAD_INPUT, "a root key is written like p256:02ab…, as `dualtap scheme new` prints it")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise TapError(Code.BAD_INPUT, f"{file} cannot be read") from error
    verdict = verify_evidence(data, key)
    kind = verdict.fraud.name.lower()
    named = wallet_id(verdict.key)
    emit(
        as_json,
        {"wallet_id": named, "kind": kind, "key": verdict.key.hex()},
        f"This proves that wallet {named} cheated: {kind}",
    )
    return Exit.OK
