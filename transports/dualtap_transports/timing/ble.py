"""How long Bluetooth LE takes: data packets and connection events (Bluetooth Core 5.4, volume 6, part B).

A central and a peripheral speak only at connection events, which come at a fixed interval; within one, packets and
their acknowledgements alternate, with 150 µs between any two. Loss, and the time to find each other, are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

SPACE_SECONDS = 150e-6
"""Between two packets: T_IFS."""
LEAST_INTERVAL = 0.0075
"""Seconds: no connection has a shorter interval."""
L2CAP = 4
"""Bytes before each ATT packet."""
ATT = 3
"""Bytes of a write without response, or of a notification, before its value."""
DISCOVERY_REQUESTS = 8
"""Round trips of ATT from the connection to the subscription, where only our service is discovered."""
_PACKET = 4 + 2 + 3
"""Bytes of access address, header and CRC."""


class Phy(Enum):
    """A radio layer: its name, the bytes of its preamble, and the seconds of a byte."""

    M1 = ("1M", 1, 8e-6)
    M2 = ("2M", 2, 4e-6)


@dataclass(frozen=True, slots=True)
class Ble:
    """A connection: ``interval`` in seconds, the most bytes of a data packet, and the longest ATT value in bytes."""

    interval: float = 0.03
    phy: Phy = Phy.M1
    data: int = 251
    value: int = 244

    def __post_init__(self) -> None:
        """Refuse with :class:`ValueError` what no connection has."""
        if not (LEAST_INTERVAL <= self.interval <= 4 and 27 <= self.data <= 251 and 20 <= self.value <= 512):
            raise ValueError(f"no such connection: {self}")

    def packet(self, size: int) -> float:
        """Return the seconds on the air of a data packet that carries ``size`` bytes."""
        _, preamble, byte = self.phy.value
        return (preamble + _PACKET + size) * byte

    def pair(self, size: int) -> float:
        """Return the seconds of a packet and the empty one that acknowledges it, with the spaces after both."""
        return self.packet(size) + self.packet(0) + 2 * SPACE_SECONDS

    @property
    def per_event(self) -> int:
        """Return how many full packets fit into one connection event, at least one."""
        return max(1, math.floor(self.interval / self.pair(self.data)))

    @property
    def ceiling(self) -> float:
        """Return the bytes a second of values that full packets carry, if nothing else is said."""
        return (self.data - L2CAP - ATT) / self.pair(self.data)

    def packets(self, value: int) -> list[int]:
        """Return the bytes in each data packet of one value of ``value`` bytes."""
        whole = value + ATT + L2CAP
        return [min(self.data, whole - start) for start in range(0, whole, self.data)]

    def arrival(self, now: float, values: Iterable[int]) -> float:
        """Return when the last of ``values`` (bytes each), ready at ``now``, has arrived.

        Events are at whole multiples of the interval; sending begins at the next one.
        """
        waiting = [size for value in values for size in self.packets(value)]
        event = math.ceil(now / self.interval - 1e-9) * self.interval
        while len(waiting) > self.per_event:
            del waiting[: self.per_event]
            event += self.interval
        return event + sum(self.pair(size) for size in waiting)

    def round_trip(self) -> float:
        """Return the seconds of an ATT request and its answer: two intervals."""
        return 2 * self.interval

    def opening(self, requests: int = DISCOVERY_REQUESTS) -> float:
        """Return the seconds from the connection to the subscription, in ``requests`` round trips of ATT."""
        return requests * self.round_trip()
