"""Who certified whom, as each store says, and until when: rules of SPEC §7 that bind a wallet, as a checker.

Read by hand, as all that the checkers know: nothing here imports the core.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from dualtap_testing.reading import Raw

INSTITUTION, BANK, POLICY = 1, 2, 3
"""Kinds of authorities (SPEC §4.3)."""
NEVER = -1


class Charter(NamedTuple):
    """An authority's certificate: its kind, its last day, and the hint of who signed it."""

    kind: int
    expires: int
    issuer: bytes


class Chain:
    """The authorities that one store knows, by hint, and who signed its date."""

    def __init__(self) -> None:
        self._known: dict[bytes, Charter] = {}
        self._date, self._dater = 0, b""
        self._own = b""

    def copy(self) -> Chain:
        """Return what is known now."""
        twin = Chain()
        twin._known, twin._date, twin._dater, twin._own = dict(self._known), self._date, self._dater, self._own
        return twin

    def read(self, certificate: Raw | None, authorities: Iterable[Raw], header: Raw | None, *, whole: bool) -> str:
        """Take in what a record says of the scheme; return what is wrong with it, if anything is.

        ``whole``: it is the beginning of a compacted log, which holds all that was known.
        """
        before, wrong = dict(self._known), ""
        if whole:
            self._known.clear()
        for one in authorities:
            self._known[hashlib.sha256(one[0]).digest()[:4]] = Charter(one[1], one[4], one[5])
        for hint, old in before.items():
            if hint not in self._known:
                wrong = "has lost an authority"
            elif self._known[hint].expires < old.expires:
                wrong = "takes an older certificate of an authority for a later one"
        if certificate is not None:
            self._own = certificate[8]
        if header is not None:
            if header[2] not in self._known or self._known[header[2]].kind != POLICY:
                wrong = "is dated by who may not date"
            elif not whole and self.until(header[2]) < header[0]:
                wrong = "is dated by a policy key whose certificate had ended"
            if header[0] >= self._date:
                self._date, self._dater = header[0], header[2]
        return wrong

    def until(self, hint: bytes) -> int:
        """Return the last day on which this authority, and who is above it, may certify; ``NEVER`` if unknown."""
        found = self._known.get(hint)
        if found is None:
            return NEVER
        return min(found.expires, self.until(found.issuer)) if found.kind == BANK else found.expires

    @property
    def dated_until(self) -> int:
        """The last day that whoever signed this store's date may sign, as far as the store knows."""
        return self.until(self._dater)

    def asks(self, today: int) -> bool:
        """Whether this device asks in a tap on this day: one above it, or who dates it, has ended (SPEC §7-25)."""
        return today > min(self.until(self._own), self.dated_until)

    def has_ended(self, today: int) -> bool:
        """Whether the last certificate known of any authority has ended on this day."""
        return any(self.until(hint) < today for hint in self._known)
