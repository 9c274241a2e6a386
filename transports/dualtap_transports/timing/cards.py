"""What a device's cryptography takes, as a table in seconds, with where each row is from.

Without a figure, and so counted as nothing: decoding a compressed key, writes to non-volatile memory, and the card's
own program. Keys decoded are counted in operations, so that whoever has a figure can add it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

SHA_BLOCK = 64
"""Bytes that SHA-256 takes at once."""
AES_BLOCK = 16
"""Bytes that AES takes at once."""
_PADDING = 9


@dataclass(frozen=True, slots=True)
class Work:
    """Operations counted in a tap. ``aes_blocks`` are those that AES-CCM is built from, ``aes_keys`` its keys."""

    sign: int = 0
    verify: int = 0
    ecdh: int = 0
    keygen: int = 0
    sha_blocks: int = 0
    aes_blocks: int = 0
    aes_keys: int = 0
    keys_decoded: int = 0

    def __add__(self, other: Work) -> Work:
        """Return both together."""
        return Work(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Work)))


@dataclass(frozen=True, slots=True)
class Crypto:
    """A device's cryptography: seconds of each operation on P-256, of hashing and of AES on 256 bytes, of an AES key.

    JCAlgTest's 256 bytes are five blocks of SHA-256, padding included, and 16 of AES. CCM sets a key up twice: for
    its MAC and for its key stream.
    """

    name: str
    sign: float
    verify: float
    ecdh: float
    keygen: float
    sha256: float
    aes: float
    aes_key: float
    source: str

    def seconds(self, work: Work) -> float:
        """Return the seconds that ``work`` takes."""
        return self.public_key(work) + self.hashing(work) + self.sealing(work)

    def public_key(self, work: Work) -> float:
        """Return the seconds of signatures, key agreement and key generation."""
        return work.sign * self.sign + work.verify * self.verify + work.ecdh * self.ecdh + work.keygen * self.keygen

    def hashing(self, work: Work) -> float:
        """Return the seconds of SHA-256."""
        return work.sha_blocks * self.sha256 / sha_blocks(256)

    def sealing(self, work: Work) -> float:
        """Return the seconds of AES-CCM."""
        return work.aes_blocks * self.aes / (256 // AES_BLOCK) + 2 * work.aes_keys * self.aes_key


def sha_blocks(size: int) -> int:
    """Return SHA-256's blocks for a message of ``size`` bytes, padding included."""
    return math.ceil((size + _PADDING) / SHA_BLOCK)


def ccm_blocks(size: int) -> int:
    """Return AES blocks that sealing or opening ``size`` bytes takes: a MAC, a key stream, and one more of each."""
    return 2 * math.ceil(size / AES_BLOCK) + 2


CARDS: dict[str, Crypto] = {
    "jcop4": Crypto(
        "JCOP4 J3R180", 0.032, 0.030, 0.020, 0.027, 0.008, 0.0019, 0.0061,
        "JCAlgTest (crocs-muni/jcalgtest_results, NXP JCOP4 J3R180 SECID P71, 2021-10-20, contact reader)",
    ),
    "javacard": Crypto(
        "median Java Card", 0.0588, 0.0679, 0.104, 0.156, 0.008, 0.0019, 0.0061,
        "JCAlgTest, median of 17 cards with P-256; SHA-256 and AES as JCOP4's, for want of a median",
    ),
    "phone": Crypto(
        "phone or till", 0.001, 0.001, 0.001, 0.001, 0.00001, 0.00001, 0.0,
        "assumed, not measured: a generous bound for software on an application processor; a phone's hardware "
        "keystore may take far longer to sign",
    ),
}  # fmt: skip
"""By name. JCAlgTest's figures are read from its published results, not measured here."""
