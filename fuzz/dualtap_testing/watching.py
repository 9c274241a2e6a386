"""What is looked at in a simulated world: every wallet's store as it becomes durable, and the ledger."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from dualtap.allowance import today
from dualtap.suite import SUITES
from dualtap.verdict import verify_evidence
from dualtap_issuer.settling import all_liabilities, all_shares
from dualtap_testing.arrivals import deposited
from dualtap_testing.bag import Name
from dualtap_testing.checkers import Credit, PromiseBroken
from dualtap_testing.insured import Given, check_guarantee
from dualtap_testing.renewed import check_renewed
from dualtap_testing.rules import Bounds
from dualtap_testing.screens import check_paid_once

if TYPE_CHECKING:
    from dualtap_testing.world import World


class Watch:
    """Shows a world to its checkers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._proved: set[Name] = set()

    def read(self) -> None:
        """Take note of everything that became durable, and compare what wallets say with their stores."""
        for device in self._world.devices:
            if not device.touched:
                continue
            device.touched = False
            for chest in [*device.chests, *([device.heir] if device.heir else [])]:
                self._world.checkers.read(chest.shelf, chest.store.journal)
                for kind, public, place in chest.keystore.signed:
                    rest = place.private + place.request
                    at = (place.prev, place.ctr)
                    self._world.checkers.signature(chest.key, int(kind), public, place.salt, at, rest)
                chest.keystore.signed.clear()
                if self._world.honest(device):
                    if chest.shelf.dropped:
                        raise PromiseBroken(2, f"a compacted log has lost {chest.shelf.dropped}")
                    tier = self._world.tier
                    bounds = Bounds(
                        tier.payments, tier.receipts, tier.received, device.profile.hops, device.profile.log
                    )
                    self._world.rules.read(chest.shelf, chest.store.journal, bounds)
            if self._world.honest(device):
                chests = [*device.chests, *([device.heir] if device.heir else [])]
                self._world.curbs.read([(one.key, one.shelf, one.store.journal) for one in chests])
                check_paid_once([chest.shelf for chest in device.chests])
                for wallet, chest in zip((*device.wallet.retired, device.wallet), device.chests, strict=True):
                    if wallet.quarantined:
                        raise PromiseBroken(2, "an honest wallet is shut out")
                    held = [((one.parent.id, int(one.parent.side), one.parent.place), one.start, one.end)
                            for one in wallet.book.holdings]  # fmt: skip
                    self._world.checkers.claims(chest.shelf, held, wallet.book.pending)
                    taken = wallet.book.taken
                    self._world.rules.refunds(chest.shelf, {named: one.refunded for named, one in taken.items()})
                    book = wallet.book
                    paid = book.trust.epoch, today(book.spent, book.trust.epoch)
                    self._world.curbs.claims(chest.shelf, book.ties.restraint(), paid)
                    if wallet.book.trust.epoch != self._world.rules.date(chest.shelf):
                        raise PromiseBroken(3, "a wallet's date is not that of its store")
        self._world.curbs.judge()
        self._world.rules.judge()

    def check(self) -> None:
        """Check what must hold at every instant, in every store and at the ledger."""
        leaves = self._world.checkers.at_rest()
        credits = [Credit(one.transfer, one.number, one.key, one.amount) for one in self._world.ledger.store.credits()]
        self._world.checkers.conserved(leaves, [(one.transfer, one.number) for one in credits])

    def check_ledger(self) -> None:
        """Check the ledger: credits, names, and the evidence of each name that is new."""
        store, conflicts = self._world.ledger.store, self._world.ledger.conflicts()
        credits = [Credit(one.transfer, one.number, one.key, one.amount) for one in store.credits()]
        named = {(one.key, one.fraud.name.lower()) for one in conflicts}
        tokens = sum(token.amount for token in self._world.checkers.told.coins.values())
        self._world.checkers.ledger(credits, named, tokens)
        self._check_more(credits, {key for key, _ in named})
        for conflict in conflicts:
            name = Name(conflict.key, conflict.fraud.name.lower())
            if name not in self._proved:
                self._proved.add(name)
                data = self._world.ledger.evidence(conflict)
                self._world.checkers.evidence(data, name)
                if self._world.suite.name in SUITES and verify_evidence(data, self._world.scheme.root).key != name.key:
                    raise PromiseBroken(6, "evidence proves another name")

    def _check_more(self, credits: list[Credit], named: set[bytes]) -> None:
        """Check the hotlist, deposits that came in time, and who bears what was overspent."""
        store = self._world.ledger.store
        self._world.guild.date(self._world)
        if self._world.heirs.line(named) - set(self._world.ledger.policy.hotlist):
            raise PromiseBroken(1, "who is named is not on the hotlist")
        check_renewed(self._world.checkers)
        deposited(self._world.checkers, {(one.transfer, one.number) for one in credits}, self._world.rules.last)
        shares = [(one.token, one.holder, one.claim, one.backed) for one in all_shares(store)]
        backs = {token: self._world.checkers.told.backs(token) for token, *_ in shares}
        named_of = {(one.token, one.key) for one in all_liabilities(store)}
        self._world.rules.shares(shares, named_of, backs)
        given = [Given(one.token, one.holder, one.claim, one.backed, one.guaranteed) for one in all_shares(store)]
        check_guarantee(given, named_of, self._world.most)


def digest_of(world: World) -> bytes:
    """Return a digest of everything durable: each store, each keystore's cell, and the ledger."""
    found = hashlib.sha256()

    def add(*parts: bytes) -> None:
        for part in parts:
            found.update(len(part).to_bytes(4, "big"))
            found.update(part)

    for device in world.devices:
        for chest in device.chests:
            head = chest.keystore.head
            add(chest.key, head.ctr.to_bytes(8, "big"), head.id, head.successor, *chest.store.log)
    add(world.ledger.digest())
    for credit in sorted(world.ledger.store.credits()):
        add(repr(tuple(credit)).encode())
    for conflict in sorted(world.ledger.conflicts()):
        add(repr(tuple(conflict)).encode())
    for named, leaves in sorted(world.ledger.store.settled().items()):
        add(named, repr([tuple(leaf) for leaf in leaves]).encode())
    return found.digest()
