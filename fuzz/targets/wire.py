"""What decodes encodes to the very same bytes, and everything else is refused by a code of the decoder's own.

The first byte chooses what is decoded. An odd second byte: edits of a genuine message's tree follow; else bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from dualtap import sealedsync, wire
from dualtap.errors import Code, TapError
from dualtap.records import BYTES, ITEMS, decoder, encode_record, plain
from dualtap.statements import Policy, Scheme, Token
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

SHARE = 30
LENGTH = 1200
REFUSALS = {Code.TOO_LARGE, Code.MALFORMED, Code.NOT_CANONICAL, Code.UNKNOWN_MESSAGE, Code.UNEXPECTED_MESSAGE}
SCHEME = Scheme.of(ED25519, bytes(31) + b"\x05")
_VECTORS = Path(__file__).parents[2] / "protocol" / "vectors" / "codec.jsonl"


def _whole(check: Callable[[object], object], data: bytes) -> bytes:
    return wire.pack(plain(check(wire.unpack(data, BYTES, ITEMS))))


def _grant(data: bytes) -> bytes:
    return wire.encode_grant(wire.decode_grant(SCHEME.id, SCHEME.root, data))


def _statement(data: bytes) -> bytes:
    return wire.pack(wire.statement_fields(wire.statement_check(SCHEME.id)(wire.unpack(data))))


def _warrant(data: bytes) -> bytes:
    return wire.pack(wire.warrant_fields(wire.warrant_check(SCHEME.id)(wire.unpack(data))))


TWICE: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: wire.encode(wire.decode(data)),
    lambda data: wire.encode_hello(wire.decode_hello(data)),
    lambda data: wire.encode_welcome(wire.decode_welcome(data)),
    lambda data: sealedsync.encode(sealedsync.decode(data)),
    lambda data: encode_record(decoder(SCHEME.id)(data)),
    lambda data: encode_upload(decode_upload(SCHEME, data)),
    lambda data: encode_signed_upload(decode_signed_upload(data)),
    lambda data: encode_reply(decode_reply(SCHEME, data)),
    lambda data: encode_signed_reply(decode_signed_reply(data)),
    lambda data: wire.encode_certificate(wire.decode_certificate(data)),
    _grant,
    _statement,
    _warrant,
    partial(_whole, wire.issued_check(Token)),
    partial(_whole, wire.issued_check(Policy)),
)
"""Decodes, and encodes again."""


def _bases() -> tuple[Tree, ...]:
    lines = map(json.loads, _VECTORS.read_text().splitlines())
    found = [line["in"]["bytes"] for line in lines if line["result"] == "valid"]
    return tuple([tree_of(bytes.fromhex(cast("str", item))) for item in found])


BASES = _bases()


def one(data: bytes) -> None:
    """Decode and encode; see above."""
    said = Said(data)
    twice = TWICE[said.below(len(TWICE))]
    told = reshaped(said.pick(BASES), said) if said.byte() % 2 else said.rest()
    try:
        again = twice(told)
    except TapError as error:
        assert error.code in REFUSALS, error
        return
    assert again == told, "two forms of one message"
