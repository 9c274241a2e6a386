"""A pcscd of the tests' own, with vpcd's virtual readers, and what it has noticed of cards."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from dualtap_transports import virtual_reader
from dualtap_transports.foreign import scard

PATIENCE = 20.0


@dataclass(frozen=True)
class Pcscd:
    """Two readers, and where a virtual card for each connects."""

    readers: tuple[str, str]
    addresses: tuple[str, str]

    def events(self, reader: str) -> int:
        """Return how often a card was put into a reader or taken out, as far as pcscd has noticed."""
        service = scard()
        _, context = service.SCardEstablishContext(service.SCARD_SCOPE_USER)
        try:
            _, states = service.SCardGetStatusChange(context, 0, [(reader, service.SCARD_STATE_UNAWARE)])
        finally:
            service.SCardReleaseContext(context)
        return states[0][1] >> 16

    def settle(self) -> None:
        """Wait until pcscd has noticed that both readers are empty: each card that went in has come out."""
        for reader in self.readers:
            self.wait_for(reader, self.events(reader) + 1 & ~1)

    def wait_for(self, reader: str, events: int) -> None:
        """Wait until pcscd, which looks from time to time, has noticed so many events.

        A card that follows another too soon after an error is never noticed at all.
        """
        service = scard()
        _, context = service.SCardEstablishContext(service.SCARD_SCOPE_USER)
        until = time.monotonic() + PATIENCE
        state = service.SCARD_STATE_UNAWARE
        try:
            while state >> 16 < events:
                assert time.monotonic() < until, f"pcscd noticed {state >> 16} events of {events}"
                _, states = service.SCardGetStatusChange(context, 1000, [(reader, state)])
                state = states[0][1]
        finally:
            service.SCardReleaseContext(context)


@contextmanager
def running() -> Generator[Pcscd]:
    """Run pcscd, alone on this machine."""
    with virtual_reader.running() as found:
        yield Pcscd(found.names, found.addresses)
