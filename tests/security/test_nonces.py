"""No nonce is used twice, whatever cuts the power: of a sealing key, an ephemeral key pair, a signature, an opening.

The devices' suite is watched while the power goes at every operation of each story of ``test_power_cut``; `make
security` goes through more of what a cut may leave, in every story.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from dualtap import session
from dualtap.book import Book
from dualtap.context import Charge, Pay
from dualtap.errors import Code
from dualtap.issued import Carrier
from dualtap.keystore import Keystore
from dualtap.session import Channel
from dualtap.statements import Kind, Opening, Scheme, TapeOpening
from dualtap.suite import P256, Suite
from dualtap_devices.driver import Driver
from dualtap_devices.flash import CrashFlash, Faults, Keep
from dualtap_devices.keystore import EmulatedKeystore
from dualtap_devices.wallet import Wallet
from dualtap_testing.toyscheme import ToyScheme
from tests.scenarios.test_power_cut import KEYS, NAMES, STORE, scenes
from tests.support.devices import Bench, Make, Recorded, Scene, Signature, Trial, faults_of
from tests.support.watching import Watch, makers, watched

Survive: TypeAlias = Callable[[CrashFlash], Iterable[Keep]]


def all_or_none(flash: CrashFlash) -> Iterable[Keep]:
    """Yield what a cut leaves: nothing that was not synced, all of it, or all but the first piece."""
    pieces = frozenset(range(len(flash.pieces)))
    yield from (Keep(), Keep(pieces), Keep(pieces - {0}, 0, 60, garbage=True))[: 3 if pieces else 1]


class Observed(Bench):
    """A bench whose devices are watched: anew in each trial, for each repeats the same story."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()
        self.salts: dict[tuple[bytes, bytes], set[bytes]] = {}
        self.sealed = self.trials = 0
        self._plain: Suite = self.scheme.suite

    def trial(self, scene: Scene) -> Trial:
        """Return a new trial, after what was seen in the one before has been judged."""
        self.judge()
        self.watch, self.salts = Watch(), {}
        suite = replace(self._plain, **makers(self._plain, self.watch)._asdict())
        self.scheme = Scheme(suite, self.scheme.root, self.scheme.id)
        self.trials += 1
        return Trial(self, scene, Make(keystore=self.open_keystore))

    def open_keystore(self, scheme: Scheme, flash: CrashFlash) -> Keystore:
        return Salted(scheme, EmulatedKeystore(scheme, flash), self.salts)

    def judge(self) -> None:
        """Nothing was used twice."""
        assert self.watch.repeated() == []
        assert all(len(entries) == 1 for entries in self.salts.values()), "an opening's salt in two entries"
        self.sealed += len(self.watch.sealed)


class Salted(Recorded):
    """A keystore that remembers which entries it signed with each salt."""

    def __init__(self, scheme: Scheme, inner: Keystore, salts: dict[tuple[bytes, bytes], set[bytes]]) -> None:
        self.kept: set[Signature] = set()
        super().__init__(scheme, inner, self.kept)
        self._salts = salts

    def sign_tape(self, kind: Kind, public: bytes, opening: TapeOpening, private: bytes) -> bytes:
        before = set(self.kept)
        signature = super().sign_tape(kind, public, opening, private)
        for entry in self.kept - before:
            self._salts.setdefault((self.public, opening.salt), set()).add(entry.id)
        return signature


def cut_everywhere(bench: Observed, scene: Scene, survive: Survive) -> int:
    """Cut the power at each operation, go on from what may be left in each way to heal; return how many were cut."""
    cuts = 0
    for where in (STORE, KEYS):
        for operation in range(1000):
            first = bench.trial(scene)
            faults_of(where, Faults(operation), first.subject)
            if not first.until_cut():
                break
            cuts += 1
            flash = first.subject.store if where == STORE else first.subject.keys
            for at, keep in enumerate(survive(flash)):
                trial = bench.trial(scene)
                faults_of(where, Faults(operation), trial.subject)
                assert trial.until_cut()
                how = scene.heals[(operation + at) % len(scene.heals)]
                trial.finish(how, *((keep, None) if where == STORE else (None, keep)))
    bench.judge()
    return cuts


