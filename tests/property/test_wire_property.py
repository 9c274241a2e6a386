"""Whatever can be said has one encoding: it reads back as it was, and a changed byte never means the same."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy  # noqa: TC002 - a cast names it

from dualtap import codec, forms, wire
from dualtap.errors import TapError
from dualtap.logcodec import decoder, encode_record
from dualtap.records import Record
from dualtap.statements import Body, Opening, Signed
from dualtap.sync import (
    Reply,
    SignedUpload,
    Upload,
    decode_reply,
    decode_signed_upload,
    decode_upload,
    encode_reply,
    encode_signed_upload,
    encode_upload,
)
from dualtap.wire import Hello, Message, Welcome
from dualtap_testing.shapes import (
    SCHEME,
    blobs,
    hellos,
    keys,
    messages,
    off_tape,
    openings,
    records,
    replies,
    signed_uploads,
    statements,
    tape_entries,
    two_of_a_kind,
    uploads,
    welcomes,
)

some = settings(max_examples=60, deadline=None, derandomize=True)


@given(messages)
@some
def test_every_message_reads_back(message: Message) -> None:
    """§5.1-1."""
    assert wire.decode(wire.encode(message)) == message


@given(hellos, welcomes)
@some
def test_every_greeting_reads_back(hello: Hello, welcome: Welcome) -> None:
    assert wire.decode_hello(wire.encode_hello(hello)) == hello
    assert wire.decode_welcome(wire.encode_welcome(welcome)) == welcome


@given(records)
@some
def test_every_record_reads_back(record: Record) -> None:
    assert decoder(SCHEME.id)(encode_record(record)) == record


@given(statements(off_tape, tape=False) | cast("SearchStrategy[Signed[Body]]", tape_entries))
@some
def test_every_statement_reads_back(statement: Signed[Body]) -> None:
    data = codec.pack(forms.statement_fields(statement))
    assert forms.statement_check(SCHEME.id)(codec.unpack(data)) == statement


@given(uploads, replies, signed_uploads)
@some
def test_every_sync_reads_back(upload: Upload, reply: Reply, item: SignedUpload) -> None:
    assert decode_upload(SCHEME, encode_upload(upload)) == upload
    assert decode_reply(SCHEME, encode_reply(reply)) == reply
    assert decode_signed_upload(encode_signed_upload(item)) == item


@given(messages, st.data())
@some
def test_a_changed_byte_never_means_the_same(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(wire.encode(message))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    _reads_otherwise(bytes(encoded), message)


@given(messages, st.integers(0, 64), blobs)
@some
def test_a_message_that_is_cut_or_longer_is_refused(message: Message, cut: int, more: bytes) -> None:
    """§5.1-3."""
    encoded = wire.encode(message)
    for changed in (encoded[: -1 - cut], encoded + more + b"\x00"):
        try:
            wire.decode(changed)
        except TapError:
            continue
        raise AssertionError("read something that nobody said")


@given(hellos, st.data())
@some
def test_a_changed_byte_of_a_hello_never_means_the_same(hello: Hello, data: st.DataObject) -> None:
    encoded = bytearray(wire.encode_hello(hello))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = wire.decode_hello(bytes(encoded))
    except TapError:
        return
    assert other != hello
    assert wire.encode_hello(other) == bytes(encoded)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_random_bytes_are_refused_or_canonical(data: bytes) -> None:
    """§5.1-4."""
    with suppress(TapError):
        assert wire.encode(wire.decode(data)) == data
    with suppress(TapError):
        assert wire.encode_hello(wire.decode_hello(data)) == data


def _reads_otherwise(data: bytes, message: Message) -> None:
    try:
        other = wire.decode(data)
    except TapError:
        return
    assert (type(other), other) != (type(message), message)
    assert wire.encode(other) == data


@given(two_of_a_kind, keys, keys, openings, openings, st.data())
@some
def test_any_field_of_a_statement_changes_its_id(
    bodies: tuple[Body, Body], key: bytes, another: bytes, opening: Opening, closing: Opening, data: st.DataObject
) -> None:
    """§3-16, §4.1-3."""
    body, other = bodies
    first = forms.signed(SCHEME.id, key, body, opening).id
    field = data.draw(st.sampled_from(body._fields))
    changed = cast("Body", cast("Any", body)._replace(**{field: getattr(other, field)}))
    assert (forms.signed(SCHEME.id, key, changed, opening).id == first) is (changed == body)
    assert (forms.signed(SCHEME.id, another, body, opening).id == first) is (another == key)
    assert (forms.signed(SCHEME.id, key, body, closing).id == first) is (closing == opening)
    assert forms.signed(bytes(32), key, body, opening).id != first


@given(openings)
@some
def test_both_halves_of_an_opening_open_the_same_commitment(opening: Opening) -> None:
    """§4.2-2."""
    tape, request = opening.tape(), opening.answered()
    assert (tape.commitment() == request.commitment()) is bool(opening.request)
