"""The test port: a device is asked a vector's question and answers it (protocol/vectors/README.md).

A frame that begins with ``{`` is a question: one line of a vector file without its answer. No tap begins so, and no
device in the field has this port. Here is how our own core answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from dualtap.errors import Code, TapError
from dualtap_conform.ops import accept, calls, codes, keystore, primitives, taps
from dualtap_conform.setup import Json, Object

OPS: dict[str, Callable[[str, Object], Object]] = {
    **codes.OPS,
    **calls.OPS,
    **primitives.OPS,
    **keystore.OPS,
    **accept.OPS,
    **taps.OPS,
}
"""What answers an operation, given the suite's name and the question."""


def answer(op: str, suite: str, given: Object) -> Object:
    """Return our core's answer to a vector's question; raise ``BAD_INPUT`` for an operation that is not offered."""
    if op not in OPS:
        raise TapError(Code.BAD_INPUT, f"no operation {op!r} here")
    try:
        return OPS[op](suite, given)
    except TapError as failure:
        if not isinstance(failure.code, Code):
            raise
        return {"error": failure.code.name}


def is_question(frame: bytes) -> bool:
    """Return whether a frame is for the test port."""
    return frame[:1] == b"{"


def answer_frame(frame: bytes) -> bytes:
    """Return the frame that answers a question: its number and ``out``, or ``null`` where nothing is offered.

    Raises ``BAD_INPUT`` for a frame that is no question.
    """
    out: Json = None
    try:
        question = cast("Object", json.loads(frame))
        number, op, suite, given = (question[item] for item in ("tcId", "op", "suite", "in"))
        with suppress(TapError):
            out = answer(cast("str", op), cast("str", suite), cast("Object", given))
    except (ValueError, LookupError, TypeError) as error:
        raise TapError(Code.BAD_INPUT, f"no question: {error!r}") from error
    return json.dumps({"tcId": number, "out": out}, separators=(",", ":")).encode()
