"""The setup by which a device that is to be tested is made ready: a wallet of the published scheme."""

from __future__ import annotations

from dataclasses import replace

from dualtap.limits import Profile
from dualtap.statements import Condition, Role, Token
from dualtap.states import Part
from dualtap.suite import Suite
from dualtap_conform.setup import Setup, set_up
from dualtap_conform.stage import TODAY, Stage

NAME = "device under test"
LOG = 256 * 1024
"""Bytes of log: all checks are made without a sync."""
UNKNOWN_CONDITION = Condition(2**32 - 1, b"")


def personalise(suite: Suite, part: Part, profile: Profile) -> Setup:
    """Return the setup of a device under test; a payer is given tokens, each currency for checks of its own."""
    stage = Stage(suite)
    role = Role.PAY if part is Part.PAYER else Role.COLLECT
    return set_up(
        stage,
        NAME,
        certificate=stage.certificate(NAME, role=role),
        policy=stage.policy(hotlist=(stage.key("hotlisted"),)),
        tokens=tuple(_tokens(stage)) if part is Part.PAYER else (),
        profile=replace(profile, log=max(profile.log, LOG)),
    )


def _tokens(stage: Stage) -> list[Token]:
    def token(amount: int, serial: str, currency: str = "CNY", **more: int) -> Token:
        return stage.token(NAME, amount, serial, currency=currency, **more)  # type: ignore[arg-type]

    return [
        token(100_000, "most"),
        token(20_000, "more"),
        token(500, "restored", "EUR"),
        token(600, "restored too often", "USD"),
        token(700, "expired", "GBP", spend_by=TODAY - 1),
        stage.token(NAME, 800, "bound", currency="JPY", conditions=(UNKNOWN_CONDITION,)),
        token(900, "in doubt", "AUD"),
        token(300, "half", "SGD"),
        token(301, "other half", "SGD"),
        token(400, "received otherwise", "NZD"),
        token(200, "last hop", "CHF", hops=0),
    ]
