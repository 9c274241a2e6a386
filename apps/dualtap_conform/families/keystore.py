"""``keystore.jsonl``: what a fresh keystore signs, one call after another, and what it refuses (SPEC §13)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from dualtap.suite import SUITES
from dualtap_conform.curves import P256
from dualtap_conform.setup import Json, Object
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector

REFUSED = "KEYSTORE_REFUSED"
RETIRED = "RETIRED"
SUCCESSOR, TRANSFER, RECEIPT, CLOSE = 19, 32, 33, 34
_MOST = 2**63 - 1


class Chip:
    """The questions to one keystore, each with the answer that it owes."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._stage = stage
        self._root, self._private = stage.key("root"), stage.private(name)
        self._key = stage.key(name)
        if stage.suite.number == 1:
            self._key = P256.encode(P256.times(int.from_bytes(self._private, "big"), P256.G))
        number = bytes([stage.suite.number])
        self._scheme = sha256(b"dualtap scheme 1" + number + self._root).digest()
        self._calls: list[Json] = []
        self._answers: list[Json] = []

    def _id(self, kind: int, public: bytes, commitment: bytes) -> str:
        return sha256(self._scheme + bytes([kind]) + self._key + public + commitment).hexdigest()

    def entry(
        self,
        prev: int,
        ctr: int,
        kind: int = TRANSFER,
        what: str = "",
        refused: bool | str = False,
        **parts: bytes,
    ) -> Chip:
        """Ask for an entry of the tape; what it says follows from ``what``, but for the parts that are given."""
        at = prev.to_bytes(8, "big"), ctr.to_bytes(8, "big")
        public, salt, request = (
            parts.get(name, self._stage.draw(f"{name} {what}")) for name in ("public", "salt", "request")
        )
        shown = parts.get("shown", b"\0" + self._stage.draw(f"refund {what}"))
        private = parts.get("private", sha256(shown).digest())
        place = sha256(salt + at[0] + at[1] + private).digest()
        named = self._id(kind, public, sha256(place + request).digest())
        opening: Object = {
            "salt": salt.hex(),
            "prev": at[0].hex(),
            "ctr": at[1].hex(),
            "private": private.hex(),
            "request": request.hex(),
        }
        return self._ask(kind, public, opening, named, refused, shown)

    def off(self, kind: int, what: str = "", *, refused: bool | str = False, public: bytes | None = None) -> Chip:
        """Ask for something off the tape."""
        public = self._stage.draw(f"public {what}") if public is None else public
        return self._ask(kind, public, None, self._id(kind, public, bytes(32)), refused)

    def pin(self, what: str, *given: str, verified: bool = False, error: str = "") -> Chip:
        """Do something with the PIN: what is given, and then whether the user is verified, or the error."""
        self._calls.append({"pin": what, "given": [item.encode().hex() for item in given]})
        self._answers.append({"error": error} if error else {"verified": verified})
        return self

    def _ask(
        self, kind: int, public: bytes, opening: Object | None, named: str, refused: bool | str, shown: bytes = b""
    ) -> Chip:
        half = None if opening is None else shown.hex()
        self._calls.append({"kind": kind, "public": public.hex(), "opening": opening, "shown": half})
        code = refused if isinstance(refused, str) else REFUSED
        self._answers.append({"error": code} if refused else {"id": named})
        return self

    def vector(self, clauses: Sequence[str], flag: str, comment: str) -> Vector:
        """Return all the calls as one question."""
        given: Object = {"root": self._root.hex(), "private": self._private.hex(), "calls": self._calls}
        gives: Object = {"answers": self._answers}
        return Vector("keystore", self._stage.suite.name, tuple(clauses), (flag,), comment, given, gives)


