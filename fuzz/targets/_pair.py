"""Two wallets with a past, each a list of records, so that a story may begin in the middle of one."""

from __future__ import annotations

from typing import NamedTuple

from dualtap import limits
from dualtap.context import Charge, Pay
from dualtap.events import Effect, Send
from dualtap.issued import Carrier
from dualtap.keystore import Head
from dualtap.limits import Profile
from dualtap_conform.setup import set_up
from dualtap_conform.stage import CURRENCY, TODAY, Stage
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.keystore import MemoryKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from targets._lenient import LENIENT

STORE = 1 << 22
NOW = float(TODAY * limits.EPOCH_SECONDS)
STAGE = Stage(LENIENT)
ANNA, BEN = "anna", "ben"
PRICE = 120


class Past(NamedTuple):
    """What a wallet's power left: its records, and what its keystore signed last."""

    name: str
    records: tuple[bytes, ...]
    head: Head
    profile: Profile

    def wallet(self) -> Wallet:
        """Open it."""
        keystore = MemoryKeystore(STAGE.scheme, STAGE.draw(f"key {self.name}"))
        keystore.head = self.head
        store = MemoryStore.open(STORE)
        store.append(self.records)
        return Wallet(STAGE.scheme, self.profile, keystore, store)


class _Cut(Exception):
    """The link is lost."""


def past_of(name: str, wallet: Wallet) -> Past:
    """Return what is left of an open wallet."""
    return Past(name, wallet.store.records, wallet.keystore.head, wallet.book.profile)


def _new(name: str, profile: Profile) -> Wallet:
    tokens = (STAGE.token(name, 1000), STAGE.token(name, 50, "small"))
    setup = set_up(STAGE, name, tokens=tokens, certificate=STAGE.certificate(name, carrier=Carrier.PHONE),
                   profile=profile)  # fmt: skip
    return setup.wallet()


def tap(payer: Wallet, payee: Wallet, price: int, seed: str, lost: int = 0) -> None:
    """Pay; with ``lost``, the link ends before the frame of this number, of both sides together."""
    said = 0

    def watch(effect: Effect) -> None:
        nonlocal said
        said += isinstance(effect, Send)
        if lost and said == lost:
            raise _Cut

    draw = STAGE.draw
    payee_driver = Driver(payee, Charge(price, CURRENCY, draw(f"basket {seed}", 16), person=True), False,
                          LENIENT.ephemeral(draw(f"payee {seed}")), draw(f"payee's {seed}"), watch=watch,
                          clock=lambda: NOW)  # fmt: skip
    payer_driver = Driver(payer, Pay(), True, LENIENT.ephemeral(draw(f"payer {seed}")), draw(f"payer's {seed}"),
                          watch=watch, clock=lambda: NOW)  # fmt: skip
    try:
        exchange(payer_driver, payee_driver)
    except _Cut:
        return


def _pasts() -> tuple[tuple[Past, Past], ...]:
    """Return pairs: fresh; with payments both ways; torn one way, and the other; and with a card."""
    found: list[tuple[Past, Past]] = []
    for profile in (limits.FULL, limits.CARD):
        for lost in (None, 0, 3, 4, -3, -4):
            anna, ben = _new(ANNA, profile), _new(BEN, limits.FULL)
            if lost is not None:
                tap(anna, ben, 70, "one")
                tap(ben, anna, 30, "two")
                payer, payee = (anna, ben) if lost >= 0 else (ben, anna)
                tap(payer, payee, 45, "three", abs(lost))
            found.append((past_of(ANNA, anna), past_of(BEN, ben)))
    return tuple(found)


PASTS = _pasts()
