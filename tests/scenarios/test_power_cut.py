"""The power goes at every write, sync and byte of a device's store and keystore, and every sync fails once.

Whatever outlives that, the device opens, is not quarantined, has lost nothing, and one clean tap settles all.

Each first cut is tried in every run; of what goes wrong a second time every eleventh, or with ``DUALTAP_POWER=1``
(`make test-power`) every one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeAlias

import pytest

from dualtap.errors import TapError
from dualtap.limits import Profile
from dualtap.logcodec import decoder
from dualtap.records import Answered, Record, Sent
from dualtap.statements import Scheme
from dualtap.suite import Drbg
from dualtap_devices import syncing
from dualtap_devices.flash import CrashFlash, Faults, Keep
from dualtap_devices.keystore import EmulatedKeystore
from dualtap_devices.slots import SlotStore
from dualtap_devices.wallet import Wallet
from tests.support.devices import (
    REFUND,
    Bench,
    Device,
    Make,
    Recorded,
    Scene,
    Session,
    Trial,
    coarse,
    faults_of,
    heal,
    survivals,
)

Survive: TypeAlias = Callable[[CrashFlash], Iterable[Keep]]
PAYER, PAYEE = 0, 1
TRANSFER_LOST, RECEIPT_LOST = 2, 3
"""Frames of a tap that the payer starts, after which these are still to come."""
STORE, KEYS = "store", "keys"
STRIDE = int(os.environ.get("DUALTAP_POWER", "11"))
"""Of the operations after a first fault, every how many-th is cut as well."""


@cache
def bench() -> Bench:
    return Bench()


def pay(session: Session) -> None:
    session.tap()


def pay_as_responder(session: Session) -> None:
    session.tap(payer_starts=False)


def pay_back(session: Session) -> None:
    session.tap(REFUND, 5, back=True)


def close_for_sync(session: Session) -> None:
    wallet = session.pair.payee.wallet
    for request in list(wallet.book.open):
        syncing.close(wallet, request, Drbg(bytes(32)))


def compact(session: Session) -> None:
    session.pair.payee.wallet.compact()


@cache
def scenes() -> dict[str, Scene]:
    fresh, unseen, answered = bench().blank, bench().after(TRANSFER_LOST), bench().after(RECEIPT_LOST)
    found = (
        Scene("the payer of a tap", fresh, PAYER, pay),
        Scene("the payee of a tap", fresh, PAYEE, pay),
        Scene("the payer who answers", fresh, PAYER, pay_as_responder),
        Scene("the payee who starts", fresh, PAYEE, pay_as_responder),
        Scene("the payer heals a transfer that was never seen", unseen, PAYER, pay),
        Scene("the payee closes, heals and collects", unseen, PAYEE, pay),
        Scene("the payer heals a transfer that was accepted", answered, PAYER, pay),
        Scene("the payee repeats its receipt", answered, PAYEE, pay),
        Scene("the payer collects and heals at once", answered, PAYER, pay_back),
        Scene("the payee closes before a sync", unseen, PAYEE, close_for_sync),
        Scene("the payee compacts its log", answered, PAYEE, compact),
    )
    return {scene.name: scene for scene in found}


NAMES = (
    "the payer of a tap",
    "the payee of a tap",
    "the payer who answers",
    "the payee who starts",
    "the payer heals a transfer that was never seen",
    "the payee closes, heals and collects",
    "the payer heals a transfer that was accepted",
    "the payee repeats its receipt",
    "the payer collects and heals at once",
    "the payee closes before a sync",
    "the payee compacts its log",
)


def flash_of(device: Device, where: str) -> CrashFlash:
    return device.store if where == STORE else device.keys


def cut_at(scene: Scene, make: Make | None, where: str, faults: Faults) -> Trial | None:
    """Play a scene until its power is cut; return ``None`` if it ends before."""
    trial = Trial(bench(), scene, make)
    faults_of(where, faults, trial.subject)
    return trial if trial.until_cut() else None


def kept(where: str, keep: Keep) -> tuple[Keep | None, Keep | None]:
    return (keep, None) if where == STORE else (None, keep)


class Count:
    """What a check went through."""

    def __init__(self) -> None:
        self.operations = self.media = self.states = self.trials = 0

    def __str__(self) -> str:
        return f"{self.operations} operations, {self.media} media, {self.states} states, {self.trials} trials"


def cut_everywhere(scene: Scene, make: Make | None = None) -> Count:
    """Cut the power at each operation, and open each medium that may be left.

    Each medium is opened as a store and a keystore. What they then say is all that a wallet knows, so that the rest
    of the story is played once for each different thing that they say, in each way to heal.
    """
    count = Count()
    for where in (STORE, KEYS):
        operation = 0
        while cut_and_settle(scene, make, where, Faults(operation), count, survivals, twice=True):
            operation += 1
    return count


def cut_and_settle(
    scene: Scene, make: Make | None, where: str, faults: Faults, count: Count, survive: Survive, twice: bool
) -> bool:
    """Cut the power as planned, go on from all that may be left, and settle; return whether it was ever cut."""
    trial = cut_at(scene, make, where, faults)
    if trial is None:
        return False
    count.operations += 1
    for keep in states(trial.subject, where, count, survive):
        for how in scene.heals:
            again = cut_at(scene, make, where, faults)
            assert again is not None
            again.finish(how, *kept(where, keep))
            count.trials += 1
        for other in (STORE, KEYS) if twice else ():
            cut_twice(scene, make, where, faults, keep, other, count)
    return True


def states(device: Device, where: str, count: Count, survive: Survive) -> Iterable[Keep]:
    """Open each medium that this cut may leave; yield one for each thing that the store or keystore then says."""
    flash = flash_of(device, where)
    assert not flash_of(device, KEYS if where == STORE else STORE).pieces, "two writes under way at once"
    media: set[bytes] = set()
    said: set[object] = set()
    for keep in survive(flash):
        after = flash.crash(keep)
        if after.medium in media:
            continue
        media.add(after.medium)
        opened = SlotStore.open(after).records if where == STORE else EmulatedKeystore(bench().scheme, after).head
        if opened not in said:
            said.add(opened)
            yield keep
    count.media += len(media)
    count.states += len(said)


def cut_twice(
    scene: Scene, make: Make | None, where: str, faults: Faults, keep: Keep, other: str, count: Count
) -> None:
    """Cut the power a second time, at each operation of what follows, and lose, keep or tear what was under way."""
    operation = count.states % STRIDE
    while True:
        for second in (0, 1, 2):
            trial = cut_at(scene, make, where, faults)
            assert trial is not None
            trial.subject.crash(*kept(where, keep))
            faults_of(other, Faults(operation), trial.subject)
            if not trial.until_cut():
                return
            pieces = frozenset(range(len(flash_of(trial.subject, other).pieces)))
            if second and not pieces:
                continue
            keeps = (Keep(), Keep(pieces), Keep(pieces - {0}, 0, 60, garbage=True))
            trial.finish(scene.heals[0], *kept(other, keeps[second]))
            count.trials += 1
        operation += STRIDE


@pytest.mark.parametrize("name", NAMES)
def test_a_power_cut_anywhere_costs_nothing(name: str) -> None:
    """§1-2, §12-2, §12-4."""
    count = cut_everywhere(scenes()[name])
    assert count.operations >= 14, count
    assert count.media > 1500, count
    assert count.states >= 15, count


def fail_everywhere(scene: Scene, make: Make | None = None) -> Count:
    """Let each sync fail, alone or with those after it, and then cut the power at each later operation."""
    count = Count()
    for where in (STORE, KEYS):
        first = 0
        while fails(scene, make, where, frozenset({first}), count):
            for length in (1, 2, 3):
                failing = frozenset(range(first, first + length))
                for how in scene.heals:
                    trial = Trial(bench(), scene, make)
                    faults_of(where, Faults(failing=failing), trial.subject)
                    assert not trial.until_cut()
                    trial.finish(how)
                    count.trials += 1
                operation = 2 * first + 2 + (first + length) % STRIDE
                while cut_and_settle(scene, make, where, Faults(operation, 0, failing), count, coarse, twice=False):
                    operation += STRIDE
            first += 1
    return count


def fails(scene: Scene, make: Make | None, where: str, failing: frozenset[int], count: Count) -> bool:
    """Return whether these syncs are reached; the device goes on, or says so and is started again."""
    trial = Trial(bench(), scene, make)
    faults_of(where, Faults(failing=failing), trial.subject)
    assert not trial.until_cut()
    heal(bench(), trial.session, scene.heals[0])
    count.trials += 1
    return flash_of(trial.subject, where).syncs > max(failing)


@pytest.mark.parametrize("name", NAMES)
def test_a_sync_that_fails_costs_nothing(name: str) -> None:
    """§12-11."""
    count = fail_everywhere(scenes()[name])
    assert count.trials > 100, count


# Controls: what is broken fails these very checks.


class KeystoreFirst(Wallet):
    """Has an entry of the tape signed before it is durable."""

    def __init__(self, scheme: Scheme, profile: Profile, keystore: Recorded, store: SlotStore) -> None:
        self._late: tuple[bytes, ...] = ()
        super().__init__(scheme, profile, keystore, store)
        keystore.after_signing = self._catch_up

    def persist(self, records: Iterable[bytes]) -> None:
        batch = tuple(records)
        if any(isinstance(self._decode(item), Answered | Sent) for item in batch):
            self._late = batch
        else:
            super().persist(batch)

    def _decode(self, item: bytes) -> Record:
        return decoder(self.book.scheme.id)(item)

    def _catch_up(self) -> None:
        late, self._late = self._late, ()
        super().persist(late)


class Retrying:
    """Flash whose sync, when it fails, is called again and then believed."""

    def __init__(self, flash: CrashFlash) -> None:
        self._flash = flash
        self.size, self.read, self.write = flash.size, flash.read, flash.write

    def sync(self) -> None:
        try:
            self._flash.sync()
        except OSError:
            self._flash.sync()


def retrying_store(flash: CrashFlash) -> SlotStore:
    return SlotStore.open(Retrying(flash))


def retrying_keystore(scheme: Scheme, flash: CrashFlash) -> EmulatedKeystore:
    return EmulatedKeystore(scheme, Retrying(flash))


def without_faults(scene: Scene, make: Make) -> None:
    """A control works as long as nothing fails."""
    trial = Trial(bench(), scene, make)
    assert not trial.until_cut()
    heal(bench(), trial.session, scene.heals[0])


@pytest.mark.parametrize("name", ["the payer of a tap", "the payee of a tap", "the payee closes before a sync"])
def test_control_signing_before_writing_is_caught(name: str) -> None:
    """§12-2."""
    without_faults(scenes()[name], Make(wallet=KeystoreFirst))
    with pytest.raises(AssertionError, match="quarantined"):
        cut_everywhere(scenes()[name], Make(wallet=KeystoreFirst))


@pytest.mark.parametrize("make", [Make(store=retrying_store), Make(keystore=retrying_keystore)], ids=[STORE, KEYS])
def test_control_a_sync_that_is_called_again_and_believed_is_caught(make: Make) -> None:
    """§12-11."""
    scene = scenes()["the payee closes, heals and collects"]
    without_faults(scene, make)
    with pytest.raises((AssertionError, TapError)):
        fail_everywhere(scene, make)
