"""A town in memory that keeps no promise by itself: devices, a ledger, and everything that can go wrong.

Devices run the real machines, drivers, wallets and keystores; the ledger is the real one on ``:memory:``. What is
watched is what was ever durable: each store keeps a journal that no compaction forgets.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import pytest

from dualtap import limits
from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Ask, Decline, Effect, Report
from dualtap.forms import signed
from dualtap.issued import Carrier, Role, Tier
from dualtap.keystore import Head, sign_with
from dualtap.limits import Profile
from dualtap.logcodec import decoder
from dualtap.records import Answered, Asked, Funded, Healed, Moved, Sent
from dualtap.statements import (
    Body,
    CloseBody,
    Opening,
    Outcome,
    Parent,
    PresentBody,
    ReceiptBody,
    Scheme,
    Side,
    Signed,
    Span,
    TapeStatement,
    Transfer,
    TransferBody,
)
from dualtap.suite import SUITES, Drbg, sha256
from dualtap.sync import (
    SignedUpload,
    decode_signed_upload,
    encode_signed_upload,
    encode_upload,
    sync_statement,
    upload_of,
)
from dualtap.verdict import verify_evidence
from dualtap_devices.driver import Driver, always
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.syncing import close, sync
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.rules import Conflict
from dualtap_issuer.store import Store
from dualtap_testing.promises import (
    Entry,
    Owned,
    Place,
    Shelf,
    Statements,
    Unit,
    accepts,
    check_credits,
    check_units,
    count_units,
    places,
)
from dualtap_transports.link import Link

SUITE = SUITES["ed25519"]
SECRETS = Secrets(*[bytes([number]) * 32 for number in range(1, 5)])
SCHEME = Scheme.of(SUITE, SUITE.signer(SECRETS.root).public)
PATIENCE = 20.0
"""Seconds that a link may take for a frame."""
START = 20_000
SPEND, GRACE = 12, 9
TIER = Tier(1, payment=1000, payments=1000, receipts=1000, received=100_000)
TERMS = Terms("CNY", SPEND, GRACE, 4, (TIER,))
LAST = START + 900
STORE = 1 << 20
STRANGERS_ROOT = SUITE.signer(b"a stranger's root key, 32 bytes.").public


class PowerCut(Exception):
    """The device is dark."""


class JournalStore(MemoryStore):
    """A store that also keeps every record that was ever durable, and that the power can leave at any append."""

    def __init__(self, records: Sequence[bytes] = (), journal: Sequence[bytes] = ()) -> None:
        super().__init__(STORE)
        super().append(records)
        self.journal = list(journal)
        self.appends = 0
        self.cut_at: tuple[int, bool] | None = None
        """The append at which the power fails, and whether just after it."""

    def append(self, records: Sequence[bytes]) -> None:
        self.appends += 1
        cut = self.cut_at
        if cut == (self.appends, False):
            raise PowerCut
        super().append(records)
        self.journal += records
        if cut == (self.appends, True):
            raise PowerCut


class Device:
    """A wallet, which can be cut off at any time and opened again, and what it has ever known."""

    def __init__(self, name: str, keystore: MemoryKeystore, store: JournalStore, profile: Profile) -> None:
        self.name, self.keystore, self.store, self.profile = name, keystore, store, profile
        self.wallet = Wallet(SCHEME, profile, keystore, store)
        self.read = 0
        self.told: dict[bytes, bytes] = {}
        self.last_sent: bytes = b""

    @property
    def key(self) -> bytes:
        return self.keystore.public

    def reopen(self, skip: int = 0) -> None:
        """Come back from a power cut: only the store and the keystore are left. Its chip's counter may skip."""
        head = self.keystore.head
        self.keystore.head = Head(head.ctr + skip, head.id)
        self.store = JournalStore(self.store.records, self.store.journal)
        self.wallet = Wallet(SCHEME, self.profile, self.keystore, self.store)
        assert not self.wallet.quarantined, "an honest wallet is shut out by a power cut"

    def clone(self) -> Device:
        """Return what a thief makes of it: the same secret and store in another device."""
        keystore = MemoryKeystore.__new__(MemoryKeystore)
        keystore.__dict__.update(self.keystore.__dict__)
        twin = Device(self.name + "'", keystore, JournalStore(self.store.records, self.store.journal), self.profile)
        twin.told, twin.last_sent = dict(self.told), self.last_sent
        twin.read = self.read
        return twin

    def shelf(self, honest: bool) -> Shelf:
        """Return what this device says that it has."""
        book = self.wallet.book
        held = {Place(item.parent, unit) for item in book.holdings for unit in range(item.start, item.end)}
        assert len(held) == sum(item.amount for item in book.holdings), "a wallet holds a unit twice"
        return Shelf(self.key, held, set(book.pending), self.told, honest)


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a tap: the ``at``-th frame is lost, or one side's power fails before its ``at``-th effect."""

    kind: str = "none"
    payer: bool = True
    at: int = 0
    skip: int = 0


