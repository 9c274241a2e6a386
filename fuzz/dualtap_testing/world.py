"""A simulated world: production wallets, machines and ledger, under virtual time; what happens to them is in ``acts``.

Everything random comes from sub-seeds: of the world for its people, and of each act for what it does, so that leaving
an act out changes no other.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import Carrier, Condition, Role, Token
from dualtap.keystore import sign_with
from dualtap.limits import Profile
from dualtap.statements import PresentBody
from dualtap.suite import SUITES, Drbg, Suite
from dualtap.sync import Reply
from dualtap.verdict import verify_evidence
from dualtap_devices.flash import PowerCut
from dualtap_devices.rotation import rotate, sync_device
from dualtap_devices.syncing import Prepared, close, tell
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_issuer.settling import all_liabilities, all_shares
from dualtap_testing.arrivals import deposited
from dualtap_testing.bag import Name
from dualtap_testing.checkers import Checkers, Credit, PromiseBroken
from dualtap_testing.devices import SMALL, Chest, Device, Power, PoweredKeystore, PoweredStore
from dualtap_testing.heirs import Heirs
from dualtap_testing.reading import Parent
from dualtap_testing.remembered import EmptyStore
from dualtap_testing.rules import Bounds, Rules
from dualtap_testing.screens import check_reason, check_told, is_paid
from dualtap_testing.taps import Air, LinkFault, Side, SimTap, TapPlan
from dualtap_testing.temper import Temper
from dualtap_testing.torn import TORN, TornKeystore, TornStore

START = 20_000
"""The first date of every world."""
SPEND, GRACE = 12, 9
LAST = START + 2_000
Person: TypeAlias = tuple[str, Carrier, int, Profile]
"""A name, a carrier, the first token in minor units, and what the device can carry."""
PEOPLE: tuple[Person, ...] = (
    ("anna", Carrier.WATCH, 400, limits.FULL),
    ("ben", Carrier.PHONE, 300, limits.FULL),
    ("card", Carrier.CARD, 200, limits.CARD),
    ("kiosk", Carrier.POS, 0, limits.FULL),
    ("market", Carrier.POS, 0, limits.FULL),
    ("thief", Carrier.PHONE, 300, limits.FULL),
    ("fence", Carrier.POS, 100, limits.FULL),
)
EXPIRES = "card"
"""Whose certificate ends early: it may then heal, sync and deposit, and nothing else."""
EXPIRED = 3
"""Days after which it has ended."""
INFORMED = ("anna", "kiosk", "market")
REQUESTS, STEP = 8, 400
"""Requests for a part after which a person is asked (SPEC §10), and days that one tap may move a date."""
THIEVES = ("thief", "fence")
"""Who may be cloned, rewound and lie; they collude."""


@dataclass
class Network:
    """How syncs reach the ledger: what goes wrong in the next one, and uploads that are still on their way."""

    fault: str = "none"
    limbo: list[bytes] = field(default_factory=list[bytes])
    faults: int = 0


class World:
    """One world: its people, its ledger, its checkers."""

    def __init__(
        self,
        suite: Suite,
        seed: str,
        people: Iterable[Person] = PEOPLE,
        *,
        torn: bool = False,
        temper: Temper | None = None,
    ) -> None:
        """``torn``: stores and chips are on flash, which a power cut tears in the middle of a write."""
        self.temper = temper or Temper()
        self.tier = self.temper.tier
        self.suite, self.seed, self._torn = suite, seed, torn
        self.random = random.Random(f"{seed}/people")  # noqa: S311 - a simulation's, to be repeated
        self.epoch = START
        self.air = Air(float(START * limits.EPOCH_SECONDS))
        self.network = Network()
        secrets = Secrets(*[self.draw() for _ in range(4)])
        store = EmptyStore()
        self.ledger = Ledger(
            store, SchemeAuthority(suite, secrets, store, LAST, 1_000), Terms("CNY", SPEND, GRACE, 4, (self.tier,))
        )
        self.scheme = self.ledger.scheme
        self.checkers = Checkers(self.scheme.id, [self.ledger.authority.institution], suite.verifier)
        self.rules = Rules(self.scheme.id, suite.verifier, self.checkers.bag)
        self.heirs = Heirs()
        self.devices: list[Device] = []
        self.taps = self.faults = 0
        self.baskets: list[tuple[Device, bytes, int]] = []
        self.tokens = 0
        self._proved: set[Name] = set()
        self._taken: set[bytes] = set()
        self._syncing: Device | None = None
        for name, carrier, fund, profile in people:
            self.join(name, carrier, fund, profile, LAST if name != EXPIRES else START + EXPIRED)

    # Drawing

    def begin(self, act: str) -> random.Random:
        """Draw from this act's own sub-seed from now on."""
        self.random = random.Random(f"{self.seed}/{act}")  # noqa: S311 - as above
        return self.random

    def draw(self, size: int = 32) -> bytes:
        """Return the next bytes of the present sub-seed."""
        return self.random.randbytes(size)

    # People

    def _chest(self, power: Power, secret: bytes, profile: Profile) -> Chest:
        size = 2 * profile.log
        if self._torn:
            seed = f"{self.seed}/flash/{secret.hex()}"
            chip = TornKeystore(self.scheme, secret, power, f"{seed}/chip")
            return Chest(chip, TornStore(power, size, seed), self.checkers.shelf(chip.public))
        keystore = PoweredKeystore(self.scheme, secret, power)
        return Chest(keystore, PoweredStore(power, size=size), self.checkers.shelf(keystore.public))

    def _fitted(self, profile: Profile) -> Profile:
        """Return a profile whose log is as small as this world's stores are: half a store, as of any device."""
        if profile == limits.CARD:
            size = SMALL if self._torn else self.temper.card
        else:
            size = TORN if self._torn else self.temper.store
        return replace(profile, log=size // 2)

    def join(self, name: str, carrier: Carrier, fund: int, profile: Profile, expires: int = LAST) -> Device:
        """Return a new device, certified and in the scheme, and funded by a first sync."""
        power, profile = Power(), self._fitted(profile)
        chest = self._chest(power, self.draw(), profile)
        device = Device(name, self.scheme, profile, chest, power)
        body = PresentBody(self.ledger.challenge(self.draw()), True, self.epoch)
        present = signed(self.scheme.id, device.key, body)
        proof = present.sealed(sign_with(chest.keystore, present))
        certificate = self.ledger.certify(proof, carrier, 1, Role.PAY | Role.COLLECT, expires)
        device.wallet.write(self.ledger.news(self.epoch, certificate))
        self.devices.append(device)
        if fund:
            self.issue(device, fund)
            self.sync(device)
        return device

    def issue(self, device: Device, amount: int, conditions: tuple[Condition, ...] = ()) -> Token:
        """Issue a token to any key of a device, to be fetched at the next sync."""
        key = self.random.choice(device.keys)
        token = self.ledger.issue(key, amount, self.epoch, self.draw(8), conditions)
        if self.honest(device) and token.owner != self.heirs.present(key):
            raise PromiseBroken(2, "a token is issued to a key that was succeeded")
        self.checkers.issue(tuple(token))
        return token

    def honest(self, device: Device) -> bool:
        """Whether nobody has copied, rewound or misused any of its keys."""
        return self.checkers.bad.isdisjoint(device.keys)

    def fall(self, device: Device) -> None:
        """From now on this device cheats."""
        self.read()
        self.checkers.bad.update(device.keys)

    def now(self, device: Device) -> float:
        """Return what a device's clock shows."""
        return device.clock(self.air.now)

    # Taps

    def tap(
        self,
        payer: Device,
        payee: Device,
        amount: int,
        plan: TapPlan,
        *,
        basket: bytes = b"",
        part: int = 0,
        refund_of: bytes = b"",
        payer_starts: bool = True,
        person: bool = True,
        takes_for: int | None = None,
    ) -> SimTap:
        """Run a tap, and check what a clean one must leave.

        ``takes_for`` is the date for which a thieving payer takes that of its payee.
        """
        charge = Charge(amount, "CNY", basket or self.draw(16), part, person=person)
        sides = [
            Side(device, order, self.suite.ephemeral(self.draw()), self.draw())
            for device, order in ((payer, Pay(refund_of)), (payee, charge))
        ]
        sides[0].takes_for = takes_for
        shelf, asked = payee.chests[-1].shelf, self.rules.requests(payee.chests[-1].shelf, charge.basket, part)
        dates = [device.wallet.book.trust.epoch for device in (payer, payee)]
        tap = SimTap(sides[0], sides[1], payer_starts, plan, self.air)
        tap.run()
        self.rules.by_tap = True
        self.taps += 1
        self.faults += tap.faults + plan.declines
        self.read()
        self.rules.by_tap = False
        if any(side.overran and self.honest(side.device) for side in sides):
            raise PromiseBroken(2, "a device has begun what its log has no room for")
        if not person and asked >= REQUESTS and self.rules.requests(shelf, charge.basket, part) > asked:
            raise PromiseBroken(7, "a till asks again and again, and no person said so")
        moving = bool(payer.wallet.book.successor or payee.wallet.book.successor)
        moving = moving or any(side.refuses for side in sides)
        sound = self.honest(payer) and self.honest(payee)
        if plan.clean and sound and not moving:  # a torn rotation is finished first
            self.check_healed(payer, payee)
        elif plan.clean and not moving:
            self.check_answered(payer, payee)
        self._check_told(sides, charge, plain=plan.clean and sound and not moving and abs(dates[0] - dates[1]) <= STEP)
        return tap

    def _check_told(self, sides: list[Side], charge: Charge, *, plain: bool) -> None:
        """What honest people are told of a tap is so."""
        payee = sides[1].device
        paid = not self.honest(payee) or is_paid([one.shelf for one in payee.chests], charge.basket, charge.part)
        # A barred payee asked for nothing: who is told that there is nothing to pay is told what is so.
        paid = paid or sides[1].barred
        for side in sides:
            for report in side.reports if self.honest(side.device) else ():
                check_told(self.checkers.bag, report, paid)
                if plain:
                    check_reason(report)

    def check_answered(self, one: Device, other: Device) -> None:
        """A cheat that has an outcome, and repeats it, heals an honest device all the same: no hotlist blocks that."""
        for here, there in ((one, other), (other, one)):
            if not self.honest(here) or self.honest(there) or there not in self.devices:
                continue
            known = there.chests[-1].shelf.questions
            for chest in here.chests:
                for sent in chest.shelf.pending.values():
                    asked = known.get(sent.request)
                    if sent.payee == there.key and asked is not None and asked.outcome is not None:
                        raise PromiseBroken(4, "a stored outcome of a cheat does not heal")

    def check_healed(self, one: Device, other: Device) -> None:
        """Promise 4, after a clean tap between two honest devices."""
        for here, there in ((one, other), (other, one)):
            for key in here.keys:
                self.checkers.healed(key, there.keys)

    # Syncs

    def challenge(self) -> bytes:
        """Give a device a challenge, if the network does."""
        if self.network.fault == "unreachable":
            self.network.faults += 1
            raise TapError(Code.ISSUER_UNREACHABLE)
        return self.ledger.challenge(self.draw())

    def take(self, upload: bytes) -> bytes:
        """Carry an upload to the ledger and its reply back, as the network does today."""
        fault = self.network.fault
        self.network.faults += fault not in {"none", "unreachable"}
        if fault == "slow":
            self.network.limbo.append(upload)
            raise TapError(Code.ISSUER_UNREACHABLE)
        reply = self.deliver(upload)
        if fault == "twice":
            self.network.limbo.append(upload)
        if fault == "meanwhile":
            self._meanwhile()
        if fault == "reply lost":
            raise TapError(Code.ISSUER_UNREACHABLE)
        return reply

    def deliver(self, upload: bytes) -> bytes:
        """Give the ledger an upload; the checkers see both."""
        reply = self.ledger.sync(upload, self.epoch)
        if upload in self._taken:
            raise PromiseBroken(5, "the ledger took an upload twice")
        self._taken.add(upload)
        self.rules.uploaded(upload, self.epoch)
        if self.ledger.refused and not self.checkers.bad:
            raise PromiseBroken(2, "the ledger left out a genuine statement")
        self.checkers.uploaded(upload)
        self.checkers.replied(reply)
        self.heirs.replied(upload, reply)
        return reply

    def _meanwhile(self) -> None:
        """While a reply is on its way, its device is used."""
        device = self._syncing
        others = [one for one in self.devices if one is not device and one.key not in self.checkers.bad]
        if device is None or device.is_moving or not self.honest(device) or not others:
            return
        other = self.random.choice(others)
        pair = (device, other) if self.random.random() < 0.6 else (other, device)
        plan = TapPlan(LinkFault("lose", self.random.randint(2, 5))) if self.random.random() < 0.5 else TapPlan()
        self.tap(*pair, self.random.randint(1, 5), plan)

    def late(self) -> None:
        """Deliver what the network had kept; an answered challenge or a settled epoch is refused."""
        waiting, self.network.limbo = self.network.limbo, []
        for upload in waiting:
            try:
                self.deliver(upload)
            except TapError as error:
                if error.code not in {Code.REPLAYED_REQUEST, Code.BAD_INPUT}:
                    raise

    def reach(self, wallet: Wallet, prepared: Prepared) -> Reply:
        """Reach the issuer for a device, which has closed what was open first."""
        for chest in [chest for device in self.devices for chest in device.chests if chest.key == wallet.book.key]:
            if chest.store is wallet.store and not wallet.quarantined:
                self.checkers.read(chest.shelf, chest.store.journal)
                if any(asked.outcome is None for asked in chest.shelf.questions.values()):
                    raise PromiseBroken(7, "a request is open while its wallet syncs")
        return tell(wallet, prepared, _Office(self))

    def sync(
        self, device: Device, *, deposit: bool = False, fault: str = "none", cut: tuple[int, bool] | None = None
    ) -> None:
        """Sync a device; the network or the power may fail on the way."""
        entropy = Drbg(self.draw())
        told = {named for (_, named), given in self.checkers.told.answers.items() if given}
        held = _held(device.chests[:-1])
        done = self._connected(device, fault, cut, lambda: sync_device(device.wallet, self.reach, entropy, deposit))
        self.read()
        if done and fault in {"none", "meanwhile"} and self.honest(device):
            self.checkers.healed_by_sync(device.keys, told)
            if fault == "none" and held & _held(device.chests[:-1]):
                raise PromiseBroken(2, "a retired key does not hand in what it holds")

    def rotate(self, device: Device, fault: str = "none", cut: tuple[int, bool] | None = None) -> None:
        """Move a device to a fresh key; torn, it goes on with the same one next time."""
        if device.heir is None:
            device.heir = self._chest(device.power, self.draw(), device.profile)
        chest, entropy = device.heir, self.draw()

        def act() -> None:
            heir = Wallet(self.scheme, device.profile, chest.keystore, chest.store)
            if not heir.book.joined:
                rotate(device.wallet, heir, self.reach, entropy)

        self._connected(device, fault, cut, act)
        heir = Wallet(self.scheme, device.profile, chest.keystore, chest.store)
        if heir.book.joined:
            device.promote()
        self.read()

    def _connected(self, device: Device, fault: str, cut: tuple[int, bool] | None, act: Callable[[], object]) -> bool:
        """Let a device use the network; return whether it came through."""
        done = False
        self.network.fault, self._syncing = fault, device
        device.power.plan(cut if fault != "meanwhile" else None)
        try:
            act()
            done = True
        except PowerCut:
            self.faults += 1
            device.reopen()
        except TapError as error:
            if error.code not in _SYNC_REFUSALS:
                raise
            if error.code == Code.STORE_FULL and self._has_open(device):
                raise PromiseBroken(2, "a device has no room to close what it opened") from error
        finally:
            self.network.fault = "none"
            device.power.plan(None)
        device.touched = True
        return done

    def _has_open(self, device: Device) -> bool:
        """Whether an honest device's stores hold an open request."""
        for chest in device.chests if self.honest(device) else ():
            self.checkers.read(chest.shelf, chest.store.journal)
            if any(asked.outcome is None for asked in chest.shelf.questions.values()):
                return True
        return False

    def close_open(self, device: Device) -> None:
        """A person cancels: every open request is closed."""
        if device.wallet.quarantined:
            return
        entropy = Drbg(self.draw())
        device.wallet.check()
        for request in list(device.wallet.book.open):
            close(device.wallet, request, entropy)
        device.touched = True
        self.read()

    # Time

    def pass_time(self, days: int) -> None:
        """Let days pass; on the last day of a token everybody comes in time, and some hand in what they hold.

        A scheme renews its authorities in time. This world's are never renewed: no day passes after their last.
        """
        until = min(self.epoch + days, LAST)
        while self.epoch < until:
            coins, settled = self.checkers.bag.coins, self.checkers.settled
            ends = [coin.claim_by for named, coin in coins.items() if named not in settled]
            last = min([until, *[day for day in ends if day >= self.epoch]])
            if last > self.epoch:
                self._forward(last - self.epoch)
            if last in ends and last < until:
                for _ in range(2):
                    for device in self.devices:
                        self.sync(device, deposit=self.random.random() < 0.2)
                self.check_ledger()
                self._forward(1)

    def _forward(self, days: int) -> None:
        self.late()
        self.epoch += days
        self.air.now = float(self.epoch * limits.EPOCH_SECONDS)
        self.ledger.settle(self.epoch)
        settled = sorted(self.ledger.store.settled().items())
        for fact, _ in self.ledger.store.find([named for named, _ in settled if named not in self.checkers.told.coins]):
            self.checkers.unclaimed(cast("Token", decode_fact(self.scheme, fact)))
        due = self.checkers.at_rest()
        told = self.checkers.told.overspent()
        for named, leaves in settled:
            if named not in self.checkers.settled:
                mine = [leaf for leaf in due if leaf.coin == named]
                if self.checkers.told.coins[named].claim_by >= self.epoch:
                    raise PromiseBroken(2, "a token is settled before its last day is over")
                exact = not told.get(named) and all(leaf.owner not in self.checkers.bad for leaf in mine)
                found = [(leaf.start, leaf.end, leaf.holder) for leaf in leaves]
                self.checkers.settlement(named, found, mine, exact)
                self.checkers.settled.add(named)

    # Watching

    def read(self) -> None:
        """Take note of everything that became durable, and compare what wallets say with their stores."""
        for device in self.devices:
            if not device.touched:
                continue
            device.touched = False
            for chest in [*device.chests, *([device.heir] if device.heir else [])]:
                self.checkers.read(chest.shelf, chest.store.journal)
                for kind, public, place in chest.keystore.signed:
                    rest = place.private + place.request
                    self.checkers.signature(chest.key, int(kind), public, place.salt, (place.prev, place.ctr), rest)
                chest.keystore.signed.clear()
                if self.honest(device):
                    if chest.shelf.dropped:
                        raise PromiseBroken(2, f"a compacted log has lost {chest.shelf.dropped}")
                    bounds = Bounds(self.tier.payments, self.tier.receipts, device.profile.hops)
                    self.rules.read(chest.shelf, chest.store.journal, bounds)
            if self.honest(device):
                for wallet, chest in zip((*device.wallet.retired, device.wallet), device.chests, strict=True):
                    if wallet.quarantined:
                        raise PromiseBroken(2, "an honest wallet is shut out")
                    held = [((one.parent.id, int(one.parent.side), one.parent.place), one.start, one.end)
                            for one in wallet.book.holdings]  # fmt: skip
                    self.checkers.claims(chest.shelf, held, wallet.book.pending)
                    if wallet.book.trust.epoch != self.rules.date(chest.shelf):
                        raise PromiseBroken(3, "a wallet's date is not that of its store")
        self.rules.judge()

    def check(self) -> None:
        """Check what must hold at every instant, in every store and at the ledger."""
        leaves = self.checkers.at_rest()
        credits = [Credit(one.transfer, one.number, one.key, one.amount) for one in self.ledger.store.credits()]
        self.checkers.conserved(leaves, [(one.transfer, one.number) for one in credits])

    def check_ledger(self) -> None:
        """Check the ledger: credits, names, and the evidence of each name that is new."""
        store, conflicts = self.ledger.store, self.ledger.conflicts()
        credits = [Credit(one.transfer, one.number, one.key, one.amount) for one in store.credits()]
        named = {(one.key, one.fraud.name.lower()) for one in conflicts}
        tokens = sum(token.amount for token in self.checkers.told.coins.values())
        self.checkers.ledger(credits, named, tokens)
        self._check_more(credits, {key for key, _ in named})
        for conflict in conflicts:
            name = Name(conflict.key, conflict.fraud.name.lower())
            if name not in self._proved:
                self._proved.add(name)
                data = self.ledger.evidence(conflict)
                self.checkers.evidence(data, name)
                if self.suite.name in SUITES and verify_evidence(data, self.scheme.root).key != name.key:
                    raise PromiseBroken(6, "evidence proves another name")

    def _check_more(self, credits: list[Credit], named: set[bytes]) -> None:
        """Check the hotlist, deposits that came in time, and who bears what was overspent."""
        store = self.ledger.store
        if named - set(self.ledger.policy.hotlist):
            raise PromiseBroken(1, "who is named is not on the hotlist")
        deposited(self.checkers, {(one.transfer, one.number) for one in credits}, self.rules.last)
        shares = [(one.token, one.holder, one.claim, one.backed) for one in all_shares(store)]
        backs = {token: self.checkers.told.backs(token) for token, *_ in shares}
        self.rules.shares(shares, {(one.token, one.key) for one in all_liabilities(store)}, backs)

    # What it came to

    def digest(self) -> bytes:
        """Return a digest of everything durable: each store, each keystore's cell, and the ledger."""
        found = hashlib.sha256()

        def add(*parts: bytes) -> None:
            for part in parts:
                found.update(len(part).to_bytes(4, "big"))
                found.update(part)

        for device in self.devices:
            for chest in device.chests:
                head = chest.keystore.head
                add(chest.key, head.ctr.to_bytes(8, "big"), head.id, head.successor, *chest.store.log)
        add(self.ledger.digest())
        for credit in sorted(self.ledger.store.credits()):
            add(repr(tuple(credit)).encode())
        for conflict in sorted(self.ledger.conflicts()):
            add(repr(tuple(conflict)).encode())
        for named, leaves in sorted(self.ledger.store.settled().items()):
            add(named, repr([tuple(leaf) for leaf in leaves]).encode())
        return found.digest()


_SYNC_REFUSALS = frozenset({Code.ISSUER_UNREACHABLE, Code.STORE_FULL, Code.RETIRED, Code.WRONG_CERTIFICATE})
"""What a sync that could not be made may say."""


def _held(chests: Iterable[Chest]) -> set[Parent]:
    """Return what these stores hold anything of."""
    return {parent for chest in chests for parent, parts in chest.shelf.held.items() if parts}


class _Office:
    """The issuer, as the world's network lets a device reach it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def challenge(self) -> bytes:
        return self._world.challenge()

    def sync(self, signed_upload: bytes) -> bytes:
        return self._world.take(signed_upload)


def taken_of(device: Device) -> Iterable[tuple[bytes, bytes, int]]:
    """Yield what a device could refund: the transfer, its payer and how much is left of it."""
    for taken in sorted(device.wallet.book.taken.values(), key=lambda one: -one.refunded):
        if taken.amount > taken.refunded:
            yield taken.transfer, taken.payer, taken.amount - taken.refunded
