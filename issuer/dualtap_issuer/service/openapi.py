"""OpenAPI 3.1 documents, made of what the applications themselves are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version

from dualtap_issuer.service.problems import PROBLEM_SCHEMA, PROBLEM_TYPE, RETRY_AFTER
from dualtap_issuer.service.shapes import Shape

_MEANINGS = {
    400: "The bytes are not what this takes.",
    401: "The token is missing or wrong.",
    403: "The signature does not verify.",
    404: "There is no such thing.",
    408: "The body took too long.",
    409: "Not now, or not again.",
    413: "Too large.",
    415: "Another media type.",
    422: "The body has another shape, or cannot be meant.",
    500: "An error of this service.",
    503: "Busy or stopping; nothing has changed.",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: what it is for, what it takes and gives, and which errors it answers with."""

    path: str
    method: str
    summary: str
    gives: str
    errors: tuple[int, ...] = ()
    takes: str = ""
    body: Shape | None = None
    result: Shape = field(default_factory=lambda: {"type": "string", "format": "binary"})
    parameters: tuple[tuple[str, Shape], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    secured: bool = False
    status: int = 200


def document(title: str, operations: tuple[Operation, ...]) -> dict[str, object]:
    """Return the document."""
    paths: dict[str, dict[str, object]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    found: dict[str, object] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version("dualtap"), "license": {"name": "Apache-2.0"}},
        "paths": paths,
    }
    components: dict[str, object] = {"schemas": {"Problem": PROBLEM_SCHEMA}}
    if any(operation.secured for operation in operations):
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["components"] = components
    return found


def _operation(operation: Operation) -> dict[str, object]:
    good: dict[str, object] = {"description": "Done.", "content": {operation.gives: {"schema": operation.result}}}
    if operation.headers:
        good["headers"] = {
            name: {"description": meaning, "schema": {"type": "string"}} for name, meaning in operation.headers
        }
    responses: dict[str, object] = {str(operation.status): good}
    problem = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status in sorted({*operation.errors, 500, 503, *((401,) if operation.secured else ())}):
        wrong: dict[str, object] = {"description": _MEANINGS[status], "content": problem}
        if status == 503:
            schema: Shape = {"type": "string", "examples": [str(RETRY_AFTER)]}
            wrong["headers"] = {"Retry-After": {"description": "Seconds.", "schema": schema}}
        responses[str(status)] = wrong
    found: dict[str, object] = {
        "summary": operation.summary,
        "operationId": f"{operation.method.lower()}{operation.path.replace('/', '_').translate(_BRACES)}",
        "responses": responses,
    }
    if operation.takes:
        body: Shape = operation.body or {"type": "string", "format": "binary"}
        found["requestBody"] = {"required": True, "content": {operation.takes: {"schema": body}}}
    if operation.parameters:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": schema} for name, schema in operation.parameters
        ]
    if operation.secured:
        found["security"] = [{"token": []}]
    return found


_BRACES = str.maketrans("", "", "{}")
