"""Random worlds of statements, honest and not, against an oracle that follows every unit by itself.

The oracle is written from the rules (SPEC §16), unit by unit and recursively, and shares nothing with the ledger.
``DUALTAP_WORLDS`` says how many worlds; `make test-power` sees more of them.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from dualtap.forms import signed
from dualtap.issued import Carrier, Condition, Role, Token, WalletCertificate
from dualtap.renewal import RENEWAL
from dualtap.statements import (
    CloseBody,
    Opening,
    Parent,
    ReceiptBody,
    RequestOpening,
    Side,
    Span,
    TapeBody,
    TapeStatement,
    Transfer,
    TransferBody,
)
from dualtap.suite import SUITES, Signer, sha256
from dualtap.trust import Trust, issue
from dualtap_issuer import rowcheck, settling
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.facts import (
    Fact,
    Facts,
    asked_digest,
    asked_fact,
    certificate_fact,
    opening_digest,
    statement_facts,
    token_fact,
)
from dualtap_issuer.guarantee import EVERYBODY, Caps
from dualtap_issuer.ingest import Ingest
from dualtap_issuer.marks import marks_in, marks_of, overspent
from dualtap_issuer.roll import Roll
from dualtap_issuer.rules import EVER, World
from dualtap_issuer.settling import settled_of
from dualtap_issuer.store import Store

AMOUNT = 6
CLAIM = 6
LAST = 9
SUITE = SUITES["ed25519"]
AUTHORITY = SchemeAuthority(SUITE, Secrets(*[bytes([n]) * 32 for n in range(1, 5)]), Store.open(), 99, 99)
INSTITUTION = SUITE.signer(bytes([3]) * 32)
BANK = SUITE.signer(bytes([4]) * 32)
SIGNERS = [SUITE.signer(bytes([n]) * 32) for n in range(10, 14)]
WORD = b"the word that opens it"
ONLY, CAP, WORDED = Condition(1, SIGNERS[0].public), Condition(4, bytes(7) + b"\x03"), Condition(6, sha256(WORD))
"""Conditions: to the first signer only, at most 3 units, and with the word."""
TWICE = Condition(8, bytes(3) + b"\x02")
"""A condition: for two payments, each with one of the first two units."""


Item: TypeAlias = Token | WalletCertificate | TapeStatement | RequestOpening
"""What a ledger is told."""


class Deed(NamedTuple):
    """A transfer as the oracle sees it."""

    payer: bytes
    payee: bytes
    request: bytes
    spans: tuple[Span, ...]
    epoch: int
    witness: tuple[bytes, ...]


@dataclass
class Played:
    """A random world: what was issued and signed, who is certified, and when each fact was first seen."""

    tokens: dict[bytes, Token] = field(default_factory=dict[bytes, Token])
    statements: list[TapeStatement] = field(default_factory=list[TapeStatement])
    certificates: list[WalletCertificate] = field(default_factory=list[WalletCertificate])
    items: list[tuple[Item, int]] = field(default_factory=list[tuple["Item", int]])
    seen: dict[bytes, int] = field(default_factory=dict[bytes, int])


def play(seed: int, steps: int = 14, *, renewing: bool = False) -> Played:
    """Let four keys sign at random: mostly what they could, sometimes what they could not.

    ``renewing``: every other deposit asks for fresh tokens.
    """
    draw, played, trust = random.Random(seed), Played(), AUTHORITY.trust()
    for signer in SIGNERS:
        blank = WalletCertificate(signer.public, Carrier.CARD, 1, Role.PAY, 0, b"", 99, 1, b"", b"")
        certificate = issue(AUTHORITY.scheme, BANK, blank)
        if draw.random() < 0.95:
            played.certificates.append(certificate)
    for number in range(2):
        owner = draw.choice(SIGNERS).public
        bound = ((), (), (CAP,), (ONLY,), (WORDED,), (WORDED, CAP), (TWICE,))[draw.randrange(7)] if number else ()
        token = AUTHORITY.token(bytes([number]) * 8, AMOUNT, "CNY", owner, 0, 3, CLAIM + number, conditions=bound)
        played.tokens[trust.token_id(token)] = token
    heads: dict[bytes, int] = defaultdict(int)
    requests: list[bytes] = []
    transfers: list[Transfer] = []
    for _ in range(steps):
        if transfers and draw.random() < 0.4:
            body, signer = _outcome(draw, transfers)
            opening = _place(draw, heads, signer)
            played.statements.append(_signed(signer, body, opening))
            continue
        signer = draw.choice(SIGNERS)
        bank = draw.random() < 0.2
        payee = INSTITUTION.public if bank else draw.choice(SIGNERS).public
        requests.append(sha256(draw.randbytes(4)))
        request = b"" if bank else draw.choice(requests[-2:])
        spans = tuple(_span(draw, played, transfers, signer.public) for _ in range(draw.choice([1, 1, 1, 2])))
        epoch = 5 if draw.random() < 0.95 else 4
        opening = _place(draw, heads, signer)._replace(request=request)
        worded = any(WORDED in played.tokens[span.parent.id].conditions for span in spans if not span.parent.side)
        witness = (WORD,) if draw.random() < (0.8 if worded else 0.05) else ()
        if renewing and bank and draw.random() < 0.5:
            witness = (RENEWAL,)
        transfer = cast("Transfer", _signed(signer, TransferBody(payee, spans, epoch, witness), opening))
        transfers.append(transfer)
        played.statements.append(transfer)
    _stamp(draw, played, trust)
    return played


def _signed(signer: Signer, body: TapeBody, opening: Opening) -> TapeStatement:
    blank = signed(AUTHORITY.scheme.id, signer.public, body, opening)
    return blank.sealed(signer.sign(blank.id))


def _place(draw: random.Random, heads: dict[bytes, int], signer: Signer) -> Opening:
    prev = heads[signer.public] - (draw.random() < 0.05)
    prev = max(prev, 0)
    ctr = prev + draw.choice([1, 1, 2])
    heads[signer.public] = max(heads[signer.public], ctr)
    return Opening(draw.randbytes(16), prev, ctr)


def _outcome(draw: random.Random, transfers: list[Transfer]) -> tuple[ReceiptBody | CloseBody, Signer]:
    transfer = draw.choice(transfers)
    holders = [signer for signer in SIGNERS if signer.public == transfer.body.payee] or SIGNERS
    request = transfer.shown().request or bytes(32)
    if draw.random() < 0.4:
        return CloseBody(request, 1, 5), holders[0]
    other = transfer if draw.random() < 0.9 else draw.choice(transfers)
    return ReceiptBody(request, other.id, 5), holders[0]


def _span(draw: random.Random, played: Played, transfers: list[Transfer], key: bytes) -> Span:
    mine: list[Span] = [
        Span(Parent(token_id, Side.TOKEN, 0), 0, AMOUNT)
        for token_id, token in played.tokens.items()
        if token.owner == key or draw.random() < 0.05
    ]
    for transfer in transfers[-6:]:
        for place, (_, start, end) in enumerate(transfer.body.spans):
            if transfer.body.payee == key or draw.random() < 0.03:
                mine.append(Span(Parent(transfer.id, Side.PAYEE, place), start, end))
            if transfer.key == key:
                mine.append(Span(Parent(transfer.id, Side.PAYER, place), start, end))
    if not mine:
        return Span(Parent(next(iter(played.tokens)), Side.TOKEN, 0), 0, 1)
    parent, start, end = draw.choice(mine)
    low = draw.randrange(start, end)
    return Span(parent, low, draw.randrange(low + 1, end + 1 + (draw.random() < 0.03)))


def _stamp(draw: random.Random, played: Played, trust: Trust) -> None:
    """Lose a few facts, close some statements, and choose the epoch in which the ledger first sees each."""
    told: list[Item] = list(played.certificates)
    for statement in played.statements:
        if draw.random() < 0.85:
            told.append(statement)
        if draw.random() < 0.2:
            told.append(closed(statement))
            if isinstance(statement.body, TransferBody) and statement.shown().request:
                told.append(statement.shown().answered())
    played.items = [(token, 0) for token in played.tokens.values()]
    played.items += [(item, draw.choice([1, 2, 3, 4, CLAIM, LAST])) for item in told]
    for item, epoch in played.items:
        for fact in facts_of(trust, item):
            played.seen[fact.digest] = min(epoch, played.seen.get(fact.digest, 99))


def closed(statement: TapeStatement) -> TapeStatement:
    return signed(AUTHORITY.scheme.id, statement.key, statement.body, statement.commitment, statement.signature)


def facts_of(trust: Trust, item: Item) -> list[Fact]:
    match item:
        case Token():
            return [token_fact(trust, item)]
        case WalletCertificate():
            return [certificate_fact(trust, item)]
        case RequestOpening():
            return [asked_fact(item)]
        case _:
            return statement_facts(item)


# The oracle


class Oracle:
    """Names and credits, unit by unit."""

    def __init__(self, played: Played) -> None:
        self.tokens = played.tokens
        seen = self.seen = played.seen
        trust = AUTHORITY.trust()
        self.deeds: dict[bytes, Deed] = {}
        self.outcomes: list[tuple[bytes, bytes, bytes, int, bytes]] = []
        self.tapes: list[tuple[bytes, int, int, bytes]] = []
        self.certified = {one.key: seen.get(certificate_fact(trust, one).digest, 99) for one in played.certificates}
        self.asked: dict[bytes, int] = {}
        for statement in played.statements:
            if statement.id not in seen:
                continue
            body, opening = statement.body, statement.shown()
            if isinstance(body, TransferBody):
                self.deeds[statement.id] = Deed(
                    statement.key, body.payee, opening.request, body.spans, body.epoch, body.witness
                )
                self.asked[statement.id] = seen.get(asked_digest(statement.commitment), 99)
            else:
                accepted = body.transfer if isinstance(body, ReceiptBody) else b""
                self.outcomes.append((statement.key, body.request, accepted, seen[statement.id], statement.id))
            if opening_digest(statement.id) in seen:
                self.tapes.append((statement.key, opening.prev, opening.ctr, statement.id))
        self.shaped = {key for key in self.deeds if self.is_shaped(key)}

    def owner(self, parent: Parent) -> tuple[bytes, bytes, int, int, int]:
        """Return owner, token, bounds and epoch of a parent, or raise ``KeyError``."""
        if parent.side is Side.TOKEN:
            token = self.tokens[parent.id]
            return token.owner, parent.id, 0, AMOUNT, 0
        deed = self.deeds[parent.id]
        if not self.is_shaped(parent.id):
            raise KeyError(parent)
        above, start, end = deed.spans[parent.place]
        owner = deed.payee if parent.side is Side.PAYEE else deed.payer
        return owner, self.owner(above)[1], start, end, deed.epoch

    def is_fresh(self, parent: Parent) -> bool:
        """Return whether what this parent gives never was a payee's."""
        if parent.side is Side.PAYER:
            return self.is_fresh(self.deeds[parent.id].spans[parent.place].parent)
        return parent.side is Side.TOKEN

    def is_shaped(self, key: bytes) -> bool:
        units: set[tuple[bytes, int]] = set()
        deed = self.deeds[key]
        for parent, start, end in deed.spans:
            try:
                owner, token, low, high, epoch = self.owner(parent)
            except (KeyError, IndexError):
                return False
            mine = {(token, unit) for unit in range(start, end)}
            if owner != deed.payer or start < low or end > high or deed.epoch < epoch or units & mine:
                return False
            units |= mine
        return self.is_allowed(deed, units)

    def has_use(self, deed: Deed) -> bool:
        counted = (span for span in deed.spans if TWICE in self.tokens[self.owner(span.parent)[1]].conditions)
        return any(span.start < 2 and self.is_fresh(span.parent) for span in counted)

    def is_allowed(self, deed: Deed, units: set[tuple[bytes, int]]) -> bool:
        bound = [
            (condition, sum(unit[0] == token for unit in units))
            for token in {token for token, _ in units}
            for condition in self.tokens[token].conditions
            if self.tokens[token].owner == deed.payer and deed.payee != INSTITUTION.public
        ]
        for condition, count in bound:
            if condition == TWICE and not self.has_use(deed):
                return False
            if (condition == CAP and count > 3) or (condition == ONLY and deed.payee != SIGNERS[0].public):
                return False
        if deed.payee == INSTITUTION.public and deed.witness == (RENEWAL,):
            return True
        return deed.witness == ((WORD,) if any(condition == WORDED for condition, _ in bound) else ())

    def dead_at(self, key: bytes) -> int:
        return self._fate(key, accepted=False)

    def accepted_at(self, key: bytes) -> int:
        return self._fate(key, accepted=True)

    def _fate(self, key: bytes, *, accepted: bool) -> int:
        deed = self.deeds[key]
        epochs = [
            max(epoch, self.asked[key])
            for payee, request, transfer, epoch, _ in self.outcomes
            if (payee, request) == (deed.payee, deed.request) and (transfer == key) == accepted
        ]
        return min(epochs, default=99)

    def whole_at(self, key: bytes) -> int:
        deed = self.deeds[key]
        epochs = [self.seen[key], self.certified.get(deed.payer, 99)]
        for parent, _, _ in deed.spans:
            if parent.side is Side.TOKEN:
                epochs.append(self.seen[parent.id])
                continue
            epochs.append(self.whole_at(parent.id))
            if parent.side is Side.PAYER:
                epochs.append(self.dead_at(parent.id))
        return max(epochs)

    def kids(self, parent: Parent, unit: int, by: int) -> list[tuple[bytes, int]]:
        return [
            (key, place)
            for key in self.shaped
            for place, span in enumerate(self.deeds[key].spans)
            if span.parent == parent and span.start <= unit < span.end and self.whole_at(key) <= by
        ]

    def leaves(self, parent: Parent, unit: int, holder: bytes, by: int) -> list[bytes]:
        kids = self.kids(parent, unit, by)
        found: list[bytes] = [] if kids else [holder]
        for key, place in kids:
            deed = self.deeds[key]
            there = Parent(key, Side.PAYEE, place)
            spent = self.kids(there, unit, by)
            if deed.payee == INSTITUTION.public:
                found.append(deed.payer)
            elif self.dead_at(key) <= by:
                found += self.leaves(Parent(key, Side.PAYER, place), unit, deed.payer, by)
                found += self.leaves(there, unit, deed.payee, by) if spent else []
            elif spent or self.accepted_at(key) <= by:
                found += self.leaves(there, unit, deed.payee, by)
            else:
                found.append(deed.payer)
        return sorted(found)

    def units(self, by: int | None = None) -> dict[tuple[bytes, int], list[bytes]]:
        """Return who is entitled to each unit, by its token's ``claim_by`` or by an epoch."""
        return {
            (key, unit): self.leaves(
                Parent(key, Side.TOKEN, 0), unit, token.owner, token.claim_by if by is None else by
            )
            for key, token in self.tokens.items()
            for unit in range(AMOUNT)
        }

    def names(self) -> set[tuple[bytes, int, frozenset[bytes]]]:
        """Return every conflict: key, fraud's number, and the two statements."""
        found: set[tuple[bytes, int, frozenset[bytes]]] = set()
        spent: dict[tuple[Parent, int], set[bytes]] = defaultdict(set)
        for key in self.shaped:
            for parent, start, end in self.deeds[key].spans:
                for unit in range(start, end):
                    spent[parent, unit].add(key)
                if parent.side is Side.PAYEE and self.dead_at(parent.id) < 99:
                    found.add((self.deeds[key].payer, 4, frozenset({parent.id, key})))
        for keys in spent.values():
            found |= {(self.deeds[a].payer, 1, frozenset({a, b})) for a in keys for b in keys if a != b}
        counters: dict[tuple[bytes, int], set[bytes]] = defaultdict(set)
        for key, prev, ctr, statement in self.tapes:
            for counter in range(prev + 1, ctr + 1):
                counters[key, counter].add(statement)
        for (key, _), ids in counters.items():
            found |= {(key, 2, frozenset({a, b})) for a in ids for b in ids if a != b}
        for key, request, accepted, _, one in self.outcomes:
            for other_key, other_request, other_accepted, _, other in self.outcomes:
                if (key, request) == (other_key, other_request) and accepted != other_accepted:
                    found.add((key, 3, frozenset({one, other})))
        return found


