"""The JSON that administrative calls take: one table for what is checked and what OpenAPI says.

Stricter than some: a boolean is no integer, and what is not named is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeAlias, cast

from dualtap_issuer.service.problems import Problem

Shape: TypeAlias = dict[str, object]


def hexes(*sizes: int) -> Shape:
    """Return the shape of bytes of one of these sizes, in lower-case hexadecimal digits."""
    forms = "|".join(f"[0-9a-f]{{{2 * size}}}" for size in sizes)
    return {"type": "string", "pattern": f"^({forms})$"}


def integer(least: int, most: int) -> Shape:
    """Return the shape of an integer in ``[least, most]``."""
    return {"type": "integer", "minimum": least, "maximum": most}


def one_of(*values: str) -> Shape:
    """Return the shape of one of these words."""
    return {"type": "string", "enum": list(values)}


def array(of: Shape, most: int) -> Shape:
    """Return the shape of a list."""
    return {"type": "array", "items": of, "maxItems": most}


def record(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """Return the shape of an object."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def parse(data: bytes, shape: Shape) -> dict[str, object]:
    """Return the object in a body; raise a 400 for what is no JSON, a 422 that names the field for another shape."""

    def refuse(text: str) -> object:
        raise ValueError(text)

    try:
        value: object = json.loads(data.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not JSON in UTF-8") from None
    _check(value, shape, "the body")
    return cast("dict[str, object]", value)


def _check(value: object, shape: Shape, where: str) -> None:
    match shape["type"]:
        case "integer":
            least, most = cast("int", shape["minimum"]), cast("int", shape["maximum"])
            whole = type(value) is int or (type(value) is float and value.is_integer())
            if not whole or not least <= cast("float", value) <= most:
                raise Problem(422, f"{where} is not an integer in [{least}, {most}]")
        case "string":
            if not isinstance(value, str):
                raise Problem(422, f"{where} is not text")
            if "pattern" in shape and not re.fullmatch(cast("str", shape["pattern"]).strip("^$"), value):
                raise Problem(422, f"{where} is not of the form {shape['pattern']}")
            if "enum" in shape and value not in cast("list[str]", shape["enum"]):
                raise Problem(422, f"{where} is none of {', '.join(cast('list[str]', shape['enum']))}")
        case "array":
            if not isinstance(value, list) or len(cast("list[object]", value)) > cast("int", shape["maxItems"]):
                raise Problem(422, f"{where} is not a list of at most {shape['maxItems']}")
            for place, item in enumerate(cast("list[object]", value)):
                _check(item, cast("Shape", shape["items"]), f"{where}[{place}]")
        case _:
            _check_object(value, shape, where)


def _check_object(value: object, shape: Shape, where: str) -> None:
    if not isinstance(value, dict):
        raise Problem(422, f"{where} is not an object")
    fields, known = cast("dict[str, object]", value), cast("dict[str, Shape]", shape["properties"])
    for name in cast("list[str]", shape["required"]):
        if name not in fields:
            raise Problem(422, f"{where} has no {name!r}")
    for name, item in fields.items():
        if name not in known:
            raise Problem(422, f"{where} has {name[:40]!r}, which is not known here")
        _check(item, known[name], name)
