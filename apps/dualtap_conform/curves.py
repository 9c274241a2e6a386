"""Arithmetic on the curves of SPEC §3, written for clarity, to make keys and signatures that no library makes.

Slow and not constant in time: every secret here is published.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

Point: TypeAlias = "tuple[int, int] | None"
"""An affine point; ``None`` is the point at infinity of P-256."""


class P256:
    """y² = x³ - 3x + b over the integers modulo p; ``G`` has the prime order ``N``."""

    P = 2**256 - 2**224 + 2**192 + 2**96 - 1
    N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    G = (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    )

    @classmethod
    def add(cls, one: Point, other: Point) -> Point:
        """Return the sum of two points."""
        if one is None or other is None:
            return one or other
        if one[0] == other[0] and (one[1] + other[1]) % cls.P == 0:
            return None
        if one == other:
            slope = (3 * one[0] ** 2 - 3) * pow(2 * one[1], -1, cls.P)
        else:
            slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, cls.P)
        x = (slope**2 - one[0] - other[0]) % cls.P
        return x, (slope * (one[0] - x) - one[1]) % cls.P

    @classmethod
    def times(cls, scalar: int, point: Point) -> Point:
        """Return a multiple of a point."""
        total: Point = None
        for bit in bin(scalar % cls.N)[2:]:
            total = cls.add(total, total)
            if bit == "1":
                total = cls.add(total, point)
        return total

    @classmethod
    def at(cls, x: int) -> Point:
        """Return the point with this x and an even y, or ``None`` if no point has it."""
        square = (x**3 - 3 * x + cls.B) % cls.P
        y = pow(square, (cls.P + 1) // 4, cls.P)
        if y * y % cls.P != square:
            return None
        return x, y if y % 2 == 0 else cls.P - y

    @staticmethod
    def encode(point: Point) -> bytes:
        """Return the compressed form (SPEC §3-5)."""
        if point is None:
            raise ValueError("the point at infinity has no compressed form")
        return bytes([2 + point[1] % 2]) + point[0].to_bytes(32, "big")


class Edwards:
    """-x² + y² = 1 + dx²y² over the integers modulo p; ``B`` has the prime order ``L``, the curve 8·L points."""

    P = 2**255 - 19
    L = 2**252 + 27742317777372353535851937790883648493
    D = -121665 * pow(121666, -1, P) % P
    ZERO = (0, 1)
    B = (
        15112221349535400772501151409588531511454012693041857206046113283949847762202,
        46316835694926478169428394003475163141307993866256225615783033603165251855960,
    )

    @classmethod
    def add(cls, one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        """Return the sum of two points."""
        (x1, y1), (x2, y2) = one, other
        product = cls.D * x1 * x2 * y1 * y2
        x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, cls.P)
        y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, cls.P)
        return x % cls.P, y % cls.P

    @classmethod
    def times(cls, scalar: int, point: tuple[int, int]) -> tuple[int, int]:
        """Return a multiple of a point; the scalar is not reduced, since not every point has order ``L``."""
        total = cls.ZERO
        for bit in bin(scalar)[2:]:
            total = cls.add(total, total)
            if bit == "1":
                total = cls.add(total, point)
        return total

    @classmethod
    def at(cls, y: int) -> tuple[int, int] | None:
        """Return the point with this y and an even x, or ``None`` if no point has it."""
        square = (y * y - 1) * pow(cls.D * y * y + 1, -1, cls.P) % cls.P
        x = pow(square, (cls.P + 3) // 8, cls.P)
        if x * x % cls.P != square:
            x = x * pow(2, (cls.P - 1) // 4, cls.P) % cls.P
        if x * x % cls.P != square:
            return None
        return (x if x % 2 == 0 else cls.P - x), y

    @staticmethod
    def encode(point: tuple[int, int]) -> bytes:
        """Return the 32 bytes of RFC 8032: y, little-endian, and the lowest bit of x on top."""
        return (point[1] | (point[0] % 2) << 255).to_bytes(32, "little")

    @classmethod
    def challenge(cls, big_r: bytes, key: bytes, digest: bytes) -> int:
        """Return k = SHA-512(R ‖ A ‖ M) modulo ``L``."""
        return int.from_bytes(hashlib.sha512(big_r + key + digest).digest(), "little") % cls.L


def x25519(private: bytes, u: int) -> bytes:
    """Return RFC 7748's X25519 of a private key and a u coordinate."""
    p = Edwards.P
    scalar = int.from_bytes(private, "little") & ~7 & ~(1 << 255) | 1 << 254
    x2, z2, x3, z3 = 1, 0, u, 1
    for place in reversed(range(255)):
        swap = scalar >> place & 1
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb = d * a, c * b
        x3, z3 = (da + cb) ** 2 % p, u * (da - cb) ** 2 % p
        aa, bb = a * a % p, b * b % p
        x2, z2 = aa * bb % p, (aa - bb) * (aa + 121665 * (aa - bb)) % p
        if swap:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")
