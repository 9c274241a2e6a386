"""The timed round (SPEC §24): above an amount of its tier, a payer pays only who answers as fast as one who is near.

Both messages are sealed, so that nobody between the two devices can answer for the payee. A relay is made harder,
not impossible: what it adds below the link's own threshold is not seen.
"""

from __future__ import annotations

from dualtap import limits
from dualtap.context import Context
from dualtap.errors import Code, TapError
from dualtap.states import State
from dualtap.wire import PingMessage, PongMessage, RefuseMessage

NONCE = 8
"""Bytes of a Ping."""


def check(context: Context, above: bool) -> None:
    """Note whether a round is due, ``above`` what may be paid without; raise ``OVER_LIMIT`` where none can be made.

    SPEC §24-1 and §24-5.
    """
    timing = context.timing
    timing.due = above and not timing.near
    if not timing.due:
        return
    if timing.within is None:
        raise TapError(Code.OVER_LIMIT, "over this link nobody can tell how near the other device is")
    if context.now <= 0:
        raise TapError(Code.OVER_LIMIT, "without a clock this device cannot tell how near the other one is")


def check_done(context: Context) -> None:
    """Raise ``OVER_LIMIT`` if a sync has lowered the limit since this tap looked at it (SPEC §11.3-8)."""
    if context.timing.due:
        raise TapError(Code.OVER_LIMIT, "a sync has lowered the limit meanwhile: tap again")


def start(context: Context) -> None:
    """Begin a round (SPEC §24-2). Its time runs from the step in which the Ping is made."""
    timing = context.timing
    timing.nonce, timing.sent = context.random.take(NONCE), context.now
    timing.rounds += 1
    context.send(PingMessage(timing.nonce))
    context.state = State.AWAIT_PONG


def measured(context: Context, message: PongMessage) -> bool:
    """Return whether the payee is near; else begin another round, or end as ``TOO_FAR`` after the last.

    Raises ``UNEXPECTED_MESSAGE`` for a Pong to another Ping. SPEC §24-4.
    """
    timing = context.timing
    if message.nonce != timing.nonce:
        raise TapError(Code.UNEXPECTED_MESSAGE, "a Pong to another Ping")
    took = context.now - timing.sent
    timing.near = timing.within is not None and 0 <= took <= timing.within
    timing.due = not timing.near
    if timing.near:
        return True
    if timing.rounds < limits.PINGS:
        start(context)
        return False
    context.send(RefuseMessage(int(Code.TOO_FAR)))
    context.end(Code.TOO_FAR, f"each answer took more than {1000 * (timing.within or 0):g} ms")
    return False


def ping(context: Context, message: PingMessage) -> None:
    """As payee: answer at once, a few times in a tap (SPEC §24-2, §24-6)."""
    timing = context.timing
    if timing.rounds >= limits.PINGS:
        raise TapError(Code.UNEXPECTED_MESSAGE, "too many Pings")
    timing.rounds += 1
    context.send(PongMessage(message.nonce))
