"""Renewal (SPEC §14-23 to §14-26): a deposit that asks for fresh tokens in place of a credit.

The choice is a witness, in the signed body: one deposit can never be both, whoever repeats it, and however often.
"""

from __future__ import annotations

from typing import Final

from dualtap.statements import Transfer
from dualtap.suite import sha256

RENEWAL: Final = b"dualtap renewal 1"
"""The one witness of a deposit that asks for fresh tokens. It serves no condition."""


def is_renewal(transfer: Transfer) -> bool:
    """Return whether a deposit asks for fresh tokens."""
    return transfer.body.witness == (RENEWAL,)


def renewal_serial(deposit: bytes, number: int) -> bytes:
    """Return the serial (8 bytes) of the fresh token with this number, from 0, that replaces a deposit (its id).

    It says for ever, to whoever knows both, what the token was issued for (SPEC §14-25).
    """
    return sha256(b"dualtap renewal" + deposit + bytes([number]))[:8]
