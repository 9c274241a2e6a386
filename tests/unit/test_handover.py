"""How devices are introduced: NDEF that foreign decoders read, and a text that a person can copy."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualtap.errors import Code, TapError
from dualtap.session import NO_HANDOVER, Handover
from dualtap.suite import sha256
from dualtap_transports import handover, ndef
from dualtap_transports.handover import (
    Offer,
    agreed,
    check_request,
    decode_select,
    encode_request,
    encode_select,
    from_text,
    to_text,
)
from dualtap_transports.ndef import Naming, Record

foreign: Any = import_module("ndef")
"""ndeflib, which somebody else wrote."""

SERVICE = UUID("00112233-4455-4677-8899-aabbccddeeff")
BARE = Offer(SERVICE)
NAMED = Offer(SERVICE, bytes(range(16)))
FULL = Offer(SERVICE, bytes(range(16)), bytes.fromhex("c1a2a3a4a5a6"))
OFFERS = [BARE, NAMED, FULL, Offer(SERVICE, b"", FULL.address)]
offers = st.builds(
    Offer,
    st.uuids(),
    st.one_of(st.just(b""), st.binary(min_size=16, max_size=16)),
    st.one_of(st.just(b""), st.binary(min_size=6, max_size=6)),
)


def accepted(call: Any, said: bytes) -> bool:
    """Tell whether a message is read; any other end than ``MALFORMED`` is an error."""
    try:
        call(said)
    except TapError as error:
        if error.code is not Code.MALFORMED:
            raise
        return False
    return True


def flips(said: bytes) -> list[bytes]:
    """Return the message with each of its bits wrong."""
    return [said[: i // 8] + bytes([said[i // 8] ^ 1 << i % 8]) + said[i // 8 + 1 :] for i in range(8 * len(said))]


def refused(code: Code, call: Any, *args: object) -> TapError:
    with pytest.raises(TapError) as caught:
        call(*args)
    assert caught.value.code is code
    return caught.value


def test_a_select_message_is_as_the_specification_writes_it() -> None:
    """§19-11, byte by byte."""
    said = bytes.fromhex(
        "91020c487315d1020661630101300101311a201e01"
        "6170706c69636174696f6e2f766e642e626c7565746f6f74682e6c652e6f6f6230"
        "021c001107ffeeddccbbaa9988774655443322110"
        "0081ba6a5a4a3a2c1015c0d1001"
        "6475616c7461703a6964656e7431000102030405060708090a0b0c0d0e0f"
    )
    assert encode_select(FULL) == said
    assert decode_select(said) == FULL


def test_a_request_message_is_as_the_specification_writes_it() -> None:
    """§19-12."""
    said = bytes.fromhex(
        "910211487215910202637261 62510204616301013000 5a200301".replace(" ", "")
        + "6170706c69636174696f6e2f766e642e626c7565746f6f74682e6c652e6f6f6230021c01"
    )
    assert encode_request(b"ab") == said
    check_request(said)


@pytest.mark.parametrize("offer", OFFERS)
def test_a_foreign_decoder_reads_the_select_message(offer: Offer) -> None:
    """§19-11: ndeflib sees an active Bluetooth LE carrier of a peripheral, with our service and address."""
    records: list[Any] = list(foreign.message_decoder(encode_select(offer)))
    assert (records[0].type, records[0].version_info) == ("urn:nfc:wkt:Hs", (1, 5))
    (carrier,) = records[0].alternative_carriers
    assert (carrier.carrier_power_state, carrier.carrier_data_reference) == ("active", records[1].name)
    assert records[1].type == "application/vnd.bluetooth.le.oob"
    assert records[1].role_capabilities == "Peripheral"
    assert dict(records[1].items())[0x07] == SERVICE.bytes[::-1]
    if offer.address:
        assert records[1].device_address.addr == "C1:A2:A3:A4:A5:A6"
        assert records[1].device_address.type == "random"
    assert [bytes(record.data) for record in records[2:]] == ([offer.ident] if offer.ident else [])
    assert list(carrier.auxiliary_data_reference) == [record.name for record in records[2:]]


def test_a_foreign_decoder_reads_the_request_message() -> None:
    """§19-12."""
    head, carrier = foreign.message_decoder(encode_request(b"\x12\x34"))
    assert (head.type, head.version_info, head.collision_resolution_number) == ("urn:nfc:wkt:Hr", (1, 5), 0x1234)
    assert carrier.role_capabilities == "Central"


@given(offers)
def test_what_is_offered_arrives_by_either_way(offer: Offer) -> None:
    """§19-11, §19-13."""
    assert decode_select(encode_select(offer)) == offer
    text = to_text(offer)
    assert from_text(text) == from_text(f" {text[:9].lower()}-{text[9:]}\n") == offer
    assert len(text) == 56 if offer.ident and not offer.address else len(text) <= 66


@pytest.mark.parametrize("offer", OFFERS)
def test_a_select_message_with_a_bit_wrong_is_another_offer_or_none(offer: Offer) -> None:
    """§19-11: one form for each offer, so that what is hashed cannot differ from what was understood."""
    said = encode_select(offer)
    for flipped in flips(said):
        if accepted(decode_select, flipped):
            read = decode_select(flipped)
            assert read != offer
            assert encode_select(read) == flipped
    for cut in range(len(said)):
        refused(Code.MALFORMED, decode_select, said[:cut])
    refused(Code.MALFORMED, decode_select, said + b"\x00")


def test_a_request_message_with_a_bit_wrong_is_another_number_or_none() -> None:
    """§19-12."""
    read = [accepted(check_request, flipped) for flipped in flips(encode_request(b"ab"))]
    assert sum(read) == 16, "the two bytes of the number, and nothing else"


@given(st.binary(max_size=ndef.MESSAGE + 1))
def test_noise_is_no_handover(noise: bytes) -> None:
    """§19-11, §19-12."""
    refused(Code.MALFORMED, decode_select, noise)
    refused(Code.MALFORMED, check_request, noise)


@pytest.mark.parametrize(
    "message",
    [
        ndef.encode((Record(Naming.WELL_KNOWN, b"Hs", b"\x15"),)),
        ndef.encode((Record(Naming.WELL_KNOWN, b"Hr", b""),)),
        ndef.encode((Record(Naming.WELL_KNOWN, b"Hr", b"\x15"),)),
        b"\xd6\x00\x00",
        b"\xd1\xff",
        b"\xd9\x00\x00",
        bytes(ndef.MESSAGE + 1),
    ],
)
def test_ndef_that_says_nothing_of_a_carrier_is_no_handover(message: bytes) -> None:
    """§19-11, §19-12: unnamed kinds, records cut off, messages without end."""
    refused(Code.MALFORMED, decode_select, message)
    refused(Code.MALFORMED, check_request, message)


@pytest.mark.parametrize("offer", OFFERS)
def test_every_mistyped_letter_is_noticed(offer: Offer) -> None:
    """§19-13: each letter changed, each neighbour swapped, and any of them missing."""
    text = to_text(offer)
    for i, letter in enumerate(text):
        wrong = [text[:i] + other + text[i + 1 :] for other in "A7Q" if other != letter]
        wrong.append(text[:i] + text[i + 1 :])
        if i and text[i - 1] != letter:
            wrong.append(text[: i - 1] + letter + text[i - 1] + text[i + 1 :])
        for mistyped in wrong:
            assert "copy all of it" in refused(Code.BAD_INPUT, from_text, mistyped).detail


@given(st.text(max_size=80))
def test_noise_is_no_text(noise: str) -> None:
    """§19-13."""
    refused(Code.BAD_INPUT, from_text, noise)


def written(body: bytes) -> str:
    """Return a text with a valid check, whatever it says."""
    import base64
    import binascii

    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "big")).decode().rstrip("=")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x20" + SERVICE.bytes, "another version"),
        (b"\x14" + SERVICE.bytes, "another version"),
        (b"\x10" + SERVICE.bytes[:15], "copy all of it"),
        (b"\x10" + SERVICE.bytes + b"x", "copy all of it"),
        (b"\x12" + SERVICE.bytes + bytes(15), "copy all of it"),
        (b"", "copy all of it"),
    ],
)
def test_a_text_that_was_written_otherwise_is_refused(body: bytes, said: str) -> None:
    """§19-13."""
    assert said in refused(Code.BAD_INPUT, from_text, written(body)).detail


def test_a_text_has_one_form() -> None:
    """§19-13: the bits that its last letter has left over are zero."""
    text = to_text(BARE)
    assert len(text) * 5 % 8, "there are bits left over"
    refused(Code.BAD_INPUT, from_text, text[:-1] + chr(ord(text[-1]) + 1))


def test_both_messages_are_agreed_upon() -> None:
    """§6-17, §19-14: whether the offer went as NDEF or as a text; without an ident there is nothing to agree upon."""
    request = encode_request(b"ab")
    assert agreed(FULL) == Handover(sha256(b"") + sha256(encode_select(FULL)), FULL.ident)
    assert agreed(from_text(to_text(FULL)), request).said == sha256(request) + sha256(encode_select(FULL))
    assert agreed(BARE, request) == NO_HANDOVER


def test_whoever_is_not_introduced_has_no_handover() -> None:
    """§6-17."""
    assert handover.handover_of(object()) == handover.introduce(object(), bytes(16)) == NO_HANDOVER


@pytest.mark.parametrize("wrong", [(b"x", b""), (b"", b"x"), (bytes(15), b""), (b"", bytes(7))])
def test_an_offer_has_an_ident_and_an_address_of_one_length(wrong: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="another length"):
        Offer(SERVICE, *wrong)
    with pytest.raises(ValueError, match="another length"):
        encode_request(wrong[0])


THREE = tuple(Record(Naming.MEDIA, b"x", bytes(200), b"%d" % i) for i in range(3))


@pytest.mark.parametrize(
    "message",
    [
        b"\x51\x01\x00x",
        b"\x91\x01\x00x",
        b"\xf1\x01\x00x",
        b"\xc1\x01\x00\x00\x00\x00x",
        b"\xd9\x01\x00\x00x",
        ndef.encode(THREE),
        b"",
    ],
    ids=["no beginning", "no end", "a chunk", "not short", "an empty id", "too long", "nothing"],
)
def test_a_message_has_one_form(message: bytes) -> None:
    """§19-11."""
    refused(Code.MALFORMED, ndef.decode, message)
    assert ndef.decode(ndef.encode(THREE[:2])) == THREE[:2]


def test_records_are_short() -> None:
    with pytest.raises(ValueError, match="short"):
        ndef.encode((Record(Naming.MEDIA, b"x", bytes(256)),))
