"""Who owns a wallet, what its owner and its issuer ordered, and which wallets it owns itself (SPEC §23).

A fold over the records ``Tied`` and ``Ordered``, as :mod:`dualtap.book` is over the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

from dualtap import limits
from dualtap.errors import Code, TapError
from dualtap.issued import Authority
from dualtap.records import Ordered, Tied
from dualtap.statements import Bind, Errand, OrderBody, OwnerOrder, Word
from dualtap.trust import Trust

GIVEN = 64
"""Orders about one wallet that its owner keeps to tell the issuer: the latest."""


class Restraint(NamedTuple):
    """What binds a wallet beside its tier: whether it is off, and the most that it pays at once and in an epoch."""

    frozen: bool = False
    payment: int = limits.AMOUNT
    day: int = limits.AMOUNT


FREE = Restraint()
"""No restraint."""


def _replaces(order: OwnerOrder, earlier: OwnerOrder) -> bool:
    """Return whether nobody needs the earlier order any more: it is the same, or another restraint."""
    restraints = order.body.errand is earlier.body.errand is Errand.RESTRAIN
    return order.id == earlier.id or restraints


class Ties:
    """One wallet's ties. ``number`` counts its bindings; ``bind`` is the one in force, not signed."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.number = 0
        self.bind: Bind | None = None
        self.owned: dict[bytes, Tied] = {}
        self.given: dict[bytes, list[OwnerOrder]] = {}
        self._latest: dict[bytes, OwnerOrder] = {}
        self._restraints: dict[bytes, OwnerOrder] = {}

    @property
    def owner(self) -> bytes:
        """The key of this wallet's owner; empty if it is bound to none."""
        return self.bind.body.owner if self.bind is not None else b""

    def check_none(self) -> None:
        """Raise ``BOUND`` for a key that is bound, or owns a wallet: it names no successor (SPEC §23-17)."""
        if self.bind is not None:
            raise TapError(Code.BOUND)
        if self.owned:
            raise TapError(Code.BOUND, "it owns wallets: unbind these first")

    def apply(self, item: Tied | Ordered) -> None:
        """Change the ties by one record."""
        match item:
            case Tied(wallet, number, bind, _) if wallet == self._key:
                old = self.owner
                self.number, self.bind = max(self.number, number), bind
                if old and old != self.owner:
                    self._restraints.pop(old, None)
                    if old in self._latest and self._latest[old].body.errand is not Errand.UNBIND:
                        del self._latest[old]  # an UNBIND stays: the issuer is told of it (SPEC §23-18)
            case Tied(wallet, _, bind, _):
                if bind is None:
                    self.owned.pop(wallet, None)
                else:
                    self.owned[wallet] = item
            case Ordered(order) if order.key == self._key:
                before = self.given.get(order.body.wallet, ())
                self.given[order.body.wallet] = [*(one for one in before if not _replaces(order, one)), order][-GIVEN:]
            case Ordered(order):
                self._latest[order.key] = order
                if order.body.errand is not Errand.UNBIND:
                    self._restraints[order.key] = order

    def restraint(self) -> Restraint:
        """Return what its owner and its issuer together leave this wallet: the stricter of each (SPEC §23-14)."""
        frozen, payment, day = False, limits.AMOUNT, limits.AMOUNT
        for order in self._restraints.values():
            body = order.body
            frozen = frozen or body.frozen or body.errand is Errand.LOST
            if body.errand is Errand.RESTRAIN:
                payment, day = min(payment, body.payment), min(day, body.day)
        return Restraint(frozen, payment, day)

    def given_to(self, wallet: bytes) -> Restraint:
        """Return the restraint that this wallet, as owner, ordered last."""
        tied = self.owned.get(wallet)
        for order in reversed(self.given.get(wallet, ())):
            body = order.body
            if tied is not None and body.bind == tied.number and body.errand is Errand.RESTRAIN:
                return Restraint(body.frozen, body.payment, body.day)
        return FREE

    def reported_lost(self, wallet: bytes) -> bool:
        """Return whether LOST is what this wallet, as owner, ordered last of RESTRAIN and LOST (SPEC §23-14)."""
        tied, heeded = self.owned.get(wallet), (Errand.RESTRAIN, Errand.LOST)
        bodies = [order.body for order in self.given.get(wallet, ()) if tied and order.body.bind == tied.number]
        return next((body.errand is Errand.LOST for body in reversed(bodies) if body.errand in heeded), False)

    def gave_up(self, wallet: bytes) -> bool:
        """Return whether this wallet, as owner, has ordered UNBIND under the binding that it holds."""
        tied, given = self.owned.get(wallet), (order.body for order in self.given.get(wallet, ()))
        return any(tied is not None and body.bind == tied.number and body.errand is Errand.UNBIND for body in given)

    def next_number(self, wallet: bytes) -> int:
        """Return the number of the next order about a wallet."""
        return max([order.body.number for order in self.given.get(wallet, ())], default=0) + 1

    def taken(self, order: OwnerOrder, institutions: frozenset[bytes]) -> tuple[Tied | Ordered, ...]:
        """Return the records of an order that this wallet obeys; none for one that it has obeyed.

        Its signature is verified elsewhere. Raises ``NOT_BOUND`` for one of somebody else, or of another binding;
        ``REPLAYED_REQUEST`` for one that is older than the last of its signer. SPEC §23-12 and §23-13.
        """
        body = order.body
        owners = order.key == self.owner and body.bind == self.number
        issuers = order.key in institutions and body.bind == (self.number if body.errand is Errand.UNBIND else 0)
        if body.wallet != self._key or not (owners or issuers):
            raise TapError(Code.NOT_BOUND, "an order of somebody else, or of another binding")
        if body.errand not in (Errand.RESTRAIN, Errand.UNBIND, Errand.LOST):
            raise TapError(Code.MALFORMED, "an order for the issuer")
        latest = self._latest.get(order.key)
        if latest is not None and latest.id == order.id:
            return ()
        if latest is not None and body.number <= latest.body.number:
            raise TapError(Code.REPLAYED_REQUEST, "an order that a later one replaced")
        if body.errand is Errand.UNBIND:
            return (Ordered(order), Tied(self._key, self.number, None, None))
        return (Ordered(order),)

    def told(self, words: Iterable[Word], trust: Trust) -> tuple[Tied | Ordered, ...]:
        """Return the records of orders that a reply brings; raise ``BAD_SIGNATURE`` for one that is not genuine.

        What is of no concern here, or was obeyed before by a tap, is passed over. SPEC §23-16.
        """
        institutions = frozenset(one.key for one in trust.authorities if one.authority is Authority.INSTITUTION)
        after, found = Ties(self._key), list[Tied | Ordered]()
        for record in self.kept():
            after.apply(record)
        for word in words:
            trust.verify_statement(word)
            if not isinstance(word.body, OrderBody):
                continue
            order = cast("OwnerOrder", word)
            try:
                records = after.taken(order, institutions)
            except TapError:
                records = after._released(order, institutions)
            for record in records:
                after.apply(record)
            found += records
        return tuple(found)

    def _released(self, order: OwnerOrder, institutions: frozenset[bytes]) -> tuple[Tied, ...]:
        """Return the record by which a wallet that this one owns is unbound by an institution, if this is the order."""
        body, tied = order.body, self.owned.get(order.body.wallet)
        over = tied is not None and body.errand is Errand.UNBIND and body.bind == tied.number
        return (Tied(body.wallet, body.bind, None, None),) if over and order.key in institutions else ()

    def words(self) -> tuple[Word, ...]:
        """Return all that the issuer is told: proofs of both sides, orders given, and by which this was unbound."""
        found: list[Word] = []
        for tied in self.owned.values():
            found += [word for word in (tied.bind, tied.own) if word is not None and word.signature]
        found += [order for orders in self.given.values() for order in orders if order.signature]
        found += self._unbound()
        return tuple(found)

    def _unbound(self) -> list[OwnerOrder]:
        return [order for order in self._latest.values() if order.body.errand is Errand.UNBIND]

    def kept(self) -> tuple[Tied | Ordered, ...]:
        """Return the records from which these ties follow: a compacted log holds them after its snapshot."""
        found: list[Tied | Ordered] = [Tied(self._key, self.number, self.bind, None)] if self.number else []
        found += [*self.owned.values()]
        found += [Ordered(order) for order in self._restraints.values()]
        found += [Ordered(order) for order in self._unbound()]
        found += [Ordered(order) for orders in self.given.values() for order in orders]
        return tuple(found)
