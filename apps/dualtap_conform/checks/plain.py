"""Sealing and bytes (SPEC §5, §6): frames that do not open are not answered, bytes that are no message are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dualtap.codec import pack
from dualtap.errors import Code
from dualtap.states import Part
from dualtap.suite import TAG
from dualtap.wire import ProceedMessage, RefuseMessage, encode
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.puppet import NotHereError, Puppet

_STOP = encode(RefuseMessage(Code.DECLINED))
"""The plainest message that either part takes first."""


def _opened(bench: Bench, tap: Puppet) -> None:
    """Take what the device says first, if it collects."""
    bench.saw(tap.greet())
    if bench.part is Part.PAYEE:
        tap.hear_any("a Request")


def _flipped(place: int) -> Callable[[Puppet], bytes]:
    def frame(tap: Puppet) -> bytes:
        sealed = bytearray(tap.established().seal(encode(ProceedMessage())))
        sealed[place] ^= 1
        return bytes(sealed)

    return frame


def _second_first(tap: Puppet) -> bytes:
    tap.established().seal(_STOP)
    return tap.established().seal(encode(ProceedMessage()))


_BROKEN: tuple[tuple[str, str, Callable[[Puppet], bytes]], ...] = (
    ("6-3", "a frame with a flipped bit", _flipped(0)),
    ("6-3", "a frame with a flipped bit in its tag", _flipped(-1)),
    ("6-3", "a frame cut by one byte", lambda tap: tap.established().seal(encode(ProceedMessage()))[:-1]),
    ("6-3", "a frame shorter than a tag", lambda _: bytes(TAG - 1)),
    ("6-3", "the second frame before the first", _second_first),
    ("6-13", "a message in the clear", lambda _: encode(ProceedMessage())),
    ("6-13", "a Refuse in the clear", lambda _: _STOP),
)


@check("6-3", "6-13")
def broken_seals(bench: Bench) -> None:
    """A frame that does not open ends the tap, and is not answered"""
    for clause, why, broken in _BROKEN:
        with bench.case(clause), bench.meet() as tap:
            _opened(bench, tap)
            tap.send(broken(tap))
            tap.silence(clause, why)


def _bad_bytes() -> Iterator[tuple[str, Code, str, bytes]]:
    """Yield clause, code, what is wrong, and the sealed bytes: a Refuse that is none."""
    refuse = int(Code.DECLINED)
    head = b"\x92\x08"
    yield "5.1-4", Code.NOT_CANONICAL, "an integer of two bytes where one does", head + b"\xcc\x05"
    yield "5.1-4", Code.NOT_CANONICAL, "an integer of nine bytes where two do", head + b"\xcf" + refuse.to_bytes(8)
    yield "5.1-4", Code.NOT_CANONICAL, "a long array header", b"\xdc\x00\x02" + b"\x08" + bytes([refuse])
    yield "5.1-3", Code.MALFORMED, "a byte after the message", _STOP + b"\0"
    yield "5.1-3", Code.MALFORMED, "a map", b"\x81\x08" + bytes([refuse])
    yield "5.1-3", Code.MALFORMED, "a negative integer", head + b"\xff"
    yield "5.1-3", Code.MALFORMED, "a float", head + b"\xcb" + bytes(8)
    yield "5.1-3", Code.MALFORMED, "an extension", head + b"\xd4\1\0"
    yield "5.1-3", Code.MALFORMED, "text of 33 bytes", pack((8, "x" * 33))
    yield "5.1-3", Code.MALFORMED, "no array", bytes([refuse])
    yield "5.1-3", Code.MALFORMED, "a message cut short", _STOP[:-1]
    yield "5.1-3", Code.MALFORMED, "an array longer than its bytes", b"\xdd\xff\xff\xff\xff"
    yield "5.1-5", Code.MALFORMED, "an array nested sixty deep", head + b"\x91" * 60 + b"\0"
    yield "5.1-6", Code.MALFORMED, "an item too many", pack((8, refuse, 0))
    yield "5.1-6", Code.MALFORMED, "an item missing", pack((8,))
    yield "5.1-6", Code.MALFORMED, "an empty array", pack(())
    yield "5.1-7", Code.MALFORMED, "a number above 2^32 - 1", pack((8, 2**32))
    yield "5.1-7", Code.MALFORMED, "bytes in place of a number", pack((8, bytes([refuse])))
    yield "5.1-7", Code.MALFORMED, "a boolean in place of a number", pack((8, True))
    yield "5.1-7", Code.MALFORMED, "nil in place of a number", pack((8, None))
    yield "5.2-2", Code.UNKNOWN_MESSAGE, "a message of number 99", pack((99, refuse))
    yield "5.2-2", Code.UNKNOWN_MESSAGE, "a message of number 10", pack((10,))


@check("6-16", "5.1-3", "5.1-4", "5.1-5", "5.1-6", "5.1-7", "5.2-2", "9-1")
def bad_bytes(bench: Bench) -> None:
    """Bytes that are no message are refused by name"""
    for clause, code, why, plaintext in _bad_bytes():
        with bench.case(clause), bench.meet() as tap:
            _opened(bench, tap)
            tap.say_bytes(plaintext)
            tap.hear_refusal(code, clause, why)


@check("5.2-3")
def long_frames(bench: Bench) -> None:
    """A frame above the device's own bound is refused"""
    most = bench.setup.profile.message
    with bench.meet() as tap:
        if most + 1 > tap.link.max_frame:
            raise NotHereError(f"a frame above {most} bytes does not fit this link")
        _opened(bench, tap)
        tap.say_bytes(bytes(most + 1 - TAG))
        tap.hear_refusal(Code.TOO_LARGE, "5.2-3", f"a frame of {most + 1} bytes")


@check("9-2")
def unknown_codes(bench: Bench) -> None:
    """A Refuse with an unknown code ends the tap as any other does"""
    with bench.meet() as tap:
        _opened(bench, tap)
        tap.say(RefuseMessage(4_000_000_000))
        tap.silence("9-2", "the other side has refused")


CHECKS = (broken_seals, bad_bytes, long_frames, unknown_codes)
