"""Who succeeds whom, as the ledger's replies tell it: one for each key; new tokens are for the last of a line."""

from __future__ import annotations

from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.reading import Raw, unpack


class Heirs:
    """What replies said of successors (SPEC §20-6, §20-9)."""

    def __init__(self) -> None:
        self._next: dict[bytes, bytes] = {}

    def replied(self, upload: bytes, reply: bytes) -> None:
        """Take in a signed upload and its signed reply: the reply's certificate is the successor's."""
        certificate: Raw | None = unpack(unpack(reply)[0])[6]
        if certificate is None:
            return
        key: bytes = unpack(unpack(upload)[0])[0][0]
        if self._next.setdefault(key, certificate[0]) != certificate[0]:
            raise PromiseBroken(1, "the ledger certifies a second successor of one key")

    def present(self, key: bytes) -> bytes:
        """Return the last key of a key's line."""
        while key in self._next:
            key = self._next[key]
        return key
