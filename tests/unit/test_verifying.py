"""Asking a person for the PIN: what is said after each answer, and what giving up means."""

from __future__ import annotations

import pytest

from dualtap.statements import Scheme, Verification
from dualtap.suite import ED25519, sha256
from dualtap_devices.cues import PROMPTS, Cue, Moment
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.verifying import verified_as

SCHEME = Scheme.of(ED25519, ED25519.signer(sha256(b"root")).public)


class Noted:
    """A keypad on which these are entered, then the person gives up; it notes what was said, and the tries told."""

    def __init__(self, *entered: bytes) -> None:
        self.left, self.said = list(entered), list[tuple[Cue, int]]()

    def enter(self, cue: Cue, tries: int) -> bytes | None:
        self.said.append((cue, tries))
        return self.left.pop(0) if self.left else None

    def tell(self, cue: Cue, tries: int) -> None:
        self.said.append((cue, tries))


@pytest.mark.parametrize(
    ("entered", "said", "found"),
    [
        ((b"4071",), [(Moment.ENTER_PIN, 3)], Verification.PIN),
        ((), [(Moment.ENTER_PIN, 3)], None),
        ((b"40",), [(Moment.ENTER_PIN, 3), (Moment.NO_PIN, 3)], None),
        ((b"40", b"4071"), [(Moment.ENTER_PIN, 3), (Moment.NO_PIN, 3)], Verification.PIN),
        ((b"4072",), [(Moment.ENTER_PIN, 3), (Moment.PIN_WRONG, 2)], None),
        (
            (b"4072",) * 3,
            [(Moment.ENTER_PIN, 3), (Moment.PIN_WRONG, 2), (Moment.PIN_WRONG, 1), (Moment.PIN_BLOCKED, 0)],
            None,
        ),
    ],
)
def test_what_a_person_is_told(
    entered: tuple[bytes, ...], said: list[tuple[Moment, int]], found: Verification | None
) -> None:
    """§22-5: a try is used by what is a PIN alone, and who gives up is not told that it is blocked."""
    keystore = MemoryKeystore(SCHEME, sha256(b"a chip"))
    keystore.pin.set(b"4071")
    keypad = Noted(*entered)
    assert verified_as(Verification.PIN, keystore, keypad) is found
    assert keypad.said == [(PROMPTS[moment], tries) for moment, tries in said]
