"""The bytes: frozen ids, one encoding of everything, and nothing else is read."""

from __future__ import annotations

import tracemalloc

import pytest

from dualtap import codec, forms, limits, wire
from dualtap.errors import Code, TapError
from dualtap.issued import Carrier, Header, Issued, Policy, Role, Tier, Token, WalletCertificate
from dualtap.keystore import Head, check_off_tape, check_tape
from dualtap.logcodec import decoder, encode_record
from dualtap.pin import PinCell
from dualtap.statements import (
    Body,
    CloseBody,
    Kind,
    Opening,
    Parent,
    PresentBody,
    Private,
    ReceiptBody,
    RequestBody,
    Scheme,
    Side,
    Span,
    SuccessorBody,
    SyncBody,
    TransferBody,
    Verification,
)
from dualtap.suite import ED25519, P256, Suite
from dualtap.trust import issued_id

ZEROS = bytes(64)
KEY = bytes(range(32))
REQUEST = RequestBody(KEY, True, 1250, "CNY", bytes(16), 0, b"", 7, 16, 16384, Verification.NONE, 20_000)
SPAN = Span(Parent(KEY, Side.TOKEN, 0), 0, 1250)
OPENING = Opening(bytes(16), 3, 7, Private(Verification.PIN, KEY), KEY)
HALF, SEEN = OPENING.private.half(), PinCell(verified=True)
BODIES: dict[str, Body] = {
    "request": REQUEST,
    "present": PresentBody(KEY, False, 20_000),
    "sync": SyncBody(KEY, bytes(32), 20_000),
    "successor": SuccessorBody(KEY, 20_000),
    "transfer": TransferBody(KEY, (SPAN,), 20_000, ()),
    "receipt": ReceiptBody(KEY, bytes(32), 20_000),
    "close": CloseBody(KEY, 64, 20_000),
}
ON_TAPE = {"transfer", "receipt", "close"}
FROZEN = {
    "request": "e29a4011f8e8e8282c4ed12cf99c3206921b298aaa1a015b6fde25ff4dc0be3b",
    "present": "4ae5bac1beb5c45fb8a4f175f30368f232baa40587d0b1092e5e2cd19cc44564",
    "sync": "1ab4dd3e4502652dcb7d44c257da3e3e3c554479dce611e59c54ba8646f0771d",
    "successor": "7a6c768b11167fc8db20a9600fa452a1e6f541ca02a2dfeb095ffddb4f796a5a",
    "transfer": "c3b1fb66200ec26c6bf31f3b067ba7625df41f0e3ed2bc2cb8565b4f21936efe",
    "receipt": "4bcd5b457ea91824b79449b5d5b192f1045ec86fe593312eae3396c0b2b40b64",
    "close": "46bc63b41cc8ace72b27b77aaec5bfdef33284f361ec9f6390b365768edd8092",
    "p256 scheme": "c9a471e9e219241bc4d4e6224fb1ff74dde96b45bfde1f1d827b5d26b5f6354c",
    "p256 token": "12288a4094d3c2140581f62e61a8fb1c6c5d934ded8a157fca2d492771575648",
    "p256 wallet": "11d9899d6e07f51cdb3a6bdd0400e413eb5d57f5269813131bf32bcd55c0b243",
    "p256 header": "cbfde3a3c788192fe61a8c574b22482dcdf3ef13104d50710bf4d3622b84fde0",
    "p256 policy": "664c17b06b4d12082eed13bff33e582d786e0c1874b4a8b57600a28bb19c343f",
    "ed25519 scheme": "c7a5882e8eef1cd21f548a6cc5ed60427b081303e518e51b32c4e202bc6f2e61",
    "ed25519 token": "cc3e73eb454c178c2bf531c3eaeb034c830162ab47b8476389ec76b816b1ca62",
    "ed25519 wallet": "ea7e1f7f9b748d915eb503ac38859f468447535b62cd4df7812157a6086efd44",
    "ed25519 header": "216b46774c97e8ffb647d8b3088aef5aacc1d996249d1e1f333d3ba997091873",
    "ed25519 policy": "b78b6fca43f5199ec5c0a1db377072ac857d877d046ca96b99351af4f4dd4e23",
}
"""Ids in the scheme of 32 zero bytes, by the key 00 01 02 ... 1f. They change only with the protocol's version."""


def statement(name: str) -> bytes:
    return forms.signed(bytes(32), KEY, BODIES[name], OPENING if name in ON_TAPE else b"").id


