"""Who succeeds whom, as the ledger's replies tell it: one for each key; new tokens are for the last of a line."""

from __future__ import annotations

from collections.abc import Callable, Collection

from dualtap_devices.rotation import is_over
from dualtap_testing.checkers import PromiseBroken
from dualtap_testing.devices import Device
from dualtap_testing.reading import KEPT, Raw, unpack


def check_former_keys(device: Device, epoch: int) -> None:
    """No former key goes while somebody may still be answered by it, or it by somebody (SPEC §20-10)."""
    for old, chest in zip(device.wallet.retired, device.chests[:-1], strict=True):
        shelf = chest.shelf
        asked = any(one.epoch + KEPT >= epoch for one in shelf.questions.values())
        if is_over(old, epoch) and (asked or shelf.pending or any(shelf.held.values())):
            raise PromiseBroken(4, "a former key goes while it can still be needed")


class Heirs:
    """What replies said of successors (SPEC §20-6, §20-9)."""

    def __init__(self) -> None:
        self._next: dict[bytes, bytes] = {}

    def replied(self, upload: bytes, reply: bytes, named: Callable[[], Collection[bytes]]) -> None:
        """Take in a signed upload and its signed reply: the reply's certificate is the successor's.

        ``named`` tells who is proved to cheat by what the ledger was told.
        """
        certificate: Raw | None = unpack(unpack(reply)[0])[6]
        if certificate is None:
            return
        key: bytes = unpack(unpack(upload)[0])[0][0]
        if self._next.setdefault(key, certificate[0]) != certificate[0]:
            raise PromiseBroken(1, "the ledger certifies a second successor of one key")
        if key in named():
            raise PromiseBroken(1, "who is named gets a new certificate")

    def line(self, keys: Collection[bytes]) -> set[bytes]:
        """Return these keys, and all to which they were changed: a new key clears no wallet (SPEC §20-11)."""
        found, fresh = set(keys), set(keys)
        while fresh:
            fresh = {self._next[key] for key in fresh if key in self._next} - found
            found |= fresh
        return found

    def present(self, key: bytes) -> bytes:
        """Return the last key of a key's line."""
        while key in self._next:
            key = self._next[key]
        return key
