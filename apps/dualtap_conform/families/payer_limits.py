"""Taps of a payer's card at the edges of its tier's sums, and with a user who is verified, or not (SPEC §22)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dualtap.statements import Verification
from dualtap_conform.recorder import Play, Recorder
from dualtap_conform.setup import set_up
from dualtap_conform.stage import TIER, TODAY, Stage
from dualtap_conform.vector import Vector
from dualtap_devices.wallet import Wallet

PRESENCE = Play(verification=Verification.PRESENCE)
PIN = Play(verification=Verification.PIN)
OVER, UNVERIFIED = "not_paid OVER_LIMIT", "not_paid UNVERIFIED"


def _card(stage: Stage, name: str, **tier: int) -> Recorder:
    policy = stage.policy(2, (TIER._replace(**tier),))
    return Recorder(stage, name, set_up(stage, "card", tokens=(stage.token("card"),), policy=policy))


def _till(stage: Stage, name: str = "pos", days: int = 0) -> Wallet:
    return set_up(stage, name, header=stage.header(TODAY + days)).wallet()


def _day(stage: Stage) -> Iterator[Vector]:
    scene = _card(stage, "day edge", day=1_250)
    till = _till(stage)
    scene.pay(till, scene.charge())
    scene.pay(till, scene.charge(1, "more"))
    comment = "As much as the tier allows for a day is paid, and one unit more is not."
    yield scene.vector("22-1", "OverLimit", comment, "paid", OVER)
    scene = _card(stage, "day above", day=1_249)
    scene.pay(_till(stage), scene.charge())
    yield scene.vector("22-1", "OverLimit", "One unit more than the tier allows for a day.", OVER)
    scene = _card(stage, "day next", day=1_250)
    till = _till(stage, days=1)
    for basket in ("one", "two", "three"):
        scene.pay(till, scene.charge(basket=basket))
    comment = "The Receipt brings the next day's date: the sum begins anew, once."
    yield scene.vector("22-1 22-2", "OverLimit HeaderSent", comment, "paid", "paid", OVER)
    scene = _card(stage, "day dead", day=1_250)
    till = _till(stage)
    scene.pay(till, scene.charge(), play=Play(heard=2, told=1))
    scene.pay(till, scene.charge())
    scene.pay(till, scene.charge(1, "more"))
    comment = "A Transfer is lost and closed: what is dead was not paid, and the day's sum is left for another."
    yield scene.vector("22-3", "OverLimit Torn", comment, "in_doubt LINK_LOST", "healed_restored", "paid", OVER)
    scene = _card(stage, "day doubt", day=1_250)
    scene.pay(_till(stage), scene.charge(), play=Play(heard=2, told=2))
    scene.pay(_till(stage, "other till"), scene.charge(1, "more"))
    comment = "What is in doubt counts."
    yield scene.vector("22-3", "OverLimit Torn", comment, "in_doubt LINK_LOST", OVER)


def _unverified(stage: Stage) -> Iterator[Vector]:
    scene = _card(stage, "unverified edge", unverified=1_250)
    till = _till(stage)
    for amount, basket, play in (
        (1_250, "one", PRESENCE), (1, "two", PRESENCE), (1, "three", PIN), (1_250, "four", PRESENCE),
        (1, "five", PRESENCE),
    ):  # fmt: skip
        scene.pay(till, scene.charge(amount, basket), play=play)
    comment = "As much as may be paid unverified; one unit more; that with the PIN; and as much again, but no more."
    yield scene.vector("22-5", "Verification", comment, "paid", UNVERIFIED, "paid", "paid", UNVERIFIED)
    scene = _card(stage, "unverified above", unverified=1_249)
    till = _till(stage)
    scene.pay(till, scene.charge(), play=PRESENCE)
    scene.pay(till, scene.charge(), play=PIN)
    comment = "One unit more than may be paid unverified: refused, and paid with the PIN."
    yield scene.vector("22-5", "Verification", comment, UNVERIFIED, "paid")
    scene = _card(stage, "unverified dead", unverified=1_250)
    till = _till(stage)
    scene.pay(till, scene.charge(), play=replace(PRESENCE, heard=2, told=1))
    scene.pay(till, scene.charge(), play=PRESENCE)
    comment = "A Transfer is lost and closed: it was not paid, and leaves what may be paid unverified."
    yield scene.vector("22-3", "Verification Torn", comment, "in_doubt LINK_LOST", "healed_restored", "paid")


def _asked(stage: Stage) -> Iterator[Vector]:
    for asked, given in (
        (Verification.PRESENCE, Verification.NONE), (Verification.PRESENCE, Verification.PRESENCE),
        (Verification.PIN, Verification.PRESENCE), (Verification.PIN, Verification.PIN),
        (Verification.PIN, Verification.DEVICE), (Verification.DEVICE, Verification.PIN),
        (Verification.DEVICE, Verification.DEVICE),
    ):  # fmt: skip
        scene = _card(stage, f"asked {asked.name} {given.name}")
        scene.pay(_till(stage), replace(scene.charge(), verification=asked), play=Play(verification=given))
        comment = f"The till asks for {asked.name}, and the user gives {given.name}."
        yield scene.vector("22-5 22-6", "Verification", comment, "paid" if given >= asked else UNVERIFIED)


def limited(stage: Stage) -> Iterator[Vector]:
    """Yield every case."""
    yield from _day(stage)
    yield from _unverified(stage)
    yield from _asked(stage)
