"""``channel.jsonl``: the sealed session at both ends, made here from HMAC and the ciphers alone (SPEC §6)."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers.aead import AESCCM, ChaCha20Poly1305

from dualtap.errors import Code
from dualtap.suite import SUITES
from dualtap_conform.curves import P256, Edwards, x25519
from dualtap_conform.handmade import Plain, canonical
from dualtap_conform.setup import Json, Object
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector, error

COLLECT, PAY, SYNC, AUTHORITIES = 1, 2, 4, 8


@cache
def _public(suite: int, private: bytes) -> bytes:
    """Return the public key of a private one."""
    if suite == 1:
        return P256.encode(P256.times(int.from_bytes(private, "big"), P256.G))
    return x25519(private, 9)


@cache
def _shared(suite: int, private: bytes, other: bytes) -> bytes:
    """Return the secret of two private keys."""
    if suite == 2:
        return x25519(private, int.from_bytes(_public(2, other), "little"))
    shared = P256.times(int.from_bytes(private, "big") * int.from_bytes(other, "big"), P256.G)
    return (shared or (0, 0))[0].to_bytes(32, "big")


@dataclass(frozen=True)
class Session:
    """A Hello and its Welcome, and what both sides derive from them."""

    stage: Stage
    offer: tuple[int, ...] = (1,)
    wanted: int = PAY
    chosen: int = 1
    granted: int = COLLECT
    tap: str = ""
    hint: bytes = b""
    first_key: bytes = b""
    second_key: bytes = b""

    def key(self, initiator: bool) -> bytes:
        """Return an ephemeral public key: made here, or as it was given."""
        return (self.first_key if initiator else self.second_key) or self._own(initiator)

    def private(self, initiator: bool) -> bytes:
        """Return an ephemeral private key."""
        return self.stage.ephemeral_private(f"{'initiator' if initiator else 'responder'}{self.tap}")

    def _own(self, initiator: bool) -> bytes:
        return _public(self.stage.suite.number, self.private(initiator))

    @property
    def scheme(self) -> bytes:
        """The scheme's id."""
        return sha256(b"dualtap scheme 1" + bytes([self.stage.suite.number]) + self.stage.key("root")).digest()

    @property
    def hello(self) -> bytes:
        """The first frame."""
        return canonical([1, self.hint or self.scheme[:4], [*self.offer], self.key(True), self.wanted])

    def welcome(self, sealed: bytes = b"") -> bytes:
        """Return the second frame."""
        return canonical([2, self.chosen, self.key(False), self.granted, sealed])

    @property
    def transcript(self) -> bytes:
        """H(tap, scheme, H(Hello), choice)."""
        choice: list[Plain] = [self.chosen, self.key(False), self.granted]
        parts = b"dualtap tap 1", self.scheme, sha256(self.hello).digest(), canonical(choice)
        return sha256(b"".join(parts)).digest()

    def seal(
        self, initiator: bool, count: int, plaintext: bytes, *, order: str = "big", data: bytes | None = None
    ) -> bytes:
        """Return a frame: the one after ``count`` others of that side."""
        size = 16 if self.stage.suite.number == 1 else 32
        secret = _shared(self.stage.suite.number, self.private(True), self.private(False))
        extracted = hmac.digest(self.transcript, secret, "sha256")
        one = hmac.digest(extracted, b"dualtap keys 1\x01", "sha256")
        keys = one + hmac.digest(extracted, one + b"dualtap keys 1\x02", "sha256")
        key = keys[:size] if initiator else keys[size : 2 * size]
        nonce = count.to_bytes(12, "little" if order == "little" else "big")
        cipher = AESCCM(key) if size == 16 else ChaCha20Poly1305(key)
        return cipher.encrypt(nonce, plaintext, data)

    def frames(self, initiator: bool, plaintexts: Sequence[bytes]) -> list[bytes]:
        """Return a side's frames, in order."""
        return [self.seal(initiator, count, plaintext) for count, plaintext in enumerate(plaintexts)]


