"""Two suites of algorithms, each with one acceptance rule."""

from __future__ import annotations

from hashlib import sha512

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dualtap.errors import Code, TapError
from dualtap.session import Channel
from dualtap.statements import Scheme
from dualtap.suite import ED25519, P256, SUITES, TAG, Drbg, Suite, derive, sha256, unseal

SECRETS = tuple(sha256(bytes([n])) for n in range(4))
DIGEST = sha256(b"what is signed")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED_ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
each = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)


def refused(code: Code, suite: Suite, public: bytes, signature: bytes = bytes(64), digest: bytes = DIGEST) -> None:
    with pytest.raises(TapError) as caught:
        suite.verifier(public)(signature, digest)
    assert caught.value.code is code


def test_the_suites() -> None:
    assert {suite.number: suite.name for suite in SUITES.values()} == {1: "p256", 2: "ed25519"}


@each
def test_sign_and_verify(suite: Suite) -> None:
    """§3-6."""
    signer, other = suite.signer(SECRETS[0]), suite.signer(SECRETS[1])
    signature = signer.sign(DIGEST)
    assert len(signature) == 64
    assert len(signer.public) == suite.public_size
    assert signer.sign(DIGEST) == signature, "no chance in it"
    suite.verifier(signer.public)(signature, DIGEST)
    refused(Code.BAD_SIGNATURE, suite, other.public, signature)
    refused(Code.BAD_SIGNATURE, suite, signer.public, signature, sha256(b"something else"))
    for place in range(64):
        changed = bytearray(signature)
        changed[place] ^= 1
        refused(Code.BAD_SIGNATURE, suite, signer.public, bytes(changed))
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(64), b"\xff" * 64):
        refused(Code.BAD_SIGNATURE, suite, signer.public, wrong)


def test_p256_takes_only_the_low_s() -> None:
    """§3-6, §3-7."""
    signer = P256.signer(SECRETS[0])
    for n in range(16):
        digest = sha256(bytes([n]))
        signature = signer.sign(digest)
        s = int.from_bytes(signature[32:], "big")
        assert s <= ORDER // 2
        high = signature[:32] + (ORDER - s).to_bytes(32, "big")
        refused(Code.BAD_SIGNATURE, P256, signer.public, high, digest)


@each
def test_the_digest_is_what_is_signed(suite: Suite) -> None:
    """§3-4: as the message digest itself in suite 1, as the message in suite 2, by a library that knows neither."""
    signature, public = suite.signer(SECRETS[0]).sign(DIGEST), suite.signer(SECRETS[0]).public
    if suite is ED25519:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, DIGEST)
        return
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    key.verify(encode_dss_signature(r, s), DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_ed25519_has_no_cofactor() -> None:
    """§3-11: R is shifted by the point of order two, which a verifier with the cofactor would not see."""
    scalar = int.from_bytes(_clamped(sha512(SECRETS[0]).digest()[:32]), "little")
    public = ED25519.signer(SECRETS[0]).public
    nonce = int.from_bytes(sha512(b"nonce").digest(), "little") % ED_ORDER
    good = _times_base(nonce)
    shifted = ((FIELD - (int.from_bytes(good, "little") & (2**255 - 1))) | (good[31] >> 7 ^ 1) << 255).to_bytes(
        32, "little"
    )
    for start, fine in ((good, True), (shifted, False)):
        k = int.from_bytes(sha512(start + public + DIGEST).digest(), "little")
        s = (nonce + k * scalar) % ED_ORDER
        signature = start + s.to_bytes(32, "little")
        if fine:
            ED25519.verifier(public)(signature, DIGEST)
        else:
            refused(Code.BAD_SIGNATURE, ED25519, public, signature)


def _clamped(secret: bytes) -> bytes:
    return bytes([secret[0] & 248, *secret[1:31], secret[31] & 127 | 64])


def _times_base(scalar: int) -> bytes:
    """Return the encoding of a multiple of Ed25519's base point (RFC 8032, affine and slow)."""
    d = -121665 * pow(121666, -1, FIELD) % FIELD

    def add(p: tuple[int, int], q: tuple[int, int]) -> tuple[int, int]:
        product = d * p[0] * q[0] * p[1] * q[1]
        x = (p[0] * q[1] + q[0] * p[1]) * pow(1 + product, -1, FIELD)
        y = (p[1] * q[1] + p[0] * q[0]) * pow(1 - product, -1, FIELD)
        return x % FIELD, y % FIELD

    base = 15112221349535400772501151409588531511454012693041857206046113283949847762202, 4 * pow(5, -1, FIELD) % FIELD
    point = 0, 1
    while scalar:
        if scalar & 1:
            point = add(point, base)
        base, scalar = add(base, base), scalar >> 1
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def test_ed25519_takes_no_second_form_of_s() -> None:
    """§3-11."""
    signer = ED25519.signer(SECRETS[0])
    signature = signer.sign(DIGEST)
    s = int.from_bytes(signature[32:], "little") + ED_ORDER
    refused(Code.BAD_SIGNATURE, ED25519, signer.public, signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize(
    "public",
    [b"", bytes(32), bytes(33), b"\x02" + b"\xff" * 32, b"\x05" + bytes(32), b"\x04" + bytes(64), b"\x02" + bytes(31)],
)
def test_p256_keys(public: bytes) -> None:
    """§3-2, §3-5."""
    refused(Code.BAD_KEY, P256, public)


def test_p256_takes_no_second_form_of_a_key() -> None:
    """§3-5: the same point, with both of its coordinates."""
    public = P256.signer(SECRETS[0]).public
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    for form in (PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint):
        encoded = point.public_bytes(Encoding.X962, form)
        if encoded == public:
            P256.verifier(encoded)
        else:
            refused(Code.BAD_KEY, P256, encoded)


@pytest.mark.parametrize(
    "y",
    [0, 1, FIELD - 1, FIELD, FIELD + 1, FIELD + 3, 2**255 - 1, 2**255 | 1,
     0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7],
)  # fmt: skip
def test_ed25519_keys_of_small_order_or_a_second_form(y: int) -> None:
    """§3-10."""
    refused(Code.BAD_KEY, ED25519, y.to_bytes(32, "little"))


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(33)])
def test_ed25519_keys_have_one_length(public: bytes) -> None:
    """§3-2."""
    refused(Code.BAD_KEY, ED25519, public)


