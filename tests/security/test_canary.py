"""No secret leaves the chip: every one that a day makes is looked for in all that the day leaves behind.

With `make security` the day is lived in the other suite too, and beside an issuer's service (`heavy/test_service.py`).
"""

from __future__ import annotations

import base64
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from dualtap.context import Charge, Order, Pay
from dualtap.errors import Code, TapError
from dualtap.events import Effect
from dualtap.issued import Carrier
from dualtap.keystore import Keystore
from dualtap.suite import P256, SUITES
from dualtap_devices.disk import opened
from dualtap_devices.driver import Driver, exchange
from dualtap_devices.flash import CrashFlash
from dualtap_devices.keystore import SIZE, EmulatedKeystore
from dualtap_devices.slots import MemoryStore
from dualtap_devices.wallet import Wallet
from dualtap_testing.toyscheme import ToyScheme
from tests.support.tour import touring
from tests.support.watching import Watch, forms, leaks, watched

KINDS = {
    "a signing key", "an ephemeral key", "what two ephemeral keys agreed on", "a sealing key", "a generator's seed",
    "a PIN", "what a chip keeps of a PIN", "the key of a chip's PIN",
}  # fmt: skip


def test_a_day_leaves_no_secret_but_in_the_chips(tmp_path: Path) -> None:
    """§13-5, §17-5."""
    with watched() as watch, touring(tmp_path, "p256") as tour:
        tour.play()
    assert set(watch.secrets.values()) == KINDS
    most = max(len(set(forms(secret))) for secret in watch.secrets)
    sys.stdout.write(f"{len(watch.secrets)} secrets in up to {most} forms\n")  # `make security` shows it
    assert len(watch.secrets) > 50
    places = dict(tour.places())
    assert leaks(watch.secrets, places.items()) == set()
    assert {"what was printed", "anna/store.bin", "shop/shifts.log", "town/ledger.sqlite"} <= set(places)
    # The search finds what is there: each chip holds its key, and nothing of a session.
    chips = [(path.parent.name, path.read_bytes()) for path in tour.folder.rglob("keystore.bin")]
    kept = leaks(watch.secrets, chips)
    assert {f"a signing key in {name}" for name, _ in chips} <= kept
    assert not any(what.startswith(("a PIN in", "an ephemeral", "a sealing", "a generator")) for what in kept)


SECRET = bytes(range(200, 232))


@pytest.mark.parametrize("form", sorted(set(forms(SECRET))), ids=lambda form: form[:12].hex())
def test_control_a_secret_is_found_in_every_form(form: bytes) -> None:
    assert leaks({SECRET: "it"}, [("a log", b"key: " + form + b" end")]) == {"it in a log"}
    assert leaks({SECRET: "it"}, [("a log", b"key: " + form[:-4] + b" end")]) == set()


@pytest.mark.parametrize("offset", range(3))
def test_control_a_secret_is_found_within_base64(offset: int) -> None:
    text = base64.b64encode(bytes(30 + offset) + SECRET + b"more")
    assert leaks({SECRET: "it"}, [("a log", text)]) == {"it in a log"}


# What a machine shows of itself


class Pair:
    """A payer and a payee on emulated chips, and what was sent between them."""

    def __init__(self) -> None:
        self.scheme = ToyScheme(P256)
        self.wallets = [self._wallet(amount) for amount in (500, 0)]

    def _wallet(self, amount: int) -> Wallet:
        keystore: Keystore = EmulatedKeystore.create(self.scheme.scheme, CrashFlash(SIZE), os.urandom(32))
        assert keystore.pin is not None
        keystore.pin.set(b"918273645546")
        keystore.pin.verify(b"918273645546")
        return self.scheme.join(keystore, MemoryStore.open(1 << 22), Carrier.PHONE, amount)

    def drivers(self, watch: Callable[[Effect], None] = lambda effect: None) -> list[Driver]:
        """Return both sides of a tap."""
        orders: tuple[Order, Order] = (Pay(), Charge(100, "CNY", os.urandom(16)))
        made: list[Driver] = []
        for wallet, order in zip(self.wallets, orders, strict=True):
            ephemeral = P256.ephemeral(os.urandom(32))
            made.append(Driver(wallet, order, not made, ephemeral, os.urandom(32), watch=watch))
        return made


def reachable(root: object) -> Iterator[object]:
    """Yield each object of ours that hangs on another, and each container that is no object's own dictionary."""
    seen: set[int] = set()
    waiting = deque([root])
    while waiting:
        found = waiting.popleft()
        if id(found) in seen or isinstance(found, bytes | str | int | float | type | None):
            continue
        seen.add(id(found))
        ours = type(found).__module__.startswith("dualtap")
        if ours:
            yield found
            names = [*getattr(found, "__dict__", {}), *_slots(type(found))]
            waiting.extend(getattr(found, name) for name in names if hasattr(found, name))
        if isinstance(found, dict):
            waiting.extend(cast("dict[object, object]", found).items())
        elif isinstance(found, list | tuple | set | frozenset | deque):
            waiting.extend(cast("list[object]", found))


