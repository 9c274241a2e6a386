"""The simulator: equal seeds, equal digests, in any process; a promise that is broken is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from dualtap.errors import Code, TapError
from dualtap.statements import Scheme
from dualtap.suite import P256, SUITES, Verify
from dualtap_apps.cli import run as cli
from dualtap_testing.bag import Bag, Name
from dualtap_testing.reading import PAYEE, RECEIPT, TOKEN, TRANSFER, Coin, Piece, Word
from dualtap_testing.remembered import remembering
from dualtap_testing.simulate import Options, simulate
from dualtap_testing.stub import STUB
from dualtap_testing.world import LAST, World


def run(*arguments: str, hashing: str = "0") -> tuple[int, list[dict[str, object]]]:
    done = subprocess.run(
        [sys.executable, "-m", "dualtap_apps", "simulate", *arguments, "--json"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": hashing},
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_equal_seeds_have_equal_digests_in_any_process() -> None:
    """§1-1 to §1-7, by sample: `make simulate` runs more."""
    code, (begun, ended) = run("--seed", "5", "--taps", "60", hashing="1")
    assert code == 0
    assert begun["seed"] == 5
    assert begun["commit"]
    found = simulate(Options(5, 60))
    assert found.failure is None
    assert ended["digest"] == found.digest
    assert ended["taps"] == found.taps >= 60
    assert found.faults > 5
    for name in ("value_created", "value_lost", "framed", "missed", "unhealed"):
        assert ended[name] == 0
    assert simulate(Options(6, 60)).digest != found.digest


def test_real_signatures_keep_the_promises_too() -> None:
    found = simulate(Options(3, 40, "p256"))
    assert found.failure is None, found.failure


def test_a_fault_that_there_is_not_is_named() -> None:
    code, _ = run("--faults", "loss,plague")
    assert code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--twice", "--twice is for: --runs"),
        ("--singles", "--singles is for: --exhaustive"),
        ("--stride 4 --seed 3", "--stride is for: --exhaustive"),
        ("--runs 1-2 --tally kept.json", "--tally is for: --minutes"),
        ("--exhaustive --runs 1-2", "--runs and --exhaustive exclude each other"),
    ],
)
def test_what_would_not_be_heeded_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["simulate", *words.split()]) == 2
    assert said in capsys.readouterr().err


def test_the_stub_is_no_suite_of_a_real_scheme() -> None:
    assert STUB not in SUITES.values()
    assert STUB.number not in {suite.number for suite in SUITES.values()}
    key = STUB.signer(bytes(32)).public
    for suite in SUITES.values():
        with pytest.raises(TapError, match=Code.BAD_KEY.name):
            Scheme.of(STUB, suite.signer(bytes(32)).public)
        with pytest.raises(TapError, match=Code.BAD_KEY.name):
            suite.verifier(key)


def test_a_signature_is_verified_once_and_a_wrong_one_each_time() -> None:
    asked: list[bytes] = []

    def verifier(public: bytes) -> Verify:
        verify = P256.verifier(public)

        def counted(signature: bytes, digest: bytes) -> None:
            asked.append(digest)
            verify(signature, digest)

        return counted

    suite = remembering(replace(P256, verifier=verifier))
    signer, one, other = P256.signer(bytes(32)), bytes(32), b"\1" * 32
    for _ in range(2):
        suite.verifier(signer.public)(signer.sign(one), one)
        with pytest.raises(TapError, match=Code.BAD_SIGNATURE.name):
            suite.verifier(signer.public)(signer.sign(one), other)
        with pytest.raises(TapError, match=Code.BAD_KEY.name):
            suite.verifier(bytes(33))
    assert asked == [one, other, other]


def test_a_bag_that_grows_is_looked_at_again() -> None:
    """What follows from statements is kept until one more comes, or one is forgotten."""
    office, payer, payee, token = b"office", b"payer", b"payee", b"token"
    bag = Bag([office])
    bag.coin(token, Coin(payer, 10, 30, b"", 20, 3))

    def hands_over(named: bytes, start: int, end: int, request: bytes) -> Word:
        piece = Piece((token, TOKEN, 0), start, end)
        return Word(named, TRANSFER, payer, payee, (piece,), request, b"", b"", None, False, 1)

    assert [leaf.how for leaf in bag.leaves()] == ["held"]
    assert not bag.names()
    bag.word(hands_over(b"one", 0, 6, b"asked"))
    assert sorted((leaf.how, leaf.end - leaf.start) for leaf in bag.leaves()) == [("doubt", 6), ("held", 4)]
    bag.word(Word(b"yes", RECEIPT, payee, b"", (), b"asked", b"one", b"", None, False, 1))
    assert sorted((leaf.owner, leaf.end - leaf.start) for leaf in bag.leaves()) == [(payee, 6), (payer, 4)]
    bag.word(hands_over(b"two", 5, 8, b"more"))
    assert bag.names() == {Name(payer, "fork")}
    assert bag.overspent() == {token: 1}
    bag.forget(b"two")
    assert not bag.names()
    assert not bag.overspent()
    later = Word(b"three", TRANSFER, payee, payer, (Piece((b"four", PAYEE, 0), 6, 8),), b"", b"", b"", None, False, 1)
    bag.word(later)
    assert not bag.good(b"three")
    bag.word(hands_over(b"four", 6, 8, b"again"))
    assert bag.good(b"three")


def test_a_world_ends_no_later_than_its_wallets_certificates() -> None:
    """§7-9: its authorities' certificates are renewed until then, and dates believed."""
    world = World(STUB, "years")
    world.pass_time(LAST)
    for device in world.devices:
        world.sync(device, deposit=True)
        assert device.wallet.book.trust.epoch == LAST
    world.watch.check()
