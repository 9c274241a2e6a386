"""Rules of SPEC that bind each wallet alone, as checkers: what it may accept, date, draw, count and believe.

They read the same records as the promises' checkers, by hand: nothing here imports the core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dualtap_testing.chains import Chain
from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.memory import Memory
from dualtap_testing.reading import PAYEE, RECEIPT, TOKEN, Parent, Raw, Shelf, Word, unpack, word

RESTORED, STEP = 2, 400
"""Dead transfers on one path that a payee takes offline, and days that a tap may move a date (SPEC §10)."""


FINAL = 3
"""How a transfer stands of which all tokens are settled (SPEC §14-27)."""


class Bounds(NamedTuple):
    """What one wallet is bound by: payments, receipts and sum received between syncs, hands that its device checks.

    ``log`` is what its log holds, in bytes.
    """

    payments: int
    receipts: int
    received: int
    hops: int
    log: int


class _Path(NamedTuple):
    """What lies behind a parent: its token, hands, restorations, and the date of the last hand."""

    coin: bytes
    hops: int
    restored: int
    epoch: int


@dataclass
class _Kept:
    """What was read of one store."""

    shelf: Shelf
    bounds: Bounds
    memory: Memory
    chain: Chain = field(default_factory=Chain)
    read: int = 0
    epoch: int = 0
    ctr: int = 0
    payments: int = 0
    receipts: int = 0
    received: int = 0
    seeds: set[bytes] = field(default_factory=set[bytes])
    tail: Raw = ()
    entries: dict[int, bytes] = field(default_factory=dict[int, bytes])
    date: int = 0
    requests: Counter[tuple[bytes, int]] = field(default_factory=Counter[tuple[bytes, int]])
    asked: dict[bytes, int] = field(default_factory=dict[bytes, int])
    refunds: dict[bytes, set[bytes]] = field(default_factory=dict[bytes, set[bytes]])
    taken: list[tuple[Parent, int, int, Parent]] = field(default_factory=list[tuple[Parent, int, int, Parent]])


class _Receipt(NamedTuple):
    """A Receipt that is to be judged: whose, what it accepts, and whom its wallet had to refuse then."""

    kept: _Kept
    said: Word
    message: Raw
    refuses: frozenset[bytes]
    until: int
    """The last day of its payer's certificate, or of one above it that this wallet knew."""


