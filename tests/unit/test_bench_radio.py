"""The modelled tap: a real one, whose operations are those that were asked for, and whose time is the models'."""

from __future__ import annotations

import json
import re

import pytest
from cryptography.exceptions import InvalidTag

from dualtap.errors import TapError
from dualtap.suite import P256, sha256
from dualtap_apps.cli import run
from dualtap_apps.metered import Meter, seen_by
from dualtap_apps.modelled import Trace, ble_tap, nfc_tap, trace
from dualtap_transports.apdu import SELECT
from dualtap_transports.timing.ble import Ble
from dualtap_transports.timing.cards import CARDS, Work
from dualtap_transports.timing.nfc import ACTIVATION_SECONDS, Nfc

CARD, TILL = CARDS["jcop4"], CARDS["phone"]
NOTHING = Work()


@pytest.fixture(scope="module")
def first() -> Trace:
    return trace()


def test_a_meter_counts_each_call_and_changes_no_result() -> None:
    meter = Meter()
    suite = meter.suite(P256)
    mine, plain = suite.ephemeral(b"1" * 32), P256.ephemeral(b"2" * 32)
    assert mine.exchange(plain.public) == plain.exchange(mine.public)
    assert meter.taken() == Work(keygen=1, ecdh=1, keys_decoded=1)
    signer = P256.signer(b"3" * 32)
    verify = suite.verifier(signer.public)
    verify(signer.sign(b"d" * 32), b"d" * 32)
    with pytest.raises(TapError):
        verify(bytes(64), b"d" * 32)
    assert meter.taken() == Work(verify=2, keys_decoded=1)
    sealer = suite.sealer(b"k" * 16)
    assert sealer.decrypt(b"n" * 12, sealer.encrypt(b"n" * 12, b"x" * 17, None), None) == b"x" * 17
    assert meter.taken() == Work(aes_keys=1, aes_blocks=12)


def test_hashing_is_counted_where_a_side_runs_and_nowhere_else() -> None:
    meter, before = Meter(), sha256(b"x")
    with meter.running():
        assert sha256(b"x") == before
        assert meter.work == Work(sha_blocks=1)
    sha256(b"x")
    assert meter.taken() == Work(sha_blocks=1)


def test_what_is_sealed_and_opened_is_seen_and_what_cannot_be_opened_is_not() -> None:
    seen = list[tuple[bytes, bytes]]()
    sealer = seen_by(P256, lambda frame, plain: seen.append((frame, plain))).sealer(b"k" * 16)
    frame = sealer.encrypt(b"n" * 12, b"hidden", None)
    with pytest.raises(InvalidTag):
        sealer.decrypt(b"m" * 12, frame, None)
    assert sealer.decrypt(b"n" * 12, frame, None) == b"hidden"
    assert seen == [(frame, b"hidden")] * 2


def test_a_cards_first_payment_is_one_signature_three_checks_and_one_agreement(first: Trace) -> None:
    work = first.work(payer=True)
    assert (work.sign, work.verify, work.ecdh, work.keygen, work.aes_keys) == (1, 3, 1, 0, 2)
    assert 40 < work.sha_blocks < 60, "what was hashed is not hashed again for a record that holds it"
    assert sum((turn.work for turn in first.turns), NOTHING) == work + first.work(payer=False)


def test_the_frames_are_those_of_a_tap_and_all_of_them_cross_in_apdus(first: Trace) -> None:
    assert len(first.frames) == 5
    assert 700 < sum(first.frames) <= 800
    assert first.exchanges[0].command == len(SELECT)
    carried = sum(item.command + item.answer for item in first.exchanges)
    assert sum(first.frames) < carried < sum(first.frames) + 40 * len(first.exchanges)
    assert [item.turn for item in first.exchanges if item.turn is not None] == [
        place for place, turn in enumerate(first.turns) if turn.payer
    ]


def test_the_split_is_the_whole_and_each_part_is_where_it_belongs(first: Trace) -> None:
    split = nfc_tap(first, Nfc(), CARD, TILL)
    assert split.crypto == pytest.approx(CARD.seconds(first.work(payer=True)) + TILL.seconds(first.work(payer=False)))
    assert split.radio == pytest.approx(ACTIVATION_SECONDS + sum(first.frames) * 9 * Nfc().etu)
    bare = sum(Nfc().apdu(item.command, item.answer) for item in first.exchanges) + ACTIVATION_SECONDS
    assert bare + split.crypto <= split.total < bare + split.crypto + 0.01


def test_faster_fields_shorter_intervals_and_fewer_hops_take_less(first: Trace) -> None:
    fields = [nfc_tap(first, Nfc(rate), CARD, TILL).total for rate in (106, 212, 424, 848)]
    assert fields == sorted(fields, reverse=True)
    links = [ble_tap(first, Ble(interval), CARD, TILL).total for interval in (0.0075, 0.015, 0.03, 0.05)]
    assert links == sorted(links)
    assert all(
        part >= 0 for part in (ble_tap(first, Ble(), CARD, TILL).protocol, nfc_tap(first, Nfc(), CARD, TILL).protocol)
    )
    second = trace(2)
    assert nfc_tap(second, Nfc(), CARD, TILL).total > fields[0]
    assert ble_tap(second, Ble(0.0075), CARD, TILL).total > links[0]
    assert nfc_tap(first, Nfc(), CARDS["javacard"], TILL).total > fields[0]


def test_the_command_prints_the_key_its_split_and_every_stack_here(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "radio", "--json"]) == 0
    out = json.loads(capfd.readouterr().out)
    assert out["nfc106_jcop4_ms"] == pytest.approx(sum(out["split_ms"].values()), abs=0.2)
    assert out["goal_ms"] == 300
    rounds = out["timed_round"]
    assert rounds["bytes"] == 56
    assert 0 < max(rounds["nfc_ms"].values()) < rounds["nfc_allowed_ms"] / 2
    assert 60 <= max(rounds["ble_ms"].values()) < rounds["ble_allowed_ms"]
    assert {row["carrier"] for row in out["modelled"]} == set(CARDS)
    stacks = {item["stack"]: item for item in out["stacks"]}
    assert set(stacks) == {"loopback", "tcp", "apdu", "nfc-udp", "pcsc-vpcd", "ble-bumble"}
    if "missing" in stacks["pcsc-vpcd"]:  # .ci/run asks for it
        assert re.search("pcsc", stacks.pop("pcsc-vpcd")["missing"])
    assert all(item["ms"] > 0 and 700 < item["bytes"] <= 850 for item in stacks.values()), stacks
    assert run(["bench", "radio"]) == 0
    assert "goal 300: " in capfd.readouterr().out
