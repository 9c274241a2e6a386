"""How two devices are introduced, without I/O: NDEF handover messages for NFC, and a text for a QR code or a terminal.

Both tell the same: which service to look for, and which key will answer (SPEC §19-11). The text stands for the
select message, so that devices agree on what was said however it went from one to the other.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from uuid import UUID

from dualtap.errors import Code, TapError
from dualtap.session import NO_HANDOVER, Handover
from dualtap.suite import sha256

from . import ndef
from .link import Link
from .ndef import Naming, Record

IDENT = 16
"""Bytes of an ident."""
ADDRESS = 6
"""Bytes of a Bluetooth address."""
COLLISION = 2
"""Bytes of the random number by which two devices that both ask settle who does."""

_VERSION = 0x15
"""Connection Handover 1.5."""
_OOB = b"application/vnd.bluetooth.le.oob"
_IDENT_TYPE = b"dualtap:ident"
_ROLE = 0x1C
_PERIPHERAL, _CENTRAL = 0, 1
_SERVICE = 0x07
_ADDRESS_TYPE = 0x1B
_RANDOM = 1
_ACTIVE = 1
_TEXT_VERSION = 0x10
_HAS_IDENT, _HAS_ADDRESS = 2, 1


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a device waits to be connected to.

    ``ident`` (:data:`IDENT` bytes) names its ephemeral key, ``address`` (:data:`ADDRESS` bytes, most significant
    first) is its random Bluetooth address; either may be empty.
    """

    service: UUID
    ident: bytes = b""
    address: bytes = b""

    def __post_init__(self) -> None:
        """Refuse other lengths with :class:`ValueError`."""
        if len(self.ident) not in (0, IDENT) or len(self.address) not in (0, ADDRESS):
            raise ValueError("an ident or an address of another length")


@runtime_checkable
class Introduces(Protocol):
    """A listener whose peers come by a handover."""

    def introduce(self, ident: bytes) -> Handover:
        """Name the key that will answer (:func:`dualtap.session.ident`), before anybody is told the address."""
        ...


@runtime_checkable
class Introduced(Protocol):
    """A link to a device that a handover introduced."""

    @property
    def handover(self) -> Handover:
        """What introduced it."""
        ...


class HandedOver:
    """``link``, which it owns, and the handover that led to it; it is :class:`Introduced`."""

    def __init__(self, link: Link, handover: Handover) -> None:
        self._link, self._handover = link, handover
        self.send, self.receive, self.close = link.send, link.receive, link.close

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._link.max_frame

    @property
    def handover(self) -> Handover:
        """What introduced the device at the other end."""
        return self._handover


def introduce(listener: object, ident: bytes) -> Handover:
    """Name the key that will answer to a listener's peers; return what they will have been told."""
    return listener.introduce(ident) if isinstance(listener, Introduces) else NO_HANDOVER


def handover_of(link: object) -> Handover:
    """Return what introduced the device at a link's other end, if anything did."""
    return link.handover if isinstance(link, Introduced) else NO_HANDOVER


def agreed(offer: Offer, request: bytes = b"") -> Handover:
    """Return what both devices put into the transcript: the messages that they have seen (SPEC §6-17).

    ``request`` is the handover request, if one was sent. Without an ident nothing is agreed.
    """
    if not offer.ident:
        return NO_HANDOVER
    return Handover(sha256(request) + sha256(encode_select(offer)), offer.ident)


# NDEF


def encode_select(offer: Offer) -> bytes:
    """Return the handover select message."""
    data = _structure(_ROLE, bytes([_PERIPHERAL])) + _structure(_SERVICE, offer.service.bytes[::-1])
    if offer.address:
        data += _structure(_ADDRESS_TYPE, offer.address[::-1] + bytes([_RANDOM]))
    others = (Record(Naming.EXTERNAL, _IDENT_TYPE, offer.ident, b"1"),) if offer.ident else ()
    carrier = _carrier(b"1" if offer.ident else b"")
    head = Record(Naming.WELL_KNOWN, b"Hs", bytes([_VERSION]) + ndef.encode((carrier,)))
    return ndef.encode((head, Record(Naming.MEDIA, _OOB, data, b"0"), *others))


