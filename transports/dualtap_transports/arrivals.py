"""Links that have come to a listener of asyncio, and that nobody has accepted yet."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from dualtap.errors import Code, TapError

L = TypeVar("L")


class Arrivals(Generic[L]):
    """Links in the order in which they came; for one loop alone."""

    def __init__(self) -> None:
        self._links: deque[L] = deque()
        self._changed = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._links)

    @property
    def closed(self) -> bool:
        """Whether nobody accepts any more."""
        return self._closed

    def put(self, link: L) -> None:
        """Let a link wait to be accepted."""
        self._links.append(link)
        self._changed.set()

    async def accept(self, timeout: float | None) -> L:
        """Return the next link; see :meth:`.link.Listener.accept`."""
        try:
            async with asyncio.timeout(timeout):
                while not self._closed:
                    if self._links:
                        return self._links.popleft()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TapError(Code.TIMEOUT, f"nobody connected within {timeout} s") from None
        raise TapError(Code.LINK_LOST, "the listener is closed")

    def close(self) -> None:
        """Accept no more: whoever waits for a link learns it."""
        self._closed = True
        self._changed.set()

    def drain(self) -> list[L]:
        """Return those that nobody accepted, and forget them."""
        left = list(self._links)
        self._links.clear()
        return left
