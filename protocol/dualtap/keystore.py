"""What a device must supply to sign (SPEC §13): a key, and one atomic cell that holds (counter, id, successor).

A secure element or a firmware author implements :class:`Keystore`. It is given what it needs to compute each id
itself, so that a stolen or confused host cannot have it sign anything else.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dualtap.errors import Code, TapError
from dualtap.pin import Pin, PinCell, check_claim
from dualtap.statements import KIND, OFF_TAPE, ON_TAPE, ZERO, Body, Kind, Signed, TapeOpening, statement_id
from dualtap.suite import DIGEST, sha256

_RETIRED = frozenset({Kind.PRESENT, Kind.SYNC})
"""What a retired key signs off the tape, besides its one Successor again."""


class Head(NamedTuple):
    """The last tape entry signed: its counter and its id (empty before the first).

    ``successor`` is the id of the Successor that was signed, if one was: the key is retired then (SPEC §20-1).
    """

    ctr: int
    id: bytes
    successor: bytes = b""


class Keystore(Protocol):
    """A wallet's key. It signs a tape entry only in order, and remembers which was the last."""

    @property
    def public(self) -> bytes:
        """The wallet's public key."""
        ...

    @property
    def head(self) -> Head:
        """The last tape entry signed."""
        ...

    @property
    def pin(self) -> Pin | None:
        """The PIN that this keystore keeps, or ``None`` for one without: it then signs no transfer that claims one."""
        ...

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        """Sign a tape entry: ``public`` is H(public), 32 bytes; ``private`` the private half whose hash is shown.

        Writes (ctr, id) in one atomic write and signs only if ``prev`` is at least the last counter, or for the
        last id again. With a new Transfer the same write takes back that the user is verified. Raises
        ``KEYSTORE_REFUSED`` for anything else, also for a kind that is off the tape, and ``UNVERIFIED`` for a
        Transfer that claims a PIN that was not seen (SPEC §22-13).
        """
        ...

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign a Request, Present, Sync, Successor or Grant; raise ``KEYSTORE_REFUSED`` for every other kind.

        A Successor retires the key: its id is written in the same atomic cell before it is signed (SPEC §20-1).
        Raises ``RETIRED`` for what a retired key does not sign.
        """
        ...


def check_tape(
    head: Head,
    scheme: bytes,
    key: bytes,
    kind: Kind,
    public: bytes,
    opening: TapeOpening,
    private: bytes,
    cell: PinCell | None,
) -> Head:
    """Return the head after signing this entry, or raise ``KEYSTORE_REFUSED``: the rule of every keystore.

    ``cell`` is what it keeps of a PIN, if it has one. Raises ``RETIRED`` for a transfer to a wallet by a retired key,
    and ``UNVERIFIED`` for a claim that it cannot make. SPEC §13-2 to §13-4, §13-10, §20-2 and §22-13.
    """
    if kind not in ON_TAPE:
        raise TapError(Code.KEYSTORE_REFUSED, f"{kind.name} is not on the tape")
    _check_digests(public, opening.salt, opening.private, opening.request)
    if len(private) not in (1, 1 + DIGEST) or sha256(private) != opening.private:
        raise TapError(Code.KEYSTORE_REFUSED, "the private half is another")
    entry = statement_id(scheme, kind, key, public, opening.commitment())
    if entry == head.id:
        return head
    if head.successor and kind is Kind.TRANSFER and opening.request != ZERO:
        # A keystore sees digests only; but a transfer that answers no request is worth nothing to a wallet.
        raise TapError(Code.RETIRED)
    if opening.prev < head.ctr or opening.ctr <= opening.prev:
        raise TapError(Code.KEYSTORE_REFUSED, "this interval of the tape is taken")
    check_claim(kind, private, cell)
    return Head(opening.ctr, entry, head.successor)


def _check_digests(*digests: bytes) -> None:
    """Raise unless each has 32 bytes: fields of other lengths could be read with other borders (SPEC §13-7)."""
    for item in digests:
        if len(item) != DIGEST:
            raise TapError(Code.KEYSTORE_REFUSED, "not 32 bytes")


def check_off_tape(scheme: bytes, key: bytes, kind: Kind, public: bytes) -> bytes:
    """Return the id of a statement off the tape, or raise ``KEYSTORE_REFUSED`` for other kinds (SPEC §13-6)."""
    if kind not in OFF_TAPE:
        raise TapError(Code.KEYSTORE_REFUSED, f"{kind.name} is on the tape")
    _check_digests(public)
    return statement_id(scheme, kind, key, public)


def check_sign(head: Head, scheme: bytes, key: bytes, kind: Kind, public: bytes) -> tuple[Head, bytes]:
    """Return the head after signing this off the tape, and its id: the rule of every keystore.

    Raises ``KEYSTORE_REFUSED``, or ``RETIRED`` for what a retired key does not sign. SPEC §13-6, §20-1 and §20-2.
    """
    named = check_off_tape(scheme, key, kind, public)
    if kind is Kind.SUCCESSOR and not head.successor:
        return head._replace(successor=named), named
    if head.successor and kind not in _RETIRED and named != head.successor:
        raise TapError(Code.RETIRED)
    return head, named


def sign_with(keystore: Keystore, statement: Signed[Body]) -> bytes:
    """Have a keystore sign a statement, by the call that its kind belongs to."""
    kind = KIND[type(statement.body)]
    if kind not in ON_TAPE:
        return keystore.sign(kind, statement.public)
    if statement.place is None:
        raise TapError(Code.KEYSTORE_REFUSED, "an entry whose place on the tape is not known")
    return keystore.sign_tape(kind, statement.public, statement.place, statement.shown().private.half())