def decode_select(message: bytes) -> Offer:
    """Return what a handover select message offers. Raises ``MALFORMED`` for any that :func:`encode_select` does not
    write: what is hashed must have one form."""
    records = ndef.decode(message)
    service, address, ident = b"", b"", b""
    for record in records[1:]:
        if record.type == _OOB:
            found = _structures(record.payload)
            service, address = found.get(_SERVICE, b"")[::-1], found.get(_ADDRESS_TYPE, b"")[:ADDRESS][::-1]
        elif record.type == _IDENT_TYPE:
            ident = record.payload
    try:
        offer = Offer(UUID(bytes=service), ident, address)
    except ValueError:
        raise TapError(Code.MALFORMED, "a handover without a service") from None
    if encode_select(offer) != message:
        raise TapError(Code.MALFORMED, "a handover select message that is not in the one form")
    return offer


def encode_request(collision: bytes) -> bytes:
    """Return the handover request message of a central; ``collision`` is random, :data:`COLLISION` bytes."""
    if len(collision) != COLLISION:
        raise ValueError("a collision number of another length")
    local = ndef.encode((Record(Naming.WELL_KNOWN, b"cr", collision), _carrier(b"")))
    head = Record(Naming.WELL_KNOWN, b"Hr", bytes([_VERSION]) + local)
    return ndef.encode((head, Record(Naming.MEDIA, _OOB, _structure(_ROLE, bytes([_CENTRAL])), b"0")))


def check_request(message: bytes) -> None:
    """Raise ``MALFORMED`` unless ``message`` is a handover request as :func:`encode_request` writes it."""
    head = ndef.decode(message)[0]
    found = [record.payload for record in ndef.decode(head.payload[1:]) if record.type == b"cr"]
    if len(found) != 1 or len(found[0]) != COLLISION or encode_request(found[0]) != message:
        raise TapError(Code.MALFORMED, "a handover request message that is not in the one form")


def _carrier(auxiliary: bytes) -> Record:
    """Return the record that says: an active carrier, described by record 0, and besides by ``auxiliary``."""
    more = bytes([1, len(auxiliary)]) + auxiliary if auxiliary else bytes([0])
    return Record(Naming.WELL_KNOWN, b"ac", bytes([_ACTIVE, 1]) + b"0" + more)


def _structure(kind: int, data: bytes) -> bytes:
    return bytes([1 + len(data), kind]) + data


def _structures(data: bytes) -> dict[int, bytes]:
    """Return Bluetooth's advertising structures by type; whoever reads them checks by writing them again."""
    found: dict[int, bytes] = {}
    while len(data) > 1 and data[0]:
        found[data[1]] = data[2 : 1 + data[0]]
        data = data[1 + data[0] :]
    return found


# Text


def to_text(offer: Offer) -> str:
    """Return an offer as a text of digits 2 to 7 and letters: 56 of them without an address, 66 with one."""
    flags = _TEXT_VERSION | (_HAS_IDENT if offer.ident else 0) | (_HAS_ADDRESS if offer.address else 0)
    said = bytes([flags]) + offer.service.bytes + offer.ident + offer.address
    return base64.b32encode(said + _check(said)).decode("ascii").rstrip("=")


def from_text(text: str) -> Offer:
    """Return the offer of a text; small letters, spaces and hyphens are allowed. Raises ``BAD_INPUT``."""
    bare = "".join(text.split()).replace("-", "").upper()
    refused = TapError(Code.BAD_INPUT, f"{text!r} is not what the other device shows; copy all of it, or scan it")
    try:
        said = base64.b32decode(bare + "=" * (-len(bare) % 8))
    except (binascii.Error, ValueError):
        raise refused from None
    body, check = said[:-2], said[-2:]
    if not body or _check(body) != check:
        raise refused
    if body[0] & ~(_HAS_IDENT | _HAS_ADDRESS) != _TEXT_VERSION:
        raise TapError(Code.BAD_INPUT, f"{text!r} is of another version of dualtap; update the older device")
    ends = [1, 17, 17 + (IDENT if body[0] & _HAS_IDENT else 0)]
    ends.append(ends[-1] + (ADDRESS if body[0] & _HAS_ADDRESS else 0))
    if len(body) != ends[-1]:
        raise refused
    offer = Offer(UUID(bytes=body[1:17]), body[ends[1] : ends[2]], body[ends[2] :])
    if to_text(offer) != bare:
        raise refused
    return offer


def _check(said: bytes) -> bytes:
    """Return two bytes that tell a mistyped text from a device that is not there (CRC-16/XMODEM)."""
    return binascii.crc_hqx(said, 0).to_bytes(2, "big")
