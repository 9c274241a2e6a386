"""Keys and signatures that no honest device makes, and that some libraries take."""

from __future__ import annotations

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
"""The field of P-256."""
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256."""
Q = 2**255 - 19
"""The field of Ed25519 and X25519."""
L = 2**252 + 27742317777372353535851937790883648493
"""The order of Ed25519."""
TOP = 1 << 255
Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
U8 = 325606250916557431795983626356110631294008115727848805560023387167927233504
U8_OTHER = 39382357235489614581723060781553021112529911719440698176882885853963445705823


def on_curve(x: int) -> bool:
    """Return whether x is the coordinate of a point of P-256."""
    square = (x**3 - 3 * x + B) % P
    return pow(square, (P - 1) // 2, P) == 1


def big(number: int) -> bytes:
    return number.to_bytes(32, "big")


def little(number: int) -> bytes:
    return number.to_bytes(32, "little")


_ON = next(x for x in range(1, 99) if on_curve(x))
_OFF = next(x for x in range(1, 99) if not on_curve(x))

P256 = {
    "infinity, padded": bytes(33),
    "off the curve": b"\x02" + big(_OFF),
    "x above the field": b"\x02" + big(P + _ON),
    "x of the field itself": b"\x03" + big(P),
    "hybrid, in the length of a compressed point": b"\x06" + big(_ON),
    "uncompressed, in the length of a compressed point": b"\x04" + big(_ON),
    "a prefix of nothing": b"\x05" + big(_ON),
}
P256_LENGTHS = {
    "infinity": b"\x00",
    "uncompressed": b"\x04" + big(_ON) * 2,
    "hybrid": b"\x07" + big(_ON) * 2,
    "cut": b"\x02" + big(_ON)[:-1],
}
ED25519 = {
    "order 1": little(1),
    "order 2": little(Q - 1),
    "order 4": little(0),
    "order 4, the other sign": little(TOP),
    "order 8": little(Y8),
    "order 8, the other sign": little(Y8 | TOP),
    "order 8, the other y": little(Q - Y8),
    "order 8, the other y and sign": little((Q - Y8) | TOP),
    "order 1, with a sign": little(1 | TOP),
    "order 2, with a sign": little((Q - 1) | TOP),
    "y above the field, of order 1": little(Q + 1),
    "y of the field itself": little(Q),
    "y above the field": little(Q + 3),
    "y above the field, with a sign": little((Q + 3) | TOP),
}
X25519 = {
    "zero": little(0),
    "one": little(1),
    "order 8": little(U8),
    "order 8, the other": little(U8_OTHER),
    "minus one": little(Q - 1),
    "the field itself": little(Q),
    "above the field": little(Q + 1),
    "zero, with the top bit": little(TOP),
    "order 8, with the top bit": little(U8 | TOP),
    "nine, with the top bit": little(9 | TOP),
    "nine, above the field": little(Q + 9),
}
LENGTHS = {"empty": b"", "cut": bytes(31), "longer": bytes(34), "twice": bytes(64)}

CERTIFIED = {"p256": P256, "ed25519": ED25519}
EPHEMERAL = {"p256": P256, "ed25519": X25519}
WRONG_LENGTH = {"p256": P256_LENGTHS | LENGTHS, "ed25519": LENGTHS}
OTHER_SUITE = {"p256": little(9), "ed25519": b"\x02" + big(_ON)}
"""A key of the other suite: it decodes, since a wire does not know its scheme."""


def signatures(suite: str, good: bytes) -> dict[str, bytes]:
    """Return what a verifier may wrongly take for a good signature, made from it."""
    if suite == "p256":
        r, s = int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big")
        pairs = {
            "high s": (r, N - s), "r of zero": (0, s), "s of zero": (r, 0), "both zero": (0, 0), "r of n": (N, s),
            "s of n": (r, N), "s above n": (r, min(N + s, 2**256 - 1)), "r above n": (2**256 - 1, s),
        }  # fmt: skip
        return {name: big(r) + big(s) for name, (r, s) in pairs.items()}
    point, s = good[:32], int.from_bytes(good[32:], "little")
    return {
        "S above l": point + little(s + L),
        "S above 2l": point + little(s + 2 * L),
        "S of zero": point + little(0),
        "R of order 1": little(1) + good[32:],
        "R above the field": little(Q + 1) + good[32:],
        "R with the other sign": good[:31] + bytes([good[31] ^ 0x80]) + good[32:],
        "all zero": bytes(64),
        "all ones": b"\xff" * 64,
    }