def _order(stage: Stage) -> Iterator[Vector]:
    def chip() -> Chip:
        return Chip(stage, "wallet")

    made = chip().entry(0, 1, what="a").entry(1, 2, RECEIPT, "b").entry(2, 3, CLOSE, "c")
    yield made.vector(("13-2", "13-1"), "Order", "three entries in order")
    yield (
        chip().entry(0, 4).entry(4, 5, what="b").entry(9, 12, what="c").vector(("13-4",), "Order", "counters may skip")
    )
    yield chip().entry(100, 104).vector(("13-4",), "Order", "the first entry may begin anywhere")
    made = chip().entry(0, 3).entry(0, 3).entry(3, 4, what="b").entry(3, 4, what="b")
    yield made.vector(("13-3",), "SignAgain", "the same id is signed again, after a lost answer")
    made = chip().entry(0, 3).entry(0, 3).entry(3, 4, what="b")
    yield made.vector(("13-3", "13-4"), "SignAgain", "signing again leaves the cell as it is")
    made = chip().entry(0, 3).entry(3, 4, what="b").entry(0, 3, refused=True).entry(3, 4, what="b")
    yield made.vector(("13-3", "13-4"), "GoingBack", "only the last id is signed again, not the one before")
    for changed, what in (
        ({"public": stage.draw("other")}, "says something else"), ({"salt": stage.draw("other")}, "has another salt"),
        ({"shown": b"\1"}, "has another private half"), ({"request": bytes(32)}, "has no request"),
    ):  # fmt: skip
        made = chip().entry(0, 3).entry(0, 3, TRANSFER, "", True, **changed)
        yield made.vector(("13-3", "13-4"), "TwoAtOnePlace", f"a second entry at the same place {what}")
    made = chip().entry(0, 3).entry(0, 3, RECEIPT, refused=True)
    yield made.vector(("13-3", "13-4"), "TwoAtOnePlace", "a second entry at the same place is of another kind")
    for prev, ctr, what in (
        (2, 4, "begins one too early"), (0, 4, "begins at the start"), (0, 2, "lies within"), (2, 3, "ends with it"),
        (1, 2, "lies in the middle"), (0, 100, "holds all of it"), (2, 100, "begins within and goes far"),
    ):  # fmt: skip
        made = chip().entry(0, 3).entry(prev, ctr, what="b", refused=True).entry(3, 4, what="c")
        comment = f"an interval that {what} is refused, and nothing changes"
        yield made.vector(("13-4",), "Overlap", comment)
    for prev, ctr in ((5, 5), (5, 4), (5, 0), (3, 3), (_MOST, 0), (_MOST, _MOST), (256, 255), (2**32, 1)):
        made = chip().entry(0, 3).entry(prev, ctr, what="b", refused=True).entry(3, 4, what="c")
        yield made.vector(("13-4", "4.2-1"), "NoPlace", f"({prev}, {ctr}] is no place on a tape")
    yield chip().entry(0, 0, refused=True).entry(0, 1).vector(("13-4",), "NoPlace", "(0, 0] is no place on a tape")
    for first, second in ((255, 256), (65_535, 65_536), (2**31 - 1, 2**31), (2**32 - 1, 2**32), (2**53, 2**53 + 1)):
        made = (
            chip().entry(0, first).entry(first, second, what="b").entry(first - 1, second + 1, what="c", refused=True)
        )
        comment = f"counters of 8 bytes: {first} comes before {second}"
        yield made.vector(("13-4",), "LargeNumber", comment)
    made = chip().entry(_MOST - 1, _MOST).entry(_MOST, _MOST, what="b", refused=True)
    made.entry(0, 1, what="c", refused=True).entry(_MOST - 1, _MOST)
    yield made.vector(("13-4",), "LargeNumber", "after the last counter nothing is signed but the last entry")
    made = chip().entry(0, 2**56).entry(1, 2, what="b", refused=True).entry(2**56, 2**56 + 1, what="c")
    yield made.vector(("13-4",), "ByteOrder", "2^56 comes after 1, whatever the order of bytes")


def _kinds(stage: Stage) -> Iterator[Vector]:
    def chip() -> Chip:
        return Chip(stage, "wallet")

    off = (
        (16, "REQUEST"), (17, "PRESENT"), (18, "SYNC"), (20, "GRANT"), (21, "BIND"), (22, "OWN"),
        (23, "ORDER"),
    )  # fmt: skip
    others = (
        (1, "TOKEN"), (2, "AUTHORITY"), (3, "WALLET"), (4, "HEADER"), (5, "POLICY"), (6, "REPLY"), (0, "no kind"),
        (7, "no kind"), (15, "no kind"), (24, "no kind"), (31, "no kind"), (35, "no kind"), (255, "no kind"),
    )  # fmt: skip
    for kind, name in off:
        made = chip().off(kind).entry(0, 1)
        yield made.vector(("13-6",), "OffTape", f"a {name} is signed off the tape, and touches no cell")
        made = chip().entry(0, 1, kind, refused=True).entry(0, 1)
        yield made.vector(("13-2",), "WrongCall", f"a {name} is refused on the tape")
    made = chip().entry(0, 1, 19, refused=True).entry(0, 1)
    yield made.vector(("13-2",), "WrongCall", "a SUCCESSOR is refused on the tape")
    for kind, name in ((TRANSFER, "TRANSFER"), (RECEIPT, "RECEIPT"), (CLOSE, "CLOSE")):
        made = chip().off(kind, refused=True).entry(0, 1, kind)
        yield made.vector(("13-6",), "WrongCall", f"a {name} is refused off the tape")
    for kind, name in others:
        made = chip().off(kind, refused=True).entry(0, 1, kind, refused=True).entry(0, 1)
        yield made.vector(("13-8", "13-2", "13-6"), "WrongCall", f"kind {kind} ({name}) is never signed here")
    made = chip().entry(0, 3).off(17).off(16, "b").entry(0, 3).entry(3, 4, what="b").off(17)
    yield made.vector(("13-6", "13-3"), "OffTape", "what is off the tape does not come between an entry and itself")


