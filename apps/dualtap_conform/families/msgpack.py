"""The part of ``codec.jsonl`` that is about msgpack itself: what has a second form, what is cut off, what is none."""

from __future__ import annotations

from collections.abc import Iterator

from dualtap.errors import Code
from dualtap_conform import forms
from dualtap_conform.grammar import Fields, smallest
from dualtap_conform.handmade import (
    Plain,
    Raw,
    canonical,
    head,
    long_array,
    long_bin,
    long_str,
    long_uint,
    signed_int,
    text,
)
from dualtap_conform.setup import Object
from dualtap_conform.vector import Vector, error

_KEY = b"\x02" + bytes(range(32))
_HELLO: list[Plain] = [1, b"hint", [1], _KEY, 2]
_PRESENT = smallest(forms.PRESENT_MESSAGE)


def _ask(
    name: str, data: bytes, clauses: tuple[str, ...], flag: str, comment: str, wrong: Code | None, kind: str = ""
) -> Vector:
    gives: Object = {"type": kind or name} if wrong is None else error(wrong)
    given: Object = {"as": name, "most": 16_384 if name != "Hello" else 128, "bytes": data.hex()}
    return Vector("decode", "p256", clauses, (flag,), comment, given, gives)


def _message(data: bytes, clauses: tuple[str, ...], flag: str, comment: str, wrong: Code) -> Vector:
    return _ask("Message", data, clauses, flag, comment, wrong)


