"""Two processes tap over nfcpy's UDP device, through a proxy that drops, delays, doubles, garbles and tears."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.scenarios.test_kill import PARTS, Forked, Spawned, check_healed, purses
from tests.support.ether import Weather, carry
from tests.support.tapper import NEVER, play

_ = purses
LISTEN = "nfc:udp:127.0.0.1:0"
ACTIVATION = 10
"""Datagrams before the first frame of a tap: anticollision, RATS, SELECT."""
DATAGRAMS = 19
"""Datagrams of a whole tap, at least."""
TRIES = 3
"""Taps in the same weather, of which one must pay: the frame waiting time is real time."""


@dataclass(frozen=True)
class Ended:
    """How both sides ended, and the datagrams that were met."""

    reader: str
    card: str
    datagrams: list[str]


def tap(folder: Path, reads: str, weather: Weather) -> Ended:
    """Tap once in three processes: the card, the ether, the reader."""
    answers = PARTS[reads == "pay"]
    card = Forked(partial(play, folder / answers, answers, LISTEN, NEVER))
    port = int(card.said.readline().rpartition(":")[2])
    ether = Forked(partial(carry, port, weather))
    try:
        reader = Forked(partial(play, folder / reads, reads, ether.said.readline().strip(), NEVER))
        said = [child.said.readline().strip() for child in (reader, card)]
        assert [child.wait() for child in (reader, card)] == [0, 0]
    finally:
        os.kill(ether.pid, signal.SIGKILL)
        datagrams = ether.said.read().splitlines()
        assert ether.wait() == -signal.SIGKILL
    return Ended(said[0], said[1], datagrams)


def pays(purses: Path, where: Path, reads: str, weather: Weather) -> Ended:
    """Tap until it pays, at most ``TRIES`` times, each in a town of its own.

    A full machine may let a process wait longer than the frame waiting time: a second fault, not of the ether.
    """
    met: list[Ended] = []
    while len(met) < TRIES:
        folder = where / str(len(met))
        shutil.copytree(purses, folder)
        met.append(tap(folder, reads, weather))
        if {met[-1].reader, met[-1].card} == {"collected", "paid"}:
            check_healed(folder)
            return met[-1]
    raise AssertionError((weather, met))


@pytest.fixture
def folder(purses: Path, tmp_path: Path) -> Path:
    shutil.copytree(purses, tmp_path / "purses")
    return tmp_path / "purses"


@pytest.mark.parametrize("reads", PARTS)
def test_a_calm_tap_pays(folder: Path, reads: str) -> None:
    ended = tap(folder, reads, Weather())
    assert sorted((ended.reader, ended.card)) == ["collected", "paid"]
    assert len(ended.datagrams) >= DATAGRAMS
    check_healed(folder)


def test_two_pythons_of_their_own_pay(folder: Path) -> None:
    card = Spawned(folder / "pay", "pay", LISTEN, NEVER)
    reader = Spawned(folder / "collect", "collect", card.said.readline().strip(), NEVER)
    assert (reader.said.readline().strip(), card.said.readline().strip()) == ("collected", "paid")
    assert (reader.wait(), card.wait()) == (0, 0)
    check_healed(folder)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["drop", "delay", "double", "garble"])
def test_one_bad_datagram_costs_nothing(purses: Path, tmp_path: Path, kind: str) -> None:
    """§18-6, §18-7, §18-8: wherever it is, this very tap pays, and once."""
    at, met = 0, True
    while met:
        # Longer than the frame waiting time, so that the reader has asked again when the datagram comes.
        ended = pays(purses, tmp_path / str(at), PARTS[at % 2], Weather(kind, at, 0.1))
        met = at < len(ended.datagrams)
        at += 1
    assert at > DATAGRAMS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("reads", PARTS)
def test_a_tear_at_every_datagram_is_healed_by_a_second_tap(purses: Path, tmp_path: Path, reads: str) -> None:
    """§1-4: from the first frame on; before it nothing has been said."""
    at, ends = ACTIVATION, set[str]()
    while True:
        folder = tmp_path / str(at)
        shutil.copytree(purses, folder)
        ended = tap(folder, reads, Weather("tear", at))
        ends.add(ended.reader if reads == "pay" else ended.card)
        if at >= len(ended.datagrams):
            break
        tap(folder, reads, Weather())
        check_healed(folder)
        at += 1
    assert at >= DATAGRAMS
    assert ends == {"not_paid", "in_doubt", "paid"}