@pytest.mark.parametrize("name", BODIES)
def test_the_id_of_a_statement_is_frozen(name: str) -> None:
    """§4.1-1."""
    assert statement(name).hex() == FROZEN[name]


def issued_ids(suite: Suite) -> dict[str, str]:
    scheme = Scheme.of(suite, suite.signer(bytes(31) + b"\x01").public)
    issued: dict[str, Issued] = {
        "token": Token(bytes(8), 1, "CNY", KEY, 1, 2, 7, (), bytes(4), ZEROS),
        "wallet": WalletCertificate(KEY, Carrier.CARD, 1, Role.PAY, 5411, b"", 9, 3, bytes(4), ZEROS),
        "header": Header(20_000, 1, bytes(4), ZEROS),
        "policy": Policy(1, (Tier(1, 2, 3, 4, 5, 6, 7, 8, 9),), (KEY,), (bytes(4),), bytes(4), ZEROS),
    }
    ids = {"scheme": scheme.id.hex()}
    return ids | {name: issued_id(scheme, item, scheme.root).hex() for name, item in issued.items()}


@pytest.mark.parametrize("suite", [P256, ED25519], ids=lambda suite: suite.name)
def test_the_id_of_what_authorities_issue_is_frozen(suite: Suite) -> None:
    """§4.1-1, §4.3-1."""
    assert issued_ids(suite) == {name: FROZEN[f"{suite.name} {name}"] for name in issued_ids(suite)}


def test_kinds_are_part_of_ids() -> None:
    """§4.1-3."""
    assert len({*FROZEN.values()}) == len(FROZEN)
    receipt = forms.signed(bytes(32), KEY, ReceiptBody(KEY, bytes(32), 1), OPENING)
    sync = forms.signed(bytes(32), KEY, SyncBody(KEY, bytes(32), 1), OPENING)
    assert receipt.id != sync.id, "the same fields, another kind"


def test_openings_show_no_more_than_they_should() -> None:
    """§4.2-6."""
    commitment = OPENING.tape().commitment()
    assert OPENING.answered().commitment() == commitment
    assert OPENING.seed not in (*OPENING.tape(), *OPENING.answered())
    assert KEY not in OPENING.tape(), "the place on the tape hides the request"
    assert {3, 7}.isdisjoint(OPENING.answered()), "the request hides the place on the tape"
    for other in (
        OPENING._replace(seed=b"x" * 16),
        OPENING._replace(prev=2),
        OPENING._replace(ctr=8),
        OPENING._replace(private=Private(Verification.PIN, b"")),
        OPENING._replace(private=Private(Verification.NONE, KEY)),
        OPENING._replace(request=bytes(32)),
        OPENING._replace(request=b""),
    ):
        assert other.tape().commitment() != commitment


def test_a_statement_without_its_opening_shows_nothing() -> None:
    bare = forms.signed(bytes(32), KEY, BODIES["close"], bytes(32))
    with pytest.raises(TapError) as caught:
        bare.shown()
    assert caught.value.code is Code.BROKEN_PROVENANCE


def test_a_keystore_signs_each_kind_by_its_own_call() -> None:
    """§13-2, §13-6."""
    head = Head(0, b"")
    for kind in Kind:
        on, off = kind in (Kind.TRANSFER, Kind.RECEIPT, Kind.CLOSE), 16 <= kind < 32
        for allowed, sign in (
            (on, lambda kind=kind: check_tape(head, bytes(32), KEY, kind, KEY, OPENING.tape(), HALF, SEEN)),
            (off, lambda kind=kind: check_off_tape(bytes(32), KEY, kind, KEY)),
        ):
            if allowed:
                sign()
                continue
            with pytest.raises(TapError) as caught:
                sign()
            assert caught.value.code is Code.KEYSTORE_REFUSED


@pytest.mark.parametrize(("prev", "ctr", "fine"), [(7, 8, True), (9, 12, True), (6, 9, False), (7, 7, False)])
def test_a_keystore_signs_in_order(prev: int, ctr: int, fine: bool) -> None:
    """§13-3, §13-4."""
    opening = OPENING._replace(prev=prev, ctr=ctr).tape()
    head = Head(7, b"")
    if fine:
        after = check_tape(head, bytes(32), KEY, Kind.CLOSE, KEY, opening, HALF, SEEN)
        assert after.ctr == ctr
        assert check_tape(after, bytes(32), KEY, Kind.CLOSE, KEY, opening, HALF, SEEN) == after, "the same entry again"
        return
    with pytest.raises(TapError) as caught:
        check_tape(head, bytes(32), KEY, Kind.CLOSE, KEY, opening, HALF, SEEN)
    assert caught.value.code is Code.KEYSTORE_REFUSED


