"""What a device under test hands back is looked at before it is used: an adapter's mistake is told in one sentence.

What the device itself raises goes on unchanged, with a note of what it was asked.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import cast

from dualtap.errors import Code, TapError
from dualtap.issued import Carrier
from dualtap.suite import Suite
from dualtap_testing.candidate import Closes, Talker

FRAMES = 16
"""The most frames that a device may say at once: a tap has no turn of more than a few."""
_DEVICE = ("load", "tap")
_TALKER = ("begin", "receive", "stop")


class Unfit(TapError):
    """``BAD_INPUT``: what reaches the device is written wrongly; of the device itself nothing is known yet."""

    def __init__(self, why: str) -> None:
        """``why`` says what was given, and what it must be."""
        super().__init__(Code.BAD_INPUT, why)


@contextmanager
def asking(what: str) -> Generator[None]:
    """Add to whatever the device raises what it was asked to do."""
    try:
        yield
    except Unfit:
        raise
    except Exception as error:
        error.add_note(f"The device raised this when it was asked to {what}.")
        raise


def carrier_of(name: Carrier | str) -> Carrier:
    """Return the carrier of this name, in letters of any case; raise ``BAD_INPUT``."""
    if isinstance(name, Carrier):
        return name
    found = Carrier.__members__.get(str(name).upper())
    if found is None:
        names = ", ".join(item.lower() for item in Carrier.__members__)
        raise TapError(Code.BAD_INPUT, f"no carrier {name!r}: {names}")
    return found


def check_device(device: object, suite: Suite) -> None:
    """Raise ``BAD_INPUT`` if this cannot be a :class:`~dualtap_testing.candidate.Device` of this suite."""
    if isinstance(device, type):
        raise Unfit(f"{device.__name__} is a class: give the device, {device.__name__}(...)")
    _check_methods(device, _DEVICE, "the device")
    with asking("tell its public"):
        public = cast("object", getattr(device, "public", None))
    if callable(public):
        raise Unfit("the device's public is a method: make it a property")
    if not isinstance(public, bytes):
        raise Unfit(f"the device's public is {_named(public)}, and not the bytes of its key")
    if len(public) != suite.public_size:
        raise Unfit(f"the device's public has {len(public)} bytes; a key of suite {suite.name} has {suite.public_size}")
    try:
        suite.verifier(public)
    except TapError as error:
        raise Unfit(f"the device's public is no key of suite {suite.name}") from error


class Checked:
    """A :class:`~dualtap_testing.candidate.Talker` of the device, each answer of which is checked."""

    def __init__(self, talker: object) -> None:
        """``talker`` is what the device's ``tap`` returned; raise ``BAD_INPUT`` if it is none."""
        _check_methods(talker, _TALKER, "what tap() returned")
        self._talker = cast("Talker", talker)
        self._count = 0
        _ = self.ended

    @property
    def ended(self) -> bool:
        """Whether it takes no more frames."""
        ended: object = getattr(self._talker, "ended", None)
        if not isinstance(ended, bool):
            what = "a method: make it a property" if callable(ended) else f"{_named(ended)}, and not True or False"
            raise Unfit(f"ended of what tap() returned is {what}")
        return ended

    def begin(self) -> Sequence[bytes]:
        """Return what it says first."""
        with asking("begin a tap"):
            return _frames(self._talker.begin(), "begin()")

    def receive(self, frame: bytes) -> Sequence[bytes]:
        """Return what it says to a frame."""
        self._count += 1
        with asking(f"receive a frame of {len(frame)} bytes, number {self._count} that it got in this tap"):
            return _frames(self._talker.receive(frame), "receive()")

    def stop(self, code: Code) -> None:
        """Tell it that the link has gone."""
        with asking(f"stop ({code.name})"):
            self._talker.stop(code)

    def let_go(self) -> None:
        """Close our end of what it talks over, if it has any: the power was cut, and so nobody told it to stop."""
        if isinstance(self._talker, Closes):
            self._talker.close()


def _frames(given: object, by: str) -> list[bytes]:
    if isinstance(given, bytes | bytearray | str) or not isinstance(given, Iterable):
        raise Unfit(f"the device's {by} gave {_named(given)}, and not a list of frames, which may be empty")
    found: list[bytes] = []
    for frame in islice(cast("Iterable[object]", given), FRAMES + 1):
        if not isinstance(frame, bytes | bytearray):
            raise Unfit(f"a frame that the device's {by} gave is {_named(frame)}, and not bytes")
        found.append(bytes(frame))
    if len(found) > FRAMES:
        raise Unfit(f"the device's {by} gave more than {FRAMES} frames at once")
    return found


def _check_methods(thing: object, names: tuple[str, ...], what: str) -> None:
    missing = [name for name in names if not callable(getattr(thing, name, None))]
    if missing:
        raise Unfit(f"{what} is {_named(thing)}, which has no {' and no '.join(f'{name}()' for name in missing)}")


def _named(thing: object) -> str:
    return "None" if thing is None else type(thing).__name__
