"""``scheme new``: a scheme in a folder, with its keys and its ledger; and the office that wallets reach in it.

``scheme.json`` says what the scheme is, ``keys/`` holds its keys (:mod:`dualtap_apps.keyring`), ``ledger.sqlite`` is
the ledger, ``evidence/`` the proofs that audits wrote.
"""

from __future__ import annotations

import json
import re
import secrets
import shlex
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, cast

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import Carrier, Condition, Role, Tier
from dualtap.keystore import sign_with
from dualtap.statements import PresentBody, Scheme
from dualtap.suite import SUITES
from dualtap_apps.exits import Exit
from dualtap_apps.keyring import Keyring, found
from dualtap_apps.output import emit
from dualtap_devices.durable import write_durably
from dualtap_devices.small import parsed
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import Bank, Signers
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.listing import BANK, INSTITUTION
from dualtap_issuer.store import Store

QUOTA = 1_000_000
"""Wallets that the partner bank may certify."""
SPEND, GRACE = 365, 90
"""Epochs (days) in which a token can be spent offline, and then claimed."""
WALLET_TIER = Tier(
    1, payment=500_000, payments=100, receipts=500, received=10_000_000, day=1_000_000, balance=2_000_000,
    untimed=100_000,
)  # fmt: skip
TILL_TIER = Tier(2, payment=500_000, payments=1_000, receipts=100_000, received=limits.AMOUNT)
ANONYMOUS_TIER = Tier(
    3, payment=200_000, payments=50, receipts=50, received=1_000_000, day=500_000, balance=1_000_000,
    unverified=100_000, untimed=50_000,
)  # fmt: skip
"""Whose holder nobody knows: as the digital yuan's anonymous wallets, and without a PIN no more than half a payment."""
TIERS = (WALLET_TIER, TILL_TIER, ANONYMOUS_TIER)


@dataclass(frozen=True, slots=True)
class SchemeFile:
    """What ``scheme.json`` says: suite, root key (hex), currency, and when the authorities expire."""

    suite: str
    root: str
    currency: str
    expires: int

    def anchor(self) -> Scheme:
        """Return the scheme."""
        return Scheme.of(SUITES[self.suite], bytes.fromhex(self.root))


class Joining(NamedTuple):
    """With what a wallet joins: its bank's name, category, tier (0: as its carrier has), its maker's word (bytes)."""

    bank: str = ""
    category: int = 0
    tier: int = 0
    attestation: bytes = b""


PLAIN = Joining()


def today() -> int:
    """Return this machine's epoch: whole days since 1970."""
    return int(time.time()) // limits.EPOCH_SECONDS


def read_scheme(folder: Path) -> SchemeFile:
    """Return a folder's card; raise ``BAD_INPUT`` if there is no scheme, or a damaged one."""
    try:
        found = parsed(folder / "scheme.json")
    except (OSError, ValueError) as error:
        raise TapError(Code.BAD_INPUT, f"no scheme in {folder}; make one with `dualtap scheme new`") from error
    fields = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    suite, root, currency, expires = (fields.get(name) for name in ("suite", "root", "currency", "expires"))
    if not (isinstance(suite, str) and isinstance(root, str) and isinstance(currency, str)) or suite not in SUITES:
        raise TapError(Code.BAD_INPUT, f"{folder}/scheme.json is damaged: restore it")
    card = SchemeFile(suite, root, currency, expires if isinstance(expires, int) else 0)
    try:
        card.anchor()
    except (ValueError, TapError) as error:
        raise TapError(Code.BAD_INPUT, f"{folder}/scheme.json is damaged: restore it") from error
    return card


def check_there(folder: Path) -> None:
    """Raise ``ISSUER_UNREACHABLE`` unless there is a scheme where a wallet expects its issuer."""
    if not (folder / "scheme.json").is_file():
        raise TapError(Code.ISSUER_UNREACHABLE, f"no scheme in {folder}, where this wallet's issuer should be")