_SAID = (b"\x91\x07", b"", b"\x92\x08\x05")
_HEARD = (b"\x91\x09", b"\x92\x08\x33")


def _ask(
    session: Session,
    initiator: bool,
    clauses: tuple[str, ...],
    flag: str,
    comment: str,
    wrong: Code | None = None,
    *,
    seal: Sequence[bytes] = (),
    heard: Sequence[bytes] = (),
    frames: Sequence[bytes] | None = None,
    sealed: bytes | None = None,
) -> Vector:
    """Return a question to one side: ``heard`` is said by the other, or ``frames`` come that it never sent so."""
    received = session.frames(not initiator, heard) if frames is None else list(frames)
    if sealed is None:
        sealed = received[0] if received and initiator and session.granted & COLLECT else b""
    opened: list[Json] = [frame.hex() for frame in received]
    given: Object = {
        "root": session.stage.key("root").hex(),
        "initiator": initiator,
        "private": session.private(initiator).hex(),
        "hello": session.hello.hex(),
        "welcome": session.welcome(sealed).hex(),
        "seal": [plaintext.hex() for plaintext in seal],
        "open": opened,
    }
    gives: Object = {
        "transcript": session.transcript.hex(),
        "sealed": [frame.hex() for frame in session.frames(initiator, seal)],
        "opened": [plaintext.hex() for plaintext in heard],
    }
    side = "initiator" if initiator else "responder"
    answer = error(wrong) if wrong else gives
    return Vector("channel", session.stage.suite.name, clauses, (flag,), f"as {side}: {comment}", given, answer)


def _right(stage: Stage) -> Iterator[Vector]:
    plain = Session(stage)
    for session, what in (
        (plain, "it pays, and the Welcome brings the first message"),
        (replace(plain, wanted=COLLECT, granted=PAY, tap=" 2"), "the initiator collects"),
        (replace(plain, wanted=PAY | AUTHORITIES, tap=" 3"), "the initiator lacks authorities"),
        (replace(plain, granted=COLLECT | AUTHORITIES, tap=" 4"), "the responder lacks authorities"),
        (replace(plain, wanted=COLLECT | SYNC, granted=PAY | SYNC, tap=" 5"), "SYNC is reserved: it says nothing"),
    ):
        for initiator in (True, False):
            yield _ask(session, initiator, ("6-2",), "Basic", what, seal=_SAID, heard=_HEARD)
    for offer in ((1, 2), (2, 1), (0, 255, 1), (1, 1)):
        session = replace(plain, offer=offer)
        comment = f"the versions {list(offer)} are offered, and are in the transcript"
        yield _ask(session, False, ("6-2", "6-7"), "Versions", comment, seal=_SAID, heard=_HEARD)
    many = [bytes([count % 256]) for count in range(258)]
    yield _ask(plain, False, ("6-2", "5.7-1"), "NonceCount", "258 frames: the count needs two bytes", heard=many)
    yield _ask(plain, True, ("6-2", "5.7-1"), "NonceCount", "258 frames are sealed", seal=many, heard=(b"",))
    for size in (1, 15, 16, 17, 64, 1008):
        data = stage.draw("data") * 32
        comment = f"a plaintext of {size} bytes each way"
        yield _ask(plain, True, ("6-2",), "Sizes", comment, seal=(data[:size],), heard=(data[-size:],))


