"""What is written wrongly around a device is told in a sentence, and what the device raises is left as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis.stateful import invariant

from dualtap.context import Order
from dualtap.errors import Code
from dualtap_devices.driver import Driver
from dualtap_testing.candidate import Reference
from dualtap_testing.checked import Checked, Unfit, carrier_of, check_device
from dualtap_testing.counter import Broken, Counter
from dualtap_testing.machine import TapMachine, run_machine
from dualtap_testing.seeded import SeededScheme

ROOT = Path(__file__).parents[2]


class Talks:
    """Says what it is told to."""

    ended: Any = False

    def __init__(self, said: Any = ()) -> None:
        self.said = said

    def begin(self) -> Any:
        return self.said

    def receive(self, frame: bytes) -> Any:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def stop(self, code: Code) -> None:
        pass


def forever() -> Iterator[bytes]:
    while True:
        yield b"x"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"a frame", r"receive\(\) gave bytes, and not a list of frames"),
        (None, r"receive\(\) gave None, and not a list"),
        (5, r"receive\(\) gave int, and not a list"),
        (["a frame"], r"a frame that the device's receive\(\) gave is str, and not bytes"),
        (forever(), "more than 16 frames at once"),
    ],
)
def test_an_answer_that_is_no_list_of_frames_is_told(said: object, why: str) -> None:
    with pytest.raises(Unfit, match=why) as failed:
        Checked(Talks(said)).receive(b"")
    assert failed.value.code is Code.BAD_INPUT
    assert not hasattr(failed.value, "__notes__"), "the device raised nothing"


def test_frames_may_come_from_a_generator_and_be_bytearrays() -> None:
    assert Checked(Talks(bytearray(item) for item in (b"one", b"two"))).begin() == [b"one", b"two"]
    assert Checked(Talks()).receive(b"") == []


def test_what_the_device_raises_goes_on_and_says_where() -> None:
    talks = Checked(Talks(ZeroDivisionError("in my firmware")))
    with pytest.raises(ZeroDivisionError, match="in my firmware") as failed:
        talks.receive(b"12345")
    (note,) = failed.value.__notes__
    assert note.endswith("asked to receive a frame of 5 bytes, number 1 that it got in this tap.")


def test_what_cannot_talk_is_told() -> None:
    with pytest.raises(Unfit, match=r"what tap\(\) returned is None, which has no begin\(\)"):
        Checked(None)
    talks = Talks()
    talks.ended = lambda: False
    with pytest.raises(Unfit, match=r"ended of what .* is a method: make it a property"):
        Checked(talks)
    talks.ended = 0
    with pytest.raises(Unfit, match="is int, and not True or False"):
        Checked(talks)


@pytest.mark.parametrize(
    ("public", "why"),
    [
        ("00" * 32, "public is str"),
        (b"short", "public has 5 bytes; a key of suite ed25519 has 32"),
        (lambda: b"", "public is a method"),
        (b"\xff" * 32, "no key of suite ed25519"),
    ],
)
def test_a_public_that_is_no_key_is_told(public: object, why: str) -> None:
    scheme = SeededScheme("checked", "ed25519")

    device = type("Device", (Reference,), {"public": public})
    with pytest.raises(Unfit, match=why):
        Counter(scheme, device(scheme))


def test_what_is_no_device_is_told() -> None:
    suite = SeededScheme("checked", "ed25519").suite
    with pytest.raises(Unfit, match=r"the device is None, which has no load\(\) and no tap\(\)"):
        check_device(None, suite)
    with pytest.raises(Unfit, match="Reference is a class"):
        check_device(Reference, suite)
    with pytest.raises(Exception, match="no carrier 'toaster': watch, card"):
        carrier_of("toaster")
    with pytest.raises(Exception, match="no suite 'rsa': p256, ed25519"):
        SeededScheme(1, "rsa")


def test_a_device_that_cannot_be_made_is_told_as_it_is() -> None:
    class NoDevice(TapMachine):
        def device(self, scheme: SeededScheme) -> Reference:
            raise RuntimeError("nothing on the bench")

    class NoPart(TapMachine):
        pays = collects = False

    with pytest.raises(RuntimeError, match="nothing on the bench"):
        run_machine(NoDevice)
    with pytest.raises(Unfit, match="NoPart neither pays nor collects"):
        run_machine(NoPart)
    with pytest.raises(Unfit, match="your subclass of TapMachine itself"):
        run_machine(cast("Any", Reference))


def test_pytest_fail_and_an_invariant_of_ones_own_are_made_short_too() -> None:
    class Fails(TapMachine):
        suite, carrier, collects = "ed25519", "watch", False

        @invariant()
        def never_pays(self) -> None:
            if self.counter.taps:
                pytest.fail("it tapped")

    with pytest.raises(pytest.fail.Exception, match="it tapped") as failed:
        run_machine(Fails, stories=5)
    assert failed.value.__notes__[0] == "The shortest story that was found:"
    assert len(failed.value.__notes__) == 4, failed.value.__notes__


def test_what_our_side_says_of_a_device_that_talks_nonsense() -> None:
    class Nonsense(Reference):
        def tap(self, order: Order, initiator: bool) -> Driver:
            driver = super().tap(order, initiator)
            driver.receive = lambda frame: [b"\xff" * 100]  # type: ignore[method-assign]
            return driver

    scheme = SeededScheme("checked", "ed25519")
    story = Counter(scheme, Nonsense(scheme))
    story.fund(1)
    with pytest.raises(Broken, match=r"cannot pay 1: for our side the tap ended as not paid \(BAD_SEAL\)"):
        story.spend_all()


def test_every_package_tells_type_checkers_that_it_has_types() -> None:
    packages = [path.parent for path in ROOT.glob("*/dualtap*/__init__.py")]
    assert len(packages) > 5
    assert not [path.name for path in packages if not (path / "py.typed").exists()]
