"""The one file of limits, each with its reason (SPEC §10)."""

from __future__ import annotations

from dataclasses import dataclass

CARD_MESSAGE = 1024
"""Bytes: a Java Card keeps 2-10 KiB of RAM, so that a message must be a fraction of it."""
MESSAGE = 16 * 1024
"""Bytes: the longest message that any device takes; bounds the memory that a stranger can claim."""
CARD_HOPS = 2
"""Hands between issuer and payer that a card checks: two signatures each at about 30 ms."""
HOPS = 7
"""Hands that any other device checks."""
SPANS = 16
"""Spans in one transfer; a whole token needs one, so more means fragments that a sync would merge."""
WARRANTS = 2
"""Restored (dead) transfers on one span's path that are accepted offline; a deposit may carry more."""
STATEMENTS = 64
"""Tokens, certificates or transfers, each, in one provenance."""
BASKET_REQUESTS = 8
"""Requests for one basket before a person is asked: strangers' taps must not fill the tape."""
CALLED = 4
"""Requests that may be open where a Call would make another: a stranger that calls must not fill the log."""
PIN_TRIES = 3
"""Wrong PINs in a row after which a keystore takes none: a thief guesses one in 3,333 PINs of four digits."""
UNBLOCK_TRIES = 10
"""Wrong unblocking codes in all after which a keystore takes none: it is longer than a PIN, and typed from a letter."""
PIN_LEAST = 4
"""Digits of the shortest PIN."""
PIN_MOST = 12
"""Digits of the longest PIN."""
UNBLOCK_LEAST = 8
"""Digits of the shortest unblocking code: ten tries guess one in ten million."""
UNBLOCK_MOST = 16
"""Digits of the longest unblocking code."""
EPOCH_STEP = 400
"""Epochs (days) by which one tap may move a device's date; a sync may move it by any."""
EPOCH_SECONDS = 86_400
"""Seconds in one epoch: statements are dated by day, which is coarse enough not to trace a person."""
AMOUNT = 2**53 - 1
"""Minor units: the largest integer that every JSON reader keeps exactly."""
COUNTER_STEP = 4
"""Counters skip by 1 up to this many, so that a payee cannot count a payer's payments."""
MAX_LIFE = 1100
"""Epochs (days): no token lives longer from its issue, so that a request's outcome may be forgotten after it."""
CONDITIONS = 8
"""Conditions on one token: each costs a payee bytes and time."""
LISTED = 16
"""Payee keys or merchant categories that one condition lists."""
RECALLS = 16
"""Keys that one Recall asks for: with more in doubt, a sync is the way; they fit a card's message."""
WITNESS = 512
"""Bytes of one witness of a condition: twice what a certificate or a Grant needs."""
SESSION_SECONDS = 60
"""Seconds from the first frame after which a tap is abandoned."""
PINGS = 4
"""Rounds in which one tap measures how near the other device is: the shortest counts, and a payee answers no more."""
NEWS_SECONDS = 10
"""Seconds of a tap that news may take after the payment: nobody waits for them."""
NEWS_FRAMES = 5
"""Frames' worth of bytes, at most MESSAGE, that a device takes of news in one tap: a policy with all its tiers."""
NEWS_LEAST = 64
"""Bytes of a piece of news, but for the last: a peer that sends fewer only spins out the tap."""
NEWS_EVIDENCE = 4
"""Pieces of evidence handed over in one tap: each is a few signatures to verify."""
EVIDENCE = 4096
"""Bytes of one piece of evidence that devices hand on and keep."""
WARNED = 16
"""Pieces of evidence that a device keeps until they are listed; the oldest gives way."""
DETAILS = 32
"""Bytes of a details hash."""
HISTORY = 500
"""Lines of history, and payments that may be refunded, each, that a compacted log keeps at most: what a shop needs."""
HISTORY_ROOM = 1536
"""Bytes of log for one of each that is kept: both take at most 186, and so all less than an eighth of the log."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one device can carry: longest message (bytes), hops, spans, and its log (bytes)."""

    message: int
    hops: int
    spans: int
    log: int

    @property
    def history(self) -> int:
        """Lines of history, and payments that may be refunded, each, that a compacted log keeps (SPEC §12-14)."""
        return min(HISTORY, self.log // HISTORY_ROOM)


CARD = Profile(CARD_MESSAGE, CARD_HOPS, 4, 48 * 1024)
FULL = Profile(MESSAGE, HOPS, SPANS, 4 * 1024 * 1024)
