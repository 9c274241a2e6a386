"""A wallet with a PIN is bound, and shown, by its PIN: a thief who presses is not its owner (SPEC §23-5)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dualtap.errors import Code, TapError
from dualtap.ownerend import OwnerEnd
from dualtap.owning import Bond, Look, Wish
from dualtap.pin import Pin
from dualtap_apps.cli import run
from dualtap_devices.cues import Cue
from dualtap_devices.disk import opened
from dualtap_devices.owning import Press, Session, exchange, fresh, pressed, typed
from dualtap_devices.owning import run as serve
from dualtap_devices.passive import Waiting, attend
from dualtap_devices.wallet import Wallet
from dualtap_transports.loopback import pair
from tests.playbook import World

PATIENCE = 20.0


class Keys:
    """A keypad on which these are entered, one after the other; then the person gives up."""

    def __init__(self, *entered: bytes) -> None:
        self.left = list(entered)

    def enter(self, cue: Cue, tries: int) -> bytes | None:
        del cue, tries
        return self.left.pop(0) if self.left else None

    def tell(self, cue: Cue, tries: int) -> None:
        del cue, tries


class Street(World):
    """A card with a PIN, which a thief has, and the thief's phone."""

    def __init__(self) -> None:
        super().__init__("ed25519", seed="pin")
        self.thief, self.card = self.wallet(), self.wallet(fund=500)
        self.pin.set(b"4071")

    @property
    def pin(self) -> Pin:
        pin = self.card.keystore.pin
        assert pin is not None
        return pin

    def ends(self, wish: Wish) -> Session:
        return Session(self.thief, OwnerEnd(self.thief.book, wish, fresh(self.thief)), clock=lambda: 0.0)

    def waited(self, wish: Wish, press: Press) -> Code | int | None:
        """Come to the card where it waits; return how the owner's end ended."""
        near, far = pair()
        waiting = Waiting(clock=lambda: 0.0, press=press)
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(attend, self.card, far, waiting, PATIENCE)
            try:
                return serve(self.ends(wish), near, PATIENCE).code
            except TapError as error:
                return error.code
            finally:
                job.exception()


@pytest.mark.parametrize("wish", [Bond(), Look()])
def test_a_press_is_not_enough_where_there_is_a_pin(wish: Wish) -> None:
    """§23-5: whoever is bound is paid what it held, once he says that it is lost."""
    street = Street()
    assert street.waited(wish, pressed) is Code.DECLINED
    assert street.waited(wish, typed(street.card, None)) is Code.DECLINED
    assert street.waited(wish, typed(street.card, Keys(b"4072"))) is Code.DECLINED
    end = Session.of(street.card, None, fresh(street.card), clock=lambda: 0.0)
    one = street.ends(wish)
    exchange(one, end)
    assert one.told is not None
    assert one.told.code is Code.DECLINED
    assert street.card.book.ties.owner == b""


def test_its_pin_binds_it_and_pays_nothing_afterwards() -> None:
    """§23-5, §22-13: a wallet without a PIN needs a press, as before."""
    street = Street()
    assert street.waited(Bond(), typed(street.card, Keys(b"4072", b"4071"))) is None
    assert street.card.book.ties.owner == street.thief.book.key
    assert not street.pin.cell.verified
    plain: Wallet = street.wallet()
    street.card = plain
    assert street.waited(Bond(), typed(plain, None)) is None


def test_the_commands_ask_for_it(tmp_path: Path) -> None:
    """§23-5: `wallet bind` with both at hand; no terminal answers here."""
    town, phone, card, pin = (str(tmp_path / name) for name in ("town", "phone", "card", "pin"))
    Path(pin).write_text("4071\n")
    assert run(["scheme", "new", town, "--suite", "ed25519"]) == 0
    for name in (phone, card):
        assert run(["wallet", "new", name, "--scheme", town, "--carrier", "phone", "--name", "x"]) == 0
    assert run(["wallet", "pin", "set", card, "--pin-file", pin]) == 0
    (tmp_path / "wrong").write_text("4072\n")
    assert run(["wallet", "bind", phone, card, "--pin-file", str(tmp_path / "wrong")]) != 0
    assert run(["wallet", "bind", phone, card, "--pin-file", pin]) == 0
    with opened(Path(card)) as wallet:
        assert wallet.book.ties.number == 1
