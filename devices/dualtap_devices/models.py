"""What a watch, a card, a phone and a till are: one composition each, and no code of their own."""

from __future__ import annotations

from dataclasses import dataclass

from dualtap import limits
from dualtap.issued import Carrier
from dualtap.limits import Profile


@dataclass(frozen=True, slots=True)
class Model:
    """A device: its carrier, what it can carry, whether it shows text, and what a sync does with value.

    ``deposits`` is set for a till, whose owner wants the money on an account; others keep what they hold.
    """

    carrier: Carrier
    profile: Profile
    screen: bool
    deposits: bool

    @property
    def store_size(self) -> int:
        """Bytes of flash for its log: two halves of the profile's log."""
        return 2 * self.profile.log


MODELS: dict[str, Model] = {
    "watch": Model(Carrier.WATCH, limits.FULL, screen=True, deposits=False),
    "card": Model(Carrier.CARD, limits.CARD, screen=False, deposits=False),
    "pos": Model(Carrier.POS, limits.FULL, screen=True, deposits=True),
    "phone": Model(Carrier.PHONE, limits.FULL, screen=True, deposits=False),
}
