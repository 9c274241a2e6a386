"""What decodes encodes to the very same bytes, and everything else is refused by a code of the decoder's own.

The first byte chooses what is decoded. The second: edits of a genuine message's tree follow, or bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from dualtap import codec, forms, syncmessages, wire
from dualtap.errors import Code, TapError
from dualtap.forms import plain
from dualtap.issued import Policy, Token
from dualtap.logcodec import BYTES, ITEMS, decoder, encode_record
from dualtap.statements import Scheme
from dualtap.suite import ED25519
from dualtap.sync import (
    decode_reply,
    decode_signed_reply,
    decode_signed_upload,
    decode_upload,
    encode_reply,
    encode_signed_reply,
    encode_signed_upload,
    encode_upload,
)
from targets._reshape import Tree, reshaped, tree_of
from targets._said import Said

SHARE = 330
LENGTH = 1200
COST = 3
REFUSALS = {Code.TOO_LARGE, Code.MALFORMED, Code.NOT_CANONICAL, Code.UNKNOWN_MESSAGE, Code.UNEXPECTED_MESSAGE}
SCHEME = Scheme.of(ED25519, bytes(31) + b"\x05")
_VECTORS = Path(__file__).parents[2] / "protocol" / "vectors" / "codec.jsonl"


_SIZES: dict[str, tuple[int, ...]] = {
    "signature": (0, 64), "seed": (16,), "basket": (0, 16), "nonce": (8,), "serial": (8,), "place": (32,),
    "salt": (32,), "commitment": (32,), "ephemeral": (32, 33), "scheme": (4,), "payee": (0, 32, 33), "key": (32, 33),
}  # fmt: skip
"""Bytes that fields of these names may have, wherever they stand."""


def sized(value: object) -> None:
    """Raise unless each field that is known by its name has a size that it may have."""
    if not isinstance(value, tuple):
        return
    fields: tuple[str, ...] = getattr(cast("object", value), "_fields", ())
    items = cast("tuple[object, ...]", value)
    for name, item in zip(fields, items, strict=False):
        assert not isinstance(item, bytes) or len(item) in _SIZES.get(name, (len(item),)), f"{name}: {len(item)} bytes"
    for item in items:
        sized(item)


def _message(data: bytes) -> bytes:
    message = wire.decode(data)
    sized(message)
    return wire.encode(message)


def _whole(check: Callable[[object], object], data: bytes) -> bytes:
    return codec.pack(plain(check(codec.unpack(data, BYTES, ITEMS))))


def _grant(data: bytes) -> bytes:
    return forms.encode_grant(forms.decode_grant(SCHEME.id, SCHEME.root, data))


def _statement(data: bytes) -> bytes:
    return codec.pack(forms.statement_fields(forms.statement_check(SCHEME.id)(codec.unpack(data))))


def _warrant(data: bytes) -> bytes:
    return codec.pack(forms.warrant_fields(forms.warrant_check(SCHEME.id)(codec.unpack(data))))


TWICE: tuple[Callable[[bytes], bytes], ...] = (
    _message,
    lambda data: wire.encode_hello(wire.decode_hello(data)),
    lambda data: wire.encode_welcome(wire.decode_welcome(data)),
    lambda data: syncmessages.encode(syncmessages.decode(data)),
    lambda data: encode_record(decoder(SCHEME.id)(data)),
    lambda data: encode_upload(decode_upload(SCHEME, data)),
    lambda data: encode_signed_upload(decode_signed_upload(data)),
    lambda data: encode_reply(decode_reply(SCHEME, data)),
    lambda data: encode_signed_reply(decode_signed_reply(data)),
    lambda data: forms.encode_certificate(forms.decode_certificate(data)),
    _grant,
    _statement,
    _warrant,
    partial(_whole, forms.issued_check(Token)),
    partial(_whole, forms.issued_check(Policy)),
)
"""Decodes, and encodes again."""


def _bases() -> tuple[Tree, ...]:
    lines = map(json.loads, _VECTORS.read_text().splitlines())
    found = [line["in"]["bytes"] for line in lines if line["result"] == "valid"]
    return tuple([tree_of(bytes.fromhex(cast("str", item))) for item in found])


BASES = _bases()


def widened(data: bytes, said: Said) -> bytes:
    """Return a message of which one small integer, or what looks like one, stands in its long form."""
    places = [at for at, byte in enumerate(data[:256]) if byte < 0x80]
    if not places:
        return data
    at = said.pick(places)
    return data[:at] + said.pick((b"\xcc", b"\xcd\0")) + data[at:]


def one(data: bytes) -> None:
    """Decode and encode; see above."""
    said = Said(data)
    twice = TWICE[said.below(len(TWICE))]
    how = said.byte() % 4
    told = reshaped(said.pick(BASES), said) if how % 2 else said.rest()
    told = widened(told, said) if how == 3 else told
    try:
        again = twice(told)
    except TapError as error:
        assert error.code in REFUSALS, error
        return
    assert again == told, "two forms of one message"
