"""How long an honest link takes there and back, at most, by its kind (SPEC §24-3): what a timed round is judged by.

Each value is what the slowest honest link of its kind needs, with little to spare: what is to spare, a relay may use.
A scheme says its own as ``round_trip``, in seconds. One that says nothing cannot tell near from far.
"""

from __future__ import annotations

NFC_SECONDS = 0.06
"""Two APDUs take 10 ms at 106 kbit/s, a reader's driver and USB up to 40; a relay over a network adds 50 and more."""
BLE_SECONDS = 0.15
"""A packet waits for its event, each way: 60 to 100 ms at the intervals of 30 to 50 ms that systems choose by
themselves, and one event may be lost."""
NETWORK_SECONDS = 0.05
"""No radio: for demonstrations. One building's network answers within 30 ms; how near that is, nobody can say."""
LOCAL_SECONDS = 0.05
"""One machine: nothing but what else it is busy with."""


def round_trip_of(scheme: object) -> float | None:
    """Return the longest honest round trip of a scheme's links, in seconds, or ``None`` where it says nothing."""
    found: object = getattr(scheme, "round_trip", None)
    return float(found) if isinstance(found, int | float) and found > 0 else None
