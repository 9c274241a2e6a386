"""``bridge``: a phone or till between two devices that only listen."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from dualtap import wire
from dualtap.call import Call, Charged, Introduction, decode_call, encode_call, is_call
from dualtap.errors import Code, TapError
from dualtap.session import NO_HANDOVER
from dualtap.wire import Want
from dualtap_apps.exits import Exit
from dualtap_apps.hosting import host
from dualtap_apps.linking import Met, must_compare, opened_door, reach, saying
from dualtap_apps.money import parse, show
from dualtap_apps.output import emit, note
from dualtap_apps.taps import basket_of
from dualtap_apps.traffic import TRAFFIC
from dualtap_devices.bridge import Bridged, bridge
from dualtap_devices.frames import wants
from dualtap_transports.link import Link

JOINED = 3
"""Frames after which both devices have spoken and one of them has sealed what it said."""


class Watched:
    """``link``, which it owns, the frames that a bridge hands to it told of: all that a bridge can read of them."""

    def __init__(self, link: Link, name: str) -> None:
        self._link, self._name = link, name
        self.receive, self.close = link.receive, link.close

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        """Tell of a frame and hand it on."""
        note(f"to {self._name} {len(frame):>5} bytes  {_read(frame)}")
        self._link.send(frame)


def _read(frame: bytes) -> str:
    readers: tuple[tuple[str, Callable[[bytes], Call | wire.Hello | wire.Welcome]], ...] = (
        ("Call", decode_call), ("Hello", wire.decode_hello), ("Welcome", wire.decode_welcome),
    )  # fmt: skip
    for name, decode in readers:
        try:
            return f"{name} ({wants(decode(frame).want)})"
        except TapError:
            continue
    return "unreadable Call" if is_call(frame) else "sealed"


def bridge_once(
    places: tuple[str, ...], at: str | None, amount: str | None, currency: str, basket: str | None, timeout: float,
    as_json: bool, log_level: str = "", own: bool = False,
) -> Exit:  # fmt: skip
    """Hand on one session between two devices, one of which is called to begin if both only listen."""
    if len(places) != (1 if at else 2):
        raise TapError(Code.BAD_INPUT, "a bridge has two ends: two --on, or one --on and one --at")
    if amount is None and basket is not None:
        raise TapError(Code.BAD_INPUT, "a basket is what an amount is charged for: name both or neither")
    if own and (at or amount):
        raise TapError(Code.BAD_INPUT, "--own asks the first of two devices that wait, as an owner, and for no amount")
    minor = None if amount is None else parse(amount, currency)
    name, identity = basket_of(basket)
    if at is not None:
        if minor is not None:
            raise TapError(Code.BAD_INPUT, "whoever comes to --at begins, and says what it wants: name no amount")
        if must_compare(at, listens=True):
            raise TapError(Code.BAD_INPUT, f"at {at} a name names the key that answers; a bridge has none: use tcp:")
        known = _hosted(at, places[0], timeout, log_level)
    else:
        note(f"Ready: {_said(minor, currency, name)}, from {places[0]} to {places[1]}")
        charge = None if minor is None else Charged(minor, currency, identity, 0)
        known = _called(places, charge, timeout, log_level, own=own)
    ended = known.frames > 1 and known.ended is Code.LINK_LOST
    fields = {"result": "bridged", "frames": known.frames, "bytes": known.size, "ended": known.ended.name}
    again = f"; if it was torn, bridge again with --basket {name}" if minor is not None else ""
    emit(as_json, fields, f"Handed on {known.frames} frames, {known.size} bytes: the devices say how it ended{again}")
    return Exit.OK if ended else Exit.LOST


def _hosted(at: str, on: str, timeout: float, log_level: str) -> Bridged:
    """Hand on the session that somebody begins who comes to ``at``."""
    known = list[Bridged]()

    def serve(met: Met) -> TapError | None:
        with ExitStack() as stack:
            stack.callback(met.link.close)
            held = _held(on, timeout, stack)
            known.append(bridge(*_watched((met, held), log_level), timeout))
        why = known[-1].ended
        return None if known[-1].frames >= JOINED else TapError(why, "neither device has said anything sealed")

    nobody = saying(f"nobody came to {at}; bridge again")
    host(opened_door(at, None, "a bridge", nobody), timeout, nobody, _check_begins, serve)
    return known[-1]


def _check_begins(first: bytes) -> None:
    wire.decode_hello(first)


def _called(
    places: tuple[str, ...], charge: Charged | None, timeout: float, log_level: str, *, own: bool = False
) -> Bridged:
    """Hand on the session that one of two devices is called to begin."""
    with ExitStack() as stack:
        ends = _held(places[0], timeout, stack), _held(places[1], timeout, stack)
        initiator, responder = _watched(ends, log_level)
        if charge is not None:
            initiator, responder = responder, initiator
        other = ends[1] if charge is None else ends[0]
        told_of = None if other.handover == NO_HANDOVER else Introduction(other.handover.said, other.handover.ident)
        want = Want.OWN if own else Want.PAY if charge is None else Want.COLLECT
        initiator.send(encode_call(Call(want, charge, told_of)))
        return bridge(initiator, responder, timeout)


def _watched(ends: tuple[Met, Met], log_level: str) -> tuple[Link, Link]:
    first, second = ends
    if log_level != TRAFFIC:
        return first.link, second.link
    return Watched(first.link, "1:"), Watched(second.link, "2:")


def _said(minor: int | None, currency: str, name: str) -> str:
    return "a bridge" if minor is None else f"a bridge for {show(minor, currency)}, basket {name}"


def _held(on: str, timeout: float, stack: ExitStack) -> Met:
    met = reach(on, timeout, saying(f"no device at {on}: hold it there, and bridge again"))
    stack.callback(met.link.close)
    return met
