"""The setup by which a device that is to be tested is made ready: a wallet of the published scheme."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dualtap.errors import Code, TapError
from dualtap.issued import Condition, Role, Token
from dualtap.limits import Profile
from dualtap.states import Part
from dualtap.suite import Suite
from dualtap_conform.paths import read_json
from dualtap_conform.setup import Object, Setup, set_up
from dualtap_conform.stage import TIER, TODAY, Stage

PAYEE_LOG = 256 * 1024
"""Least bytes of log of a payee: some two hundred outcomes of a run go into it. For a payer its own is enough."""
UNTIMED = 20_000
"""Minor units that a device under test pays without a timed round."""
UNKNOWN_CONDITION = Condition(2**32 - 1, b"")


def personalise(suite: Suite, part: Part, profile: Profile) -> Setup:
    """Return the setup of a device under test; a payer is given tokens, each currency for checks of its own.

    Payer and payee have keys of their own, so that two devices made so can pay each other.
    """
    stage = Stage(suite)
    name = f"{part.value} under test"
    role = Role.PAY if part is Part.PAYER else Role.COLLECT
    return set_up(
        stage,
        name,
        certificate=stage.certificate(name, role=role),
        policy=stage.policy(tiers=(TIER._replace(untimed=UNTIMED),), hotlist=(stage.key("hotlisted"),)),
        tokens=tuple(_tokens(stage, name)) if part is Part.PAYER else (),
        profile=profile if part is Part.PAYER else replace(profile, log=max(profile.log, PAYEE_LOG)),
    )


def to_file(setup: Setup, part: Part) -> Object:
    """Return what stands in the file of a device under test: its part beside the setup."""
    return {"part": part.value, **setup.to_json()}


def read_file(path: Path, part: str = "") -> tuple[Setup, Part]:
    """Return the setup in a file and its part; ``part`` is for a setup that does not say it, as a vector's.

    Raises ``BAD_INPUT`` if the file cannot be used, or is for the other part.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise TapError(Code.BAD_INPUT, f"{path}: not a setup")
    said = value.get("part", part)
    if not said:
        raise TapError(Code.BAD_INPUT, f"{path}: does not say its part: give it by --part")
    if said not in {item.value for item in Part}:
        raise TapError(Code.BAD_INPUT, f"{path}: no part {said!r}")
    if part and said != part:
        raise TapError(Code.BAD_INPUT, f"{path}: is for a {said}, not for a {part}: leave out --part")
    return Setup.from_json(value), Part(said)


def check_overwrite(path: Path) -> None:
    """Raise ``BAD_INPUT`` if a file stands there that is not one of :func:`to_file`'s."""
    if not path.is_file():
        return
    try:
        read_file(path)
    except TapError:
        raise TapError(Code.BAD_INPUT, f"{path} is there already, and is no setup: it is not overwritten") from None


def _tokens(stage: Stage, name: str) -> list[Token]:
    def token(amount: int, serial: str, currency: str = "CNY", **more: Any) -> Token:
        return stage.token(name, amount, serial, currency=currency, **more)

    return [
        token(100_000, "most"),
        token(20_000, "more"),
        token(500, "restored", "EUR"),
        token(600, "restored too often", "USD"),
        token(700, "expired", "GBP", spend_by=TODAY - 1),
        stage.token(name, 800, "bound", currency="JPY", conditions=(UNKNOWN_CONDITION,)),
        token(900, "in doubt", "AUD"),
        token(300, "half", "SGD"),
        token(301, "other half", "SGD"),
        token(400, "received otherwise", "NZD"),
        token(200, "last hop", "CHF", hops=0),
    ]
