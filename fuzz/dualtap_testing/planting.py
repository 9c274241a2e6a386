"""Big worlds with known frauds: made quarter by quarter, told to a ledger, and compared with what was planted."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from multiprocessing import get_context
from typing import NamedTuple

from dualtap import limits
from dualtap.evidence import Fraud
from dualtap.issued import Tier
from dualtap.suite import SUITES
from dualtap.sync import SignedUpload, encode_signed_upload, sync_statement
from dualtap.verdict import verify_evidence
from dualtap_issuer import settling
from dualtap_issuer.guarantee import Caps, Share
from dualtap_issuer.ledger import HOTLIST, Ledger, Terms
from dualtap_issuer.quotas import Overstep, faults
from dualtap_issuer.rules import Leaf
from dualtap_issuer.store import Store
from dualtap_testing.books import Claimant, People, parts_of
from dualtap_testing.forging import SETTLED, Parcel, authority_over
from dualtap_testing.frauds import PLOTS, Plot
from dualtap_testing.honest import live
from dualtap_testing.lies import LIES
from dualtap_testing.quarter import Plant, Quarter

CAPS = Caps(150, 220)
TERMS = Terms("CNY", 300, 60, limits.HOPS, (Tier(1, limits.AMOUNT, 2**31, 2**31, limits.AMOUNT),), CAPS)


class Size(NamedTuple):
    """How many quarters, statements in each, and frauds in each; as many lies as frauds, at most all."""

    quarters: int
    statements: int
    frauds: int


class Harvest(NamedTuple):
    """A quarter that has lived: what is told to the ledger, and what must come of it."""

    parcels: list[Parcel]
    plants: list[Plant]
    liable: Counter[tuple[bytes, bytes]]
    due: dict[bytes, int]
    heirs: dict[bytes, bytes]
    ordinals: set[int]
    issued: int
    statements: int
    forged: int
    done: Counter[str]


class Missed(NamedTuple):
    """A difference between what was planted and what a ledger found."""

    what: str
    planted: object
    found: object


class Report(NamedTuple):
    """What was told, what was found, and every difference."""

    statements: int
    frauds: int
    overspent: int
    missed: list[Missed]


def plots_of(number: int, size: Size) -> list[Plot]:
    """Return what happens in this quarter: every plot and lie has its turn."""
    first = number * size.frauds
    found = [PLOTS[(first + step) % len(PLOTS)] for step in range(size.frauds)]
    return found + [LIES[(first + step) % len(LIES)] for step in range(min(size.frauds, len(LIES)))]


def grow(suite: str, seed: str, number: int, size: Size) -> Harvest:
    """Let one quarter live."""
    quarter = Quarter(suite, seed, number)
    live(quarter, size.statements, plots_of(number, size))
    due = {person.key: person.due for person in quarter.people}
    issued = sum(quarter.tokens[token].amount for token in quarter.told)
    return Harvest(
        quarter.parcels, quarter.plants, quarter.liable, due, quarter.heirs, quarter.ordinals, issued,
        len(quarter.signed), quarter.forged, quarter.done,
    )  # fmt: skip


def _grown(task: tuple[str, str, int, Size]) -> Harvest:
    return grow(*task)


def harvests(suite: str, seed: str, size: Size, processes: int) -> Iterator[Harvest]:
    """Yield every quarter, grown in so many processes."""
    tasks = [(suite, seed, number, size) for number in range(size.quarters)]
    if processes == 1:
        yield from map(_grown, tasks)
        return
    with get_context("fork").Pool(processes) as pool:
        yield from pool.imap(_grown, tasks)


def signed(suite: str, ledger: Ledger, parcel: Parcel, nonce: str) -> bytes:
    """Return a parcel signed in answer to a challenge, for which ``nonce`` is used once."""
    challenge = ledger.challenge(hashlib.sha256(nonce.encode()).digest())
    words: list[bytes] = []
    for secret in (parcel.secret, parcel.heir):
        if secret:
            signer = SUITES[suite].signer(secret)
            word = sync_statement(ledger.scheme, signer.public, parcel.upload, challenge, parcel.day)
            words.append(signer.sign(word.id))
    return encode_signed_upload(SignedUpload(parcel.upload, challenge, parcel.day, words[0], *words[1:]))


class Planted:
    """A world, whole: what is told in any order within a day, and what was planted."""

    def __init__(self, suite: str, seed: str, size: Size, processes: int = 1) -> None:
        self.suite, self.seed = suite, seed
        self.parcels: list[Parcel] = []
        self.plants: list[Plant] = []
        self.liable: Counter[tuple[bytes, bytes]] = Counter()
        self.due: dict[bytes, int] = {}
        self.heirs: dict[bytes, bytes] = {}
        self.ordinals: set[int] = set()
        self.issued = self.statements = self.forged = 0
        self.done: Counter[str] = Counter()
        for found in harvests(suite, seed, size, processes):
            self.parcels += found.parcels
            self.plants += found.plants
            self.liable.update(found.liable)
            self.due |= found.due
            self.heirs |= found.heirs
            self.ordinals |= found.ordinals
            self.issued += found.issued
            self.statements += found.statements
            self.forged += found.forged
            self.done.update(found.done)
        self.people = People({key for key in self.due if key[-1] % 3})
        random.Random(seed).shuffle(self.parcels)  # noqa: S311 - nothing here is secret
        self.parcels.sort(key=lambda parcel: parcel.day)

    def ledger(self, where: str = ":memory:") -> Ledger:
        """Open a ledger for it."""
        store = Store.open(where)
        return Ledger(store, authority_over(self.suite, store), TERMS)

    def tell(self, ledger: Ledger) -> None:
        """Sync everybody, day by day; settle when every token's ``claim_by`` is past, and sync who is late."""
        settled = False
        for number, parcel in enumerate(self.parcels):
            if parcel.day > SETTLED and not settled:
                ledger.settle(SETTLED, self.people)
                settled = True
            ledger.sync(signed(self.suite, ledger, parcel, f"{self.seed} {number}"), parcel.day)
        if not settled:
            ledger.settle(SETTLED, self.people)

    # Comparing

    def compare(self, ledger: Ledger, audited: bool = True) -> Report:
        """Return every difference between what was planted and what the ledger found."""
        missed = [*self._names(ledger), *self._amounts(ledger), *self._rest(ledger)]
        if audited:
            found = ledger.audit()
            booked = (self.issued, sum(self.liable.values()), 0)
            said = (found.issued, found.overspend, found.outstanding)
            missed += [Missed("audit", booked, said)] if booked != said else []
        frauds = len({(plant.key, plant.fraud) for plant in self.plants}) + len(self.ordinals)
        return Report(self.statements, frauds, sum(self.liable.values()), missed)

    def _names(self, ledger: Ledger) -> Iterator[Missed]:
        planted: dict[tuple[bytes, Fraud], set[bytes]] = defaultdict(set)
        plots: dict[tuple[bytes, Fraud], str] = {}
        for plant in self.plants:
            planted[plant.key, plant.fraud] |= plant.marks
            plots[plant.key, plant.fraud] = plant.plot
        found: dict[tuple[bytes, Fraud], set[bytes]] = defaultdict(set)
        for mark in ledger.store.marks():
            found[mark.key, mark.fraud].add(mark.statement)
        for name in planted.keys() | found.keys():
            if planted.get(name) != found.get(name):
                yield Missed(plots.get(name, "framed"), planted.get(name), (name, found.get(name)))
        proved = set[tuple[bytes, Fraud]]()
        for conflict in ledger.conflicts():
            verdict = verify_evidence(ledger.evidence(conflict), ledger.scheme.root)
            proved.add((verdict.key, verdict.fraud))
        if proved != planted.keys():
            yield Missed("evidence", planted.keys() - proved, proved - planted.keys())

    def _amounts(self, ledger: Ledger) -> Iterator[Missed]:
        owed = {(one.key, one.token): one.amount for one in settling.all_liabilities(ledger.store)}
        if owed != dict(self.liable):
            for name in owed.keys() | self.liable.keys():
                if owed.get(name, 0) != self.liable.get(name, 0):
                    yield Missed("liability", (name, self.liable.get(name, 0)), owed.get(name, 0))
        held: Counter[bytes] = Counter()
        overspent = {token for _, token in self.liable}
        expected: list[Share] = []
        for token, leaves in sorted(ledger.store.settled().items()):
            for leaf in leaves:
                held[leaf.holder] += leaf.amount
            if token in overspent:
                expected += self._shares(token, leaves)
        paid = {one.guaranteed for one in expected}
        if self.plants and not {CAPS.payee} < paid:
            yield Missed("a cap that binds", CAPS, paid)
        if settling.all_shares(ledger.store) != expected:
            yield Missed("shares", expected, settling.all_shares(ledger.store))
        for key, due in self.due.items():
            if held[key] != due:
                yield Missed("an honest wallet's money", (key, due), held[key])

    def _shares(self, token: bytes, leaves: list[Leaf]) -> list[Share]:
        units: dict[int, list[Claimant]] = defaultdict(list)
        for leaf in leaves:
            for unit in range(leaf.start, leaf.end):
                units[unit].append(Claimant(leaf.holder))
        named = {key for key, name in self.liable if name == token}
        bound = self.people.bound({leaf.holder for leaf in leaves})
        return [Share(token, *part) for part in parts_of(units.values(), named, bound, CAPS)]

    def _rest(self, ledger: Ledger) -> Iterator[Missed]:
        keys = {plant.key for plant in self.plants}
        hotlist = keys | {self.heirs[key] for key in keys & self.heirs.keys()}
        listed = set(ledger.policy.hotlist)
        if len(listed) < min(len(hotlist), HOTLIST) or listed - hotlist:
            yield Missed("hotlist", hotlist - listed, listed - hotlist)
        twice = {fault.ordinal for fault in faults(ledger.facts()) if fault.overstep is Overstep.TWICE}
        if twice != self.ordinals:
            yield Missed("ordinals", self.ordinals, twice)
        if ledger.refused < self.forged:
            yield Missed("forged", self.forged, ledger.refused)