def _long_forms() -> Iterator[Vector]:
    """Yield right values in forms that are longer than need be."""
    said: list[tuple[str, bytes]] = []
    for value, widths in ((5, (1, 2, 4, 8)), (200, (2, 4, 8)), (1000, (4, 8)), (70_000, (8,))):
        for width in widths:
            said.append((f"the code {value} in {width + 1} bytes", canonical([8, long_uint(value, width)])))
    for width in (1, 2, 4, 8):
        said.append((f"the code 5 as a signed integer of {width + 1} bytes", canonical([8, signed_int(5, width)])))
    said.append(("the code 2^32 - 1 as a signed integer of 9 bytes", canonical([8, signed_int(2**32 - 1, 8)])))
    for width in (1, 2, 4, 8):
        said.append((f"the message's number in {width + 1} bytes", canonical([long_uint(8, width), 5])))
    for width in (2, 4):
        said.append((f"the message's array in {width + 1} bytes", long_array([8, 5], width).data))
        said.append((f"a message without fields, its array in {width + 1} bytes", long_array([7], width).data))
    for what, data in said:
        yield _message(data, ("5.1-4", "5.1-1"), "LongForm", what, Code.NOT_CANONICAL)
    for width in (2, 4):
        for place, part in ((1, b"hint"), (3, _KEY)):
            data = canonical([*_HELLO[:place], long_bin(part, width), *_HELLO[place + 1 :]])
            comment = f"a Hello with {len(part)} bytes whose length takes {width}"
            yield _ask("Hello", data, ("5.1-4", "5.1-1"), "LongForm", comment, Code.NOT_CANONICAL)
        data = canonical([*_HELLO[:2], long_array([1], width), *_HELLO[3:]])
        comment = f"a Hello with an inner array whose length takes {width} bytes"
        yield _ask("Hello", data, ("5.1-4", "5.1-1"), "LongForm", comment, Code.NOT_CANONICAL)
    token = smallest(forms.TOKEN)
    assert isinstance(token, list)
    for width in (1, 2, 4):
        data = canonical([*token[:2], long_str(b"AAA", width), *token[3:]])
        comment = f"a Token with a currency whose length takes {width} bytes"
        yield _ask("Token", data, ("5.1-4", "5.1-1"), "LongForm", comment, Code.NOT_CANONICAL)
    data = canonical([*token[:7], Raw(b"\xdc\x00\x00"), *token[8:]])
    comment = "a Token with an empty array in 3 bytes"
    yield _ask("Token", data, ("5.1-4", "5.1-1"), "LongForm", comment, Code.NOT_CANONICAL)
    for size in (255, 65_535 // 8):
        width = 2 if size < 256 else 4
        data = canonical([2, 1, bytes(33), 1, long_bin(bytes(size), width)])
        comment = f"a Welcome with {size} sealed bytes whose length takes {width}"
        yield _ask("Welcome", data, ("5.1-4", "5.1-1"), "LongForm", comment, Code.NOT_CANONICAL)
    spans = [[0, 0, 1]] * 15
    transfer = smallest(forms.TRANSFER_MESSAGE)
    assert isinstance(transfer, list)
    data = canonical([*transfer[:2], long_array(spans, 2), *transfer[3:]])
    yield _message(data, ("5.1-4", "5.1-1"), "LongForm", "15 spans in an array of 3 bytes", Code.NOT_CANONICAL)


def _short_forms() -> Iterator[Vector]:
    """Yield the last value of each shortest form, and the first of the next."""
    for value in (127, 128, 255, 256, 65_535, 65_536):
        data = canonical([8, value])
        comment = f"the code {value} in its shortest form"
        yield _ask("Message", data, ("5.1-1", "9-2"), "ShortForm", comment, None, "RefuseMessage")
    for value in (2**32 - 1, 2**32):
        data = canonical([1, value, *[0] * 7])
        yield _ask("Policy", _policy(data), ("5.1-1",), "ShortForm", f"a tier whose greatest payment is {value}", None)
    for size in (0, 255, 256):
        data = canonical([2, 1, bytes(33), 1, bytes(size)])
        yield _ask("Welcome", data, ("5.1-1",), "ShortForm", f"a Welcome with {size} sealed bytes", None)
    transfer = smallest(forms.TRANSFER_MESSAGE)
    assert isinstance(transfer, list)
    data = canonical([*transfer[:2], [[0, 0, 1]] * 15, *transfer[3:]])
    yield _ask("Message", data, ("5.1-1",), "ShortForm", "15 spans", None, "TransferMessage")


def _policy(tier: bytes) -> bytes:
    return canonical([0, [Raw(tier)], [], [], bytes(4), bytes(64)])


def _ends() -> Iterator[Vector]:
    """Yield what stops too early, and what goes on."""
    whole = canonical(_HELLO)
    cuts = {
        0: "nothing at all", 1: "only the array's head", 2: "up to the number", 3: "in the head of a byte string",
        4: "at the start of a byte string", 7: "in a byte string", 8: "after a byte string", 9: "in an inner array",
        10: "after the inner array", 12: "at the start of the key", 44: "in the key", len(whole) - 1: "without want",
    }  # fmt: skip
    for end, what in cuts.items():
        yield _ask("Hello", whole[:end], ("5.1-7",), "Truncated", f"a Hello cut off: {what}", Code.MALFORMED)
    present = canonical(_PRESENT)
    for end in (1, 2, 3, 5, 6, 40, 69, 70, 71, 105, len(present) - 66, len(present) - 2, len(present) - 1):
        comment = f"a Present cut off after {end} of {len(present)} bytes"
        yield _message(present[:end], ("5.1-7",), "Truncated", comment, Code.MALFORMED)
    for width in (1, 2, 4, 8):
        data = canonical([8, 2 ** (8 * width) - 1])[:-1] if width < 8 else b"\x92\x08\xcf" + bytes(7)
        comment = f"an integer of {width} bytes, cut off by one"
        yield _message(data, ("5.1-7",), "Truncated", comment, Code.MALFORMED)
    for rest, what in (
        (b"\x00", "a zero byte"),
        (b"\xc0", "nil"),
        (b"\x91\x07", "a second message"),
        (b"\xc1", "0xc1"),
    ):
        comment = f"a Refuse with {what} behind it"
        yield _message(canonical([8, 5]) + rest, ("5.1-3",), "TrailingBytes", comment, Code.MALFORMED)
        yield _ask("Hello", whole + rest, ("5.1-3",), "TrailingBytes", f"a Hello with {what} behind it", Code.MALFORMED)


def _lengths() -> Iterator[Vector]:
    """Yield lengths that promise more than there is: nothing may be allocated for them."""
    for codes, name in (
        ({1: 0xC4, 2: 0xC5, 4: 0xC6}, "bytes"), ({1: 0xD9, 2: 0xDA, 4: 0xDB}, "text"),
        ({2: 0xDC, 4: 0xDD}, "array"), ({2: 0xDE, 4: 0xDF}, "map"), ({1: 0xC7, 2: 0xC8, 4: 0xC9}, "extension"),
    ):  # fmt: skip
        for width in codes:
            data = b"\x92\x08" + head(codes, 2 ** (8 * width) - 1, width) + b"\0"
            comment = f"{name} whose length is {2 ** (8 * width) - 1}, and one byte"
            yield _message(data, ("5.1-2", "5.1-7"), "HugeLength", comment, Code.MALFORMED)
    for data, what in ((b"\xdc\xff\xff", "65535"), (b"\xdd\xff\xff\xff\xff", "2^32 - 1"), (b"\xdc\x00\x41", "65")):
        comment = f"a message of {what} items, of which two are there"
        yield _message(data + b"\x08\x05", ("5.1-2", "5.1-6"), "HugeLength", comment, Code.MALFORMED)
    many = canonical([8, *[0] * 64])
    yield _message(many, ("5.1-3", "5.1-6"), "FurtherItem", "a message of 65 items", Code.MALFORMED)
    transfer = smallest(forms.TRANSFER_MESSAGE)
    assert isinstance(transfer, list)
    for depth in (2, 8, 9, 16, 100, 600, 1024, 4000):
        nested = Raw(b"\x91" * depth + b"\xc0")
        data = canonical([*transfer[:12], nested, transfer[13]])
        comment = f"{depth} arrays, one in the other, in place of a header"
        yield _message(data, ("5.1-5", "5.1-7"), "DeepNesting", comment, Code.MALFORMED)
    yield _message(b"\x91" * 10_000, ("5.1-5",), "DeepNesting", "10,000 arrays without an end", Code.MALFORMED)


def _foreign() -> Iterator[Vector]:
    """Yield what msgpack has and no message may have, in the place of a Refuse's code."""
    foreign = {
        "Float": ((b"\xca\x00\x00\x00\x00", "0.0 in 4 bytes"), (b"\xcb" + bytes(8), "0.0 in 8 bytes"),
                  (b"\xcb\x7f\xf8" + bytes(6), "not a number"), (b"\xca\x7f\x80\x00\x00", "infinity")),
        "Map": ((b"\x80", "an empty map"), (b"\x81\x05\x05", "a map"), (b"\xde\x00\x00", "an empty map in 3 bytes"),
                (b"\xdf\x00\x00\x00\x00", "an empty map in 5 bytes")),
        "Extension": ((b"\xd4\x05\x00", "an extension of 1 byte"), (b"\xd8\x05" + bytes(16), "one of 16 bytes"),
                      (b"\xc7\x00\x05", "an empty extension"), (b"\xc8\x00\x00\x05", "an empty one in 4 bytes"),
                      (b"\xd6\xff\x00\x00\x00\x00", "a timestamp"), (b"\xd7\xff" + bytes(8), "a longer timestamp")),
        "NegativeNumber": ((b"\xff", "-1"), (b"\xe0", "-32"), (b"\xd0\xdf", "-33"), (b"\xd1\xff\x00", "-256"),
                           (b"\xd2\x80\x00\x00\x00", "-2^31"), (b"\xd3\x80" + bytes(7), "-2^63"),
                           (b"\xd0\xff", "-1 in 2 bytes"), (b"\xd3" + b"\xff" * 8, "-1 in 9 bytes")),
        "NeverUsed": ((b"\xc1", "the byte 0xc1, which msgpack never uses"),),
    }  # fmt: skip
    for flag, values in foreign.items():
        for data, what in values:
            yield _message(b"\x92\x08" + data, ("5.1-3",), flag, f"a Refuse whose code is {what}", Code.MALFORMED)


def _texts() -> Iterator[Vector]:
    """Yield currencies that are none."""
    token = smallest(forms.TOKEN)
    assert isinstance(token, list)
    for data, what in (
        (b"", "empty"), (b"CN", "two letters"), (b"CNYX", "four letters"), (b"cny", "small letters"),
        (b"CNy", "a small letter"), (b"CN1", "a digit"), (b"C Y", "a space"), (b"CN\0", "a zero byte"),
        ("ÇNY".encode(), "a letter that is not ASCII"), ("РУБ".encode(), "three Cyrillic letters"),
        ("ＣＮＹ".encode(), "wide letters"), ("€".encode(), "three bytes, one character"),
        (b"CN\xff", "not UTF-8"), (b"CN\xc3", "UTF-8, cut off"), (b"C\xc1\x8e", "UTF-8 that is longer than need be"),
        (b"\xed\xa0\x80", "half of a surrogate pair"), (b"A" * 31, "31 letters"), (b"A" * 32, "32 letters"),
        (b"A" * 33, "33 letters"), (b"A" * 300, "300 letters"),
    ):  # fmt: skip
        value = canonical([*token[:2], text(data), *token[3:]])
        clause = "5.1-3" if len(data) > 32 else "5.1-7"
        yield _ask("Token", value, (clause,), "BadCurrency", f"a Token whose currency is {what}", Code.MALFORMED)


def _numbers() -> Iterator[Vector]:
    """Yield what is no message at all, and messages that nobody knows or awaits."""
    for data, what in (
        (b"\xc0", "nil"), (b"\x08", "a number"), (b"\xa18", "text"), (b"\xc4\x02\x08\x05", "a byte string"),
        (b"\xc3", "true"), (b"\x80", "a map"), (b"\x82\x00\x08\x01\x05", "a map of what a Refuse has"),
        (b"\x90", "an empty array"), (b"\x92\xc0\x05", "an array that begins with nil"),
        (b"\x92\xc3\x05", "an array that begins with true"), (b"\x92\xa18\x05", "an array that begins with text"),
        (b"\x92\xc4\x01\x08\x05", "an array that begins with a byte string"), (b"\x92\x91\x08\x05", "[[8], 5]"),
        (b"\x92\xcb\x40\x20" + bytes(6) + b"\x05", "an array that begins with the float 8.0"),
        (b"\x92\xff\x05", "an array that begins with -1"), (b"\x91" + canonical([8, 5]), "a Refuse in an array"),
    ):  # fmt: skip
        yield _message(data, ("5.2-1", "5.1-7"), "NoMessage", f"{what}, where a message is awaited", Code.MALFORMED)
    data = canonical([True, *_HELLO[1:]])
    yield _ask("Hello", data, ("5.2-1", "5.1-7"), "BoolAsNumber", "a Hello whose number is true", Code.MALFORMED)
    for number in (0, 10, 127, 128, 255, 2**32, 2**63, 2**64 - 1):
        data, comment = canonical([number]), f"a message with the unknown number {number}"
        yield _message(data, ("5.2-2",), "UnknownMessage", comment, Code.UNKNOWN_MESSAGE)
    known: tuple[Fields, ...] = (forms.PROCEED_MESSAGE, forms.DONE_MESSAGE)
    for form in known:
        data = canonical([form.number, 0])
        yield _message(data, ("5.1-6",), "FurtherItem", f"a {form.name} with a field", Code.MALFORMED)
    welcome = canonical([2, 1, bytes(33), 1, b""])
    comment = "a Welcome, where a Hello is awaited"
    yield _ask("Hello", welcome, ("5.2-1", "11.1-3"), "WrongMessage", comment, Code.UNEXPECTED_MESSAGE)
    comment = "a Hello, where a Welcome is awaited"
    yield _ask("Welcome", canonical(_HELLO), ("5.2-1", "11.1-3"), "WrongMessage", comment, Code.UNEXPECTED_MESSAGE)
    for what, data in (("a Refuse", canonical([8, 5])), ("a Done", canonical([9]))):
        comment = f"{what} in the clear, where a Welcome is awaited"
        yield _ask("Welcome", data, ("6-13", "11.1-3"), "WrongMessage", comment, Code.UNEXPECTED_MESSAGE)


def vectors() -> Iterator[Vector]:
    """Yield this part's vectors."""
    for part in (_long_forms, _short_forms, _ends, _lengths, _foreign, _texts, _numbers):
        yield from part()
