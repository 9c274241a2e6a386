"""Seeded bugs: ways to break production code, as data, to see that the simulator finds each.

A bug replaces one thing, an attribute of a module or class or an item of a table, by what ``made`` makes of it. Add
one by adding to :data:`BUGS`; ``python -m dualtap_testing.killing`` says which seed finds each.
"""

# What is broken is broken from inside:
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, NamedTuple

from dualtap import payee, provenance, recall
from dualtap.account import Account
from dualtap.book import Book
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.issued import WalletCertificate
from dualtap.logcodec import decoder
from dualtap.records import Answered, Healed, Holding, Record, Sent
from dualtap.statements import CloseBody, ReceiptBody
from dualtap.trust import Trust
from dualtap_devices import keystore as keystores
from dualtap_devices.wallet import Wallet
from dualtap_issuer import following, naming
from dualtap_issuer.credits import Credits


class Bug(NamedTuple):
    """One way to break the code: what is wrong then, whose ``name`` is replaced, and by what."""

    what: str
    owner: Any
    name: str
    made: Callable[[Any], Any]

    @contextmanager
    def planted(self) -> Generator[None]:
        """Break the code while this lasts."""
        table = isinstance(self.owner, dict)
        before: Any = self.owner[self.name] if table else self.owner.__dict__[self.name]
        self._put(table, self.made(before))
        try:
            yield
        finally:
            self._put(table, before)

    def _put(self, table: bool, value: Any) -> None:
        if table:
            self.owner[self.name] = value
        else:
            setattr(self.owner, self.name, value)


def _always(value: object) -> Callable[[Any], Any]:
    """Return what makes a function that gives this answer to everything."""

    def made(before: Any) -> Any:
        del before

        def told(*_: object, **__: object) -> object:
            return value

        return told

    return made


def _without(*codes: Code) -> Callable[[Any], Any]:
    """Return what makes a check that never raises these."""

    def made(before: Any) -> Any:
        def lax(*args: Any, **more: Any) -> Any:
            try:
                return before(*args, **more)
            except TapError as error:
                if error.code not in codes:
                    raise
                return None

        return lax

    return made


def _persisting(kept: Callable[[Record], bool]) -> Callable[[Any], Any]:
    """Return what makes a wallet that writes only these records of a tap."""

    def made(before: Any) -> Any:
        def persist(self: Wallet, records: Iterable[bytes]) -> None:
            decode = decoder(self.book.scheme.id)
            before(self, [item for item in records if kept(decode(item))])

        return persist

    return made


def _late_debit(before: Any) -> Any:
    """Return a wallet that writes a Transfer with whatever it writes next."""

    def persist(self: Wallet, records: Iterable[bytes]) -> None:
        decode, batch = decoder(self.book.scheme.id), [*self.__dict__.pop("_late", ()), *records]
        if isinstance(decode(batch[-1]), Sent):
            self.__dict__["_late"] = batch
        else:
            before(self, batch)

    return persist


def _not_close(item: Record) -> bool:
    return not (isinstance(item, Answered) and isinstance(item.outcome.body, CloseBody))


def _closed_is_paid(before: Any) -> Any:
    """Return a payer's wallet that drops a transfer from its doubts, whatever the outcome."""

    def heal_(self: Book, key: bytes, given: Any) -> None:
        held = list(self.holdings)
        before(self, key, given)
        self.holdings = held

    return heal_


def _restored_twice(before: Any) -> Any:
    """Return a payer's wallet to which an accepted transfer comes back."""

    def heal_(self: Book, key: bytes, given: Any) -> None:
        sent = self.pending[key]
        before(self, key, given)
        if isinstance(given.body, ReceiptBody):
            for parent, start, end in sent.transfer.body.spans:
                self.holdings.append(Holding(parent, self.graph.origin(parent).token, start, end))

    return heal_


def _uncut(before: Any) -> Any:
    """Return a wallet that keeps what it spends, every third time."""
    counted = [0]

    def cut(self: Book, *args: Any) -> None:
        counted[0] += 1
        if counted[0] % 3:
            before(self, *args)

    return cut