CLEAN = Fault()
DECLINED = Fault("decline")


def declines(ask: Ask) -> Decline:
    """Be a person who does not agree."""
    del ask
    return Decline()


class Town:
    """Everybody, the ledger, and all that was ever said to it."""

    def __init__(self, seed: str = "town") -> None:
        self._seed, self._drawn = sha256(seed.encode()), 0
        self.epoch = START
        self.ledger = new_ledger()
        self.join_ends: Callable[[], tuple[Link, Link]] | None = None
        """What carries the frames of a tap, if anything: returns two joined ends, the initiator's first."""
        self.devices: list[Device] = []
        self.bad: set[bytes] = set()
        self.secrets: dict[bytes, bytes] = {}
        self.known = Statements()
        self.delivered: set[bytes] = set()
        self.asked: dict[bytes, dict[bytes, tuple[bytes, int]]] = {}
        self.uploads: list[tuple[bytes, int]] = []
        self.issues: list[tuple[bytes, int, int, bytes]] = []
        self.settles: list[int] = []
        self.settled: set[bytes] = set()
        self.verified: set[Conflict] = set()
        self.overlapped: set[tuple[bytes, int]] = set()
        self.sync_fault = "none"
        self._decode = decoder(self.ledger.scheme.id)
        self._lies = 0

    def draw(self, size: int = 32) -> bytes:
        """Return fresh bytes, the same in every run."""
        self._drawn += 1
        return sha256(self._seed + self._drawn.to_bytes(4, "big"))[:size]

    def basket(self) -> bytes:
        return self.draw(16)

    # People

    def join(self, name: str, carrier: Carrier, fund: int = 0, profile: Profile = limits.FULL) -> Device:
        """Return a new wallet, certified and in the scheme."""
        secret = self.draw()
        keystore = MemoryKeystore(self.ledger.scheme, secret)
        device = Device(name, keystore, JournalStore(), profile)
        self.secrets[device.key] = secret
        present = signed(
            self.ledger.scheme.id, device.key, PresentBody(self.ledger.challenge(self.draw()), True, START)
        )
        proof = present.sealed(sign_with(keystore, present))
        certificate = self.ledger.certify(proof, carrier, 1, Role.PAY | Role.COLLECT, LAST)
        device.wallet.write(self.ledger.news(self.epoch, certificate))
        self.devices.append(device)
        if fund:
            self.issue(device, fund)
            self.sync(device)
        return device

    def issue(self, device: Device, amount: int) -> None:
        """Issue a token, to be fetched at the next sync."""
        serial = self.draw(8)
        token = self.ledger.issue(device.key, amount, self.epoch, serial)
        self.known.tokens[self.ledger.trust.token_id(token)] = token
        self.issues.append((device.key, amount, self.epoch, serial))

    def honest(self, device: Device) -> bool:
        return device.key not in self.bad

    def clone(self, device: Device) -> Device:
        """Copy a device, chip and all."""
        self.bad.add(device.key)
        self.read()
        twin = device.clone()
        self.devices.append(twin)
        return twin

    # Taps

    def pay(
        self,
        payer: Device,
        payee: Device,
        amount: int,
        fault: Fault = CLEAN,
        *,
        basket: bytes = b"",
        refund_of: bytes = b"",
        payer_starts: bool = True,
    ) -> tuple[Report | None, Report | None]:
        """Run a tap; return how it ended for the payer and for the payee, ``None`` for one that went dark."""
        charge = Charge(amount, "CNY", basket or self.basket(), person=True)
        tap = _Tap(self, payer, payee, charge, Pay(refund_of), payer_starts, fault)
        tap.run()
        self.read()
        return tap.report(tap.payer), tap.report(tap.payee)

    def at_once(self, taps: Sequence[tuple[Device, Device, int, bytes, Fault]], turns: Sequence[int]) -> None:
        """Run several taps at the same time: ``turns`` says which of them goes on next."""
        self.overlapped |= {(basket, 0) for _, _, _, basket, _ in taps}
        going = [
            _Tap(self, payer, payee, Charge(amount, "CNY", basket, person=True), Pay(), True, fault)
            for payer, payee, amount, basket, fault in taps
        ]
        for turn in turns:
            going[turn % len(going)].advance()
            self.read()
            self.check()
        for tap in going:
            tap.run()
        self.read()

    def sync_in_a_tap(self, payer: Device, payee: Device, amount: int, when: int, syncing: bool) -> None:
        """Run a tap in the middle of which one side syncs."""
        tap = _Tap(self, payer, payee, Charge(amount, "CNY", self.basket(), person=True), Pay(), True, CLEAN)
        for _ in range(when):
            tap.advance()
        self.sync(payer if syncing else payee, deposit=True)
        tap.run()
        self.read()

    def restore_backup(self, device: Device, length: int) -> None:
        """Open an old copy of a store: it may sync and nothing else, unless it misses nothing that was signed."""
        records = device.store.records[:length]
        store = JournalStore(records)
        old = Wallet(SCHEME, device.profile, device.keystore, store)
        if [entry.id for entry in old.book.tape] == [entry.id for entry in device.wallet.book.tape]:
            return
        if not old.quarantined:
            # Only what was not signed yet may be missing.
            assert device.keystore.head.id in old.book.tail_ids()
            return
        with pytest.raises(TapError, match=Code.QUARANTINED.name):
            Driver.fresh(old, Pay(), True)
        sync(old, _Office(self), self.draw(), True)

    def heal(self, one: Device, other: Device) -> None:
        """Promise 4: one clean tap between two honest devices leaves nothing in doubt between them."""
        before = set(one.wallet.book.pending) | set(other.wallet.book.pending)
        self.pay(one, other, 1)
        for here, there in ((one, other), (other, one)):
            left = [sent.transfer.id for sent in here.wallet.book.pending_to(there.key)]
            assert not before.intersection(left), "one clean tap left a transfer in doubt"
            assert not left, "a clean tap is in doubt"

    def cancel(self, device: Device) -> None:
        """Close every open request."""
        for request in list(device.wallet.book.open):
            close(device.wallet, request, Drbg(self.draw()))
        self.read()

    # Syncs

    def challenge(self) -> bytes:
        if self.sync_fault == "unreachable":
            raise TapError(Code.ISSUER_UNREACHABLE)
        return self.ledger.challenge(self.draw())

    def take(self, upload: bytes) -> bytes:
        """Be the issuer, at the other end of a network that fails as ``sync_fault`` says."""
        reply = self.ledger.sync(upload, self.epoch)
        self.uploads.append((upload, self.epoch))
        if self.sync_fault == "twice":
            with pytest.raises(TapError, match=Code.REPLAYED_REQUEST.name):
                self.ledger.sync(upload, self.epoch)
        if self.sync_fault == "reply lost":
            raise TapError(Code.ISSUER_UNREACHABLE)
        return reply

    def sync(
        self, device: Device, *, deposit: bool = False, fault: str = "none", cut: tuple[int, bool] | None = None
    ) -> None:
        """Sync a device; the link or the power may fail on the way."""
        self.sync_fault = fault
        device.store.appends, device.store.cut_at = 0, cut
        try:
            sync(device.wallet, _Office(self), self.draw(), deposit)
        except PowerCut:
            device.reopen()
        except TapError as error:
            if error.code is not Code.ISSUER_UNREACHABLE:
                raise
        finally:
            self.sync_fault, device.store.cut_at = "none", None
        self.read()
        assert self.ledger.refused == 0, "a genuine statement was left out"
        if fault in {"none", "twice"} and cut is None and self.honest(device):
            credited = {deposit for deposit, _ in self.credited()}
            for transfer in device.wallet.book.pending:
                is_deposit = transfer not in self.known.requests
                assert not is_deposit or transfer in credited or self._late(transfer), "a deposit was not credited"

    def _late(self, deposit: bytes) -> bool:
        """Whether some unit of a deposit could not be claimed any more."""
        units = {self.known.unit(place) for place, _ in places(self.known.transfers[deposit])}
        return any(self.known.tokens[token].claim_by < self.epoch for token, _ in units)

    def pass_days(self, days: int, thieves_come: bool = True) -> None:
        """Let time pass; whoever is honest is online in time, and what is due is settled."""
        due = [key for key in self.known.tokens if key not in self.settled]
        if any(self.known.tokens[key].claim_by < self.epoch + days for key in due):
            self.settle(days, thieves_come)
        else:
            self.epoch += days

    def settle(self, days: int, thieves_come: bool) -> None:
        """Everybody honest syncs within grace; then ``claim_by`` passes, and whoever held a unit is credited."""
        for _ in range(2):
            for device in self.devices:
                if thieves_come or self.honest(device):
                    self.sync(device)
        expected, overspent = self.units(), self.known.overspent()
        self.epoch += days
        self.ledger.settle(self.epoch)
        self.settles.append(self.epoch)
        for key, leaves in self.ledger.store.settled().items():
            if key in self.settled:
                continue
            self.settled.add(key)
            credited: dict[int, list[bytes]] = {unit: [] for unit in range(self.known.tokens[key].amount)}
            for leaf in leaves:
                for unit in range(leaf.start, leaf.end):
                    credited[unit].append(leaf.holder)
            for unit, holders in credited.items():
                owners = [owned.key for owned in expected[key, unit]]
                assert 1 <= len(holders) <= 1 + overspent[key, unit], (
                    "settled more or less than was issued and overspent"
                )
                if thieves_come or not (self.bad.intersection(owners) or overspent[key, unit]):
                    assert sorted(holders) == sorted(owners), "settled with another than its holder"

    # Lies: what a wallet's own secret can sign, against the machine

    def lie(self, device: Device, kind: str, pick: int) -> bool:
        """Sign what no honest machine signs, and upload it; return whether there was anything to lie about."""
        found = self._lie(device, kind, pick)
        if found is None:
            return False
        self.bad.add(device.key)
        statement = found.sealed(SUITE.signer(self.secrets[device.key]).sign(found.id))
        self._note(cast("TapeStatement", statement))
        scheme, book = self.ledger.scheme, device.wallet.book
        whole = upload_of(book)
        upload = encode_upload(whole._replace(tape=(*whole.tape, cast("TapeStatement", statement))))
        challenge = self.ledger.challenge(self.draw())
        word = sync_statement(scheme, book.key, upload, challenge, book.trust.epoch)
        signature = sign_with(device.keystore, word)
        self.take(encode_signed_upload(SignedUpload(upload, challenge, book.trust.epoch, signature)))
        return True

    def _lie(self, device: Device, kind: str, pick: int) -> Signed[Body] | None:
        known, key = self.known, device.key
        self._lies += 1
        prev = 1_000_000 + 10 * self._lies
        opening = Opening(self.draw(16), prev, prev + 1)
        mine = [item for item in known.transfers.values() if item.key == key and known.good(item)]
        mine = [item for item in mine if item.id not in self.settled]
        spans: tuple[Span, ...] = ()
        match kind:
            case "fork" | "tape fork" if mine:
                transfer = mine[pick % len(mine)]
                spans = transfer.body.spans[:1]
                if kind == "tape fork":
                    place = transfer.shown()
                    opening = Opening(opening.seed, place.prev, place.ctr)
            case "dead spent":
                dead = [item for item in known.transfers.values() if item.body.payee == key and known.dead(item)]
                if dead:
                    _, start, end = dead[pick % len(dead)].body.spans[0]
                    spans = (Span(Parent(dead[pick % len(dead)].id, Side.PAYEE, 0), start, end),)
            case "another's":
                other = [token for token, item in known.tokens.items() if item.owner != key]
                if other:
                    spans = (Span(Parent(other[pick % len(other)], Side.TOKEN, 0), 0, 2),)
            case "one unit twice":
                own = [token for token, item in known.tokens.items() if item.owner == key]
                if own:
                    root = Parent(own[pick % len(own)], Side.TOKEN, 0)
                    spans = (Span(root, 0, 3), Span(root, 2, 4))
            case "two outcomes":
                return self._other_outcome(key, opening, pick)
            case _:
                pass
        if not spans:
            return None
        body = TransferBody(self.ledger.authority.institution, spans, self.epoch, ())
        return signed(self.ledger.scheme.id, key, body, opening)

    def _other_outcome(self, key: bytes, opening: Opening, pick: int) -> Signed[Body] | None:
        asked = [(request, given) for (payee, request), given in self.known.answers.items() if payee == key]
        if not asked:
            return None
        request, given = asked[pick % len(asked)]
        if b"" not in given:
            return signed(self.ledger.scheme.id, key, CloseBody(request, 0, self.epoch), opening)
        for transfer, answered in self.known.requests.items():
            if answered == request and transfer not in given:
                return signed(self.ledger.scheme.id, key, ReceiptBody(request, transfer, self.epoch), opening)
        return None

    # Watching

    def read(self) -> None:
        """Take note of everything that became durable."""
        for device in self.devices:
            journal = device.store.journal
            for raw in journal[device.read :]:
                self._record(device, self._decode(raw))
            device.read = len(journal)

    def _record(self, device: Device, item: object) -> None:
        match item:
            case Funded(token):
                self.delivered.add(self.ledger.trust.token_id(token))
            case Asked():
                self.asked.setdefault(device.key, {})[item.request] = (item.basket, item.part)
            case Answered(outcome, _):
                self._note(outcome)
            case Sent(transfer, _, _):
                device.last_sent = transfer.id
                self._note(transfer)
            case Healed(transfer, outcome):
                device.told[transfer] = accepts(outcome)
            case Moved(moved, prev, ctr):
                old = self.known.transfers.pop(moved, None)
                if old is not None:
                    self.known.requests.pop(moved, None)
                    opening = old.shown()._replace(prev=prev, ctr=ctr)
                    again = signed(self.ledger.scheme.id, old.key, old.body, opening)
                    self._note(again)
            case _:
                pass

    def _note(self, statement: TapeStatement) -> None:
        if isinstance(statement.body, TransferBody):
            transfer = cast("Transfer", statement)
            self.known.transfers[transfer.id] = transfer
            if transfer.shown().request:
                self.known.requests[transfer.id] = transfer.shown().request
        else:
            outcome = cast("Outcome", statement)
            self.known.answers[outcome.key, outcome.body.request].add(accepts(outcome))

    def credited(self) -> Counter[tuple[bytes, int]]:
        """Return how often the ledger credited each span of each deposit."""
        return Counter((credit.transfer, credit.number) for credit in self.ledger.store.credits())

    def units(self) -> dict[Unit, list[Owned]]:
        """Return where every unit is."""
        shelves = [device.shelf(self.honest(device)) for device in self.devices]
        waiting = self.known.tokens.keys() - self.delivered
        return count_units(self.known, shelves, self.credited(), waiting, self.ledger.authority.institution)

    def ledger_statements(self) -> Statements:
        """Return the bag of statements that the ledger has."""
        facts, found = self.ledger.facts(), Statements()
        found.tokens.update(facts.tokens)
        found.transfers.update(facts.transfers)
        for transfer in facts.transfers.values():
            asked = facts.asked.get(transfer.commitment)
            if asked is not None:
                found.requests[transfer.id] = asked.request
        for outcome in facts.outcomes.values():
            found.answers[outcome.key, outcome.body.request].add(accepts(outcome))
        for statement in facts.statements():
            opening = facts.openings.get(statement.id)
            if opening is not None:
                found.tape.add(Entry(statement.key, opening.prev, opening.ctr, statement.id))
        return found

    # The promises

    def check(self) -> None:
        """Check what must hold at every instant: promises 1, 2 and 7."""
        check_units(self.known, self.units(), self.settled)
        for key, asked in self.asked.items():
            if key in self.bad:
                continue
            paid: dict[tuple[bytes, int], set[bytes]] = {}
            unanswered: Counter[tuple[bytes, int]] = Counter()
            for request, basket in asked.items():
                accepted = self.known.answers.get((key, request), set()) - {b""}
                paid.setdefault(basket, set()).update(accepted)
                if (key, request) not in self.known.answers:
                    unanswered[basket] += 1
            doubled = {basket for basket, count in unanswered.items() if count > 1}
            assert doubled <= self.overlapped, "a part has two open requests"
            assert all(len(transfers) <= 1 for transfers in paid.values()), "a basket was paid twice"

    def check_ledger(self) -> None:
        """Check the ledger: promises 1, 3 and 6, and that it names whom its statements name."""
        statements = self.ledger_statements()
        check_credits(statements, self.credited())
        conflicts = self.ledger.conflicts()
        named = {(found.key, found.fraud.name.lower()) for found in conflicts}
        assert {key for key, _ in named} <= self.bad, "an honest wallet was named"
        assert named == set(statements.names()), "the ledger names others than its statements do"
        for conflict in set(conflicts) - self.verified:
            self.verified.add(conflict)
            evidence = self.ledger.evidence(conflict)
            assert verify_evidence(evidence, self.ledger.scheme.root).key == conflict.key
            with pytest.raises(TapError):
                verify_evidence(evidence, STRANGERS_ROOT)

    def check_replayed(self, order: int) -> None:
        """Promise 5: another ledger that is told the same, in any order and often, says the same."""
        other = new_ledger()
        shuffle = random.Random(order).shuffle
        issues, uploads = list(self.issues), [*self.uploads, *self.uploads]
        shuffle(issues)
        shuffle(uploads)
        for issued in issues:
            other.issue(*issued)
        for upload, epoch in uploads:
            with other.store.transaction():
                other.store.put_challenge(decode_signed_upload(upload).challenge)
            other.sync(upload, epoch)
        for epoch in self.settles:
            other.settle(epoch)
        assert other.digest() == self.ledger.digest()
        assert set(other.conflicts()) == set(self.ledger.conflicts())
        assert set(other.store.credits()) == set(self.ledger.store.credits())
        assert other.store.settled() == self.ledger.store.settled()

    def finish(self, order: int) -> None:
        """The end of a story: everybody heals, everybody syncs, and the books are closed."""
        honest = [device for device in self.devices if self.honest(device)]
        for payer in honest:
            for payee in honest:
                if payer.wallet.book.pending_to(payee.key):
                    self.heal(payer, payee)
                    self.check()
        for _ in range(2):
            for device in self.devices:
                self.sync(device)
        self.check()
        self.check_ledger()
        whole = self.ledger_statements()
        assert self.known.overspent() == whole.overspent(), "somebody's statements did not reach the ledger"
        audit = self.ledger.audit()
        assert audit.issued == sum(token.amount for token in self.known.tokens.values())
        units = self.units()
        final = sum(
            sum(owned.how == "settled" for owned in found)
            for (token, _), found in units.items()
            if token not in self.settled
        )
        done = sum(leaf.amount for leaves in self.ledger.store.settled().values() for leaf in leaves)
        assert audit.settled == final + done
        assert audit.at_risk == final
        self.check_replayed(order)