def _slots(kind: type) -> list[str]:
    return [name for base in kind.__mro__ for name in getattr(base, "__slots__", ()) if not name.startswith("__")]


def shown(root: object) -> list[tuple[str, bytes]]:
    """Return what everything on an object says of itself."""
    return [(type(found).__name__, f"{found!r} {found!s}".encode()) for found in reachable(root)]


def test_nothing_that_hangs_on_a_tap_shows_a_secret() -> None:
    """§17-5: reprs after every frame, of both machines and wallets."""
    with watched() as watch:
        pair = Pair()
        payer, payee = pair.drivers()
        waiting = deque([*((payer, frame) for frame in payee.begin()), *((payee, frame) for frame in payer.begin())])
        kinds: set[str] = set()
        while waiting:
            receiver, frame = waiting.popleft()
            sender = payee if receiver is payer else payer
            waiting.extend((sender, answer) for answer in receiver.receive(frame))
            said = shown([payer, payee])
            kinds |= {name for name, _ in said}
            assert leaks(watch.secrets, said) == set()
    assert payer.result.code is None
    assert {"Tap", "Context", "Channel", "Drbg", "EmulatedKeystore", "KeptPin", "PinCell", "SlotStore"} <= kinds
    assert {"a PIN", "a sealing key", "a signing key"} <= set(watch.secrets.values())


# What an error shows


class Stopped(Exception):
    """A step that fails as nobody planned."""


def failing(at: int) -> Callable[[Effect], None]:
    """Return what fails at an effect."""
    left = [at]

    def watch(effect: Effect) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Stopped(f"at {type(effect).__name__}")

    return watch


def test_an_exception_at_any_step_shows_no_secret() -> None:
    """§17-5: its traceback, its arguments and its notes, at each effect of both sides."""
    with watched() as watch:
        pair = Pair()
        stopped = 0
        for at in range(100):
            try:
                exchange(*pair.drivers(failing(at)))
            except Stopped as error:
                text = "".join(traceback.format_exception(error)) + repr(error.__dict__)
                assert leaks(watch.secrets, [("a traceback", text.encode())]) == set()
                stopped += 1
            else:
                break
            pair = Pair()
    assert stopped > 10


@pytest.mark.parametrize("place", ["sealer", "signer", "ephemeral"])
def test_what_a_broken_key_says_shows_no_secret(place: str) -> None:
    """§17-5: each constructor is given a key that it cannot use, and the error is read to its first cause."""
    for suite in SUITES.values():
        for size in (0, 5, 31, 47):
            key = bytes(range(100, 100 + size))
            try:
                made = getattr(suite, place)(key)
                if place == "sealer":
                    made.encrypt(b"", b"text", None)
            except Exception as error:
                text = "".join(traceback.format_exception(error)).encode()
                assert leaks({key: "it"} if size > 4 else {}, [("a traceback", text)]) == set()


def test_a_wrong_pin_is_in_no_error() -> None:
    """§17-5, §22-11."""
    pair = Pair()
    pin = pair.wallets[0].keystore.pin
    assert pin is not None
    watch = Watch()
    for digits in (b"111122223333", b"11112222333344445", b"1111222233x3", b"111122223334"):
        watch.secret("a PIN", digits)
        with pytest.raises(TapError) as caught:
            pin.verify(digits)
        text = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert leaks(watch.secrets, [("an error", text.encode())]) == set()
    assert pin.cell.tries == 1


def test_a_damaged_chip_shows_nothing(tmp_path: Path) -> None:
    """§17-5: a keystore that cannot be read says so, and not what it holds."""
    with watched() as watch, touring(tmp_path, "p256") as tour:
        tour.run("scheme", "new", "@town")
        tour.run("wallet", "new", "@anna", "--scheme", "@town", "--carrier", "watch", "--name", "Anna")
        path = tour.folder / "anna" / "keystore.bin"
        data = bytearray(path.read_bytes())
        (key,) = (secret for secret, what in watch.secrets.items() if what == "a signing key" and secret in data)
        copies = [at for at in range(len(data)) if data.startswith(key, at)]
        assert copies
        for at in copies:
            data[at - 1] ^= 1  # the record does not count any more, and the key still stands there
        path.write_bytes(data)
        with pytest.raises(TapError) as caught, opened(tour.folder / "anna"):
            pass
        tour.run("wallet", "show", "@anna", expect=1)
    assert caught.value.code is Code.STORE_FAILED
    text = "".join(traceback.format_exception(caught.value))
    assert leaks(watch.secrets, [("an error", text.encode()), ("what was printed", tour.output.text.encode())]) == set()
