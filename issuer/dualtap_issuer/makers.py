"""Device makers: a maker's word for a chip, outside every tap. A wallet's certificate carries its hash.

A scheme registers makers' keys. A maker makes a chip, lets it make its key, and signs what chip that key is in: this
:class:`Attestation` personalises a blank wallet. Whoever certifies the wallet checks it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from dualtap import codec
from dualtap.codec import blob, enumeration, record, signature
from dualtap.errors import Code, TapError
from dualtap.issued import Carrier, key_hint
from dualtap.statements import Scheme
from dualtap.suite import Signer, sha256
from dualtap_issuer.door import Door

MODEL = 32
"""Bytes of a model's name."""
CHIP = 16
"""Bytes of a chip's number."""
PARTY = "maker"
"""What a maker is among the scheme's parties."""
SECURE: frozenset[Carrier] = frozenset({Carrier.WATCH, Carrier.CARD, Carrier.SIM, Carrier.SD, Carrier.THING})
"""Carriers that are a secure element: for these, a policy may demand an attestation."""


class Attestation(NamedTuple):
    """A maker's word: the chip of this number, model and carrier holds the secret of this key, and shows it to nobody.

    ``maker`` is the hint of the maker's key.
    """

    chip: bytes
    model: bytes
    carrier: Carrier
    key: bytes
    maker: bytes
    signature: bytes


def attestation_id(scheme: Scheme, maker: bytes, said: Attestation) -> bytes:
    """Return what a maker (its whole key) signs: H("dualtap attestation 1" ‖ scheme ‖ maker ‖ H(public))."""
    public = codec.pack((said.chip, said.model, int(said.carrier), said.key))
    return sha256(b"dualtap attestation 1" + scheme.id + maker + sha256(public))


def attest(scheme: Scheme, maker: Signer, chip: bytes, model: str, carrier: Carrier, key: bytes) -> bytes:
    """Return the bytes of a maker's word for a chip; raise ``BAD_INPUT``, or ``BAD_KEY``."""
    name = model.encode()
    if len(chip) != CHIP or not 0 < len(name) <= MODEL:
        raise TapError(Code.BAD_INPUT, f"a chip's number has {CHIP} bytes, its model's name 1 to {MODEL}")
    scheme.suite.verifier(key)
    blank = Attestation(chip, name, carrier, key, key_hint(maker.public), b"")
    return codec.pack(blank._replace(signature=maker.sign(attestation_id(scheme, maker.public, blank))))


def decode_attestation(data: bytes) -> Attestation:
    """Return the attestation in these bytes; raise ``MALFORMED``, ``NOT_CANONICAL`` or ``TOO_LARGE``."""
    check = record(
        Attestation, blob(CHIP), blob(*range(1, MODEL + 1)), enumeration(Carrier), blob(32, 33), blob(4), signature
    )
    return check(codec.unpack(data))


def check_attestation(scheme: Scheme, makers: Collection[bytes], data: bytes, key: bytes, carrier: Carrier) -> bytes:
    """Return the hash of a maker's word that this key is in a chip of this carrier, for the wallet's certificate.

    Raises as :func:`decode_attestation`, ``UNKNOWN_ISSUER`` for a maker that is not registered, ``BAD_SIGNATURE``, or
    ``WRONG_CERTIFICATE`` for another key or carrier.
    """
    said = decode_attestation(data)
    found = [maker for maker in makers if key_hint(maker) == said.maker]
    if not found:
        raise TapError(Code.UNKNOWN_ISSUER, "this chip's maker is not registered; see `dualtap scheme maker add`")
    scheme.suite.verifier(found[0])(said.signature, attestation_id(scheme, found[0], said))
    if said.key != key or said.carrier is not carrier:
        raise TapError(Code.WRONG_CERTIFICATE, "the maker attested another key, or another carrier")
    return sha256(data)


# What a scheme demands


def attested(scheme: Scheme, store: Door, attestation: bytes, key: bytes, carrier: Carrier) -> bytes:
    """Return the hash of a maker's word for a wallet's chip, for its certificate; empty where there is none.

    Raises ``NOT_ATTESTED`` where there is none and the scheme demands one, or as :func:`check_attestation`.
    """
    if attestation:
        return check_attestation(scheme, tuple(store.parties(PARTY).values()), attestation, key, carrier)
    if carrier in demanded(store):
        raise TapError(Code.NOT_ATTESTED, f"so it is for each {carrier.name.lower()} of this scheme")
    return b""


def demanded(store: Door) -> frozenset[Carrier]:
    """Return the carriers whose chips must be attested."""
    return frozenset(map(Carrier, store.setting("attested") or b""))


def demand(store: Door, carriers: Collection[Carrier]) -> None:
    """Demand from now on that the chips of these carriers, and of no others, are attested.

    Raises ``BAD_INPUT`` for a carrier without a chip of its own.
    """
    for carrier in carriers:
        if carrier not in SECURE:
            chips = ", ".join(one.name.lower() for one in sorted(SECURE))
            raise TapError(Code.BAD_INPUT, f"a {carrier.name.lower()} is no secure element; {chips} are")
    with store.transaction():
        store.put_setting("attested", bytes(sorted(set(carriers))))


def register(scheme: Scheme, store: Door, name: str, key: bytes) -> None:
    """Register a maker's key under a name; raise ``BAD_KEY``, or ``BAD_INPUT`` if either belongs to another."""
    scheme.suite.verifier(key)
    hints = {key_hint(known): known for known in store.parties(PARTY).values()}
    with store.transaction():
        if hints.get(key_hint(key), key) != key or not store.put_party(name, PARTY, key):
            raise TapError(Code.BAD_INPUT, f"{name!r}, or this key, is registered for another maker")