class _Office:
    """The issuer, as the town's network lets a device reach it."""

    def __init__(self, town: Town) -> None:
        self._town = town

    def challenge(self) -> bytes:
        return self._town.challenge()

    def sync(self, signed_upload: bytes) -> bytes:
        return self._town.take(signed_upload)


class _Tap:
    """One tap, and what goes wrong in it."""

    def __init__(
        self, town: Town, payer: Device, payee: Device, charge: Charge, pay: Pay, payer_starts: bool, fault: Fault
    ) -> None:
        self.fault, self.effects = fault, 0
        self.payer, self.payee = payer, payee
        self.dark: Device | None = None
        self._frames = 0
        orders: dict[Device, Order] = {payer: pay, payee: charge}
        self.drivers = {
            device: Driver(
                device.wallet,
                order,
                (device is payer) == payer_starts,
                SUITE.ephemeral(town.draw()),
                town.draw(),
                declines if fault.kind == "decline" else always,
                partial(self._watch, device),
                lambda: 0.0,
            )
            for device, order in orders.items()
        }
        self.first, self.second = (payer, payee) if payer_starts else (payee, payer)
        self._ends = dict(zip((self.first, self.second), town.join_ends(), strict=True)) if town.join_ends else None
        self._waiting: deque[tuple[Device, bytes | None]] = deque([(self.second, None), (self.first, None)])

    def _watch(self, device: Device, effect: Effect) -> None:
        del effect
        fault = self.fault
        if fault.kind != "cut" or fault.payer != (device is self.payer):
            return
        self.effects += 1
        if self.effects > fault.at:
            raise PowerCut

    def report(self, device: Device) -> Report | None:
        if device is self.dark:
            return None
        return self.drivers[device].result

    def run(self) -> None:
        """Carry frames, until nothing more is said or something breaks."""
        while self.advance():
            pass

    def advance(self) -> bool:
        """Let one side do one thing; return whether there is more to come."""
        if not self._waiting:
            self._lose()
            return False
        device, frame = self._waiting.popleft()
        driver = self.drivers[device]
        if driver.ended:
            return True
        if frame is not None:
            self._frames += 1
            if self.fault.kind == "drop" and self._frames > self.fault.at:
                self._waiting.clear()
                return True
        try:
            frames = driver.begin() if frame is None else driver.receive(frame)
        except PowerCut:
            self.dark = device
            device.reopen(self.fault.skip)
            self._waiting.clear()
            return True
        other = self.second if device is self.first else self.first
        self._waiting.extend((other, self._carried(device, other, said)) for said in frames)
        return True

    def _carried(self, sender: Device, receiver: Device, frame: bytes) -> bytes:
        if self._ends is None:
            return frame
        self._ends[sender].send(frame)
        return self._ends[receiver].receive(PATIENCE)

    def _lose(self) -> None:
        for end in (self._ends or {}).values():
            end.close()
        self.fault = CLEAN
        for device, driver in self.drivers.items():
            if device is not self.dark:
                driver.stop(Code.LINK_LOST)


def new_ledger() -> Ledger:
    """Return an empty ledger of the town's scheme."""
    store = Store.open()
    return Ledger(store, SchemeAuthority(SUITE, SECRETS, store, LAST, 1000), TERMS)