# What must hold

WORLDS = int(os.environ.get("DUALTAP_WORLDS", "120"))
SEEDS = st.integers(min_value=0, max_value=2**32)


def world_of(played: Played) -> World:
    facts, trust = Facts(AUTHORITY.scheme), AUTHORITY.trust()
    for item, epoch in played.items:
        for fact in facts_of(trust, item):
            facts.put(fact, epoch)
    return World(facts, frozenset({INSTITUTION.public}), trust)


def units_of(world: World, by: int | None = None) -> dict[tuple[bytes, int], list[bytes]]:
    found: dict[tuple[bytes, int], list[bytes]] = {}
    for key, token in world.facts.tokens.items():
        for unit in range(token.amount):
            found[key, unit] = []
        for leaf in world.leaves(key, token.claim_by if by is None else by):
            for unit in range(leaf.start, leaf.end):
                found[key, unit].append(leaf.holder)
    return {key: sorted(holders) for key, holders in found.items()}


@settings(max_examples=WORLDS, deadline=None)
@given(SEEDS)
def test_names_and_credits_are_the_oracles(seed: int) -> None:
    """§1-5, §5.3-1, §5.3-7, §15-10, §16-5, §16-10, §16-11."""
    played = play(seed)
    world, oracle = world_of(played), Oracle(played)
    names = {(key, int(fraud), frozenset({first, second})) for key, fraud, first, second in world.conflicts()}
    assert names == oracle.names()
    assert units_of(world) == oracle.units()
    assert units_of(world, EVER) == oracle.units(98)