def _altered(stage: Stage) -> Iterator[Vector]:
    session = Session(stage)
    other = replace(session, tap=" of another tap")
    for initiator in (True, False):
        good = session.frames(not initiator, (b"first", b"second", b"third"))
        own = session.frames(initiator, (b"first", b"second"))
        strange = other.frames(not initiator, (b"first",))
        first, second = good[0], good[1]
        transcript = session.transcript
        for frames, clause, flag, what in (
            ([bytes([first[0] ^ 1]) + first[1:]], "6-3", "Altered", "the first bit of a frame flipped"),
            ([first[:-1] + bytes([first[-1] ^ 0x80])], "6-3", "Altered", "the last bit of a tag flipped"),
            ([first, second[:-17] + bytes([second[-17] ^ 1]) + second[-16:]], "6-3", "Altered", "the second altered"),
            ([first[:-1]], "6-3", "Truncated", "a frame without its last byte"),
            ([first[:-8]], "6-3", "Truncated", "a frame with half a tag"),
            ([first[:5]], "6-3", "Truncated", "a frame without its tag"),
            ([first[1:]], "6-3", "Truncated", "a frame without its first byte"),
            ([first + b"\0"], "6-3", "TrailingBytes", "a frame with a byte behind it"),
            ([b"\0" * 15], "6-3", "Truncated", "15 bytes, less than a tag"),
            ([b"\0" * 16], "6-3", "Altered", "16 zero bytes"),
            ([b"first"], "6-13", "Unsealed", "a plaintext as it is"),
            ([first, first], "6-3", "Replayed", "a frame twice"),
            ([first, second, first], "6-3", "Replayed", "the first frame as the third"),
            ([second], "6-3", "Reordered", "the second frame, without the first"),
            ([second, first], "6-3", "Reordered", "two frames in the other order"),
            ([first, good[2]], "6-3", "Reordered", "the third frame after the first"),
            ([own[0]], "6-2", "Reflected", "its own first frame, reflected"),
            ([first, own[1]], "6-2", "Reflected", "its own second frame, reflected"),
            (strange, "6-4", "OtherSession", "a frame of another tap"),
            (
                [first, session.seal(not initiator, 1, b"second", order="little")],
                "6-2", "NonceCount", "a nonce that counts little-endian",
            ),
            ([session.seal(not initiator, 1, b"first")], "6-2", "NonceCount", "a nonce that counts from 1"),
            ([session.seal(not initiator, 0, b"first", data=transcript)], "6-2", "AssociatedData", "associated data"),
        ):  # fmt: skip
            sealed = good[0] if initiator else b""
            yield _ask(session, initiator, (clause,), flag, what, Code.BAD_SEAL, frames=frames, sealed=sealed)
        if not initiator:
            yield _ask(session, initiator, ("6-3",), "Truncated", "an empty frame", Code.BAD_SEAL, frames=[b""])
    heard = session.frames(False, (b"first",))
    for changed, what in (
        (replace(session, offer=(1, 2)), "versions"), (replace(session, wanted=PAY | AUTHORITIES), "want"),
        (replace(session, first_key=other.key(True)), "ephemeral key"),
    ):  # fmt: skip
        comment = f"the Hello's {what} arrived otherwise than it was sent"
        sent = session.frames(True, (b"first",))
        yield _ask(changed, False, ("6-2", "6-3"), "TranscriptAltered", comment, Code.BAD_SEAL, frames=sent)
    for changed, what in (
        (replace(session, granted=COLLECT | AUTHORITIES), "want"),
        (replace(session, second_key=other.key(False)), "ephemeral key"),
    ):
        comment = f"the Welcome's {what} arrived otherwise than it was sent"
        yield _ask(changed, True, ("6-2", "6-3"), "TranscriptAltered", comment, Code.BAD_SEAL, frames=heard)


