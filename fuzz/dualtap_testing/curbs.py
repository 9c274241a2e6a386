"""What an honest wallet may pay and take, judged by hand: the conditions of value, its tier's sums, its owner's limits.

SPEC §5.6, §22 and §23-14. Read from stores as :mod:`dualtap_testing.rules`; nothing here imports the core. A compacted
log takes nothing away from what was read before it: what a wallet forgets is still known here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dualtap_testing.binding import Here
from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.reading import CLOSE, RECEIPT, Raw, Shelf, Word, unpack, untaped_id, word

CONDITION_UNMET, MOST = 71, 2**53 - 1
"""An error of SPEC §9; and the sum that is no limit (§4.3)."""
_RESTRAIN, _UNBIND, _LOST = 1, 2, 3
Store = tuple[bytes, Shelf, Sequence[bytes]]
"""A key, what its store is read by, and every record that was ever durable there."""


class Sums(NamedTuple):
    """What a tier limits (SPEC §4.3): one payment, those of one day, and what who collects may hold."""

    payment: int
    day: int
    balance: int


class Restraint(NamedTuple):
    """What owner and institutions leave a wallet (SPEC §23-14)."""

    frozen: bool = False
    payment: int = MOST
    day: int = MOST


@dataclass
class _Kept:
    """What was read of one store; ``before`` is that of the key before this one."""

    key: bytes
    shelf: Shelf
    before: _Kept | None
    read: int = 0
    tail: Raw = ()
    days: Counter[int] = field(default_factory=Counter[int])
    """What was paid in each epoch, but for what is dead."""
    sent: dict[bytes, tuple[int, int]] = field(default_factory=dict[bytes, tuple[int, int]])
    """Of each transfer that is pending: its units, and the epoch in which it counts, or -1."""
    balance: int = 0
    funded: set[bytes] = field(default_factory=set[bytes])
    owner: bytes = b""
    number: int = 0
    orders: dict[bytes, Raw] = field(default_factory=dict[bytes, Raw])
    numbers: dict[bytes, int] = field(default_factory=dict[bytes, int])
    obeyed: set[bytes] = field(default_factory=set[bytes])

    def day(self, epoch: int) -> int:
        """Return what this device has paid in an epoch."""
        return self.days[epoch] + (self.before.day(epoch) if self.before is not None else 0)

    def restraint(self) -> Restraint:
        """Return what binds it now."""
        found = Restraint()
        for _, _, _, errand, frozen, payment, day, *_ in self.orders.values():
            free = Restraint(found.frozen or frozen or errand == _LOST, found.payment, found.day)
            found = free._replace(payment=min(free.payment, payment), day=min(free.day, day)) if errand == 1 else free
        return found


class _Case(NamedTuple):
    """A payment that is to be judged by its conditions: which, of which basket, on which date, by whom."""

    transfer: bytes
    basket: bytes
    today: int
    what: str


class Curbs:
    """Reads honest stores, and raises :class:`PromiseBroken` for what a wallet paid, took or refused wrongly."""

    def __init__(
        self, checkers: Checkers, sums: Sums, clocks: Mapping[int, int], verifier: Callable[[bytes], Callable[..., Any]]
    ) -> None:
        """``clocks`` are the dates that devices' clocks show as a tap begins, by their stores."""
        self._checkers, self._sums, self._clocks, self._verifier = checkers, sums, clocks, verifier
        self._stores: dict[int, _Kept] = {}
        self._cases: list[_Case] = []
        self._refused: list[tuple[_Kept, Word, int]] = []

    def read(self, stores: Sequence[Store]) -> None:
        """Take in what became durable in an honest device's stores, the oldest key first."""
        before: _Kept | None = None
        for key, shelf, journal in stores:
            kept = self._stores.setdefault(id(shelf), _Kept(key, shelf, before))
            for record in journal[kept.read :]:
                self._take(kept, unpack(record))
            kept.read, before = len(journal), kept

    def _take(self, kept: _Kept, record: Raw) -> None:
        match record:
            case [2, token]:
                named = token[0] + token[-1]
                kept.balance += token[1] if named not in kept.funded else 0
                kept.funded.add(named)
            case [4, statement, message]:
                self._answered(kept, statement, message)
            case [5, statement, basket, _]:
                self._sent(kept, statement, basket)
            case [7, moved, prev, ctr]:
                self._moved(kept, moved, prev, ctr)
            case [8, transfer, outcome]:
                units, epoch = kept.sent.pop(transfer, (0, -1))
                if word(self._checkers.scheme, outcome).accepts == transfer:
                    kept.balance -= units
                elif epoch >= 0:
                    kept.days[epoch] -= units
            case [9, _, ended, _]:
                kept.balance -= sum(kept.sent.pop(transfer, (0, -1))[0] for transfer in ended)
            case [10, *fields]:
                self._restored(kept, tuple(fields))
            case [17, wallet, number, bind, _] if wallet == kept.key:
                owner: bytes = b"" if bind is None else bind[2][0]
                if owner != kept.owner:
                    kept.orders.pop(kept.owner, None)
                kept.owner, kept.number = owner, number
            case [18, order] if order[1] != kept.key:
                self._ordered(kept, order)
            case _:
                pass

    def _restored(self, kept: _Kept, fields: Raw) -> None:
        if fields[10]:
            kept.tail = fields[10][-1]
        held = sum(end - start for _, _, start, end in fields[5])
        kept.balance = held + sum(_units(statement) for statement, *_ in fields[6])

    # What it takes

    def _answered(self, kept: _Kept, statement: Raw, message: bytes) -> None:
        kept.tail = statement
        said = word(self._checkers.scheme, statement)
        today = max(said.epoch, self._clocks.get(id(kept.shelf), 0))
        if said.kind == RECEIPT:
            kept.balance += sum(end - start for *_, start, end in unpack(message)[2])
            if kept.balance > self._sums.balance < MOST:
                raise PromiseBroken(2, "an honest wallet accepted more than its tier lets it hold")
            basket = kept.shelf.questions[said.request].basket
            self._cases.append(_Case(said.accepts, basket, today, "accepted a payment"))
        elif said.kind == CLOSE and statement[2][1] == CONDITION_UNMET:
            self._refused.append((kept, said, today))

    # What it pays

    def _sent(self, kept: _Kept, statement: Raw, basket: bytes) -> None:
        kept.tail = statement
        said, units = word(self._checkers.scheme, statement), _units(statement)
        kept.sent[said.id] = units, said.epoch if said.request else -1
        if not said.request:
            return
        kept.days[said.epoch] += units
        bound, day = kept.restraint(), kept.day(said.epoch)
        wrong = {
            "more at once than its tier allows": units > self._sums.payment,
            "more in a day than its tier allows": day > self._sums.day < MOST,
            "while it is frozen": bound.frozen,
            "more at once than its owner or issuer allows": units > bound.payment,
            "more in a day than its owner or issuer allows": day > bound.day < MOST,
        }
        for what, is_so in wrong.items():
            if is_so:
                raise PromiseBroken(2, f"an honest wallet pays {what}")
        today = max(said.epoch, self._clocks.get(id(kept.shelf), 0))
        self._cases.append(_Case(said.id, basket, today, "made a payment"))

    def _moved(self, kept: _Kept, moved: bytes, prev: int, ctr: int) -> None:
        kind, key, body, opening, signature = kept.tail
        kept.tail = (kind, key, body, (opening[0], prev, ctr, *opening[3:]), signature)
        if moved in kept.sent:
            kept.sent[word(self._checkers.scheme, kept.tail).id] = kept.sent.pop(moved)

    # Whom it obeys

    def _ordered(self, kept: _Kept, order: Raw) -> None:
        _, signer, body, _, signature = order
        named = untaped_id(self._checkers.scheme, order)
        if named in kept.obeyed:
            return  # a compacted log says it again
        wallet, bind, number, errand = body[:4]
        owners = signer == kept.owner and bind == kept.number
        issuers = signer in self._checkers.bag.offices and (bind == 0 or errand == _UNBIND)
        if wallet != kept.key or not (owners or issuers) or errand not in (_RESTRAIN, _UNBIND, _LOST):
            raise PromiseBroken(3, "an honest wallet obeys somebody who may not order it")
        if number <= kept.numbers.get(signer, 0):
            raise PromiseBroken(3, "an honest wallet obeys an order that a later one replaced")
        try:
            self._verifier(signer)(signature, named)
        except Exception as error:
            raise PromiseBroken(3, "an honest wallet obeys what nobody signed") from error
        kept.obeyed.add(named)
        kept.numbers[signer] = number
        if errand != _UNBIND:
            kept.orders[signer] = body

    # Judging

    def judge(self) -> None:
        """Judge what was read since the last time: every store was."""
        bag = self._checkers.bag
        cases, self._cases = self._cases, []
        for case in cases:
            transfer = bag.transfers.get(case.transfer)
            unmet = "" if transfer is None else bag.unmet(transfer, Here(case.today, case.basket))
            if unmet:
                raise PromiseBroken(1, f"an honest wallet {case.what} against the conditions of its value: {unmet}")
        refused, self._refused = self._refused, []
        for kept, said, today in refused:
            here = Here(today, kept.shelf.questions[said.request].basket)
            for named, request in list(bag.requests.items()):
                transfer = bag.transfers.get(named)
                if request != said.request or transfer is None or transfer.payee != kept.key:
                    continue
                if self._checkers.honest(transfer.key) and not bag.unmet(transfer, here):
                    raise PromiseBroken(2, "an honest wallet refuses value whose conditions are met")

    def claims(self, shelf: Shelf, restraint: tuple[bool, int, int], today: tuple[int, int]) -> None:
        """Compare what a wallet says of its restraint, and of what it paid in an epoch, with its store."""
        kept, (epoch, paid) = self._stores[id(shelf)], today
        if Restraint(*restraint) != kept.restraint():
            raise PromiseBroken(2, "a wallet says another restraint than its store")
        due = kept.day(epoch)
        if paid < due or (kept.before is None and paid > due):
            raise PromiseBroken(2, "a wallet says that it paid another sum today than it did")


def _units(statement: Raw) -> int:
    return sum(end - start for _, start, end in statement[2][1])
