"""What wallets sign (SPEC §4): the scheme and the kinds of all that is signed, and the statements of wallets.

Everything here is a frozen value. A wallet's statement on its tape (Transfer, Receipt, Close) carries a
commitment to its counters and its request; an :class:`Opening` shows them to whoever may see them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from dualtap.errors import Code, TapError
from dualtap.suite import DIGEST, Suite, sha256

ZERO = bytes(DIGEST)
"""The commitment of a statement that is off the tape, and the request of a deposit."""


class Kind(IntEnum):
    """What a signature says; part of every digest, so that none passes for another (SPEC §4.1)."""

    TOKEN = 1
    AUTHORITY = 2
    WALLET = 3
    HEADER = 4
    POLICY = 5
    REPLY = 6
    CHALLENGE = 7
    REQUEST = 16
    PRESENT = 17
    SYNC = 18
    SUCCESSOR = 19
    GRANT = 20
    BIND = 21
    OWN = 22
    ORDER = 23
    TRANSFER = 32
    RECEIPT = 33
    CLOSE = 34


ON_TAPE = frozenset({Kind.TRANSFER, Kind.RECEIPT, Kind.CLOSE})
OFF_TAPE = frozenset({
    Kind.REQUEST, Kind.PRESENT, Kind.SYNC, Kind.SUCCESSOR, Kind.GRANT, Kind.BIND, Kind.OWN, Kind.ORDER,
})  # fmt: skip


class Side(IntEnum):
    """Where a span comes from: a token, or one side of a transfer (the payer's only if it is dead)."""

    TOKEN = 0
    PAYEE = 1
    PAYER = 2


class Errand(IntEnum):
    """What an owner, or an institution, orders about a wallet (SPEC §23)."""

    RESTRAIN = 1
    UNBIND = 2
    LOST = 3
    FUND = 4
    MOVE = 5


class Verification(IntEnum):
    """How the payer's user was verified before a transfer."""

    NONE = 0
    PRESENCE = 1
    PIN = 2
    DEVICE = 3


@dataclass(frozen=True, slots=True)
class Scheme:
    """A root of trust: its suite and root key. ``id`` is 32 bytes."""

    suite: Suite
    root: bytes
    id: bytes

    @classmethod
    def of(cls, suite: Suite, root: bytes) -> Scheme:
        """Return the scheme of this root key; raise ``BAD_KEY`` if it is no key of the suite."""
        suite.verifier(root)
        return cls(suite, root, sha256(b"dualtap scheme 1" + bytes([suite.number]) + root))

    @property
    def hint(self) -> bytes:
        """Four bytes by which strangers see that they are of different schemes; proves nothing."""
        return self.id[:4]


class Parent(NamedTuple):
    """What a span is cut from: a token's id (place 0), or a transfer's id, a side of it and a span's place in it."""

    id: bytes
    side: Side
    place: int


class Span(NamedTuple):
    """Minor units ``[start, end)`` of a token, cut from a parent."""

    parent: Parent
    start: int
    end: int


class RequestBody(NamedTuple):
    """Pay me this amount, in this session, for this part of this basket; and what I can carry."""

    session: bytes
    initiator: bool
    amount: int
    currency: str
    basket: bytes
    part: int
    details: bytes
    hops: int
    spans: int
    size: int
    verification: Verification
    epoch: int


class PresentBody(NamedTuple):
    """I hold this key, in this session."""

    session: bytes
    initiator: bool
    epoch: int


class SyncBody(NamedTuple):
    """I hold this key, and this is what I know: an answer to the issuer's challenge."""

    challenge: bytes
    upload: bytes
    epoch: int


class SuccessorBody(NamedTuple):
    """My next key."""

    successor: bytes
    epoch: int


class GrantBody(NamedTuple):
    """I agree to transfers of at most ``amount`` units of this token, each: a second signature (SPEC §5.6).

    ``payee`` and ``basket`` are empty, and ``category`` is 0, where any will do; ``first`` and ``last`` are epochs.
    """

    token: bytes
    payee: bytes
    category: int
    amount: int
    basket: bytes
    first: int
    last: int


class TransferBody(NamedTuple):
    """These spans to this payee key. ``witness`` proves conditions."""

    payee: bytes
    spans: tuple[Span, ...]
    epoch: int
    witness: tuple[bytes, ...]


class ReceiptBody(NamedTuple):
    """This transfer is accepted as the outcome of this request."""

    request: bytes
    transfer: bytes
    epoch: int


class CloseBody(NamedTuple):
    """No transfer is or will be accepted for this request; ``reason`` is an error code."""

    request: bytes
    reason: int
    epoch: int


class BindBody(NamedTuple):
    """This key is my owner: it may give me orders, and is paid what I hold if I am lost.

    ``number`` counts this wallet's bindings from 1; ``session`` is the one in which both proved their keys.
    """

    owner: bytes
    session: bytes
    number: int
    epoch: int


class OwnBody(NamedTuple):
    """This wallet, which bound itself to me in this session, is mine."""

    wallet: bytes
    session: bytes
    epoch: int


class OrderBody(NamedTuple):
    """An order about a wallet: by its owner under the binding ``bind``, or by an institution (``bind`` is 0).

    ``number`` counts its signer's orders about this wallet: a later one replaces a restraint. ``frozen``, ``payment``
    and ``day`` (minor units) are of RESTRAIN, ``amount`` of FUND, ``to`` the other key of MOVE.
    """

    wallet: bytes
    bind: int
    number: int
    errand: Errand
    frozen: bool
    payment: int
    day: int
    amount: int
    to: bytes
    epoch: int


TapeBody: TypeAlias = TransferBody | ReceiptBody | CloseBody
OwnerBody: TypeAlias = BindBody | OwnBody | OrderBody
OffTapeBody: TypeAlias = RequestBody | PresentBody | SyncBody | SuccessorBody | GrantBody | OwnerBody
Body: TypeAlias = TapeBody | OffTapeBody

KIND: dict[type[object], Kind] = {
    RequestBody: Kind.REQUEST,
    PresentBody: Kind.PRESENT,
    SyncBody: Kind.SYNC,
    SuccessorBody: Kind.SUCCESSOR,
    GrantBody: Kind.GRANT,
    BindBody: Kind.BIND,
    OwnBody: Kind.OWN,
    OrderBody: Kind.ORDER,
    TransferBody: Kind.TRANSFER,
    ReceiptBody: Kind.RECEIPT,
    CloseBody: Kind.CLOSE,
}


class Private(NamedTuple):
    """What only the direct payee and the issuer see of a transfer."""

    verification: Verification = Verification.NONE
    refund_of: bytes = b""

    def half(self) -> bytes:
        """Return the bytes that are hashed into the commitment (SPEC §4.2-2)."""
        return bytes([self.verification]) + self.refund_of


UNSAID = Private()
"""The private half of what says nothing there: every outcome, and a transfer that needs no word of its user."""


class TapeOpening(NamedTuple):
    """Shows a statement's place on its tape, ``(prev, ctr]``, and nothing else."""

    salt: bytes
    prev: int
    ctr: int
    private: bytes
    request: bytes

    def commitment(self) -> bytes:
        """Return the commitment that this opens."""
        place = sha256(self.salt + self.prev.to_bytes(8, "big") + self.ctr.to_bytes(8, "big") + self.private)
        return sha256(place + self.request)


class RequestOpening(NamedTuple):
    """Shows which request a transfer answers, and nothing else."""

    place: bytes
    salt: bytes
    request: bytes

    def commitment(self) -> bytes:
        """Return the commitment that this opens."""
        return sha256(self.place + sha256(self.salt + self.request))


class Opening(NamedTuple):
    """Shows all that a statement commits to: what its direct receiver is given.

    ``seed`` is 16 random bytes from which both salts follow; ``request`` is empty for a deposit, and for a
    Receipt or Close, whose request is public.
    """

    seed: bytes
    prev: int
    ctr: int
    private: Private = UNSAID
    request: bytes = b""

    def tape(self) -> TapeOpening:
        """Return the part that shows only the place on the tape."""
        salt = sha256(b"place" + self.seed)
        hidden = ZERO
        if self.request:
            hidden = sha256(sha256(b"request" + self.seed) + self.request)
        return TapeOpening(salt, self.prev, self.ctr, private_digest(self.private), hidden)

    def answered(self) -> RequestOpening:
        """Return the part that shows only the request."""
        counters = self.prev.to_bytes(8, "big") + self.ctr.to_bytes(8, "big")
        place = sha256(sha256(b"place" + self.seed) + counters + private_digest(self.private))
        return RequestOpening(place, sha256(b"request" + self.seed), self.request)


def private_digest(private: Private) -> bytes:
    """Return the digest of a transfer's private half: the verification's byte, then what it refunds."""
    return _NOTHING_PRIVATE if private == UNSAID else sha256(private.half())


_NOTHING_PRIVATE = sha256(UNSAID.half())
B_co = TypeVar("B_co", bound=Body, covariant=True)


class Signed(NamedTuple, Generic[B_co]):
    """A wallet's statement. ``signature`` is empty until the keystore has signed ``id``.

    ``public`` is H(body). ``place`` follows from ``opening``, and is kept for the keystore, which is shown it.
    """

    id: bytes
    key: bytes
    body: B_co
    public: bytes
    commitment: bytes
    signature: bytes
    opening: Opening | None = None
    place: TapeOpening | None = None

    def sealed(self, signature: bytes) -> Signed[B_co]:
        """Return this statement with its signature."""
        return Signed(self.id, self.key, self.body, self.public, self.commitment, signature, self.opening, self.place)

    def shown(self) -> Opening:
        """Return the opening, or raise ``BROKEN_PROVENANCE`` where only a commitment is known."""
        if self.opening is None:
            raise TapError(Code.BROKEN_PROVENANCE, "a statement without its opening")
        return self.opening


Request: TypeAlias = Signed[RequestBody]
Present: TypeAlias = Signed[PresentBody]
Grant: TypeAlias = Signed[GrantBody]
Successor: TypeAlias = Signed[SuccessorBody]
Bind: TypeAlias = Signed[BindBody]
Own: TypeAlias = Signed[OwnBody]
OwnerOrder: TypeAlias = Signed[OrderBody]
Word: TypeAlias = Signed[OwnerBody]
Transfer: TypeAlias = Signed[TransferBody]
Receipt: TypeAlias = Signed[ReceiptBody]
Close: TypeAlias = Signed[CloseBody]
Outcome: TypeAlias = Signed[ReceiptBody | CloseBody]
TapeStatement: TypeAlias = Signed[TapeBody]


def statement_id(scheme: bytes, kind: Kind, key: bytes, public_digest: bytes, commitment: bytes = ZERO) -> bytes:
    """Return H(scheme | kind | key | H(public) | commitment), which is what is signed (SPEC §4.1)."""
    return sha256(scheme + bytes([kind]) + key + public_digest + commitment)


@dataclass(frozen=True, slots=True)
class Warrant:
    """Why a transfer is dead: its request, opened, and that request's other outcome."""

    opening: RequestOpening
    outcome: Outcome