# What is not canonical msgpack

NOT_CANONICAL = {
    "an integer in two bytes": b"\x91\xcc\x07",
    "an integer in three": b"\x91\xcd\x00\x07",
    "an integer in five": b"\x91\xce\x00\x00\x00\x07",
    "an integer in nine": b"\x91\xcf" + bytes(7) + b"\x07",
    "a signed form of a positive integer": b"\x91\xd0\x07",
    "a long form of a short string": b"\x91\xd9\x03CNY",
    "a long form of short bytes": b"\x92\x08\xc5\x00\x01x",
    "a longer form of short bytes": b"\x92\x08\xc6\x00\x00\x00\x01x",
    "a long form of a short array": b"\xdc\x00\x01\x07",
    "a longer form of a short array": b"\xdd\x00\x00\x00\x01\x07",
}
MALFORMED = {
    "nothing": b"",
    "a map": b"\x80",
    "a map with something in it": b"\x81\x01\x02",
    "nil": b"\xc0",
    "never used": b"\xc1",
    "an integer": b"\x07",
    "an empty array": b"\x90",
    "a number that is a string": b"\x91\xa17",
    "a number that is true": b"\x91\xc3",
    "a number below zero": b"\x91\xff",
    "a number that is a float": b"\x91\xcb" + bytes(8),
    "a float in four bytes": b"\x91\xca" + bytes(4),
    "a map in a long form": b"\x92\x08\xde\x00\x00",
    "a negative integer in a long form": b"\x92\x08\xd1\xff\xff",
    "an extension in a long form": b"\x91\xc8\x00\x00\x05",
    "an extension": b"\x91\xd4\x05\x00",
    "an empty extension": b"\x91\xc7\x00\x05",
    "a timestamp": b"\x91\xd6\xff\x00\x00\x00\x00",
    "trailing bytes": b"\x91\x07\x00",
    "a Refuse with too much": b"\x93\x08\x01\x01",
    "a Refuse with too little": b"\x91\x08",
    "a Refuse with a negative code": b"\x92\x08\xff",
    "a Refuse with an array": b"\x92\x08\x90",
    "an array that is longer than the bytes": b"\x9f\x08",
    "an array of four billion": b"\xdd\xff\xff\xff\xff\x08",
    "a map of four billion": b"\xdf\xff\xff\xff\xff\x08",
    "bytes of four billion": b"\x92\x08\xc6\xff\xff\xff\xff",
    "a string of four billion": b"\x92\x08\xdb\xff\xff\xff\xff",
    "an array longer than any list": b"\xdc\x00\x41" + b"\x08" * 65,
    "a string longer than any text": b"\x92\x08\xd9\x21" + b"x" * 33,
    "a string that is no text": b"\x92\x08\xa1\xff",
    "arrays in arrays": b"\x91" * 1000 + b"\x08",
    "arrays in arrays without an end": b"\x91" * limits.MESSAGE,
}


@pytest.mark.parametrize("name", NOT_CANONICAL)
def test_a_second_encoding_is_refused(name: str) -> None:
    """§5.1-1, §5.1-4."""
    with pytest.raises(TapError) as caught:
        wire.decode(NOT_CANONICAL[name])
    assert caught.value.code is Code.NOT_CANONICAL


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bytes_are_refused_in_little_memory(name: str) -> None:
    """§5.1-3, §5.1-5, §5.1-6."""
    tracemalloc.start()
    try:
        with pytest.raises(TapError) as caught:
            wire.decode(MALFORMED[name])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code is Code.MALFORMED
    assert peak < 1 << 20


@pytest.mark.parametrize("size", [limits.CARD_MESSAGE, limits.MESSAGE])
def test_a_message_is_bounded_before_it_is_read(size: int) -> None:
    """§5.1-2."""
    frame = codec.pack((8, bytes(size - 5)))
    assert len(frame) == size
    for data, code in ((frame, Code.MALFORMED), (frame + b"x", Code.TOO_LARGE)):
        with pytest.raises(TapError) as caught:
            wire.decode(data, size)
        assert caught.value.code is code


