"""Hello and Welcome (SPEC §6): what a responder says before the channel stands, and what it must not answer."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.codec import pack
from dualtap.errors import Code, TapError
from dualtap.states import Part
from dualtap.suite import P256, Suite
from dualtap.wire import (
    VERSION,
    Hello,
    ProceedMessage,
    RefuseMessage,
    Want,
    Welcome,
    encode,
    encode_hello,
    encode_welcome,
)
from dualtap_conform.bench import Bench
from dualtap_conform.check import check
from dualtap_conform.puppet import Puppet, must

_PRIME_25519 = 2**255 - 19
_ORDER_8 = 325606250916557431795983626356110631294008115727848805560023387167927233504
_MONEY = Want.COLLECT | Want.PAY


@check("6-9", "6-8", "6-7", "5.1-1", "5.2-1", "7-3")
def welcome_form(bench: Bench) -> None:
    """The Welcome has its form, plays the other part, and holds a message iff the device collects"""
    with bench.meet() as tap:
        welcome = tap.greet()
        bench.saw(welcome)
        mine = Want.COLLECT if bench.part is Part.PAYEE else Want.PAY
        must(welcome.want & _MONEY == mine, "6-8", f"want {mine!r}", repr(welcome.want))
        must(not welcome.want & Want.AUTHORITIES, "7-3", "no wish for authorities: none is lacking", repr(welcome.want))
        must(
            bool(welcome.sealed) == (bench.part is Part.PAYEE),
            "6-9",
            "a sealed message" if bench.part is Part.PAYEE else "no sealed message",
            f"{len(welcome.sealed)} sealed bytes",
        )


@check("6-14")
def nothing_identifies(bench: Bench) -> None:
    """Nothing that identifies the wallet crosses before the channel is sealed"""
    with bench.meet() as tap:
        welcome = tap.greet()
        bench.saw(welcome)
        shown = encode_welcome(welcome._replace(sealed=b""))
        certificate = bench.setup.certificate
        for what, secret in (
            ("key", certificate.key),
            ("key without its first byte", certificate.key[1:]),
            ("certificate's signature", certificate.signature),
        ):
            must(secret not in shown, "6-14", "a Welcome that identifies nobody", f"the wallet's {what} in the clear")
        must(welcome.ephemeral != certificate.key, "6-14", "a key for this tap alone", "the wallet's key")


@check("6-2", "6-7")
def another_version_is_offered_too(bench: Bench) -> None:
    """A Hello that offers newer versions too is welcome, and the whole frame is in the transcript"""
    with bench.meet() as tap:
        bench.saw(tap.greet(tap.hello(versions=(7, VERSION))))
        if bench.part is Part.PAYEE:
            tap.hear_any()
        tap.say_bytes(pack((99,)))
        tap.hear(RefuseMessage, "6-2")


def _wrong(hello: Hello) -> Iterator[tuple[str, str, bytes]]:
    """Yield clause, what is wrong, and the frame."""
    mine = hello.want & _MONEY
    other = _MONEY ^ mine
    scheme = bytes(byte ^ 1 for byte in hello.scheme)
    yield "6-6", "another scheme's hint", encode_hello(hello._replace(scheme=scheme))
    yield "6-7", "offers without version 1", encode_hello(hello._replace(versions=(2, 3)))
    yield "6-8", "a peer of the same part", encode_hello(hello._replace(want=other))
    yield "6-8", "a peer of both parts", encode_hello(hello._replace(want=mine | other))
    yield "6-8", "a peer of no part", encode_hello(hello._replace(want=Want(0)))
    fields = (1, *hello)
    yield "5.1-6", "a Hello with an item too many", pack((*fields, 0))
    yield "5.1-6", "a Hello with an item missing", pack(fields[:-1])
    yield "5.1-7", "a Hello without versions", pack((1, hello.scheme, (), hello.ephemeral, hello.want))
    yield "5.1-7", "a Hello with nine versions", encode_hello(hello._replace(versions=(VERSION,) * 9))
    yield "4.3-8", "an unknown bit of want", pack((1, hello.scheme, hello.versions, hello.ephemeral, int(mine) | 32))
    yield "5.1-3", "a Hello with a byte after it", encode_hello(hello) + b"\0"
    long = pack(fields)
    yield "5.1-4", "a Hello that is not in its shortest form", b"\xdc\0\5" + long[1:]
    yield "5.2-3", "a Hello above 128 bytes", pack((*fields, bytes(128)))
    yield "5.2-2", "an unknown message", pack((99, *hello))
    yield "11.1-3", "a Welcome", encode_welcome(Welcome(VERSION, hello.ephemeral, hello.want, b""))
    yield "6-13", "a message in the clear", encode(ProceedMessage())


@check(
    "6-10", "6-6", "6-7", "6-8", "5.1-3", "5.1-4", "5.1-6", "5.1-7", "4.3-8", "5.2-2", "5.2-3", "11.1-3", "6-13",
)  # fmt: skip
def bad_hellos(bench: Bench) -> None:
    """Whatever is wrong with a Hello, the device stays silent"""
    with bench.meet() as tap:
        count = len(list(_wrong(tap.hello())))
    for place in range(count):
        with bench.case("6-10"), bench.meet() as tap:
            clause, why, frame = list(_wrong(tap.hello()))[place]
            tap.send(frame)
            _unanswered(tap, clause, why)


@check("3-13", "3-5", "3-12", "3-2")
def bad_ephemerals(bench: Bench) -> None:
    """An ephemeral key that is no valid point is refused, silently"""
    for clause, why, key in bad_keys(bench.scheme.suite):
        with bench.case(clause), bench.meet() as tap:
            tap.send(encode_hello(tap.hello(ephemeral=key)))
            _unanswered(tap, clause, f"an ephemeral key that is {why}")


def _unanswered(tap: Puppet, clause: str, why: str) -> None:
    """Raise unless nothing comes: a Welcome breaks the rule itself, anything else the silence."""
    try:
        frame = tap.link.receive(tap.quiet)
    except TapError as error:
        must(error.code in {Code.LINK_LOST, Code.TIMEOUT}, "6-10", f"silence, for {why}", error)
        return
    welcome = frame[:2] == b"\x95\x02"
    must(False, clause if welcome else "6-10", f"silence, for {why}", "a Welcome" if welcome else frame.hex())


def bad_keys(suite: Suite) -> Iterator[tuple[str, str, bytes]]:
    """Yield clause, what is wrong, and an ephemeral key that no device may agree with."""
    if suite is P256:
        prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
        off = next(key for key in (b"\2" + x.to_bytes(32, "big") for x in range(1, 100)) if not _on_curve(key))
        good = next(key for key in (b"\2" + x.to_bytes(32, "big") for x in range(1, 100)) if _on_curve(key))
        yield "3-2", "of the other suite", bytes(31) + b"\x09"
        yield "3-5", "not on the curve", off
        yield "3-5", "zero", bytes(33)
        yield "3-5", "marked as uncompressed", b"\4" + good[1:]
        yield "3-5", "x + p in place of x", b"\2" + _lifted(prime)
        return
    yield "3-2", "of the other suite", b"\2" + bytes(32)
    yield "3-13", "zero", bytes(32)
    yield "3-13", "one", (1).to_bytes(32, "little")
    yield "3-13", "minus one", (_PRIME_25519 - 1).to_bytes(32, "little")
    yield "3-13", "of order eight", _ORDER_8.to_bytes(32, "little")
    yield "3-12", "p + 9 in place of 9", (_PRIME_25519 + 9).to_bytes(32, "little")
    yield "3-12", "valid but for its top bit", (9 + 2**255).to_bytes(32, "little")


def _on_curve(key: bytes) -> bool:
    try:
        P256.verifier(key)
    except TapError:
        return False
    return True


def _lifted(prime: int) -> bytes:
    """Return x + p for the smallest x of a point: another way to write it, which one decoder may take."""
    x = next(x for x in range(1, 100) if _on_curve(b"\2" + x.to_bytes(32, "big")))
    return (x + prime).to_bytes(32, "big")


CHECKS = (welcome_form, nothing_identifies, another_version_is_offered_too, bad_hellos, bad_ephemerals)