def _taking_any_place(before: Any) -> Any:
    """Return a keystore's rule that looks at no counter."""

    def check(head: Any, *args: Any) -> Any:
        return before(head._replace(ctr=0), *args)

    return check


def _same_place(before: Any) -> Any:
    """Return a wallet whose Closes take the place of the entry before."""

    def place(self: Account, random: Any, *said: Any) -> Any:
        found = before(self, random, *said)
        return found if found.request or self.counter < 2 else found._replace(prev=self.counter - 1)

    return place


def _deposit_again(before: Any) -> Any:
    """Return a ledger's credits that forget which they wrote."""

    def credits(self: Credits) -> Any:
        found = before(self)
        return [*found, *found[:1]]

    return credits


class _Every:
    """Contains everything."""

    def __contains__(self, item: object) -> bool:
        del item
        return True

    def __getitem__(self, place: int) -> bytes:
        if place:
            raise IndexError
        return b""


def _greeting(before: Any) -> Any:
    """Return a payee's beginning that closes nothing."""
    del before

    def clear(context: Context) -> None:
        context.greet()

    return clear


def _valid_only(before: Any) -> Any:
    """Return a check that demands of whoever heals that it may still pay."""

    def check(self: Trust, certificate: WalletCertificate) -> bytes:
        digest: bytes = before(self, certificate)
        self.check_valid(certificate, self.epoch)
        return digest

    return check


BUGS: dict[str, Bug] = {
    "debit after send": Bug("the payer writes its Transfer after it is sent", Wallet, "persist", _late_debit),
    "spent and kept": Bug("a wallet keeps what it spends", Book, "_cut", _uncut),
    "close not persisted": Bug("a Close is sent and not written", Wallet, "persist", _persisting(_not_close)),
    "receipt not persisted": Bug(
        "a Receipt is sent and not written", Wallet, "persist", _persisting(lambda item: not isinstance(item, Answered))
    ),
    "outcome not persisted": Bug(
        "a healed transfer is forgotten in memory alone",
        Wallet, "persist", _persisting(lambda item: not isinstance(item, Healed)),
    ),
    "parent not checked": Bug(
        "a payee takes spans whoever owns them", provenance, "check_spans",
        _without(Code.NOT_OWNER, Code.SPAN_OUTSIDE, Code.SPANS_OVERLAP),
    ),
    "sides not checked": Bug(
        "a payee takes a payer's side without a warrant", provenance, "check_sides", _always(None)),
    "close loses the money": Bug("what a Close gives back is lost", Book, "_heal", _closed_is_paid),
    "paid and restored": Bug("a transfer that was accepted comes back", Book, "_heal", _restored_twice),
    "any place signed": Bug("a keystore signs at any counter", keystores, "check_tape", _taking_any_place),
    "one place twice": Bug("a wallet's Close takes a place that is taken", Account, "place", _same_place),
    "no quarantine": Bug(
        "a store that misses what was signed opens", Account, "tail_ids", _always(_Every())
    ),
    "tail not finished": Bug("an unsigned tail is left", Wallet, "_finish_tail", _always(None)),
    "fork forgotten": Bug("the ledger names no fork", naming, "forks", _always(set[object]())),
    "tape fork forgotten": Bug("the ledger names no clone's tape", naming, "tape_forks", _always(set[object]())),
    "ledger checks no owner": Bug("the ledger credits who does not own", following, "check_origins", _always(None)),
    "credited twice": Bug("the ledger credits a deposit again", Credits, "credits", _deposit_again),
    "basket paid again": Bug("a till forgets what is paid", Account, "accepted", _always(None)),
    "old request left open": Bug("a till opens a second request for a part", payee, "clear", _greeting),
    "expired cannot heal": Bug(
        "an expired certificate blocks healing", Trust, "check_genuine",
        _valid_only,
    ),
    "resume not shown": Bug("a payer does not show what is in doubt", recall, "show_pending", _always(False)),
    "conflict not seen": Bug("a ledger names two outcomes never", naming, "two_outcomes", _always(set[object]())),
}  # fmt: skip
"""By name."""
