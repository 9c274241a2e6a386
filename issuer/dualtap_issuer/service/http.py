"""What both applications share: bodies within bounds, and a guard around every request."""

from __future__ import annotations

import asyncio
import time

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dualtap_issuer.service.logs import Say
from dualtap_issuer.service.metrics import Metrics
from dualtap_issuer.service.problems import HANDLED, Problem, answer
from dualtap_issuer.service.settings import Settings


async def body_of(request: Request, kind: str, most: int, seconds: float) -> bytes:
    """Return a request's body of this media type; raise a 415, 413 or 408."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != kind:
        raise Problem(415, f"the body is {given[:60]!r}; send {kind}")
    parts, size = list[bytes](), 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise Problem(413, f"a body of more than {most} bytes", headers={"Connection": "close"})
                parts.append(part)
    except TimeoutError:
        raise Problem(408, f"the body took more than {seconds:g} s", headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(400, "the body ended before its time") from None
    return b"".join(parts)


def application(routes: list[Route], guard: Guard) -> ASGIApp:
    """Return an application whose every error is a problem document."""
    app = Starlette(routes=routes, exception_handlers=dict.fromkeys(HANDLED, answer))
    app.router.redirect_slashes = False
    return guard.around(app, [route.path for route in routes])


class Guard:
    """Counts, times and logs each request, bounds how many there are, and hides what breaks."""

    def __init__(self, settings: Settings, metrics: Metrics, say: Say) -> None:
        self._settings, self._metrics, self._say = settings, metrics, say
        metrics.counter("dualtap_requests_total", "Requests by path, method and status.")
        metrics.histogram("dualtap_request_seconds", "Seconds from a request's headers to the end of its answer.")

    def around(self, app: ASGIApp, paths: list[str]) -> ASGIApp:
        """Return the application with this around it."""
        active = 0

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal active
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began, status = time.perf_counter(), 0

            async def watched(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            async def reply(response: Response) -> None:
                if not status:  # else part of an answer is out, and the connection breaks
                    await response(scope, receive, watched)

            active += 1
            try:
                if active > self._settings.requests:
                    await reply(Problem.busy("too many requests").response())
                else:
                    await app(scope, receive, watched)
            except Exception as error:  # a defect, or the ledger's: its text may hold anything
                self._say("failed", error=type(error).__name__)
                await reply(Problem(500, "an error of this service; nothing more is known to you").response())
            finally:
                active -= 1
                self._count(scope, paths, status, time.perf_counter() - began)

        return guarded

    def _count(self, scope: Scope, paths: list[str], status: int, seconds: float) -> None:
        path, method = template(scope["path"], paths), scope["method"]
        if method not in {"GET", "HEAD", "POST"}:
            method = "other"
        self._metrics.add("dualtap_requests_total", path=path, method=method, status=str(status))
        self._metrics.observe("dualtap_request_seconds", seconds, path=path)
        self._say("request", method=method, path=path, status=status, ms=round(seconds * 1000, 2))


def template(path: str, paths: list[str]) -> str:
    """Return the route that a path is of, so that no session's name is logged or counted; ``other`` for none."""
    found = path.split("/")
    for route in paths:
        parts = route.split("/")
        if len(parts) == len(found) and all(a == b or a[:1] == "{" for a, b in zip(parts, found, strict=True)):
            return route
    return "other"
