"""Asynchronous links behind the synchronous calls of :class:`.link.Link`: their event loop runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from threading import Lock, Thread
from typing import Any, Protocol, TypeVar

from dualtap.errors import Code, TapError

from .link import AsyncLink

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own, which ends when the last of its users releases it.

    Made with one user. The thread is a daemon: a Bluetooth stack may hang, and a process must be able to end.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._users = 1
        self._lock = Lock()
        self._thread = Thread(target=self._work, name="dualtap radio", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for it; it is cancelled if the wait is interrupted.

        Raises ``LINK_LOST`` if the loop has ended.
        """
        with self._lock:
            if not self._users:
                work.close()
                raise TapError(Code.LINK_LOST, "the link is closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except asyncio.CancelledError:
            raise TapError(Code.LINK_LOST, "the link is closed") from None
        except BaseException:
            future.cancel()
            raise

    def retain(self) -> None:
        """Count one user more."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Count one user less; without any, cancel what still runs, and end the loop and its thread."""
        with self._lock:
            self._users -= 1
            last = self._users == 0
        if last:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _work(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_wind_up())
        finally:
            self._loop.close()


async def _wind_up() -> None:
    """Cancel what still runs in this loop, and wait for its end."""
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()


class _Borrower:
    """One use of ``thread``, given back once what is used there has ended."""

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self._lock = Lock()
        self._released = False

    def _end(self, used: AsyncLink | AsyncListener) -> None:
        """Close what is used, and give the thread back; once."""
        with self._lock:
            if self._released:
                return
            self._released = True
        try:
            self._thread.run(used.close())
        finally:
            self._thread.release()


class BlockingLink(_Borrower):
    """``link`` as a :class:`.link.Link`; it owns it and one use of ``thread``."""

    def __init__(self, link: AsyncLink, thread: LoopThread) -> None:
        super().__init__(thread)
        self._link = link

    @property
    def max_frame(self) -> int:
        """The longest frame, in bytes."""
        return self._link.max_frame

    def send(self, frame: bytes) -> None:
        """Send one frame; see :meth:`.link.Link.send`."""
        self._thread.run(self._link.send(frame))

    def receive(self, timeout: float | None) -> bytes:
        """Return the next frame; see :meth:`.link.Link.receive`."""
        return self._thread.run(self._link.receive(timeout))

    def close(self) -> None:
        """End the link; see :meth:`.link.Link.close`."""
        self._end(self._link)


class AsyncListener(Protocol):
    """A :class:`.link.Listener` whose methods are awaited, and whose address whoever wraps it tells."""

    async def accept(self, timeout: float | None) -> AsyncLink:
        """Return the next link; see :meth:`.link.Listener.accept`."""
        ...

    async def close(self) -> None:
        """Stop listening; see :meth:`.link.Listener.close`."""
        ...


class BlockingListener(_Borrower):
    """``listener`` as a :class:`.link.Listener`, but for its address; it owns it and one use of ``thread``."""

    def __init__(self, listener: AsyncListener, thread: LoopThread) -> None:
        super().__init__(thread)
        self._listener = listener

    def accept(self, timeout: float | None) -> BlockingLink:
        """Return the next link; see :meth:`.link.Listener.accept`."""
        link = self._thread.run(self._listener.accept(timeout))
        self._thread.retain()
        return BlockingLink(link, self._thread)

    def close(self) -> None:
        """Stop listening; see :meth:`.link.Listener.close`."""
        self._end(self._listener)
