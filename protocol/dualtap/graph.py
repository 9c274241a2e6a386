"""The graph of value (SPEC §5.3): tokens, the transfers that cut them, and what each parent gives.

A transfer is a statement only if its signer owns each parent and spends no unit twice: that is judged here.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from typing import NamedTuple

from dualtap.conditions import Bound, Here, check_met
from dualtap.errors import Code, TapError
from dualtap.issued import Token, WalletCertificate
from dualtap.statements import Parent, Side, Transfer, Warrant
from dualtap.trust import Trust


class Origin(NamedTuple):
    """What a parent gives: units ``[start, end)`` of a token, to an owner, after hops and restorations.

    ``bound`` is the token itself if it carries conditions: they bind its owner, wherever its units have been.
    """

    token: bytes
    start: int
    end: int
    owner: bytes
    hops: int
    restored: int
    epoch: int
    bound: Token | None = None


class Interval(NamedTuple):
    """``[start, end)`` of a parent's units, or ``(start, end]`` of a key's tape, taken by a transfer."""

    start: int
    end: int
    transfer: bytes


def overlaps(taken: list[Interval], start: int, end: int) -> bool:
    """Return whether ``[start, end)`` meets one of these disjoint intervals, which are in order."""
    place = bisect_left(taken, (start,))
    before = place > 0 and taken[place - 1].end > start
    return before or (place < len(taken) and taken[place].start < end)


class Graph:
    """Statements by id (tokens, transfers), by transfer (warrants) and by key (certificates, opened tapes)."""

    def __init__(self) -> None:
        self.tokens: dict[bytes, Token] = {}
        self.transfers: dict[bytes, Transfer] = {}
        self.warrants: dict[bytes, Warrant] = {}
        self.certificates: dict[bytes, WalletCertificate] = {}
        self.spends: dict[Parent, list[Interval]] = {}
        self.tapes: dict[bytes, list[Interval]] = {}
        self._origins: dict[Parent, Origin] = {}

    def origin(self, parent: Parent) -> Origin:
        """Return what a parent gives; raise ``BROKEN_PROVENANCE`` if this graph does not hold it."""
        found = self._origins.get(parent)
        if found is None:
            found = self._origins[parent] = self._trace(parent)
        return found

    def _trace(self, parent: Parent) -> Origin:
        if parent.side is Side.TOKEN:
            token = self.tokens.get(parent.id)
            if token is None or parent.place:
                raise TapError(Code.BROKEN_PROVENANCE, "a token is missing")
            return Origin(parent.id, 0, token.amount, token.owner, 0, 0, 0, token if token.conditions else None)
        transfer = self.transfers.get(parent.id)
        if transfer is None or parent.place >= len(transfer.body.spans):
            raise TapError(Code.BROKEN_PROVENANCE, "an earlier transfer is missing")
        above, start, end = transfer.body.spans[parent.place]
        up = self.origin(above)
        epoch = transfer.body.epoch
        if parent.side is Side.PAYEE:
            return Origin(up.token, start, end, transfer.body.payee, up.hops + 1, up.restored, epoch, up.bound)
        return Origin(up.token, start, end, transfer.key, up.hops, up.restored + 1, epoch, up.bound)

    def put(self, transfer: Transfer) -> None:
        """Take in one transfer; one that shows its opening replaces one that does not."""
        known = self.transfers.get(transfer.id)
        if known is None:
            for parent, start, end in transfer.body.spans:
                insort(self.spends.setdefault(parent, []), Interval(start, end, transfer.id))
        if known is None or (known.opening is None and transfer.opening is not None):
            self.transfers[transfer.id] = transfer
            if transfer.opening is not None:
                place = Interval(transfer.opening.prev, transfer.opening.ctr, transfer.id)
                insort(self.tapes.setdefault(transfer.key, []), place)

    def drop(self, key: bytes) -> None:
        """Forget a transfer that was never signed."""
        transfer = self.transfers.pop(key, None)
        if transfer is None:
            return
        tape = self.tapes.get(transfer.key, [])
        tape[:] = [place for place in tape if place.transfer != key]
        for parent, _, _ in transfer.body.spans:
            self.spends[parent] = [taken for taken in self.spends[parent] if taken.transfer != key]

    def add(self, other: Graph) -> None:
        """Take in everything that another graph holds. A warrant once known stays."""
        for key, token in other.tokens.items():
            self.tokens.setdefault(key, token)
        for transfer in other.transfers.values():
            self.put(transfer)
        for key, warrant in other.warrants.items():
            self.warrants.setdefault(key, warrant)
        for key, certificate in other.certificates.items():
            known = self.certificates.get(key)
            if known is None or known.expires < certificate.expires:
                self.certificates[key] = certificate

    def ancestors(self, transfer: Transfer) -> list[Transfer]:
        """Return the transfers behind this one, each before those that spend it; not the transfer itself.

        SPEC §5.4-1.
        """
        order: dict[bytes, Transfer] = {}
        stack: list[tuple[bytes, bool]] = [
            (span.parent.id, False) for span in transfer.body.spans if span.parent.side is not Side.TOKEN
        ]
        while stack:
            key, expanded = stack.pop()
            if key in order:
                continue
            found = self.transfers.get(key)
            if found is None:
                raise TapError(Code.BROKEN_PROVENANCE, "an earlier transfer is missing")
            if expanded:
                order[key] = found
                continue
            stack.append((key, True))
            stack.extend((span.parent.id, False) for span in found.body.spans if span.parent.side is not Side.TOKEN)
        return list(order.values())


def check_spans(graph: Graph, transfer: Transfer, trust: Trust, here: Here | None = None) -> None:
    """Raise unless a transfer is a statement (SPEC §5.3): its signer owns each parent, spends no unit twice, and
    meets the conditions of its own tokens.

    ``here`` is what only a payee at the tap can judge. Raises ``BROKEN_PROVENANCE``, ``NOT_OWNER``, ``SPAN_OUTSIDE``,
    ``SPANS_OVERLAP``, ``EPOCH_BACKWARDS``, or as :func:`dualtap.conditions.check_met`.
    """
    check_origins(transfer, graph.origin, trust, here)


def check_origins(
    transfer: Transfer, origin_of: Callable[[Parent], Origin], trust: Trust, here: Here | None = None
) -> None:
    """Raise as :func:`check_spans`, for whoever finds what a parent gives elsewhere than in a graph."""
    bound: dict[bytes, Bound] = {}
    taken: dict[bytes, list[tuple[int, int]]] = {}
    for parent, start, end in transfer.body.spans:
        origin = origin_of(parent)
        if origin.owner != transfer.key:
            raise TapError(Code.NOT_OWNER)
        if not origin.start <= start < end <= origin.end:
            raise TapError(Code.SPAN_OUTSIDE)
        if transfer.body.epoch < origin.epoch:
            raise TapError(Code.EPOCH_BACKWARDS)
        mine = taken.setdefault(origin.token, [])
        if mine and any(start < e and s < end for s, e in mine):
            raise TapError(Code.SPANS_OVERLAP)
        mine.append((start, end))
        if origin.bound is not None and origin.bound.owner == transfer.key:
            bound[origin.token] = bound.get(origin.token, Bound(origin.bound)).plus(start, end, origin.hops)
    if bound or transfer.body.witness:
        check_met(trust, transfer, bound, here)


def check_sides(graph: Graph, transfer: Transfer) -> None:
    """Raise ``BROKEN_PROVENANCE`` unless a restored side has its warrant and no payee's side is dead.

    SPEC §8.2-5 and §8.2-6.
    """
    for parent, _, _ in transfer.body.spans:
        if parent.side is not Side.TOKEN and (parent.side is Side.PAYER) != (parent.id in graph.warrants):
            raise TapError(Code.BROKEN_PROVENANCE, "a dead transfer's side without, or against, its warrant")
