"""The part of ``signatures.jsonl`` that is about Ed25519, where implementations differ most (SPEC §3-10, §3-11)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from dualtap.errors import Code
from dualtap.suite import ED25519, P256
from dualtap_conform.curves import Edwards
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector, error

P, L, B = Edwards.P, Edwards.L, Edwards.B
_BAD = Code.BAD_SIGNATURE
DIGEST = hashlib.sha256(b"what is signed").digest()
SECRET = 0x1234567890ABCDEF << 64
"""A secret scalar, for signatures that no library makes."""


def torsion() -> list[tuple[int, int]]:
    """Return the eight points of small order: the multiples of one of order 8, in order."""
    for y in range(2, 100):
        point = Edwards.at(y)
        found = Edwards.ZERO if point is None else Edwards.times(L, point)
        if Edwards.times(4, found) != Edwards.ZERO:
            return [Edwards.times(n, found) for n in range(8)]
    raise AssertionError("every curve with a cofactor of 8 has points of order 8")


def _bytes(scalar: int) -> bytes:
    return scalar.to_bytes(32, "little")


def _sign(key: bytes, big_r: bytes, nonce: int, digest: bytes = DIGEST) -> bytes:
    """Return R and the S that goes with a nonce, the secret scalar, and what R and A are said to be."""
    return big_r + _bytes((nonce + Edwards.challenge(big_r, key, digest) * SECRET) % L)


def _case(
    key: bytes, digest: bytes, signature: bytes, clause: str, flag: str, comment: str, wrong: Code | None = None
) -> Vector:
    given = {"key": key.hex(), "digest": digest.hex(), "signature": signature.hex()}
    return Vector("verify", "ed25519", (clause,), (flag,), comment, {**given}, error(wrong) if wrong else {})


def _valid(stage: Stage) -> Iterator[Vector]:
    signer = stage.signer("wallet")
    for number, what in (
        (0, "a signature"), (1, "another"), (2, "one whose S ends with a zero byte"),
        (422, "one whose S ends with two zero bytes"), (11_874, "one whose S begins with two zero bytes"),
        (24_736, "one whose R ends with two zero bytes, but for the sign"),
        (62_512, "one whose R begins with two zero bytes"),
    ):  # fmt: skip
        digest = hashlib.sha256(str(number).encode()).digest()
        flag = "LeadingZeros" if number > 1 else "Basic"
        yield _case(signer.public, digest, signer.sign(digest), "3-11", flag, what)
    for digest, what in ((bytes(32), "the digest 0"), (b"\xff" * 32, "the greatest digest")):
        yield _case(signer.public, digest, signer.sign(digest), "3-4", "EdgeDigest", what)
    key = Edwards.encode(Edwards.times(SECRET, B))
    comment = "R is the neutral point, of small order, and equals S·B - k·A byte for byte"
    yield _case(key, DIGEST, _sign(key, Edwards.encode(Edwards.ZERO), 0), "3-11", "SmallOrderR", comment)


def _cofactor() -> Iterator[Vector]:
    """Yield signatures on which verifiers with and without a cofactor differ."""
    small = torsion()
    plain = Edwards.times(SECRET, B)
    key = Edwards.encode(plain)
    for order, place in ((2, 4), (4, 2), (8, 1)):
        big_r = Edwards.encode(Edwards.add(Edwards.times(77, B), small[place]))
        comment = f"R is off by a point of order {order}: only right if multiplied by 8"
        yield _case(key, DIGEST, _sign(key, big_r, 77), "3-11", "Cofactor", comment, _BAD)
    mixed = Edwards.encode(Edwards.add(plain, small[1]))
    for nonce in range(1, 200):
        big_r = Edwards.encode(Edwards.times(nonce, B))
        if Edwards.challenge(big_r, mixed, DIGEST) % 8 == 0:
            comment = "A has a part of order 8 that k takes away: right without a cofactor too"
            yield _case(mixed, DIGEST, _sign(mixed, big_r, nonce), "3-11", "Cofactor", comment)
            break
    big_r = Edwards.encode(Edwards.times(300, B))
    assert Edwards.challenge(big_r, mixed, DIGEST) % 8
    comment = "A has a part of order 8 that k leaves: only right if multiplied by 8"
    yield _case(mixed, DIGEST, _sign(mixed, big_r, 300), "3-11", "Cofactor", comment, _BAD)
    for place in (1, 2, 4):
        comment = f"R is the neutral point plus {place} times a point of order 8"
        yield _case(key, DIGEST, _sign(key, Edwards.encode(small[place]), 0), "3-11", "SmallOrderR", comment, _BAD)
    for big_r, what in (
        (_bytes(P + 1), "the neutral point with y = p + 1"),
        (_bytes(1 | 1 << 255), "the neutral point with the sign of an odd x"),
        (_bytes((P + 1) | 1 << 255), "the neutral point with y = p + 1 and a sign"),
    ):
        yield _case(key, DIGEST, _sign(key, big_r, 0), "3-11", "SecondFormOfR", f"R is {what}", _BAD)


def _invalid(stage: Stage) -> Iterator[Vector]:
    signer = stage.signer("wallet")
    key, good = signer.public, signer.sign(DIGEST)
    s = int.from_bytes(good[32:], "little")
    for value, what in (
        (s + L, "S + ℓ"), (s + 2 * L, "S + 2ℓ"), (s + 8 * L, "S + 8ℓ"), (s + 15 * L, "S + 15ℓ"),
        (s | 1 << 253, "S with bit 253 set"), (s | 1 << 255, "S with the top bit set"), (L, "S = ℓ"), (0, "S = 0"),
        (L - s, "ℓ - S"), (L - 1, "S = ℓ - 1"), (2**256 - 1, "S of ones"),
    ):  # fmt: skip
        yield _case(key, DIGEST, good[:32] + _bytes(value), "3-11", "SecondFormOfS", what, _BAD)
    for signature, what in (
        (good[:31] + bytes([good[31] ^ 0x80]) + good[32:], "R with the other sign"),
        (bytes([good[0] ^ 1]) + good[1:], "the first bit of R flipped"),
        (good[:32] + bytes([good[32] ^ 1]) + good[33:], "the first bit of S flipped"),
    ):
        yield _case(key, DIGEST, signature, "3-11", "Altered", what, _BAD)
    other = hashlib.sha256(b"something else").digest()
    yield _case(key, other, good, "5.2-4", "OtherDigest", "a good signature over another digest", _BAD)
    yield _case(stage.key("payee"), DIGEST, good, "5.2-5", "OtherSigner", "a good signature by another key", _BAD)
    negative = key[:31] + bytes([key[31] ^ 0x80])
    yield _case(negative, DIGEST, good, "3-11", "OtherSigner", "the key with the other sign", _BAD)
    again = signer.sign(hashlib.sha256(DIGEST).digest())
    yield _case(key, DIGEST, again, "3-4", "HashedAgain", "the signature is over the digest's hash", _BAD)
    own = Edwards.encode(Edwards.times(SECRET, B))
    big_r = Edwards.encode(Edwards.times(5, B))
    prefix = b"SigEd25519 no Ed25519 collisions\x01\x00"
    hashed = hashlib.sha512(prefix + big_r + own + hashlib.sha512(DIGEST).digest()).digest()
    scalar = (5 + int.from_bytes(hashed, "little") * SECRET) % L
    yield _case(own, DIGEST, big_r + _bytes(scalar), "3-4", "HashedAgain", "Ed25519ph", _BAD)
    for signature, what in (
        (b"", "no signature"), (good[:32], "R alone"), (good[:-1], "63 bytes"), (good + b"\0", "65 bytes"),
        (b"\0" + good, "65 bytes, the first zero"), (good * 2, "128 bytes"), (bytes(64), "64 zero bytes"),
        (good[32:] + good[:32], "S ‖ R"), (good[::-1], "all bytes in the other order"),
        (b"\xff" * 64, "64 bytes of ones"),
    ):  # fmt: skip
        yield _case(key, DIGEST, signature, "3-11", "SignatureFormat", what, _BAD)
    off = next(y for y in range(2, 100) if Edwards.at(y) is None)
    for big in (off, off | 1 << 255):
        comment = "R is no point of the curve"
        yield _case(key, DIGEST, _bytes(big) + good[32:], "3-11", "NoPoint", comment, _BAD)
        comment = "the key is no point of the curve: it decodes, and accepts nothing"
        yield _case(_bytes(big), DIGEST, good, "3-11", "NoPoint", comment, _BAD)


def _keys(stage: Stage) -> Iterator[Vector]:
    good = stage.signer("wallet").sign(DIGEST)
    key = stage.key("wallet")
    small = {y: order for order, place in ((1, 0), (2, 4), (4, 2), (8, 1), (8, 3)) for y in (torsion()[place][1],)}
    neutral = Edwards.encode(Edwards.ZERO)
    for y, order in small.items():
        for sign in (0, 1):
            comment = f"a key of order {order}, sign {sign}, and a signature of the neutral point that it would accept"
            encoded = _bytes(y | sign << 255)
            yield _case(encoded, DIGEST, neutral + bytes(32), "3-10", "SmallOrderKey", comment, Code.BAD_KEY)
    for y, what in (
        (P, "p"), (P + 1, "p + 1"), (P + 3, "p + 3"), (P + 4, "p + 4"), (2**255 - 1, "2^255 - 1"),
        (P | 1 << 255, "p, with a sign"), (2**256 - 1, "2^255 - 1, with a sign"),
    ):  # fmt: skip
        comment = f"a key whose y is {what}"
        yield _case(_bytes(y), DIGEST, good, "3-10", "SecondFormOfKey", comment, Code.BAD_KEY)
    for encoded, what in (
        (b"", "empty"), (key[:-1], "31 bytes"), (key + b"\0", "33 bytes"),
        (b"\x40" + key, "33 bytes, as OpenPGP has it"),
        (bytes.fromhex("302a300506032b6570032100") + key, "SubjectPublicKeyInfo"),
    ):  # fmt: skip
        yield _case(encoded, DIGEST, good, "3-10", "KeyFormat", f"the key is {what}", Code.BAD_KEY)
    other = Stage(P256).signer("wallet")
    comment = "key and signature are of suite 1"
    yield _case(other.public, DIGEST, other.sign(DIGEST), "3-2", "OtherSuite", comment, Code.BAD_KEY)
    comment = "the signature is of suite 1"
    yield _case(key, DIGEST, other.sign(DIGEST), "3-2", "OtherSuite", comment, _BAD)


def vectors() -> Iterator[Vector]:
    """Yield this part's vectors."""
    stage = Stage(ED25519)
    yield from _valid(stage)
    yield from _cofactor()
    yield from _invalid(stage)
    yield from _keys(stage)
