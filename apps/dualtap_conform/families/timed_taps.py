"""Taps with a timed round (SPEC §24): near, far, slow at first, and payees that answer amiss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dualtap import limits
from dualtap.errors import Code
from dualtap.issued import Tier
from dualtap.suite import SUITES
from dualtap.wire import PingMessage, PongMessage, RefuseMessage
from dualtap_conform.families.payee_taps import till
from dualtap_conform.families.payer_taps import flipped, pos
from dualtap_conform.recorder import Play, Recorder, Said
from dualtap_conform.setup import Setup, set_up
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector

UNTIMED = 1_000
"""Minor units that these cards pay without a timed round."""
WITHIN = 100
"""Milliseconds that the link of these taps allows."""
LONG = WITHIN + 1


def card(stage: Stage) -> Setup:
    """Return a payer's card with 100.00, of which it pays 10.00 at once without a timed round."""
    policy = stage.policy(2, (Tier(1, 1_000_000, 1_000, 1_000, 1_000_000_000, untimed=UNTIMED),))
    return set_up(stage, "card", tokens=(stage.token("card"),), policy=policy, profile=limits.CARD)


def _measured(stage: Stage) -> Iterator[Vector]:
    for initiator in (False, True):
        scene = Recorder(stage, f"near {initiator}", card(stage), WITHIN)
        scene.pay(pos(stage), scene.charge(), initiator=initiator, play=Play(pongs=(WITHIN - 1,)))
        begins = "begins" if initiator else "answers"
        comment = f"The card {begins}, and the Pong comes in time: it pays."
        yield scene.vector("24-1 24-2 24-3", "Untimed Basic", comment, "paid")
    scene = Recorder(stage, "at the cap", card(stage), WITHIN)
    scene.pay(pos(stage), scene.charge(UNTIMED))
    yield scene.vector("24-1", "Untimed Basic", "As much as is paid without a timed round: there is no Ping.", "paid")
    scene = Recorder(stage, "second", card(stage), WITHIN)
    scene.pay(pos(stage), scene.charge(), play=Play(pongs=(LONG, LONG, LONG, 5)))
    yield scene.vector("24-4", "Rounds", "The fourth Pong is the first that comes in time: that is enough.", "paid")
    scene = Recorder(stage, "far", card(stage), WITHIN)
    scene.pay(pos(stage), scene.charge(), play=Play(pongs=(LONG,) * limits.PINGS))
    scene.pay(pos(stage), scene.charge(UNTIMED, "less"), play=Play())
    comment = "Every Pong comes too late: nothing is signed; up to the cap it pays."
    yield scene.vector("24-3 24-4", "Far Rounds", comment, "not_paid TOO_FAR", "paid")


def _unmeasured(stage: Stage) -> Iterator[Vector]:
    scene = Recorder(stage, "no threshold", card(stage))
    scene.pay(pos(stage), scene.charge())
    scene.pay(pos(stage), scene.charge(UNTIMED, "less"))
    comment = "A link that tells nothing of distance: no more than the cap."
    yield scene.vector("24-5", "Untimed", comment, "not_paid OVER_LIMIT", "paid")

    def one(flag: str, comment: str, end: str, change: Callable[[PongMessage], Said]) -> Vector:
        scene = Recorder(stage, comment, card(stage), WITHIN)
        play = Play(alter=lambda said: change(said) if isinstance(said, PongMessage) else said)
        scene.pay(pos(stage), scene.charge(), play=play)
        return scene.vector("24-1 24-4", flag, comment, f"not_paid {end}")

    yield one("Pong", "A Pong of other bytes.", "UNEXPECTED_MESSAGE", lambda m: m._replace(nonce=flipped(m.nonce)))
    yield one("Pong", "A payee that knows no Ping refuses it.", "UNKNOWN_MESSAGE",
              lambda m: RefuseMessage(int(Code.UNKNOWN_MESSAGE)))  # fmt: skip
    scene = Recorder(stage, "silent", card(stage), WITHIN)
    scene.pay(pos(stage), scene.charge(), play=Play(heard=2))
    yield scene.vector("24-1", "Pong", "A payee that never answers the Ping.", "not_paid LINK_LOST")


def _answered(stage: Stage) -> Iterator[Vector]:
    """What a till does."""
    scene = Recorder(stage, "pong", till(stage), WITHIN)
    scene.collect(card(stage).wallet(), scene.charge(), play=Play(pongs=(LONG,) * 3))
    yield scene.vector("24-2", "Ping Basic", "Four Pings are answered, and the Transfer comes.", "collected")
    scene = Recorder(stage, "flood", till(stage), WITHIN)
    slow = (LONG,) * limits.PINGS
    more = Play(alter=lambda said: PingMessage(bytes(8)) if isinstance(said, RefuseMessage) else said, pongs=slow)
    scene.collect(card(stage).wallet(), scene.charge(), play=more)
    yield scene.vector("24-6", "Ping", "A fifth Ping is refused.", "not_paid UNEXPECTED_MESSAGE")


def vectors() -> Iterator[Vector]:
    """Yield every tap with a timed round, for both suites."""
    for suite in SUITES.values():
        stage = Stage(suite)
        for family in (_measured, _unmeasured, _answered):
            yield from family(stage)
