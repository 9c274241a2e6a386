"""Whose a wallet is, what restrains it, and who is paid in its place (SPEC §16-21, §16-22).

A function of a stamped set. Only what both sides signed in one session ties a wallet to an owner. Orders count if their
signer may give them: the owner under the tie in force, or an institution. What was seen by an epoch decides what held
at that epoch, so that order, repetition and batching of syncs cannot matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from dualtap import limits
from dualtap.statements import BindBody, Errand, OrderBody, OwnBody, Word
from dualtap.ties import Restraint

ALWAYS: Final = 2**31 - 1
"""By then, all that is known counts."""


class Tie(NamedTuple):
    """A wallet bound to an owner, both signed: since when the ledger knows it, and the number of the binding."""

    since: int
    number: int
    owner: bytes
    wallet: bytes
    session: bytes


class Given(NamedTuple):
    """An order, and since when the ledger knows it."""

    since: int
    id: bytes
    signer: bytes
    body: OrderBody


class People:
    """The registry of ties, of what was ordered, and of whom a lost or replaced wallet's value belongs to."""

    def __init__(self, words: Iterable[Word], seen: Mapping[bytes, int], institutions: Collection[bytes]) -> None:
        """``words`` are genuine; ``seen`` has their stamps, by id."""
        self._institutions = frozenset(institutions)
        self._ties: dict[bytes, list[Tie]] = defaultdict(list)
        self._orders: dict[bytes, list[Given]] = defaultdict(list)
        binds: dict[tuple[bytes, bytes, bytes], dict[int, int]] = defaultdict(dict)
        owns: dict[tuple[bytes, bytes, bytes], int] = {}
        for word in words:
            epoch = seen[word.id]
            match word.body:
                case BindBody(owner, session, number):
                    known = binds[word.key, owner, session]
                    known[number] = min(epoch, known.get(number, epoch))
                case OwnBody(wallet, session):
                    tied = (wallet, word.key, session)
                    owns[tied] = min(epoch, owns.get(tied, epoch))
                case OrderBody() as body:
                    self._orders[body.wallet].append(Given(epoch, word.id, word.key, body))
        for (wallet, owner, session), numbers in binds.items():
            for number, epoch in numbers.items():
                own = owns.get((wallet, owner, session))
                if own is not None and number:
                    self._ties[wallet].append(Tie(max(epoch, own), number, owner, wallet, session))

    def tie(self, wallet: bytes, by: int = ALWAYS) -> Tie | None:
        """Return the tie in force: of those known by an epoch and not ended, the one that was known first.

        So no later word of a broken wallet takes it from its owner. SPEC §16-21.
        """
        known = [tie for tie in self._ties.get(wallet, ()) if tie.since <= by]
        return min((tie for tie in known if not self._ended(tie, by)), default=None)

    def _ended(self, tie: Tie, by: int) -> bool:
        """Return whether its owner, or an institution, has ended this binding."""
        return any(
            one.body.errand is Errand.UNBIND
            and one.body.bind == tie.number
            and (one.signer == tie.owner or one.signer in self._institutions)
            for one in self._known(tie.wallet, by)
        )

    def _known(self, wallet: bytes, by: int) -> list[Given]:
        return [one for one in self._orders.get(wallet, ()) if one.since <= by]

    def orders(self, wallet: bytes, by: int = ALWAYS) -> dict[bytes, list[Given]]:
        """Return the orders about a wallet that count, of each signer in their order: by number, then by id."""
        tie, found = self.tie(wallet, by), dict[bytes, list[Given]]()
        for one in sorted(self._known(wallet, by), key=lambda one: (one.body.number, one.id)):
            owners = tie is not None and one.signer == tie.owner and one.body.bind == tie.number
            if owners or (one.signer in self._institutions and one.body.bind == 0):
                found.setdefault(one.signer, []).append(one)
        return found

    def _states(self, wallet: bytes, by: int) -> dict[bytes, OrderBody]:
        """Return the last order of each signer about a wallet's state: RESTRAIN or LOST."""
        wanted = {Errand.RESTRAIN, Errand.LOST}
        given = [(one.signer, one.body) for orders in self.orders(wallet, by).values() for one in orders]
        return {signer: body for signer, body in given if body.errand in wanted}

    def restraint(self, wallet: bytes, by: int = ALWAYS) -> Restraint:
        """Return what owner and institutions leave a wallet: the stricter of each (SPEC §23-14)."""
        frozen, payment, day = False, limits.AMOUNT, limits.AMOUNT
        for body in self._states(wallet, by).values():
            frozen = frozen or body.frozen or body.errand is Errand.LOST
            if body.errand is Errand.RESTRAIN:
                payment, day = min(payment, body.payment), min(day, body.day)
        return Restraint(frozen, payment, day)

    def is_lost(self, wallet: bytes, by: int = ALWAYS) -> bool:
        """Return whether a wallet was reported lost, last, by its owner or an institution."""
        return any(body.errand is Errand.LOST for body in self._states(wallet, by).values())

    def says_lost(self, signer: bytes, wallet: bytes) -> bool:
        """Return whether LOST is the last that this owner or institution ordered of a wallet's state."""
        last = self._states(wallet, ALWAYS).get(signer)
        return last is not None and last.errand is Errand.LOST

    def heir(self, wallet: bytes, home: bytes, by: int = ALWAYS) -> bytes:
        """Return the key to which belongs what a wallet was credited for what it held at ``claim_by``; empty: its own.

        That is the key to which it was moved, by the last such order of its owner or else of ``home``, the institution
        that keeps its account and pays; of a wallet that is lost and bound, its owner. SPEC §16-22.
        """
        tie, orders = self.tie(wallet, by), self.orders(wallet, by)
        for signer in (home,) if tie is None else (tie.owner, home):
            moves = [one.body.to for one in orders.get(signer, ()) if one.body.errand is Errand.MOVE and one.body.to]
            if moves:
                return moves[-1]
        return tie.owner if tie is not None and self.is_lost(wallet, by) else b""

    def wallets(self) -> set[bytes]:
        """Return every wallet about which something was ordered."""
        return set(self._orders)
