"""``keys.jsonl``: agreements of ephemeral keys, and the keys that none may use (SPEC §3-9, §3-12, §3-13)."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.errors import Code
from dualtap.suite import ED25519, P256
from dualtap_conform.curves import P256 as Curve
from dualtap_conform.curves import Edwards, Point, x25519
from dualtap_conform.setup import Object
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector, error

P = Edwards.P
_BASE = 9
_ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
"""The u coordinates of X25519's points of order 8 (RFC 7748's curve; Bernstein's list)."""

_ZERO_FIRST, _ZERO_LAST = 342, 83
"""A multiple of P-256's generator, and a u coordinate, that lead to secrets with a zero byte: searched for."""


def _case(
    suite: str, private: bytes, peer: bytes, clauses: tuple[str, ...], flag: str, comment: str, gives: Object
) -> Vector:
    given: Object = {"private": private.hex(), "peer": peer.hex()}
    return Vector("agree", suite, clauses, (flag,), comment, given, gives)


def _p256_right(private: bytes, peer: Point, flag: str, comment: str) -> Vector:
    scalar = int.from_bytes(private, "big")
    shared = Curve.times(scalar, peer)
    if shared is None:
        raise ValueError(comment)
    own = Curve.encode(Curve.times(scalar, Curve.G))
    gives: Object = {"public": own.hex(), "shared": shared[0].to_bytes(32, "big").hex()}
    return _case("p256", private, Curve.encode(peer), ("3-9",), flag, comment, gives)


def _p256() -> Iterator[Vector]:
    stage = Stage(P256)
    private = stage.ephemeral_private("one")
    scalar = int.from_bytes(private, "big")
    other = Curve.times(int.from_bytes(stage.ephemeral_private("other"), "big"), Curve.G)
    yield _p256_right(private, other, "Basic", "two keys agree")
    yield _p256_right(stage.ephemeral_private("other"), Curve.times(scalar, Curve.G), "Basic", "the other side")
    yield _p256_right(private, Curve.G, "EdgeKey", "the peer's key is the generator")
    yield _p256_right(private, Curve.at(0), "EdgeKey", "the peer's key has x = 0")
    for small in (1, 2, Curve.N - 1):
        comment = f"the private key is {'n - 1' if small > 2 else small}"
        yield _p256_right(small.to_bytes(32, "big"), other, "EdgeKey", comment)
    comment = "a secret that begins with a zero byte: all 32 bytes count"
    yield _p256_right(private, Curve.times(_ZERO_FIRST, Curve.G), "LeadingZeros", comment)
    own = Curve.encode(Curve.times(scalar, Curve.G))
    uncompressed = b"".join(value.to_bytes(32, "big") for value in other or ())
    encoded = Curve.encode(other)
    half = Curve.encode(Curve.times(pow(scalar, -1, Curve.N), Curve.at(0)))
    off = next(x for x in range(1, 10) if Curve.at(x) is None)
    for peer, clause, flag, what in (
        (own, "3-13", "Reflected", "one's own key, reflected"),
        (half, "3-13", "ZeroSecret", "a key that leads to the secret 0"),
        (b"\x04" + uncompressed, "3-5", "KeyFormat", "an uncompressed key"),
        (b"\x06" + uncompressed, "3-5", "KeyFormat", "a hybrid key"),
        (b"\x07" + uncompressed, "3-5", "KeyFormat", "a hybrid key of the other kind"),
        (b"\x00", "3-5", "PointAtInfinity", "the point at infinity"),
        (bytes(33), "3-5", "PointAtInfinity", "33 zero bytes"),
        (b"\x04" + encoded[1:], "3-5", "KeyFormat", "a compressed key that begins with 04"),
        (b"\x00" + encoded[1:], "3-5", "KeyFormat", "a compressed key that begins with 00"),
        (b"\x02" + Curve.P.to_bytes(32, "big"), "3-5", "OutOfRange", "x = p"),
        (b"\x03" + (Curve.P + 5).to_bytes(32, "big"), "3-5", "OutOfRange", "x = p + 5"),
        (b"\x02" + b"\xff" * 32, "3-5", "OutOfRange", "x = 2^256 - 1"),
        (b"\x02" + off.to_bytes(32, "big"), "3-5", "NoPoint", "an x that is not on the curve"),
        (b"\x03" + off.to_bytes(32, "big"), "3-5", "NoPoint", "the same with the other y"),
        (encoded[1:], "3-5", "WrongSize", "x alone"),
        (encoded + b"\0", "3-5", "WrongSize", "34 bytes"),
        (encoded[:-1], "3-5", "WrongSize", "32 bytes"),
        (b"", "3-5", "WrongSize", "an empty key"),
        (Stage(ED25519).ephemeral("other").public, "3-2", "OtherSuite", "a key of suite 2"),
    ):
        yield _case("p256", private, peer, (clause,), flag, what, error(Code.BAD_KEY))


