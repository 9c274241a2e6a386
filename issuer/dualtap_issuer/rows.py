"""The rows that follow from facts, as every store keeps them: the index in which overlap is a query.

Each begins with its primary key, and that with the column by which its table distributes; but of a span, PostgreSQL's
key leaves out what its transfer and number imply.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from dualtap.statements import Parent, Side


class Kept(IntEnum):
    """What keeping a fact changed: nothing, its stamp, or the set."""

    KNOWN = 0
    EARLIER = 1
    NEW = 2


class HandRow(NamedTuple):
    """A transfer, whether or not it is a statement: from whom to whom, and what it commits to.

    It is in no table: the fact itself tells it.
    """

    id: bytes
    key: bytes
    payee: bytes
    epoch: int
    commitment: bytes


class PlaceRow(NamedTuple):
    """A statement's place ``(prev, ctr]`` on its key's tape."""

    key: bytes
    prev: int
    ctr: int
    id: bytes


class OutcomeRow(NamedTuple):
    """An outcome of a request; ``transfer`` is what it accepts, empty for a Close."""

    key: bytes
    request: bytes
    id: bytes
    transfer: bytes


class AskedRow(NamedTuple):
    """Which request of its payee a transfer answers."""

    payee: bytes
    request: bytes
    transfer: bytes


class CertifiedRow(NamedTuple):
    """A key, and the digest of a certificate of it."""

    key: bytes
    certificate: bytes


class AuthorityRow(NamedTuple):
    """An authority's hint, and the digest of a certificate of it."""

    hint: bytes
    certificate: bytes


class WordRow(NamedTuple):
    """What was signed of a wallet's tie to an owner: the wallet that it is about, its id, and who signed it."""

    wallet: bytes
    id: bytes
    key: bytes


class SpanRow(NamedTuple):
    """A span of a statement: of which token, cut from which parent, where, by which transfer's which span."""

    token: bytes
    parent: bytes
    side: int
    place: int
    start: int
    end: int
    transfer: bytes
    number: int

    @property
    def origin(self) -> Parent:
        """What it is cut from."""
        return Parent(self.parent, Side(self.side), self.place)


class WaitRow(NamedTuple):
    """What has to wait for something else to arrive: a transfer to be judged, or for its request to be shown, or a
    deposit to be credited.

    The row stays when that has arrived: what only grows needs no order.
    """

    missing: bytes
    transfer: bytes


class DepositRow(NamedTuple):
    """A deposit, and whether its provenance is whole."""

    transfer: bytes
    credited: int


class TodoRow(NamedTuple):
    """A fact that others can see while what follows from it is not yet written; whether only its stamp changed."""

    digest: bytes
    moved: int