class Rules:
    """Reads honest stores, and raises :class:`PromiseBroken` for the first rule that one breaks."""

    def __init__(self, checkers: Checkers, verifier: Callable[[bytes], Callable[..., None]]) -> None:
        """``checkers`` know every statement of the world, and who cheats; ``verifier`` is the suite's."""
        self._scheme, self._verifier = checkers.scheme, verifier
        self._checkers, self._bag = checkers, checkers.bag
        self._stores: dict[int, _Kept] = {}
        self._waiting: list[_Receipt] = []
        self._refunded: list[tuple[_Kept, bytes]] = []
        self._made: list[Word] = []
        self._final: list[bytes] = []
        self._seen: dict[bytes, int] = {}
        self._signatures: set[bytes] = set()
        self._requests: set[bytes] = set()
        self.clocks: dict[int, int] = {}
        """The date that a device's clock shows as a tap begins, by its store."""
        self.by_tap = False
        """Whether what is read now became durable in a tap."""

    # Stores

    def read(self, shelf: Shelf, journal: Sequence[bytes], bounds: Bounds) -> None:
        """Take in what became durable in an honest store; :meth:`judge` follows when every store was read."""
        kept = self._stores.get(id(shelf))
        if kept is None:
            kept = self._stores[id(shelf)] = _Kept(shelf, bounds, Memory(self._scheme, bounds.log))
        for record in journal[kept.read :]:
            self._take(kept, unpack(record))
        kept.read = len(journal)

    def _take(self, kept: _Kept, record: Raw) -> None:
        match record:
            case [1, certificate, authorities, header, policy]:
                self._chained(kept.chain.read(certificate, authorities, header, whole=False))
                self._dated(kept, header)
                if kept.memory.policy(policy):
                    raise PromiseBroken(3, "an honest wallet's policy goes back")
            case [3, request, basket, part, amount, *_]:
                kept.asked[request] = amount
                self._requests.add(request)
                kept.requests[basket, part] += 1
            case [4, statement, message]:
                found = self._entry(kept, statement)
                if found.kind == RECEIPT:
                    self._accepts(kept, found, unpack(message))
                elif kept.memory.refused(statement[2][1], message):
                    raise PromiseBroken(1, "an honest wallet does not keep what it refused as spent")
            case [5, statement, *_]:
                found = self._entry(kept, statement)
                if found.request:
                    kept.payments += 1
                    self._bounded(kept.payments, kept.bounds.payments, "made more payments")
                    self._made.append(found)
                refund_of = statement[3][3][1]
                if refund_of:
                    kept.refunds.setdefault(refund_of, set()).add(found.id)
                    self._refunded.append((kept, refund_of))
            case [8, transfer, outcome]:
                said = word(self._scheme, outcome)
                self._genuine(said, outcome[4], "believed an outcome that nobody signed")
                kept.memory.heard.append(said.id)
                if said.accepts != transfer:
                    kept.memory.dead.add(transfer)
            case [7, _, prev, ctr]:
                self._move(kept, prev, ctr)
            case [9, ctr, *_]:
                self._told(kept, ctr)
            case [10, [certificate, authorities, header, policy], *_]:
                self._chained(kept.chain.read(certificate, authorities, header, whole=True))
                if policy is None and kept.memory.version:
                    raise PromiseBroken(2, "a compacted log has lost the policy")
                kept.memory.policy(policy)
                kept.memory.restore(record[1:])
            case [13, lines]:
                self._final += [line[0] for line in lines if line[1] == FINAL]
            case [14, key, evidence]:
                kept.memory.warn(key, evidence)
            case _:
                pass

    def _accepts(self, kept: _Kept, found: Word, message: Raw) -> None:
        kept.receipts += 1
        kept.received += sum(end - start for *_, start, end in message[2])
        self._bounded(kept.receipts, kept.bounds.receipts, "accepted more payments")
        self._bounded(kept.received, kept.bounds.received, "accepted a greater sum")
        payer = message[11][0][0]
        until = min(payer[6], kept.chain.until(payer[8]))
        self._waiting.append(_Receipt(kept, found, message, kept.memory.refuses, until))

    def _chained(self, wrong: str) -> None:
        if wrong:
            raise PromiseBroken(3, f"an honest wallet {wrong}")

    def chain(self, shelf: Shelf) -> Chain:
        """Return the authorities that this store knows."""
        return self._stores[id(shelf)].chain

    def requests(self, shelf: Shelf, basket: bytes, part: int) -> int:
        """Return how many requests for a part this store has made."""
        kept = self._stores.get(id(shelf))
        return kept.requests[basket, part] if kept is not None else 0

    def date(self, shelf: Shelf) -> int:
        """Return the date that this store says."""
        return self._stores[id(shelf)].date

    def _dated(self, kept: _Kept, header: Raw | None) -> None:
        """A wallet's date moves: never back, and by a tap not too far (SPEC §7-10, §7-11).

        An institution without the policy key may give an older date than a tap did: that one moves nothing.
        """
        if header is None or (header[0] < kept.date and not self.by_tap):
            return
        if header[0] < kept.date:
            raise PromiseBroken(3, "an honest wallet's date goes back")
        if self.by_tap and kept.date and header[0] > kept.date + STEP:
            raise PromiseBroken(3, "a tap moves an honest wallet's date too far")
        kept.date = header[0]

    def _move(self, kept: _Kept, prev: int, ctr: int) -> None:
        """The last entry, not signed yet, takes another place."""
        kind, key, body, opening, signature = kept.tail
        moved = kept.entries.pop(opening[2], None)
        kept.tail = (kind, key, body, (opening[0], prev, ctr, *opening[3:]), signature)
        kept.ctr = max(kept.ctr, ctr)
        kept.entries[ctr] = word(self._scheme, kept.tail).id
        for given in kept.refunds.values():
            if moved in given:
                given.remove(moved)
                given.add(kept.entries[ctr])

    def _told(self, kept: _Kept, ctr: int) -> None:
        """The wallet lets go of its tape up to a counter: the ledger must have it."""
        for place in [place for place in kept.entries if place <= ctr]:
            if kept.entries.pop(place) not in self._seen:
                raise PromiseBroken(2, "an honest wallet lets go of an entry of its tape that it has not told")
        if ctr >= kept.ctr:
            kept.payments = kept.receipts = kept.received = 0
            if not self._signatures.issuperset(kept.memory.met):
                raise PromiseBroken(1, "an honest wallet has not told what it refused as spent")
            if any(said not in self._seen for said in kept.memory.heard):
                raise PromiseBroken(2, "an honest wallet lets go of an outcome that it has not told")
            kept.memory.met.clear()
            kept.memory.heard.clear()

    def _bounded(self, count: int, most: int, what: str) -> None:
        if count > most:
            raise PromiseBroken(2, f"an honest wallet has {what} without a sync than its tier allows")

    def _genuine(self, statement: Word, signature: bytes, what: str) -> None:
        try:
            self._verifier(statement.key)(signature, statement.id)
        except Exception as error:
            raise PromiseBroken(6, f"an honest wallet {what}") from error

    def _entry(self, kept: _Kept, statement: Raw) -> Word:
        """Look at one entry of a tape: its date, and the salt that hides the rest from later hands."""
        found = word(self._scheme, statement)
        if found.epoch < kept.epoch:
            raise PromiseBroken(3, "an honest tape's dates go back")
        kept.epoch, kept.ctr = found.epoch, max(kept.ctr, statement[3][2])
        if statement[3][0] in kept.seeds:
            raise PromiseBroken(6, "two entries of one tape have one salt")
        kept.seeds.add(statement[3][0])
        kept.tail, kept.entries[statement[3][2]] = statement, found.id
        return found

    def judge(self) -> None:
        """Judge each payment that was accepted since the last time (SPEC §8.1), and each refund (§11.3-6)."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            transfer = self._bag.transfers.get(one.said.accepts)
            if transfer is not None:
                self._accepted(one, transfer)
        self._judge_told()
        refunded, self._refunded = self._refunded, []
        for kept, of in refunded:
            paid = sum(map(self._amount, kept.refunds[of]))
            given = self._bag.transfers.get(of)
            if given is not None and paid > _units(given):
                raise PromiseBroken(2, "an honest wallet gave back more than it was paid", paid - _units(given))

    def _judge_told(self) -> None:
        """Judge whom each payment was for, and what is told to be final (SPEC §14-27)."""
        made, self._made = self._made, []
        for transfer in made:
            if transfer.request not in self._requests and self._asks(transfer.payee):
                raise PromiseBroken(4, "an honest wallet pays somebody honest who never asked for it")
        final, self._final = self._final, []
        for named in final:
            sources = [self._bag.source(parent) for parent, _, _ in self._bag.transfers[named].pieces]
            if any(source is not None and source.coin not in self._checkers.settled for source in sources):
                raise PromiseBroken(2, "a person is told that what can still change is final")

    def refunds(self, shelf: Shelf, said: Mapping[bytes, int]) -> None:
        """Compare what a wallet says that it gave back of each payment with its refunds that did not come back."""
        for of, given in self._stores[id(shelf)].refunds.items():
            found = [self._bag.transfers.get(named) for named in given if named not in shelf.told]
            if of in said and said[of] != sum(_units(one) for one in found if one is not None):
                raise PromiseBroken(2, "an honest wallet says that it gave back another sum than it did")

    def _asks(self, key: bytes) -> bool:
        """Whether all that this key ever asked for is known: it is honest, and its store was read here."""
        known = self._checkers
        return known.honest(key) and any(id(shelf) in self._stores for shelf in known.shelves.get(key, ()))

    def _amount(self, named: bytes) -> int:
        """Return what a transfer hands over; nothing if it is dead."""
        transfer = self._bag.transfers.get(named)
        return 0 if transfer is None or self._bag.dead(transfer) else _units(transfer)

    def _path(self, parent: Parent) -> _Path:
        named, side, place = parent
        if side == TOKEN:
            return _Path(named, 0, 0, 0)
        transfer = self._bag.transfers[named]
        up = self._path(transfer.pieces[place].parent)
        epoch = max(up.epoch, transfer.epoch)
        if side == PAYEE:
            return _Path(up.coin, up.hops + 1, up.restored, epoch)
        return _Path(up.coin, up.hops, up.restored + 1, epoch)

    def _accepted(self, one: _Receipt, transfer: Word) -> None:
        kept, receipt, message, refuses, until = one
        self._genuine(transfer, message[10], "accepted what its payer did not sign")
        if not self._bag.good(transfer.id):
            raise PromiseBroken(1, "an honest wallet accepted a payment that rests on what nobody signed")
        if not self._bag.restored(transfer):
            raise PromiseBroken(1, "an honest wallet accepted a payment that restores what is not dead")
        today = max(receipt.epoch, self.clocks.get(id(kept.shelf), 0))
        seen = kept.memory.accept(self._bag, transfer, message)
        wrong: list[str] = [seen] if seen else []
        if any(certificate[0] in refuses for certificate in message[11][0]):
            wrong.append("has a hand that is on its hotlist, or that evidence names")
        if transfer.epoch > receipt.epoch:
            wrong.append("is dated after its Receipt")
        if until < today:
            wrong.append("is of a payer whose certificate, or one above it, has ended")
        if kept.asked.get(receipt.request, _units(transfer)) != _units(transfer):
            wrong.append("is of another amount than was asked for")
        for place, (parent, start, end) in enumerate(transfer.pieces):
            path = self._path(parent)
            coin = self._bag.coins[path.coin]
            wrong += [
                said
                for said, is_so in (
                    ("has too many hands behind it", path.hops >= min(coin.hops, kept.bounds.hops)),
                    ("was restored too often", path.restored > RESTORED),
                    ("is past its last day", today > coin.spend_by),
                    ("is dated before what it spends", transfer.epoch < path.epoch),
                    ("spends what this wallet holds already", self._held(kept, parent, start, end)),
                )
                if is_so
            ]
            kept.taken.append((parent, start, end, (transfer.id, PAYEE, place)))
        if wrong:
            raise PromiseBroken(1, f"an honest wallet accepted a payment that {wrong[0]}")

    def _held(self, kept: _Kept, parent: Parent, start: int, end: int) -> bool:
        """Whether this store still holds units that it was given by another cut of the same."""
        return any(
            parent == other and start < high and low < end and kept.shelf.held.get(side)
            for other, low, high, side in kept.taken
        )

    # The ledger

    def uploaded(self, data: bytes, epoch: int) -> None:
        """Take in a signed upload that the ledger took at this date."""
        upload = unpack(unpack(data)[0])
        self._signatures.update(statement[4] for statement in upload[3])
        for statement in (*upload[3], *upload[5], *upload[6], *[outcome for _, (_, outcome) in upload[4]]):
            self._seen.setdefault(word(self._scheme, statement).id, epoch)

    def stamps(self, stamps: dict[bytes, int]) -> None:
        """Compare when the ledger says that it first saw statements with when it did (SPEC §16)."""
        for named, epoch in stamps.items():
            if self._seen.get(named, epoch) != epoch:
                raise PromiseBroken(5, "the ledger stamps a statement with another date than it was first seen")

    def seen(self) -> list[bytes]:
        """Return the statements that the ledger was told."""
        return list(self._seen)

    def last(self, deposit: bytes) -> int:
        """Return the first date on which the ledger was told of a deposit."""
        return self._seen[deposit]

    def shares(
        self, shares: Sequence[tuple[bytes, bytes, int, int]], named: set[tuple[bytes, bytes]], backs: dict[bytes, int]
    ) -> None:
        """Of an overspent token, cheats get nothing while somebody honest lacks any of it (SPEC §16-15).

        ``shares`` are token, holder, claim and what is backed; ``named`` are tokens with who is liable for each, and
        ``backs`` what each token backs at least: its amount without what was renewed of it.
        """
        claimed, given = Counter[bytes](), Counter[bytes]()
        for token, key, claim, backed in shares:
            if (token, key) not in named:
                claimed[token] += claim
                given[token] += backed
        for token, key, _, backed in shares:
            if given[token] < claimed[token] and backed and (token, key) in named:
                raise PromiseBroken(2, "a cheat is paid before those whom it cheated")
            if given[token] < min(claimed[token], backs[token]):
                raise PromiseBroken(2, "those who were cheated get less than their token backs")


def _units(transfer: Word) -> int:
    return sum(end - start for _, start, end in transfer.pieces)
