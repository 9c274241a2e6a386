"""The one thread in which the ledger works: it is not for two at once, and must not hold up who only asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TypeAlias, TypeVar

from dualtap.errors import Code, TapError
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service.problems import Problem

T = TypeVar("T")
OpenLedger: TypeAlias = Callable[[], AbstractContextManager[Ledger]]
"""Opens the ledger, in the thread that is to use it."""
_GONE = frozenset({Code.ISSUER_UNREACHABLE, Code.STORE_FAILED})
"""How a store says that its database is not there any more."""


class Clerk:
    """Does one thing at a time with a ledger. ``waiting`` calls are on the way; above ``most`` it takes none.

    After a failure that is no refusal of the protocol, such as a database that went away, the ledger is opened again.
    """

    def __init__(self, open_ledger: OpenLedger, most: int) -> None:
        self._open, self._most = open_ledger, most
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._stack = ExitStack()
        self._ledger: Ledger | None = None
        self._closing = False
        self.waiting = 0

    async def start(self) -> Ledger:
        """Open the ledger and return it, to be asked for what never changes; raise what opening raises."""
        return await self._run(self._opened)

    async def do(self, work: Callable[[Ledger], T]) -> T:
        """Have this done and return its result; raise a 503 where too much waits, or the ledger cannot be opened."""
        if self._closing:
            raise Problem.busy("the ledger is closed")
        if self.waiting >= self._most:
            raise Problem.busy("the ledger has too much to do")
        return await self._run(lambda: self._guarded(work))

    @property
    def refused(self) -> int:
        """Statements that were not genuine, since the ledger was opened."""
        return self._ledger.refused if self._ledger is not None else 0

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._stack.enter_context(self._open())
        return self._ledger

    def _guarded(self, work: Callable[[Ledger], T]) -> T:
        try:
            ledger = self._opened()
        except Exception as error:
            raise Problem.busy("the ledger cannot be opened") from error
        try:
            return work(ledger)
        except Exception as error:
            refusal = isinstance(error, Problem) or (isinstance(error, TapError) and error.code not in _GONE)
            if not refusal:
                self._ledger = None
                with suppress(Exception):  # it is broken: closing it may fail in any way
                    self._stack.close()
            raise

    async def _run(self, work: Callable[[], T]) -> T:
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self.waiting -= 1

    async def stop(self) -> None:
        """Finish what waits and close the ledger."""
        self._closing = True
        await self._run(self._stack.close)
        self._thread.shutdown()
