"""What a device must supply to sign (SPEC §13): a key, and one atomic cell that holds (counter, id).

A secure element or a firmware author implements :class:`Keystore`. It is given what it needs to compute each id
itself, so that a stolen or confused host cannot have it sign anything else.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dualtap.errors import Code, TapError
from dualtap.statements import KIND, OFF_TAPE, ON_TAPE, Body, Kind, Signed, TapeOpening, statement_id
from dualtap.suite import DIGEST


class Head(NamedTuple):
    """The last tape entry signed: its counter and its id (empty before the first)."""

    ctr: int
    id: bytes


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

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening) -> bytes:
        """Sign a tape entry: ``public`` is H(public), 32 bytes.

        Writes (ctr, id) in one atomic write and signs only if ``prev`` is at least the last counter, or for the
        last id again. Raises ``KEYSTORE_REFUSED`` for anything else, also for a kind that is off the tape.
        """
        ...

    def sign(self, kind: Kind, public: bytes) -> bytes:
        """Sign a Request, Present, Sync, Successor or Grant; raise ``KEYSTORE_REFUSED`` for every other kind."""
        ...


def check_tape(head: Head, scheme: bytes, key: bytes, kind: Kind, public: bytes, opening: TapeOpening) -> Head:
    """Return the head after signing this entry, or raise ``KEYSTORE_REFUSED``: the rule of every keystore.

    SPEC §13-2 to §13-4.
    """
    if kind not in ON_TAPE:
        raise TapError(Code.KEYSTORE_REFUSED, f"{kind.name} is not on the tape")
    _check_digests(public, opening.salt, opening.private, opening.request)
    entry = statement_id(scheme, kind, key, public, opening.commitment())
    if entry == head.id:
        return head
    if opening.prev < head.ctr or opening.ctr <= opening.prev:
        raise TapError(Code.KEYSTORE_REFUSED, "this interval of the tape is taken")
    return Head(opening.ctr, entry)


def _check_digests(*digests: bytes) -> None:
    """Raise unless each has 32 bytes: fields of other lengths could be read with other borders (SPEC §13-7)."""
    if any(len(item) != DIGEST for item in digests):
        raise TapError(Code.KEYSTORE_REFUSED, "not 32 bytes")


def check_off_tape(scheme: bytes, key: bytes, kind: Kind, public: bytes) -> bytes:
    """Return the id of a statement off the tape, or raise ``KEYSTORE_REFUSED`` for other kinds (SPEC §13-6)."""
    if kind not in OFF_TAPE:
        raise TapError(Code.KEYSTORE_REFUSED, f"{kind.name} is on the tape")
    _check_digests(public)
    return statement_id(scheme, kind, key, public)


def sign_with(keystore: Keystore, statement: Signed[Body]) -> bytes:
    """Have a keystore sign a statement, by the call that its kind belongs to."""
    kind = KIND[type(statement.body)]
    if kind not in ON_TAPE:
        return keystore.sign(kind, statement.public)
    if statement.place is None:
        raise TapError(Code.KEYSTORE_REFUSED, "an entry whose place on the tape is not known")
    return keystore.sign_tape(kind, statement.public, statement.place)