def _x25519_right(private: bytes, u: int, flag: str, comment: str) -> Vector:
    gives: Object = {"public": x25519(private, _BASE).hex(), "shared": x25519(private, u).hex()}
    return _case("ed25519", private, u.to_bytes(32, "little"), ("3-12",), flag, comment, gives)


def _x25519() -> Iterator[Vector]:
    stage = Stage(ED25519)
    private, secret = stage.ephemeral_private("one"), stage.ephemeral_private("other")
    other = int.from_bytes(x25519(secret, _BASE), "little")
    mine = int.from_bytes(x25519(private, _BASE), "little")
    yield _x25519_right(private, other, "Basic", "two keys agree")
    yield _x25519_right(secret, mine, "Basic", "the other side")
    yield _x25519_right(private, _BASE, "EdgeKey", "the peer's key is the base point")
    yield _x25519_right(bytes(32), other, "Clamping", "the private key 0, which is clamped")
    yield _x25519_right(b"\xff" * 32, other, "Clamping", "the private key of ones, which is clamped")
    for u, what in ((2, "2"), (3, "3"), (4, "4"), (P - 2, "p - 2"), (P - 3, "p - 3")):
        yield _x25519_right(private, u, "EdgeKey", f"u = {what}, be it on the curve or on its twist")
    comment = "a secret that ends with a zero byte: all 32 bytes count"
    yield _x25519_right(private, _ZERO_LAST, "LeadingZeros", comment)
    for u, clause, flag, what in (
        (mine, "3-13", "Reflected", "one's own key, reflected"),
        (0, "3-13", "SmallOrderKey", "u = 0, of order 4 or less"),
        (1, "3-13", "SmallOrderKey", "u = 1, of order 4"),
        (P - 1, "3-13", "SmallOrderKey", "u = p - 1, of order 4 on the twist"),
        (_ORDER_8[0], "3-13", "SmallOrderKey", "a point of order 8"),
        (_ORDER_8[1], "3-13", "SmallOrderKey", "the other point of order 8"),
        (P, "3-12", "SecondFormOfKey", "u = p, for 0"),
        (P + 1, "3-12", "SecondFormOfKey", "u = p + 1, for 1"),
        (P + 2, "3-12", "SecondFormOfKey", "u = p + 2, for 2"),
        (P + _BASE, "3-12", "SecondFormOfKey", "u = p + 9, for the base point"),
        (2**255 - 1, "3-12", "SecondFormOfKey", "u = 2^255 - 1"),
        (other | 1 << 255, "3-12", "TopBit", "a good key with the top bit set"),
        (mine | 1 << 255, "3-12", "TopBit", "one's own key with the top bit set"),
        (_BASE | 1 << 255, "3-12", "TopBit", "the base point with the top bit set"),
        (1 << 255, "3-12", "TopBit", "0 with the top bit set"),
        (_ORDER_8[0] | 1 << 255, "3-12", "TopBit", "a point of order 8 with the top bit set"),
        (2**256 - 1, "3-12", "TopBit", "32 bytes of ones"),
    ):
        peer = u.to_bytes(32, "little")
        yield _case("ed25519", private, peer, (clause,), flag, what, error(Code.BAD_KEY))
    good = other.to_bytes(32, "little")
    for peer, clause, flag, what in (
        (good[:-1], "3-12", "WrongSize", "31 bytes"),
        (good + b"\0", "3-12", "WrongSize", "33 bytes"),
        (b"", "3-12", "WrongSize", "an empty key"),
        (Stage(P256).ephemeral("other").public, "3-2", "OtherSuite", "a key of suite 1"),
    ):
        yield _case("ed25519", private, peer, (clause,), flag, what, error(Code.BAD_KEY))


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    yield from _p256()
    yield from _x25519()