def test_an_ed25519_key_that_is_no_point_verifies_nothing() -> None:
    """§3-11."""
    signature = ED25519.signer(SECRETS[0]).sign(DIGEST)
    refused(Code.BAD_SIGNATURE, ED25519, (2).to_bytes(32, "little"), signature)


@each
def test_two_ephemeral_keys_share_a_secret(suite: Suite) -> None:
    """§3-13."""
    mine, theirs = suite.ephemeral(SECRETS[0]), suite.ephemeral(SECRETS[1])
    assert mine.exchange(theirs.public) == theirs.exchange(mine.public)
    assert len(mine.exchange(theirs.public)) == 32
    for bad in (mine.public, b"", bytes(32), bytes(33), b"\xff" * 32, b"\x02" + b"\xff" * 32):
        with pytest.raises(TapError) as caught:
            mine.exchange(bad)
        assert caught.value.code is Code.BAD_KEY


def test_p256_gives_no_secret_of_zeros() -> None:
    """SPEC §3-13: a point with x = 0 exists, and whoever knows the private key can lead an agreement there."""
    mine = P256.ephemeral((1).to_bytes(32, "big"))  # the private key 2
    half_of_the_point_with_x_0 = "0281bfb55b010b1bdf08b8d9d8590087aa278e28febff3b05632eeff09011c5579"
    with pytest.raises(TapError) as caught:
        mine.exchange(bytes.fromhex(half_of_the_point_with_x_0))
    assert caught.value.code is Code.BAD_KEY


@pytest.mark.parametrize("point", [0, 1, FIELD - 1, FIELD, FIELD + 1, 2**255 + 9])
def test_x25519_gives_no_secret_for_a_small_order_or_a_second_form(point: int) -> None:
    """§3-12, §3-13."""
    with pytest.raises(TapError) as caught:
        ED25519.ephemeral(SECRETS[0]).exchange(point.to_bytes(32, "little"))
    assert caught.value.code is Code.BAD_KEY


@each
def test_sealing(suite: Suite) -> None:
    sealer = suite.sealer(SECRETS[0][: suite.seal_key_size])
    nonce = bytes(12)
    sealed = sealer.encrypt(nonce, b"hello", None)
    assert len(sealed) == len(b"hello") + TAG
    assert unseal(sealer, nonce, sealed) == b"hello"
    for bad in (b"", sealed[:-1], sealed + b"\0", bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(TapError) as caught:
            unseal(sealer, nonce, bad)
        assert caught.value.code is Code.BAD_SEAL


@each
def test_frames_come_once_and_in_order(suite: Suite) -> None:
    """§6-3."""
    first, second = (suite.sealer(secret[: suite.seal_key_size]) for secret in SECRETS[:2])
    near, far = Channel(DIGEST, True, first, second), Channel(DIGEST, False, second, first)
    frames = [near.seal(b"one"), near.seal(b"two")]
    for wrong in (frames[1], b"", b"short", far.seal(b"reflected")[::-1]):
        with pytest.raises(TapError) as caught:
            far.open(wrong)
        assert caught.value.code is Code.BAD_SEAL
    assert far.open(frames[0]) == b"one"
    with pytest.raises(TapError) as caught:
        far.open(frames[0])
    assert caught.value.code is Code.BAD_SEAL
    assert far.open(frames[1]) == b"two"
    with pytest.raises(TapError) as caught:
        near.open(near.seal(b"to myself"))
    assert caught.value.code is Code.BAD_SEAL


def test_hkdf_is_rfc_5869() -> None:
    """§3-3."""
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    salt, info = bytes(range(13)), bytes(range(0xF0, 0xFA))
    assert derive(b"\x0b" * 22, salt, info, 42).hex() == expected


def test_chance_comes_from_a_seed() -> None:
    one, two = Drbg(SECRETS[0]), Drbg(SECRETS[0])
    drawn = [one.take(16) for _ in range(50)]
    assert drawn == [two.take(16) for _ in range(50)]
    assert len(set(drawn)) == 50
    assert {one.below(3) for _ in range(60)} == {0, 1, 2}
    assert Drbg(SECRETS[1]).take(16) != Drbg(SECRETS[0]).take(16)
    with pytest.raises(TapError) as caught:
        Drbg(bytes(31))
    assert caught.value.code is Code.BAD_INPUT


@each
def test_a_scheme_has_a_good_root(suite: Suite) -> None:
    scheme = Scheme.of(suite, suite.signer(SECRETS[0]).public)
    assert scheme.hint == scheme.id[:4]
    assert repr(suite) == f"<suite {suite.name}>"
    with pytest.raises(TapError) as caught:
        Scheme.of(suite, bytes(suite.public_size))
    assert caught.value.code is Code.BAD_KEY
