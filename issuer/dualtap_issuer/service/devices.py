"""What devices reach: syncs, frame by frame, and whether the service lives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dualtap import limits
from dualtap_issuer.service.clerk import Clerk
from dualtap_issuer.service.desk import Desk
from dualtap_issuer.service.http import Guard, application, body_of
from dualtap_issuer.service.openapi import Operation, document
from dualtap_issuer.service.problems import Problem
from dualtap_issuer.service.settings import Settings
from dualtap_issuer.service.shapes import Shape, one_of, record

FRAME = "application/octet-stream"
JSON = "application/json"
SESSION: Shape = {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"}
STATE = record({"status": one_of("ok")})
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

HEALTH = (
    Operation("/health", "GET", "Whether this process answers", JSON, result=STATE),
    Operation(
        "/ready", "GET", "Whether it takes syncs: the ledger answers, and it is not stopping", JSON, result=STATE
    ),
    Operation("/openapi.json", "GET", "This document", JSON, result={"type": "object"}),
)
OPERATIONS = (
    Operation(
        "/sync", "POST", "Begin a sync: a Hello, answered by the Welcome (SPEC §14-15)", FRAME,
        (400, 408, 413, 415), FRAME, headers=(("Location", "Where the frames that follow are posted."),),
    ),
    Operation(
        "/sync/{session}", "POST", "The next frame of a sync, answered by the issuer's (SPEC §14-17)", FRAME,
        (400, 404, 408, 409, 413, 415), FRAME, parameters=(("session", SESSION),),
    ),
    *HEALTH,
)  # fmt: skip


def devices(desk: Desk, clerk: Clerk, settings: Settings, guard: Guard) -> ASGIApp:
    """Return the application."""

    async def begin(request: Request) -> Response:
        hello = await body_of(request, FRAME, limits.MESSAGE, settings.reading)
        name, answer = await desk.begin(hello)
        return _frame(answer, {"Location": f"/sync/{name}"})

    async def go_on(request: Request) -> Response:
        frame = await body_of(request, FRAME, limits.MESSAGE, settings.reading)
        return _frame(await desk.go_on(request.path_params["session"], frame))

    endpoints: list[Endpoint] = [begin, go_on, *health(desk, clerk, "dualtap issuer: devices", OPERATIONS)]
    return application(routes(OPERATIONS, endpoints), guard)


def health(desk: Desk, clerk: Clerk, title: str, operations: tuple[Operation, ...]) -> list[Endpoint]:
    """Return the endpoints of :data:`HEALTH`."""
    described = document(title, operations)

    async def alive(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        if desk.closing:
            raise Problem.busy("this service is stopping")
        try:
            await clerk.do(lambda ledger: ledger.policy)
        except Problem:
            raise
        except Exception as error:
            raise Problem.busy("the ledger does not answer") from error
        return JSONResponse({"status": "ok"})

    async def openapi(_: Request) -> Response:
        return JSONResponse(described)

    return [alive, ready, openapi]


def routes(operations: tuple[Operation, ...], endpoints: list[Endpoint]) -> list[Route]:
    """Return the routes, in the order of the operations."""
    return [
        Route(operation.path, endpoint, methods=[operation.method])
        for operation, endpoint in zip(operations, endpoints, strict=True)
    ]


def _frame(answer: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(answer, 200, {"Cache-Control": "no-store", **(headers or {})}, FRAME)
