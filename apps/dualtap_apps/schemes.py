"""``scheme new``: a scheme in a folder, with its keys and its ledger; and the office that wallets reach in it.

``scheme.json`` says what the scheme is, ``secrets.json`` holds its keys (for trials: a bank keeps them in hardware),
``ledger.sqlite`` is the ledger, ``evidence/`` the proofs that audits wrote.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.keystore import sign_with
from dualtap.statements import Carrier, PresentBody, Role, Tier
from dualtap.suite import SUITES
from dualtap.wire import signed
from dualtap_apps.exits import Exit
from dualtap_apps.output import emit
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.store import Store

QUOTA = 1_000_000
"""Wallets that the partner bank may certify."""
SPEND, GRACE = 365, 90
"""Epochs (days) in which a token can be spent offline, and then claimed."""
WALLET_TIER = Tier(1, payment=500_000, payments=100, receipts=500, received=10_000_000)
TILL_TIER = Tier(2, payment=500_000, payments=1_000, receipts=100_000, received=limits.AMOUNT)


@dataclass(frozen=True, slots=True)
class SchemeFile:
    """What ``scheme.json`` says: suite, root key (hex), currency, and when the authorities expire."""

    suite: str
    root: str
    currency: str
    expires: int


def today() -> int:
    """Return this machine's epoch: whole days since 1970."""
    return int(time.time()) // limits.EPOCH_SECONDS


def read_scheme(folder: Path) -> SchemeFile:
    """Return a folder's card; raise ``ISSUER_UNREACHABLE`` if there is no scheme."""
    try:
        found: object = json.loads((folder / "scheme.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TapError(Code.ISSUER_UNREACHABLE, f"no scheme in {folder}; make one with `dualtap scheme new`") from error
    fields = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    suite, root, currency, expires = (fields.get(name) for name in ("suite", "root", "currency", "expires"))
    if not (isinstance(suite, str) and isinstance(root, str) and isinstance(currency, str)) or suite not in SUITES:
        raise TapError(Code.ISSUER_UNREACHABLE, f"{folder}/scheme.json is damaged")
    return SchemeFile(suite, root, currency, expires if isinstance(expires, int) else 0)


def create(folder: Path, currency: str, suite: str) -> SchemeFile:
    """Make a scheme in a new folder; raise ``BAD_INPUT`` if something is there, or for no currency."""
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise TapError(Code.BAD_INPUT, f"{currency!r} is not an ISO 4217 code; write it like CNY")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TapError(Code.BAD_INPUT, f"{folder} exists; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    keys = Secrets(*(secrets.token_bytes(32) for _ in range(4)))
    root = SUITES[suite].signer(keys.root).public
    card = SchemeFile(suite, root.hex(), currency, today() + 20 * 365)
    path = folder / "secrets.json"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump([key.hex() for key in keys], file)
    Store.open(folder / "ledger.sqlite").close()
    # Written last: a folder without a card is no scheme, so that a cut leaves none half made.
    (folder / "scheme.json").write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    return card


class Office:
    """An open scheme: its ledger, with this machine's clock and randomness. It is a wallet's issuer."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @classmethod
    @contextmanager
    def open(cls, folder: Path, db: str = "") -> Generator[Office]:
        """Open the scheme in a folder; raise ``ISSUER_UNREACHABLE``.

        ``db`` is where its ledger is, as :meth:`Store.open` takes it; without one, it is beside the keys.
        """
        card = read_scheme(folder)
        try:
            keys = [bytes.fromhex(key) for key in json.loads((folder / "secrets.json").read_text(encoding="utf-8"))]
            held = Secrets(*keys)
        except (OSError, ValueError, TypeError) as error:
            raise TapError(Code.ISSUER_UNREACHABLE, f"{folder} has lost its keys") from error
        store = Store.open(db) if db else Store.open(folder / "ledger.sqlite", create=False)
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
        f"Next: dualtap wallet new anna --scheme {shlex.quote(str(folder))} --carrier watch --name Anna",
    )
    return Exit.OK
