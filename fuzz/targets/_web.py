"""The issuer's two applications, driven in this process: requests in, answers out, no socket and no thread.

What they draw at random follows from a count here, so that a story is the same when it is told again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import NamedTuple, TypeVar
from unittest.mock import patch

from starlette.types import ASGIApp, Message, Scope

from dualtap.suite import sha256
from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service import admin as admin_module
from dualtap_issuer.service import desk as desk_module
from dualtap_issuer.service.admin import Guarded, admin
from dualtap_issuer.service.clerk import Clerk
from dualtap_issuer.service.desk import Desk
from dualtap_issuer.service.devices import devices
from dualtap_issuer.service.http import Guard
from dualtap_issuer.service.journal import Journal
from dualtap_issuer.service.metrics import Metrics
from dualtap_issuer.service.settings import Settings

T = TypeVar("T")
TOKEN = b"the-token-of-the-administration-0123456789"
HOUR = 3600.0
"""Seconds after which no sync is remembered."""


class Request(NamedTuple):
    """A request as it reaches an application: its body in parts, of which the last may be missing."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    parts: tuple[bytes, ...]
    whole: bool = True


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """Its media type."""
        return self.headers.get("content-type", "").partition(";")[0]


class _Here(Clerk):
    """Does everything at once, with whatever ledger there is now."""

    def __init__(self, current: Callable[[], Ledger]) -> None:
        self._current = current
        self.waiting = 0

    async def do(self, work: Callable[[Ledger], T]) -> T:
        return work(self._current())

    @property
    def refused(self) -> int:
        return self._current().refused


class _Notes(Journal):
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []

    def write(self, **fields: object) -> int:
        self.lines.append(fields)
        return len(self.lines)


class _Drawn:
    """What :mod:`secrets` draws, counted."""

    def __init__(self) -> None:
        self.count = 0

    def token_bytes(self, size: int) -> bytes:
        self.count += 1
        return sha256(b"drawn" + self.count.to_bytes(4, "big"))[:size]

    def token_urlsafe(self, size: int) -> str:
        return "s" + self.token_bytes(size).hex()[:21]


class Web:
    """Both applications, over one ledger at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.today, self.now = ledger, 0, 0.0
        self.said: list[object] = []
        self.notes = _Notes()
        self._loop = asyncio.new_event_loop()
        self.settings = settings = Settings()
        metrics = Metrics()
        clerk = _Here(lambda: self.ledger)
        guard = Guard(settings, metrics, self._say)
        desk = Desk(clerk, ledger.authority, settings, metrics, self._say, lambda: self.now, lambda: self.today)
        guarded = Guarded(clerk, clerk, self.notes, TOKEN, settings)
        self.devices: ASGIApp = devices(desk, clerk, settings, guard)
        self.admin: ASGIApp = admin(guarded, desk, metrics, guard, lambda: self.today)

    def _say(self, event: str, **fields: object) -> None:
        self.said.append((event, fields))

    @contextmanager
    def over(self, ledger: Ledger, today: int) -> Generator[None]:
        """Serve this ledger, at this date, and remember no sync of another."""
        self.ledger, self.today = ledger, today
        self.now += HOUR
        self.said.clear()
        self.notes.lines.clear()
        drawn = _Drawn()
        with patch.object(desk_module, "secrets", drawn), patch.object(admin_module, "secrets", drawn):
            yield

    def ask(self, app: ASGIApp, request: Request) -> Answer:
        """Make a request, and wait for all of the answer."""
        sent: list[Message] = []
        parts = iter([*self._events(request), {"type": "http.disconnect"}])

        async def receive() -> Message:
            return next(parts)

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
            "scheme": "http", "path": request.path, "raw_path": request.path.encode(), "query_string": b"",
            "root_path": "", "headers": list(request.headers), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        self._loop.run_until_complete(_called(app, scope, receive, send))
        begun = [item for item in sent if item["type"] == "http.response.start"]
        assert len(begun) == 1, "not one answer"
        headers = {name.decode(): value.decode() for name, value in begun[0]["headers"]}
        body = b"".join(item.get("body", b"") for item in sent if item["type"] == "http.response.body")
        return Answer(begun[0]["status"], headers, body)

    @staticmethod
    def _events(request: Request) -> Iterable[Message]:
        for number, part in enumerate(request.parts, 1):
            more = number < len(request.parts) or not request.whole
            yield {"type": "http.request", "body": part, "more_body": more}
        if not request.parts and request.whole:
            yield {"type": "http.request", "body": b"", "more_body": False}


async def _called(app: ASGIApp, scope: Scope, receive: Callable[..., object], send: Callable[..., object]) -> None:
    await app(scope, receive, send)  # type: ignore[arg-type]
