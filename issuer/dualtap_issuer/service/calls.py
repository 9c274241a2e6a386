"""What administrative calls are made of: the shapes that they share, and how one is declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, cast

from dualtap_issuer.ledger import Ledger
from dualtap_issuer.service.devices import JSON
from dualtap_issuer.service.openapi import Operation
from dualtap_issuer.service.shapes import Shape, hexes, integer

Fields: TypeAlias = dict[str, object]
Work: TypeAlias = Callable[[Ledger, Fields], Fields]

EPOCH = integer(0, 2**24)
KEY, DIGEST = hexes(32, 33), hexes(32)
TEXT: Shape = {"type": "string"}
COUNT: Shape = {"type": "integer", "minimum": 0}


def call(
    path: str, method: str, summary: str, result: Shape, body: Shape | None = None, errors: tuple[int, ...] = ()
) -> Operation:
    """Return an administrative call that takes JSON, if anything, and gives JSON."""
    taken = (400, 408, 413, 415, 422) if body else ()
    return Operation(
        path, method, summary, JSON, (*taken, *errors), JSON if body else "", body, result, secured=True
    )  # fmt: skip


def bytes_of(given: Fields, name: str) -> bytes:
    """Return a field of hexadecimal digits; empty where it is missing."""
    return bytes.fromhex(cast("str", given.get(name, "")))


def int_of(given: Fields, name: str) -> int:
    """Return a field that is an integer; JSON may write it as 5.0."""
    return int(cast("float", given[name]))