@settings(max_examples=WORLDS, deadline=None)
@given(SEEDS)
def test_no_unit_is_credited_twice_unless_evidence_proves_it(seed: int) -> None:
    """§1-1, §16-8."""
    world = world_of(play(seed))
    marks = marks_of(world)
    for by in (CLAIM, EVER):
        proved = overspent(world, marks, dict.fromkeys(world.facts.tokens, by).__getitem__)
        for key, token in world.facts.tokens.items():
            leaves = sum(leaf.amount for leaf in world.leaves(key, by))
            assert leaves == token.amount + sum(proved.get(key, {}).values())


@settings(max_examples=WORLDS // 3, deadline=None)
@given(SEEDS, SEEDS)
def test_order_batches_and_repetition_change_nothing(seed: int, other: int) -> None:
    """§1-5, §16-2, §16-3, §16-4, §16-13."""
    check_order(seed, random.Random(other))


def check_order(seed: int, draw: random.Random) -> None:
    """Tell a world to two ledgers, in any order, and compare both with the whole set."""
    played = play(seed)
    expected = world_of(played)
    ledgers = [feed(played, draw), feed(played, draw)]
    for store in ledgers:
        facts = Facts(AUTHORITY.scheme)
        for fact, epoch in store.facts():
            facts.put(fact, epoch)
        world = World(facts, frozenset({INSTITUTION.public}), AUTHORITY.trust())
        assert facts.digest() == expected.facts.digest()
        rowcheck.check_rows(world, store)
        check_names(store, expected)
        assert set(store.credits()) == expected.credits()
        check_settled(store, expected)
        store.close()


def check_settled(store: Store, expected: World) -> None:
    """Settled a token at a time, what everybody gets is what the whole set says."""
    roll, caps, none = Roll(AUTHORITY.scheme), Caps(2, 3), set[bytes]().intersection  # nobody asked for a renewal
    roll.learn(AUTHORITY.authorities)
    store.close_epoch(99)
    settling.settle(store, roll, 99, caps, EVERYBODY)
    tokens = expected.facts.tokens
    proved = overspent(expected, marks_of(expected), lambda key: tokens[key].claim_by)
    found = [settled_of(expected, proved.get(key, {}), key, 99, caps, EVERYBODY, none) for key in sorted(tokens)]
    assert settling.all_shares(store) == [share for one in found for share in one.shares]
    assert settling.all_liabilities(store) == [owed for one in found for owed in one.liabilities]
    assert {key: sorted(held) for key, held in store.settled().items()} == {one.token: one.leaves for one in found}
    for one in found:
        assert not one.shares or sum(share.backed for share in one.shares) == tokens[one.token].amount
        assert sum(share.guaranteed for share in one.shares) <= caps.token


def check_names(store: Store, expected: World) -> None:
    """Every statement of a pair has its mark and a witness; the witnesses are pairs, fewer than the marks."""
    marks, witnesses, pairs = set(store.marks()), store.conflicts(), expected.conflicts()
    assert marks == marks_in(pairs) == marks_of(expected)
    assert set(witnesses) <= pairs
    assert marks_in(witnesses) == marks
    assert len(witnesses) <= len(marks)


def feed(played: Played, draw: random.Random) -> Store:
    """Return a store that was told everything in any order, in batches, some of it again and later."""
    store, trust = Store.open(), AUTHORITY.trust()
    arrivals = list(played.items)
    arrivals += [(item, epoch + 1) for item, epoch in played.items if draw.random() < 0.5]
    draw.shuffle(arrivals)
    while arrivals:
        count = draw.choice([1, 2, 5])
        batch, arrivals = arrivals[:count], arrivals[count:]
        for epoch in {epoch for _, epoch in batch}:
            ingest = Ingest(store, trust, frozenset({INSTITUTION.public}), epoch)
            with store.transaction():
                for item, stamp in batch:
                    if stamp == epoch:
                        tell(ingest, item)
                ingest.finish()
    return store


def tell(ingest: Ingest, item: Item) -> None:
    """Take one item in."""
    match item:
        case Token():
            ingest.token(item)
        case WalletCertificate():
            ingest.certificate(item)
        case RequestOpening():
            ingest.asked(item)
        case _:
            ingest.statement(item)


def unconditional(played: Played) -> Played:
    """Return the same world as it would be if no token carried a condition."""
    free = {key: token._replace(conditions=()) for key, token in played.tokens.items()}
    return replace(played, tokens=free)


def test_the_oracle_meets_every_rule() -> None:
    """The random worlds are worth something: each fraud, each lot and late facts occur in them."""
    kinds: set[int] = set()
    overspent = restored = late = unmet = 0
    for seed in range(300):
        played = play(seed)
        oracle = Oracle(played)
        kinds |= {fraud for _, fraud, _ in oracle.names()}
        units = oracle.units(98)
        overspent += any(len(holders) > 1 for holders in units.values())
        restored += any(oracle.dead_at(key) < 99 for key in oracle.deeds)
        late += units != oracle.units()
        unmet += Oracle(unconditional(played)).shaped > oracle.shaped
    assert kinds == {1, 2, 3, 4}
    assert min(overspent, restored, late, unmet) > 10
