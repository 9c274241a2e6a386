"""A simulated world: production wallets, machines and ledger, under virtual time; what happens to them is in ``acts``.

Everything random comes from sub-seeds: of the world for its people, and of each act for what it does, so that leaving
an act out changes no other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

from dualtap import limits
from dualtap.context import Charge, Context, Pay
from dualtap.errors import Code, TapError
from dualtap.forms import signed
from dualtap.issued import Carrier, Condition, Role, Token
from dualtap.keystore import sign_with
from dualtap.limits import Profile
from dualtap.statements import PresentBody
from dualtap.suite import Drbg, Suite
from dualtap.sync import Reply
from dualtap_devices.flash import PowerCut
from dualtap_devices.rotation import rotate, sync_device
from dualtap_devices.syncing import Prepared, close, tell
from dualtap_devices.wallet import Wallet
from dualtap_issuer.authority import SchemeAuthority, Secrets
from dualtap_issuer.facts import decode_fact
from dualtap_issuer.guarantee import Caps
from dualtap_issuer.ledger import Ledger, Terms
from dualtap_testing.checkers import Checkers, PromiseBroken
from dualtap_testing.curbs import Curbs, Sums
from dualtap_testing.devices import SMALL, Chest, Device, Power, PoweredKeystore, PoweredStore
from dualtap_testing.dues import Dues
from dualtap_testing.guild import Guild
from dualtap_testing.heirs import Heirs, check_former_keys
from dualtap_testing.insured import most_of
from dualtap_testing.network import Network
from dualtap_testing.people import EXPIRED, EXPIRES, PEOPLE, SELLS, Person
from dualtap_testing.reading import Parent
from dualtap_testing.reigns import Reign, check_expiry, footing
from dualtap_testing.remembered import EmptyStore
from dualtap_testing.rules import Rules
from dualtap_testing.screens import check_reason, check_told, check_unpaid, is_paid
from dualtap_testing.taps import Air, Side, SimTap, TapPlan
from dualtap_testing.temper import Temper
from dualtap_testing.torn import TORN, TornKeystore, TornStore
from dualtap_testing.watching import Watch

START = 20_000
"""The first date of every world."""
SPEND, GRACE = 12, 9
LAST = START + 2_000
REQUESTS, STEP = 8, 400
"""Requests for a part after which a person is asked (SPEC §10), and days that one tap may move a date."""


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
        self.network = Network(self)
        self.watch = Watch(self)
        secrets = Secrets(*[self.draw() for _ in range(4)])
        store, self.reign = EmptyStore(), Reign(seed, START)
        authority = SchemeAuthority(suite, secrets, store, self.reign.first, 1_000)
        self.most = most_of(seed)
        terms = Terms("CNY", SPEND, GRACE, 4, (self.tier,), Caps(*self.most))
        self.ledger = Ledger(store, authority, terms)
        self.guild = Guild(seed, self.ledger, authority, START, self.reign.first)
        self.scheme = self.ledger.scheme
        self.checkers = Checkers(self.scheme.id, self.guild.offices, suite.verifier, self.guild.banks)
        self.dues = Dues(self.checkers, self.guild.hints)
        self.rules = Rules(self.checkers, suite.verifier)
        sums = Sums(self.tier.payment, self.tier.day, self.tier.balance)
        self.curbs = Curbs(self.checkers, sums, self.rules.clocks, suite.verifier)
        self.heirs = Heirs()
        self.devices: list[Device] = []
        self.taps = self.faults = 0
        self.baskets: list[tuple[Device, bytes, int]] = []
        self.tokens = 0
        for name, carrier, fund, profile in people:
            self.join(name, carrier, fund, profile, LAST if name != EXPIRES else START + EXPIRED)

    # Drawing

    def begin(self, act: str) -> random.Random:
        """Draw from this act's own sub-seed from now on."""
        self.random = random.Random(f"{self.seed}/{act}")  # noqa: S311 - a simulation's
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
        home, sells = self.guild.home(), SELLS.get(name, 0)
        certificate = home.certify(proof, carrier, 1, Role.PAY | Role.COLLECT, expires, sells)
        device.wallet.write(self.ledger.news(self.epoch, certificate))
        self.devices.append(device)
        if fund:
            self.issue(device, fund)
            self.sync(device)
        return device

    def issue(self, device: Device, amount: int, conditions: tuple[Condition, ...] = ()) -> Token:
        """Issue a token to any key of a device, to be fetched at the next sync."""
        key = self.random.choice(device.keys)
        token = self.guild.any(self.random).issue(key, amount, self.epoch, self.draw(8), conditions)
        if self.honest(device) and token.owner != self.heirs.present(key):
            raise PromiseBroken(2, "a token is issued to a key that was succeeded")
        self.checkers.issue(tuple(token))
        return token

    def honest(self, device: Device) -> bool:
        """Whether nobody has copied, rewound or misused any of its keys."""
        return self.checkers.bad.isdisjoint(device.keys)

    def fall(self, device: Device) -> None:
        """From now on this device cheats."""
        self.watch.read()
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
        cheat: Callable[[Context], object] | None = None,
        witness: tuple[bytes, ...] = (),
        meanwhile: Callable[[], object] | None = None,
        pause: int | None = None,
    ) -> SimTap:
        """Run a tap, and check what a clean one must leave.

        ``cheat`` is what a thieving payer makes of its tap before it pays; ``witness`` is what a payer has to show for
        conditions; ``meanwhile`` happens while the payer's person thinks, or before the frame ``pause``.
        """
        charge = Charge(amount, "CNY", basket or self.draw(16), part, person=person)
        sides = [
            Side(device, order, self.suite.ephemeral(self.draw()), self.draw())
            for device, order in ((payer, Pay(refund_of, witness=witness)), (payee, charge))
        ]
        sides[0].cheat, sides[0].meanwhile, sides[0].pause = cheat, meanwhile, pause
        doubts = payer.doubts
        shelf, asked = payee.chests[-1].shelf, self.rules.requests(payee.chests[-1].shelf, charge.basket, part)
        dates = [device.wallet.book.trust.epoch for device in (payer, payee)]
        stood = [footing(self, device) for device in (payer, payee)]
        tap = SimTap(sides[0], sides[1], payer_starts, plan, self.air)
        for device in (payer, payee):
            self.rules.clocks[id(device.chests[-1].shelf)] = int(self.now(device)) // limits.EPOCH_SECONDS
        tap.run()
        self.rules.by_tap = True
        self.taps += 1
        self.faults += tap.faults + plan.declines
        self.watch.read()
        self.rules.by_tap = False
        self.rules.clocks.clear()
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
        plain = plan.clean and sound and not moving and meanwhile is None and abs(dates[0] - dates[1]) <= STEP
        self._check_told(sides, charge, plain=plain)
        for side in sides if plain else ():
            check_expiry(self, side.report, (payer, payee), stood)
        if self.honest(payer):
            check_unpaid(sides[0].report, payer.doubts - doubts)
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

    def reach(self, wallet: Wallet, prepared: Prepared) -> Reply:
        """Reach the issuer for a device, which has closed what was open first."""
        for chest in [chest for device in self.devices for chest in device.chests if chest.key == wallet.book.key]:
            if chest.store is wallet.store and not wallet.quarantined:
                self.checkers.read(chest.shelf, chest.store.journal)
                if any(asked.outcome is None for asked in chest.shelf.questions.values()):
                    raise PromiseBroken(7, "a request is open while its wallet syncs")
        return tell(wallet, prepared, self.network)

    def sync(
        self, device: Device, *, deposit: bool = False, fault: str = "none", cut: tuple[int, bool] | None = None
    ) -> None:
        """Sync a device; the network or the power may fail on the way."""
        entropy = Drbg(self.draw())
        told = {named for (_, named), given in self.checkers.told.answers.items() if given}
        held = _held(device.chests[:-1])
        done = self._connected(device, fault, cut, lambda: sync_device(device.wallet, self.reach, entropy, deposit))
        self.watch.read()
        if done and fault in {"none", "meanwhile"} and self.honest(device):
            self.checkers.healed_by_sync(device.keys, told)
            if fault == "none" and self.rules.date(device.chests[-1].shelf) < self.reign.dated:
                raise PromiseBroken(4, "a sync does not bring the date")
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
        self.watch.read()

    def _connected(self, device: Device, fault: str, cut: tuple[int, bool] | None, act: Callable[[], object]) -> bool:
        """Let a device use the network; return whether it came through."""
        done = False
        self.network.fault, self.network.syncing = fault, device
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
        self.watch.read()

    # Time

    def pass_time(self, days: int) -> None:
        """Let days pass; on the last day of a token everybody comes in time, and some hand in what they hold.

        A scheme renews its authorities in time, and so does this world's; its wallets' certificates it does not: no
        day passes after their last.
        """
        until = min(self.epoch + days, LAST)
        while self.epoch < until:
            coins, settled = self.checkers.bag.coins, self.checkers.settled
            ends = [coin.claim_by for named, coin in coins.items() if named not in settled]
            last = min([until, *[day for day in ends if day >= self.epoch]])
            if last > self.epoch:
                self.let_pass(last - self.epoch)
            if last in ends and last < until:
                for _ in range(2):
                    for device in self.devices:
                        self.sync(device, deposit=self.random.random() < 0.2)
                self.watch.check_ledger()
                self.let_pass(1)

    def let_pass(self, days: int) -> None:
        """Let days pass in which nobody does anything."""
        self.network.late()
        self.reign.pass_to(self, self.epoch + days)
        self.epoch += days
        self.air.now = float(self.epoch * limits.EPOCH_SECONDS)
        self.guild.settle(self)
        for device in self.devices:
            if self.honest(device):
                check_former_keys(device, self.epoch)
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


_SYNC_REFUSALS = frozenset({Code.ISSUER_UNREACHABLE, Code.STORE_FULL, Code.RETIRED, Code.WRONG_CERTIFICATE, Code.BOUND})
"""What a sync that could not be made may say."""


def _held(chests: Iterable[Chest]) -> set[Parent]:
    """Return what these stores hold anything of."""
    return {parent for chest in chests for parent, parts in chest.shelf.held.items() if parts}
