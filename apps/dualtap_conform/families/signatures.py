"""``signatures.jsonl``: which signatures and keys are taken, on each suite (SPEC §3)."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from dualtap.errors import Code
from dualtap.suite import ED25519, P256
from dualtap_conform.curves import P256 as Curve
from dualtap_conform.curves import Point
from dualtap_conform.families import ed25519
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector, error

N, HALF = Curve.N, Curve.N // 2
_BAD = Code.BAD_SIGNATURE
DIGEST = sha256(b"what is signed").digest()


def counted(number: int) -> bytes:
    """Return the digest of a number's digits: some were searched for what their signatures look like."""
    return sha256(str(number).encode()).digest()


def _raw(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _case(
    key: bytes, digest: bytes, signature: bytes, clause: str, flag: str, comment: str, wrong: Code | None = None
) -> Vector:
    given = {"key": key.hex(), "digest": digest.hex(), "signature": signature.hex()}
    return Vector("verify", "p256", (clause,), (flag,), comment, {**given}, error(wrong) if wrong else {})


def _x(point: Point) -> int:
    if point is None:
        raise ValueError("the point at infinity has no x")
    return point[0]


def _key_for(point: Point, r: int, s: int, digest: bytes) -> bytes:
    """Return the key by which (r, s) verifies over a digest, if its nonce's point is this one."""
    z = int.from_bytes(digest, "big")
    inverse = pow(r, -1, N)
    both = Curve.add(Curve.times(s * inverse, point), Curve.times(-z * inverse, Curve.G))
    return Curve.encode(both)


def _for_key(key: Point, one: int, other: int) -> tuple[bytes, bytes]:
    """Return a digest and a signature that verify by a key whose private half nobody needs."""
    r = _x(Curve.add(Curve.times(one, Curve.G), Curve.times(other, key))) % N
    s = r * pow(other, -1, N) % N
    if s > HALF:
        one, other, s = -one, -other, N - s
    return (one * s % N).to_bytes(32, "big"), _raw(r, s)


def _valid(stage: Stage) -> Iterator[Vector]:
    signer = stage.signer("wallet")
    key = signer.public
    for number, what in (
        (0, "a signature"), (1, "another"), (108, "one whose r begins with a zero byte"),
        (154, "one whose s begins with a zero byte"), (12_312, "one whose r and s begin with a zero byte"),
        (25_294, "one whose r begins with two zero bytes"), (72_477, "one whose s begins with two zero bytes"),
    ):  # fmt: skip
        digest = counted(number)
        yield _case(key, digest, signer.sign(digest), "3-6", "LeadingZeros" if number > 1 else "Basic", what)
    for digest, what in (
        (bytes(32), "the digest 0"), (b"\xff" * 32, "the greatest digest, above n"),
        (N.to_bytes(32, "big"), "the digest n, which counts as 0"), ((N + 1).to_bytes(32, "big"), "the digest n + 1"),
    ):  # fmt: skip
        yield _case(key, digest, signer.sign(digest), "3-4", "EdgeDigest", what)
    for private, what in ((1, "1: the key is the generator"), (N - 1, "n - 1"), (2, "2")):
        k, public = 12_345, Curve.times(private, Curve.G)
        r = _x(Curve.times(k, Curve.G)) % N
        s = (int.from_bytes(DIGEST, "big") + r * private) * pow(k, -1, N) % N
        signature = _raw(r, min(s, N - s))
        yield _case(Curve.encode(public), DIGEST, signature, "3-5", "EdgeKey", f"by the private key {what}")
    for x in (0, next(x for x in range(Curve.P - 1, 0, -1) if Curve.at(x))):
        digest, signature = _for_key(Curve.at(x), 77, 99)
        where = "0" if x == 0 else "the greatest of any"
        yield _case(Curve.encode(Curve.at(x)), digest, signature, "3-5", "EdgeKey", f"by a key whose x is {where}")
    point = Curve.times(999, Curve.G)
    for s, what in ((HALF, "the greatest low s"), (1, "s = 1")):
        found = _key_for(point, _x(point), s, DIGEST)
        yield _case(found, DIGEST, _raw(_x(point), s), "3-6", "BorderOfLowS", what)
    above = next(point for point in map(Curve.at, range(N, N + 100)) if point)
    found = _key_for(above, _x(above) - N, 5, DIGEST)
    comment = "the nonce's point has an x above n, so that r = x - n"
    yield _case(found, DIGEST, _raw(_x(above) - N, 5), "3-6", "XAboveOrder", comment)
    comment = "r = x where the nonce's point has an x above n: not reduced"
    yield _case(found, DIGEST, _raw(_x(above), 5), "3-6", "OutOfRange", comment, _BAD)
    # u1·G = u2·Q: the sum is a doubling, which addition formulas often leave out
    k = next(k for k in range(7, 40) if 2 * int.from_bytes(DIGEST, "big") * pow(k, -1, N) % N <= HALF)
    z, r = int.from_bytes(DIGEST, "big"), _x(Curve.times(k, Curve.G)) % N
    doubled = Curve.encode(Curve.times(z * pow(r, -1, N), Curve.G))
    signature = _raw(r, 2 * z * pow(k, -1, N) % N)
    yield _case(doubled, DIGEST, signature, "3-6", "EqualAddends", "the two products of verification are one point")
    opposite = Curve.encode(Curve.times(-z * pow(r, -1, N), Curve.G))
    comment = "the two products of verification cancel: their sum is the point at infinity"
    yield _case(opposite, DIGEST, _raw(r, 3), "3-6", "PointAtInfinity", comment, _BAD)


def _invalid(stage: Stage) -> Iterator[Vector]:
    signer = stage.signer("wallet")
    key, good = signer.public, signer.sign(DIGEST)
    r, s = int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big")
    point = Curve.times(999, Curve.G)
    yield _case(key, DIGEST, _raw(r, N - s), "3-6", "HighS", "n - s in place of s", _BAD)
    found = _key_for(point, _x(point), HALF + 1, DIGEST)
    yield _case(found, DIGEST, _raw(_x(point), HALF + 1), "3-6", "BorderOfLowS", "the least s that is not low", _BAD)
    found = _key_for(point, _x(point), N - 1, DIGEST)
    yield _case(found, DIGEST, _raw(_x(point), N - 1), "3-6", "HighS", "s = n - 1", _BAD)
    found = _key_for(point, _x(point), 5, DIGEST)
    comment = "s + n, where s = 5 is good"
    yield _case(found, DIGEST, _raw(_x(point), 5 + N), "3-6", "OutOfRange", comment, _BAD)
    top = 2**256 - 1
    for one, other, what in (
        (0, s, "r = 0"), (r, 0, "s = 0"), (0, 0, "r = s = 0"), (N, s, "r = n"), (r, N, "s = n"), (N, 0, "r = n, s = 0"),
        (N - 1, s, "r = n - 1"), (N + 1, s, "r = n + 1"), (0, 1, "r = 0, s = 1"), (1, 0, "r = 1, s = 0"),
        (1, 1, "r = s = 1"), (Curve.P, s, "r = p"), (Curve.P - N, s, "r = p - n"), (top, s, "r of ones"),
        (r, top, "s of ones"), (top, top, "r and s of ones"), (N - r, s, "n - r in place of r"),
        (r, s + N if s + N <= top else top - 1, "s above n"),
    ):  # fmt: skip
        yield _case(key, DIGEST, _raw(one, other), "3-6", "OutOfRange", what, _BAD)
    flipped = (
        ("the last bit of r", good[:31] + bytes([good[31] ^ 1]) + good[32:]),
        ("the first bit of r", bytes([good[0] ^ 0x80]) + good[1:]),
        ("the last bit of s", good[:-1] + bytes([good[-1] ^ 1])),
    )
    for what, altered in flipped:
        yield _case(key, DIGEST, altered, "3-6", "Altered", f"{what} flipped", _BAD)
    elsewhere = sha256(b"something else").digest()
    yield _case(key, elsewhere, good, "5.2-4", "OtherDigest", "a good signature over another digest", _BAD)
    last = DIGEST[:-1] + bytes([DIGEST[-1] ^ 1])
    yield _case(key, last, good, "3-4", "OtherDigest", "the digest's last bit is another", _BAD)
    yield _case(key, bytes(32), good, "3-4", "OtherDigest", "the digest 0", _BAD)
    yield _case(stage.key("payee"), DIGEST, good, "5.2-5", "OtherSigner", "a good signature by another key", _BAD)
    negative = bytes([key[0] ^ 1]) + key[1:]
    yield _case(negative, DIGEST, good, "3-5", "OtherSigner", "the key with the other y: a key, but not this one", _BAD)
    again = signer.sign(sha256(DIGEST).digest())
    yield _case(key, DIGEST, again, "3-4", "HashedAgain", "the signature is over the digest's hash", _BAD)
    yield from _lengths(stage)


def _der(r: int, s: int) -> bytes:
    both = b""
    for value in (r, s):
        data = value.to_bytes(value.bit_length() // 8 + 1, "big")
        both += b"\x02" + bytes([len(data)]) + data
    return b"\x30" + bytes([len(both)]) + both


def _lengths(stage: Stage) -> Iterator[Vector]:
    signer = stage.signer("wallet")
    key, good, digest = signer.public, signer.sign(DIGEST), counted(108)
    short, small = signer.sign(digest), counted(154)
    r, s = int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big")
    for signature, what in (
        (b"", "no signature"), (b"\0", "a zero byte"), (good[:32], "r alone"), (good[:-1], "63 bytes"),
        (good + b"\0", "65 bytes, the last zero"), (b"\0" + good, "65 bytes, the first zero"), (good * 2, "128 bytes"),
        (_der(r, s), "DER"), (_der(s, r), "DER, s first"),
        (b"\0" * 4 + good[:32] + b"\0" * 4 + good[32:], "r and s in 36 bytes each"),
        (good[:32][::-1] + good[32:][::-1], "r and s little-endian"), (good[32:] + good[:32], "s ‖ r"),
    ):  # fmt: skip
        yield _case(key, DIGEST, signature, "3-6", "SignatureFormat", what, _BAD)
    comment = "63 bytes: r without its leading zero"
    yield _case(key, digest, short[1:], "3-6", "SignatureFormat", comment, _BAD)
    found = signer.sign(small)
    comment = "63 bytes: s without its leading zero"
    yield _case(key, small, found[:32] + found[33:], "3-6", "SignatureFormat", comment, _BAD)


def _keys(stage: Stage) -> Iterator[Vector]:
    """Yield keys that are none, each with a signature that would be good by the point that they seem to mean."""
    signer = stage.signer("wallet")
    key, good = signer.public, signer.sign(DIGEST)
    x = int.from_bytes(key[1:], "big")
    found = Curve.at(x)
    y = 0 if found is None else found[1] if found[1] % 2 == key[0] % 2 else Curve.P - found[1]
    both = key[1:] + y.to_bytes(32, "big")
    alias = next(x for x in range(1, 10) if Curve.at(x))
    off = next(x for x in range(1, 10) if Curve.at(x) is None)
    for encoded, what in (
        (b"\x04" + both, "uncompressed"), (bytes([6 + y % 2]) + both, "hybrid"), (both, "x ‖ y, 64 bytes"),
        (b"\x00", "the point at infinity, 1 byte"), (bytes(33), "33 zero bytes"), (b"", "empty"),
        *((bytes([first]) + key[1:], f"the first byte {first:02x}") for first in (0, 1, 4, 5, 6, 7, 0x82, 0xFF)),
        (key[1:], "x alone, 32 bytes"), (key[:-1], "32 bytes: the last is missing"), (key + b"\0", "34 bytes"),
        (key[:1] + both, "02 or 03 before x and y"), (b"\x04" + key[1:] + b"\0" * 32, "uncompressed, with y = 0"),
        (b"\x02" + Curve.P.to_bytes(32, "big"), "x = p"), (b"\x02" + b"\xff" * 32, "x = 2^256 - 1"),
        (b"\x02" + (Curve.P + alias).to_bytes(32, "big"), f"x = p + {alias}, where {alias} is on the curve"),
        (b"\x02" + off.to_bytes(32, "big"), f"x = {off}: not on the curve"),
        (b"\x03" + off.to_bytes(32, "big"), f"x = {off}, the other y: not on the curve"),
        (key[:1] + key[1:][::-1], "x little-endian, not on the curve"),
        (Stage(ED25519).key("wallet"), "a key of suite 2"),
        (bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004") + both, "SubjectPublicKeyInfo"),
    ):  # fmt: skip
        clause = "3-2" if what.endswith("suite 2") else "3-5"
        yield _case(encoded, DIGEST, good, clause, "KeyFormat", f"the key is {what}", Code.BAD_KEY)


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    stage = Stage(P256)
    for part in (_valid, _invalid, _keys):
        yield from part(stage)
    yield from ed25519.vectors()
