"""``digests.jsonl``: scheme ids, commitments and ids, computed here by SHA-256 and joined bytes alone (SPEC §3, §4)."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from dualtap.errors import Code
from dualtap.statements import Kind
from dualtap.suite import SUITES
from dualtap_conform import forms
from dualtap_conform.grammar import Fields, greatest, smallest
from dualtap_conform.handmade import Plain, canonical
from dualtap_conform.setup import Object
from dualtap_conform.stage import Stage
from dualtap_conform.vector import Vector, error

_BODIES: tuple[tuple[int, Fields], ...] = (
    (1, forms.TOKEN), (2, forms.AUTHORITY_CERTIFICATE), (3, forms.WALLET_CERTIFICATE), (4, forms.HEADER),
    (5, forms.POLICY), (16, forms.REQUEST), (17, forms.PRESENT), (18, forms.SYNC), (19, forms.SUCCESSOR),
    (20, forms.GRANT), (21, forms.BIND), (22, forms.OWN), (23, forms.ORDER), (32, forms.TRANSFER),
    (33, forms.RECEIPT), (34, forms.CLOSE),
)  # fmt: skip
_MOST = 2**63 - 1


def _hash(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def _scheme(suite: str, root: bytes) -> bytes:
    return _hash(b"dualtap scheme 1", bytes([SUITES[suite].number]), root)


def _schemes(stage: Stage) -> Iterator[Vector]:
    name = stage.suite.name
    for who in ("root", "another root"):
        root = stage.key(who)
        found = _scheme(name, root)
        gives: Object = {"id": found.hex(), "hint": found[:4].hex()}
        comment = "the scheme of a root key"
        yield Vector("scheme", name, ("3-1",), ("SchemeId",), comment, {"root": root.hex()}, gives)
    other = next(suite for suite in SUITES.values() if suite is not stage.suite)
    right = stage.key("root")
    for root, clause, flag, what in (
        (Stage(other).key("root"), "3-2", "OtherSuite", "a root key of the other suite"),
        (b"", "3-2", "WrongSize", "an empty root key"),
        (right[:-1], "3-2", "WrongSize", "a root key without its last byte"),
        (right + b"\0", "3-2", "WrongSize", "a root key with a byte too many"),
    ):
        yield Vector("scheme", name, (clause,), (flag,), what, {"root": root.hex()}, error(Code.BAD_KEY))


def _id(
    stage: Stage,
    kind: int,
    public: bytes,
    comment: str,
    flag: str = "Ids",
    *,
    clause: str = "4.1-2",
    key: bytes = b"",
    commitment: bytes = bytes(32),
    scheme: bytes = b"",
) -> Vector:
    scheme, key = scheme or _scheme(stage.suite.name, stage.key("root")), key or stage.key("wallet")
    given: Object = {
        "scheme": scheme.hex(),
        "kind": kind,
        "key": key.hex(),
        "public": public.hex(),
        "commitment": commitment.hex(),
    }
    found = _hash(scheme, bytes([kind]), key, _hash(public), commitment)
    return Vector("id", stage.suite.name, ("4.1-1", clause), (flag,), comment, given, {"id": found.hex()})


def _public(form: Fields, value: Plain) -> bytes:
    """Return the canonical bytes of what is signed: of what authorities issue, all but the last two fields."""
    assert isinstance(value, list)
    return canonical(value[:-2] if form in forms.ISSUED else value)


def _ids(stage: Stage) -> Iterator[Vector]:
    draw = stage.draw
    for kind, form in _BODIES:
        name = Kind(kind).name
        commitment = draw(f"commitment {kind}") if kind >= 32 else bytes(32)
        for end, what in ((smallest, "least"), (greatest, "greatest")):
            comment = f"a {name} with every field at its {what}"
            yield _id(stage, kind, _public(form, end(form)), comment, clause="4.1-3", commitment=commitment)
    reply = canonical([draw("challenge"), draw("upload"), draw("reply")])
    yield _id(stage, 6, reply, "a REPLY, over the array (challenge, H(upload), H(reply))", clause="14-6")
    close = _public(forms.CLOSE, smallest(forms.CLOSE))
    yield _id(stage, 34, close, "a CLOSE, with the commitment 0", "Borders")
    for kind in (33, 32, 17):
        yield _id(stage, kind, close, f"the same bytes as kind {kind}: another id", "KindInId", clause="4.1-3")
    other = _scheme(stage.suite.name, stage.key("another root"))
    yield _id(stage, 34, close, "the same in another scheme", "OtherScheme", clause="3-16", scheme=other)
    yield _id(stage, 34, close, "the same by another key", "KeyInId", key=stage.key("payee"))
    yield _id(stage, 34, close, "the same with another commitment", "Borders", commitment=b"\1" + bytes(31))
    yield _id(stage, 34, close, "the same with another commitment", "Borders", commitment=bytes(31) + b"\1")
    key = stage.key("wallet")
    twisted = key[:-1] + bytes([key[-1] ^ 1])
    yield _id(
        stage, 34, close, "the same by a key whose last bit differs: no key is checked here", "KeyInId", key=twisted
    )
    # Fields that could change places if they were hashed without H(public) or with other borders
    session, upload = draw("session"), draw("upload")
    sync, swapped = canonical([session, upload, 7]), canonical([upload, session, 7])
    yield _id(stage, 18, sync, "a SYNC", "Borders")
    yield _id(stage, 18, swapped, "the same with challenge and upload in each other's place", "Borders")
    for payee in (b"", draw("payee")):
        grant = canonical([draw("token"), payee, 0, 5, b"", 1, 2])
        yield _id(stage, 20, grant, f"a GRANT whose payee has {len(payee)} bytes", "Borders")
    parent: list[Plain] = [session, 1, 0]
    parts: tuple[list[Plain], ...] = ([[parent, 0, 5], [parent, 5, 9]], [[parent, 0, 9]])
    for spans in parts:
        transfer = canonical([key, spans, 7, []])
        comment = f"a TRANSFER of the same units in {len(spans)} spans"
        yield _id(stage, 32, transfer, comment, "Borders", commitment=draw("commitment"))
    for witness in ([b"ab", b"c"], [b"a", b"bc"], [b"abc"], [b"abc", b""]):
        transfer = canonical([key, [[[session, 0, 0], 0, 5]], 7, witness])
        comment = f"a TRANSFER whose witness is {len(witness)} items"
        yield _id(stage, 32, transfer, comment, "Borders", commitment=draw("commitment"))


def _commit(stage: Stage, comment: str, flag: str = "Commitment", clause: str = "4.2-2", **changed: object) -> Vector:
    base = {
        "seed": stage.draw("seed", 16),
        "prev": 5,
        "ctr": 7,
        "verification": 2,
        "refund_of": b"",
        "request": stage.draw("request"),
    }
    match {**base, **changed}:
        case {
            "seed": bytes(seed),
            "prev": int(prev),
            "ctr": int(ctr),
            "verification": int(verification),
            "refund_of": bytes(refund_of),
            "request": bytes(request),
        }:
            pass
        case _:
            raise TypeError(comment)
    at = prev.to_bytes(8, "big"), ctr.to_bytes(8, "big")
    place = _hash(_hash(b"place", seed), *at, _hash(bytes([verification]), refund_of))
    hidden = _hash(_hash(b"request", seed), request) if request else bytes(32)
    given: Object = {
        "seed": seed.hex(),
        "prev": at[0].hex(),
        "ctr": at[1].hex(),
        "verification": verification,
        "refund_of": refund_of.hex(),
        "request": request.hex(),
    }
    gives: Object = {"place": place.hex(), "request": hidden.hex(), "commitment": _hash(place, hidden).hex()}
    return Vector("commit", stage.suite.name, (clause,), (flag,), comment, given, gives)


def _commitments(stage: Stage) -> Iterator[Vector]:
    yield _commit(stage, "a transfer that answers a request")
    yield _commit(stage, "a deposit: no request, so that Q is zero", "EmptyRequest", "4.2-5", request=b"")
    yield _commit(stage, "the request of 32 zero bytes is one, and Q is not zero", "EmptyRequest", request=bytes(32))
    for verification in (0, 1, 3):
        comment = f"verification {verification}, refunding nothing"
        yield _commit(stage, comment, "PrivateHalf", "4.2-3", verification=verification)
    refunded = stage.draw("refunded")
    yield _commit(stage, "a refund", "PrivateHalf", "4.2-3", refund_of=refunded)
    yield _commit(stage, "a refund of 32 zero bytes is none of nothing", "PrivateHalf", "4.2-3", refund_of=bytes(32))
    comment = "a refund and its verification in one byte each"
    yield _commit(stage, comment, "PrivateHalf", "4.2-3", verification=3, refund_of=b"\3" * 32)
    comment = "a Receipt or Close: no private half and no request"
    yield _commit(stage, comment, "EmptyRequest", "4.2-5", verification=0, request=b"")
    for prev, ctr in (
        (0, 1), (0, _MOST), (_MOST - 1, _MOST), (1, 2), (255, 256), (256, 257), (2**31 - 1, 2**31), (2**32 - 1, 2**32),
        (2**53, 2**53 + 1), (2**56 - 1, 2**56),
    ):  # fmt: skip
        comment = f"the place ({prev}, {ctr}]"
        yield _commit(stage, comment, "LargeNumber", "4.2-1", prev=prev, ctr=ctr)
    comment = "a place whose bytes, in the other order, are those of another"
    yield _commit(stage, comment, "ByteOrder", prev=0, ctr=1 << 56)
    for seed in (bytes(16), b"\xff" * 16, b"place" + bytes(11), b"request" + bytes(9)):
        yield _commit(stage, f"the seed {seed.hex()}", "Salts", "4.2-2", seed=seed)
    comment = "request and what is refunded in each other's place"
    yield _commit(stage, comment, "Borders", request=refunded, refund_of=stage.draw("request"))


def vectors() -> Iterator[Vector]:
    """Yield every vector of the file."""
    for suite in SUITES.values():
        stage = Stage(suite)
        yield from _schemes(stage)
        yield from _ids(stage)
        yield from _commitments(stage)
