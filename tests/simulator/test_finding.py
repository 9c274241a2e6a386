"""The simulator finds what is broken: seeded bugs, made short and replayed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dualtap.errors import TapError
from dualtap.forms import signed
from dualtap.keystore import Head, sign_with
from dualtap.records import Record
from dualtap.statements import CloseBody, Opening
from dualtap.walletend import WalletEnd
from dualtap_apps import simulating
from dualtap_apps.cli import run as cli
from dualtap_devices import slots
from dualtap_devices.flash import PowerCut
from dualtap_testing.acts import FAULTS
from dualtap_testing.bugs import BUGS
from dualtap_testing.devices import Power
from dualtap_testing.escapes import ESCAPES
from dualtap_testing.exhaustive import FLOWS, exhaust
from dualtap_testing.exhaustive_binds import TIES, exhaust_tie
from dualtap_testing.killing import SEEDED, hunt
from dualtap_testing.shrink import shrink
from dualtap_testing.simulate import ACTS, Found, Scenario, live, shortened
from dualtap_testing.slips import SLIPS
from dualtap_testing.stub import STUB
from dualtap_testing.torn import TornKeystore, TornStore
from dualtap_testing.watching import digest_of
from dualtap_testing.world import World

LIFE = Scenario(1, 0, "stub", FAULTS, tuple(range(ACTS)))


def test_a_failing_life_is_made_short_saved_and_replayed(tmp_path: Path) -> None:
    with BUGS["paid and restored"].planted():
        whole = Scenario(1, 0, "stub", FAULTS, tuple(range(40)), live(LIFE)[1])
        assert whole.what.startswith("promise 1")
        short = shortened(whole, tries=40)
        assert len(short.acts) <= 4
        path = tmp_path / "scenario.json"
        short.save(path, "a commit")
        assert Scenario.load(path) == short
        assert live(Scenario.load(path), every=1)[1] == short.what
    assert live(short, every=1)[1] == ""


@pytest.mark.parametrize("twice", [False, True])
def test_each_seed_that_fails_is_named_and_the_first_is_saved(
    twice: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(seeds: Iterable[int], *_: object) -> Iterator[Found]:
        for seed in seeds:
            failure = replace(LIFE, seed=seed, life=2, what=f"promise {seed}") if seed in {3, 5} else None
            yield Found(digest="00", failure=failure)

    def same(scenario: Scenario) -> Scenario:
        return scenario

    monkeypatch.setattr(simulating, "simulate_many", found)
    monkeypatch.setattr(simulating, "shortened", same)
    asked = ["simulate", "--runs", "1-6", "--save", str(tmp_path), *(["--twice"] if twice else [])]
    assert cli([*asked, "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["failures"] == 2
    assert told["failed"] == [{"seed": seed, "life": 2, "what": f"promise {seed}"} for seed in (3, 5)]
    assert [path.name for path in tmp_path.iterdir()] == ["scenario-3-2.json"]
    assert cli(asked) == 1
    said = capsys.readouterr().out
    assert "FAILED: promise 3" in said
    assert "also seed 5, life 2: promise 5" in said


def test_a_file_of_something_else_is_no_scenario(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"dualtap scenario": 2}')
    with pytest.raises(TapError, match="scenario"):
        Scenario.load(path)


def test_what_does_not_matter_is_left_out() -> None:
    assert shrink(range(200), lambda some: {7, 140} <= set(some)) == [7, 140]
    assert shrink([3], lambda some: 3 in some) == [3]


def test_every_bug_names_what_it_replaces() -> None:
    assert len(SLIPS) - sum(bool(slip.elsewhere) for slip in SLIPS.values()) >= 30
    assert len(ESCAPES) >= 25
    for bug in SEEDED.values():
        with bug.planted():
            pass
    assert live(Scenario(1, 0, "stub", FAULTS, tuple(range(5))))[1] == ""


def test_a_line_that_is_not_there_is_no_slip() -> None:
    with pytest.raises(LookupError, match="0 times"), SLIPS["salt of zeros"]._replace(old="no such line").planted():
        pass


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ("salt of zeros", "promise 6: two entries"),
        ("one key both ways", "the code failed: AssertionError two plaintexts"),
        ("no date is brought", "promise 4: a clean tap of two honest devices ends with EPOCH_AHEAD"),
        ("in doubt, says nobody", "promise 2: a payer that is in doubt is told that it has not paid"),
        ("former key gone", "promise 4: a former key goes while it can still be needed"),
        ("dated by the old date", "promise 3: an honest wallet is dated by a policy key whose certificate had ended"),
        ("does not ask", "promise 4: a payment is refused for an expiry, and the payer could show that"),
        ("hotlist ignored", "promise 1: an honest wallet accepted a payment that has a hand that is on its hotlist"),
    ],
)
def test_rules_of_single_wallets_and_sessions_are_watched(slip: str, said: str) -> None:
    assert hunt(slip, lives=6).what.startswith(said)


def test_single_faults_everywhere_in_a_tap_cost_nothing() -> None:
    """§1-2, §1-4: every frame lost, late, twice, torn, every write cut; `make simulate` has each byte of all flows."""
    found = exhaust(FLOWS[0], doubles=False, first_stride=16)
    assert not found.failures
    assert found.singles > 60
    assert found.states > 1


def test_a_debit_that_comes_late_is_found_by_a_power_cut() -> None:
    with BUGS["spent and kept"].planted():
        found = exhaust(FLOWS[0], doubles=False, first_stride=400)
    assert found.failures


def test_single_faults_everywhere_in_an_owners_session_cost_nothing() -> None:
    """§23-4, §23-6 to §23-8, §23-12: `make simulate` has each byte, all wishes, and pairs."""
    for flow in (TIES[0], TIES[-1]):
        found = exhaust_tie(flow, doubles=False, first_stride=48)
        assert not found.failures
        assert found.singles > 30
        assert found.states > 2


def _forgotten(end: WalletEnd, *records: Record) -> None:
    for record in records:
        end.book.apply(record)


def _anybody(end: WalletEnd) -> None:
    del end


@pytest.mark.parametrize(
    ("name", "broken", "said"),
    [
        ("_persist", _forgotten, "a card says another owner than its store"),
        ("_check_owner", _anybody, "a wallet binds itself to another while it has an owner"),
    ],
)
def test_a_card_that_forgets_or_changes_its_owner_is_found(
    name: str, broken: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WalletEnd, name, broken)
    found = exhaust_tie(TIES[0], doubles=False, first_stride=400)
    assert any(said in failure for failure in found.failures)


TORN = Scenario(8, 0, "stub", FAULTS, tuple(range(40)))
"""A life on flash, in which the power fails in the middle of writes."""


def _tears(world: World) -> int:
    chests = [chest for device in world.devices for chest in device.chests]
    stores = [chest.store.tears for chest in chests if isinstance(chest.store, TornStore)]
    chips = [chest.keystore.tears for chest in chests if isinstance(chest.keystore, TornKeystore)]
    return sum(one.count for one in (*stores, *chips))


def test_a_life_on_torn_flash_keeps_every_promise_and_is_the_same_again() -> None:
    """§12-4, §12-5, §1-2."""
    first, what = live(TORN)
    again, _ = live(TORN)
    assert not what
    assert _tears(first) >= 2
    assert digest_of(first) == digest_of(again)


def test_a_store_that_believes_what_was_torn_is_found_by_a_life(monkeypatch: pytest.MonkeyPatch) -> None:
    def unchecked(generation: int, sequence: int, payload: bytes) -> bytes:
        del generation, sequence, payload
        return bytes(32)

    monkeypatch.setattr(slots, "_digest", unchecked)
    assert any("STORE_FAILED" in live(replace(TORN, seed=seed, life=2))[1] for seed in range(4, 81, 4))


def test_a_chip_whose_counter_skips_before_it_ever_signed_comes_back() -> None:
    """§12-7."""
    scheme, power = World(STUB, "skips", (), torn=True).scheme, Power()
    chip = TornKeystore(scheme, bytes(32), power, "skips")
    close = signed(scheme.id, chip.public, CloseBody(bytes(32), 0, 1), Opening(bytes(16), 3, 4))
    chip.head = Head(3, b"")
    power.plan((0, False))
    with pytest.raises(PowerCut):
        sign_with(chip, close)
    power.plan(None)
    chip.power_up()
    assert sign_with(chip, close)
    assert chip.head == Head(4, close.id)
