"""Signing anything: a scheme's keys at hand, and wallets that are but a key, a tape and what they have to tell.

Nothing here asks whether a wallet may sign what it signs. Statements are genuine; the state machines are left out, so
that a world of many thousands of them costs little more than its signatures.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar, cast

from dualtap.forms import signed
from dualtap.issued import Carrier, Condition, Role, Token, WalletCertificate
from dualtap.statements import (
    Body,
    CloseBody,
    Opening,
    Outcome,
    Parent,
    Private,
    ReceiptBody,
    Side,
    Signed,
    Span,
    Successor,
    SuccessorBody,
    TapeBody,
    TapeStatement,
    Transfer,
    TransferBody,
    Warrant,
)
from dualtap.suite import SUITES, Signer, sha256
from dualtap.sync import Upload, encode_upload
from dualtap.trust import issue
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.sqlite import SqliteStore
from dualtap_issuer.store import Store

EPOCH = 20_000
SPEND_BY, CLAIM_BY = EPOCH + 20, EPOCH + 30
"""All tokens of a world have the same dates."""
SETTLED = CLAIM_BY + 3
"""The day on which they are settled: what comes later is too late, and so is what came after ``CLAIM_BY``."""
SECRETS = Secrets(*[sha256(b"planted" + bytes([number])) for number in range(4)])
QUOTA = 10**9
ORDINALS = 10**6
"""Certificates made here are numbered from this one on; the ledger's own come first."""
B = TypeVar("B", bound=Body)


def authority_over(suite: str, store: Store) -> SchemeAuthority:
    """Return the authority of every planted world, over a ledger's store."""
    return SchemeAuthority(SUITES[suite], SECRETS, store, EPOCH + 900, QUOTA)


class Piece(NamedTuple):
    """Units of a token that somebody holds: the span that may be cut, hands behind it, and restorations."""

    token: bytes
    span: Span
    hops: int = 0
    restored: int = 0

    @property
    def amount(self) -> int:
        """Its minor units."""
        return self.span.end - self.span.start


class Parcel(NamedTuple):
    """One sync, all but its challenge: the day, who signs (and who is the heir) by its secret, and the upload."""

    day: int
    secret: bytes
    upload: bytes
    heir: bytes = b""


@dataclass(eq=False)
class Hand:
    """A wallet key: its tape's head, what it holds, and what it knows and has not told the issuer yet."""

    signer: Signer
    secret: bytes
    certificate: WalletCertificate
    bad: bool = False
    retired: bool = False
    head: int = 0
    skip: int = 0
    pieces: list[Piece] = field(default_factory=list[Piece])
    tokens: dict[bytes, Token] = field(default_factory=dict[bytes, Token])
    certificates: dict[bytes, WalletCertificate] = field(default_factory=dict[bytes, WalletCertificate])
    transfers: dict[bytes, Transfer] = field(default_factory=dict[bytes, Transfer])
    warrants: dict[bytes, Warrant] = field(default_factory=dict[bytes, Warrant])
    tape: list[TapeStatement] = field(default_factory=list[TapeStatement])
    heard: list[Outcome] = field(default_factory=list[Outcome])
    pending: dict[bytes, Transfer] = field(default_factory=dict[bytes, Transfer])
    unanswered: list[Transfer] = field(default_factory=list[Transfer])
    due: int = 0

    @property
    def key(self) -> bytes:
        """Its public key."""
        return self.signer.public


