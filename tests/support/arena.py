"""Where attacks are played: a world with a ledger, wallets whose secrets are known, and keys that sign anything.

An :class:`Attack` is one row of the matrix in ``tests/scenarios/attacks``. Whatever an attack does, everybody honest
syncs afterwards, and the thieves upload all that they signed: then :meth:`Arena.judge` asks who is named, and whether
everybody honest still has what it had.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar, cast

from dualtap.errors import Code
from dualtap.evidence import Fraud
from dualtap.forms import signed
from dualtap.issued import Token, WalletCertificate
from dualtap.statements import (
    Body,
    Opening,
    Outcome,
    Parent,
    Private,
    Side,
    Signed,
    Span,
    TapeStatement,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.suite import Signer
from dualtap.sync import SignedUpload, Upload, encode_signed_upload, encode_upload, sync_statement
from dualtap.verdict import verify_evidence
from dualtap_devices.syncing import sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.store import Store
from tests.mint import TERMS
from tests.playbook import EPOCH, World

B = TypeVar("B", bound=Body)
A = TypeVar("A")


class By(Enum):
    """Who attacks, and with what: each has all that the one before it has."""

    WIRE = "somebody between two devices, without any key"
    PEER = "a stranger without a certificate, or with another's"
    PAYER = "a certified payer whose chip is broken"
    PAYEE = "a certified payee whose chip is broken"
    HAND = "earlier hands of the value that collude"
    BANK = "a bank, an institution or a policy key that oversteps, or whose key is stolen"


@dataclass(frozen=True)
class Attack(Generic[A]):
    """One row: what is tried, what it would exploit, and what an honest device answers.

    ``code`` is what the honest device reports; ``None`` means that it goes on, which the row's name then says.
    ``clause`` is the number of SPEC's rule. ``named`` is whom a ledger names afterwards, by part in the story, and for
    what. ``doubt`` is whether a payer is left in doubt; ``None`` where that depends on who pays.
    """

    name: str
    by: By
    bug: str
    clause: str
    do: A
    code: Code | None
    named: frozenset[tuple[str, Fraud]] = frozenset()
    doubt: bool | None = False


def names(*pairs: tuple[str, Fraud]) -> frozenset[tuple[str, Fraud]]:
    """Return whom a ledger names, for a row."""
    return frozenset(pairs)


class Thief(NamedTuple):
    """A key that signs whatever it is told to, and its certificate."""

    signer: Signer
    certificate: WalletCertificate

    @property
    def key(self) -> bytes:
        return self.signer.public


class Arena(World):
    """A world whose wallets sync with a ledger. ``thieves`` are keys by the name that rows use."""

    def __init__(self, suite: str = "ed25519", seed: str = "arena") -> None:
        self.drawn: list[bytes] = []
        super().__init__(suite, seed=seed)
        secrets = Secrets(*self.drawn[:4])
        self.store = Store.open()
        authority = SchemeAuthority(self.suite, secrets, self.store, EPOCH + 999, 1000)
        assert authority.authorities == self.authorities, "the ledger is of this very scheme"
        self.ledger = Ledger(self.store, authority, TERMS)
        self.secrets: dict[bytes, bytes] = {}
        self.thieves: dict[str, Thief] = {}
        self.certificates: list[WalletCertificate] = []
        self.loot: list[TapeStatement] = []
        self.places: dict[bytes, int] = {}

    def draw(self, size: int = 32) -> bytes:
        value = super().draw()
        self.drawn.append(value)
        return value[:size]

    def wallet(self, *args: Any, **more: Any) -> Wallet:
        first = len(self.drawn)
        wallet = super().wallet(*args, **more)
        self.secrets[wallet.book.key] = self.drawn[first]
        return wallet

    # The issuer, as a wallet reaches it

    def challenge(self) -> bytes:
        return self.ledger.challenge(self.draw())

    def sync(self, signed_upload: bytes) -> bytes:
        return self.ledger.sync(signed_upload, self.epoch)

    # Thieves

    def thief(self, name: str, **more: Any) -> Thief:
        """Return a new certified key under this name; ``more`` goes into its certificate."""
        signer = self.suite.signer(self.draw())
        found = Thief(signer, self.certificate(signer.public, **more))
        self.thieves[name] = found
        self.certificates.append(found.certificate)
        return found

    def corrupt(self, name: str, wallet: Wallet) -> Thief:
        """Return the thief that an honest wallet becomes: it goes on from where its tape stands."""
        self.wallets.remove(wallet)
        signer = self.suite.signer(self.secrets[wallet.book.key])
        self.thieves[name] = Thief(signer, wallet.book.certificate)
        self.certificates.append(wallet.book.certificate)
        self.places[signer.public] = wallet.book.counter
        self.loot += [entry for entry in wallet.book.tape if entry.signature]
        return self.thieves[name]

    def sign(self, who: Signer, body: B, opening: Opening | bytes = b"", scheme: bytes = b"") -> Signed[B]:
        """Sign anything; what is on a tape is loot, which a ledger is shown afterwards."""
        blank = signed(scheme or self.scheme.id, who.public, body, opening)
        statement = blank.sealed(who.sign(blank.id))
        if opening and not scheme:
            self.loot.append(cast("TapeStatement", statement))
        return statement

    def forget(self, seed: bytes) -> None:
        """A thief never lets out what it signed under this opening."""
        self.loot = [one for one in self.loot if one.shown().seed != seed]

    def place(self, who: Signer, request: bytes = b"", refund_of: bytes = b"") -> Opening:
        """Return the next place on a thief's tape: thieves take care not to fork it by accident."""
        prev = self.places.get(who.public, 0)
        self.places[who.public] = prev + 1
        return Opening(self.draw(16), prev, prev + 1, Private(refund_of=refund_of), request)

    def hand(self, who: Signer, payee: bytes, *spans: Span, epoch: int = EPOCH, request: bytes = b"r" * 32) -> Transfer:
        """Sign a transfer as a thief: a hand of the value, or what is shown to a till."""
        return self.sign(who, TransferBody(payee, spans, epoch, ()), self.place(who, request))

    # Afterwards

    def upload(self, tokens: Iterable[Token] = (), warrants: Iterable[tuple[bytes, Warrant]] = ()) -> None:
        """Let an accomplice show the ledger all that any thief signed: to frame somebody, if that can be done."""
        courier = self.thief("courier")
        transfers = tuple(cast("Transfer", one) for one in self.loot if isinstance(one.body, TransferBody))
        outcomes = tuple(cast("Outcome", one) for one in self.loot if not isinstance(one.body, TransferBody))
        certificates = tuple(self.certificates)
        upload = Upload(
            courier.certificate, tuple(tokens), certificates, transfers, tuple(warrants), (), outcomes, (), 0
        )
        self.send(courier.signer, upload)

    def send(self, signer: Signer, upload: Upload) -> None:
        """Sync by hand."""
        data, challenge = encode_upload(upload), self.challenge()
        word = sync_statement(self.scheme, signer.public, data, challenge, self.epoch)
        self.sync(encode_signed_upload(SignedUpload(data, challenge, self.epoch, signer.sign(word.id))))

    def settle(self, *wallets: Wallet, deposit: bool = True) -> None:
        """Let these wallets sync, and deposit what they hold."""
        for wallet in wallets:
            sync(wallet, self, self.draw(), deposit)

    def named(self) -> frozenset[tuple[str, Fraud]]:
        """Return whom the evidence names, checked by the root key alone; nobody honest has a name here."""
        known = {thief.key: name for name, thief in self.thieves.items()}
        found = [verify_evidence(self.ledger.evidence(one), self.scheme.root) for one in self.ledger.conflicts()]
        return frozenset((known.get(one.key, f"honest {one.key.hex()}"), one.fraud) for one in found)

    def judge(self, expected: frozenset[tuple[str, Fraud]], *honest: Wallet) -> None:
        """Everybody honest syncs; the ledger must name exactly whom the row names, and its books must be even."""
        self.settle(*honest)
        for wallet in honest:
            assert not wallet.book.holdings
            assert all(sent.transfer.shown().request for sent in wallet.book.pending.values()), (
                "each deposit is credited"
            )
        self.ledger.audit()
        assert self.named() == expected


def payee_side(transfer: Transfer, start: int, end: int, place: int = 0) -> Span:
    """Return a span of what a transfer gave its payee."""
    return Span(Parent(transfer.id, Side.PAYEE, place), start, end)


def payer_side(transfer: Transfer, start: int, end: int, place: int = 0) -> Span:
    """Return a span of what a dead transfer left its payer."""
    return Span(Parent(transfer.id, Side.PAYER, place), start, end)


def wealth(*wallets: Wallet) -> list[int]:
    """Return what these wallets can spend or have in doubt, in minor units."""
    return [wallet.book.available(EPOCH) + wallet.book.in_doubt() for wallet in wallets]
