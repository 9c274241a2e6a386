"""``pins.jsonl``: what a keystore with a PIN answers, and what it signs of its user (SPEC §22)."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.suite import SUITES
from dualtap_conform.families.keystore import Chip
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector

RIGHT, WRONG, OTHER, CODE = "1234", "1235", "567890", "12345678"
SAYS_PIN, SAYS_PRESENCE = b"\2", b"\1"
RECEIPT = 33


def _claims(stage: Stage) -> Iterator[Vector]:
    def chip() -> Chip:
        return Chip(stage, "wallet")

    made = chip().pin("set", RIGHT).entry(0, 1, shown=SAYS_PIN, refused="UNVERIFIED")
    yield made.vector(("22-13", "22-15"), "Verification", "to set a PIN is not to give it")
    made = chip().pin("set", RIGHT).pin("verify", RIGHT, verified=True).entry(0, 1, shown=SAYS_PIN)
    made.entry(0, 1, shown=SAYS_PIN).entry(1, 2, what="b", shown=SAYS_PIN, refused="UNVERIFIED")
    comment = "after the PIN one transfer may say so, and be signed again, and no other"
    yield made.vector(("22-13",), "Verification", comment)
    made = chip().pin("set", RIGHT).pin("verify", RIGHT, verified=True).entry(0, 1, shown=SAYS_PRESENCE)
    made.entry(1, 2, what="b", shown=SAYS_PIN, refused="UNVERIFIED")
    yield made.vector(("22-13",), "Verification", "any transfer takes the PIN back, whatever it says")
    made = chip().pin("set", RIGHT).pin("verify", RIGHT, verified=True).entry(0, 1, RECEIPT, shown=b"\0")
    made.entry(1, 2, what="b", shown=SAYS_PIN)
    yield made.vector(("22-13",), "Verification", "a Receipt leaves the PIN given")
    made = (
        chip()
        .pin("set", RIGHT)
        .pin("verify", RIGHT, verified=True)
        .pin("forget")
        .entry(0, 1, shown=SAYS_PIN, refused="UNVERIFIED")
    )
    yield made.vector(("22-13", "22-14"), "Verification", "what is forgotten is not given")
    made = chip().pin("set", RIGHT).pin("verify", RIGHT, verified=True).pin("verify", WRONG, error="PIN_WRONG")
    made.entry(0, 1, shown=SAYS_PIN, refused="UNVERIFIED")
    yield made.vector(("22-11", "22-13"), "Verification", "a wrong PIN takes back a right one")


def _tries(stage: Stage) -> Iterator[Vector]:
    def chip() -> Chip:
        return Chip(stage, "wallet").pin("set", RIGHT)

    made = chip().pin("verify", WRONG, error="PIN_WRONG").pin("verify", WRONG, error="PIN_WRONG")
    made.pin("verify", RIGHT, verified=True).pin("verify", WRONG, error="PIN_WRONG").pin("verify", RIGHT, verified=True)
    yield made.vector(("22-11",), "Pin", "the right PIN gives back all tries")
    made = chip()
    for error in ("PIN_WRONG", "PIN_WRONG", "PIN_BLOCKED", "PIN_BLOCKED"):
        made.pin("verify", WRONG, error=error)
    made.pin("verify", RIGHT, error="PIN_BLOCKED").pin("change", RIGHT, OTHER, error="PIN_BLOCKED")
    yield made.vector(("22-11",), "Pin", "after the last try not even the right PIN is taken")
    made = chip()
    for text in ("123", "1234567890123", "12a4", "", "１２３４"):
        made.pin("verify", text, error="BAD_INPUT")
    made.pin("verify", "12345", error="PIN_WRONG").pin("verify", RIGHT, verified=True)
    yield made.vector(("22-10",), "Pin", "what is no PIN uses no try")
    made = chip().pin("set", OTHER, error="KEYSTORE_REFUSED").pin("verify", RIGHT, verified=True)
    yield made.vector(("22-15",), "Pin", "a PIN is not set again")


def _changed(stage: Stage) -> Iterator[Vector]:
    def chip() -> Chip:
        return Chip(stage, "wallet").pin("personalise", CODE).pin("set", RIGHT)

    made = chip().pin("change", WRONG, OTHER, error="PIN_WRONG").pin("change", RIGHT, OTHER, verified=True)
    made.pin("verify", RIGHT, error="PIN_WRONG").pin("verify", OTHER, verified=True)
    yield made.vector(("22-15",), "Pin", "a PIN is changed for the old one")
    made = chip().pin("verify", RIGHT, verified=True).pin("unblock", CODE, OTHER).pin("verify", OTHER, verified=True)
    yield made.vector(("22-15",), "Pin", "the unblocking code sets another PIN, and verifies nobody")
    made = chip()
    for _ in range(9):
        made.pin("unblock", "87654321", OTHER, error="PIN_WRONG")
    made.pin("unblock", CODE, OTHER).pin("unblock", "87654321", OTHER, error="PIN_WRONG")
    yield made.vector(("22-15",), "Pin", "the last try for the code gives back all of them")
    made = chip()
    for _ in range(10):
        made.pin("unblock", "87654321", OTHER, error="PIN_WRONG")
    made.pin("unblock", CODE, OTHER, error="PIN_BLOCKED").pin("verify", RIGHT, verified=True)
    yield made.vector(("22-15",), "Pin", "ten wrong codes use up the code, and not the PIN")
    made = Chip(stage, "wallet").pin("set", RIGHT).pin("personalise", CODE, error="KEYSTORE_REFUSED")
    made.pin("unblock", CODE, OTHER, error="PIN_BLOCKED")
    yield made.vector(("22-15",), "Pin", "no code is kept once there is a PIN")


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    for suite in SUITES.values():
        stage = Stage(suite)
        for part in (_claims, _tries, _changed):
            yield from part(stage)