def _refused(stage: Stage) -> Iterator[Vector]:
    plain = Session(stage)
    scheme = plain.scheme
    foreign = Session(Stage(next(suite for suite in SUITES.values() if suite is not stage.suite)))
    for hint, what in (
        (bytes([scheme[0] ^ 1]) + scheme[1:4], "one bit of the hint is another"), (bytes(4), "the hint is zero"),
        (scheme[4:8], "the hint is the id's next four bytes"), (scheme[3::-1], "the hint's bytes in the other order"),
        (sha256(stage.key("root")).digest()[:4], "the hint is the root key's, not the scheme's"),
    ):  # fmt: skip
        yield _ask(replace(plain, hint=hint), False, ("6-6", "3-1"), "WrongScheme", what, Code.WRONG_SCHEME)
    for offer in ((2,), (0,), (255,), (2, 3, 4, 5, 6, 7, 8, 9)):
        comment = f"the versions {list(offer)} are offered"
        yield _ask(replace(plain, offer=offer), False, ("6-7",), "Versions", comment, Code.WRONG_VERSION)
    sealed = plain.frames(False, (b"first",))[0]
    for chosen in (0, 2, 255):
        session, comment = replace(plain, chosen=chosen), f"version {chosen} is chosen, which was not offered"
        yield _ask(session, True, ("6-7",), "Versions", comment, Code.WRONG_VERSION, sealed=sealed)
    for want, what in (
        (PAY | COLLECT, "both"), (0, "neither"), (SYNC, "only a sync"), (AUTHORITIES, "only authorities"),
        (15, "everything"),
    ):  # fmt: skip
        session = replace(plain, wanted=want)
        yield _ask(session, False, ("6-8",), "WrongRole", f"the initiator wants {what}", Code.WRONG_ROLE)
        session, comment = replace(plain, granted=want), f"the responder wants {what}"
        yield _ask(session, True, ("6-8",), "WrongRole", comment, Code.WRONG_ROLE, sealed=sealed)
    for want, what in ((PAY, "pay"), (COLLECT, "collect")):
        session, comment = replace(plain, wanted=want, granted=want), f"both sides want to {what}"
        yield _ask(session, False, ("6-8",), "WrongRole", comment, Code.WRONG_ROLE)
        part = sealed if want == COLLECT else b""
        yield _ask(session, True, ("6-8",), "WrongRole", comment, Code.WRONG_ROLE, sealed=part)
    comment = "the responder collects, and sends no first message in its Welcome"
    yield _ask(plain, True, ("6-9", "6-1"), "WelcomeContent", comment, Code.MALFORMED, sealed=b"")
    session = replace(plain, wanted=COLLECT, granted=PAY)
    comment = "the responder pays, and sends a message in its Welcome"
    yield _ask(session, True, ("6-9",), "WelcomeContent", comment, Code.MALFORMED, sealed=sealed)
    size = stage.suite.public_size
    off = next(y for y in range(1, 10) if P256.at(y) is None)
    bad = [
        (foreign.key(True), "3-2", "OtherSuite", "of the other suite"),
        (b"\x05" * size, "3-5" if size == 33 else "3-12", "KeyFormat", "of bytes 5") if size == 33
        else (b"\xff" * 32, "3-12", "SecondFormOfKey", "not canonical"),
        (b"\x02" + off.to_bytes(32, "big"), "3-5", "NoPoint", "no point") if size == 33
        else (bytes(32), "3-13", "SmallOrderKey", "of small order"),
        (bytes(33), "3-5", "PointAtInfinity", "33 zero bytes") if size == 33
        else ((Edwards.P - 1).to_bytes(32, "little"), "3-13", "SmallOrderKey", "p - 1, of small order"),
    ]  # fmt: skip
    for key, clause, flag, what in bad:
        comment = f"the peer's ephemeral key is {what}"
        yield _ask(replace(plain, first_key=key), False, (clause,), flag, comment, Code.BAD_KEY)
        session = replace(plain, second_key=key)
        yield _ask(session, True, (clause,), flag, comment, Code.BAD_KEY, sealed=sealed)
    comment = "its own ephemeral key comes back"
    session = replace(plain, first_key=plain.key(False))
    yield _ask(session, False, ("6-5", "3-13"), "Reflected", comment, Code.BAD_KEY)
    session = replace(plain, second_key=plain.key(True))
    yield _ask(session, True, ("6-5", "3-13"), "Reflected", comment, Code.BAD_KEY, sealed=sealed)


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    for suite in SUITES.values():
        stage = Stage(suite)
        for part in (_right, _altered, _refused):
            yield from part(stage)