def _lengths(stage: Stage) -> Iterator[Vector]:
    def chip() -> Chip:
        return Chip(stage, "wallet")

    for size in (0, 1, 31, 33, 64):
        data = stage.draw("long") * 2
        made = chip().off(17, public=data[:size], refused=True).entry(0, 1, public=data[:size], refused=True)
        yield made.entry(0, 1).vector(("13-7",), "WrongSize", f"H(public) has {size} bytes")
        for name, what in (("salt", "the salt"), ("private", "the private digest"), ("request", "the request digest")):
            made = chip().entry(0, 1, TRANSFER, "", True, **{name: data[:size]}).entry(0, 1)
            yield made.vector(("13-7",), "WrongSize", f"{what} has {size} bytes")
    data = sha256(b"\0").digest() + stage.draw("more")
    made = chip().entry(0, 1, shown=b"\0", private=data[:33], request=data[33:64], refused=True)
    made.entry(0, 1, shown=b"\0", private=data[:32], request=data[32:64])
    yield made.vector(("13-7",), "Borders", "private digest and request digest share their bytes otherwise")
    data = stage.draw("borders")
    made = chip().entry(0, 1, salt=data[:31], refused=True).entry(0, 1, salt=data[:32])
    yield made.vector(("13-7",), "Borders", "a salt that is one byte short, then whole")


def _retired(stage: Stage) -> Iterator[Vector]:
    def chip() -> Chip:
        return Chip(stage, "wallet").off(SUCCESSOR, "heir")

    none = bytes(32)
    yield chip().off(SUCCESSOR, "heir").vector(("20-1",), "Retired", "the same Successor is signed again")
    made = chip().off(SUCCESSOR, "other", refused=RETIRED).off(SUCCESSOR, "heir")
    yield made.vector(("20-1",), "Retired", "another Successor is refused, and nothing changes")
    for kind, name in ((16, "REQUEST"), (20, "GRANT")):
        yield chip().off(kind, refused=RETIRED).vector(("20-2",), "Retired", f"a retired key signs no {name}")
    made = chip().entry(0, 3, refused=RETIRED).entry(0, 3, request=none)
    yield made.vector(("20-2",), "Retired", "a retired key pays nobody, and deposits")
    made = chip().off(17).off(18).entry(0, 1, RECEIPT).entry(1, 2, CLOSE, "b").entry(2, 3, what="c", request=none)
    yield made.vector(("20-2",), "Retired", "what a retired key still signs: Present, Sync, Receipt, Close, deposit")
    made = Chip(stage, "wallet").entry(0, 3).off(SUCCESSOR, "heir").entry(0, 3).entry(3, 4, what="b", refused=RETIRED)
    yield made.vector(("20-2", "13-3"), "Retired", "the last entry is signed again, though it is a transfer")
    made = chip().entry(0, 3, RECEIPT).off(SUCCESSOR, "other", refused=RETIRED).entry(3, 4, what="b", refused=RETIRED)
    yield made.vector(("20-1", "20-2"), "Retired", "an entry of the tape does not bring a retired key back")
    made = chip().entry(0, 3, what="x", refused=RETIRED).entry(0, 1, CLOSE).entry(0, 2, RECEIPT, "b", refused=True)
    yield made.vector(("20-2", "13-4"), "Retired", "a retired key keeps its order")
    made = Chip(stage, "wallet").off(SUCCESSOR, refused=True, public=bytes(31)).off(16).off(SUCCESSOR, "heir")
    yield made.vector(("20-1", "13-7"), "Retired", "a Successor that is refused retires nothing")


def _halves(stage: Stage) -> Iterator[Vector]:
    for half, what in (
        (b"", "is empty"), (b"\1", "says something else"), (bytes(32), "has 32 bytes"), (bytes(34), "has 34 bytes"),
    ):  # fmt: skip
        made = Chip(stage, "wallet").entry(0, 1, shown=half, private=sha256(b"\0").digest(), refused=True)
        if half != b"\1":
            made.entry(0, 1, shown=half, refused=True)
        made.entry(0, 1, shown=b"\0")
        yield made.vector(("13-10",), "PrivateHalf", f"a private half that {what}")
    for half, what in ((b"\2", "PIN"), (b"\3", "DEVICE")):
        made = Chip(stage, "wallet").entry(0, 1, shown=half, refused="UNVERIFIED").entry(0, 1, shown=b"\1")
        comment = f"a transfer that says {what} is not signed by a keystore that was given no PIN"
        yield made.vector(("22-13",), "Verification", comment)


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    for suite in SUITES.values():
        stage = Stage(suite)
        for part in (_order, _kinds, _lengths, _retired, _halves):
            yield from part(stage)
