"""How our core answers ``code``: what a number in a Refuse or a Close means."""

from __future__ import annotations

from typing import cast

from dualtap.errors import TABLE, Code, decode_code
from dualtap_conform.setup import Object


def code(suite: str, given: Object) -> Object:
    """Return the name and the fault of an error's number; both are null for one of a later version."""
    del suite
    found = decode_code(cast("int", given["number"]))
    if not isinstance(found, Code):
        return {"name": None, "fault": None}
    return {"name": found.name, "fault": TABLE[found].fault.value}


OPS = {"code": code}
"""What answers each operation."""
