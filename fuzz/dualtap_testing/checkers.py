"""The seven promises of SPEC §1 as checkers, written apart from the code that has to keep them.

What they know: every store's log and every upload, read by hand (:mod:`dualtap_testing.reading`), and the rules of
statements (:mod:`dualtap_testing.bag`). What devices and ledger say of themselves is compared with it, never believed.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from dualtap_testing.bag import Bag, Leaf, Name
from dualtap_testing.binding import Binding
from dualtap_testing.intervals import joined, size_of, surplus
from dualtap_testing.reading import PAYER, TOKEN, Parent, Raw, Shelf, Word, coin, coin_id, unpack, word


class PromiseBroken(Exception):
    """A checker failed: which of the seven promises, and how."""

    def __init__(self, promise: int, what: str, amount: int = 0) -> None:
        super().__init__(f"promise {promise}: {what}")
        self.promise, self.what, self.amount = promise, what, amount


class Credit(NamedTuple):
    """What the ledger says that it credited: a deposit, the number of its span, to whom, and minor units."""

    transfer: bytes
    number: int
    key: bytes
    amount: int


@dataclass
class Tally:
    """What the checkers found, in minor units and counts; all zero where every promise was kept."""

    value_created: int = 0
    value_lost: int = 0
    framed: int = 0
    missed: int = 0
    unhealed: int = 0


class Checkers:
    """Everything that was ever durable in one world, and what must be true of it."""

    def __init__(
        self,
        scheme: bytes,
        offices: Iterable[bytes],
        verifier: Callable[[bytes], Callable[..., None]],
        banks: Iterable[bytes] = (),
    ) -> None:
        """``offices`` are the institutions' keys, ``banks`` those of the banks; ``verifier`` is the suite's."""
        offices = tuple(offices)
        self._binding = Binding(scheme, offices, banks, verifier)
        self.scheme = scheme
        self._issuers = {hashlib.sha256(key).digest()[:4]: key for key in offices}
        self._verifier = verifier
        self.bag = Bag(offices, self._binding)
        self.told = Bag(offices, self._binding)
        """What the ledger was told."""
        self.bad: set[bytes] = set()
        self.settled: set[bytes] = set()
        self.issued: set[bytes] = set()
        self.tally = Tally()
        self.shelves: dict[bytes, list[Shelf]] = {}
        self._places: dict[bytes, list[tuple[int, int, bytes]]] = {}

    def copy(self) -> Checkers:
        """Return others that know the same of every store; :meth:`resume` gives them the stores."""
        twin = Checkers(self.scheme, self.bag.offices, self._verifier)
        twin.bag = self.bag.copy()
        twin.issued, twin.settled, twin.bad = set(self.issued), set(self.settled), set(self.bad)
        twin._places = {key: list(places) for key, places in self._places.items()}
        return twin

    def resume(self, key: bytes, shelf: Shelf) -> Shelf:
        """Return what reads on from where a shelf stands, of a copy of its store."""
        found = shelf.copy()
        self.shelves.setdefault(key, []).append(found)
        return found

    def broken(self, promise: int, what: str, amount: int = 0) -> PromiseBroken:
        """Return the failure of a promise, counted."""
        return PromiseBroken(promise, what, amount)

    # What they are told

    def shelf(self, key: bytes) -> Shelf:
        """Return what reads one store of this key from now on."""
        found = Shelf(self.scheme, self._issuers)
        self.shelves.setdefault(key, []).append(found)
        return found

    def read(self, shelf: Shelf, records: list[bytes]) -> None:
        """Take in what became durable in a store."""
        if not shelf.read(records):
            return
        for moved in shelf.moved:
            self.bag.forget(moved)
        for statement in shelf.words:
            if statement.id not in shelf.moved:
                self.bag.word(statement)
        for named, found in shelf.coins.items():
            self.bag.coin(named, found)
        shelf.words.clear()
        shelf.moved.clear()

    def issue(self, token: Raw) -> None:
        """Learn of a token that the world had issued."""
        named = coin_id(self.scheme, self._issuers[token[8]], token)
        self.issued.add(named)
        for bag in (self.bag, self.told):
            bag.coin(named, coin(token))

    def uploaded(self, data: bytes) -> None:
        """Take in a signed upload that the ledger took."""
        upload = unpack(unpack(data)[0])
        for token in upload[1]:
            self.told.coin(coin_id(self.scheme, self._issuers[token[8]], token), coin(token))
        for statement in (*upload[3], *upload[5], *upload[6]):
            self.told.word(word(self.scheme, statement))
        for transfer, (opening, outcome) in upload[4]:
            self.told.asked(transfer, opening[2])
            self.told.word(word(self.scheme, outcome))

    def replied(self, data: bytes) -> None:
        """Take in a signed reply: the tokens that it hands out exist."""
        for token in unpack(unpack(data)[0])[3]:
            named = coin_id(self.scheme, self._issuers[token[8]], token)
            for bag in (self.bag, self.told):
                bag.coin(named, coin(token))

    def unclaimed(self, token: Raw) -> None:
        """Take in a token that was issued, and that nobody came for before it was settled."""
        named = coin_id(self.scheme, self._issuers[token[8]], token)
        for bag in (self.bag, self.told):
            bag.coin(named, coin(token))

    def signature(self, key: bytes, kind: int, public: bytes, salt: bytes, place: tuple[int, int], rest: bytes) -> None:
        """Promise 3, where it can be broken for good: an honest keystore signs each place of its tape once.

        ``rest`` is the private half's hash and then the request's, as the keystore was shown them.
        """
        prev, ctr = place
        hidden = hashlib.sha256(salt + prev.to_bytes(8, "big") + ctr.to_bytes(8, "big") + rest[:32]).digest()
        commitment = hashlib.sha256(hidden + rest[32:]).digest()
        named = hashlib.sha256(self.scheme + bytes([kind]) + key + public + commitment).digest()
        known = self._places.setdefault(key, [])
        if key not in self.bad and any(prev < high and low < ctr and named != by for low, high, by in known[-8:]):
            self.tally.framed += 1
            raise self.broken(3, "an honest keystore signed two statements at one place of its tape")
        known.append((prev, ctr, named))

    def last_place(self, key: bytes) -> tuple[int, int] | None:
        """Return where on its tape a keystore signed last."""
        places = self._places.get(key)
        return places[-1][:2] if places else None

    # What must be true

    def honest(self, key: bytes) -> bool:
        """Whether nobody has copied, rewound or misused this key."""
        return key not in self.bad

    def at_rest(self) -> list[Leaf]:
        """Promises 1, 2, 3 and 7, between two taps: read every store; return where each unit is."""
        leaves = self.bag.leaves()
        expected: dict[bytes, dict[Parent, list[tuple[int, int]]]] = {}
        for leaf in leaves:
            if leaf.how == "held" and leaf.coin not in self.settled and self._has(leaf):
                expected.setdefault(leaf.owner, {}).setdefault(leaf.parent, []).append((leaf.start, leaf.end))
        for key, shelves in self.shelves.items():
            if self.honest(key):
                for shelf in shelves:
                    self._compare(key, shelf, expected.get(key, {}))
                    self._baskets(shelf)
        self._doubts()
        framed = {name for name in self.bag.names() if self.honest(name.key)}
        if framed:
            self.tally.framed += len(framed)
            raise self.broken(3, f"an honest wallet's statements name it: {sorted(name.fraud for name in framed)}")
        return leaves

    def _has(self, leaf: Leaf) -> bool:
        """Whether its owner can know of a leaf: a token was delivered, an outcome was told."""
        shelves = self.shelves.get(leaf.owner, [])
        if leaf.parent[1] == TOKEN:
            return any(leaf.coin in shelf.funded for shelf in shelves)
        return leaf.parent[1] != PAYER or any(leaf.parent[0] in shelf.told for shelf in shelves)

    def _compare(self, key: bytes, shelf: Shelf, expected: dict[Parent, list[tuple[int, int]]]) -> None:
        """One store holds exactly what the statements give its key."""
        found: dict[Parent, list[tuple[int, int]]] = {}
        for parent, parts in shelf.held.items():
            source = self.bag.source(parent)
            if source is None or source.owner != key:
                self.tally.value_created += size_of(parts)
                raise self.broken(1, "a store holds what was never given to it", size_of(parts))
            if source.coin not in self.settled and parts:
                found[parent] = parts
        for parent in {**expected, **found}:
            have, due = joined(found.get(parent, [])), joined(expected.get(parent, []))
            if have != due:
                more, less = surplus(have, due), surplus(due, have)
                self.tally.value_created += more
                self.tally.value_lost += less
                raise self.broken(
                    1 if more else 2, f"a store holds {more} units too many, {less} too few", more or less
                )

    def _baskets(self, shelf: Shelf) -> None:
        """Promise 7."""
        if any(len(transfers) > 1 for transfers in shelf.paid.values()):
            raise self.broken(7, "two payments were accepted for one part of a basket")
        open_ = Counter((one.basket, one.part) for one in shelf.questions.values() if one.outcome is None)
        if any(count > 1 for count in open_.values()):
            raise self.broken(7, "two requests are open for one part of a basket")

    def _doubts(self) -> None:
        """Promise 2: what is in doubt is in doubt with its payer, who must not forget it."""
        for transfer in self.bag.transfers.values():
            shelves = self.shelves.get(transfer.key, [])
            if not self.honest(transfer.key) or not shelves or transfer.payee in self.bag.offices:
                continue
            if not self.bag.good(transfer.id):
                self.tally.value_created += size_of((start, end) for _, start, end in transfer.pieces)
                raise self.broken(1, "an honest wallet hands over what it does not own")
            if self.bag.accepted(transfer) or self.is_settled(transfer, whole=True):
                continue
            for shelf in shelves:
                if transfer.id not in shelf.pending and transfer.id not in shelf.told:
                    lost = size_of((start, end) for _, start, end in transfer.pieces)
                    self.tally.value_lost += lost
                    raise self.broken(2, "a transfer in doubt was forgotten", lost)

    def is_settled(self, transfer: Word, *, whole: bool = False) -> bool:
        """Whether some of a transfer's units, or all, are of a token that is past ``claim_by``, or of none."""
        sources = [self.bag.source(parent) for parent, _, _ in transfer.pieces]
        found = [source is None or source.coin in self.settled for source in sources]
        return all(found) if whole else any(found)

    def _is_known(self, leaf: Leaf) -> bool:
        """Whether its owner or the ledger knows of a leaf; a Close that a rewound cheat took back, nobody has."""
        named, side, _ = leaf.parent
        return side != PAYER or self._has(leaf) or self.told.dead(self.bag.transfers[named])

    def claims(self, shelf: Shelf, held: Iterable[tuple[Parent, int, int]], pending: Iterable[bytes]) -> None:
        """Promise 2: what a wallet says that it has is what its store says."""
        said: dict[Parent, list[tuple[int, int]]] = {}
        for parent, start, end in held:
            said.setdefault(parent, []).append((start, end))
        kept = {parent: joined(parts) for parent, parts in shelf.held.items() if parts}
        if {parent: joined(parts) for parent, parts in said.items()} != kept:
            more = sum(map(size_of, said.values())) - sum(map(size_of, kept.values()))
            self.tally.value_created += max(0, more)
            self.tally.value_lost += max(0, -more)
            raise self.broken(1 if more > 0 else 2, "a wallet holds other units than its store", abs(more))
        if set(pending) != set(shelf.pending):
            raise self.broken(2, "a wallet doubts other transfers than its store")

    # The ledger

    def ledger(self, credits: Iterable[Credit], named: Iterable[tuple[bytes, str]], tokens: int) -> None:
        """Promises 1, 3 and 5 at the ledger; ``tokens`` are the minor units that it ever issued."""
        names = {Name(*one) for one in named}
        framed = {one for one in names if self.honest(one.key)}
        if framed:
            self.tally.framed += len(framed)
            raise self.broken(3, f"the ledger names an honest wallet: {sorted(one.fraud for one in framed)}")
        due = self.told.names()
        if names - due:
            raise self.broken(5, "the ledger names more than its statements do")
        if due - names:
            self.tally.missed += len(due - names)
            raise self.broken(
                1, f"the ledger misses who is proved to cheat: {sorted(one.fraud for one in due - names)}"
            )
        self._credits(list(credits), tokens)

    def _credits(self, credits: list[Credit], tokens: int) -> None:
        counted = Counter((one.transfer, one.number) for one in credits)
        renewed = 0
        units: dict[bytes, int] = {}
        for (deposit, number), times in counted.items():
            transfer = self.told.transfers.get(deposit)
            if transfer is None or transfer.payee not in self.told.offices or not self.told.good(deposit):
                raise self.broken(1, "the ledger credits what is no deposit")
            if not self.told.restored(transfer):
                raise self.broken(1, "the ledger credits what came back without a warrant")
            _, start, end = transfer.pieces[number]
            source = self.told.source(transfer.pieces[number].parent)
            if times > 1:
                self.tally.value_created += (times - 1) * (end - start)
                raise self.broken(1, "the ledger credits one span of a deposit twice", end - start)
            assert source is not None
            units[source.coin] = units.get(source.coin, 0) + end - start
            renewed += (end - start) * transfer.renews
        overspent = self.told.overspent()
        for named, amount in units.items():
            over = amount - self.told.coins[named].amount - overspent.get(named, 0)
            if over > 0:
                self.tally.value_created += over
                raise self.broken(1, "the ledger credits more of a token than was issued and overspent", over)
        issued = sum(self.told.coins[named].amount for named in self.issued)
        if tokens - issued > renewed:
            self.tally.value_created += tokens - issued - renewed
            raise self.broken(1, "the ledger renewed more than it was handed", tokens - issued - renewed)

    def conserved(self, leaves: Iterable[Leaf], credited: Iterable[tuple[bytes, int]]) -> None:
        """Promise 2 as it is written: issued and overspent are held, in doubt and settled, by every store."""
        paid, counted = set(credited), Counter[bytes]()
        for leaf in leaves:
            if leaf.coin in self.settled:
                continue
            counted[leaf.coin] += leaf.end - leaf.start
            due = leaf.how == "deposit" and (leaf.parent[0], leaf.parent[2]) not in paid and self.honest(leaf.owner)
            if due and not any(leaf.parent[0] in shelf.pending for shelf in self.shelves.get(leaf.owner, [])):
                self.tally.value_lost += leaf.end - leaf.start
                raise self.broken(2, "a deposit was neither credited nor kept", leaf.end - leaf.start)
        over = self.bag.overspent()
        for named, found in self.bag.coins.items():
            if named not in self.settled and counted[named] != found.amount + over.get(named, 0):
                raise self.broken(2, "units do not add up")

    def settlement(
        self, coin_: bytes, leaves: Iterable[tuple[int, int, bytes]], due: Iterable[Leaf], exact: bool
    ) -> None:
        """Promise 1 and 2 at ``claim_by``: what is credited of a token, and to whom, is what the statements say.

        ``exact`` is for tokens of which every statement reached the ledger; an honest wallet's always does.
        """
        found = sorted(leaves)
        total, over = size_of((start, end) for start, end, _ in found), self.told.overspent().get(coin_, 0)
        amount = self.told.coins[coin_].amount
        if total > amount + over:
            self.tally.value_created += total - amount - over
            raise self.broken(1, "settled more than was issued and overspent", total - amount - over)
        if total < amount:
            self.tally.value_lost += amount - total
            raise self.broken(2, "settled less than was issued", amount - total)
        held = list(due)
        known = [leaf for leaf in held if self._is_known(leaf)]
        wanted: dict[bytes, list[tuple[int, int]]] = {}
        for leaf in known:
            wanted.setdefault(leaf.owner, []).append((leaf.start, leaf.end))
        said: dict[bytes, list[tuple[int, int]]] = {}
        for start, end, owner in found:
            said.setdefault(owner, []).append((start, end))
        if over:
            return
        short = [key for key, parts in wanted.items() if self.honest(key) and surplus(parts, said.get(key, []))]
        same = {key: joined(parts) for key, parts in wanted.items()} == {
            key: joined(parts) for key, parts in said.items()
        }
        if short or (exact and known == held and not same):
            raise self.broken(2, "settled with another than its holder")

    def healed(self, key: bytes, others: Iterable[bytes]) -> None:
        """Promise 4: a clean tap leaves nothing in doubt from this key to the others."""
        to = set(others)
        for shelf in self.shelves[key]:
            left = [sent for sent in shelf.pending.values() if sent.payee in to]
            if left:
                self.tally.unhealed += len(left)
                raise self.broken(4, f"{len(left)} transfers are in doubt after a clean tap")

    def healed_by_sync(self, keys: Iterable[bytes], told: set[bytes]) -> None:
        """Promise 4, by a sync that came through: ``told`` are the requests of which the ledger had an outcome."""
        for shelf in [shelf for key in keys for shelf in self.shelves[key]]:
            left = [sent for sent in shelf.pending.values() if sent.request in told]
            if left:
                self.tally.unhealed += len(left)
                raise self.broken(4, f"{len(left)} transfers are in doubt after a sync that had their outcomes")

    def evidence(self, data: bytes, named: Name) -> None:
        """Promise 6: evidence proves, by the named wallet's own signatures, what it says."""
        found = unpack(data)
        key, first, second = found[3], found[6], found[7]
        if key != named.key:
            raise self.broken(6, "evidence against another key")
        for statement in (first, second):
            said = word(self.scheme, statement)
            signer = self._verifier(said.key)
            signer(statement[4], said.id)
        words = {word(self.scheme, first).key, word(self.scheme, second).key}
        if named.key not in words:
            raise self.broken(6, "evidence of which the named wallet signed nothing")
