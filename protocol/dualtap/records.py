"""What a wallet makes durable (SPEC §12): the records of its log; :mod:`dualtap.logcodec` knows their bytes.

The log is replayed to rebuild the wallet: :mod:`dualtap.book` is a fold over these records and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from dualtap.issued import AuthorityCertificate, Header, Policy, Token, WalletCertificate
from dualtap.standing import Standing
from dualtap.statements import (
    Bind,
    Outcome,
    Own,
    OwnerOrder,
    Parent,
    Successor,
    TapeStatement,
    Transfer,
    Verification,
    Warrant,
)

TOLD = 64
"""Transfers of which a wallet keeps how they stand: the issuer's ledger knows of all."""


class News(NamedTuple):
    """What the scheme says: a new certificate of this wallet, authorities, date and policy."""

    certificate: WalletCertificate | None
    authorities: tuple[AuthorityCertificate, ...]
    header: Header | None
    policy: Policy | None


class Funded(NamedTuple):
    """A token issued to this wallet."""

    token: Token


class Asked(NamedTuple):
    """A request that this wallet made; it stays open until its outcome."""

    request: bytes
    basket: bytes
    part: int
    amount: int
    currency: str
    epoch: int
    verification: Verification = Verification.NONE


class Answered(NamedTuple):
    """The outcome of a request, not yet signed; ``message`` is the accepted transfer's, or a refused double spend's."""

    outcome: Outcome
    message: bytes


class Sent(NamedTuple):
    """A transfer that this wallet will sign, and the basket and part it pays."""

    transfer: Transfer
    basket: bytes
    part: int


class SignedTail(NamedTuple):
    """The signature of the tape's last entry."""

    id: bytes
    signature: bytes


class Moved(NamedTuple):
    """The tape's unsigned last entry takes another interval, because the keystore's counter skipped past it."""

    id: bytes
    prev: int
    ctr: int


class Healed(NamedTuple):
    """The outcome of a pending transfer arrived."""

    transfer: bytes
    outcome: Outcome


class Synced(NamedTuple):
    """The issuer has the tape up to this counter; its tokens up to this number are here.

    ``deposits`` are the transfers that ended by it: deposits that it has, and what is past its tokens' ``claim_by``.
    """

    ctr: int
    deposits: tuple[bytes, ...]
    delivered: int


class Retired(NamedTuple):
    """This key names its successor, and asks and pays nothing any more; the statement is not yet signed."""

    successor: Successor


class Tied(NamedTuple):
    """Who owns a wallet: this one, by its own Bind, not signed; or another, by its Bind and this wallet's Own.

    ``number`` counts the wallet's bindings; without ``bind``, it is bound no more (SPEC §23).
    """

    wallet: bytes
    number: int
    bind: Bind | None
    own: Own | None


class Ordered(NamedTuple):
    """An order that this wallet obeys, or gave."""

    order: OwnerOrder


class Holding(NamedTuple):
    """Units ``[start, end)`` of a token that this wallet holds, cut from ``parent``."""

    parent: Parent
    token: bytes
    start: int
    end: int

    @property
    def amount(self) -> int:
        """Minor units."""
        return self.end - self.start


class Line(NamedTuple):
    """A line of the history: what happened, to how much, with whom, at which date."""

    what: str
    amount: int
    currency: str
    peer: bytes
    transfer: bytes
    epoch: int


class Taken(NamedTuple):
    """A transfer that this wallet accepted: from whom, how much, and how much of it was refunded."""

    transfer: bytes
    payer: bytes
    amount: int
    refunded: int


class Since(NamedTuple):
    """Counts since the last sync: transfers made, receipts given, and minor units received."""

    payments: int = 0
    receipts: int = 0
    received: int = 0


class Spent(NamedTuple):
    """What counts against a payer's ``day`` and ``unverified`` (SPEC §22): never a sync's business.

    ``day`` is the sum paid in ``epoch``; ``unverified`` the sum since the user was verified, for the transfer at the
    counter ``verified``. Minor units.
    """

    epoch: int = 0
    day: int = 0
    unverified: int = 0
    verified: int = 0


class Carried(NamedTuple):
    """What the key before this one had spent: a device that changes its key keeps its limits (SPEC §22-16)."""

    spent: Spent


class Question(NamedTuple):
    """A request and its outcome, if it has one."""

    asked: Asked
    outcome: Outcome | None


class Witnessed(NamedTuple):
    """A double spend that this wallet refused: the request that it answered, and its message. A sync reports it."""

    request: bytes
    message: bytes


class ToldLine(NamedTuple):
    """How one of this wallet's transfers stands at the issuer's, until or since which epoch, and its amount."""

    transfer: bytes
    standing: Standing
    epoch: int
    amount: int
    currency: str


class Told(NamedTuple):
    """What the issuer last told of this wallet's deposits and doubts: this takes the place of what it told before."""

    lines: tuple[ToldLine, ...]


class Warned(NamedTuple):
    """Evidence against a key (SPEC §15), checked before it was kept: what that key signed is refused from now on."""

    key: bytes
    evidence: bytes


class Snapshot(NamedTuple):
    """A whole wallet: what a compacted log begins with."""

    news: News
    tokens: tuple[Token, ...]
    transfers: tuple[Transfer, ...]
    warrants: tuple[tuple[bytes, Warrant], ...]
    certificates: tuple[WalletCertificate, ...]
    holdings: tuple[Holding, ...]
    pending: tuple[Sent, ...]
    questions: tuple[Question, ...]
    taken: tuple[Taken, ...]
    history: tuple[Line, ...]
    tape: tuple[TapeStatement, ...]
    heard: tuple[Outcome, ...]
    witnessed: tuple[Witnessed, ...]
    delivered: int
    previous: bytes
    counter: int
    since: Since
    spent: Spent


Record: TypeAlias = (
    News
    | Funded
    | Asked
    | Answered
    | Sent
    | SignedTail
    | Moved
    | Healed
    | Synced
    | Snapshot
    | Retired
    | Told
    | Warned
    | Carried
    | Tied
    | Ordered
)