def create(folder: Path, currency: str, suite: str) -> SchemeFile:
    """Make a scheme in a new folder; raise ``BAD_INPUT`` if something is there, or for no currency."""
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise TapError(Code.BAD_INPUT, f"{currency!r} is not an ISO 4217 code; write it like CNY")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TapError(Code.BAD_INPUT, f"{folder} exists; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    root, policy, institution, bank = (secrets.token_bytes(32) for _ in range(4))
    expires = today() + 20 * 365
    scheme = found(Keyring(folder), suite, (root, policy, institution, bank), expires, QUOTA)
    card = SchemeFile(suite, scheme.root.hex(), currency, expires)
    Store.open(folder / "ledger.sqlite").close()
    # Written last: a folder without a card is no scheme, so that a cut leaves none half made.
    write_durably(folder / "scheme.json", json.dumps(asdict(card), indent=2) + "\n")
    return card


class Office:
    """An open scheme: its ledger, with this machine's clock and randomness. It is a wallet's issuer."""

    def __init__(self, ledger: Ledger, keyring: Keyring) -> None:
        self.ledger = ledger
        self.keyring = keyring

    @classmethod
    @contextmanager
    def open(cls, folder: Path, db: str = "", institution: str = "") -> Generator[Office]:
        """Open the scheme in a folder, as one of its institutions: the first that joined, where none is named.

        ``db`` is where its ledger is, as :meth:`Store.open` takes it; without one, it is beside the keys. Raises
        ``BAD_INPUT`` for no scheme, or an institution whose key is not here, and what :meth:`Store.open` does.
        """
        card, keyring = read_scheme(folder), Keyring(folder)
        names = keyring.names(INSTITUTION)
        if not names:
            raise TapError(Code.BAD_INPUT, f"{folder} has lost its keys: restore them")
        scheme = card.anchor()
        office = keyring.institution(scheme, institution or names[0])
        store = Store.open(db) if db else Store.open(folder / "ledger.sqlite", create=False)
        try:
            banks = [keyring.bank(scheme, name, store) for name in keyring.banks_of(office.certificate)]
            signers = Signers(scheme, office, keyring.policy_key(scheme), tuple(banks))
            anonymous = frozenset({ANONYMOUS_TIER.number})
            terms = Terms(card.currency, SPEND, GRACE, limits.HOPS, TIERS, anonymous=anonymous)
            ledger = Ledger(store, signers, terms, today())
            register(ledger, keyring)
            yield cls(ledger, keyring)
        finally:
            store.close()

    def challenge(self) -> bytes:
        """Return 32 fresh bytes, good for one answer."""
        return self.ledger.challenge(secrets.token_bytes(32))

    def sync(self, signed_upload: bytes) -> bytes:
        """Take an upload, stamped today, and return the reply's bytes."""
        return self.ledger.sync(signed_upload, today())

    def issue(self, owner: bytes, amount: int, conditions: tuple[Condition, ...] = ()) -> None:
        """Issue a token to a wallet key, to be fetched by its next sync."""
        self.ledger.issue(owner, amount, today(), secrets.token_bytes(8), conditions)

    def check_tier(self, number: int) -> None:
        """Raise ``BAD_INPUT`` for a tier that the policy does not know; 0 is the carrier's own."""
        if number and number not in {tier.number for tier in self.ledger.policy.tiers}:
            remedy = f"dualtap scheme policy set FOLDER {number} --payment 20.00"
            raise TapError(Code.BAD_INPUT, f"the policy has no tier {number} yet; set it: {remedy}")

    def enrol(self, wallet: Wallet, carrier: Carrier, joining: Joining = PLAIN) -> None:
        """Certify the key of a new wallet, which proves that it holds it, and let it join."""
        book, challenge = wallet.book, self.challenge()
        present = signed(book.scheme.id, book.key, PresentBody(challenge, True, today()))
        proof = present.sealed(sign_with(wallet.keystore, present))
        tier = joining.tier or (TILL_TIER if carrier is Carrier.POS else WALLET_TIER).number
        certificate = self.ledger.certify(
            proof, carrier, tier, Role.PAY | Role.COLLECT, today() + SPEND, joining.category,
            joining.attestation, self._bank(joining.bank),
        )  # fmt: skip
        wallet.write(self.ledger.news(today(), certificate))

    def _bank(self, name: str) -> Bank | None:
        return self.keyring.bank(self.ledger.scheme, name, self.ledger.store) if name else None


def register(ledger: Ledger, keyring: Keyring) -> None:
    """Tell the ledger the names of the institutions and banks whose keys are here, where it does not know them."""
    for what in (INSTITUTION, BANK):
        known = ledger.store.parties(what)
        fresh = [name for name in keyring.names(what) if name not in known]
        if fresh:
            with ledger.store.transaction():
                for name in fresh:
                    ledger.store.put_party(name, what, keyring.read(what, name).certified.key)


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