def test_a_hello_is_not_a_welcome() -> None:
    hello = wire.Hello(bytes(4), (1,), KEY, wire.Want.PAY)
    welcome = wire.Welcome(1, KEY, wire.Want.PAY, b"")
    assert wire.decode_hello(wire.encode_hello(hello)) == hello
    assert wire.decode_welcome(wire.encode_welcome(welcome)) == welcome
    for read, data in (
        (wire.decode_hello, wire.encode_welcome(welcome)),
        (wire.decode_welcome, wire.encode_hello(hello)),
    ):
        with pytest.raises(TapError) as caught:
            read(data)
        assert caught.value.code is Code.UNEXPECTED_MESSAGE


def test_an_unknown_message_has_a_name() -> None:
    """§5.2-2."""
    with pytest.raises(TapError) as caught:
        wire.decode(codec.pack((77, b"of a later version")))
    assert caught.value.code is Code.UNKNOWN_MESSAGE


WALLET: list[object] = [KEY, 2, 1, 3, 5411, b"", 9, 3, bytes(4), ZEROS]


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, b""), (0, bytes(31)), (0, "x" * 32), (1, 0), (1, 8), (1, True), (2, 256), (2, -1), (3, -1), (3, "3"),
     (4, 10_000), (5, b"x"), (6, 2**24 + 1), (7, 2**32), (8, bytes(3)), (9, bytes(63)), (9, None)],
)  # fmt: skip
def test_a_certificate_of_another_form_is_refused(place: int, value: object) -> None:
    """§4.3-8, §5.1-7."""
    good = codec.pack((4, False, 1, ZEROS, WALLET, (), 0))
    assert wire.encode(wire.decode(good)) == good
    bad = list(WALLET)
    bad[place] = value
    with pytest.raises(TapError) as caught:
        wire.decode(codec.pack((4, False, 1, ZEROS, bad, (), 0)))
    assert caught.value.code is Code.MALFORMED


@pytest.mark.parametrize("currency", ["cny", "CN", "CNYY", "CN1", "ÇNY", b"CNY", 7])
def test_a_currency_is_three_capitals(currency: object) -> None:
    """§5.1-7."""
    fields: list[object] = [3, False, 1, currency, bytes(16), 0, b"", 7, 16, 1024, 0, 1, ZEROS, WALLET, (), 0]
    with pytest.raises(TapError) as caught:
        wire.decode(codec.pack(tuple(fields)))
    assert caught.value.code is Code.MALFORMED


# Records


NOT_RECORDS: list[object] = [
    7, (), (0,), (11,), ("1",), (True, None, (), None, None), (6, KEY), (6, KEY, ZEROS[1:]), (7, KEY, 1, 2**63),
    (2, (1,)), (3, KEY, bytes(16), 0, 1, 7, 1), (3, KEY, bytes(16), 256, 1, "CNY", 1),
    (5, (32, KEY, (), KEY), bytes(16), 0), (5, (99, KEY, (), KEY, ZEROS), bytes(16), 0),
    (5, (1, KEY, (), KEY, ZEROS), bytes(16), 0), (5, (34, KEY, (KEY, 1, 1), bytes(31), ZEROS), bytes(16), 0),
    (4, "x", b""), (9, 1, (KEY[1:],), 0), (8, KEY, (17, KEY, (KEY, False, 1), KEY, ZEROS)),
    (8, KEY, (17, KEY, (KEY, False, 1), (bytes(16), 0, 1, (0, b""), b""), ZEROS)),
]  # fmt: skip


@pytest.mark.parametrize("record", NOT_RECORDS)
def test_a_record_that_no_wallet_wrote_is_refused(record: object) -> None:
    with pytest.raises(TapError) as caught:
        decoder(bytes(32))(codec.pack(record))
    assert caught.value.code is Code.MALFORMED


def test_a_record_is_bytes() -> None:
    with pytest.raises(TapError) as caught:
        decoder(bytes(32))("text")
    assert caught.value.code is Code.MALFORMED
    assert encode_record.__doc__


def test_a_warrant_is_an_outcome() -> None:
    check = forms.warrant_check(bytes(32))
    opening = [KEY, KEY, KEY]
    receipt = [33, KEY, [KEY, KEY, 1], KEY, ZEROS]
    assert isinstance(check([opening, receipt]).outcome.body, ReceiptBody)
    with pytest.raises(TapError) as caught:
        check([opening, [17, KEY, [KEY, True, 1], KEY, ZEROS]])
    assert caught.value.code is Code.MALFORMED
