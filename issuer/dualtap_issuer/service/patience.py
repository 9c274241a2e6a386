"""Connections that say nothing, or too slowly, are closed: a stranger could else hold them all."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from dualtap_issuer.service.settings import Settings


def patient(settings: Settings) -> type[H11Protocol]:
    """Return the protocol of one connection, which gives each request's head ``settings.reading`` seconds to come.

    Above ``settings.connections`` at once a new one is closed. What a request's body may take is the application's.
    """

    class Patient(H11Protocol):
        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as H11Protocol's
            super().connection_made(transport)
            if len(self.connections) > settings.connections:
                transport.abort()
                return
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _watch(self) -> None:
            """Let the time run while no request is being answered. Bytes that come do not start it anew."""
            cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
            if (cycle is not None and not cycle.response_complete) or self.transport.is_closing():
                self._stop()
            elif self._waiting is None:
                self._waiting = self.loop.call_later(settings.reading, self.transport.abort)

        def _stop(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

    return Patient