class Forge:
    """Makes hands, tokens and statements of one scheme; knows everything that it ever signed."""

    def __init__(self, suite: str, seed: str, number: int) -> None:
        """``number`` keeps the certificate ordinals of forges apart."""
        self.draw = random.Random(f"{seed} {number}")  # noqa: S311 - nothing here is secret
        # In memory whatever else is tested where: forges work in processes of their own.
        self.authority = authority_over(suite, SqliteStore(":memory:", create=True))
        self.trust, self.scheme = self.authority.trust(), self.authority.scheme
        self.institution = self.authority.institution
        self.bank = SUITES[suite].signer(SECRETS.bank)
        self.day = EPOCH
        self.hands: dict[bytes, Hand] = {}
        self.tokens: dict[bytes, Token] = {}
        self.transfers: dict[bytes, Transfer] = {}
        self.signed: list[TapeStatement] = []
        self.told: set[bytes] = set()
        self.parcels: list[Parcel] = []
        self.suite, self._ordinal = SUITES[suite], ORDINALS * (number + 1)

    # Wallets and value

    def hand(self, bad: bool = False, category: int = 0) -> Hand:
        """Return a new wallet with a certificate."""
        secret = self.draw.randbytes(32)
        signer = self.suite.signer(secret)
        self._ordinal += 1
        found = Hand(signer, secret, self.certificate(signer.public, self._ordinal, category), bad)
        self.hands[signer.public] = found
        return found

    def certificate(self, key: bytes, ordinal: int, category: int = 0, expires: int = EPOCH + 300) -> WalletCertificate:
        """Return the bank's word for a key, under any ordinal."""
        role = Role.PAY | Role.COLLECT
        blank = WalletCertificate(key, Carrier.PHONE, 1, role, category, b"", expires, ordinal, b"", b"")
        return issue(self.scheme, self.bank, blank)

    def fund(self, owner: Hand, amount: int, conditions: tuple[Condition, ...] = ()) -> Piece:
        """Issue a token; return what its owner holds of it, which is not yet among its pieces."""
        token = self.authority.token(
            self.draw.randbytes(8), amount, "CNY", owner.key, EPOCH, SPEND_BY, CLAIM_BY, conditions=conditions
        )
        name = self.trust.token_id(token)
        self.tokens[name] = owner.tokens[name] = token
        return Piece(name, Span(Parent(name, Side.TOKEN, 0), 0, amount))

    # Statements

    def sign(self, hand: Hand, body: B, opening: Opening | bytes = b"") -> Signed[B]:
        """Sign anything."""
        blank = signed(self.scheme.id, hand.key, body, opening)
        return blank.sealed(hand.signer.sign(blank.id))

    def place(self, hand: Hand) -> tuple[int, int]:
        """Return the next interval of a hand's tape, as wide as chance and skipped counters have it; its head moves."""
        prev = hand.head
        hand.head += self.draw.randint(1, 3) + hand.skip
        hand.skip = 0
        return prev, hand.head

    def enter(
        self, hand: Hand, body: TapeBody, place: tuple[int, int] | None, request: bytes = b"", refund: bytes = b""
    ) -> TapeStatement:
        """Sign an entry of a hand's tape, at this interval or at the next."""
        prev, ctr = place or self.place(hand)
        opening = Opening(self.draw.randbytes(16), prev, ctr, Private(refund_of=refund), request)
        entry = self.sign(hand, body, opening)
        hand.tape.append(entry)
        self.signed.append(entry)
        return entry

    def transfer(
        self,
        payer: Hand,
        payee: bytes,
        spans: Sequence[Span],
        request: bytes | None = None,
        *,
        place: tuple[int, int] | None = None,
        epoch: int = 0,
        witness: tuple[bytes, ...] = (),
        refund: bytes = b"",
    ) -> Transfer:
        """Sign a transfer; it answers a fresh request unless it is given one, or empty for a deposit."""
        asked = self.draw.randbytes(32) if request is None else request
        body = TransferBody(payee, tuple(spans), epoch or self.day, witness)
        found = cast("Transfer", self.enter(payer, body, place, asked, refund))
        self.transfers[found.id] = found
        return found

    def receipt(self, payee: Hand, transfer: Transfer, place: tuple[int, int] | None = None) -> Outcome:
        """Sign a Receipt."""
        body = ReceiptBody(transfer.shown().request, transfer.id, self.day)
        return cast("Outcome", self.enter(payee, body, place))

    def close(self, payee: Hand, transfer: Transfer, place: tuple[int, int] | None = None, reason: int = 10) -> Outcome:
        """Sign a Close of the request that a transfer answers."""
        return cast("Outcome", self.enter(payee, CloseBody(transfer.shown().request, reason, self.day), place))

    def successor(self, old: Hand, heir: Signer) -> Successor:
        """Let a key name the next one."""
        return self.sign(old, SuccessorBody(heir.public, self.day))

    # What is known

    def show(self, transfer: Transfer, hand: Hand, opened: bool = True) -> None:
        """Let somebody have a transfer and all that is behind it; only a direct receiver has it opened."""
        known = transfer if opened else self.closed(transfer)
        if opened or transfer.id not in hand.transfers:
            hand.transfers[transfer.id] = known
        hand.certificates[transfer.key] = self.hands[transfer.key].certificate
        for parent, _, _ in transfer.body.spans:
            if parent.side is Side.TOKEN:
                if parent.id in self.tokens:
                    hand.tokens[parent.id] = self.tokens[parent.id]
            elif parent.id in self.transfers:
                self.show(self.transfers[parent.id], hand, opened=False)
                warrant = self.hands[transfer.key].warrants.get(parent.id)
                if parent.side is Side.PAYER and warrant is not None:
                    hand.warrants[parent.id] = warrant

    def closed(self, transfer: Transfer) -> Transfer:
        """Return a transfer as later hands know it."""
        return signed(self.scheme.id, transfer.key, transfer.body, transfer.commitment, transfer.signature)

    def warrant(self, transfer: Transfer, outcome: Outcome) -> Warrant:
        """Return why a transfer is dead."""
        return Warrant(transfer.shown().answered(), outcome)

    # Syncs

    def upload(self, hand: Hand, keep: bool = False, successor: Successor | None = None) -> Upload:
        """Return what a hand tells, and forget it unless it is to be told again."""
        found = Upload(
            hand.certificate,
            tuple(hand.tokens.values()),
            tuple(hand.certificates.values()),
            tuple(hand.transfers.values()),
            tuple(hand.warrants.items()),
            tuple(hand.tape),
            tuple({outcome.id: outcome for outcome in hand.heard}.values()),
            tuple(hand.pending),
            0,
            successor,
        )
        self.told |= hand.tokens.keys()
        if not keep:
            for bag in (hand.tokens, hand.certificates, hand.transfers, hand.tape, hand.heard):
                bag.clear()
        return found

    def send(self, hand: Hand, day: int = 0, upload: Upload | None = None, heir: bytes = b"") -> None:
        """Let a hand sync on a day, today if none is given, with what it has to tell if nothing else is given."""
        told = encode_upload(upload or self.upload(hand))
        self.parcels.append(Parcel(day or self.day, hand.secret, told, heir))