QUICK = ("the payer of a tap", "the payee closes, heals and collects")


@pytest.mark.parametrize("name", QUICK)
def test_no_nonce_is_used_twice_whatever_cuts_the_power(name: str) -> None:
    """§4.2-4, §6-2, §6-4, §3-8: over the tap that was cut, what opened again, and the tap that healed it."""
    assert name in NAMES
    bench = Observed()
    assert cut_everywhere(bench, scenes()[name], all_or_none) >= 14
    assert bench.sealed > 3 * bench.trials


def test_a_replay_is_answered_with_fresh_keys() -> None:
    """§6-4: whoever says again what it once heard is answered by other keys, however often it does."""
    with watched() as watch:
        scheme = ToyScheme(P256)
        card, till = scheme.memory_wallet(Carrier.CARD, 500), scheme.memory_wallet(Carrier.POS)
        heard: list[bytes] = []
        payer, payee = Driver.fresh(card, Pay(), True), charging(till)
        payee.begin()
        frames = payer.begin()
        while frames and not payee.ended:
            heard += frames
            answers = [answer for frame in frames for answer in payee.receive(frame)]
            frames = [said for answer in answers if not payer.ended for said in payer.receive(answer)]
        assert payer.result.code is None
        welcomes: set[bytes] = set()
        for _ in range(20):
            again = charging(till)
            again.begin()
            (welcome,) = again.receive(heard[0])
            welcomes.add(welcome)
            assert again.receive(heard[1]) == []
            assert again.result.code is Code.BAD_SEAL
    assert len(welcomes) == 20
    assert watch.repeated() == []


def charging(wallet: Wallet) -> Driver:
    return Driver.fresh(wallet, Charge(10, "CNY", secrets.token_bytes(16)), False)


# Controls


def stuck(self: Channel, plaintext: bytes) -> bytes:
    """Seal with the count of the first frame."""
    return self._seal.encrypt(bytes(12), plaintext, None)  # pyright: ignore[reportPrivateUsage]


def test_control_a_count_that_stands_still_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, peer = Observed(), Channel.open

    def opened(self: Channel, frame: bytes) -> bytes:
        self._opened = 0  # pyright: ignore[reportPrivateUsage]
        return peer(self, frame)

    monkeypatch.setattr(session.Channel, "seal", stuck)
    monkeypatch.setattr(session.Channel, "open", opened)
    with pytest.raises(AssertionError, match="nonce under one sealing key"):
        cut_everywhere(bench, scenes()["the payer of a tap"], all_or_none)


def test_control_a_seed_that_comes_again_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """§4.2-4."""
    place = Book.place

    def same(*given: Any) -> Opening:
        return place(*given)._replace(seed=bytes(16))

    monkeypatch.setattr(Book, "place", same)
    with pytest.raises(AssertionError, match="salt in two entries"):
        cut_everywhere(Observed(), scenes()["the payee closes, heals and collects"], all_or_none)


def test_control_a_pair_that_is_made_again_is_seen() -> None:
    watch = Watch()
    made = makers(P256, watch)
    first, second = made.ephemeral(b"1" * 32), made.ephemeral(b"2" * 32)
    first.exchange(second.public)
    assert watch.repeated() == []
    made.ephemeral(b"1" * 32).exchange(second.public)
    second.exchange(first.public)
    assert watch.repeated() == ["an ephemeral key pair", "a session's secret"]


def test_control_a_nonce_that_signs_twice_is_seen() -> None:
    watch = Watch()
    signer = makers(replace(P256, signer=Careless), watch).signer(b"3" * 32)
    signer.sign(b"4" * 32)
    signer.sign(b"4" * 32)
    assert watch.repeated() == []
    signer.sign(b"5" * 32)
    assert watch.repeated() == ["a signature's nonce"]


class Careless:
    """Signs everything with one nonce."""

    def __init__(self, secret: bytes) -> None:
        self.public = secret

    def sign(self, digest: bytes) -> bytes:
        return bytes(32) + digest
