"""Errors as RFC 9457 has them: one type of body, whatever went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dualtap.errors import TABLE, Code, TapError

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER = 1
"""Seconds after which to come back when the service is busy."""

_STATUS: dict[Code, int] = {
    Code.TOO_LARGE: 413,
    Code.REPLAYED_REQUEST: 409,
    Code.ENDED: 409,
    Code.OVER_LIMIT: 409,
    Code.QUOTA_USED: 409,
    Code.BAD_SIGNATURE: 403,
    Code.LEDGER_CORRUPT: 500,
    Code.STORE_FAILED: 500,
    Code.ISSUER_UNREACHABLE: 503,
}


class Problem(Exception):
    """An answer that is an error: status, what is wrong and what to do, and the protocol's name for it if any."""

    def __init__(self, status: int, detail: str, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail)
        self.status, self.detail, self.code, self.headers = status, detail, code, headers or {}

    @classmethod
    def of(cls, error: TapError, default: int = 422) -> Problem:
        """Return the problem that a refusal of the protocol is."""
        if not isinstance(error.code, Code):
            return cls(default, str(error), str(error.code))
        return cls(_STATUS.get(error.code, default), str(error), error.code.name)

    @classmethod
    def busy(cls, what: str) -> Problem:
        """Return the answer to whom this service cannot serve now."""
        return cls(503, f"{what}; nothing has changed, try again later", headers={"Retry-After": str(RETRY_AFTER)})

    def response(self) -> Response:
        """Return it as a response."""
        body: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.code:
            body["code"] = self.code
        return Response(json.dumps(body), self.status, dict(self.headers), PROBLEM_TYPE)


def answer(request: Request, error: Exception) -> Response:
    """Turn whatever an endpoint raised into a response."""
    match error:
        case Problem():
            return error.response()
        case TapError():
            return Problem.of(error).response()
        case HTTPException(status_code=404):
            return Problem(404, f"there is nothing at {request.url.path[:80]!r}").response()
        case HTTPException(status_code=405):
            allowed = (error.headers or {}).get("Allow", "")
            return Problem(405, f"this takes {allowed} only", headers=error.headers).response()
        case HTTPException():
            return Problem(error.status_code, str(error.detail), headers=error.headers).response()
        case _:
            return Problem(500, "an error of this service; nothing more is known to you").response()


HANDLED = (Problem, TapError, HTTPException)
"""What endpoints may raise. Anything else is a defect: it is logged, and answered as 500."""

PROBLEM_SCHEMA: dict[str, object] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "code": {"type": "string", "enum": [code.name for code in TABLE], "description": "An error of SPEC §9."},
    },
}
